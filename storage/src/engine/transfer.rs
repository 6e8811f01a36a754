//! Gives trees of one set to another: what a shard that is split does with its cut-off half, and one that is merged with
//! the whole.

use std::sync::Arc;

use super::Engine;
use crate::checkpoint::Checkpointer;
use crate::error::{Result, StorageError};
use crate::limits::MOVE_ROUNDS_MAX;
use crate::sync::MutexGuard;
use crate::transaction::{Moved, MovedMetas, Shared, Transaction, TreeId, TreeSet, TreeSetId, WriterState, pass_trees};

impl Engine {
    /// Gives trees of one set to another one, with everything in them, without reading or writing them. Each is named by
    /// its number in `from` and the one it gets in `to`. In the same commit the sets' blobs are replaced as `metas` says. It
    /// is durable with the next checkpoint, and for both sets or for neither: after a crash before that the trees are in
    /// `from`, and the caller does it again.
    ///
    /// [`Moved::NotYet`], which changes nothing: something of the trees was changed, or moved by compaction, since the last
    /// checkpoint, or that one was begun before. What a snapshot of `from` taken before can reach, `to` replaces
    /// without freeing it while the snapshot lives. The engine in memory copies all branches, and is never not yet ready.
    ///
    /// Waits for open transactions of both sets and for a checkpoint. Errors, which change nothing: `NoTreeSet`,
    /// `SameTreeSet`, `NoTree`; of the numbers in `to` those of [`Transaction::create_tree`]; `OverLimit` for a blob.
    ///
    /// [`Transaction::create_tree`]: crate::Transaction::create_tree
    pub fn move_trees(
        &self,
        from: TreeSetId,
        to: TreeSetId,
        trees: &[(TreeId, TreeId)],
        metas: MovedMetas,
    ) -> Result<Moved> {
        if from == to {
            return Err(StorageError::SameTreeSet(from));
        }
        let set = |id| self.tree_set(id).ok_or(StorageError::NoTreeSet(id));
        let (giver, taker) = (set(from)?, set(to)?);
        // Held to the end: no checkpoint has the one set without the other (T5).
        let (_checkpointer, writers) = self.lock_between_checkpoints(&giver, &taker);
        let [mut giving, taking] = writers;
        giver.shared.settle_now(&mut giving);
        let giving = Transaction::open(giver.shared, giving);
        let taking = Transaction::open(taker.shared, taking);
        // While a set's writer is here it cannot be dropped, but it may have been before.
        for transaction in [&giving, &taking] {
            if transaction.is_of_dropped_set() {
                return Err(StorageError::NoTreeSet(transaction.id()));
            }
        }
        pass_trees(giving, taking, trees, metas)
    }

    /// The same, with a checkpoint before it when there must be one, and another when something came in between.
    /// Compaction stands still meanwhile. [`Moved::NotYet`]: somebody goes on changing the trees. Errors: those of
    /// [`Engine::checkpoint`] too; then nothing has moved.
    pub fn checkpoint_and_move_trees(
        &self,
        from: TreeSetId,
        to: TreeSetId,
        trees: &[(TreeId, TreeId)],
        metas: MovedMetas,
    ) -> Result<Moved> {
        let _compaction = self.inner.compaction.lock();
        for _ in 0..MOVE_ROUNDS_MAX {
            if self.move_trees(from, to, trees, metas.clone())? == Moved::Done {
                return Ok(Moved::Done);
            }
            self.checkpoint()?;
        }
        self.move_trees(from, to, trees, metas)
    }

    /// The right to write both sets, with no checkpoint under way. Nobody is waited for by who holds something that others
    /// wait for: a thread may wait for a checkpoint with a transaction open, or for one transaction with another open.
    fn lock_between_checkpoints(
        &self,
        giver: &TreeSet,
        taker: &TreeSet,
    ) -> (MutexGuard<'_, Option<Checkpointer>>, [Box<WriterState>; 2]) {
        loop {
            let writers = wait_for_both(&giver.shared, &taker.shared);
            if let Some(checkpointer) = self.inner.checkpointer.try_lock() {
                return (checkpointer, writers);
            }
            let [giving, taking] = writers;
            giver.shared.return_writer(giving);
            taker.shared.return_writer(taking);
            let checkpointer = self.inner.checkpointer.lock();
            if let Some(writers) = try_both(&giver.shared, &taker.shared) {
                return (checkpointer, writers);
            }
        }
    }
}

fn try_both(giver: &Arc<Shared>, taker: &Arc<Shared>) -> Option<[Box<WriterState>; 2]> {
    let giving = giver.try_take_writer()?;
    match taker.try_take_writer() {
        Some(taking) => Some([giving, taking]),
        None => {
            giver.return_writer(giving);
            None
        }
    }
}

fn wait_for_both(giver: &Arc<Shared>, taker: &Arc<Shared>) -> [Box<WriterState>; 2] {
    loop {
        let giving = giver.take_writer();
        if let Some(taking) = taker.try_take_writer() {
            return [giving, taking];
        }
        giver.return_writer(giving);
        taker.return_writer(taker.take_writer());
    }
}
