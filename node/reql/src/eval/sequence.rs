//! Sequences: where elements come from, and what is done to each on the way. Nothing is read until somebody pulls.
//!
//! A sequence keeps its source and its transforms apart, so that `changes` can look at them, and so that a table, when it is
//! opened, knows what will be done to its rows and can leave out those that would be dropped.

use std::rc::Rc;

use crate::datum::node::Node;
use crate::datum::{Array, Datum};
use crate::error::{Error, Result};
use crate::eval::context::Cx;
use crate::eval::terms::union;
use crate::eval::value::{TableValue, Value};
use crate::term::BacktraceId;
use crate::transform::{Aggregate, Running, Transform, grouped};

/// Some elements in order. From [`Stream::next_batch`], an empty batch is the end.
pub type Batch = Vec<Datum>;

/// How many elements are asked for at once where a sequence is read to its end.
const ELEMENTS_AT_ONCE: usize = 1_000;

/// Looks at an element where it lies, and answers whether that was all: of the others, a datum is made.
pub type Glance<'a> = dyn FnMut(Node<'_>) -> bool + 'a;

/// A source of batches.
pub trait Stream {
    /// About `want` elements, at least one; none only at the end. A feed parks the fiber until there is one.
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch>;

    /// Those of about `want` elements for which a glance is not all; `None`: the end.
    fn glance_batch(&mut self, want: usize, cx: &Cx, glance: &mut Glance<'_>) -> Result<Option<Batch>> {
        Ok(left_by(self.next_batch(want, cx)?, glance))
    }

    /// What kind of changefeed this is; `None`: it ends by itself.
    fn feed(&self) -> Option<FeedKind> {
        None
    }

    /// Whether it is a changefeed that says in its own elements how far it is, of which the client is told beside it.
    fn shows_states(&self) -> bool {
        false
    }

    /// Whether it never ends although it is no feed: `range()`.
    fn infinite(&self) -> bool {
        false
    }
}

/// What a glance leaves of a batch; `None` if there was nothing to look at.
pub fn left_by(mut batch: Batch, glance: &mut Glance<'_>) -> Option<Batch> {
    if batch.is_empty() {
        return None;
    }
    batch.retain(|element| !glance(element.node()));
    Some(batch)
}

/// The notes with which a changefeed's answers are marked (`ResponseNote` of the protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedKind {
    /// Note 1: `SEQUENCE_FEED`.
    Sequence,
    /// Note 2: `ATOM_FEED`, of one document.
    Atom,
    /// Note 3: `ORDER_BY_LIMIT_FEED`.
    OrderByLimit,
    /// Note 4: `UNIONED_FEED`.
    Unioned,
}

impl FeedKind {
    /// What two feeds are together.
    #[must_use]
    pub fn union(self, other: FeedKind) -> FeedKind {
        if self == other { self } else { FeedKind::Unioned }
    }
}

/// A sequence not yet read.
pub struct Sequence {
    /// Where elements come from.
    pub source: Source,
    /// What is done to them, in order.
    pub transforms: Vec<Transform>,
    /// The table whose whole documents the elements are, when they are: a selection, which can be written to.
    pub table: Option<Rc<dyn TableValue>>,
    /// The term whose result the first `limit`, `skip` or `slice` takes a part of, if one does.
    pub cut: Option<BacktraceId>,
}

/// Where elements come from.
pub enum Source {
    /// An array in memory: the result is an array again.
    Array(Array),
    /// A table or a range of one, not yet opened.
    Table(Rc<dyn TableValue>),
    /// Several sequences in no order among them, none of which is a feed, and not all are arrays.
    Union(Vec<Sequence>),
    /// Anything else.
    Stream(Box<dyn Stream>),
}

impl Source {
    fn open(self, transforms: &[Transform], cx: &Cx) -> Result<Box<dyn Stream>> {
        match self {
            Source::Array(array) => Ok(Box::new(ArrayStream { array, next: 0 })),
            Source::Table(table) => table.open(transforms, cx),
            Source::Union(sides) => union::chained(sides, cx),
            Source::Stream(stream) => Ok(stream),
        }
    }
}

impl Sequence {
    /// The elements of an array.
    pub fn array(array: Array) -> Sequence {
        Sequence::of(Source::Array(array), None)
    }

    /// The documents of a table.
    pub fn table(table: Rc<dyn TableValue>) -> Sequence {
        Sequence::of(Source::Table(table.clone()), Some(table))
    }

    /// Whatever `stream` gives.
    pub fn stream(stream: Box<dyn Stream>) -> Sequence {
        Sequence::of(Source::Stream(stream), None)
    }

    /// Some documents of a table, in memory: `SELECTION<ARRAY>`; without a table a plain array.
    pub fn selected(array: Array, table: Option<Rc<dyn TableValue>>) -> Sequence {
        Sequence::of(Source::Array(array), table)
    }

    /// What a source gives; with a table, whole documents of it.
    pub fn of(source: Source, table: Option<Rc<dyn TableValue>>) -> Sequence {
        Sequence { source, transforms: Vec::new(), table, cut: None }
    }

    /// The same, the result of the term `id`, of which a part is taken next.
    #[must_use]
    pub fn to_be_cut(mut self, id: BacktraceId) -> Sequence {
        self.cut = self.cut.or(Some(id));
        self
    }

    /// The same with one more transform. It stays a selection only when the transform keeps documents whole.
    #[must_use]
    pub fn then(mut self, transform: Transform) -> Sequence {
        if !transform.keeps_documents() {
            self.table = None;
        }
        self.transforms.push(transform);
        self
    }

    /// As the result of a term: what comes from an array is an array again, at once, unless it is grouped or a selection.
    pub fn into_value(self, cx: &Cx) -> Result<Value> {
        if self.is_plain_array() {
            return self.read_array(cx).map(|array| Value::Datum(array.into()));
        }
        Ok(Value::Sequence(self))
    }

    /// Whether the elements come from an array and so go back into one.
    pub fn is_array(&self) -> bool {
        matches!(self.source, Source::Array(_))
    }

    /// Whether what is made of it, several of its kind and a function is an array: it is one, perhaps of documents.
    pub fn is_eager(&self) -> bool {
        self.is_array() && !self.is_grouped()
    }

    /// Whether it is nothing but an array: no selection, no groups.
    pub fn is_plain_array(&self) -> bool {
        self.is_array() && self.table.is_none() && !self.is_grouped()
    }

    /// Whether `group` is among the transforms.
    pub fn is_grouped(&self) -> bool {
        self.transforms.iter().any(|transform| matches!(transform, Transform::Group(_)))
    }

    /// What kind of changefeed this is, if it is one.
    pub fn feed(&self) -> Option<FeedKind> {
        match &self.source {
            Source::Stream(stream) => stream.feed(),
            _ => None,
        }
    }

    /// Whether it is a changefeed that says how far it is. RethinkDB asks only the feed itself, not one of which a part is taken.
    pub fn shows_states(&self) -> bool {
        let is_part = |transform: &Transform| {
            matches!(transform, Transform::Limit(_) | Transform::Skip(_) | Transform::OffsetsOf(_))
        };
        matches!(&self.source, Source::Stream(stream) if stream.shows_states()) && !self.transforms.iter().any(is_part)
    }

    /// Whether it goes on for ever, and no `limit` ends it.
    pub fn infinite(&self) -> bool {
        let endless = match &self.source {
            Source::Stream(stream) => stream.infinite(),
            Source::Union(sides) => sides.iter().any(Sequence::infinite),
            Source::Array(_) | Source::Table(_) => false,
        };
        endless && !self.transforms.iter().any(|transform| matches!(transform, Transform::Limit(_)))
    }

    /// Whether what has no end is read by whoever reads all of it. RethinkDB tells the source that everything is wanted, and
    /// the source does not know that a `limit` stands in between; only where nothing is wanted it is not asked.
    fn reads_what_never_ends(&self) -> bool {
        let endless = match &self.source {
            Source::Stream(stream) => stream.infinite(),
            Source::Union(sides) => sides.iter().any(Sequence::reads_what_never_ends),
            Source::Array(_) | Source::Table(_) => false,
        };
        endless && !self.wants_nothing()
    }

    fn wants_nothing(&self) -> bool {
        self.transforms.iter().any(|transform| matches!(transform, Transform::Limit(0)))
    }

    /// Refuses what never ends, and a part of it, for whoever reads to the end.
    pub fn check_finite(&self) -> Result<()> {
        let message = if self.feed().is_some() && !self.wants_nothing() {
            "Cannot call a terminal (`reduce`, `count`, etc.) on an infinite stream (such as a changefeed)."
        } else if self.reads_what_never_ends() {
            "Cannot use an infinite stream with an aggregation function (`reduce`, `count`, etc.) or coerce it to an array."
        } else {
            return Ok(());
        };
        let error = Error::logic(message);
        Err(match self.cut {
            Some(id) => error.at(id),
            None => error,
        })
    }

    /// Whether it is seen to have no elements before anything is read.
    pub fn is_exhausted(&self) -> bool {
        let nothing = match &self.source {
            Source::Array(array) => array.is_empty(),
            Source::Table(table) => table.is_nothing(),
            Source::Union(_) | Source::Stream(_) => false,
        };
        nothing || self.wants_nothing()
    }

    /// Refuses groups, which have no order in which to read them.
    pub fn check_ungrouped(&self) -> Result<()> {
        if self.is_grouped() {
            return Err(Error::logic("Cannot treat the output of `group` as a stream (did you mean to `ungroup`?)."));
        }
        Ok(())
    }

    /// Starts reading.
    pub fn open(self, cx: &Cx) -> Result<Box<dyn Stream>> {
        self.check_ungrouped()?;
        let stream = self.source.open(&self.transforms, cx)?;
        if self.transforms.is_empty() {
            return Ok(stream);
        }
        Ok(Box::new(Transformed { stream, running: Running::new(&self.transforms), ended: false }))
    }

    /// Reads the source to its end. `glance` sees each element as it is there; what it leaves goes through the transforms,
    /// which remember nothing, and then to `each`.
    pub fn for_each_left(
        self,
        cx: &Cx,
        mut glance: impl FnMut(Node<'_>) -> bool,
        mut each: impl FnMut(Batch) -> Result<()>,
    ) -> Result<()> {
        self.check_finite()?;
        let mut stream = self.source.open(&self.transforms, cx)?;
        let mut running = Running::new(&self.transforms);
        while let Some(batch) = stream.glance_batch(ELEMENTS_AT_ONCE, cx, &mut glance)? {
            if !batch.is_empty() {
                each(running.push(batch, cx)?)?;
            }
        }
        Ok(())
    }

    /// Calls `each` with every batch until there is none, or until it answers that it has seen enough.
    pub fn for_each_batch(self, cx: &Cx, mut each: impl FnMut(Batch) -> Result<Reading>) -> Result<()> {
        self.check_finite()?;
        self.pull(cx, &mut each)
    }

    fn pull(self, cx: &Cx, each: &mut dyn FnMut(Batch) -> Result<Reading>) -> Result<()> {
        let mut stream = self.open(cx)?;
        loop {
            let batch = stream.next_batch(ELEMENTS_AT_ONCE, cx)?;
            if batch.is_empty() || each(batch)? == Reading::Enough {
                return Ok(());
            }
        }
    }

    /// Every element, in an array. Errors: the array limit.
    pub fn read_array(self, cx: &Cx) -> Result<Array> {
        self.check_finite()?;
        self.gather(cx)
    }

    /// The same as an answer: who takes batch after batch may take them of what a `limit` ends.
    pub fn read_answer(self, cx: &Cx) -> Result<Array> {
        if self.feed().is_some() || self.infinite() {
            self.check_finite()?;
        }
        self.gather(cx)
    }

    fn gather(self, cx: &Cx) -> Result<Array> {
        if self.transforms.is_empty()
            && let Source::Array(array) = self.source
        {
            return Ok(array);
        }
        let mut all = Vec::new();
        self.pull(cx, &mut |mut batch| {
            cx.hold_all(&batch)?;
            if all.is_empty() {
                all = batch;
            } else {
                all.append(&mut batch);
            }
            cx.check_array_length(all.len())?;
            Ok(Reading::On)
        })?;
        Ok(Array::from(all))
    }

    /// Every element, however many. For what becomes part of something that is itself limited.
    pub fn read_unlimited(self, cx: &Cx) -> Result<Batch> {
        let mut all = Batch::new();
        self.for_each_batch(cx, |mut batch| {
            cx.hold_all(&batch)?;
            if all.is_empty() {
                all = batch;
            } else {
                all.append(&mut batch);
            }
            Ok(Reading::On)
        })?;
        Ok(all)
    }

    /// Every group's elements, in arrays, in the order of groups. Errors: the array limit over all groups.
    pub fn read_groups(self, cx: &Cx) -> Result<Vec<(Datum, Value)>> {
        grouped::run(self, &Aggregate::Collect, cx)
    }
}

/// Whether a reader goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It wants more.
    On,
    /// It has seen enough.
    Enough,
}

struct ArrayStream {
    array: Array,
    next: usize,
}

impl Stream for ArrayStream {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        let end = self.array.len().min(self.next.saturating_add(want.max(1)));
        let batch: Batch = (self.next..end).filter_map(|index| self.array.get(index)).collect();
        self.next = end;
        cx.steps_of(batch.len());
        Ok(batch)
    }
}

struct Transformed {
    stream: Box<dyn Stream>,
    running: Running,
    ended: bool,
}

impl Transformed {
    /// About `want` elements, without those that the first filters are seen to drop; `None`: the end.
    fn read(&mut self, want: usize, cx: &Cx) -> Result<Option<Batch>> {
        let want = self.running.wants(want);
        let filters = self.running.first_filters();
        if filters.is_empty() {
            let batch = self.stream.next_batch(want, cx)?;
            return Ok((!batch.is_empty()).then_some(batch));
        }
        self.stream.glance_batch(want, cx, &mut |element| filters.keep(element) == Some(false))
    }
}

impl Stream for Transformed {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        while !self.ended {
            let batch = if self.running.satisfied() { None } else { self.read(want, cx)? };
            self.ended = batch.is_none();
            let batch = match batch {
                None => self.running.finish(cx)?,
                Some(batch) => self.running.push(batch, cx)?,
            };
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
        Ok(Batch::new())
    }

    fn feed(&self) -> Option<FeedKind> {
        self.stream.feed()
    }

    fn infinite(&self) -> bool {
        self.stream.infinite()
    }
}
