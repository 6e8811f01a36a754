//! Writes that have been let in and are not settled.

use std::sync::Weak;

use super::Proposer;
use crate::limits::WRITES_UNDER_WAY_MAX;

/// R6: so many writes that have been let in.
pub(super) struct UnderWay {
    pub proposer: Weak<Proposer>,
    pub keys: usize,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Some(proposer) = self.proposer.upgrade() else { return };
        let mut inner = proposer.inner.lock();
        let was_full = inner.under_way >= WRITES_UNDER_WAY_MAX;
        inner.under_way -= self.keys;
        let has_room = was_full && inner.under_way < WRITES_UNDER_WAY_MAX;
        drop(inner);
        if has_room {
            proposer.settled.notify_waiters();
        }
    }
}
