//! `difference`: the elements of one sequence that another does not contain.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::datum::Datum;
use crate::error::{Result, ResultExt};
use crate::eval::sequence::{FeedKind, Reading, Source};
use crate::eval::{Args, Batch, CallNode, Cx, Scope, Sequence, Stream, Value, eval};

/// `difference`. Like the filter it stands for in RethinkDB, it does not look at the second sequence before there is an
/// element to look for, keeps a selection a selection, and its errors belong to the whole term.
pub fn difference(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let sequence = args.sequence(0)?;
    let (from_array, table) = (sequence.is_plain_array(), sequence.table.clone());
    let excluded = match args.call().spliced {
        true => Excluded::read(args.value(1)?, cx)?,
        false => Excluded::Unread(args.call().clone(), args.scope().clone()),
    };
    let difference = Difference { stream: sequence.open(cx)?, excluded };
    let sequence = Sequence::of(Source::Stream(Box::new(difference)), table);
    if from_array { Ok(Datum::from(sequence.read_array(cx)?).into()) } else { Ok(Value::Sequence(sequence)) }
}

/// The second argument.
enum Excluded {
    /// Not yet evaluated.
    Unread(Arc<CallNode>, Scope),
    Elements(BTreeSet<Datum>),
    /// It failed for want of something, which makes a filter leave every element out.
    Everything,
}

impl Excluded {
    fn read(value: Value, cx: &Cx) -> Result<Excluded> {
        let mut elements = BTreeSet::new();
        let all = value.into_sequence(cx).and_then(|sequence| {
            sequence.for_each_batch(cx, |batch| {
                elements.extend(batch);
                Ok(Reading::On)
            })
        });
        match all {
            Ok(()) => Ok(Excluded::Elements(elements)),
            Err(error) if error.is_non_existence() => Ok(Excluded::Everything),
            Err(error) => Err(error),
        }
    }

    fn contains(&mut self, element: &Datum, cx: &Cx) -> Result<bool> {
        if let Excluded::Unread(call, scope) = self {
            let read = match eval(&call.args[1], scope, cx) {
                Err(error) if error.is_non_existence() => Ok(Excluded::Everything),
                value => value.and_then(|value| Excluded::read(value, cx)),
            };
            *self = read.at(call.id)?;
        }
        match self {
            Excluded::Elements(elements) => Ok(elements.contains(element)),
            Excluded::Unread(..) | Excluded::Everything => Ok(true),
        }
    }
}

struct Difference {
    stream: Box<dyn Stream>,
    excluded: Excluded,
}

impl Stream for Difference {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        loop {
            let batch = self.stream.next_batch(want, cx)?;
            if batch.is_empty() {
                return Ok(batch);
            }
            let mut kept = Batch::new();
            for element in batch {
                if !self.excluded.contains(&element, cx)? {
                    kept.push(element);
                }
            }
            if !kept.is_empty() {
                return Ok(kept);
            }
        }
    }

    fn feed(&self) -> Option<FeedKind> {
        self.stream.feed()
    }

    fn infinite(&self) -> bool {
        self.stream.infinite()
    }
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn by_value() {
        check(&[
            ("[95,[[2,[1,2,2,3]],[2,[2]]]]", "[1,3]"),
            (r#"[95,[[2,[]],[12,["never looked at"]]]]"#, "[]"),
            ("[95,[[2,[1]],null]]", "[]"),
            ("[95,[[173,[4]],[2,[1,2]]]]", "[0,3]"),
            ("[95,[[2,[1]],1]]", "QueryLogic: Cannot convert NUMBER to SEQUENCE"),
            ("[95,[null,[2,[1]]]]", "NonExistence: Cannot convert NULL to SEQUENCE"),
        ]);
    }
}
