//! The changes of the first so many elements in the order of an index.
//!
//! The elements are kept here. A change is applied to them; only when an element leaves and nothing is known to take its
//! place are they read again, and changes which that snapshot includes are then left out.

mod found;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use photondb_proto::KeyRange;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Batch, Cx, FeedKind, Stream};
use photondb_reql::key::PrimaryKey;
use photondb_reql::transform::Transform;

use super::change::{self, Shown};
use super::members::Members;
use super::queue::{self, Queue};
use super::{FeedOptions, Squash};
use crate::catalog::Permission;
use crate::limits::{CHANGEFEED_QUEUE_SIZE, SCAN_BATCH_ROWS};
use crate::selection::TableRef;
use crate::table::{Change, Order, Progress, Subscription};
use found::Found;

/// A feed that is open.
pub(crate) struct LimitFeed {
    state: State,
    options: FeedOptions,
    subscription: Box<dyn Subscription>,
    queue: Queue,
    begun: bool,
    /// Why nothing comes behind what was given last.
    end: Option<Error>,
}

struct State {
    table: TableRef,
    members: Members,
    descending: bool,
    limit: usize,
    items: Vec<Item>,
    /// Where changes are squashed: the elements as they were told last, if they have changed since. Which one came for which that left is
    /// told of both states at once: told of each change and then put together it would be in no order.
    told: Option<Vec<Item>>,
    squashes: bool,
    /// Whether it is told where elements stand.
    offsets: bool,
    /// Bytes that are counted of them.
    held: usize,
    read: ReadFrom,
}

/// Which snapshots the elements were last read from: of each lane of the scan the oldest one. A change that a later one includes is only
/// applied once more. All that happened to one key is ordered by index, whosever it was.
#[derive(Default)]
struct ReadFrom(Vec<(KeyRange, u64)>);

/// One element.
#[derive(Clone, Debug)]
struct Item {
    place: Datum,
    key: Datum,
    /// Which of the places of its document this is.
    number: usize,
    shown: Datum,
}

impl LimitFeed {
    /// Opens the feed of the first `limit` elements of an ordered slice. Errors: permission, no such index.
    pub fn open(
        table: TableRef,
        transforms: Vec<Transform>,
        limit: usize,
        mut options: FeedOptions,
        cx: &Cx,
    ) -> Result<LimitFeed> {
        // In RethinkDB such a feed holds whatever comes, whoever asks for less.
        options.queue_size = options.queue_size.max(CHANGEFEED_QUEUE_SIZE);
        table.surroundings.require_on(Permission::Read, table.info())?;
        let members = Members::of(&table, transforms, cx)?;
        let descending = table.as_slice().is_some_and(|slice| slice.order == Order::Descending);
        let subscription = table.table.subscribe()?;
        let (items, read, squashes) = (Vec::new(), ReadFrom::default(), options.squash != Squash::No);
        let offsets = options.include_offsets;
        let mut state =
            State { table, members, descending, limit, items, told: None, squashes, offsets, held: 0, read };
        state.read(cx)?;
        Ok(LimitFeed { queue: Queue::new(&options), state, options, subscription, begun: false, end: None })
    }
}

impl Item {
    /// By which it is the same one in another list.
    fn identity(&self) -> (&Datum, usize) {
        (&self.key, self.number)
    }

    fn footprint(&self) -> usize {
        [&self.place, &self.key, &self.shown].map(Datum::footprint).into_iter().fold(0, usize::saturating_add)
    }
}

impl ReadFrom {
    fn of(lanes: &[Progress]) -> ReadFrom {
        ReadFrom(lanes.iter().filter_map(|lane| Some((lane.keys.clone(), lane.snapshots?.first))).collect())
    }

    /// Whether the elements include a change of this key.
    fn includes(&self, key: &Datum, index: u64) -> bool {
        let Ok(key) = PrimaryKey::new(key) else { return false };
        self.0.iter().any(|(keys, oldest)| index <= *oldest && keys.contains(key.as_bytes()))
    }
}

impl State {
    fn order(&self, left: &Item, right: &Item) -> Ordering {
        let order = left.place.cmp(&right.place).then_with(|| left.key.cmp(&right.key));
        let order = order.then(left.number.cmp(&right.number));
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
        let mut found = Found::default();
        while found.items.len() < self.limit {
            let batch = rows.next_batch((self.limit - found.items.len()).clamp(1, SCAN_BATCH_ROWS))?;
            if batch.is_empty() {
                break;
            }
            for row in batch {
                if found.items.len() == self.limit {
                    break;
                }
                let key = row.document.field(&self.table.info().primary_key)?;
                if let Some(shown) = self.members.show(&row.document, cx)? {
                    let place = row.index_value.unwrap_or_else(|| key.clone());
                    let number = self.number_of(&place, &key, &row.document, &found.items, cx)?;
                    found.add(Item { place, key, number, shown }, &row.document);
                } else {
                    found.forget(&key);
                }
            }
            cx.hold_instead(&mut self.held, found.bytes)?;
        }
        self.items = found.items;
        self.read = ReadFrom::of(rows.progress());
        self.count(cx)
    }

    /// Which of the places of its document a place is that was read behind `items`: an index may have the same value of it several times.
    fn number_of(&self, place: &Datum, key: &Datum, document: &Datum, items: &[Item], cx: &Cx) -> Result<usize> {
        if !self.members.may_repeat() {
            return Ok(0);
        }
        let is_same = |item: &&Item| item.key == *key && item.place == *place;
        let before = items.iter().rev().take_while(is_same).count();
        let places = self.members.places(document, cx)?;
        let mut numbers = places.iter().enumerate().filter(|(_, other)| *other == place).map(|(number, _)| number);
        let number = if self.descending { numbers.nth_back(before) } else { numbers.nth(before) };
        Ok(number.unwrap_or(0))
    }

    /// Counts what is kept, in place of what was counted.
    fn count(&mut self, cx: &Cx) -> Result<()> {
        let kept = self.told.iter().flatten().chain(&self.items);
        let bytes = kept.map(Item::footprint).fold(0, usize::saturating_add);
        cx.hold_instead(&mut self.held, bytes)
    }

    /// Applies a change and says what became of the elements.
    fn apply(&mut self, change: &Change, queue: &mut Queue, cx: &Cx) -> Result<()> {
        let Some(document) = change.new.as_ref().or(change.old.as_ref()) else { return Ok(()) };
        let key = document.field(&self.table.info().primary_key)?;
        if self.read.includes(&key, change.position.index) {
            return Ok(());
        }
        let before = self.items.clone();
        let was_full = before.len() == self.limit;
        self.items.retain(|item| item.key != key);
        if let Some(new) = &change.new
            && let Some(shown) = self.members.show(new, cx)?
        {
            for (number, place) in self.members.places(new, cx)?.into_iter().enumerate() {
                let item = Item { place, key: key.clone(), number, shown: shown.clone() };
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
        if self.squashes {
            self.told.get_or_insert(before);
        } else {
            self.push(&before, queue, cx);
        }
        self.count(cx)
    }

    /// Puts what has changed since into the queue, once everything before was given.
    fn tell(&mut self, queue: &mut Queue, cx: &Cx) {
        if queue.is_empty()
            && let Some(told) = self.told.take()
        {
            self.push(&told, queue, cx);
            queue.release();
        }
    }

    /// Puts what has changed since the elements were these into the queue.
    fn push(&self, before: &[Item], queue: &mut Queue, cx: &Cx) {
        for (key, shown) in differences(before, &self.items, self.offsets, |left, right| self.order(left, right)) {
            queue.push(key, shown, cx);
        }
    }
}

/// What changed between two lists in one order, step by step: elements that stayed and differ, and for each that left one that came, if any
/// did. Offsets are those of the list as the steps before have left it. Who is told them is told of an element that only moved, too.
fn differences<'a>(
    before: &'a [Item],
    after: &'a [Item],
    offsets: bool,
    order: impl Fn(&Item, &Item) -> Ordering,
) -> Vec<(Datum, Shown)> {
    let was: BTreeSet<_> = before.iter().map(Item::identity).collect();
    let is: BTreeMap<_, _> = after.iter().map(|item| (item.identity(), item)).collect();
    // Of one document several elements may change, and none of them is told in place of another.
    let name = |item: &Item| Datum::from(vec![item.key.clone(), Datum::from(item.number)]);
    let mut now: Vec<&'a Item> = before.iter().collect();
    let mut replace = |old: Option<&'a Item>, new: Option<&'a Item>| {
        let old_offset = old.and_then(|old| now.iter().position(|item| item.identity() == old.identity()));
        if let Some(offset) = old_offset {
            now.remove(offset);
        }
        let new_offset = new.map(|new| {
            let offset = now.partition_point(|item| order(item, new) == Ordering::Less);
            now.insert(offset, new);
            offset
        });
        Shown { old: old.map(|old| old.shown.clone()), new: new.map(|new| new.shown.clone()), old_offset, new_offset }
    };
    let mut out = Vec::new();
    let mut left = Vec::new();
    for old in before {
        match is.get(&old.identity()) {
            None => left.push(old),
            Some(&new) if old.shown != new.shown || old.place != new.place => {
                let shown = replace(Some(old), Some(new));
                if shown.old != shown.new || (offsets && shown.old_offset != shown.new_offset) {
                    out.push((name(old), shown));
                }
            }
            Some(_) => {}
        }
    }
    let mut came = after.iter().filter(|new| !was.contains(&new.identity()));
    for old in left {
        out.push((name(old), replace(Some(old), came.next())));
    }
    for new in came {
        out.push((name(new), replace(None, Some(new))));
    }
    out
}

impl Stream for LimitFeed {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        if let Some(end) = self.end.take() {
            return Err(end);
        }
        let batch = self.read_batch(want, cx)?;
        // As in RethinkDB, what has come already is still given.
        let table = &self.state.table;
        self.end = table.surroundings.require_still_read(table.info()).err();
        Ok(batch)
    }

    fn feed(&self) -> Option<FeedKind> {
        Some(FeedKind::OrderByLimit)
    }

    fn shows_states(&self) -> bool {
        self.options.include_states
    }
}

impl LimitFeed {
    fn read_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
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
        let asked = self.state.table.surroundings.environment.clock.now();
        while out.is_empty() {
            for change in self.subscription.try_next()? {
                self.state.apply(&change, &mut self.queue, cx)?;
            }
            while self.queue.is_empty() && self.state.told.is_none() {
                for change in self.subscription.next()? {
                    self.state.apply(&change, &mut self.queue, cx)?;
                }
            }
            let LimitFeed { state, subscription, queue, .. } = self;
            let surroundings = state.table.surroundings.clone();
            queue::gather(&surroundings, asked, queue, |queue| {
                for change in subscription.try_next()? {
                    state.apply(&change, queue, cx)?;
                }
                Ok(())
            })?;
            self.state.tell(&mut self.queue, cx);
            self.queue.take(want, &self.options, &mut out, cx);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Position, ShardNumber};

    fn items(list: &[(i32, i32)]) -> Vec<Item> {
        list.iter()
            .map(|(key, shown)| {
                let key = Datum::from(*key);
                Item { place: key.clone(), key, number: 0, shown: Datum::from(*shown) }
            })
            .collect()
    }

    fn changed(before: &[Item], after: &[Item], offsets: bool) -> Vec<(Datum, Shown)> {
        differences(before, after, offsets, |left, right| left.place.cmp(&right.place))
    }

    #[test]
    fn an_element_that_leaves_is_paired_with_one_that_comes() {
        let found = changed(&items(&[(1, 1), (2, 2)]), &items(&[(2, 2), (3, 3)]), false);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1.old, Some(Datum::from(1)));
        assert_eq!(found[0].1.new, Some(Datum::from(3)));
        assert_eq!((found[0].1.old_offset, found[0].1.new_offset), (Some(0), Some(1)));
    }

    #[test]
    fn an_element_that_stays_and_differs_is_one_change() {
        let found = changed(&items(&[(1, 1), (2, 2)]), &items(&[(1, 5), (2, 2)]), false);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].1.old.clone(), found[0].1.new.clone()), (Some(Datum::from(1)), Some(Datum::from(5))));
    }

    #[test]
    fn an_element_that_only_moves_is_a_change_where_offsets_are_told() {
        let before = items(&[(1, 1), (2, 2)]);
        let mut after = before.clone();
        after[1].place = Datum::from(0);
        after.reverse();
        assert!(changed(&before, &after, false).is_empty());
        let found = changed(&before, &after, true);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].1.old_offset, found[0].1.new_offset), (Some(1), Some(0)));
    }

    /// They stay two changes where they are squashed by what they are of.
    #[test]
    fn elements_of_one_document_are_told_apart() {
        let (mut before, mut after) = (items(&[(1, 1), (1, 1)]), items(&[(1, 5), (1, 5)]));
        for list in [&mut before, &mut after] {
            list[1].number = 1;
        }
        let found = changed(&before, &after, false);
        assert_eq!(found.len(), 2);
        assert_ne!(found[0].0, found[1].0);
    }

    /// As RethinkDB's documentation has it: out of the list at the old offset, into it at the new one.
    #[test]
    fn steps_lead_from_one_list_to_the_other() {
        let before = items(&[(1, 1), (2, 2), (3, 3), (4, 4)]);
        for after in [
            items(&[]),
            items(&[(2, 2), (4, 4)]),
            items(&[(0, 0), (2, 7), (3, 3), (6, 6)]),
            items(&[(5, 5), (6, 6), (7, 7), (8, 8)]),
        ] {
            let mut shown: Vec<Datum> = before.iter().map(|item| item.shown.clone()).collect();
            for (_, step) in changed(&before, &after, true) {
                if let Some(offset) = step.old_offset {
                    assert_eq!(Some(shown.remove(offset)), step.old);
                }
                if let (Some(offset), Some(new)) = (step.new_offset, step.new) {
                    shown.insert(offset, new);
                }
            }
            assert_eq!(shown, after.iter().map(|item| item.shown.clone()).collect::<Vec<_>>());
        }
    }

    /// A lane of the keys from one number to another that was read from these snapshots.
    fn lane(keys: [i32; 2], shard: u64, [first, last]: [u64; 2]) -> Progress {
        let [start, end] = keys.map(|key| PrimaryKey::new(&Datum::from(key)).expect("can be a key").bytes().to_vec());
        let mut lane = Progress::ahead(KeyRange::new(start, Some(end)).expect("has keys"), ShardNumber(shard));
        [first, last].into_iter().for_each(|index| lane.looks(Position { shard: lane.shard, index }));
        lane
    }

    fn includes(lanes: &[Progress], key: i32, index: u64) -> bool {
        ReadFrom::of(lanes).includes(&Datum::from(key), index)
    }

    #[test]
    fn a_change_is_applied_unless_the_snapshots_of_its_key_include_it() {
        let lanes = [lane([0, 5], 1, [11, 11]), lane([5, 9], 2, [12, 14])];
        for (key, index, is_included) in
            [(3, 11, true), (3, 12, false), (7, 9, true), (7, 12, true), (7, 13, false), (9, 1, false)]
        {
            assert_eq!(includes(&lanes, key, index), is_included, "{key} {index}");
        }
        let ahead = Progress::ahead(KeyRange::all(), ShardNumber(1));
        assert!(!includes(&[ahead], 3, 0), "of a lane that was not read nothing is included");
    }

    #[test]
    fn a_lane_that_was_cut_counts_as_old_as_the_other_one() {
        let old = lane([0, 5], 1, [6, 6]);
        let mut new = Progress { of: Some(0), ..lane([5, 9], 1, [6, 6]) };
        new.looks(Position { shard: ShardNumber(2), index: 12 });
        let lanes = [old, new];
        assert!(includes(&lanes, 7, 6));
        assert!(!includes(&lanes, 7, 7), "the element may be one that the old shard gave");
        assert!(!includes(&lanes, 7, 13));
    }

    #[test]
    fn a_lane_that_another_shard_joined_counts_as_old_as_it_was_before() {
        let mut right = lane([5, 9], 2, [6, 8]);
        right.looks(Position { shard: ShardNumber(1), index: 12 });
        let lanes = [lane([0, 5], 1, [3, 12]), right];
        assert!(includes(&lanes, 7, 6) && !includes(&lanes, 7, 7));
        assert!(includes(&lanes, 3, 3) && !includes(&lanes, 3, 4), "a lane counts by itself");
        assert!(includes(&[lane([5, 9], 1, [12, 12])], 7, 8), "all of the right shard comes before the join");
    }
}
