//! Several sequences as one feed: whichever has something gives it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Batch, Cx, FeedKind, Sequence, Stream};
use photondb_runtime::fiber::{self, Fiber, StackSize};

/// How deep the transforms of a united feed may go.
const DEPTH: usize = 256;

/// The union of sequences of which at least one is a feed.
pub(crate) fn union(sequences: Vec<Sequence>, cx: &Cx) -> Result<Sequence> {
    let mut sides = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        sides.push(Side::Idle(sequence.open(cx)?));
    }
    Ok(Sequence::stream(Box::new(UnionFeed { sides, kind: FeedKind::Unioned })))
}

/// The union of feeds that one `changes` made.
pub(crate) fn of_feeds(feeds: Vec<Box<dyn Stream>>) -> Sequence {
    let sides = feeds.into_iter().map(Side::Idle).collect();
    Sequence::stream(Box::new(UnionFeed { sides, kind: FeedKind::Sequence }))
}

struct UnionFeed {
    sides: Vec<Side>,
    kind: FeedKind,
}

/// One sequence. While it is asked for more, a fiber of its own holds it.
enum Side {
    Idle(Box<dyn Stream>),
    Asked(Fiber<(Box<dyn Stream>, Result<Batch>)>),
    Ended,
}

impl Stream for UnionFeed {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        loop {
            for side in &mut self.sides {
                if let Side::Idle(_) = side
                    && let Side::Idle(mut stream) = std::mem::replace(side, Side::Ended)
                {
                    let cx = cx.clone();
                    *side = Side::Asked(fiber::run(StackSize::for_depth(DEPTH), move || {
                        let batch = stream.next_batch(want, &cx);
                        (stream, batch)
                    }));
                }
            }
            if self.sides.iter().all(|side| matches!(side, Side::Ended)) {
                return Ok(Batch::new());
            }
            let sides = &mut self.sides;
            let (place, answer) = fiber::wait(poll_fn(|task| {
                for (place, side) in sides.iter_mut().enumerate() {
                    if let Side::Asked(asked) = side
                        && let Poll::Ready(answer) = Pin::new(asked).poll(task)
                    {
                        return Poll::Ready((place, answer));
                    }
                }
                Poll::Pending
            }));
            self.sides[place] = Side::Ended;
            let (stream, batch) = answer.map_err(|panicked| Error::internal(panicked.to_string()))?;
            let batch = batch?;
            if !batch.is_empty() {
                self.sides[place] = Side::Idle(stream);
                return Ok(batch);
            }
        }
    }

    fn feed(&self) -> Option<FeedKind> {
        Some(self.kind)
    }
}
