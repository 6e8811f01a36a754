//! Transitions of a cluster at which faults are worth the most: where things go wrong is on the way from one state to
//! another.

use std::collections::BTreeMap;

use crate::client::NodeIndex;
use crate::observation::{GroupId, Index, MemberId, Observation, Role};

/// Something that happens at a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// Another member leads from now on: at its machine.
    LeaderChanges,
    /// A member stands for election.
    ElectionBegins,
    /// A log is purged behind a checkpoint.
    LogPurged,
    /// A snapshot takes the place of a member's state.
    SnapshotInstalled,
    /// A membership is joint: at the machine of whoever hears of it first.
    MembershipJoint,
    /// The last step of a change of members.
    MembershipChanged,
    /// The end of a log is cut off.
    LogTruncated,
    /// A process has begun to start its groups.
    NodeStarts,
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 8] = [
        Event::LeaderChanges,
        Event::ElectionBegins,
        Event::LogPurged,
        Event::SnapshotInstalled,
        Event::MembershipJoint,
        Event::MembershipChanged,
        Event::LogTruncated,
        Event::NodeStarts,
    ];
}

/// A member as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    boot: u64,
    role: Role,
    last: Option<Index>,
    purged: Option<Index>,
    sets: usize,
}

/// Tells what happens from what changes.
#[derive(Debug, Default)]
pub struct Events {
    members: BTreeMap<(GroupId, MemberId), Known>,
}

impl Events {
    /// What the member's change means.
    pub fn look(&mut self, seen: &Observation) -> Vec<(Event, NodeIndex)> {
        let now = Known {
            boot: seen.boot.0,
            role: seen.role,
            last: seen.last.map(|(_, index)| index),
            purged: seen.purged,
            sets: seen.voters.len(),
        };
        let before = self.members.insert((seen.group, seen.member), now);
        let Some(before) = before.filter(|before| before.boot == now.boot) else {
            return vec![(Event::NodeStarts, seen.node)];
        };
        let became = |role: Role| now.role == role && before.role != role;
        let events = [
            (Event::LeaderChanges, became(Role::Leader)),
            (Event::ElectionBegins, became(Role::Candidate)),
            (Event::LogPurged, now.purged > before.purged && now.purged <= before.last),
            (Event::SnapshotInstalled, now.purged > before.purged && now.purged > before.last),
            (Event::MembershipJoint, now.sets > 1 && before.sets <= 1),
            (Event::MembershipChanged, now.sets <= 1 && before.sets > 1),
            (Event::LogTruncated, seen.truncated_from.is_some()),
        ];
        events.into_iter().filter(|(_, happens)| *happens).map(|(event, _)| (event, seen.node)).collect()
    }
}
