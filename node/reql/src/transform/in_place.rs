//! Transforms and aggregates on elements where they lie, as far as that goes.
//!
//! I1. What is done here is what the transforms and aggregates do with a datum of the same value: an element is either
//!     done with here, whole, or left to them, whole.
//! I2. Nothing here fails. Whatever might is left to them.

use std::cell::Cell;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::datum::Datum;
use crate::datum::node::Node;
use crate::eval::InPlace;
use crate::transform::{Aggregate, Transform};

/// Some filters, in order.
pub struct Filters<'t>(SmallVec<[InPlace<'t>; 2]>);

impl<'t> Filters<'t> {
    /// As many as stand at the beginning of a chain.
    pub fn first(transforms: impl Iterator<Item = &'t Transform>) -> Filters<'t> {
        let filter = |transform: &'t Transform| match transform {
            Transform::Filter { predicate, .. } => predicate.in_place(),
            _ => None,
        };
        Filters(transforms.map_while(filter).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of them keep the element, or one drops it; `None`: not to be told here.
    pub fn keep(&self, element: Node<'_>) -> Option<bool> {
        for filter in &self.0 {
            if !filter.truth(element)? {
                return Some(false);
            }
        }
        Some(true)
    }
}

/// Filters, and behind them perhaps one `map`.
pub struct Chain<'t> {
    filters: Filters<'t>,
    map: Option<InPlace<'t>>,
}

/// What a chain makes of an element.
pub enum Outcome<'a> {
    /// It is dropped.
    Dropped,
    /// This comes out.
    Value(Node<'a>),
    /// Not to be told here.
    Unknown,
}

impl<'t> Chain<'t> {
    /// The whole of these transforms, when they are nothing else.
    pub fn of(transforms: &'t [Transform]) -> Option<Chain<'t>> {
        let filters = Filters::first(transforms.iter());
        let map = match &transforms[filters.0.len()..] {
            [] => None,
            [Transform::Map(function)] => Some(function.in_place()?),
            _ => return None,
        };
        Some(Chain { filters, map })
    }

    pub fn run<'a>(&'a self, element: Node<'a>) -> Outcome<'a> {
        match (self.filters.keep(element), &self.map) {
            (None, _) => Outcome::Unknown,
            (Some(false), _) => Outcome::Dropped,
            (Some(true), None) => Outcome::Value(element),
            (Some(true), Some(map)) => map.value(element).map_or(Outcome::Unknown, Outcome::Value),
        }
    }
}

/// Keeps what is added in its order. Sums of fractions depend on it, and whether one overflows: behind an element that is left,
/// all others of its batch are left too.
pub struct InOrder {
    matters: bool,
    one_is_left: Cell<bool>,
}

impl InOrder {
    pub fn of(aggregate: &Aggregate) -> InOrder {
        InOrder { matters: matches!(aggregate, Aggregate::Sum(_) | Aggregate::Avg(_)), one_is_left: Cell::new(false) }
    }

    /// Takes an element, unless it must wait for others; whether it was taken.
    pub fn taken(&self, take: impl FnOnce() -> bool) -> bool {
        if self.matters && self.one_is_left.get() {
            return false;
        }
        let taken = take();
        self.one_is_left.set(!taken || self.one_is_left.get());
        taken
    }

    /// What was left is added now.
    pub fn next_batch(&self) {
        self.one_is_left.set(false);
    }
}

/// Which group has which key, of those whose keys are numbers or strings.
#[derive(Default)]
pub struct Keys {
    numbers: FxHashMap<u64, usize>,
    strings: FxHashMap<Box<[u8]>, usize>,
}

impl Keys {
    pub fn get(&self, key: Node<'_>) -> Option<usize> {
        match key {
            Node::Number(number) => self.numbers.get(&bits(number)).copied(),
            Node::String(text) => self.strings.get(text).copied(),
            _ => None,
        }
    }

    /// Remembers a key's group, if it is of a kind to be remembered.
    pub fn insert(&mut self, key: &Datum, group: usize) {
        match key.node() {
            Node::Number(number) => drop(self.numbers.insert(bits(number), group)),
            Node::String(text) => drop(self.strings.insert(text.into(), group)),
            _ => {}
        }
    }
}

/// The same for equal numbers: there are two zeros.
fn bits(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::json;
    use crate::eval::{Closure, Cx, Func, Node as Code, Scope, Sequence, Value, compile};
    use crate::term::{BacktraceId, Message, parse};
    use crate::transform::GroupBy;

    const BODIES: &[&str] = &[
        r#"[170,[[10,[1]],"n"]]"#,
        r#"[170,[[10,[1]],"s"]]"#,
        r#"[170,[[10,[1]],"m"]]"#,
        r#"[31,[[10,[1]],"o"]]"#,
        r#"[170,[[170,[[10,[1]],"o"]],"n"]]"#,
        r#"[19,[[170,[[10,[1]],"n"]],3]]"#,
        r#"[17,[[170,[[10,[1]],"s"]],"a"]]"#,
        r#"[24,[[170,[[10,[1]],"n"]],1]]"#,
        r#"[27,[1,[170,[[10,[1]],"n"]]]]"#,
        r#"[67,[[170,[[10,[1]],"b"]],[21,[[170,[[10,[1]],"n"]],0]]]]"#,
    ];

    const DOCUMENTS: &[&str] = &[
        r#"{"n":1,"s":"a","b":true,"o":{"n":5},"m":2}"#,
        r#"{"n":-7,"s":"b","b":false,"o":{"n":null}}"#,
        r#"{"n":0,"s":"a","b":true,"m":"text"}"#,
        r#"{"n":-0.0,"s":"","b":true,"o":[{"n":1}]}"#,
        r#"{"n":1,"s":"a","b":null,"o":{"n":5}}"#,
        r#"{"n":null,"s":null,"b":true}"#,
        r#"{"n":2.5,"s":"a","b":true,"o":{"$reql_type$":"TIME","epoch_time":1,"timezone":"+00:00"}}"#,
        r#"{"s":"b","b":false}"#,
        r#"{"n":1e308,"s":"ab","b":true,"o":{}}"#,
    ];

    fn function(body: &str) -> Func {
        let query = format!("[1,[69,[[2,[1]],{body}]],{{}}]");
        let Ok(Message::Start(start)) = parse(query.as_bytes()) else { panic!("{query} is no query") };
        let Code::Function(function) = compile(&start.term).expect("compiles").root else { panic!("no function") };
        Func::Closure(Closure { function, scope: Scope::empty() })
    }

    /// The same function in a form that is never run in place.
    fn in_full(body: &str) -> Func {
        let function = function(&format!("[65,[true,{body},null]]"));
        assert!(function.in_place().is_none());
        function
    }

    fn aggregates(by: &dyn Fn(&str) -> Func, body: &str) -> Vec<Aggregate> {
        let mut all = vec![Aggregate::Count, Aggregate::Sum(None), Aggregate::Avg(None), Aggregate::Max(None)];
        all.extend([Aggregate::Sum, Aggregate::Avg, Aggregate::Min, Aggregate::Max].map(|of| of(Some(by(body)))));
        all
    }

    fn chains(by: &dyn Fn(&str) -> Func, first: &str, second: &str) -> Vec<Vec<Transform>> {
        let filter = |body| Transform::Filter { predicate: by(body), default: None };
        let group = |body| {
            Transform::Group(GroupBy { functions: vec![by(body)], index: None, multi: false, id: BacktraceId::NONE })
        };
        vec![
            vec![],
            vec![filter(first)],
            vec![filter(first), filter(second)],
            vec![Transform::Map(by(first))],
            vec![filter(first), Transform::Map(by(second))],
            vec![group(first)],
            vec![filter(first), group(second)],
            vec![group(first), filter(second)],
            vec![filter(first), Transform::Limit(2)],
        ]
    }

    fn run(transforms: Vec<Transform>, aggregate: &Aggregate, documents: &[Datum]) -> Result<String, String> {
        let cx = Cx::pure();
        let array = crate::datum::Array::from(documents.to_vec());
        let sequence = transforms.into_iter().fold(Sequence::array(array), Sequence::then);
        let value = aggregate.run(sequence, &cx).map_err(|error| error.message.to_string())?;
        let text =
            |value: Value| value.into_datum(&cx).map(|datum| datum.print()).map_err(|error| error.message.to_string());
        match value {
            Value::Grouped(groups) => {
                let group = |(key, value): (Datum, Value)| Ok(format!("{}: {}", key.print(), text(value)?));
                Ok(groups.into_iter().map(group).collect::<Result<Vec<_>, String>>()?.join(", "))
            }
            value => text(value),
        }
    }

    /// Whatever is done in place, a datum would have given too; for documents in memory and for encoded ones.
    #[test]
    fn the_result_is_that_of_the_functions_in_full() {
        let trees: Vec<Datum> = DOCUMENTS.iter().map(|text| json::parse(text.as_bytes()).expect("JSON")).collect();
        let views = trees.iter().map(|tree| Datum::view(tree.to_encoded().into()).expect("was encoded")).collect();
        // The last one makes sums overflow; without the first ones fewer fields are missing.
        let (mut answered, mut failed) = (0, 0);
        for documents in [trees.clone(), views, trees[..7].to_vec(), trees[..2].to_vec(), Vec::new()] {
            for first in BODIES {
                for second in BODIES {
                    let ours = chains(&function, first, second).into_iter();
                    for (ours, theirs) in ours.zip(chains(&in_full, first, second)) {
                        let of = aggregates(&function, second).into_iter().zip(aggregates(&in_full, second));
                        for (our_aggregate, their_aggregate) in of {
                            let found = run(ours.clone(), &our_aggregate, &documents);
                            let expected = run(theirs.clone(), &their_aggregate, &documents);
                            assert_eq!(found, expected, "{first} {second} {ours:?} {our_aggregate:?}");
                            *if found.is_ok() { &mut answered } else { &mut failed } += 1;
                        }
                    }
                }
            }
        }
        assert!(answered > 1_000 && failed > 100, "{answered} answers, {failed} errors");
    }

    /// What cannot be told in place is added where it stands, not behind the others of its batch.
    #[test]
    fn sums_are_added_in_order() {
        let documents: Vec<Datum> =
            [r#"{"n":1e308,"x":1,"g":1}"#, r#"{"n":1e308,"x":[],"g":1}"#, r#"{"n":-1e308,"x":1,"g":1}"#]
                .iter()
                .map(|text| json::parse(text.as_bytes()).expect("JSON"))
                .collect();
        let filter = Transform::Filter { predicate: function(r#"[18,[[170,[[10,[1]],"x"]],5]]"#), default: None };
        let group = GroupBy {
            functions: vec![function(r#"[170,[[10,[1]],"g"]]"#)],
            index: None,
            multi: false,
            id: BacktraceId::NONE,
        };
        for transforms in [vec![filter.clone()], vec![filter, Transform::Group(group)]] {
            let sum = Aggregate::Sum(Some(function(r#"[170,[[10,[1]],"n"]]"#)));
            let found = run(transforms, &sum, &documents);
            assert!(found.as_ref().is_err_and(|error| error.contains("inf")), "{found:?}");
        }
    }

    #[test]
    fn patterns_and_names_of_fields_are_in_place() {
        let document = json::parse(br#"{"n":1,"s":"a","o":{"n":1}}"#).expect("JSON");
        let pattern = |text: &str| Func::Matches(json::parse(text.as_bytes()).expect("JSON"));
        let truth = |function: &Func| function.in_place().and_then(|place| place.truth(document.node()));
        assert_eq!(truth(&pattern(r#"{"n":1,"s":"a"}"#)), Some(true));
        assert_eq!(truth(&pattern(r#"{"n":1,"s":"b"}"#)), Some(false));
        assert_eq!(truth(&pattern(r#"{"n":"1"}"#)), Some(false));
        assert_eq!(truth(&pattern(r#"{"none":1}"#)), None);
        assert!(pattern(r#"{"o":{"n":1}}"#).in_place().is_none());
        let field = |name: &str| Func::GetField(Datum::from(name), BacktraceId::NONE);
        assert_eq!(truth(&field("n")), Some(true));
        assert_eq!(truth(&field("o")), None);
        assert_eq!(truth(&field("none")), None);
    }
}
