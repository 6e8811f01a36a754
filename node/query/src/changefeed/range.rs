//! The changes of a table, of a range of it, of some keys, or of one document.

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Batch, Cx, FeedKind, Stream};
use photondb_reql::transform::Transform;
use photondb_runtime::clock::Moment;

use super::change::{self, Shown};
use super::initial::{Fate, Initial};
use super::members::Members;
use super::queue::{self, Queue};
use super::{FeedOptions, Resume, Squash};
use crate::catalog::Permission;
use crate::selection::TableRef;
use crate::table::{Change, Row, Subscription};

/// A feed that is open.
pub(crate) struct RangeFeed {
    table: TableRef,
    members: Members,
    options: FeedOptions,
    /// Of one document: `get(key)`. Its absence is shown too.
    point: bool,
    subscription: Box<dyn Subscription>,
    initial: Initial,
    /// Initial content that was read already.
    first: Option<Chunk>,
    stage: Stage,
    queue: Queue,
    /// Why nothing comes behind what was given last.
    end: Option<Error>,
}

/// Some initial content, as it is shown.
struct Chunk {
    shown: Batch,
    /// There were no rows.
    is_end: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Beginning,
    Initial { given: bool },
    Going,
}

impl RangeFeed {
    /// Opens it: what is committed from now on, or behind what its token says, will be seen. Errors: permission, no such index, a token
    /// of which no use can be made.
    pub fn open(
        table: TableRef,
        transforms: Vec<Transform>,
        point: bool,
        mut options: FeedOptions,
        cx: &Cx,
    ) -> Result<RangeFeed> {
        table.surroundings.require_on(Permission::Read, table.info())?;
        let (subscription, trail) = super::resume::subscribe(&table, &transforms, point, &options, cx)?;
        // Who goes on has been given it.
        options.include_initial &= !matches!(options.resume, Some(Resume::Behind(_)));
        let members = Members::of(&table, transforms, cx)?;
        let initial = Initial::open(&table, options.include_initial, cx)?;
        if table.info().system {
            options.squash = Squash::No;
        }
        let mut queue = Queue::new(&options);
        queue.trail = trail;
        let (first, stage, end) = (None, Stage::Beginning, None);
        let mut feed = RangeFeed { table, members, options, point, subscription, initial, first, stage, queue, end };
        if feed.options.include_initial {
            // The first chunk is that of the moment at which the feed is opened.
            let rows = feed.initial.first(cx)?;
            feed.first = Some(feed.chunk(rows, cx)?);
        }
        Ok(feed)
    }

    /// What is shown of rows. As in any read, an error ends the query; of a system table RethinkDB leaves out what fails.
    fn chunk(&self, rows: Vec<Row>, cx: &Cx) -> Result<Chunk> {
        let mut chunk = Chunk { shown: Batch::new(), is_end: rows.is_empty() };
        for row in rows {
            let often = match self.members.may_repeat() {
                false => 1,
                true => self.members.places(&row.document, cx)?.len(),
            };
            if often == 0 {
                continue;
            }
            let shown = match self.table.info().system {
                false => self.members.show_or_fail(&row.document, cx)?,
                true => self.members.show(&row.document, cx)?,
            };
            if let Some(shown) = shown.filter(is_something) {
                let initial = change::initial(shown, None, &self.options);
                chunk.shown.extend(std::iter::repeat_n(initial, often));
            }
        }
        Ok(chunk)
    }

    /// Takes what has come, without waiting.
    fn look(&mut self, cx: &Cx) -> Result<()> {
        let changes = self.subscription.try_next()?;
        self.take(changes, cx)
    }

    fn take(&mut self, changes: Vec<Change>, cx: &Cx) -> Result<()> {
        cx.steps_of(changes.len());
        follow(&mut self.queue, self.subscription.as_ref());
        for change in changes {
            take_one(&self.table, &self.members, &mut self.initial, &mut self.queue, &change, cx)?;
        }
        if let Some(trail) = &mut self.queue.trail {
            trail.passes(self.subscription.joins());
        }
        Ok(())
    }

    /// Some initial content, and behind it the changes that came meanwhile; `false` at the end of it.
    fn read_initial(&mut self, given: bool, out: &mut Batch, cx: &Cx) -> Result<bool> {
        let chunk = match self.first.take() {
            Some(chunk) => chunk,
            None => {
                let rows = self.initial.next(cx)?;
                self.chunk(rows, cx)?
            }
        };
        if chunk.is_end {
            if self.point && !given {
                out.push(change::initial(Datum::Null, None, &self.options));
            }
            return Ok(false);
        }
        out.extend(chunk.shown);
        // Once initial content is complete, changes come behind the state `ready`.
        if self.initial.is_complete() {
            self.content_is_read();
        } else {
            self.look(cx)?;
            self.queue.take(usize::MAX, &self.options, out, cx);
        }
        Ok(true)
    }
}

/// Whether there is anything to show: what a document became may be `null`, which a feed shows as the absence of one.
fn is_something(shown: &Datum) -> bool {
    !shown.is_null()
}

/// Lets the trail know of shards that were cut off.
fn follow(queue: &mut Queue, subscription: &dyn Subscription) {
    if let Some(trail) = &mut queue.trail {
        trail.hears_of(subscription.cuts());
    }
}

/// Takes a change, and lets the trail know.
fn take_one(
    table: &TableRef,
    members: &Members,
    initial: &mut Initial,
    queue: &mut Queue,
    change: &Change,
    cx: &Cx,
) -> Result<()> {
    if let Some(trail) = &mut queue.trail {
        trail.takes();
    }
    queue_elements(table, members, initial, queue, change, cx)?;
    if let Some(trail) = &mut queue.trail {
        trail.took(change);
    }
    Ok(())
}

fn queue_elements(
    table: &TableRef,
    members: &Members,
    initial: &mut Initial,
    queue: &mut Queue,
    change: &Change,
    cx: &Cx,
) -> Result<()> {
    let places = |document: &Option<Datum>| match document {
        Some(document) => members.places(document, cx),
        None => Ok(Vec::new()),
    };
    let (old_places, new_places) = (places(&change.old)?, places(&change.new)?);
    let Some(document) = change.new.as_ref().or(change.old.as_ref()) else { return Ok(()) };
    let key = document.field(&table.info().primary_key)?;
    let old_places = match initial.fate(&key, &new_places, change, cx)? {
        Fate::Drop => return Ok(()),
        Fate::Show => old_places,
        Fate::ShowAsNew => Vec::new(),
    };
    if old_places.is_empty() && new_places.is_empty() {
        return Ok(());
    }
    let show = |document: &Option<Datum>| match document {
        Some(document) => members.show(document, cx).map(|shown| shown.filter(is_something)),
        None => Ok(None),
    };
    let (old, new) = (show(&change.old)?, show(&change.new)?);
    for place in 0..old_places.len().max(new_places.len()) {
        let shown = Shown {
            old: old.clone().filter(|_| place < old_places.len()),
            new: new.clone().filter(|_| place < new_places.len()),
            ..Shown::default()
        };
        if shown.old != shown.new {
            queue.push(key.clone(), shown, cx);
        }
    }
    Ok(())
}

impl Stream for RangeFeed {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        if let Some(end) = self.end.take() {
            return Err(end);
        }
        let batch = self.read_batch(want, cx)?;
        // As in RethinkDB, what has come already is still given.
        if self.stage == Stage::Going {
            self.end = self.table.surroundings.require_still_read(self.table.info()).err();
        }
        Ok(batch)
    }

    fn feed(&self) -> Option<FeedKind> {
        Some(if self.point { FeedKind::Atom } else { FeedKind::Sequence })
    }

    fn shows_states(&self) -> bool {
        self.options.include_states
    }
}

impl RangeFeed {
    fn read_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        let mut out = Batch::new();
        loop {
            match self.stage {
                Stage::Beginning if self.options.include_initial => {
                    if self.options.include_states {
                        out.push(change::state("initializing", &self.options, None));
                    }
                    self.stage = Stage::Initial { given: false };
                }
                Stage::Initial { given } => {
                    let before = out.len();
                    if self.read_initial(given, &mut out, cx)? {
                        self.stage = Stage::Initial { given: given || out.len() > before };
                    } else {
                        self.stage = Stage::Beginning;
                        self.options.include_initial = false;
                    }
                }
                Stage::Beginning => {
                    self.content_is_read();
                    if self.options.include_states {
                        let token = self.queue.trail.as_mut().and_then(|trail| trail.stands());
                        out.push(change::state("ready", &self.options, token));
                    }
                    self.stage = Stage::Going;
                }
                Stage::Going => {
                    let asked = self.table.surroundings.environment.clock.now();
                    // What is there already goes out with what comes before it only if it is not to be squashed.
                    if out.is_empty() || self.options.squash == Squash::No {
                        self.look(cx)?;
                    }
                    if !out.is_empty() {
                        self.queue.take(want, &self.options, &mut out, cx);
                        return Ok(out);
                    }
                    while self.queue.is_empty() {
                        let changes = self.subscription.next()?;
                        self.take(changes, cx)?;
                    }
                    self.gather(asked, cx)?;
                    self.queue.take(want, &self.options, &mut out, cx);
                }
            }
            if !out.is_empty() && self.stage != Stage::Beginning {
                return Ok(out);
            }
        }
    }

    fn content_is_read(&mut self) {
        if let Some(trail) = &mut self.queue.trail {
            trail.content_is_read(self.initial.newest());
        }
    }

    fn gather(&mut self, asked: Moment, cx: &Cx) -> Result<()> {
        let RangeFeed { table, members, initial, subscription, queue, .. } = self;
        queue::gather(&table.surroundings, asked, queue, |queue| {
            let changes = subscription.try_next()?;
            follow(queue, subscription.as_ref());
            for change in changes {
                take_one(table, members, initial, queue, &change, cx)?;
            }
            Ok(())
        })
    }
}
