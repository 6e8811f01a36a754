//! A world of one table that can be read through, a clock that stands, and chance that repeats itself.

use std::any::Any;
use std::cell::Cell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use photondb_reql::datum::{Datum, json};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::signature::signature;
use photondb_reql::eval::{Args, Batch, Cx, Glance, Stream, TableValue, Trace, Value, World, left_by};
use photondb_reql::term::TermKind;
use photondb_reql::transform::Transform;

/// Steps that a query gets at once, and how often.
const STEPS: u32 = 1_000;
const GRANTS_MAX: u32 = 60;

/// How a query is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As the product does.
    Usual,
    /// With a profile.
    Traced,
    /// Every document is given to whoever asks, whatever a glance would tell.
    InFull,
}

/// What a query is unwound with that takes too many steps.
pub struct OutOfSteps;

/// See the module.
pub struct SmallWorld {
    way: Way,
    grants: Cell<u32>,
    chance: Cell<u64>,
    trace: Option<Trace>,
}

impl SmallWorld {
    /// A new one.
    pub fn new(way: Way) -> SmallWorld {
        let trace = (way == Way::Traced).then(|| Trace::new(|| Duration::ZERO));
        SmallWorld { way, grants: Cell::new(0), chance: Cell::new(1), trace }
    }
}

impl World for SmallWorld {
    fn term(&self, args: &Args<'_>) -> Result<Value> {
        match args.kind() {
            TermKind::Table if args.string(args.len() - 1)? == "t" => Ok(Value::Table(Rc::new(Documents(self.way)))),
            kind => Err(Error::logic(format!("There is no {} here.", kind.name()))),
        }
    }

    fn grant_steps(&self) -> u32 {
        self.grants.set(self.grants.get() + 1);
        if self.grants.get() > GRANTS_MAX {
            resume_unwind(Box::new(OutOfSteps));
        }
        STEPS
    }

    fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    fn now_micros(&self) -> i64 {
        1_700_000_000_123_456
    }

    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let next =
                self.chance.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.chance.set(next);
            *byte = (next >> 56) as u8;
        }
    }
}

/// The table `t`.
struct Documents(Way);

/// Its documents, in their order.
pub const DOCUMENTS: [&str; 9] = [
    r#"{"id":1,"n":3,"a":1,"s":"a","l":[1,2],"o":{"a":{"b":1}},"b":true}"#,
    r#"{"id":2,"n":-1,"a":null,"s":"é","l":[],"o":{"b":2}}"#,
    r#"{"id":3,"n":2.5,"s":"","l":[2,2,3],"g":{"$reql_type$":"GEOMETRY","type":"Point","coordinates":[1,1]}}"#,
    r#"{"id":4,"a":"x","t":{"$reql_type$":"TIME","epoch_time":1,"timezone":"+01:00"}}"#,
    r#"{"id":5,"n":null,"a":[1],"b":false}"#,
    r#"{"id":6,"n":"3","o":{},"s":"b"}"#,
    r#"{"id":7,"n":3,"a":1,"l":["a",null],"left":{"a":1},"right":{"b":1}}"#,
    r#"{"id":8,"n":1e308,"a":{"$reql_type$":"BINARY","data":"AAE="}}"#,
    r#"{"id":[1,"x"],"n":0,"group":1,"reduction":[1]}"#,
];

impl TableValue for Documents {
    fn type_name(&self) -> &'static str {
        "TABLE"
    }

    fn open(&self, _transforms: &[Transform], _cx: &Cx) -> Result<Box<dyn Stream>> {
        let documents = DOCUMENTS.iter().map(|text| json::parse(text.as_bytes()).expect("it is JSON").detach());
        Ok(Box::new(Rows { way: self.0, documents: documents.collect::<Vec<_>>().into_iter() }))
    }

    fn term(self: Rc<Self>, args: &Args<'_>) -> Option<Result<Value>> {
        let whole = matches!(args.kind(), TermKind::Nth | TermKind::Min | TermKind::Max | TermKind::Bracket);
        let beyond = signature(args.kind()).traits.touches_world || whole || args.optarg_node("index").is_some();
        beyond.then(|| Err(Error::logic(format!("{} of this table is not here.", args.kind().name()))))
    }

    fn describe(&self) -> String {
        "table(\"t\")".to_owned()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Rows {
    way: Way,
    documents: std::vec::IntoIter<Datum>,
}

impl Stream for Rows {
    fn next_batch(&mut self, want: usize, _cx: &Cx) -> Result<Batch> {
        // Smaller batches than asked for, so that there are several.
        Ok(self.documents.by_ref().take(want.min(4)).collect())
    }

    fn glance_batch(&mut self, want: usize, cx: &Cx, glance: &mut Glance<'_>) -> Result<Option<Batch>> {
        let batch = self.next_batch(want, cx)?;
        match self.way {
            // Nobody is shown a document before it is given.
            Way::InFull => Ok((!batch.is_empty()).then_some(batch)),
            _ => Ok(left_by(batch, glance)),
        }
    }
}
