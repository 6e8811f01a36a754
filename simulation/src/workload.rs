//! What clients do. A workload never judges: that is for the checkers.

pub mod cluster;
