//! What controllers promise together: one claim a file.
//!
//! One program, because each of these instantiates all of Raft anew when it is compiled for itself.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "world/world.rs"]
mod world;

#[path = "controllers"]
mod claims {
    mod a_cluster_of_one_begins;
    mod a_node_that_stops_leads_nothing;
    mod a_waiting_node_is_told_to_found;
    mod nodes_form_one_cluster;
    mod what_nodes_bear_is_known_to_all;
}
