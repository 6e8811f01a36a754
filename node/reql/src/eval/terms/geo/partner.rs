//! `intersects` and `includes`: the geometry that each of many is held against, read once.

use super::as_geometry;
use crate::datum::Datum;
use crate::error::{Result, ResultExt};
use crate::eval::{Args, Cx};
use crate::geo::{Effort, Shape};
use crate::term::TermKind;

/// The second argument of one of these terms.
#[derive(Clone, Debug)]
pub struct Partner {
    includes: bool,
    /// What it describes. That it describes nothing is said only after the first argument was looked at, as in RethinkDB.
    shape: Result<Shape>,
}

impl Partner {
    /// Reads the second argument. `kind` is `intersects` or `includes`.
    pub fn read(kind: TermKind, args: &Args<'_>) -> Result<Partner> {
        let includes = kind == TermKind::Includes;
        let geometry = as_geometry(args.datum(1)?).at(args.id(1));
        if !includes && let Err(error) = geometry {
            return Err(error);
        }
        let shape = geometry.and_then(|geometry| Shape::of(&geometry, &mut Effort::new(args.cx())));
        Ok(Partner { includes, shape })
    }

    /// Whether the term holds for a geometry. Errors: either is not valid, or too complex to tell.
    pub fn holds_for(&self, geometry: &Datum, cx: &Cx) -> Result<bool> {
        let effort = &mut Effort::new(cx);
        let partner = || self.shape.as_ref().map_err(Clone::clone);
        if self.includes {
            return Shape::polygon_of(geometry, effort)?.includes(partner()?, effort);
        }
        Shape::of(geometry, effort)?.intersects(partner()?, effort)
    }
}
