//! A shard that goes on in another group, because its own one has lost its majority for good (S13).

use std::ops::Bound;

use bytes::Bytes;
use photondb_proto::{Epoch, KeyRange, ShardId};
use photondb_reql::eval::Cx;
use photondb_storage::{Direction, KeyRange as KeyBounds};

use super::state::State;
use super::{Entry, Shard, Work, trees};
use crate::change_log;
use crate::command::Split;
use crate::error::ShardError;

/// What becomes of a freeze that the replica had applied (S14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freeze {
    /// It is given up, as is every attempt up to this one.
    Lifted(u32),
    /// There is no way back from it: the shard stays as frozen, or hollow, as it was.
    Stays,
}

/// Of what is given up at once: no shard has this number.
const NOBODY: ShardId = ShardId(0);

impl Shard {
    /// Makes what is applied here the beginning of another group, whose bytes of consensus are `consensus`: in one transaction, and
    /// nothing when it is that already. Afterwards the shard has `epoch` at least, one more than its old group should have had, and
    /// the keys of `range` alone. A cut that the cluster state has and that was not applied here is made up for: what lies behind it
    /// is another shard's and is dropped; so is a join: what was adopted here comes in. Of the change log nothing is kept: who stood
    /// somewhere in it must begin anew. Where a freeze stays, the epoch stays what it is: nothing is evaluated under it.
    ///
    /// Errors: [`ShardError::Hollow`] when a freeze is lifted and what the shard had is another one's.
    pub fn take_over(
        &self,
        range: &KeyRange,
        epoch: Epoch,
        freeze: Freeze,
        consensus: Bytes,
    ) -> Result<(), ShardError> {
        let mut state = self.state.lock();
        if state.consensus == consensus {
            return Ok(());
        }
        let mut work = Work {
            transaction: self.set.begin(),
            state: state.clone(),
            published: Vec::new(),
            cx: Cx::pure(),
            scratch: Vec::new(),
        };
        let before = state.epoch;
        let stays = work.state.frozen.is_some() && freeze == Freeze::Stays;
        if let Freeze::Lifted(attempt) = freeze {
            work.thaw(attempt)?;
        }
        if before.0 + 1 < epoch.0 {
            photondb_storage::probe!("shard that goes on in another group had not applied a cut");
            work.drop_what_lies_behind(range)?;
            work.take_in_what_lies_within(range)?;
        }
        work.state.epoch = if stays { before } else { Epoch(epoch.0.max(before.0 + 1)) };
        if before == epoch {
            // The last cut is applied here, and nobody has reported it: what was cut off begins under the epoch that follows.
            photondb_storage::probe!("shard that goes on in another group had applied a cut that was not reported");
            for child in &mut work.state.children {
                let begins = State::decode(&child.state)?;
                if begins.epoch == before {
                    child.state = State { epoch: work.state.epoch, ..begins }.encode();
                }
            }
        }
        let told = work.state.told();
        work.state.log = change_log::empty(&mut work.transaction, told.0)?;
        work.state.consensus = consensus;
        let Work { mut transaction, state: next, .. } = work;
        transaction.set_meta(next.encode())?;
        transaction.commit()?;
        *state = next;
        self.view.store(state.view().into());
        Ok(())
    }
}

impl Work {
    /// A join that the state has: its keys are the shard's, whether what they had is here or lost.
    fn take_in_what_lies_within(&mut self, range: &KeyRange) -> Result<(), ShardError> {
        for number in (0..self.state.wards.len()).rev() {
            let documents = trees::of_child(self.state.wards[number].slot, trees::PRIMARY);
            let first = self.transaction.cursor(documents, KeyBounds::all(), Direction::Forward)?.next()?;
            if first.is_some_and(|(key, _)| range.contains(&key)) {
                photondb_storage::probe!("shard that goes on in another group had not applied a join");
                self.state.tell_behind(self.state.wards[number].told);
                self.take_in(number)?;
            }
        }
        if self.state.range.as_ref().is_some_and(|own| !own.covers(range)) {
            self.state.range = Some(range.clone());
        }
        Ok(())
    }

    /// Whether no cut at `end` was begun here, nor has an effect.
    fn has_nothing_from(&self, end: &Bytes) -> Result<bool, ShardError> {
        let behind = KeyBounds { start: Bound::Included(end.clone()), ..KeyBounds::all() };
        let document = self.transaction.cursor(trees::PRIMARY, behind, Direction::Forward)?.next()?;
        let is_cut = self.state.schema.indexes.values().any(|index| index.halves.is_some());
        Ok(document.is_none() && !is_cut)
    }

    fn drop_what_lies_behind(&mut self, range: &KeyRange) -> Result<(), ShardError> {
        let Some(end) = range.end().map(Bytes::copy_from_slice) else { return Ok(()) };
        let Some(whole) = self.state.range.clone().or_else(|| KeyRange::new(range.start().to_vec(), None)) else {
            return Ok(());
        };
        if self.has_nothing_from(&end)? {
            // Its epoch is behind for another reason, and its indexes are whole.
            self.state.range = Some(range.clone());
            return Ok(());
        }
        let at = Entry { position: self.state.applied, term: self.state.term, command: None };
        let split = Split { epoch: self.state.epoch, range: whole, at: end, child: NOBODY };
        self.split(&at, &split)?;
        let Some(number) = self.state.children.iter().position(|child| child.shard == NOBODY) else { return Ok(()) };
        let slot = self.state.children.remove(number).slot;
        trees::drop_slot(&mut self.transaction, slot)
    }
}
