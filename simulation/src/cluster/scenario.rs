//! Runs of clusters with a name: every seed that ever failed, under what it showed, mostly of the product.
//!
//! A seed means a run only together with the code that draws from it. Where a change of the simulator makes it mean another
//! one, the claim is also held by a test beside the code that was wrong, which the scenario names.

use std::time::Duration;

use crate::buggify;
use crate::command::Length;

/// A run that failed once.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it showed; also its name on the command line.
    pub name: &'static str,
    /// The seed.
    pub seed: u64,
    /// The load.
    pub workload: &'static str,
    /// How many machines; `None`: as many as the seed draws.
    pub machines: Option<usize>,
    /// How long the load was, in virtual seconds.
    pub seconds: u64,
    /// Whether somebody changes how tables lie.
    pub administered: bool,
    /// Whether nodes have zones and tags.
    pub arranged: bool,
    /// Whether nodes that are silent are given up soon.
    pub impatient: bool,
    /// Which points of the product strike, by name; `None`: those that the seed draws.
    pub points: Option<&'static [&'static str]>,
    /// What was wrong.
    pub story: &'static str,
}

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "a-node-is-taken-in-before-the-founder-is-registered",
        seed: 8018,
        workload: "churn",
        machines: Some(3),
        seconds: 2,
        administered: false,
        arranged: false,
        impatient: false,
        points: Some(&["controller/proposed-at-second-try"]),
        story: "Between the founding of a cluster and the registration of who founds it, another node asked to be taken in. The \
            first node that is registered gets the founder's member of the state's group, so that two nodes ran the same \
            member. The founder now takes nobody in before it is registered itself. Held too by \
            `nodes_form_one_cluster` of the controller.",
    },
    Scenario {
        name: "a-table-whose-member-is-not-started-here-is-said-to-be-missing",
        seed: 8088,
        workload: "churn",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "A node had just applied that there is a table, and had not started its member yet. The table was ready at the other \
            nodes, so the query waited for nothing, found no member here and said that the table does not exist. A query now \
            asks whoever has the shard, as for a table of which this node has no member.",
    },
    Scenario {
        name: "a-start-asks-one-node-after-the-other",
        seed: 20112,
        workload: "bank",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "One node of three was gone for good and another one started again. It asked the others one after the other, five \
            seconds for each that does not answer, and counted only its pauses as patience: nobody served for twelve seconds. \
            It asks all of them at once now.",
    },
    Scenario {
        name: "damage-met-while-a-log-is-applied-again",
        seed: 20324,
        workload: "counter",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "A member met a damaged page while it re-applied its log. The core that ended of it said so in words of its own, so \
            the member was tried again for ever instead of being replaced. Held too by \
            `a_member_that_meets_a_damaged_page_is_replaced_and_the_node_goes_on` of the replica.",
    },
    Scenario {
        name: "a-write-overtakes-another-of-its-document",
        seed: 20370,
        workload: "random_reql",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "An entry had no room for a write and took the next one, of the same document. Then: a leader that lets another lead \
            refuses proposals before it says so, and a write was evaluated 32 times in one moment and given up. Held too by \
            `a_small_write_does_not_overtake_a_large_one_of_its_document` of the replica.",
    },
    Scenario {
        name: "an-idle-connection-to-a-dead-machine",
        seed: 8095,
        workload: "random_reql",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "A machine lost its power. Idle connections to it were found dead by the request that needed them, whose answer was \
            then lost or late, one connection after the other. Then: a node whose log may lack streams was given a new member \
            of the cluster state's group, which that log doubted, at each start again. Held too by \
            `a_member_that_the_damaged_log_does_not_know_is_not_taken_for_a_new_one` of consensus.",
    },
    Scenario {
        name: "a-member-after-another-begins-with-nothing",
        seed: 20144,
        workload: "register",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "A node was given another member of the cluster state's group without a restart: its disk had forgotten the state, \
            its memory had not, and the log was applied on top of it. Held too by \
            `a_member_after_another_begins_with_nothing` of the controller.",
    },
    Scenario {
        name: "a-full-log-that-nobody-looks-at-again",
        seed: 8074,
        workload: "reconfigure",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "A disk was full, and had space again. The log's thread was at rest, and what was refused did not wake it: writes were \
            refused until the next checkpoint, half a minute later. Held too by \
            `a_log_at_rest_that_refuses_writes_notices_that_there_is_space` of storage.",
    },
    Scenario {
        name: "members-are-changed-while-half-of-the-new-ones-are-dead",
        seed: 40599,
        workload: "reconfigure",
        machines: None,
        seconds: 6,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "Two replicas were wanted of three, and one of the two was on a disk that had just been wiped. The group \
            entered the joint membership, which needs a majority of those two to commit anything, and took no write for \
            ever. A change whose new voters are silent is not begun now, a vote that is there is not taken while another is \
            missed, and one that was to go stays when another is lost. Held too by \
            `a_change_is_not_begun_while_the_new_voters_are_silent` of consensus and \
            `members_become_what_is_wanted_once_nodes_stay` of the cluster state.",
    },
    Scenario {
        name: "a-deposed-leader-says-that-there-is-nothing-to-do",
        seed: 50574,
        workload: "random_reql",
        machines: None,
        seconds: 6,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "A document was inserted, and acknowledged, by a new leader. Its deletion reached the old one, which did not know of its \
            successor, saw no document, and answered that there was nothing to delete: a write without an effect was not confirmed \
            as a read is. Held too by `a_write_that_changes_nothing_is_answered_by_who_leads` of the replica.",
    },
    Scenario {
        name: "a-checkpoint-that-somebody-else-made-and-failed",
        seed: 50504,
        workload: "feed_replay",
        machines: None,
        seconds: 6,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "A checkpoint beside those of the page writer, as one after a snapshot is installed, found no space. Writes were refused \
            because of it, and the page writer did not know that there was something to try again: they were refused until the \
            next checkpoint was due, up to a minute after there was space. Held too by \
            `a_checkpoint_that_failed_is_due_whoever_made_it` of storage.",
    },
    Scenario {
        name: "a-table-is-made-on-disks-that-are-lost-and-not-missed",
        seed: 20110,
        workload: "counter",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "The simulator's: two of three disks were wiped while only the third voted on the cluster state, which bears that; then a \
            table was made on all three, before the two were missed. The ward spares disks while one that is lost is not missed.",
    },
    Scenario {
        name: "a-member-is-given-to-a-node-that-is-lost",
        seed: 41405,
        workload: "random_reql",
        machines: None,
        seconds: 6,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "The simulator's: a node that had lost its disk, and was not missed yet, was given a member of a new table, which did not \
            count as lost when another of its disks went.",
    },
    Scenario {
        name: "a-slow-disk-is-slow-after-it-was-healed",
        seed: 40259,
        workload: "churn",
        machines: None,
        seconds: 6,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "The simulator's: a node was started while its disk was five hundred times slower, and what that had cost was waited for \
            after the disk was well again: nobody answered for twenty seconds.",
    },
    Scenario {
        name: "what-others-committed-is-applied-before-the-log-refuses-it",
        seed: 40928,
        workload: "reconfigure",
        machines: None,
        seconds: 6,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "The simulator's: a follower applied an entry that others had committed, then its own log, out of space, refused it and the \
            core ended: its log is shorter than what it has applied, which the checker took for a loss.",
    },
    Scenario {
        name: "a-founder-loses-its-disk-before-anybody-votes",
        seed: 51611,
        workload: "counter",
        machines: None,
        seconds: 6,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "The simulator's: the disk of who was founding a cluster was wiped when its vote was not known to the ward. Nobody had \
            been taken in: there was no cluster any more.",
    },
    Scenario {
        name: "a-shard-that-was-borne-is-cut-off-again-by-who-comes-later",
        seed: 80085,
        workload: "bank",
        machines: None,
        seconds: 15,
        administered: true,
        arranged: false,
        impatient: false,
        points: None,
        story: "The log of a member was damaged, behind the cut of a shard that its node had borne already. The member that took its place \
            was sent the log, applied the same cut, and kept for ever what nobody was to bear. The next cut of the shard waited for \
            that: it came never.",
    },
    Scenario {
        name: "a-shard-without-a-majority-keeps-its-node-from-obeying",
        seed: 60019,
        workload: "churn",
        machines: None,
        seconds: 10,
        administered: true,
        arranged: false,
        impatient: false,
        points: None,
        story: "A leader proposed a change of schema while the table was being dropped, and the other members had gone. It could never be \
            decided, and the node waited for it before it obeyed anything else: it kept what it was to drop, and started nothing, for ever. \
            The same befell every table of a node that led one shard whose majority was lost. Held too by \
            `a_shard_without_a_majority_keeps_nothing_else_waiting` of the replica crate.",
    },
    Scenario {
        name: "a-round-of-compaction-that-moves-nothing",
        seed: 4_101_771_389,
        workload: "churn",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "A round of compaction found nothing to move, and waited for two checkpoints with something to write. Nothing was \
            written any more, so that checkpoints were due for ever: the page writer made them without a pause, a core of the machine \
            until the next write. Held too by `a_round_that_moved_nothing_asks_for_no_checkpoints_that_have_nothing_to_write` of \
            storage.",
    },
    Scenario {
        name: "nobody-leads-for-long-enough-to-miss-a-node",
        seed: 100_122,
        workload: "bank",
        machines: None,
        seconds: 10,
        administered: true,
        arranged: false,
        impatient: false,
        points: None,
        story: "The simulator's: who leads the cluster state gave that away every three seconds, for ever, so that a wiped node was \
            not missed, and the first table waited for its replica. What strikes often rests now when there is no table after 45 \
            seconds.",
    },
    Scenario {
        name: "an-index-is-read-slowly-while-documents-move",
        seed: 100_720,
        workload: "index_moves",
        machines: None,
        seconds: 10,
        administered: true,
        arranged: false,
        impatient: false,
        points: None,
        story: "The simulator's: a read of a whole index waited for a leader, so that its rows were asked for by fewer at a time, and \
            of one shard in two batches. A document moved from behind the one to before it in between. Each batch has a snapshot of \
            its own; what is to be of one snapshot is now read at once.",
    },
    Scenario {
        name: "two-leaders-in-turns",
        seed: 101_098,
        workload: "register",
        machines: None,
        seconds: 10,
        administered: true,
        arranged: false,
        impatient: false,
        points: None,
        story: "Of seven nodes one was drained, then another left: of six five vote. Who led and was to vote no more let the drained \
            one lead, which let it lead again, as another that votes: twice a second, for ever, and nobody changed who votes. Held \
            too by `who_votes_no_more_does_not_lead_in_turns_with_who_is_to_lead_nothing` of the controller.",
    },
    Scenario {
        name: "a-table-is-made-where-only-a-lost-disk-is-open",
        seed: 3_129_040_660,
        workload: "random_reql",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "The simulator's: two of three nodes were drained, the third lost its disk, and before that was noticed a table was \
            made, whose only replica went there. Where disks are lost three nodes stay open now.",
    },
    Scenario {
        name: "a-number-that-was-never-committed-is-given-again",
        seed: 101_777,
        workload: "churn",
        machines: None,
        seconds: 10,
        administered: true,
        arranged: false,
        impatient: false,
        points: None,
        story: "The simulator's: an entry of the cluster state that never came to a majority gave a member to a node, whose disk was lost. \
            Another node's member got its number later, and was taken for lost.",
    },
    Scenario {
        name: "what-others-committed-is-applied-before-it-is-synced",
        seed: 102_209,
        workload: "churn",
        machines: None,
        seconds: 10,
        administered: true,
        arranged: false,
        impatient: false,
        points: None,
        story: "A follower applied entries that others had committed while its own log was still being synced; openraft's measure of what is \
            committed waits for that, so that status documents, and the checkers, had more applied than committed.",
    },
    Scenario {
        name: "a-disk-is-set-back-whose-last-life-hardly-anybody-knows",
        seed: 2_676_240_392,
        workload: "counter",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "The simulator's: a disk was set back whose node's last life was known to one other, which then slept. The third lagged, and the \
            two took each other for what there is, as they must when everybody has restarted. Disks are set back now only where those who do \
            not know their last life are no majority with them.",
    },
    Scenario {
        name: "who-cannot-apply-a-join-is-to-vote",
        seed: 540091,
        workload: "unique_inserts",
        machines: None,
        seconds: 10,
        administered: true,
        arranged: false,
        impatient: false,
        points: None,
        story: "The disk of a node was full, and the node away: shards were joined without it. It came back, had the join in its log, and a change \
            to two voters was begun, of which it was one. Then it came to the join and could not apply it, and the change could not be \
            decided any more. Now a majority of those who are to vote must have applied the join first.",
    },
    Scenario {
        name: "a-node-given-up-hears-of-no-leader",
        seed: 3118995006,
        workload: "index_moves",
        machines: None,
        seconds: 15,
        administered: true,
        arranged: false,
        impatient: true,
        points: None,
        story: "A node was given up while it was away, and its member taken out of the cluster state's group. When it came back nobody \
            told it who leads, so it told nobody that it lives, and who is not heard is not taken in again. Now it tells everybody.",
    },
    Scenario {
        name: "a-node-given-up-takes-a-former-leader-for-the-leader",
        seed: 2971466777,
        workload: "counter",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: true,
        points: None,
        story: "As a-node-given-up-hears-of-no-leader, but the last leader that it had heard of still ran, and led no more: it told \
            that one for ever that it lives. Who does not lead says so now.",
    },
    Scenario {
        name: "a-node-given-up-before-its-registration-came-to-it",
        seed: 3118995051,
        workload: "reconfigure",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: true,
        impatient: true,
        points: None,
        story: "A node was registered and given another member of the state's group, and was given up before the state had come to it. \
            Nobody sent it the rest, for which it waited. It now registers once more.",
    },
    Scenario {
        name: "a-limit-feed-shows-a-document-twice",
        seed: 3118994882,
        workload: "feed_replay",
        machines: None,
        seconds: 15,
        administered: true,
        arranged: true,
        impatient: true,
        points: None,
        story: "The first look of an ordered limit took several reads, and a document that moved between two of them was in both: the feed \
            held it twice. What was found already is counted once.",
    },
];

/// Those on madsim, where a seed is another run.
pub const ON_MADSIM: &[Scenario] = &[
    Scenario {
        name: "a-log-is-purged-behind-a-snapshot-that-nobody-has-heard-of",
        seed: 8008,
        workload: "list_append",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "openraft had installed a snapshot, purged the log behind it, and waited for a vote to be synced before it told what is \
            applied: more looked purged than applied, in the checkers and in status documents. Held too by \
            `a_snapshot_that_is_installed_counts_before_openraft_tells_of_it` of consensus.",
    },
    Scenario {
        name: "two-of-three-disks-are-lost-before-their-members-begin",
        seed: 20049,
        workload: "unique_inserts",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "A table was made on a node whose disk had been wiped and that nobody missed yet, then a second of its nodes was wiped. \
            That is more than a table bears, and the ward, which knew only members that had begun, let it happen. 20110 and 20373 \
            were the same.",
    },
    Scenario {
        name: "a-failed-call-waits-until-everything-is-healed",
        seed: 20147,
        workload: "unique_inserts",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "A call to a disk that was to fail was not made before everything was healed, and failed then: a shard took its first \
            write too late.",
    },
    Scenario {
        name: "members-are-changed-while-a-new-one-is-dead",
        seed: 20216,
        workload: "reconfigure",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "As `members-are-changed-while-half-of-the-new-ones-are-dead`: two replicas were wanted of three, and one of the two had \
            just lost its disk.",
    },
    Scenario {
        name: "voters-to-which-nothing-has-come-yet-do-not-vouch",
        seed: 21105,
        workload: "random_reql",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "Two of five nodes were given votes on the cluster state while they were down, and had the first entry of its log. The \
            founder's disk was wiped, the other two started again and asked whether their directories are the newest. Those with \
            one entry said that there is no cluster: all waited for ever. Held too by \
            `a_voter_to_which_nothing_has_come_yet_vouches_too` of the controller.",
    },
    Scenario {
        name: "a-voter-of-a-dropped-table-goes-between-two-looks",
        seed: 20168,
        workload: "churn",
        machines: None,
        seconds: 15,
        administered: false,
        arranged: false,
        impatient: false,
        points: None,
        story: "A voter took an entry, answered for it, and was erased with its table before it was looked at again; the leader, which had \
            not heard of the drop, took the entry for committed, and the checker knew of one log that has it. Members that have gone \
            are now asked what ended their logs. Held too by `a_quorum_may_rest_on_the_last_entry_of_a_member_that_has_gone`.",
    },
    Scenario {
        name: "who-asks-whether-replicas-are-equal-keeps-a-disk-busy",
        seed: 2_013_026_723,
        workload: "list_append",
        machines: None,
        seconds: 15,
        administered: true,
        arranged: false,
        impatient: false,
        points: None,
        story: "Once everything was healed the replicas of some groups were read every 20 ms to see whether they were equal, while others \
            had not applied everything yet. Where what is read is kept only for a moment and a read takes long, that was more than the \
            disk could give: its node's log was not written for half a minute. Nothing is read now before all have applied the same.",
    },
];

/// A run that failed once and cannot be had any more, because what drew it is gone: what it showed is held by a test.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// What it showed.
    pub name: &'static str,
    /// What was wrong.
    pub story: &'static str,
    /// The file of the test, from the top of the tree.
    pub file: &'static str,
    /// The test.
    pub test: &'static str,
}

/// All of them.
pub const CLAIMS: &[Claim] = &[
    Claim {
        name: "ready_index_after_crash",
        story: "After a crash the entry that declares an index ready was applied again from the log, but what had been built \
                since the last checkpoint was lost: queries read an index with holes until it was built again. Seeds 27 and 53 \
                of the runs of one node, the second with an index on an element of an array.",
        file: "node/shard/tests/a_shard_follows_its_log.rs",
        test: "an_index_whose_building_a_crash_took_back_is_not_read_before_it_is_built_again",
    },
    Claim {
        name: "request_half_done_on_a_full_disk",
        story: "Three writes of one request: the first was applied, the second refused for lack of space, and the client was \
                told of the whole request that nothing was written. Seed 131 of the runs of one node.",
        file: "node/replica/tests/replicas/a_full_disk_refuses_writes_and_nothing_else.rs",
        test: "each_document_of_a_request_that_a_full_disk_cuts_short_is_answered_for_itself",
    },
    Claim {
        name: "append_larger_than_the_log_takes",
        story: "A learner far behind was sent more at once than one submission to a log of small segments takes. The log refused it \
                while Raft applied it already: the entries were read as an empty stream, and taken for applied. Seeds \
                7355886729355320 and 700143 of reconfigure.",
        file: "node/consensus/tests/a_group_of_one_serves.rs",
        test: "what_comes_together_may_be_more_than_the_log_takes_at_once",
    },
    Claim {
        name: "a_table_is_moved_onto_a_disk_that_has_lost_a_page_unseen",
        story: "The simulator's: a write of a page had gone nowhere, nobody had read it yet, and the administrator asked for one replica \
                of a table, which came to lie on that very disk alone. Seed 3503431412 of random_reql.",
        file: "simulation/src/cluster/administrator.rs",
        test: "no_table_rests_on_a_disk_that_has_lost_something_unseen",
    },
    Claim {
        name: "a_founder_that_is_not_borne_is_no_whole_copy",
        story: "The simulator's: a shard was cut off, one of its three founders was never borne because its node had got a snapshot from behind \
                the cut, and the disk of another was allowed to lose what it had before the third had been replaced. Seed 3958155625 of \
                random_reql.",
        file: "simulation/src/cluster/ward.rs",
        test: "a_founder_that_is_not_borne_counts_as_lost",
    },
    Claim {
        name: "a_change_is_begun_with_a_voter_whose_loss_is_not_noticed_yet",
        story: "A table was to have two replicas instead of three, and the disk of one of the two had been lost a third of a second before. \
                The leader had heard of it within an election timeout, and began: a joint membership that nobody could complete or take \
                back. New voters must now answer what is sent after the change was asked for. Seed 70119 of reconfigure, administered.",
        file: "node/consensus/tests/several_nodes/members_are_added_and_removed.rs",
        test: "a_change_is_not_begun_while_the_new_voters_are_silent",
    },
    Claim {
        name: "name_made_anew_elsewhere",
        story: "A node behind the others found a database by its name that had been dropped and made again, and answered that it does \
                not exist. Seed 8088 of churn.",
        file: "tests/cluster/tests/three_processes_are_one_database.rs",
        test: "a_name_that_was_made_anew_elsewhere_is_found_by_a_node_that_slept",
    },
    Claim {
        name: "stopped_and_still_applying",
        story: "The stop of a group waited for its core alone; its state machine went on with what was in its queue, also when the \
                member was being erased. Found while seed 700143 was looked at.",
        file: "node/consensus/tests/a_group_of_one_serves.rs",
        test: "nothing_is_applied_once_a_group_has_stopped",
    },
    Claim {
        name: "member_failed_while_shards_are_joined",
        story: "The leader of the left shard of a join waited for a change of members that could not come, as one of them had failed: \
                the right one answered nobody any more. Seed 520033 of reconfigure.",
        file: "node/replica/tests/replicas/shards_are_joined.rs",
        test: "a_join_goes_on_when_a_member_of_the_left_shard_has_failed",
    },
    Claim {
        name: "dropped_with_a_damaged_root",
        story: "A set was dropped whose root page was damaged; each checkpoint failed of it, and the node could hold nothing new. Seed \
                520033 of reconfigure.",
        file: "storage/tests/dropped_set_makes_room_for_a_successor.rs",
        test: "though_its_pages_are_damaged",
    },
    Claim {
        name: "cut_off_and_joined_at_once",
        story: "A feed heard in one go that a shard was cut off and joined again, and took the shard that it did not listen to yet for \
                one that it need not listen to. Found by feeds_are_followed_to_their_end.",
        file: "node/replica/src/feed/notes.rs",
        test: "who_comes_by_a_cut_and_a_join_of_the_same_shard_waits_for_it",
    },
];

impl Scenario {
    /// The scenario of this name.
    pub fn named(name: &str) -> Option<&'static Scenario> {
        ALL.iter().chain(ON_MADSIM).find(|scenario| scenario.name == name)
    }

    /// What of the run is not left to the seed.
    pub fn length(&self) -> Length {
        Length {
            duration: Duration::from_secs(self.seconds),
            workload: Some(self.workload.to_owned()),
            machines: self.machines,
            administered: Some(self.administered),
            impatient: Some(self.impatient),
            arranged: Some(self.arranged),
            points: self.points.map(|names| names.iter().filter_map(|name| buggify::named(name)).collect()),
            ..Length::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_scenario_names_points_that_there_are() {
        for scenario in ALL.iter().chain(ON_MADSIM) {
            let found = scenario.length().points.map(|points| points.len());
            assert_eq!(found, scenario.points.map(<[_]>::len), "{}", scenario.name);
        }
    }

    #[test]
    fn every_claim_is_held_by_a_test_that_is_there() {
        for Claim { name, file, test, .. } in CLAIMS {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {file}: {error}"));
            let (lines, expected) = (text.lines().map(str::trim).collect::<Vec<_>>(), format!("fn {test}() {{"));
            let is_there = lines.windows(2).any(|pair| pair == ["#[test]", &expected]);
            assert!(is_there, "{name}: {file} has no test {test}");
        }
    }
}
