//! Several sequences as one feed: whichever has something gives it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Batch, Cx, FeedKind, Sequence, Stream};
use photondb_runtime::fiber::{self, Fiber, StackSize};

/// How deep the transforms of a united feed may go.
const DEPTH: usize = 256;

/// The union of sequences of which at least one is a feed.
pub(crate) fn union(sequences: Vec<Sequence>, cx: &Cx) -> Result<Sequence> {
    let kind = together(sequences.iter().filter_map(Sequence::feed));
    let mut sides = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        sides.push(Side::Idle(sequence.open(cx)?));
    }
    Ok(Sequence::stream(Box::new(UnionFeed { sides, kind, states: None })))
}

/// The union of feeds that one `changes` made.
pub(crate) fn of_feeds(feeds: Vec<Box<dyn Stream>>) -> Sequence {
    let kind = together(feeds.iter().filter_map(|feed| feed.feed()));
    let states = Some(States { begun: false, not_ready: feeds.len() });
    let sides = feeds.into_iter().map(Side::Idle).collect();
    Sequence::stream(Box::new(UnionFeed { sides, kind, states }))
}

fn together(kinds: impl Iterator<Item = FeedKind>) -> FeedKind {
    kinds.reduce(FeedKind::union).unwrap_or(FeedKind::Unioned)
}

struct UnionFeed {
    sides: Vec<Side>,
    kind: FeedKind,
    /// Of feeds that are told of as one: how far all of them are.
    states: Option<States>,
}

struct States {
    begun: bool,
    not_ready: usize,
}

impl States {
    /// Whether an element is given: a state only if it is the first `initializing`, or the last `ready`.
    fn gives(&mut self, element: &Datum) -> bool {
        match element.as_object().ok().and_then(|element| element.get("state")) {
            Some(Datum::String(state)) if state == "initializing" => !std::mem::replace(&mut self.begun, true),
            Some(Datum::String(state)) if state == "ready" => {
                self.not_ready = self.not_ready.saturating_sub(1);
                self.not_ready == 0
            }
            _ => true,
        }
    }
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
            let mut batch = batch?;
            if batch.is_empty() {
                continue;
            }
            self.sides[place] = Side::Idle(stream);
            if let Some(states) = &mut self.states {
                batch.retain(|element| states.gives(element));
            }
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }

    fn feed(&self) -> Option<FeedKind> {
        Some(self.kind)
    }
}
