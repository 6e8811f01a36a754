//! Terms that RethinkDB has and PhotonDB does not: geography. They compile, and fail
//! when they are evaluated.

use crate::error::{Error, Result};
use crate::eval::{Args, Value};
use crate::term::TermKind;

/// Whether a term is one of those.
pub fn is_unsupported(kind: TermKind) -> bool {
    matches!(
        kind,
        TermKind::Geojson
            | TermKind::ToGeojson
            | TermKind::Point
            | TermKind::Line
            | TermKind::Polygon
            | TermKind::PolygonSub
            | TermKind::Circle
            | TermKind::Fill
            | TermKind::Distance
            | TermKind::Intersects
            | TermKind::Includes
            | TermKind::GetIntersecting
            | TermKind::GetNearest
    )
}

/// The answer to each of them.
pub fn refuse(args: &Args<'_>) -> Result<Value> {
    Err(Error::logic(format!("`{}` is not supported yet.", args.kind().name().to_ascii_lowercase())))
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn a_clear_answer() {
        check(&[("[159,[1,2]]", "QueryLogic: `point` is not supported yet.")]);
    }
}
