//! The set terms: arrays as sets, in the order of first appearance.

use std::collections::BTreeSet;

use crate::datum::{Array, Datum};
use crate::error::Result;
use crate::eval::terms::arithmetic::check_length;
use crate::eval::{Args, Value};

/// `set_insert`.
pub fn insert(args: &Args<'_>) -> Result<Value> {
    let (array, element) = (args.datum(0)?, args.datum(1)?);
    let items = array.as_array()?.iter().chain(std::iter::once(element));
    collect(args, items, BTreeSet::new())
}

/// `set_union`.
pub fn union(args: &Args<'_>) -> Result<Value> {
    let (left, right) = operands(args)?;
    collect(args, left.iter().chain(right.iter()), BTreeSet::new())
}

/// `set_intersection`, in the order of the second array.
pub fn intersection(args: &Args<'_>) -> Result<Value> {
    let (left, right) = operands(args)?;
    let mut wanted: BTreeSet<Datum> = left.iter().collect();
    let common: Vec<Datum> = right.iter().filter(|item| wanted.remove(item)).collect();
    check_length(common.len(), args.cx().limits())?;
    Ok(Datum::from(common).into())
}

/// `set_difference`.
pub fn difference(args: &Args<'_>) -> Result<Value> {
    let (left, right) = operands(args)?;
    collect(args, left.iter(), right.iter().collect())
}

fn operands(args: &Args<'_>) -> Result<(Array, Array)> {
    let (left, right) = (args.datum(0)?, args.datum(1)?);
    Ok((left.as_array()?.clone(), right.as_array()?.clone()))
}

/// The items that were not `seen` before, each once.
fn collect(args: &Args<'_>, items: impl Iterator<Item = Datum>, mut seen: BTreeSet<Datum>) -> Result<Value> {
    let fresh: Vec<Datum> = items.filter(|item| seen.insert(item.clone())).collect();
    check_length(fresh.len(), args.cx().limits())?;
    Ok(Datum::from(fresh).into())
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn arrays_as_sets() {
        check(&[
            ("[88,[[2,[1,1,2]],3]]", "[1,2,3]"),
            ("[88,[[2,[1]],1]]", "[1]"),
            ("[90,[[2,[1,1]],[2,[2,1]]]]", "[1,2]"),
            ("[89,[[2,[1,2,3]],[2,[3,1,1]]]]", "[3,1]"),
            ("[91,[[2,[1,1,2]],[2,[2]]]]", "[1]"),
            ("[91,[false,[2,[5]]]]", "QueryLogic: Expected type ARRAY but found BOOL."),
        ]);
    }
}
