//! `union`: several sequences one after another, or merged in an order that each of them has already.

use crate::datum::{Array, Datum};
use crate::error::{Error, Result};
use crate::eval::terms::order::Comparison;
use crate::eval::{Args, Batch, Cx, FeedKind, Func, Node, Sequence, Shortcut, Source, Stream, Value, eval};
use crate::term::TermKind;

/// `union`.
pub fn union(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let sequences = (0..args.len()).map(|index| args.sequence(index)).collect::<Result<Vec<_>>>()?;
    let interleaving = interleaving(args)?;
    for (index, sequence) in sequences.iter().enumerate() {
        sequence.check_ungrouped().map_err(|error| error.at(args.id(index)))?;
    }
    let array = sequences.iter().all(Sequence::is_eager);
    if sequences.iter().any(|sequence| sequence.feed().is_some()) {
        if let Interleaving::Ordered(_) = interleaving {
            return Err(Error::logic("Cannot interleave changefeeds in an order."));
        }
        return cx.world().union_feeds(sequences, cx).map(Value::Sequence);
    }
    let union = match interleaving {
        Interleaving::Any => Sequence::of(Source::Union(sequences), None),
        Interleaving::Successive => Sequence::stream(chained(sequences, cx)?),
        Interleaving::Ordered(comparisons) => {
            let streams = sequences.into_iter().map(|sequence| sequence.open(cx));
            let sides = streams.map(|stream| stream.map(Side::new)).collect::<Result<_>>()?;
            Sequence::stream(Box::new(Merged { sides, comparisons, started: false }))
        }
    };
    if array { union.read_array(cx).map(|array: Array| Value::Datum(array.into())) } else { Ok(Value::Sequence(union)) }
}

/// One sequence after the other.
pub(crate) fn chained(sequences: Vec<Sequence>, cx: &Cx) -> Result<Box<dyn Stream>> {
    let streams = sequences.into_iter().map(|sequence| sequence.open(cx)).collect::<Result<_>>()?;
    Ok(Box::new(Chained { streams }))
}

/// How sequences come together.
enum Interleaving {
    /// In any way: they can be followed, too.
    Any,
    /// One after the other.
    Successive,
    /// In the order that each of them has already.
    Ordered(Vec<Comparison>),
}

/// What `interleave` asks for.
fn interleaving(args: &Args<'_>) -> Result<Interleaving> {
    let Some(node) = args.optarg_node("interleave") else { return Ok(Interleaving::Any) };
    let nodes = match node {
        Node::Call(call) if call.kind == TermKind::MakeArray => call.args.iter().collect(),
        node => vec![node],
    };
    let mut comparisons = Vec::new();
    for node in nodes {
        if node.kind() == TermKind::Args {
            return Err(Error::logic("r.args is not supported in an order_by or union command yet."));
        }
        match eval(node, args.scope(), args.cx())? {
            Value::Datum(Datum::Bool(true)) => return Ok(Interleaving::Any),
            Value::Datum(Datum::Bool(false)) => return Ok(Interleaving::Successive),
            Value::Datum(Datum::Array(items)) => {
                let fields = items.iter().map(|name| Func::GetField(name, node.id()));
                comparisons.extend(fields.map(|by| Comparison { by, descending: false }));
            }
            value => {
                let by = value.into_function(Shortcut::GetField, args.cx()).map_err(|error| error.at(node.id()))?;
                comparisons.push(Comparison::new(by.located(node.id()), node.kind() == TermKind::Desc)?);
            }
        }
    }
    Ok(Interleaving::Ordered(comparisons))
}

struct Chained {
    streams: std::collections::VecDeque<Box<dyn Stream>>,
}

impl Stream for Chained {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        while let Some(stream) = self.streams.front_mut() {
            let batch = stream.next_batch(want, cx)?;
            if !batch.is_empty() {
                return Ok(batch);
            }
            self.streams.pop_front();
        }
        Ok(Batch::new())
    }

    fn feed(&self) -> Option<FeedKind> {
        None
    }

    fn infinite(&self) -> bool {
        self.streams.iter().any(|stream| stream.infinite())
    }
}

struct Merged {
    sides: Vec<Side>,
    comparisons: Vec<Comparison>,
    started: bool,
}

struct Side {
    stream: Box<dyn Stream>,
    ready: std::vec::IntoIter<Datum>,
    head: Option<(Vec<Option<Datum>>, Datum)>,
}

impl Side {
    fn new(stream: Box<dyn Stream>) -> Side {
        Side { stream, ready: Vec::new().into_iter(), head: None }
    }

    fn advance(&mut self, comparisons: &[Comparison], want: usize, cx: &Cx) -> Result<Option<Datum>> {
        if self.ready.as_slice().is_empty() {
            self.ready = self.stream.next_batch(want, cx)?.into_iter();
        }
        let next = match self.ready.next() {
            Some(element) => {
                let keys = comparisons.iter().map(|by| by.key(&element, cx)).collect::<Result<Vec<_>>>()?;
                Some((keys, element))
            }
            None => None,
        };
        let taken = std::mem::replace(&mut self.head, next);
        if let (Some((before, _)), Some((after, _))) = (&taken, &self.head)
            && order(comparisons, after, before).is_lt()
        {
            return Err(Error::logic("The streams given as arguments are not ordered by given ordering."));
        }
        Ok(taken.map(|(_, element)| element))
    }
}

fn order(comparisons: &[Comparison], left: &[Option<Datum>], right: &[Option<Datum>]) -> std::cmp::Ordering {
    let orders = comparisons.iter().zip(left.iter().zip(right));
    orders
        .map(|(by, (left, right))| by.order(left.as_ref(), right.as_ref()))
        .find(|order| order.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

impl Stream for Merged {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        if !self.started {
            self.started = true;
            for side in &mut self.sides {
                side.advance(&self.comparisons, want, cx)?;
            }
        }
        let mut batch = Batch::new();
        while batch.len() < want.max(1) {
            let mut least: Option<usize> = None;
            for (index, side) in self.sides.iter().enumerate() {
                let Some((keys, _)) = &side.head else { continue };
                let less = least
                    .and_then(|least| self.sides[least].head.as_ref())
                    .is_none_or(|(best, _)| order(&self.comparisons, keys, best).is_lt());
                if less {
                    least = Some(index);
                }
            }
            let Some(index) = least else { break };
            batch.extend(self.sides[index].advance(&self.comparisons, want, cx)?);
        }
        Ok(batch)
    }

    fn infinite(&self) -> bool {
        self.sides.iter().any(|side| side.stream.infinite())
    }
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn one_after_another_or_in_order() {
        check(&[
            ("[44,[]]", "[]"),
            ("[44,[[2,[1,2]],[173,[2]]]]", "[1,2,0,1]"),
            (
                r#"[44,[[2,[{"a":1},{"a":4}]],[2,[{"a":2},{"a":3}]]],{"interleave":"a"}]"#,
                r#"[{"a":1},{"a":2},{"a":3},{"a":4}]"#,
            ),
            (
                r#"[44,[[2,[{"a":4},{"a":1}]],[2,[{"a":3},{"a":2}]]],{"interleave":[74,["a"]]}]"#,
                r#"[{"a":4},{"a":3},{"a":2},{"a":1}]"#,
            ),
            (
                r#"[44,[[2,[{"a":4},{"a":1}]],[2,[{"a":3}]]],{"interleave":[2,[[74,[[69,[[2,[1]],[31,[[10,[1]],"a"]]]]]]]]}]"#,
                r#"[{"a":4},{"a":3},{"a":1}]"#,
            ),
            (
                r#"[44,[[2,[{"a":4},{"a":1}]],[2,[{"a":2}]]],{"interleave":"a"}]"#,
                "QueryLogic: The streams given as arguments are not ordered by given ordering.",
            ),
            ("[44,[[2,[1]],2]]", "QueryLogic: Cannot convert NUMBER to SEQUENCE"),
        ]);
    }
}
