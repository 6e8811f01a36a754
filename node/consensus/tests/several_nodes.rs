//! What members on several nodes promise together: one claim a file.
//!
//! One program, because each of these instantiates all of Raft anew when it is compiled for itself.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "node/cluster.rs"]
mod cluster;
#[path = "node/network.rs"]
mod network;
#[path = "node/node.rs"]
mod node;

#[path = "several_nodes"]
mod claims {
    mod a_group_goes_on_with_one_of_its_members;
    mod a_lagging_member_catches_up;
    mod a_node_gets_several_snapshots_at_once;
    mod a_partitioned_leader_answers_nothing;
    mod a_returning_member_does_not_raise_the_term;
    mod leadership_is_handed_over;
    mod members_are_added_and_removed;
    mod members_are_borne;
    mod three_members_elect_and_replicate;
    mod three_members_lose_nothing;
}
