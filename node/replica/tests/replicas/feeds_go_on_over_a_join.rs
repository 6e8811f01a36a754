//! Feeds of shards that are joined: no gap, no double, and the changes of a document in order, at members of the own node and at those of
//! others, however they are interrupted, and from whatever token they go on.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use crate::cluster::{Cluster, SPREAD, cx, datum, on_fiber};
use crate::join::Joining;
use photondb_proto::TableId;
use photondb_query::table::{
    Change, Conflict, Join, ShardNumber, Source, Standing, Subscription, Table, Transition, Write, WriteOptions,
};
use photondb_replica::ShardTable;
use photondb_reql::datum::Datum;

/// Two on each of two nodes.
const SPLITS: [i32; 3] = [10, 20, 30];
/// Two of each shard.
const IDS: [i32; 8] = [1, 8, 11, 18, 21, 28, 31, 38];

fn put(table: &ShardTable, ids: &[i32], number: u64) {
    let writes = ids.iter().map(|id| {
        let document = datum(&format!(r#"{{"id":{id},"n":{number}}}"#));
        Write { key: Datum::from(*id), transition: Transition::Insert { document, conflict: Conflict::Replace } }
    });
    table.write(writes.collect(), &WriteOptions::default(), &cx()).expect("is written");
}

/// What a feed has said so far. Each change must begin where the one before of its document ended.
#[derive(Clone, Default)]
struct Followed(BTreeMap<String, Datum>);

impl Followed {
    fn take(&mut self, changes: Vec<Change>) {
        for Change { old, new, .. } in changes {
            let document = new.as_ref().or(old.as_ref()).expect("one of them");
            let key = format!("{:?}", document.field("id").expect("has a key"));
            assert_eq!(self.0.get(&key), old.as_ref(), "a gap, a double, or not in order at {key}");
            self.0.insert(key, new.expect("nothing is deleted"));
        }
    }

    fn has(&self, ids: &[i32], number: u64) -> bool {
        let of = |id: &i32| {
            let document = self.0.get(&format!("{:?}", Datum::from(*id)))?;
            document.field("n").ok()?.as_number().ok()
        };
        ids.iter().all(|id| of(id) == Some(number as f64))
    }

    fn follow(&mut self, feed: &mut dyn Subscription, ids: &[i32], number: u64) {
        while !self.has(ids, number) {
            self.take(feed.next().expect("the feed goes on"));
        }
    }
}

/// What moves the cluster blocks its thread, which a fiber's must not be.
fn aside<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(run).join().expect("no panic"))
}

fn pairs() -> Cluster {
    Cluster::start_beside(2, &SPLITS, 2)
}

/// Joins both pairs.
fn joinings(cluster: &Cluster) -> [Joining; 2] {
    [1, 3].map(|place| Joining::of(cluster, place))
}

#[test]
fn what_happens_behind_a_join_comes_behind_all_of_the_shard_that_was_joined() {
    let mut cluster = pairs();
    let open = cluster.opener(0);
    on_fiber(move || {
        let table = open(SPREAD);
        let mut feed = table.subscribe().expect("listens");
        let mut followed = Followed::default();
        put(&table, &IDS, 1);
        followed.follow(&mut *feed, &IDS, 1);
        (2..9).for_each(|number| put(&table, &IDS, number));
        aside(|| joinings(&cluster).iter().for_each(|joining| joining.run(&mut cluster)));
        let table = open(SPREAD);
        (9..20).for_each(|number| put(&table, &IDS, number));
        followed.follow(&mut *feed, &IDS, 19);
        assert_eq!(feed.joins().len(), 2);
        assert_eq!(feed.sources().len(), 2, "the others are no sources any more");
    });
}

#[test]
fn a_feed_that_waits_goes_on_though_it_is_interrupted_at_every_step() {
    let mut cluster = pairs();
    let (open, mesh) = (cluster.opener(0), cluster.mesh.clone());
    on_fiber(move || {
        let table = open(SPREAD);
        let mut feed = table.subscribe().expect("listens");
        let mut followed = Followed::default();
        put(&table, &IDS, 1);
        followed.follow(&mut *feed, &IDS, 1);
        // Nothing of another node comes until all is done there; then it is heard from the logs.
        mesh.faults.no_exchanges.store(true, Ordering::SeqCst);
        mesh.break_exchanges();
        (2..9).for_each(|number| put(&table, &IDS, number));
        aside(|| joinings(&cluster).iter().for_each(|joining| joining.run(&mut cluster)));
        let table = open(SPREAD);
        (9..20).for_each(|number| put(&table, &IDS, number));
        mesh.faults.no_exchanges.store(false, Ordering::SeqCst);
        let mut looks = 0;
        while !followed.has(&IDS, 19) {
            followed.take(feed.try_next().expect("the feed goes on"));
            looks += 1;
            if looks % 3 == 0 && looks < 60 {
                mesh.break_exchanges();
            }
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
        assert_eq!((feed.joins().len(), feed.sources().len()), (2, 2));
        put(&table, &IDS, 20);
        followed.follow(&mut *feed, &IDS, 20);
    });
}

/// Where one stands behind each of the changes that a feed gives, as tokens have it.
#[derive(Clone)]
struct Way {
    known: BTreeMap<ShardNumber, Standing>,
    joins: Vec<Join>,
}

impl Way {
    fn of(feed: &dyn Subscription) -> Way {
        let known = feed.sources().into_iter().map(|source| (source.shard, source.standing)).collect();
        Way { known, joins: Vec::new() }
    }

    fn pass(&mut self, change: &Change) {
        self.known.insert(change.position.shard, change.then).expect("no shard is new here");
    }

    fn is_passed(&self, join: &Join) -> bool {
        self.known.get(&join.into.shard).is_some_and(|standing| standing.index > join.into.index)
    }

    fn sources(&self) -> Vec<Source> {
        let mut known = self.known.clone();
        for join in self.joins.iter().filter(|join| self.is_passed(join)) {
            known.remove(&join.of);
        }
        known.into_iter().map(|(shard, standing)| Source { shard, standing, group: 0 }).collect()
    }
}

#[test]
fn a_feed_goes_on_before_at_and_behind_a_join() {
    let mut cluster = pairs();
    let openers = [cluster.opener(0), cluster.opener(1)];
    on_fiber(move || {
        let mut feed = openers[0](SPREAD).subscribe().expect("listens");
        let mut way = Way::of(&*feed);
        put(&openers[0](SPREAD), &IDS, 1);
        put(&openers[0](SPREAD), &IDS, 2);
        aside(|| joinings(&cluster).iter().for_each(|joining| joining.run(&mut cluster)));
        put(&openers[0](SPREAD), &IDS, 3);
        put(&openers[0](SPREAD), &IDS, 4);
        let (mut all, mut followed) = (Vec::new(), Followed::default());
        while all.len() < 4 * IDS.len() {
            all.extend(feed.next().expect("the feed goes on"));
        }
        way.joins = feed.joins().to_vec();
        assert_eq!(way.joins.len(), 2);
        let mut known = vec![(way.clone(), Followed::default())];
        for change in &all {
            way.pass(change);
            followed.take(vec![change.clone()]);
            known.push((way.clone(), followed.clone()));
        }
        let mut with_both = 0;
        for (place, (way, followed)) in known.into_iter().enumerate() {
            for open in &openers {
                let (table, sources) = (open(SPREAD), way.sources());
                with_both += usize::from(sources.len() > 2);
                let mut feed = table.subscribe_from(&sources).expect("goes on");
                let mut again = followed.clone();
                let mut told = 0;
                while told < all.len() - place {
                    let changes = feed.next().expect("the feed goes on");
                    told += changes.len();
                    again.take(changes);
                }
                assert_eq!(told, all.len() - place, "and nothing else");
                assert!(again.has(&IDS, 4));
            }
        }
        assert!(with_both > 4, "{with_both}");
    });
}

#[test]
fn a_feed_goes_on_exactly_between_the_end_of_the_one_and_the_join() {
    let mut cluster = pairs();
    let openers = [cluster.opener(0), cluster.opener(1)];
    on_fiber(move || {
        let mut feed = openers[0](SPREAD).subscribe().expect("listens");
        let (mut way, mut followed) = (Way::of(&*feed), Followed::default());
        put(&openers[0](SPREAD), &IDS, 1);
        while !followed.has(&IDS, 1) {
            let changes = feed.next().expect("the feed goes on");
            changes.iter().for_each(|change| way.pass(change));
            followed.take(changes);
        }
        aside(|| joinings(&cluster).iter().for_each(|joining| joining.run(&mut cluster)));
        put(&openers[0](SPREAD), &IDS, 2);
        Followed(followed.0.clone()).follow(&mut *feed, &IDS, 2);
        for behind in [0, 1] {
            for join in feed.joins() {
                way.known.insert(join.of, Standing { index: join.end + behind, given: 0 });
                assert!(way.known[&join.into.shard].index <= join.into.index);
            }
            for open in &openers {
                let mut again = open(SPREAD).subscribe_from(&way.sources()).expect("goes on");
                assert_eq!(again.sources().len(), 4);
                Followed(followed.0.clone()).follow(&mut *again, &IDS, 2);
                // Of two joins none comes before the other.
                let joins = |feed: &dyn Subscription| {
                    let mut joins = feed.joins().to_vec();
                    joins.sort_by_key(|join| join.of);
                    joins
                };
                assert_eq!((joins(&*again), again.sources().len()), (joins(&*feed), 2));
            }
        }
    });
}

#[test]
fn when_a_joined_shard_is_forgotten_who_has_heard_all_goes_on_and_others_are_told() {
    let mut cluster = pairs();
    let (openers, mesh) = ([cluster.opener(0), cluster.opener(1)], cluster.mesh.clone());
    on_fiber(move || {
        let table = openers[0](SPREAD);
        let [mut heard, mut behind] = [(); 2].map(|()| table.subscribe().expect("listens"));
        let begun = Way::of(&*heard);
        put(&table, &IDS, 1);
        let mut followed = Followed::default();
        followed.follow(&mut *heard, &IDS, 1);
        // The other one hears nothing from the other node.
        mesh.faults.no_exchanges.store(true, Ordering::SeqCst);
        mesh.break_exchanges();
        let joinings = joinings(&cluster);
        aside(|| joinings.iter().for_each(|joining| joining.run(&mut cluster)));
        mesh.faults.no_exchanges.store(false, Ordering::SeqCst);
        while heard.joins().len() < 2 {
            followed.take(heard.try_next().expect("the feed goes on"));
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        aside(|| joinings.iter().for_each(|joining| joining.retire(&mut cluster)));
        put(&openers[0](SPREAD), &IDS, 2);
        followed.follow(&mut *heard, &IDS, 2);
        let error = loop {
            match behind.next() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(error.message.starts_with("Changefeed aborted: it was interrupted, and the changes"), "{error}");
        let here = Way {
            known: heard.sources().into_iter().map(|source| (source.shard, source.standing)).collect(),
            joins: Vec::new(),
        };
        for open in &openers {
            let Err(error) = open(SPREAD).subscribe_from(&begun.sources()) else { panic!("it is too old") };
            assert!(error.message.starts_with("Changefeed cannot go on: the changes behind its resume"), "{error}");
            assert!(open(SPREAD).subscribe_from(&here.sources()).is_ok());
        }
    });
}

#[test]
fn who_begins_while_shards_are_joined_listens_to_each_key_once() {
    let mut cluster = pairs();
    let openers = [cluster.opener(0), cluster.opener(1)];
    let joinings = joinings(&cluster);
    joinings.iter().for_each(|joining| joining.freeze(&mut cluster));
    joinings.iter().for_each(|joining| joining.join(&cluster));
    let begin = |open: &dyn Fn(TableId) -> ShardTable, ids: &[i32]| {
        let mut feed = open(SPREAD).subscribe().expect("listens, once the state says who has the keys");
        assert_eq!(feed.sources().len(), 2);
        put(&open(SPREAD), ids, 7);
        put(&open(SPREAD), ids, 8);
        let mut followed = Followed::default();
        while !followed.has(ids, 8) {
            let mut changes = feed.next().expect("the feed goes on");
            let is_own = |change: &Change| {
                let id = change.new.as_ref().expect("nothing is deleted").field("id").expect("has a key");
                ids.iter().any(|own| id == Datum::from(*own))
            };
            changes.retain(is_own);
            followed.take(changes);
        }
    };
    std::thread::scope(|scope| {
        for (open, ids) in openers.iter().zip([[1, 11, 21, 31], [8, 18, 28, 38]]) {
            let open = open.clone();
            scope.spawn(move || on_fiber(move || begin(&open, &ids)));
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
        joinings.iter().for_each(|joining| joining.report(&mut cluster));
    });
}
