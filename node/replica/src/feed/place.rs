//! Where a source of a feed is: a member of this node, or another node.

use std::sync::Arc;
use std::task::Context;

use photondb_proto::MemberId;
use photondb_shard::{Cursor, ShardError};
use tokio::sync::Notify;

use super::News;
use super::here::Here;
use super::notes::{Joined, Others};
use super::there::There;
use crate::error::ReplicaError;

/// Where a shard is listened to.
pub(super) enum Place {
    Here(Here),
    There(There),
}

impl Place {
    /// Where it stands: what was taken is before it.
    pub fn cursor(&self) -> Cursor {
        match self {
            Place::Here(here) => here.cursor(),
            Place::There(there) => there.cursor(),
        }
    }

    /// Who began the group that the cursor is of, if that took the place of another.
    pub fn rescued(&self) -> Option<MemberId> {
        match self {
            Place::Here(here) => here.rescued(),
            Place::There(there) => there.rescued(),
        }
    }

    /// The join at which it waits until the other shard has told all.
    pub fn waits_at(&self) -> Option<Joined> {
        match self {
            Place::Here(here) => here.waits_at(),
            Place::There(there) => there.waits_at(),
        }
    }

    /// Whether nobody tells its changes any more.
    pub fn is_retired(&self) -> bool {
        match self {
            Place::Here(_) => false,
            Place::There(there) => there.is_retired(),
        }
    }

    /// Takes what has come, from wherever the shard is by now.
    pub fn collect(
        &mut self,
        news: &mut News,
        others: &Others<'_>,
        arrived: &Arc<Notify>,
        cx: &mut Context<'_>,
    ) -> Result<(), ReplicaError> {
        loop {
            let next = match self {
                Place::Here(here) => match here.collect(news, others) {
                    // The member has left this node; the shard may be elsewhere.
                    Err(ReplicaError::Shard(ShardError::Gone)) => match here.elsewhere()? {
                        Some(there) => Place::There(there),
                        None => return Err(ShardError::Gone.into()),
                    },
                    collected => return collected,
                },
                Place::There(there) => match there.collect(news, others, cx)? {
                    None => return Ok(()),
                    // This node has a member now.
                    Some(replica) => Place::Here(there.here(&replica, arrived)),
                },
            };
            *self = next;
        }
    }
}
