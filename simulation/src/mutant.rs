//! Deliberate bugs of the product, each a `fault_point!` that is switched on at run time: they show that runs of clusters
//! would notice a real one. `command/mutants.rs` looks for a seed that does; `README.md` says which sentence of the design
//! each of them breaks.

use photondb_storage::fault;

use crate::cluster::aim::Aim;

/// A deliberate bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// What the fault point asks for.
    pub name: &'static str,
    /// What is wrong while it is on.
    pub what: &'static str,
    /// Where it is looked for first.
    pub hint: Hint,
}

/// Of which runs a bug is looked for first; what it leaves out is whatever the seed draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// What clients do.
    pub workload: Option<&'static str>,
    /// How many machines.
    pub machines: Option<usize>,
    /// What the run is brought to.
    pub aim: Option<Aim>,
    /// Points that it has besides others.
    pub points: &'static [&'static str],
    /// Whether somebody changes how tables lie.
    pub administered: bool,
    /// Whether nodes have zones and tags.
    pub arranged: bool,
}

const fn mutant(name: &'static str, workload: Option<&'static str>, what: &'static str) -> Mutant {
    Mutant {
        name,
        what,
        hint: Hint { workload, machines: None, aim: None, points: &[], administered: false, arranged: false },
    }
}

impl Mutant {
    const fn on(self, machines: usize) -> Mutant {
        Mutant { hint: Hint { machines: Some(machines), ..self.hint }, ..self }
    }

    const fn aimed(self, aim: Aim) -> Mutant {
        Mutant { hint: Hint { aim: Some(aim), ..self.hint }, ..self }
    }

    const fn administered(self) -> Mutant {
        Mutant { hint: Hint { administered: true, ..self.hint }, ..self }
    }

    const fn arranged(self) -> Mutant {
        Mutant { hint: Hint { arranged: true, ..self.hint }, ..self }
    }

    const fn with(self, points: &'static [&'static str]) -> Mutant {
        Mutant { hint: Hint { points, ..self.hint }, ..self }
    }
}

/// Every one that runs of clusters find.
pub const MUTANTS: &[Mutant] = &[
    // The log.
    mutant("moved-not-replayed", None, "recovery passes over what was moved forward").aimed(Aim::KilledOften).with(&[
        "storage/log-rolled-early",
        "storage/log-reclaimed-early",
        "storage/checkpoint-early",
    ]),
    // Consensus.
    mutant("vote-not-synced", None, "a vote is given before it is durable"),
    mutant("append-acknowledged-early", None, "entries count as durable before they are synced"),
    mutant("answer-taken-for-vote", None, "a candidate takes every answer for a vote"),
    mutant("conflict-taken-for-match", None, "a leader takes a conflict for a match"),
    mutant("leader-restored", None, "a leader that was restarted leads on without an election"),
    mutant("led-before-applied", None, "a leader serves before it has applied everything of earlier terms"),
    mutant("part-taken-at-once", None, "a restarted member votes although its last life promised not to")
        .on(5)
        .aimed(Aim::PromisesForgotten),
    mutant("lease-from-answer", None, "a lease counts from when the answer came, not from when the beat was sent")
        .aimed(Aim::AnswersLate),
    mutant("lease-too-long", None, "a lease is longer than the promise it rests on"),
    mutant("lease-kept-at-transfer", None, "a leader keeps its lease while it hands over"),
    mutant("quorum-not-asked", Some("register"), "a read index is given without asking the others"),
    mutant("purged-past-checkpoint", None, "the log is purged up to what is applied, not to what a checkpoint holds"),
    // The shard.
    mutant(
        "snapshot-switched-early",
        Some("reconfigure"),
        "a snapshot takes the shard's place with a part of its rows",
    )
    .with(&["consensus/purged-though-needed", "storage/checkpoint-early"]),
    mutant("index-not-maintained", Some("index_moves"), "an index keeps what it had when a document is replaced"),
    mutant("index-used-unbuilt", Some("index_moves"), "queries are answered by an index that is not built"),
    mutant("position-stored-late", Some("feed_replay"), "a commit stores the position of the one before"),
    mutant("change-not-logged", Some("feed_replay"), "applied changes are not in the change log"),
    mutant("chain-not-checked", Some("counter"), "after a skipped entry the ones evaluated on it go on"),
    mutant("range-not-checked", Some("register"), "a shard answers for keys that were cut off from it").administered(),
    mutant(
        "half-not-maintained",
        Some("index_moves"),
        "what is copied of an index before a split is not kept up to date",
    )
    .administered(),
    mutant("child-not-told", Some("feed_replay"), "a feed is not told of the shard that was cut off").administered(),
    mutant(
        "join-not-waited-for",
        Some("feed_replay"),
        "a feed tells what happens behind a join before it has told all of the shard that was joined",
    )
    .administered(),
    // Replicas: proposer, reads, routing, feeds, members.
    mutant("overlay-ignored", Some("counter"), "a write does not see those in flight"),
    mutant("acknowledged-when-proposed", None, "a write is acknowledged before it is committed"),
    mutant("skipped-taken-for-applied", Some("counter"), "an entry that was skipped is acknowledged"),
    mutant(
        "unknown-taken-for-nothing",
        Some("counter"),
        "a write is evaluated again when its leader is no more, though another may commit it",
    )
    .aimed(Aim::AnswersLate),
    mutant("unknown-sent-again", Some("counter"), "a request of unknown fate is sent again"),
    mutant("request-taken-twice", Some("counter"), "a request that comes twice is carried out twice"),
    mutant("read-without-lease", Some("register"), "a leader answers reads without a lease").aimed(Aim::LeadersSevered),
    mutant(
        "nothing-done-unconfirmed",
        Some("register"),
        "a write that changes nothing is answered by who leads no more",
    )
    .aimed(Aim::LeadersSevered),
    mutant("term-not-noted", Some("register"), "a read takes the state before it asks whether its member leads")
        .aimed(Aim::LeadersSevered),
    mutant("read-anywhere", Some("register"), "whoever is asked answers, whether or not it leads"),
    mutant("feed-tells-again", Some("feed_replay"), "a feed tells again what it has told")
        .on(7)
        .with(&["replica/feed-broken-off"]),
    mutant("feed-resumed-late", Some("feed_replay"), "a feed goes on one position too late"),
    mutant("token-leads-too-far", Some("feed_replay"), "a resume token leads past an entry that was not given"),
    mutant("feed-without-position", Some("feed_replay"), "a feed forgets of which position its initial content is"),
    mutant(
        "members-changed-unheard",
        Some("reconfigure"),
        "a change of members is begun though the new voters are silent",
    ),
    mutant("cut-reported-early", Some("register"), "a shard that is to be cut off begins before the other one is cut")
        .administered(),
    mutant("joined-unadopted", Some("reconfigure"), "a shard is joined before others have adopted what it has")
        .administered(),
    mutant("frozen-still-read", Some("register"), "a shard that is frozen answers readers").administered(),
    mutant("epoch-not-checked", Some("register"), "a write is applied that was evaluated before a split or a freeze")
        .administered(),
    mutant("leaving-member-dropped", Some("reconfigure"), "a member is dropped before its group is without it"),
    mutant("voter-leaves-first", Some("reconfigure"), "a voter goes before the one votes that takes its place")
        .administered(),
    mutant("nonvoting-votes", Some("register"), "a replica that is never to vote does").administered().arranged(),
    mutant("drained-leads-on", Some("register"), "a node that is to lead nothing leads on").administered(),
    mutant("repair-begins-empty", Some("register"), "a shard is begun anew without what a replica has of it")
        .arranged(),
    // The control plane.
    mutant("taken-in-unregistered", Some("register"), "a node is told its number before it is registered"),
    mutant("zone-ignored", Some("register"), "a table is placed as if all nodes were in one zone").arranged(),
    mutant("lost-not-substituted", None, "nobody takes the place of a node that is lost or is to leave")
        .on(5)
        .administered(),
    mutant("gone-before-empty", None, "a node goes that is to leave, with what it holds").on(5).administered(),
    mutant("gone-while-it-votes", None, "a node goes that still votes on the cluster state").on(5).administered(),
    mutant("older-directory-taken", None, "a directory that was set back goes on as the node it was")
        .aimed(Aim::DisksSetBack),
    mutant("call-carried-out-twice", Some("churn"), "a command that comes twice is proposed twice")
        .aimed(Aim::MessagesDoubled),
    mutant(
        "ddl-acknowledged-by-one",
        Some("churn"),
        "a change of the schema is acknowledged before every shard has it",
    ),
    mutant("state-not-confirmed", Some("churn"), "lists are answered from whatever state a node has"),
];

/// Those of storage's own that runs of clusters find too; `tests/storage` finds all.
pub const OF_STORAGE: &[&str] = &["skip-one-sync", "wrong-count", "free-too-early"];

/// All that are found.
pub fn all() -> Vec<Mutant> {
    let stored = OF_STORAGE.iter().map(|name| {
        let known = fault::MUTANTS.iter().find(|known| known.name == *name).expect("storage lists it");
        mutant(known.name, None, known.what)
    });
    MUTANTS.iter().copied().chain(stored).collect()
}

/// The one of this name.
pub fn named(name: &str) -> Option<Mutant> {
    all().into_iter().find(|mutant| mutant.name == name)
}

/// Whether this process has the bug from here on.
pub fn switch_on(name: &str) -> bool {
    fault::switch_on(name)
}
