//! Many documents, secondary indexes that are created, renamed and dropped meanwhile, and somebody who compares the two.

use std::rc::Rc;
use std::time::Duration;

use photondb_cluster_state::Command;
use photondb_runtime::task::{self, JoinHandle};
use tokio::time::sleep;

use crate::document::{GROUP, TAGS, index_definition};
use crate::node::TABLE;
use crate::random::Random;
use crate::site::Site;
use crate::workload::{read_or_write, start_clients};

/// Starts writers, one client that changes indexes, and one that compares.
pub fn start(site: &Rc<Site>, random: &mut Random) -> Vec<JoinHandle<()>> {
    let mut tasks = start_clients(site, random, read_or_write);
    tasks.push(task::spawn_local(change_indexes(site.clone(), random.fork())));
    tasks.push(task::spawn_local(compare(site.clone(), random.fork())));
    tasks
}

async fn change_indexes(site: Rc<Site>, mut random: Random) {
    while site.is_open() {
        sleep(random.millis(0..=400)).await;
        let (table, field) = (TABLE, random.pick(&[GROUP, TAGS]));
        let mut name = || format!("{field}{}", random.below(3));
        let name = (name(), name());
        let command = match random.below(5) {
            0 => Command::DropIndex { table, name: name.0 },
            1 => Command::RenameIndex { table, from: name.0, to: name.1, overwrite: random.once_in(2) },
            _ => Command::CreateIndex {
                table,
                name: name.0,
                definition: index_definition(field),
                multi: field == TAGS,
                geo: false,
            },
        };
        let asked = format!("{command:?}");
        let answer = site.node.controller.propose(command).await;
        site.trace.event(format_args!("{asked}: {answer:?}"));
    }
}

async fn compare(site: Rc<Site>, mut random: Random) {
    while site.is_open() {
        sleep(random.millis(1..=100) + Duration::from_millis(1)).await;
        site.compare_indexes();
    }
}
