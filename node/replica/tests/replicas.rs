//! What replicas of shards promise, on one node and between several: one claim a file.
//!
//! One program, because each of these instantiates all of Raft anew when it is compiled for itself.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "parts/cluster.rs"]
mod cluster;
#[path = "join/join.rs"]
mod join;
#[path = "parts/mesh.rs"]
mod mesh;
#[path = "parts/parts.rs"]
mod parts;
#[path = "whole/whole.rs"]
mod whole;

#[path = "replicas"]
mod claims {
    mod a_forwarded_request_is_carried_out_at_most_once;
    mod a_full_disk_refuses_writes_and_nothing_else;
    mod a_node_that_stops_leads_nothing;
    mod a_shard_that_is_read_much_is_cut;
    mod a_shard_without_majority_goes_on;
    mod a_spread_table_answers_like_one_that_is_together;
    mod feeds_go_on_after_an_interruption;
    mod feeds_go_on_over_a_join;
    mod joins_are_repaired;
    mod members_follow_the_cluster_state;
    mod reads_are_counted_where_they_are_answered;
    mod shards_are_joined;
    mod writers_wait_for_memory;
    mod writes_are_evaluated_in_order_and_applied_once;
}
