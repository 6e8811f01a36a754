//! How far a snapshot has come: what was read of it and may have to be sent again is kept until the receiver says that it has it.

use std::collections::VecDeque;

use bytes::Bytes;

use super::continued_crc;
use crate::error::ApplyError;
use crate::limits::UNRECEIVED_BYTES_MAX;
use crate::replicated::SnapshotChunks;

/// A snapshot on its way to one member, over one exchange or several.
pub(super) struct Sending {
    /// Its name among all that the receiver may have parts of.
    pub(super) number: u64,
    /// `None` while it is read elsewhere.
    unread: Option<SnapshotChunks>,
    /// What was read and is not known to have arrived.
    kept: VecDeque<Kept>,
    /// How many chunks have arrived, as far as is known: those before `kept`.
    received: u64,
    /// How many of `kept` this exchange has carried already.
    sent: usize,
    /// The checksum of everything that was read.
    crc: u32,
    /// Whether the receiver says how far it has come. One of the version before does not.
    is_told: bool,
    /// Whether something was given up that may not have arrived.
    is_incomplete: bool,
}

struct Kept {
    chunk: Bytes,
    /// The checksum of all chunks before it.
    crc_before: u32,
}

impl Sending {
    pub(super) fn new(number: u64, chunks: SnapshotChunks) -> Sending {
        Sending {
            number,
            unread: Some(chunks),
            kept: VecDeque::new(),
            received: 0,
            sent: 0,
            crc: 0,
            is_told: false,
            is_incomplete: false,
        }
    }

    /// The chunks the receiver is known to have.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether another exchange can go on where this one ended.
    pub(super) fn can_go_on(&self) -> bool {
        self.is_told && !self.is_incomplete
    }

    /// Another exchange begins, whose receiver has so many chunks. Whether it lacks nothing that is not there any more.
    #[must_use]
    pub(super) fn begin(&mut self, chunks: u64) -> bool {
        self.sent = 0;
        let has_all_between = chunks >= self.received && chunks - self.received <= self.kept.len() as u64;
        if has_all_between {
            self.receive(chunks);
        }
        has_all_between
    }

    /// The receiver says that it has so many chunks.
    pub(super) fn receive(&mut self, chunks: u64) {
        self.is_told = true;
        while self.received < chunks && self.kept.pop_front().is_some() {
            self.received += 1;
            self.sent = self.sent.saturating_sub(1);
        }
    }

    /// Whether nothing more is to be read before the receiver has said more.
    pub(super) fn is_far_ahead(&self) -> bool {
        self.is_told && self.kept_bytes() >= UNRECEIVED_BYTES_MAX
    }

    fn kept_bytes(&self) -> usize {
        self.kept.iter().map(|kept| kept.chunk.len()).sum()
    }

    /// The next chunk that was read already and that this exchange has not carried, and the checksum of what is before it.
    pub(super) fn next_kept(&mut self) -> Option<(Bytes, u32)> {
        let kept = self.kept.get(self.sent)?;
        self.sent += 1;
        Some((kept.chunk.clone(), kept.crc_before))
    }

    /// The rest, to be read elsewhere and given back with [`Sending::take_in`].
    pub(super) fn unread(&mut self) -> Option<SnapshotChunks> {
        self.unread.take()
    }

    /// What was read: the next chunk, or `None` at the end. Whoever lets the future of reading go can read no more.
    pub(super) fn take_in(
        &mut self,
        rest: SnapshotChunks,
        chunk: Option<Result<Bytes, ApplyError>>,
    ) -> Result<bool, ApplyError> {
        self.unread = Some(rest);
        let Some(chunk) = chunk.transpose()? else { return Ok(false) };
        let crc_before = self.crc;
        self.crc = continued_crc(self.crc, &chunk);
        // What nobody acknowledges is not kept: a receiver of the version before takes it once.
        if !self.is_told && self.kept_bytes() >= UNRECEIVED_BYTES_MAX {
            self.received += self.kept.len() as u64;
            self.kept.clear();
            self.sent = 0;
            self.is_incomplete = true;
        }
        self.kept.push_back(Kept { chunk, crc_before });
        Ok(true)
    }

    /// The checksum of everything.
    pub(super) fn crc(&self) -> u32 {
        self.crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sending: &mut Sending) -> bool {
        let mut rest = sending.unread().expect("nobody reads");
        let chunk = rest.next();
        sending.take_in(rest, chunk).expect("is there")
    }

    fn sending(chunks: u8) -> Sending {
        Sending::new(7, Box::new((0..chunks).map(|number| Ok(Bytes::from(vec![number; 1000])))))
    }

    fn carried(sending: &mut Sending) -> Vec<u8> {
        std::iter::from_fn(|| sending.next_kept()).map(|(chunk, _)| chunk[0]).collect()
    }

    #[test]
    fn what_was_not_received_is_sent_again_from_there() {
        let mut sending = sending(5);
        assert!(sending.begin(0) && sending.can_go_on());
        while read(&mut sending) {}
        assert_eq!(carried(&mut sending), [0, 1, 2, 3, 4]);
        sending.receive(2);
        assert!(sending.begin(3), "it had one more than it could say");
        assert_eq!(sending.received(), 3);
        let (chunk, crc) = sending.next_kept().expect("two are left");
        let before = (0..3u8).fold(0, |crc, number| continued_crc(crc, &[number; 1000]));
        assert_eq!((chunk[0], crc), (3, before));
        assert_eq!(carried(&mut sending), [4]);
        assert!(!sending.begin(2), "what it said it had is not there any more");
        assert!(!sending.begin(6), "nobody can have more than was read");
    }

    #[test]
    fn nothing_is_kept_for_who_says_nothing() {
        let large = || Ok(Bytes::from(vec![1; UNRECEIVED_BYTES_MAX]));
        let mut sending = Sending::new(7, Box::new((0..3).map(move |_| large())));
        for _ in 0..3 {
            assert!(read(&mut sending) && sending.next_kept().is_some() && sending.next_kept().is_none());
            assert!(sending.kept.len() <= 1 && !sending.is_far_ahead());
        }
        assert!(!sending.can_go_on());
        sending.receive(3);
        assert!(!sending.can_go_on(), "it is too late to say so");
    }

    #[test]
    fn who_says_how_far_he_is_is_waited_for() {
        let large = || Ok(Bytes::from(vec![1; UNRECEIVED_BYTES_MAX]));
        let mut sending = Sending::new(7, Box::new((0..3).map(move |_| large())));
        assert!(sending.begin(0) && read(&mut sending) && sending.is_far_ahead());
        sending.receive(1);
        assert!(!sending.is_far_ahead());
    }
}
