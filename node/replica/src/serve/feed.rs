//! Subscriptions of other nodes.
//!
//! What a subscriber has not taken waits in the listener, which is bounded; whoever falls too far behind is told so, and nobody
//! else notices. While the member does not lead, its subscribers look for one that does.

use std::sync::Arc;

use bytes::Bytes;
use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::feed_message::Message as FeedMessage;
use photondb_proto::{Epoch, KeyRange, MemberId};
use photondb_runtime::peers::Exchange;
use photondb_runtime::task;
use photondb_shard::{ChangeBatch, Cursor, DocumentChange, Listener, Position, ShardError};
use photondb_storage::fault::{buggify, fault_point};
use prost::Message;
use tokio::sync::Notify;

use super::failed_at;
use crate::error::ReplicaError;
use crate::feed::{Joined, Note, notes};
use crate::limits::{FEED_LOOK_PERIOD, FEED_MESSAGE_BYTES, FEED_MESSAGE_CHANGES_MAX};
use crate::replica::{Replica, check_exact};

/// One subscriber.
struct Subscriber {
    replica: Arc<Replica>,
    exchange: Exchange,
    boot: u64,
    listener: Listener,
    arrived: Arc<Notify>,
    cursor: Cursor,
}

/// Why a subscription ends.
enum End {
    /// The subscriber has gone.
    Gone,
    /// It is to be told.
    Told(ReplicaError),
}

impl<E: Into<ReplicaError>> From<E> for End {
    fn from(error: E) -> End {
        End::Told(error.into())
    }
}

/// Sends changes for as long as both sides are there. Who begins must know which keys the shard has, and since which epoch; who goes on is
/// told.
pub(super) async fn serve(
    replica: Arc<Replica>,
    keys: (KeyRange, Epoch),
    subscribe: wire::Subscribe,
    exchange: Exchange,
    boot: u64,
) {
    let arrived = Arc::new(Notify::new());
    let wake = arrived.clone();
    let listener = replica.shard.listen(Box::new(move || wake.notify_one()));
    let mut subscriber = Subscriber { replica, exchange, boot, listener, arrived, cursor: Cursor::default() };
    if let Err(End::Told(error)) = subscriber.run(&keys, subscribe).await {
        // The member has left this node. Whether the shard is elsewhere, or has another group, the subscriber's own state says.
        let has_left = matches!(&error, ReplicaError::Shard(ShardError::Gone));
        let failed = failed_at(&subscriber.replica, if has_left { ReplicaError::NotLeading } else { error });
        // Whoever is gone need not be told.
        let _ = subscriber.send(FeedMessage::Ended(failed)).await;
    }
}

impl Subscriber {
    async fn run(&mut self, (range, epoch): &(KeyRange, Epoch), subscribe: wire::Subscribe) -> Result<(), End> {
        // Also who goes on must come to the leader: another member may be cut off, and never apply what is committed.
        let reader = self.replica.read_confirmed().await?;
        let known = Some(MemberId(subscribe.rescued)).filter(|founder| founder.0 != 0);
        if self.replica.rescued < known {
            // This node is to hear still that another group has taken the place of this one.
            return Err(End::Told(ReplicaError::NotLeading));
        }
        if self.replica.rescued > known {
            return Err(End::Told(ReplicaError::Repaired));
        }
        if subscribe.from.is_none() {
            check_exact(&reader, range, *epoch)?;
        }
        let position = reader.position();
        self.cursor = match subscribe.from {
            Some(from) => Cursor { position: Position(from.position), given: from.given },
            None => Cursor::after(position),
        };
        if subscribe.from.is_some() {
            // Whoever can be given nothing is told so before anything else.
            reader.check_has_changes(self.cursor)?;
        }
        self.send(FeedMessage::Started(wire::Cursor { position: self.cursor.position.0, given: self.cursor.given }))
            .await?;
        if subscribe.from.is_some() {
            self.catch_up().await?;
        }
        loop {
            match self.listener.take() {
                Err(ShardError::Replaced) => {
                    photondb_storage::probe!("feed of another node, the member's state was replaced");
                    self.catch_up().await?;
                }
                batches => {
                    let batches = batches?;
                    if batches.is_empty() {
                        self.wait().await?;
                    }
                    for batch in &batches {
                        self.batch(batch).await?;
                    }
                }
            }
        }
    }

    /// Until something has come, or it is time to look around.
    async fn wait(&mut self) -> Result<(), End> {
        let arrived = self.arrived.clone();
        tokio::select! {
            () = arrived.notified() => Ok(()),
            // A subscriber has nothing to say: what comes is its end.
            _ = self.exchange.receive.recv() => Err(End::Gone),
            () = task::sleep(FEED_LOOK_PERIOD) => match self.replica.leads_or_may() {
                true => Ok(()),
                false => Err(End::Told(ReplicaError::NotLeading)),
            },
        }
    }

    /// Sends what the change log has from the cursor on.
    async fn catch_up(&mut self) -> Result<(), End> {
        let reader = self.replica.shard.read()?;
        let up_to = Cursor::after(reader.position());
        while self.cursor < up_to {
            let bytes = if buggify!("replica/remote-feed-read-one-by-one") { 1 } else { FEED_MESSAGE_BYTES };
            let logged = reader.changes(self.cursor, bytes)?;
            let mut notes = notes(&logged).into_iter().peekable();
            let mut changes = logged.changes.into_iter().peekable();
            while let Some((position, first, change)) = changes.next() {
                while let Some((at, note)) = notes.next_if(|(at, _)| *at < position) {
                    self.note(at, note).await?;
                }
                let mut of_entry = vec![change];
                while let Some((_, _, change)) = changes.next_if(|(next, _, _)| *next == position) {
                    of_entry.push(change);
                }
                // A subscriber that does not hear that it knows all of an entry would ask for the entry again.
                let whole = changes.peek().is_some() || !logged.goes_on;
                self.changes(position, first, &of_entry, whole).await?;
            }
            for (at, note) in notes {
                self.note(at, note).await?;
            }
            if !logged.more {
                // Its last changes were sent before it was known that they are; a subscriber that does not hear of it would
                // ask for the entry again.
                if self.cursor.given > 0 {
                    self.changes(self.cursor.position, self.cursor.given, &[], true).await?;
                }
                // One that was joined to another says by this that it has told all.
                if self.cursor < up_to {
                    self.changes(reader.position(), 0, &[], true).await?;
                }
            }
        }
        Ok(())
    }

    async fn batch(&mut self, batch: &ChangeBatch) -> Result<(), End> {
        if batch.position < self.cursor.position && !fault_point!("feed-tells-again") {
            return Ok(());
        }
        if let Some(child) = batch.child {
            return self.note(batch.position, Note::Child(child)).await;
        }
        if let Some((shard, end)) = batch.joined {
            let position = batch.position;
            return self.note(position, Note::Joined(Joined { position, shard, end })).await;
        }
        let given = if batch.position == self.cursor.position { self.cursor.given } else { 0 };
        match batch.changes.get(given as usize..) {
            Some(changes) => self.changes(batch.position, given, changes, true).await,
            None => Ok(()),
        }
    }

    /// Says what an entry did to another shard.
    async fn note(&mut self, position: Position, note: Note) -> Result<(), End> {
        let message = match note {
            Note::Child(child) => FeedMessage::Child(wire::Child { position: position.0, shard: child.0 }),
            Note::Joined(Joined { shard, end, .. }) => {
                FeedMessage::Joined(wire::Joined { position: position.0, shard: shard.0, end: end.0 })
            }
        };
        self.send(message).await?;
        self.cursor = Cursor::after(position);
        Ok(())
    }

    /// Sends changes of one entry, in messages that are not too large. `whole`: they are its last ones.
    async fn changes(
        &mut self,
        position: Position,
        mut first: u32,
        mut changes: &[DocumentChange],
        whole: bool,
    ) -> Result<(), End> {
        loop {
            let (piece, rest) = changes.split_at(fitting(changes));
            let is_last = whole && rest.is_empty();
            let count = u32::try_from(piece.len()).unwrap_or(u32::MAX);
            let change =
                |change: &DocumentChange| wire::DocumentChange { old: change.old.clone(), new: change.new.clone() };
            self.send(FeedMessage::Changes(wire::Changes {
                position: position.0,
                first,
                changes: piece.iter().map(change).collect(),
                whole: is_last,
            }))
            .await?;
            first += count;
            self.cursor = if is_last { Cursor::after(position) } else { Cursor { position, given: first } };
            if rest.is_empty() {
                return Ok(());
            }
            changes = rest;
        }
    }

    async fn send(&mut self, message: FeedMessage) -> Result<(), End> {
        let message = wire::FeedMessage { message: Some(message), boot: self.boot };
        self.exchange.send.send(Bytes::from(message.encode_to_vec())).await.map_err(|_| End::Gone)
    }
}

/// How many of these changes go into one message.
fn fitting(changes: &[DocumentChange]) -> usize {
    let mut bytes = 0;
    let size =
        |change: &DocumentChange| [&change.old, &change.new].into_iter().flatten().map(Bytes::len).sum::<usize>();
    let fits = |change: &&DocumentChange| {
        let fits = bytes < FEED_MESSAGE_BYTES;
        bytes += size(change);
        fits
    };
    let count_max = if buggify!("replica/feed-message-of-one") { 1 } else { FEED_MESSAGE_CHANGES_MAX };
    changes.iter().take(count_max).take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_holds_what_fits_and_one_change_at_least() {
        let change =
            |bytes: usize| DocumentChange { key: Bytes::new(), old: None, new: Some(Bytes::from(vec![0; bytes])) };
        assert_eq!(fitting(&[]), 0);
        assert_eq!(fitting(&vec![change(1); FEED_MESSAGE_CHANGES_MAX + 1]), FEED_MESSAGE_CHANGES_MAX);
        assert_eq!(fitting(&[change(2 * FEED_MESSAGE_BYTES), change(1)]), 1);
        assert_eq!(fitting(&[change(FEED_MESSAGE_BYTES - 1), change(5), change(1)]), 2);
    }
}
