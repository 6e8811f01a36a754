//! Entries to one follower, as an exchange: messages go out without waiting for the answers to those before, up to a
//! window, and each is answered in order.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::errors::{NetworkError, RPCError};
use openraft::raft::AppendEntriesRequest;
use openraft::{AsyncRuntime, RPCTypes};
use photondb_proto::v1;
use photondb_proto::v1::raft_answer::Answer;
use photondb_proto::v1::raft_open::What;
use photondb_runtime::clock::Moment;
use photondb_runtime::peers::{Exchange, Lane, PeerError, Service};
use photondb_storage::fault::buggify;
use prost::Message;

use super::{Appended, Channel};
use crate::limits::{APPEND_ANSWER_WAIT, APPENDS_UNANSWERED_MAX, TRANSFER_RATE_MIN};
use crate::position::Term;
use crate::runtime::{self, Instant, Runtime};
use crate::types::Types;
use crate::wire;

/// An open exchange.
pub(super) struct Session<'c> {
    channel: &'c Channel,
    exchange: Exchange,
    unanswered: VecDeque<Sent>,
    /// Encoded, and waiting for room on the way.
    ready: Option<Bytes>,
    input_ended: bool,
}

struct Sent {
    term: Term,
    /// What the lease counts from.
    at: Moment,
    /// When it must have been answered, at the latest.
    due: Instant,
}

enum Event {
    Request(Option<AppendEntriesRequest<Types>>),
    Room(bool),
    Answer(Option<Result<Bytes, PeerError>>),
    Late,
}

impl<'c> Session<'c> {
    /// Opens an exchange that begins with `first`.
    pub(super) async fn open(
        channel: &'c Channel,
        first: AppendEntriesRequest<Types>,
        limit: Duration,
    ) -> Result<Session<'c>, RPCError<Types>> {
        let open =
            v1::RaftOpen { address: Some(channel.address.write()), what: Some(What::Appends(v1::RaftAppends {})) };
        let about = Bytes::from(open.encode_to_vec());
        let opening = channel.peers.exchange(channel.peer(), Service::Consensus, Lane::Log, about);
        let exchange = match tokio::time::timeout(limit, opening).await {
            Ok(opened) => opened.map_err(|error| channel.failed(error, RPCTypes::AppendEntries))?,
            Err(_) => return Err(channel.late(RPCTypes::AppendEntries, limit)),
        };
        let mut session = Session { channel, exchange, unanswered: VecDeque::new(), ready: None, input_ended: false };
        session.send(&first);
        Ok(session)
    }

    /// The next thing that happens. Answers come first: they make room.
    async fn event<S>(&mut self, input: &mut S) -> Event
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + Unpin,
    {
        let unanswered_max = if buggify!("consensus/append-window-of-one") { 1 } else { APPENDS_UNANSWERED_MAX };
        let takes = !self.input_ended && self.ready.is_none() && self.unanswered.len() < unanswered_max;
        let due = self.unanswered.front().map(|sent| sent.due);
        let late = async {
            match due {
                Some(due) => Runtime::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = self.exchange.receive.recv() => Event::Answer(answer),
            room = self.exchange.send.reserve(), if self.ready.is_some() => match room {
                Ok(permit) => {
                    permit.send(self.ready.take().expect("asked for room for it"));
                    Event::Room(true)
                }
                Err(_) => Event::Room(false),
            },
            request = input.next(), if takes => Event::Request(request),
            () = late => Event::Late,
        }
    }

    fn send(&mut self, request: &AppendEntriesRequest<Types>) {
        let at = self.channel.leadership.now();
        let bytes = Bytes::from(wire::append(request).encode_to_vec());
        let carried = Duration::from_secs_f64(bytes.len() as f64 / TRANSFER_RATE_MIN as f64);
        let now = runtime::now();
        // Those before it on the way are carried first.
        let free = self.unanswered.back().map_or(now, |before| now.max(before.due - APPEND_ANSWER_WAIT));
        let due = free + carried + APPEND_ANSWER_WAIT;
        self.unanswered.push_back(Sent { term: Term(request.vote.leader_id.term), at, due });
        self.ready = Some(bytes);
    }

    fn answered(&mut self, answer: Option<Result<Bytes, PeerError>>) -> Appended {
        let bytes = match answer {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => return Err(self.channel.failed(error, RPCTypes::AppendEntries)),
            None => return Err(NetworkError::from_string("the follower has ended the exchange").into()),
        };
        let answer = self.channel.answer(bytes)?;
        let Answer::Appended(appended) = answer else { return self.channel.other(answer) };
        let appended = self.channel.read(wire::read_appended(appended))?;
        let Some(sent) = self.unanswered.pop_front() else {
            return Err(self.channel.unexpected("an answer to nothing"));
        };
        self.channel.count(&appended, sent.term, sent.at);
        Ok(appended)
    }
}

/// The next answer, and what goes on after it: the stream that openraft reads.
pub(super) async fn next<S>(state: Option<(Session<'_>, S)>) -> Option<(Appended, Option<(Session<'_>, S)>)>
where
    S: Stream<Item = AppendEntriesRequest<Types>> + Unpin,
{
    let (mut session, mut input) = state?;
    if buggify!("consensus/append-broken-off") {
        return Some((Err(NetworkError::from_string("the exchange is broken off").into()), None));
    }
    loop {
        if session.input_ended && session.unanswered.is_empty() {
            return None;
        }
        match session.event(&mut input).await {
            Event::Request(Some(request)) => session.send(&request),
            Event::Request(None) => session.input_ended = true,
            Event::Room(true) => {}
            Event::Room(false) => {
                let closed = NetworkError::from_string("the follower takes no more entries");
                return Some((Err(closed.into()), None));
            }
            Event::Answer(answer) => {
                let appended = session.answered(answer);
                let goes_on = matches!(appended, Ok(Ok(_)));
                return Some((appended, goes_on.then_some((session, input))));
            }
            Event::Late => {
                let late = session.channel.late(RPCTypes::AppendEntries, APPEND_ANSWER_WAIT);
                return Some((Err(late), None));
            }
        }
    }
}
