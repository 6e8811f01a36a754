//! `order_by` with an index, and further orderings among rows that the index holds to be equal.

use std::rc::Rc;

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::terms::order::{self, Comparison};
use photondb_reql::eval::{Args, Batch, Cx, Node, Sequence, Stream, TableValue, Value, eval};
use photondb_reql::{Str, TermKind};

use super::{Part, RowStream, TableRef, bounds};
use crate::limits::SCAN_BATCH_ROWS;
use crate::table::{Order, Row};

impl TableRef {
    /// `order_by(ordering, ..., {index})`.
    pub(super) fn order_by(self: Rc<Self>, args: &Args<'_>) -> Result<Value> {
        let (index, order) = index_ordering(args)?;
        let Part::Slice(slice) = &self.part else {
            // Rows of no keys are in every order already.
            return if self.asks_for_nothing() { Ok(Value::Table(self)) } else { Err(not_a_slice()) };
        };
        let ordered = self.with(Part::Slice(bounds::sorted(slice, &index, order, self.id)?));
        if args.len() == 1 {
            return Ok(ordered.into_value());
        }
        let comparisons = order::comparisons(args)?;
        let ordered: Rc<TableRef> = Rc::new(ordered);
        let stream = Ties {
            table: ordered.clone(),
            rows: None,
            comparisons,
            run: Vec::new(),
            run_bytes: 0,
            waiting: Vec::new(),
            ended: false,
        };
        let mut sequence = Sequence::stream(Box::new(stream));
        sequence.table = Some(ordered as Rc<dyn TableValue>);
        Ok(Value::Sequence(sequence))
    }
}

/// `order_by` with an index on anything else.
pub(crate) fn not_a_slice() -> Error {
    Error::logic(
        "Indexed order_by can only be performed on a TABLE or TABLE_SLICE. Make sure order_by comes before any \
         transformations (such as map) or filters.",
    )
}

/// The option `index`: a name, or `asc` or `desc` of one.
fn index_ordering(args: &Args<'_>) -> Result<(Str, Order)> {
    let node = args.optarg_node("index").expect("called for order_by with an index only");
    let (node, order) = match node {
        Node::Call(call) if matches!(call.kind, TermKind::Asc | TermKind::Desc) && call.args.len() == 1 => {
            (&call.args[0], if call.kind == TermKind::Desc { Order::Descending } else { Order::Ascending })
        }
        node => (node, Order::Ascending),
    };
    let name = eval(node, args.scope(), args.cx())?.into_datum(args.cx()).map_err(|error| error.at(node.id()))?;
    Ok((name.as_string().map_err(|error| error.at(node.id()))?.clone(), order))
}

/// Rows that come ordered by index; those with equal index values are ordered further.
struct Ties {
    table: Rc<TableRef>,
    rows: Option<RowStream>,
    comparisons: Vec<Comparison>,
    /// Rows with one index value, perhaps not all of them yet.
    run: Vec<Row>,
    /// Bytes of those.
    run_bytes: usize,
    /// Rows in their final order.
    waiting: Vec<Datum>,
    ended: bool,
}

impl Ties {
    fn index_value(&self, row: &Row) -> Datum {
        match &row.index_value {
            Some(value) => value.clone(),
            None => row
                .document
                .as_object()
                .ok()
                .and_then(|fields| fields.get(&self.table.info().primary_key))
                .unwrap_or(Datum::Null),
        }
    }

    fn finish_run(&mut self, cx: &Cx) -> Result<()> {
        let run = std::mem::take(&mut self.run);
        self.run_bytes = 0;
        if run.len() < 2 {
            self.waiting.extend(run.into_iter().map(|row| row.document));
            return Ok(());
        }
        cx.check_array_length(run.len())?;
        let mut documents: Batch = run.into_iter().map(|row| row.document).collect();
        order::sort(&mut documents, &self.comparisons, cx)?;
        self.waiting.extend(documents);
        Ok(())
    }
}

impl Stream for Ties {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        while self.waiting.len() < want.max(1) && !self.ended {
            if self.rows.is_none() {
                self.rows = Some(self.table.open_rows()?);
            }
            let Some(rows) = &mut self.rows else { break };
            let batch = rows.next_rows(want.clamp(1, SCAN_BATCH_ROWS))?;
            cx.steps_of(batch.len());
            self.ended = batch.is_empty();
            for row in batch {
                if let Some(first) = self.run.first()
                    && self.index_value(first) != self.index_value(&row)
                {
                    self.finish_run(cx)?;
                }
                self.run_bytes += row.document.footprint();
                cx.check_room(self.run_bytes)?;
                self.run.push(row);
            }
            if self.ended {
                self.finish_run(cx)?;
            }
        }
        let count = self.waiting.len().min(want.max(1));
        Ok(self.waiting.drain(..count).collect())
    }
}
