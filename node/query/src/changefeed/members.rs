//! Which documents belong to a feed, how often, and what is shown of them.

use photondb_reql::datum::Datum;
use photondb_reql::error::{ErrorKind, Result};
use photondb_reql::eval::Cx;
use photondb_reql::transform::{Running, Transform};

use crate::index_function::IndexFunction;
use crate::selection::{self, Part, TableRef};
use crate::table::DatumRange;
use photondb_reql::geo::{Effort, Shape};

/// Decides it.
pub(super) struct Members {
    by: IndexFunction,
    which: Which,
    transforms: Vec<Transform>,
}

enum Which {
    Range(DatumRange),
    Each(Vec<Datum>),
    Intersecting(Box<Shape>),
}

impl Members {
    /// The members of a selection, shown after `transforms`. Errors: no such index.
    pub fn of(table: &TableRef, transforms: Vec<Transform>, cx: &Cx) -> Result<Members> {
        let primary_key = table.info().primary_key.clone();
        let index = table.reading_index().unwrap_or(primary_key);
        let which = match &table.part {
            Part::Slice(slice) => Which::Range(slice.range.clone().unwrap_or_else(DatumRange::all)),
            Part::Keys { keys, .. } => Which::Each(keys.clone()),
            Part::Intersecting { index, geometry } => {
                selection::require_geo(table, index, "get_intersecting")?;
                Which::Intersecting(Box::new(Shape::of(geometry, &mut Effort::new(cx))?))
            }
        };
        Ok(Members { by: IndexFunction::of(table, &index)?, which, transforms })
    }

    /// Whether a document may have several places.
    pub fn may_repeat(&self) -> bool {
        self.by.is_multi() || !matches!(self.which, Which::Range(_))
    }

    /// The places that the document has in the order of the index, within the selection.
    pub fn places(&self, document: &Datum, cx: &Cx) -> Result<Vec<Datum>> {
        let values = self.by.values(document, cx);
        Ok(match &self.which {
            Which::Range(range) => values.into_iter().filter(|value| range.contains(value)).collect(),
            Which::Each(keys) => values
                .into_iter()
                .flat_map(|value| {
                    let often = keys.iter().filter(|key| **key == value).count();
                    std::iter::repeat_n(value, often)
                })
                .collect(),
            Which::Intersecting(shape) => {
                let mut meeting = Vec::new();
                for value in values {
                    if selection::meets(shape, &value, cx)? {
                        meeting.push(value);
                    }
                }
                meeting
            }
        })
    }

    /// What is shown of a document; `None`: a filter leaves it out, or what is asked of it fails. As in an index, such a document is none
    /// of the selection. Errors: ours, and limits, which may be those of a moment and say nothing of the document.
    pub fn show(&self, document: &Datum, cx: &Cx) -> Result<Option<Datum>> {
        match self.show_or_fail(document, cx) {
            Err(error) if !matches!(error.kind, ErrorKind::Internal | ErrorKind::ResourceLimit) => Ok(None),
            shown => shown,
        }
    }

    /// The same of a document that is read, where an error ends the query.
    pub fn show_or_fail(&self, document: &Datum, cx: &Cx) -> Result<Option<Datum>> {
        if self.transforms.is_empty() {
            return Ok(Some(document.clone()));
        }
        let shown = Running::new(&self.transforms).push(vec![document.clone()], cx)?;
        Ok(shown.into_iter().next())
    }
}
