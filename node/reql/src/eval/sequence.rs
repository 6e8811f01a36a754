//! Sequences: where elements come from, and what is done to each on the way. Nothing is read until somebody pulls.
//!
//! A sequence keeps its source and its transforms apart, so that `changes` can look at them, and so that the shard can
//! one day run the transforms beside the data with this same code.

use std::rc::Rc;

use crate::datum::{Array, Datum};
use crate::error::Result;
use crate::eval::context::Cx;
use crate::eval::value::TableValue;
use crate::transform::{Running, Transform};

/// Some elements in order. From [`Stream::next_batch`], an empty batch is the end.
pub type Batch = Vec<Datum>;

/// A source of batches.
pub trait Stream {
    /// About `want` elements, at least one; none only at the end. A feed parks the fiber until there is one.
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch>;

    /// What kind of changefeed this is; `None`: it ends by itself.
    fn feed(&self) -> Option<FeedKind> {
        None
    }
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

/// A sequence not yet read.
pub struct Sequence {
    /// Where elements come from.
    pub source: Source,
    /// What is done to them, in order.
    pub transforms: Vec<Transform>,
    /// The table whose whole documents the elements are, when they are: a selection, which can be written to.
    pub table: Option<Rc<dyn TableValue>>,
}

/// Where elements come from.
pub enum Source {
    /// An array in memory: the result is an array again.
    Array(Array),
    /// A table or a range of one, not yet opened.
    Table(Rc<dyn TableValue>),
    /// Anything else.
    Stream(Box<dyn Stream>),
}

impl Sequence {
    /// The elements of an array.
    pub fn array(array: Array) -> Sequence {
        Sequence { source: Source::Array(array), transforms: Vec::new(), table: None }
    }

    /// The documents of a table.
    pub fn table(table: Rc<dyn TableValue>) -> Sequence {
        Sequence { source: Source::Table(table.clone()), transforms: Vec::new(), table: Some(table) }
    }

    /// Whatever `stream` gives.
    pub fn stream(stream: Box<dyn Stream>) -> Sequence {
        Sequence { source: Source::Stream(stream), transforms: Vec::new(), table: None }
    }

    /// The same with one more transform. It stays a selection only when the transform keeps documents whole.
    pub fn then(mut self, transform: Transform) -> Sequence {
        if !transform.keeps_documents() {
            self.table = None;
        }
        self.transforms.push(transform);
        self
    }

    /// Whether the elements come from an array and so go back into one.
    pub fn is_array(&self) -> bool {
        matches!(self.source, Source::Array(_))
    }

    /// What kind of changefeed this is, if it is one.
    pub fn feed(&self) -> Option<FeedKind> {
        match &self.source {
            Source::Stream(stream) => stream.feed(),
            _ => None,
        }
    }

    /// Starts reading.
    pub fn open(self, cx: &Cx) -> Result<Box<dyn Stream>> {
        let stream: Box<dyn Stream> = match self.source {
            Source::Array(array) => Box::new(ArrayStream { array, next: 0 }),
            Source::Table(table) => table.open(cx)?,
            Source::Stream(stream) => stream,
        };
        if self.transforms.is_empty() {
            return Ok(stream);
        }
        Ok(Box::new(Transformed { stream, running: Running::new(&self.transforms), ended: false }))
    }
}

struct ArrayStream {
    array: Array,
    next: usize,
}

impl Stream for ArrayStream {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        let batch: Batch = self.array.iter().skip(self.next).take(want.max(1)).collect();
        self.next += batch.len();
        cx.steps(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        Ok(batch)
    }
}

struct Transformed {
    stream: Box<dyn Stream>,
    running: Running,
    ended: bool,
}

impl Stream for Transformed {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        while !self.ended {
            let batch = if self.running.satisfied() { Batch::new() } else { self.stream.next_batch(want, cx)? };
            self.ended = batch.is_empty();
            let batch = if self.ended { self.running.finish(cx)? } else { self.running.push(batch, cx)? };
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
        Ok(Batch::new())
    }

    fn feed(&self) -> Option<FeedKind> {
        self.stream.feed()
    }
}
