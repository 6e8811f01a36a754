//! The changes of the first so many elements in the order of an index.
//!
//! The elements are kept here. A change is applied to them; only when an element leaves and nothing is known to take its
//! place are they read again, and changes which that snapshot includes are then left out.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::{Batch, Cx, FeedKind, Stream};
use photondb_reql::transform::Transform;

use super::FeedOptions;
use super::change::{self, Shown};
use super::members::Members;
use super::queue::{self, Queue};
use crate::catalog::Permission;
use crate::limits::SCAN_BATCH_ROWS;
use crate::selection::TableRef;
use crate::table::{Change, Move, Order, Position, Rows, ShardNumber, Subscription, heirs};

/// A feed that is open.
pub(crate) struct LimitFeed {
    state: State,
    options: FeedOptions,
    subscription: Box<dyn Subscription>,
    queue: Queue,
    begun: bool,
}

struct State {
    table: TableRef,
    members: Members,
    descending: bool,
    limit: usize,
    items: Vec<Item>,
    /// Bytes that are counted of those that were read.
    held: usize,
    read: ReadFrom,
}

/// Which snapshots the elements were last read from.
#[derive(Default)]
struct ReadFrom {
    /// Of each shard the oldest one: a change that a later one includes is only applied once more. Of a shard that was cut off on the way,
    /// it may be one of the other shard.
    oldest: BTreeMap<ShardNumber, u64>,
    /// Which keys were read of another shard than the one that they were of.
    moves: Vec<Move>,
}

/// One element.
#[derive(Clone, Debug)]
struct Item {
    place: Datum,
    key: Datum,
    shown: Datum,
}

impl LimitFeed {
    /// Opens the feed of the first `limit` elements of an ordered slice. Errors: permission, no such index.
    pub fn open(
        table: TableRef,
        transforms: Vec<Transform>,
        limit: usize,
        options: FeedOptions,
        cx: &Cx,
    ) -> Result<LimitFeed> {
        table.surroundings.require_on(Permission::Read, table.info())?;
        let members = Members::of(&table, transforms, cx)?;
        let descending = table.as_slice().is_some_and(|slice| slice.order == Order::Descending);
        let subscription = table.table.subscribe()?;
        let (items, read) = (Vec::new(), ReadFrom::default());
        let mut state = State { table, members, descending, limit, items, held: 0, read };
        state.read(cx)?;
        Ok(LimitFeed { queue: Queue::new(&options), state, options, subscription, begun: false })
    }
}

impl Item {
    fn footprint(&self) -> usize {
        [&self.place, &self.key, &self.shown].map(Datum::footprint).into_iter().fold(0, usize::saturating_add)
    }
}

impl ReadFrom {
    /// Follows a scan.
    fn follow(&mut self, rows: &dyn Rows) {
        for progress in rows.progress() {
            // All that happened to one key is ordered by index, whosever it was.
            let before = rows.lineage(progress.shard).iter().filter_map(|of| self.oldest.get(&of.shard).copied()).min();
            let oldest = self.oldest.entry(progress.shard).or_insert(progress.first);
            *oldest = (*oldest).min(before.unwrap_or(progress.first));
        }
        self.moves.clear();
        self.moves.extend_from_slice(rows.moves());
    }

    /// Whether the elements include a change of this key.
    fn includes(&self, key: &Datum, position: Position) -> bool {
        let has_read = |shard| self.oldest.get(&shard).is_some_and(|oldest| position.index <= *oldest);
        has_read(position.shard) || heirs(&self.moves, position.shard, key).any(has_read)
    }
}

impl State {
    fn order(&self, left: &Item, right: &Item) -> Ordering {
        let order = left.place.cmp(&right.place).then_with(|| left.key.cmp(&right.key));
        if self.descending { order.reverse() } else { order }
    }

    /// Reads the elements from the table.
    fn read(&mut self, cx: &Cx) -> Result<()> {
        self.items.clear();
        let Some(access) = self.table.access() else { return Ok(()) };
        if let Some(index) = &access.index {
            self.table.ordinary_index(index)?;
        }
        let mut rows = self.table.table.scan(&access, super::current(self.table.mode))?;
        self.read = ReadFrom::default();
        let mut bytes = 0usize;
        while self.items.len() < self.limit {
            let batch = rows.next_batch((self.limit - self.items.len()).clamp(1, SCAN_BATCH_ROWS))?;
            self.read.follow(rows.as_ref());
            if batch.is_empty() {
                break;
            }
            for row in batch {
                if self.items.len() == self.limit {
                    break;
                }
                let key = row.document.field(&self.table.info().primary_key)?;
                if let Some(shown) = self.members.show(&row.document, cx)? {
                    let place = row.index_value.unwrap_or_else(|| key.clone());
                    let item = Item { place, key, shown };
                    bytes = bytes.saturating_add(item.footprint());
                    self.items.push(item);
                }
            }
            cx.hold_instead(&mut self.held, bytes)?;
        }
        Ok(())
    }

    /// Applies a change and says what became of the elements.
    fn apply(&mut self, change: &Change, queue: &mut Queue, cx: &Cx) -> Result<()> {
        let Some(document) = change.new.as_ref().or(change.old.as_ref()) else { return Ok(()) };
        let key = document.field(&self.table.info().primary_key)?;
        if self.read.includes(&key, change.position) {
            return Ok(());
        }
        let before = self.items.clone();
        let was_full = before.len() == self.limit;
        self.items.retain(|item| item.key != key);
        if let Some(new) = &change.new
            && let Some(shown) = self.members.show(new, cx)?
        {
            for place in self.members.places(new, cx)? {
                let item = Item { place, key: key.clone(), shown: shown.clone() };
                let at = self.items.partition_point(|other| self.order(other, &item) == Ordering::Less);
                self.items.insert(at, item);
            }
        }
        let left = before.iter().any(|item| item.key == key);
        // An element that moved to the end of a full set may stand behind others that are not known here.
        let at_the_end = left && self.items.last().is_some_and(|last| last.key == key);
        if was_full && (self.items.len() < self.limit || (at_the_end && self.items.len() == self.limit)) {
            self.read(cx)?;
        }
        self.items.truncate(self.limit);
        let bytes = self.items.iter().map(Item::footprint).fold(0, usize::saturating_add);
        cx.hold_instead(&mut self.held, bytes)?;
        for (key, shown) in differences(&before, &self.items) {
            queue.push(key, shown, cx);
        }
        Ok(())
    }
}

/// What changed between two lists: elements that stayed and differ, and for each that left one that came, if any did.
fn differences(before: &[Item], after: &[Item]) -> Vec<(Datum, Shown)> {
    let same = |a: &Item, b: &Item| a.key == b.key;
    let mut out = Vec::new();
    let mut left = Vec::new();
    for (old_offset, old) in before.iter().enumerate() {
        match after.iter().enumerate().find(|(_, new)| same(old, new)) {
            None => left.push((old_offset, old)),
            Some((new_offset, new)) if old.shown != new.shown => out.push((
                old.key.clone(),
                Shown {
                    old: Some(old.shown.clone()),
                    new: Some(new.shown.clone()),
                    old_offset: Some(old_offset),
                    new_offset: Some(new_offset),
                },
            )),
            Some(_) => {}
        }
    }
    let mut came = after.iter().enumerate().filter(|(_, new)| !before.iter().any(|old| same(old, new)));
    for (old_offset, old) in left {
        let new = came.next();
        out.push((
            old.key.clone(),
            Shown {
                old: Some(old.shown.clone()),
                new: new.map(|(_, new)| new.shown.clone()),
                old_offset: Some(old_offset),
                new_offset: new.map(|(offset, _)| offset),
            },
        ));
    }
    for (new_offset, new) in came {
        let shown = Shown { new: Some(new.shown.clone()), new_offset: Some(new_offset), ..Shown::default() };
        out.push((new.key.clone(), shown));
    }
    out
}

impl Stream for LimitFeed {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        let mut out = Batch::new();
        if !self.begun {
            self.begun = true;
            if self.options.include_initial {
                if self.options.include_states {
                    out.push(change::state("initializing", &self.options, None));
                }
                for (offset, item) in self.state.items.iter().enumerate() {
                    out.push(change::initial(item.shown.clone(), Some(offset), &self.options));
                }
            }
            if self.options.include_states {
                out.push(change::state("ready", &self.options, None));
            }
            if !out.is_empty() {
                return Ok(out);
            }
        }
        while out.is_empty() {
            for change in self.subscription.try_next()? {
                self.state.apply(&change, &mut self.queue, cx)?;
            }
            while self.queue.is_empty() {
                for change in self.subscription.next()? {
                    self.state.apply(&change, &mut self.queue, cx)?;
                }
            }
            let LimitFeed { state, subscription, queue, .. } = self;
            let surroundings = state.table.surroundings.clone();
            queue::gather(&surroundings, queue, |queue| {
                for change in subscription.try_next()? {
                    state.apply(&change, queue, cx)?;
                }
                Ok(())
            })?;
            self.queue.take(want, &self.options, &mut out, cx);
        }
        Ok(out)
    }

    fn feed(&self) -> Option<FeedKind> {
        Some(FeedKind::OrderByLimit)
    }
}

#[cfg(test)]
mod tests {
    use photondb_reql::key::PrimaryKey;

    use super::*;
    use crate::table::{Lineage, Progress, Row};

    fn items(list: &[(i32, i32)]) -> Vec<Item> {
        list.iter()
            .map(|(key, shown)| Item { place: Datum::from(*key), key: Datum::from(*key), shown: Datum::from(*shown) })
            .collect()
    }

    #[test]
    fn an_element_that_leaves_is_paired_with_one_that_comes() {
        let found = differences(&items(&[(1, 1), (2, 2)]), &items(&[(2, 2), (3, 3)]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1.old, Some(Datum::from(1)));
        assert_eq!(found[0].1.new, Some(Datum::from(3)));
        assert_eq!((found[0].1.old_offset, found[0].1.new_offset), (Some(0), Some(1)));
    }

    #[test]
    fn an_element_that_stays_and_differs_is_one_change() {
        let found = differences(&items(&[(1, 1), (2, 2)]), &items(&[(1, 5), (2, 2)]));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].1.old.clone(), found[0].1.new.clone()), (Some(Datum::from(1)), Some(Datum::from(5))));
    }
    /// A scan that has been read so far.
    struct Read {
        progress: Vec<Progress>,
        lineage: Vec<Position>,
        moves: Vec<Move>,
    }

    impl Rows for Read {
        fn next_batch(&mut self, _want: usize) -> Result<Vec<Row>> {
            Ok(Vec::new())
        }

        fn progress(&self) -> &[Progress] {
            &self.progress
        }

        fn lineage(&self, shard: ShardNumber) -> Lineage {
            if shard == CHILD { self.lineage.as_slice().into() } else { Lineage::default() }
        }

        fn moves(&self) -> &[Move] {
            &self.moves
        }

        fn is_at_end(&self) -> bool {
            true
        }
    }

    const PARENT: ShardNumber = ShardNumber(1);
    const CHILD: ShardNumber = ShardNumber(2);

    /// The elements were read of these shards; the child begins with the key 5, and was cut off by the entry 10.
    fn read_from(progress: &[(ShardNumber, u64)], lineage: &[u64]) -> ReadFrom {
        let progress =
            progress.iter().map(|(shard, at)| Progress { shard: *shard, first: *at, last: *at, ended: true });
        let first = PrimaryKey::new(&Datum::from(5)).expect("can be a key").bytes();
        let rows = Read {
            progress: progress.collect(),
            lineage: lineage.iter().map(|index| Position { shard: PARENT, index: *index }).collect(),
            moves: vec![Move { from: PARENT, first, to: CHILD }],
        };
        let mut read = ReadFrom::default();
        read.follow(&rows);
        read
    }

    #[test]
    fn a_change_of_a_shard_that_was_split_is_applied_unless_the_elements_include_it() {
        let includes =
            |read: &ReadFrom, key: i32, shard, index| read.includes(&Datum::from(key), Position { shard, index });
        // Split before it was read: of the old one nothing, or what it has kept.
        for read in [read_from(&[(CHILD, 12)], &[]), read_from(&[(PARENT, 11), (CHILD, 12)], &[])] {
            assert!(includes(&read, 7, PARENT, 9), "it happened before what was read of the new shard");
            assert!(includes(&read, 7, CHILD, 12));
            assert!(!includes(&read, 7, CHILD, 13));
        }
        assert!(!includes(&read_from(&[(CHILD, 12)], &[]), 3, PARENT, 9), "of this key nothing was read");
        // Split while it was read: a key may have been read of either.
        let read = read_from(&[(PARENT, 6), (CHILD, 12)], &[6]);
        assert!(includes(&read, 7, PARENT, 6));
        assert!(!includes(&read, 7, PARENT, 7));
        assert!(!includes(&read, 7, CHILD, 11), "the element may be that of the old shard");
        assert!(!includes(&read, 7, CHILD, 13));
    }
}
