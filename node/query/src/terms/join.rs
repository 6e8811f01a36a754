//! `eq_join`: each element with the documents that its key finds.

use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::Result;
use photondb_reql::eval::{Args, Batch, Cx, FeedKind, Func, Sequence, Shortcut, Stream, Value};

use crate::catalog::Permission;
use crate::keys;
use crate::limits::SCAN_BATCH_ROWS;
use crate::mismatch;
use crate::selection::{Part, TableRef};

/// `eq_join(field or function, table, {index, ordered})`.
pub(super) fn eq_join(args: &Args<'_>) -> Result<Value> {
    let left = args.sequence(0)?;
    // In this order in RethinkDB, too.
    let table = args.convert(2, mismatch::as_table)?;
    let by = args.function(1, Shortcut::GetField)?;
    let ordered = args.optarg_bool("ordered")? == Some(true);
    // That it is no string is held against the whole term.
    let index = args.optarg_datum("index")?.map(|index| index.as_string().cloned()).transpose()?;
    left.check_ungrouped().map_err(|error| error.at(args.id(0)))?;
    // In an order RethinkDB reads the left side as if all of it were wanted.
    if ordered && left.feed().is_some() {
        left.check_finite().map_err(|error| error.at(args.id(0)))?;
    }
    let cx = args.cx();
    let array = left.is_eager();
    let left = left.open(cx)?;
    let join = Sequence::stream(Box::new(EqJoin { left, by, table, index, ready: Batch::new() }));
    if array { Ok(Datum::from(join.read_array(cx)?).into()) } else { Ok(Value::Sequence(join)) }
}

/// Pairs come in the order of the left side, whether or not `ordered` was asked for.
struct EqJoin {
    left: Box<dyn Stream>,
    by: Func,
    table: TableRef,
    index: Option<photondb_reql::Str>,
    ready: Batch,
}

impl EqJoin {
    fn join(&mut self, left: Datum, cx: &Cx) -> Result<()> {
        let key = match self.by.call_datum(std::slice::from_ref(&left), cx) {
            Ok(Datum::Null) => return Ok(()),
            Ok(key) => key,
            Err(error) if error.is_non_existence() => return Ok(()),
            Err(error) => return Err(error),
        };
        if self.table.secondary(self.index.as_ref()).is_none() {
            keys::check_primary(&key)?;
            self.table.surroundings.require_on(Permission::Read, self.table.info())?;
            if let Some(right) = self.table.get(&key)? {
                self.pair(&left, right);
            }
            return Ok(());
        }
        keys::check_secondary(&key)?;
        let found = self.table.with(Part::Keys { index: self.index.clone(), keys: vec![key] });
        let mut rows = found.open_rows()?;
        loop {
            let batch = rows.next_rows(SCAN_BATCH_ROWS)?;
            if batch.is_empty() {
                return Ok(());
            }
            for row in batch {
                self.pair(&left, row.document);
            }
        }
    }

    fn pair(&mut self, left: &Datum, right: Datum) {
        self.ready.push(Datum::Object(Object::from([("left", left.clone()), ("right", right)])));
    }
}

impl Stream for EqJoin {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        while self.ready.is_empty() {
            let batch = self.left.next_batch(want, cx)?;
            if batch.is_empty() {
                break;
            }
            cx.steps_of(batch.len());
            for left in batch {
                self.join(left, cx)?;
            }
        }
        Ok(std::mem::take(&mut self.ready))
    }

    fn feed(&self) -> Option<FeedKind> {
        self.left.feed()
    }

    fn infinite(&self) -> bool {
        self.left.infinite()
    }
}
