//! C5: what a crash needs again is never purged.

#[path = "node/node.rs"]
mod node;

use node::{Checkpoints, Node, block_on, propose, texts};
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::wal::StreamId;

#[test]
fn nothing_is_purged_without_a_checkpoint_and_only_what_it_holds_with_one() {
    let (disk, checkpoints) = (SimulatedDisk::new(2), Checkpoints::default());
    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, machine, term) = node.lead(1).await;
        let purged = |node: &Node| node.wal.state(StreamId(1)).unwrap().purged.map(|(upto, _)| upto);
        propose(&group, term, "a").await.unwrap();
        assert_eq!(group.purge_behind().await.unwrap(), None);
        assert_eq!(purged(&node), None);

        node.checkpoint(&machine).await;
        let durable = machine.state.lock().positions.last().copied().unwrap();
        propose(&group, term, "b").await.unwrap();
        assert_eq!(group.purge_behind().await.unwrap(), Some(durable));
        propose(&group, term, "c").await.unwrap();
        assert_eq!(purged(&node), Some(durable.index));
        // Again, with nothing new.
        assert_eq!(group.purge_behind().await.unwrap(), Some(durable));
    });
    node.kill();

    let node = Node::open(&disk, &checkpoints).unwrap();
    block_on(async {
        let (group, machine, term) = node.lead(1).await;
        assert_eq!(texts(&machine.commands()), ["a", "b", "c"]);
        // The same after a restart, where openraft takes what is applied for its snapshot.
        node.checkpoint(&machine).await;
        let durable = machine.state.lock().positions.last().copied().unwrap();
        assert_eq!(group.purge_behind().await.unwrap(), Some(durable));
        propose(&group, term, "d").await.unwrap();
        assert_eq!(node.wal.state(StreamId(1)).unwrap().purged.map(|(upto, _)| upto), Some(durable.index));
    });
    node.kill();

    let node = Node::open(&disk, &checkpoints).unwrap();
    let (_, machine, _) = block_on(node.lead(1));
    assert_eq!(texts(&machine.commands()), ["a", "b", "c", "d"]);
}

#[test]
fn a_log_that_is_purged_again_and_again_stays_whole() {
    let (disk, checkpoints) = (SimulatedDisk::new(3), Checkpoints::default());
    let mut expected = Vec::new();
    for life in 0..5 {
        let node = Node::open(&disk, &checkpoints).unwrap();
        block_on(async {
            let (group, machine, term) = node.lead(1).await;
            assert_eq!(texts(&machine.commands()), expected);
            for round in 0..20 {
                let command = format!("{life}.{round}.{}", "x".repeat(1000));
                propose(&group, term, command.clone()).await.unwrap();
                expected.push(command);
                if round % 4 == life % 4 {
                    node.checkpoint(&machine).await;
                    group.purge_behind().await.unwrap();
                }
            }
        });
        node.kill();
        disk.crash();
    }
}
