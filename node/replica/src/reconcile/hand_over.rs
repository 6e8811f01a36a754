//! A node that is about to stop lets others lead what it leads, so that nobody has to miss a leader first.
//!
//! Nothing of this is said to the cluster state: it may have no majority, and a node that is killed in the middle of its stop leaves
//! nothing behind that somebody would have to take back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use photondb_consensus::{Members, Successor};
use photondb_proto::{MemberId, NodeId};
use photondb_runtime::task;

use super::Replicas;
use crate::error::ReplicaError;
use crate::limits::LOOK_PERIOD_BUSY;
use crate::replica::Replica;
use crate::status::MemberStatus;

impl Replicas {
    /// The node is about to stop: its members lead nothing any more that another can lead at once, whoever else would have them lead.
    /// Returns when others lead, or nobody can; gives how many shards are led here still. Waits for members that lag, for ever if they do:
    /// the caller limits it. Dropped before it is done, the members go on with it by themselves.
    pub async fn lead_nothing(self: &Arc<Self>) -> usize {
        self.stopping.store(true, Ordering::Release);
        let members: Vec<Arc<Replica>> =
            self.tables().values().flat_map(|table| table.shards().iter().cloned()).collect();
        let handing = members.into_iter().map(|replica| async move {
            replica.group.retire();
            let led = replica.group.led().is_some();
            let handed = replica.group.hand_over(|| self.next_successor(&replica)).await;
            photondb_storage::probe!("leadership given away because the node stops", led && handed);
            handed
        });
        join_all(handing).await.into_iter().filter(|handed| !handed).count()
    }

    /// Whether the node is about to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// One look of a leader whose node is about to stop: it was elected since, or nobody could lead in its place when it was asked.
    pub(super) async fn lead_before_stop(&self, replica: &Arc<Replica>) -> Result<(), ReplicaError> {
        if let Successor::Is(to) = self.successor(replica).await {
            replica.group.transfer_leadership(to).await?;
        }
        Ok(())
    }

    /// The first of these members whose node does not say that it is about to stop: one that is would let another lead in its turn, this
    /// one perhaps.
    pub(super) async fn who_goes_on(
        &self,
        replica: &Replica,
        members: &Members,
        of: Vec<MemberId>,
    ) -> Option<MemberId> {
        for member in of {
            let Some(node) = members.nodes.get(&member) else { continue };
            if !self.status_at(*node, replica, member).await.is_some_and(|told| told.stopping) {
                return Some(member);
            }
        }
        None
    }

    /// The same as [`successor`](Self::successor), for who asks at once again while it is nobody yet: other nodes are not to be asked as often.
    async fn next_successor(&self, replica: &Arc<Replica>) -> Successor {
        let successor = self.successor(replica).await;
        if successor == Successor::NotYet {
            task::sleep(LOOK_PERIOD_BUSY).await;
        }
        successor
    }

    /// Who is to lead in place of this node's member, which is about to stop: of those who can at once and whose nodes go on, one where it
    /// may lead, then one whose disk has space, then in the order of the places. Nodes that take longer to answer than a moment are waited
    /// for only while that is nobody.
    async fn successor(&self, replica: &Arc<Replica>) -> Successor {
        let (state, members) = (self.state(), replica.group.membership());
        let others = members.all_voters().into_iter().filter(|voter| *voter != replica.member);
        let heard: Vec<_> = others.filter(|voter| replica.group.has_heard(*voter)).collect();
        let placement = state.shard(replica.id).map(|(_, shard)| &shard.placement.voters);
        let place = |node: NodeId| placement.and_then(|nodes| nodes.iter().position(|placed| *placed == node));
        let rank = |(node, told): &(NodeId, MemberStatus)| {
            let is_able = !told.stopping && self.may_take_over(replica, told.member);
            let is_open = state.node(*node).is_some_and(|node| node.is_open());
            is_able.then(|| (!is_open, told.full, place(*node).unwrap_or(usize::MAX), told.member))
        };
        let nodes = heard.iter().filter_map(|voter| Some((*voter, *members.nodes.get(voter)?)));
        let mut asking: FuturesUnordered<_> = nodes
            .map(|(voter, node)| async move { Some((node, self.status_at(node, replica, voter).await?)) })
            .collect();
        let mut said = Vec::new();
        loop {
            let all_have_answered = match task::timeout(LOOK_PERIOD_BUSY, asking.next()).await {
                Ok(Some(told)) => {
                    said.extend(told);
                    continue;
                }
                Ok(None) => true,
                Err(_) => false,
            };
            if let Some((.., to)) = said.iter().filter_map(&rank).min() {
                return Successor::Is(to);
            }
            if all_have_answered {
                let stopping = said.iter().filter(|(_, told)| told.stopping).count();
                return if stopping == heard.len() { Successor::Nobody } else { Successor::NotYet };
            }
        }
    }
}
