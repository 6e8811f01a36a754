//! Subscriptions to shards on other nodes: no gap and no double, however often the connection breaks, and whoever goes on with what another
//! one knew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::cluster::{Cluster, SPREAD, cx, datum, on_fiber};
use photondb_cluster_state::{Command, TableSettings};
use photondb_query::table::{
    Change, Conflict, ShardNumber, Source, Standing, Subscription, Table, Transition, Write, WriteOptions,
};
use photondb_replica::{Replica, ShardTable};
use photondb_reql::datum::Datum;

fn put(table: &ShardTable, documents: impl IntoIterator<Item = (i32, u64, usize)>) {
    let writes = documents.into_iter().map(|(id, number, bytes)| {
        let text = "x".repeat(bytes);
        let document = datum(&format!(r#"{{"id":{id},"n":{number},"text":"{text}"}}"#));
        Write { key: Datum::from(id), transition: Transition::Insert { document, conflict: Conflict::Replace } }
    });
    table.write(writes.collect(), &WriteOptions::default(), &cx()).expect("is written");
}

/// What a feed has said so far. Each change must begin where the one before of its document ended.
#[derive(Default)]
struct Followed(BTreeMap<String, Datum>);

impl Followed {
    fn take(&mut self, changes: Vec<Change>) {
        for Change { old, new, .. } in changes {
            let document = new.as_ref().or(old.as_ref()).expect("one of them");
            let key = format!("{:?}", document.field("id").expect("has a key"));
            assert_eq!(self.0.get(&key), old.as_ref(), "a gap or a double at {key}");
            match new {
                Some(new) => self.0.insert(key, new),
                None => self.0.remove(&key),
            };
        }
    }

    fn number(&self, id: i32) -> Option<f64> {
        let document = self.0.get(&format!("{:?}", Datum::from(id)))?;
        document.field("n").ok()?.as_number().ok()
    }

    fn follow(&mut self, feed: &mut dyn Subscription, ids: &[i32], number: u64) {
        while ids.iter().any(|id| self.number(*id) != Some(number as f64)) {
            self.take(feed.next().expect("the feed goes on"));
        }
    }
}

const IDS: [i32; 6] = [1, 8, 11, 18, 21, 28];

#[test]
fn no_gap_and_no_double_while_connections_break() {
    let cluster = Cluster::start(3, &[10, 20]);
    let (open, mesh) = (cluster.opener(0), cluster.mesh.clone());
    on_fiber(move || {
        let table = open(SPREAD);
        put(&table, [(1, 999, 10), (21, 999, 10)]);
        table
            .write(
                [1, 21].map(|id| Write { key: Datum::from(id), transition: Transition::Delete }).to_vec(),
                &WriteOptions::default(),
                &cx(),
            )
            .expect("is written");
        let mut feed = table.subscribe().expect("listens");
        let mut followed = Followed::default();
        for round in 1..=60u64 {
            put(&table, IDS.map(|id| (id, round, 100)));
            if round % 3 == 0 {
                mesh.break_exchanges();
            }
            if round % 4 == 0 {
                put(&table, IDS.map(|id| (id, round, 200)));
            }
            if round % 5 == 0 {
                mesh.break_exchanges();
                followed.take(feed.try_next().expect("the feed goes on"));
                mesh.break_exchanges();
            }
            followed.follow(&mut *feed, &IDS, round);
        }
        assert!(mesh.exchanges_opened.load(Ordering::SeqCst) > 20, "it has gone on again and again");
    });
}

#[test]
fn an_entry_larger_than_a_message_is_told_in_pieces_and_gone_on_with_in_its_middle() {
    let cluster = Cluster::start(2, &[10]);
    let (open, mesh) = (cluster.opener(0), cluster.mesh.clone());
    on_fiber(move || {
        let table = open(SPREAD);
        let mut feed = table.subscribe().expect("listens");
        let mut followed = Followed::default();
        let ids: Vec<i32> = (100..112).collect();
        for round in 1..=4 {
            // One request is one entry: with what was before three megabytes, in messages of one.
            put(&table, ids.iter().map(|id| (*id, round, 128 << 10)));
            let mut breaks = 0;
            while followed.number(ids[11]) != Some(round as f64) {
                followed.take(feed.next().expect("the feed goes on"));
                if breaks < 2 {
                    mesh.break_exchanges();
                    breaks += 1;
                }
            }
            followed.follow(&mut *feed, &ids, round);
        }
    });
}

#[test]
fn what_is_no_longer_in_the_log_is_a_clear_error() {
    let cluster = Cluster::start(2, &[10]);
    let (open, mesh) = (cluster.opener(0), cluster.mesh.clone());
    on_fiber(move || {
        let table = open(SPREAD);
        let mut feed = table.subscribe().expect("listens");
        put(&table, [(50, 1, 10)]);
        let mut followed = Followed::default();
        followed.follow(&mut *feed, &[50], 1);
        mesh.faults.no_exchanges.store(true, Ordering::SeqCst);
        mesh.break_exchanges();
        for round in 2..=12 {
            put(&table, [(50, round, 1 << 20)]);
        }
        mesh.faults.no_exchanges.store(false, Ordering::SeqCst);
        let error = loop {
            match feed.next() {
                Ok(changes) => followed.take(changes),
                Err(error) => break error,
            }
        };
        assert!(error.message.starts_with("Changefeed aborted: "), "{error}");
    });
}

#[test]
fn a_reader_that_is_slow_hurts_itself_alone() {
    let cluster = Cluster::start(2, &[10]);
    let open = cluster.opener(0);
    on_fiber(move || {
        let table = open(SPREAD);
        let (mut slow, mut quick) = (table.subscribe().expect("listens"), table.subscribe().expect("listens"));
        let mut followed = Followed::default();
        for round in 1..=90 {
            put(&table, [(50, round, 1 << 20)]);
            followed.follow(&mut *quick, &[50], round);
        }
        let error = loop {
            match slow.next() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(error.message.starts_with("Changefeed cache over array size limit, skipped "), "{error}");
    });
}

#[test]
fn a_subscription_that_is_dropped_ends_where_it_came_from() {
    let cluster = Cluster::start(2, &[10]);
    let open = cluster.opener(0);
    let listened = |cluster: &Cluster| {
        let table = cluster.nodes[1].replicas.table(SPREAD).expect("runs");
        table.shards()[0].shard().is_listened_to()
    };
    let feed = on_fiber(move || open(SPREAD).subscribe().map(|_| ()).map_err(|error| error.to_string()));
    assert_eq!(feed, Ok(()));
    let write = cluster.opener(1);
    let began = std::time::Instant::now();
    loop {
        let write = write.clone();
        // A listener that is gone is forgotten when something is published.
        on_fiber(move || put(&write(SPREAD), [(50, 1, 10)]));
        if !listened(&cluster) {
            break;
        }
        assert!(began.elapsed().as_secs() < 20, "the subscription goes on without its reader");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Where one stands behind each of the changes that a feed gives.
#[derive(Clone)]
struct Way(BTreeMap<ShardNumber, Standing>);

impl Way {
    fn of(feed: &dyn Subscription) -> Way {
        Way(feed.sources().into_iter().map(|source| (source.shard, source.standing)).collect())
    }

    fn pass(&mut self, change: &Change) {
        let before = self.0.insert(change.position.shard, change.then).expect("no shard is new here");
        let at = Standing { index: change.position.index, given: 0 };
        assert!(before <= change.then && at < change.then, "{before:?} {change:?}");
    }

    fn sources(&self) -> Vec<Source> {
        self.0.iter().map(|(shard, standing)| Source { shard: *shard, standing: *standing, group: 0 }).collect()
    }
}

#[test]
fn a_feed_goes_on_behind_any_change_of_another_at_any_node() {
    let cluster = Cluster::start(3, &[10, 20]);
    let openers: Vec<_> = (0..3).map(|node| cluster.opener(node)).collect();
    on_fiber(move || {
        let tables: Vec<_> = openers.iter().map(|open| open(SPREAD)).collect();
        let mut first = tables[0].subscribe().expect("listens");
        let mut way = Way::of(&*first);
        let (mut all, mut followed) = (Vec::new(), Followed::default());
        for round in 1..=4 {
            put(&tables[round as usize % 3], IDS.map(|id| (id, round, 100)));
            while all.len() < round as usize * IDS.len() {
                all.extend(first.next().expect("the feed goes on"));
            }
        }
        let mut known = vec![(way.clone(), Followed::default())];
        for change in &all {
            way.pass(change);
            followed.take(vec![change.clone()]);
            known.push((way.clone(), Followed(followed.0.clone())));
        }
        for (place, (way, mut followed)) in known.into_iter().enumerate() {
            let table = &tables[place % 3];
            let mut feed = table.subscribe_from(&way.sources()).expect("goes on");
            assert_eq!(Way::of(&*feed).0, way.0, "it begins where it is to go on");
            let mut told = 0;
            while told < all.len() - place {
                let changes = feed.next().expect("the feed goes on");
                told += changes.len();
                followed.take(changes);
            }
            assert_eq!(told, all.len() - place, "and nothing else");
            IDS.iter().for_each(|id| assert_eq!(followed.number(*id), Some(4.0)));
        }
        // Nobody was ever given so many changes of an entry; who says so has all of it.
        let odd = |source: Source| {
            let standing = Standing { index: source.standing.index - 1, given: u32::MAX };
            Source { standing, ..source }
        };
        let odd: Vec<_> = way.sources().into_iter().map(odd).collect();
        for (rounds, table) in (1..).zip(&tables) {
            let mut feed = table.subscribe_from(&odd).expect("goes on");
            put(table, IDS.map(|id| (id, 4 + rounds, 100)));
            let mut told = 0;
            while told < rounds as usize * IDS.len() {
                told += feed.next().expect("the feed goes on").len();
            }
            assert_eq!(told, rounds as usize * IDS.len());
        }
    });
}

/// How much of its changes a shard keeps.
fn held(replica: &Arc<Replica>) -> u64 {
    replica.shard().view().schema.change_log_bytes()
}

#[test]
fn where_a_feed_cannot_go_on_it_says_why_at_once() {
    let mut cluster = Cluster::start(2, &[10]);
    let settings = TableSettings { change_log_bytes: Some(4 << 20), ..TableSettings::default() };
    cluster.change(&[Command::SetTableConfig { id: SPREAD, settings }]);
    // Each shard is told by its leader, once there is one.
    let keeps_more = |cluster: &Cluster| {
        let tables = cluster.nodes.iter().filter_map(|node| node.replicas.table(SPREAD));
        let held = tables.flat_map(|table| table.shards().iter().map(held).collect::<Vec<_>>());
        held.into_iter().any(|bytes| bytes > 4 << 20)
    };
    while keeps_more(&cluster) {
        std::thread::sleep(Duration::from_millis(1));
        cluster.change(&[]);
    }
    let openers: Vec<_> = (0..2).map(|node| cluster.opener(node)).collect();
    on_fiber(move || {
        let tables: Vec<_> = openers.iter().map(|open| open(SPREAD)).collect();
        let mut feed = tables[0].subscribe().expect("listens");
        let mut way = Way::of(&*feed);
        let begun = way.clone();
        for round in 1..=12 {
            put(&tables[0], [(1, round, 1 << 20), (50, round, 1 << 20)]);
        }
        let mut followed = Followed::default();
        while [1, 50].iter().any(|id| followed.number(*id) != Some(12.0)) {
            for change in feed.next().expect("the feed goes on") {
                way.pass(&change);
                followed.take(vec![change]);
            }
        }
        // A change that is larger than the whole log may be: nothing of the log is left, and behind it one can go on nevertheless.
        put(&tables[0], [(1, 13, 5 << 20), (50, 13, 5 << 20)]);
        let mut ahead = way.clone();
        while [1, 50].iter().any(|id| followed.number(*id) != Some(13.0)) {
            for change in feed.next().expect("the feed goes on") {
                ahead.pass(&change);
                followed.take(vec![change]);
            }
        }
        for table in &tables {
            for old in [&begun, &way] {
                let Err(error) = table.subscribe_from(&old.sources()) else { panic!("it is too old") };
                let expected = "Changefeed cannot go on: the changes behind its resume token are no longer kept. ";
                assert!(error.message.starts_with(expected), "{error}");
            }
            assert!(table.subscribe_from(&ahead.sources()).is_ok());
        }
        ahead.0.values_mut().for_each(|standing| standing.index += 1);
        let Err(error) = tables[1].subscribe_from(&ahead.sources()) else { panic!("nothing was written since") };
        assert!(error.message.starts_with("Changefeed cannot go on: the table has never come as far as "), "{error}");
    });
}
