//! Every workload accepts a server that is right, whatever happens to its connections, and notices one that is not.

use std::rc::Rc;
use std::time::Duration;

use super::rehearsal::{Defect, rehearse};
use super::*;

const CLIENTS: u64 = 5;
const SECONDS: Duration = Duration::from_secs(2);

type Make = fn() -> Rc<dyn ClusterWorkload>;

const WORKLOADS: [(&str, Make); 10] = [
    ("register", || Rc::new(register::Register::new(3))),
    ("list_append", || Rc::new(list_append::ListAppend::new(1))),
    ("counter", || Rc::new(counter::Counter::default())),
    ("bank", || Rc::new(bank::Bank::new(4))),
    ("unique_inserts", || Rc::new(unique_inserts::UniqueInserts::new(10))),
    ("index_moves", || Rc::new(index_moves::IndexMoves::new(20))),
    ("feed_replay", || Rc::new(feed_replay::FeedReplay::new(5, 2, false))),
    ("churn", || Rc::new(churn::Churn::default())),
    ("reconfigure", || Rc::new(reconfigure::Reconfigure::new(3, 1, CLIENTS))),
    ("random_reql", || Rc::new(random_reql::RandomReql::default())),
];

fn make(name: &str) -> Rc<dyn ClusterWorkload> {
    let (_, make) = WORKLOADS.iter().find(|(other, _)| *other == name).unwrap();
    make()
}

#[test]
fn a_right_server_is_left_alone_whatever_its_connections_do() {
    for (name, make) in WORKLOADS {
        for seed in 0..4 {
            let trouble_in = [0, 8, 30, 100][seed as usize % 4];
            let rehearsed = rehearse(seed, make(), CLIENTS, Defect::None, trouble_in, SECONDS);
            assert!(rehearsed.violations.is_empty(), "{name}, seed {seed}: {:#?}", rehearsed.violations);
            assert!(rehearsed.finished, "{name}, seed {seed}");
            assert_eq!(rehearsed.undecided, 0, "{name}, seed {seed}");
        }
    }
}

#[test]
fn every_defect_is_noticed_by_the_workloads_that_look_for_it() {
    let cases: [(Defect, &[&str]); 12] = [
        (Defect::LosesWrites, &["register", "list_append", "counter", "unique_inserts", "reconfigure", "random_reql"]),
        (Defect::ReadsStale, &["register", "list_append", "counter", "unique_inserts", "random_reql"]),
        (Defect::WritesTwice, &["list_append", "counter", "random_reql"]),
        (Defect::DeniesWrites, &["register", "list_append", "unique_inserts", "reconfigure"]),
        (Defect::RepeatsLate, &["list_append", "counter", "unique_inserts", "random_reql"]),
        (Defect::ChangesNumbers, &["register", "counter", "bank", "random_reql"]),
        (Defect::MissesRows, &["index_moves", "churn", "random_reql"]),
        (Defect::DoublesRows, &["index_moves", "churn", "random_reql"]),
        (Defect::SkipsChanges, &["feed_replay"]),
        (Defect::DoublesChanges, &["feed_replay"]),
        (Defect::SwapsChanges, &["feed_replay"]),
        (Defect::ShortInitial, &["feed_replay"]),
    ];
    let mut missed = Vec::new();
    for (defect, workloads) in cases {
        for name in workloads {
            let noticed = (0..3).filter(|seed| {
                let rehearsed = rehearse(*seed, make(name), CLIENTS, defect, 100, SECONDS);
                !rehearsed.violations.is_empty()
            });
            let noticed = noticed.count();
            if noticed < 2 {
                missed.push(format!("{defect:?} under {name}: noticed {noticed} of 3"));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn clients_get_work_done() {
    let bank = Rc::new(bank::Bank::new(3));
    let reconfigure = Rc::new(reconfigure::Reconfigure::new(3, 1, CLIENTS));
    let feeds = Rc::new(feed_replay::FeedReplay::new(4, 2, false));
    let reql = Rc::new(random_reql::RandomReql::default());
    let all: [Rc<dyn ClusterWorkload>; 4] = [bank.clone(), reconfigure.clone(), feeds.clone(), reql.clone()];
    for workload in all {
        rehearse(3, workload, CLIENTS, Defect::None, 30, SECONDS);
    }
    assert!(bank.transfers() > 50, "{}", bank.transfers());
    assert!(reconfigure.reconfigured() > 10, "{}", reconfigure.reconfigured());
    assert!(feeds.opened() > 2, "feeds were opened anew: {}", feeds.opened());
    assert!(reql.compared() > 100, "{}", reql.compared());
}
