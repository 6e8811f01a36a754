//! One direction of an exchange.

use std::collections::VecDeque;

use bytes::Bytes;
use photondb_runtime::peers::PeerError;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Letters;
use crate::cluster::fault::Place;

/// Messages of one direction of an exchange that are on their way at once: what a connection sends within the time of the
/// latest of them.
const EXCHANGE_MESSAGES_UNDER_WAY: usize = 1024;

impl Letters {
    /// Hands on the messages of one direction, in order; a lost one breaks the connection. One that takes its time delays those
    /// behind it, but they are on their way meanwhile: how long messages take says nothing of how many get through.
    pub(super) async fn forward(
        self,
        from: Place,
        to: Place,
        mut taken: mpsc::Receiver<Bytes>,
        given: mpsc::Sender<Result<Bytes, PeerError>>,
    ) {
        let mut under_way: VecDeque<(Instant, Result<Bytes, PeerError>)> = VecDeque::new();
        // Nothing more is sent.
        let mut ended = false;
        while !(ended && under_way.is_empty()) {
            let first_arrives = under_way.front().map(|(arrives, _)| *arrives);
            let arrival = async {
                match first_arrives {
                    Some(arrives) => sleep_until(arrives).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = given.closed() => return,
                () = arrival => {
                    let Some((_, item)) = under_way.pop_front() else { continue };
                    let last = item.is_err();
                    if given.send(item).await.is_err() || last {
                        return;
                    }
                }
                message = taken.recv(), if !ended && under_way.len() < EXCHANGE_MESSAGES_UNDER_WAY => {
                    let Some(message) = message else {
                        ended = true;
                        continue;
                    };
                    let delay = self.post.0.lock().delay(from, to, &message);
                    ended = delay.is_none();
                    let item = delay.map(|_| message).ok_or_else(|| PeerError::Lost("the connection broke".to_owned()));
                    let arrives = Instant::now() + delay.unwrap_or_default();
                    let behind = under_way.back().map_or(arrives, |(before, _)| arrives.max(*before));
                    under_way.push_back((behind, item));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::peers::{EXCHANGE_MESSAGES_WAITING, Manners, Post};
    use crate::random::Random;
    use crate::trace::Trace;

    const MESSAGES: u64 = 500;

    /// What arrives of so many messages that are sent one behind the other, and how long that takes.
    fn forward(manners: Manners) -> (Vec<Result<u64, PeerError>>, Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let letters = Post::new(Random::new(1), manners, Trace::new(|| Duration::ZERO, false)).letters(0);
            let (send, taken) = mpsc::channel(EXCHANGE_MESSAGES_WAITING);
            let (given, mut receive) = mpsc::channel(EXCHANGE_MESSAGES_WAITING);
            let began = Instant::now();
            tokio::spawn(letters.forward(0, 1, taken, given));
            tokio::spawn(async move {
                for number in 0..MESSAGES {
                    if send.send(Bytes::copy_from_slice(&number.to_be_bytes())).await.is_err() {
                        return;
                    }
                }
            });
            let mut arrived = Vec::new();
            while let Some(item) = receive.recv().await {
                arrived.push(item.map(|body| u64::from_be_bytes(body[..].try_into().unwrap())));
            }
            (arrived, began.elapsed())
        })
    }

    const SLOW: Manners = Manners {
        micros_min: 10_000,
        micros_max: 40_000,
        lost_one_of: 0,
        doubled_one_of: 0,
        second_after: 3,
        late_one_of: 0,
    };

    #[test]
    fn messages_of_an_exchange_keep_their_order_and_are_on_their_way_together() {
        let (arrived, took) = forward(SLOW);
        assert!(arrived.into_iter().map(Result::unwrap).eq(0..MESSAGES));
        assert!((Duration::from_millis(10)..Duration::from_millis(50)).contains(&took), "{took:?}");
    }

    #[test]
    fn a_lost_message_of_an_exchange_is_its_end() {
        let (mut arrived, _) = forward(Manners { lost_one_of: 20, ..SLOW });
        assert!(matches!(arrived.pop(), Some(Err(PeerError::Lost(_)))));
        let before = arrived.len() as u64;
        assert!(before < MESSAGES && arrived.into_iter().map(Result::unwrap).eq(0..before));
    }
}
