//! One file: what is seen, what is durable, and the sectors in between.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Keep, Random};
use crate::disk::SECTOR_SIZE;

#[derive(Clone, Default)]
pub(super) struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Seen and durable may differ even when nothing is pending: a failed sync lost something.
    apart: bool,
    /// What stood in a sector before its last write, while somebody wants to read it.
    before: BTreeMap<usize, Bytes>,
}

#[derive(Clone)]
enum Change {
    Sector { offset: usize, bytes: Bytes },
    Length(usize),
}

impl Content {
    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize, remember: bool) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        let first = offset - offset % SECTOR_SIZE;
        if remember {
            self.remember(first, end);
        }
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        self.seen[offset..end].copy_from_slice(bytes);
        let last = end.next_multiple_of(SECTOR_SIZE).min(self.seen.len());
        let image = Bytes::copy_from_slice(&self.seen[first..last]);
        for sector in (first..end).step_by(SECTOR_SIZE) {
            let within = sector - first..(sector - first + SECTOR_SIZE).min(image.len());
            self.pending.push(Change::Sector { offset: sector, bytes: image.slice(within) });
        }
        self.apart = true;
    }

    fn remember(&mut self, first: usize, end: usize) {
        for sector in (first..end).step_by(SECTOR_SIZE) {
            if let Some(old) = self.seen.get(sector..sector + SECTOR_SIZE) {
                self.before.insert(sector, Bytes::copy_from_slice(old));
            }
        }
    }

    /// Puts what stood in the sector at `offset` before its last write into `buffer`, which was read from `start`.
    /// False: nothing else is remembered of any sector there.
    pub(super) fn make_stale(&self, buffer: &mut [u8], start: usize) -> bool {
        let end = start + buffer.len();
        let first = start - start % SECTOR_SIZE;
        let mut changed = false;
        for (&sector, old) in self.before.range(first..end) {
            let (from, to) = (sector.max(start), (sector + SECTOR_SIZE).min(end));
            let (old, new) = (&old[from - sector..to - sector], &mut buffer[from - start..to - start]);
            changed |= old != new;
            new.copy_from_slice(old);
        }
        changed
    }

    pub(super) fn set_len(&mut self, length: usize) {
        self.seen.resize(length, 0);
        self.pending.push(Change::Length(length));
        self.apart = true;
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.durable, None);
        }
    }

    /// A sync that fails: Linux marks the pages clean afterwards, so trying again reports success for lost bytes.
    pub(super) fn lose_pending(&mut self, random: &mut Random) {
        let keep = Keep::draw(random);
        self.pending.retain(|_| keep.decide(random));
    }

    pub(super) fn lose_power(&mut self, random: &mut Random, torn_sectors: bool) {
        if !self.pending.is_empty() {
            let keep = Keep::draw(random);
            for change in std::mem::take(&mut self.pending) {
                if keep.decide(random) {
                    let torn = torn_sectors && random.below(16) == 0;
                    change.apply(&mut self.durable, torn.then(|| random.below(SECTOR_SIZE as u64) as usize));
                }
            }
        }
        if std::mem::take(&mut self.apart) {
            self.seen.clone_from(&self.durable);
        }
    }

    /// Flips bits of one byte, in what is seen and in what is durable.
    pub(super) fn flip(&mut self, at: usize, bits: u8) -> bool {
        let mut found = false;
        for bytes in [&mut self.seen, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
                found = true;
            }
        }
        found
    }

    /// Puts bytes over others, in what is seen and in what is durable.
    pub(super) fn misplace(&mut self, from: usize, to: usize, length: usize) -> bool {
        let Some(bytes) = self.seen.get(from..from + length).map(<[u8]>::to_vec) else { return false };
        let mut found = false;
        for content in [&mut self.seen, &mut self.durable] {
            if let Some(place) = content.get_mut(to..to + length) {
                place.copy_from_slice(&bytes);
                found = true;
            }
        }
        found
    }
}

impl Change {
    fn apply(&self, durable: &mut Vec<u8>, torn_after: Option<usize>) {
        match self {
            Change::Length(length) => durable.resize(*length, 0),
            Change::Sector { offset, bytes } => {
                let kept = torn_after.unwrap_or(bytes.len()).min(bytes.len());
                if durable.len() < offset + bytes.len() {
                    durable.resize(offset + bytes.len(), 0);
                }
                durable[*offset..offset + kept].copy_from_slice(&bytes[..kept]);
            }
        }
    }
}
