//! The changes of a table, of a range of it, of some keys, or of one document.

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::{Batch, Cx, FeedKind, Stream};
use photondb_reql::transform::Transform;

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
    first: Option<Vec<Row>>,
    stage: Stage,
    queue: Queue,
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
        let mut initial = Initial::open(&table, options.include_initial, cx)?;
        // The first chunk is that of the moment at which the feed is opened.
        let first = if options.include_initial { Some(initial.first(cx)?) } else { None };
        let mut queue = Queue::new(&options);
        queue.trail = trail;
        Ok(RangeFeed { table, members, options, point, subscription, initial, first, stage: Stage::Beginning, queue })
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
        let rows = match self.first.take() {
            Some(rows) => rows,
            None => self.initial.next(cx)?,
        };
        if rows.is_empty() {
            if self.point && !given {
                out.push(change::initial(Datum::Null, None, &self.options));
            }
            return Ok(false);
        }
        for row in rows {
            let often = match self.members.may_repeat() {
                false => 1,
                true => self.members.places(&row.document, cx)?.len(),
            };
            if often > 0
                && let Some(shown) = self.members.show(&row.document, cx)?
            {
                let initial = change::initial(shown, None, &self.options);
                out.extend(std::iter::repeat_n(initial, often));
            }
        }
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
        Some(document) => members.show(document, cx),
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
                    self.gather(cx)?;
                    self.queue.take(want, &self.options, &mut out, cx);
                }
            }
            if !out.is_empty() && self.stage != Stage::Beginning {
                return Ok(out);
            }
        }
    }

    fn feed(&self) -> Option<FeedKind> {
        Some(if self.point { FeedKind::Atom } else { FeedKind::Sequence })
    }
}

impl RangeFeed {
    fn content_is_read(&mut self) {
        if let Some(trail) = &mut self.queue.trail {
            trail.content_is_read(self.initial.newest());
        }
    }

    fn gather(&mut self, cx: &Cx) -> Result<()> {
        let RangeFeed { table, members, initial, subscription, queue, .. } = self;
        queue::gather(&table.surroundings, queue, |queue| {
            let changes = subscription.try_next()?;
            follow(queue, subscription.as_ref());
            for change in changes {
                take_one(table, members, initial, queue, &change, cx)?;
            }
            Ok(())
        })
    }
}
