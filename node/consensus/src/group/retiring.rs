//! Ending a member that others can do without: it lets another lead before it goes, and does not come back meanwhile.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use openraft::AsyncRuntime;
use photondb_proto::MemberId;
use photondb_runtime::clock::Moment;

use super::Group;
use crate::limits::{
    ELECTION_TIMEOUT_MAX, HANDED_OVER_LOOK_PERIOD, HANDED_OVER_WAIT, OTHERS_LOOK_PERIOD, OTHERS_WAIT, PRESENCE_WAIT,
};
use crate::network::Presence;
use crate::observation::Role;
use crate::runtime::Runtime;

/// Who is to lead in a member's place, as its owner sees it at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Successor {
    /// This voter, which can at once.
    Is(MemberId),
    /// Somebody who may be able to in a moment.
    NotYet,
    /// Nobody.
    Nobody,
}

impl Group {
    /// The member is about to be stopped. It goes on following and voting, and may still be elected, or a group in which nobody else
    /// has all that is committed would be without a leader; but it stands for election so much later than others that one of them is
    /// elected where one can be. What it leads it goes on leading: see [`hand_over`](Self::hand_over).
    pub fn retire(&self) {
        self.inner.retiring.store(true, Ordering::Release);
        // openraft's own timer knows of no patience: from here on the member stands by `supervise::campaign` alone.
        self.inner.raft.runtime_config().elect(false);
    }

    pub(crate) fn is_retiring(&self) -> bool {
        self.inner.retiring.load(Ordering::Acquire)
    }

    /// Waits for others that were started a moment ago, while the group would have no majority without this voter; then lets whom
    /// `choose` names lead, if this member leads; asks again while that is nobody yet, and when this member is elected again.
    /// Returns when another leads, or when `choose` says that nobody can, or when whom this member let lead does not, as one that died just
    /// then; gives whether this member leads no more. The caller limits how long that may take.
    pub async fn hand_over<F: Future<Output = Successor>>(&self, mut choose: impl FnMut() -> F) -> bool {
        let missed = async {
            let last = || self.observe().last.map_or(0, |last| last.index);
            let mut before = last();
            while self.is_missed(before).await {
                before = last();
                Runtime::sleep(OTHERS_LOOK_PERIOD).await;
            }
        };
        // Who is slower than that may be for ever.
        let spared = self.inner.within(OTHERS_WAIT, missed).await;
        photondb_storage::probe!("member that is about to stop waited in vain for others", spared.is_none());
        let mut handed = None;
        loop {
            if self.is_stopping() {
                return true;
            }
            if self.led().is_some() {
                match choose().await {
                    Successor::Is(to) => {
                        handed = Some(self.inner.leadership.now());
                        if let Err(error) = self.transfer_leadership(to).await {
                            tracing::debug!(group = %self.id(), %to, %error, "another could not be let lead yet");
                        }
                    }
                    Successor::NotYet => {}
                    Successor::Nobody => return false,
                }
            } else if self.is_led_elsewhere() || self.is_done_with(handed) {
                return true;
            }
            // Between a handing over and what the next leader says nobody is known to lead; and who was just elected leads in a moment.
            Runtime::sleep(HANDED_OVER_LOOK_PERIOD).await;
        }
    }

    /// Whether the group would have no majority without this member, and will have one in a moment: some who vote are about to take part,
    /// as after a start (C10), or have no log up to index `enough` yet.
    async fn is_missed(&self, enough: u64) -> bool {
        let seen = self.observe();
        if !seen.members.all_voters().contains(&self.member()) {
            // A majority is what it was.
            return false;
        }
        let others = seen.members.all_voters().into_iter().filter(|voter| *voter != self.member());
        let asked = others.filter_map(|voter| Some((voter, *seen.members.nodes.get(&voter)?)));
        let asking = asked
            .map(|(voter, node)| async move { (voter, self.inner.network.presence(voter, node, PRESENCE_WAIT).await) });
        let said: BTreeMap<MemberId, Presence> = join_all(asking).await.into_iter().collect();
        let is_ready = |voter: &MemberId| matches!(said.get(voter), Some(Presence::Here(last)) if *last >= enough);
        let mut sets = seen.members.voters.iter();
        let has_majority = sets.all(|set| set.iter().filter(|voter| is_ready(voter)).count() * 2 > set.len());
        let is_missed =
            !has_majority && said.iter().any(|(voter, said)| *said != Presence::Unknown && !is_ready(voter));
        photondb_storage::probe!("member that is about to stop waits for one that was started", is_missed);
        is_missed
    }

    /// Whether nothing more comes of what was handed over then, if anything was; nobody is known to lead.
    fn is_done_with(&self, handed: Option<Moment>) -> bool {
        match handed {
            Some(at) => self.inner.leadership.now().since(at) >= HANDED_OVER_WAIT,
            None => self.observe().role != Role::Leader,
        }
    }

    /// Whether `member` has answered within an election timeout: one that does not [hear](Self::hears) may do so again in a moment, as on
    /// a machine that is busy.
    pub fn has_heard(&self, member: MemberId) -> bool {
        self.inner.is_heard_of(member, ELECTION_TIMEOUT_MAX)
    }

    fn is_led_elsewhere(&self) -> bool {
        self.leader().is_some_and(|(leader, _)| leader != self.member())
    }
}
