//! Laws between queries: two that must mean the same give the same answer, over random documents of all types.
//!
//! `PHOTONDB_SEED` repeats a run; a failure prints both queries.

#[path = "laws/indexes.rs"]
mod indexes;
#[path = "laws/sequences.rs"]
mod sequences;
#[path = "laws/writes.rs"]
mod writes;

use photondb_test_cluster::documents::{document, primary_key};
use photondb_test_cluster::terms::{index_wait, insert, table, table_create};
use photondb_test_cluster::{Connection, Node, Numbers, full, seed};
use serde_json::Value;

/// One table of random documents, and what is asked of it.
struct Laws {
    connection: Connection,
    numbers: Numbers,
    /// The table, as a term.
    table: String,
    name: String,
}

/// `x => body`, in which `$` is the argument.
fn function(body: &str) -> String {
    format!("[69,[[2,[1]],{}]]", body.replace('$', "[10,[1]]"))
}

/// A field of the argument.
fn field(name: &str) -> String {
    format!("[170,[$,\"{name}\"]]")
}

impl Laws {
    /// A new table with indexes on `k`, `m` (multi), `[n, k]` and `n mod 3`.
    fn of(node: &Node, name: &str, numbers: Numbers) -> Laws {
        let mut laws = Laws { connection: node.connect(), numbers, table: table(name), name: name.to_owned() };
        laws.connection.value(&table_create(name));
        let table = laws.table.clone();
        let compound = function("[2,[[170,[$,\"n\"]],[170,[$,\"k\"]]]]");
        let remainder = function("[28,[[170,[$,\"n\"]],3]]");
        for index in [
            format!("[75,[{table},\"k\"]]"),
            format!("[75,[{table},\"n\"]]"),
            format!("[75,[{table},\"m\"],{{\"multi\":true}}]"),
            format!("[75,[{table},\"nk\",{compound}]]"),
            format!("[75,[{table},\"n3\",{remainder}]]"),
        ] {
            laws.connection.value(&index);
        }
        laws.fill();
        laws.connection.value(&index_wait(name));
        laws
    }

    fn fill(&mut self) {
        let count = [0, 1, 7, 60, 300][self.numbers.below(5) as usize];
        for _ in 0..count / 20 + 1 {
            let documents: Vec<String> = (0..count.min(20))
                .map(|serial| {
                    let id = match self.numbers.below(3) {
                        0 => primary_key(&mut self.numbers),
                        _ => (self.numbers.below(1_000) * 20 + serial).to_string(),
                    };
                    document(&id, &mut self.numbers)
                })
                .collect();
            // What has a key that is there already is refused.
            self.connection.value(&insert(&self.name, &documents));
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.numbers.below(bound)
    }

    fn elements(&mut self, term: &str) -> Vec<Value> {
        self.connection.elements(term).unwrap_or_else(|error| panic!("{term}\n fails: {error:?}"))
    }

    /// The same elements in the same order, or the same error.
    fn same(&mut self, one: &str, other: &str) {
        let answers = (self.connection.elements(one), self.connection.elements(other));
        let place = match &answers {
            (Ok(first), Ok(second)) => parting(first, second),
            (first, second) => (first != second).then(|| format!("{first:?} or {second:?}")),
        };
        assert!(place.is_none(), "{one}\n and\n{other}\n part {:.2000}", place.unwrap_or_default());
    }

    /// The same elements, in whatever order.
    fn same_set(&mut self, one: &str, other: &str) {
        let (first, second) = (sorted(self.elements(one)), sorted(self.elements(other)));
        let place = parting(&first, &second);
        assert!(place.is_none(), "{one}\n and\n{other}\n part {:.2000}", place.unwrap_or_default());
    }

    /// The same value.
    fn same_value(&mut self, one: &str, other: &str) {
        let (first, second) = (self.connection.value(one), self.connection.value(other));
        assert!(first == second, "{one}\n gives {first},\n{other}\n gives {second}");
    }

    /// `count` is the number of elements that are read.
    fn counted(&mut self, sequence: &str) {
        let read = self.elements(sequence).len();
        let counted = self.connection.value(&format!("[43,[{sequence}]]"));
        assert_eq!(counted, read, "{sequence}");
    }

    /// Documents whose field can stand in an index.
    fn with_key(&self, name: &str) -> String {
        let field = format!("[170,[$,\"{name}\"]]");
        let kinds = ["NUMBER", "STRING", "BOOL", "PTYPE<TIME>", "PTYPE<BINARY>", "ARRAY"];
        let kinds: Vec<String> = kinds.iter().map(|kind| format!("[17,[[52,[{field}]],\"{kind}\"]]")).collect();
        format!("[39,[{},{}]]", self.table, function(&format!("[66,[{}]]", kinds.join(","))))
    }
}

/// Where two lists part, if they do.
fn parting<T: PartialEq + std::fmt::Debug>(first: &[T], second: &[T]) -> Option<String> {
    let at = (0..first.len().max(second.len())).find(|at| first.get(*at) != second.get(*at))?;
    let lengths = format!("at {at} of {} and {}", first.len(), second.len());
    Some(format!("{lengths}:\n {:?}\n and {:?}", first.get(at), second.get(at)))
}

/// A document as text does not hang on the order in which it came.
fn sorted(elements: Vec<Value>) -> Vec<String> {
    let mut texts: Vec<String> = elements.iter().map(Value::to_string).collect();
    texts.sort();
    texts
}

/// Runs laws over several tables of one node.
fn over_tables(suite: &str, laws: fn(&mut Laws)) {
    let mut numbers = Numbers(seed(suite));
    let mut node = Node::start();
    for round in 0..if full() { 150 } else { 12 } {
        let numbers = Numbers(numbers.below(u64::MAX));
        let mut tables = Laws::of(&node, &format!("t{round}"), numbers);
        for _ in 0..3 {
            laws(&mut tables);
        }
    }
    node.assert_well();
}

#[test]
fn an_index_gives_what_a_scan_gives() {
    over_tables("indexes", indexes::laws);
}

#[test]
fn sequences_are_what_they_are_made_of() {
    over_tables("sequences", sequences::laws);
}

#[test]
fn writes_that_change_nothing_change_nothing() {
    over_tables("writes", writes::laws);
}

/// An index keeps the first 250 bytes of a value. Found by these laws: values that differ only behind them stood in the order
/// of their primary keys, and `distinct` gave them twice.
#[test]
fn values_that_an_index_cannot_tell_apart_stand_in_order() {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    let t = table("t");
    connection.value(&format!("[75,[{t},\"k\"]]"));
    let mut numbers = Numbers(4);
    let head = "y".repeat(260);
    for batch in 0..25 {
        let documents: Vec<String> = (0..100)
            .map(|at| format!("{{\"id\":{},\"k\":\"{head}{:03}\"}}", batch * 100 + at, numbers.below(700)))
            .chain([format!("{{\"id\":\"below {batch}\",\"k\":\"y{batch}\"}}")])
            .chain([format!("{{\"id\":\"above {batch}\",\"k\":\"z{batch}\"}}")])
            .collect();
        connection.value(&insert("t", &documents));
    }
    let place = |row: &Value| (row["k"].to_string(), row["id"].as_i64());
    let mut whole = connection.rows(&t);
    whole.sort_by_key(place);
    for (direction, term) in [(73, 147), (74, 148)] {
        let ordered = format!("[41,[{t}],{{\"index\":[{direction},[\"k\"]]}}]");
        let found = connection.rows(&ordered);
        let keys = |rows: &[Value]| rows.iter().map(|row| row["k"].clone()).collect::<Vec<_>>();
        assert_eq!(keys(&found), keys(&whole), "{direction}");
        let least = format!("{head}{:03}", 300);
        let cut = Value::from(least.as_str());
        let above = connection.rows(&format!(
            "[41,[[182,[{t},{cut},[181,[]]],{{\"index\":\"k\"}}]],{{\"index\":[{direction},[\"k\"]]}}]"
        ));
        let wanted: Vec<Value> = whole.iter().filter(|row| row["k"].as_str() >= Some(&least)).cloned().collect();
        assert_eq!(keys(&above), keys(&wanted), "{direction}");
        let first = connection.value(&format!("[170,[[{term},[{t}],{{\"index\":\"k\"}}],\"k\"]]"));
        assert_eq!(first, whole[0]["k"]);
        let page = connection.elements(&format!("[51,[[71,[[70,[{ordered},1000]],50]],\"array\"]]")).expect("a page");
        assert_eq!(keys(&page), keys(&whole[1000..1050]), "{direction}");
        whole.reverse();
    }
    let distinct = connection.rows(&format!("[42,[{t}],{{\"index\":\"k\"}}]"));
    let mut wanted: Vec<Value> = whole.iter().map(|row| row["k"].clone()).collect();
    wanted.dedup();
    assert_eq!(distinct, wanted);
    node.assert_well();
}
