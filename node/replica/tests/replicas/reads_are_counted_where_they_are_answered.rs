//! Every way to read documents is counted, once, by the replica that answers, whichever node was asked; so is what it writes.

use crate::cluster::{Cluster, SPREAD, count, cx, datum, definition, on_fiber};
use photondb_cluster_state::Command;
use photondb_query::table::{
    Access, Conflict, DatumRange, Keys, Order, ReadMode, Table, Transition, Write, WriteOptions,
};
use photondb_replica::ShardTable;
use photondb_reql::datum::Datum;

/// Documents with smaller numbers are the first node's, the others the second one's.
const SPLIT: i32 = 48;
const DOCUMENTS: i32 = 128;

/// Of each of two nodes: reads by key, documents written, and all together.
fn counted(cluster: &Cluster) -> [(u64, u64, u64); 2] {
    [0, 1].map(|node: usize| {
        let table = cluster.nodes[node].replicas.table(SPREAD).expect("runs");
        let traffic = table.shards()[0].shard().traffic();
        (traffic.read.count(), traffic.written.count(), traffic.total())
    })
}

/// Does something with the table by way of the first node; tells what was counted for it.
fn counted_of(cluster: &Cluster, act: impl FnOnce(&ShardTable) + Send + 'static) -> [(u64, u64, u64); 2] {
    let before = counted(cluster);
    let open = cluster.opener(0);
    on_fiber(move || act(&open(SPREAD)));
    let after = counted(cluster);
    [0, 1].map(|node: usize| {
        let ((read, written, all), (more_read, more_written, more)) = (before[node], after[node]);
        (more_read - read, more_written - written, more - all)
    })
}

fn drain(table: &ShardTable, access: &Access) -> usize {
    let mut rows = table.scan(access, ReadMode::Single).expect("scans");
    let mut count = 0;
    loop {
        match rows.next_batch(1_000).expect("reads").len() {
            0 => return count,
            more => count += more,
        }
    }
}

#[test]
fn once_each() {
    let mut cluster = Cluster::start(2, &[SPLIT]);
    let [lower, upper] = [SPLIT, DOCUMENTS - SPLIT].map(|documents| documents as u64);
    let written = counted_of(&cluster, |table| {
        let writes = (0..DOCUMENTS).map(|id| {
            let document = datum(&format!(r#"{{"id":{id},"a":{}}}"#, id % 10));
            Write { key: Datum::from(id), transition: Transition::Insert { document, conflict: Conflict::Error } }
        });
        table.write(writes.collect(), &WriteOptions::default(), &cx()).expect("writes");
    });
    assert_eq!(written, [(0, lower, lower), (0, upper, upper)], "what is looked up for a write is no read");

    let got = counted_of(&cluster, |table| {
        for (id, mode) in
            [(1, ReadMode::Single), (70, ReadMode::Majority), (71, ReadMode::Outdated), (999, ReadMode::Single)]
        {
            table.get(&Datum::from(id), mode).expect("reads");
        }
    });
    assert_eq!(got, [(1, 0, 1), (3, 0, 3)]);

    let scanned = counted_of(&cluster, |table| assert_eq!(count(table), DOCUMENTS as usize));
    // A hundred at once.
    assert_eq!(scanned, [(1, 0, 1 + lower / 16), (1, 0, 1 + upper / 16)]);

    let one_by_one = counted_of(&cluster, |table| {
        let keys = Keys::Each([2, 3, 80].map(Datum::from).to_vec());
        assert_eq!(drain(table, &Access { index: None, keys, order: Order::Any }), 3);
    });
    assert_eq!(one_by_one.map(|(read, ..)| read), [2, 1]);

    let all = || Keys::Range(DatumRange::all());
    let counted_only = counted_of(&cluster, move |table| {
        let access = Access { index: None, keys: all(), order: Order::Any };
        assert_eq!(table.count(&access, ReadMode::Single).expect("counts"), Some(DOCUMENTS as u64));
    });
    assert_eq!(counted_only, [(0, 0, 0); 2], "no document is looked at");

    cluster.change(&[Command::CreateIndex {
        table: SPREAD,
        name: "a".into(),
        definition: definition(r#"[69,[[2,[1]],[170,[[10,[1]],"a"]]]]"#),
        multi: false,
        geo: false,
    }]);
    let by_index = counted_of(&cluster, move |table| {
        for order in [Order::Any, Order::Ascending] {
            assert_eq!(drain(table, &Access { index: Some("a".into()), keys: all(), order }), DOCUMENTS as usize);
        }
    });
    for ((read, written, all), documents) in by_index.into_iter().zip([lower, upper]) {
        assert_eq!((read, written), (0, 0));
        // As many as there are, twice, and one look may end within sixteen.
        assert!((2 * documents / 16..=2 * documents / 16 + 1).contains(&all), "{all} for {documents} documents");
    }
}
