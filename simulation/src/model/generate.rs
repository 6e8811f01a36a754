//! Random queries that the model defines, over a table of documents of one form:
//! `{id, n: whole number, s: string, tags: [whole numbers], nest: {x: whole number}, maybe?: whole number}`.

use serde_json::{Value, json};

use crate::random::Random;
use crate::term::{self, Term, call, call_with, field, func, number, var};

/// Variables of functions; one for each depth.
const ROW: u64 = 1;
const OTHER: u64 = 2;

/// Makes queries over one table, which has an index on `n`.
#[derive(Clone, Debug)]
pub struct Generator {
    /// The table's name.
    pub table: String,
    /// How many primary keys there are: `0..keys`.
    pub keys: u64,
}

/// What a query does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Reads,
    /// It may write one document.
    WritesOne,
    /// It may write several.
    WritesMany,
}

impl Generator {
    /// A query, and what it does.
    pub fn query(&self, random: &mut Random) -> (Term, Effect) {
        match random.below(10) {
            0..5 => (self.read(random), Effect::Reads),
            5..8 => (self.write_one(random), Effect::WritesOne),
            _ => (self.write_many(random), Effect::WritesMany),
        }
    }

    fn table(&self) -> Term {
        term::table(&self.table)
    }

    fn key(&self, random: &mut Random) -> u64 {
        random.below(self.keys)
    }

    /// A document with the key `id`.
    pub fn document(&self, id: u64, random: &mut Random) -> Value {
        let tags: Vec<u64> = (0..random.below(4)).map(|_| random.below(5)).collect();
        let mut document = json!({
            "id": id,
            "n": small(random),
            "s": text(random),
            "tags": tags,
            "nest": { "x": small(random) },
        });
        if random.once_in(2) {
            document["maybe"] = small(random).into();
        }
        document
    }

    fn some_documents(&self, random: &mut Random) -> Term {
        let count = random.within(1..=4);
        let documents = (0..count).map(|_| {
            let id = self.key(random);
            term::datum(&self.document(id, random))
        });
        term::make_array(documents.collect::<Vec<_>>())
    }

    /// Documents of the table, in no order.
    fn selection(&self, random: &mut Random) -> Term {
        match random.below(6) {
            0 | 1 => self.table(),
            2 => {
                let (low, high) = (self.key(random), self.key(random));
                call(number::BETWEEN, [self.table(), low.min(high).into(), low.max(high).into()])
            }
            3 => {
                let (low, high) = (small(random), small(random));
                term::between(self.table(), low.min(high), low.max(high), "n")
            }
            4 => term::get_all(self.table(), small(random), "n"),
            _ => {
                let inner = self.selection(random);
                self.filter(inner, random)
            }
        }
    }

    fn filter(&self, sequence: Term, random: &mut Random) -> Term {
        let test = match random.below(4) {
            0 => json!({ "s": text(random) }),
            1 => json!({ "nest": { "x": small(random) } }),
            _ => func(&[ROW], self.test(random, 2)),
        };
        call(number::FILTER, [sequence, test])
    }

    /// A boolean of the row.
    fn test(&self, random: &mut Random, depth: u64) -> Term {
        if depth > 0 && random.once_in(3) {
            let (left, right) = (self.test(random, depth - 1), self.test(random, depth - 1));
            return match random.below(3) {
                0 => call(number::NOT, [left]),
                1 => call(number::AND, [left, right]),
                _ => call(number::OR, [left, right]),
            };
        }
        let compare = random.pick(&[number::EQ, number::NE, number::LT, number::LE, number::GT, number::GE]);
        match random.below(5) {
            // The row need not have it.
            0 => call(compare, [field(var(ROW), "maybe"), small(random).into()]),
            1 => call(number::HAS_FIELDS, [var(ROW), json!("maybe")]),
            2 => call(number::CONTAINS, [field(var(ROW), "tags"), random.below(5).into()]),
            // Values of two types have an order too.
            3 => call(compare, [field(var(ROW), "s"), if random.once_in(3) { json!(3) } else { text(random).into() }]),
            _ => call(compare, [self.number(random, depth), self.number(random, depth)]),
        }
    }

    /// A whole number of the row.
    fn number(&self, random: &mut Random, depth: u64) -> Term {
        if depth > 0 && random.once_in(3) {
            let (left, right) = (self.number(random, depth - 1), self.number(random, depth - 1));
            return match random.below(5) {
                0 => call(number::ADD, [left, right]),
                1 => call(number::SUB, [left, right]),
                2 => call(number::MUL, [left, small(random).into()]),
                3 => call(number::MOD, [left, random.within(1..=7).into()]),
                _ => call(number::BRANCH, [self.test(random, depth - 1), left, right]),
            };
        }
        match random.below(6) {
            0 => small(random).into(),
            1 => call(number::DEFAULT, [field(var(ROW), "maybe"), small(random).into()]),
            2 => field(field(var(ROW), "nest"), "x"),
            3 => call(number::COUNT, [field(var(ROW), "tags")]),
            4 => call(number::SUM, [field(var(ROW), "tags")]),
            _ => field(var(ROW), "n"),
        }
    }

    fn read(&self, random: &mut Random) -> Term {
        let selection = self.selection(random);
        match random.below(14) {
            0 | 1 => term::get(self.table(), self.key(random)),
            2 => selection,
            3 => call(number::COUNT, [selection]),
            4 => {
                let aggregate = random.pick(&[number::SUM, number::AVG]);
                let over = random.pick(&["n", "maybe"]);
                call(aggregate, [selection, json!(over)])
            }
            5 => call(random.pick(&[number::MIN, number::MAX]), [selection, json!("id")]),
            6 => {
                let function = func(&[ROW], self.number(random, 3));
                call(number::MAP, [selection, function])
            }
            7 => {
                let names = [json!("id"), json!("maybe"), json!("nest")];
                let shape = random.pick(&[number::PLUCK, number::WITHOUT]);
                call(shape, [vec![selection], names[..random.within(1..=3) as usize].to_vec()].concat())
            }
            8 => {
                let merged = json!({ "nest": { "y": self.number(random, 1) }, "extra": text(random) });
                call(number::MERGE, [selection, func(&[ROW], merged)])
            }
            9 => {
                let by = [call(random.pick(&[number::ASC, number::DESC]), [json!("n")]), json!("id")];
                let ordered = call(number::ORDER_BY, [vec![selection], by.to_vec()].concat());
                call(random.pick(&[number::LIMIT, number::SKIP]), [ordered, random.below(6).into()])
            }
            10 => self.grouped(selection, random),
            11 => call(number::DISTINCT, [call(number::MAP, [selection, func(&[ROW], field(var(ROW), "tags"))])]),
            12 => call(number::CONCAT_MAP, [selection, func(&[ROW], field(var(ROW), "tags"))]),
            _ => {
                let numbers = call(number::MAP, [selection, func(&[ROW], self.number(random, 1))]);
                call(number::REDUCE, [numbers, func(&[ROW, OTHER], call(number::ADD, [var(ROW), var(OTHER)]))])
            }
        }
    }

    fn grouped(&self, selection: Term, random: &mut Random) -> Term {
        let by = match random.below(3) {
            0 => json!("s"),
            1 => json!("n"),
            _ => func(&[ROW], call(number::COUNT, [field(var(ROW), "tags")])),
        };
        let groups = call(number::GROUP, [selection, by]);
        let reduced = match random.below(4) {
            0 => call(number::COUNT, [groups]),
            1 => call(number::SUM, [groups, json!("n")]),
            2 => call(number::MAX, [groups, json!("id")]),
            _ => call(number::SUM, [groups, json!("maybe")]),
        };
        call(number::UNGROUP, [reduced])
    }

    fn write_one(&self, random: &mut Random) -> Term {
        let id = self.key(random);
        let options = json!({ "return_changes": random.once_in(2) });
        let one = term::get(self.table(), id);
        match random.below(8) {
            0..3 => {
                let conflict = random.pick(&["error", "replace", "update"]);
                let document = term::datum(&self.document(id, random));
                term::insert(self.table(), document, conflict, random.once_in(2))
            }
            3 | 4 => call_with(number::UPDATE, [one, self.change(random)], options),
            5 => {
                let document = term::datum(&self.document(id, random));
                call_with(number::REPLACE, [one, document], options)
            }
            6 => {
                // Takes the document away, or does nothing, as the row says.
                let body = term::branch(self.test_with_default(random), Value::Null, var(ROW));
                call_with(number::REPLACE, [one, func(&[ROW], body)], options)
            }
            _ => call_with(number::DELETE, [one], options),
        }
    }

    fn write_many(&self, random: &mut Random) -> Term {
        let options = json!({ "return_changes": random.once_in(2) });
        match random.below(5) {
            0 | 1 => {
                let conflict = random.pick(&["error", "replace", "update"]);
                term::insert(self.table(), self.some_documents(random), conflict, random.once_in(2))
            }
            2 | 3 => call_with(number::UPDATE, [self.selection(random), self.change(random)], options),
            _ => {
                let selection = self.selection(random);
                call_with(number::DELETE, [self.filter(selection, random)], options)
            }
        }
    }

    /// What an update does.
    fn change(&self, random: &mut Random) -> Term {
        match random.below(5) {
            0 => json!({ "s": text(random), "nest": { "x": small(random) } }),
            // Fails for the documents that have it not.
            1 => func(&[ROW], json!({ "maybe": call(number::ADD, [field(var(ROW), "maybe"), json!(1)]) })),
            2 => {
                let tags = call(number::APPEND, [field(var(ROW), "tags"), random.below(5).into()]);
                let keeps = call(number::LT, [call(number::COUNT, [field(var(ROW), "tags")]), json!(8)]);
                func(&[ROW], term::branch(keeps, json!({ "tags": tags }), json!({})))
            }
            _ => {
                // Kept small, so that numbers stay whole however often they are multiplied.
                let number = call(number::MOD, [self.number(random, 2), json!(1000)]);
                func(&[ROW], json!({ "n": number }))
            }
        }
    }

    /// A test that a missing document fails without an error.
    fn test_with_default(&self, random: &mut Random) -> Term {
        call(number::DEFAULT, [self.test(random, 1), json!(false)])
    }
}

fn small(random: &mut Random) -> i64 {
    random.below(12) as i64 - 3
}

fn text(random: &mut Random) -> &'static str {
    random.pick(&["", "a", "ab", "b", "Z", "é", "longer"])
}
