//! `map` over several sequences: the function is called with one element of each, until the shortest ends.

use crate::datum::Datum;
use crate::error::Result;
use crate::eval::{Arguments, Batch, Cx, FeedKind, Func, Sequence, Stream, Value};

/// Several streams read side by side.
pub struct Zipped {
    sides: Vec<Side>,
    function: Func,
    /// None of them ends.
    infinite: bool,
}

struct Side {
    stream: Box<dyn Stream>,
    ready: std::vec::IntoIter<Datum>,
}

impl Side {
    /// Whether its next element is one that a feed has yet to give.
    fn waits(&self) -> bool {
        self.ready.as_slice().is_empty() && self.stream.feed().is_some()
    }
}

impl Zipped {
    /// The result of `map`: an array when all sequences are.
    pub fn open(sequences: Vec<Sequence>, function: Func, cx: &Cx) -> Result<Value> {
        let array = sequences.iter().all(Sequence::is_eager);
        // What it reads of each, it reads batch by batch: a `limit` ends one, and it with that one.
        let infinite = sequences.iter().all(Sequence::infinite);
        let mut sides = Vec::with_capacity(sequences.len());
        for sequence in sequences {
            sides.push(Side { stream: sequence.open(cx)?, ready: Vec::new().into_iter() });
        }
        let zipped = Sequence::stream(Box::new(Zipped { sides, function, infinite }));
        if array { Ok(Datum::from(zipped.read_array(cx)?).into()) } else { Ok(Value::Sequence(zipped)) }
    }

    fn row(&mut self, want: usize, cx: &Cx) -> Result<Option<Arguments>> {
        let mut row = Arguments::new();
        for side in &mut self.sides {
            if side.ready.as_slice().is_empty() {
                side.ready = side.stream.next_batch(want, cx)?.into_iter();
            }
            match side.ready.next() {
                Some(element) => row.push(element),
                None => return Ok(None),
            }
        }
        Ok(Some(row))
    }
}

impl Stream for Zipped {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        let mut batch = Batch::new();
        while batch.len() < want.max(1) {
            // What is there goes out before a feed is waited for.
            if !batch.is_empty() && self.sides.iter().any(Side::waits) {
                break;
            }
            let Some(row) = self.row(want, cx)? else { break };
            batch.push(self.function.call_datum_with(row, cx)?);
        }
        Ok(batch)
    }

    fn feed(&self) -> Option<FeedKind> {
        self.sides.iter().filter_map(|side| side.stream.feed()).reduce(FeedKind::union)
    }

    fn infinite(&self) -> bool {
        self.infinite
    }
}
