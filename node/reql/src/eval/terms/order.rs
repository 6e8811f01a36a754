//! `order_by` without an index: the elements are read, and sorted in memory.

use std::cmp::Ordering;

use crate::datum::{Array, Datum};
use crate::error::{Error, Result};
use crate::eval::signature::expected_kind;
use crate::eval::{Args, Cx, Func, Node, Sequence, Shortcut, Value};
use crate::term::TermKind;

/// What elements are ordered by.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The value that counts; elements on which it fails for want of a field come first.
    pub by: Func,
    /// Whether the order is turned around.
    pub descending: bool,
}

impl Comparison {
    /// What an argument of `order_by` asks for: `asc(..)`, `desc(..)`, a field's name or a function.
    pub fn of_argument(args: &Args<'_>, index: usize) -> Result<Comparison> {
        let descending = args.call().args.get(index).is_some_and(|node| node.kind() == TermKind::Desc);
        Comparison::new(args.function(index, Shortcut::GetField)?, descending)
    }

    /// A comparison by what a function gives. Errors: that may be something else each time.
    pub fn new(by: Func, descending: bool) -> Result<Comparison> {
        let traits = by.traits();
        if traits.nondeterministic || traits.touches_world {
            return Err(Error::logic("Sorting by a non-deterministic function is not supported."));
        }
        Ok(Comparison { by, descending })
    }

    /// The value of an element that counts; `None`: it has none.
    pub fn key(&self, element: &Datum, cx: &Cx) -> Result<Option<Datum>> {
        match self.by.apply(element.clone(), cx) {
            Ok(key) => Ok(Some(key)),
            Err(error) if error.is_non_existence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The order of two elements by their values.
    pub fn order(&self, left: Option<&Datum>, right: Option<&Datum>) -> Ordering {
        let order = left.cmp(&right);
        if self.descending { order.reverse() } else { order }
    }
}

/// The arguments of `order_by` after the first. `r.args` is refused, also as the first.
pub fn comparisons(args: &Args<'_>) -> Result<Vec<Comparison>> {
    if args.call().args.iter().any(|node| matches!(node, Node::Call(call) if call.kind == TermKind::Args)) {
        return Err(Error::logic("r.args is not supported in an order_by or union command yet."));
    }
    (1..args.len()).map(|index| Comparison::of_argument(args, index)).collect()
}

/// Sorts elements; equal ones keep their order.
pub fn sort(elements: &mut [Datum], comparisons: &[Comparison], cx: &Cx) -> Result<()> {
    // Later comparisons are only asked about elements that earlier ones find equal.
    let Some((first, rest)) = comparisons.split_first() else { return Ok(()) };
    if elements.len() < 2 {
        return Ok(());
    }
    let mark = cx.held();
    let mut keyed = Vec::with_capacity(elements.len());
    for element in elements.iter_mut() {
        let key = first.key(element, cx)?;
        cx.hold(key.as_ref().map_or(0, Datum::footprint) + size_of::<Datum>())?;
        keyed.push((key, std::mem::replace(element, Datum::Null)));
    }
    keyed.sort_by(|(left, _), (right, _)| {
        cx.step();
        first.order(left.as_ref(), right.as_ref())
    });
    let mut keys = Vec::with_capacity(keyed.len());
    for (place, (key, element)) in elements.iter_mut().zip(keyed) {
        *place = element;
        keys.push(key);
    }
    let mut start = 0;
    while !rest.is_empty() && start < keys.len() {
        let end = keys[start..].iter().position(|key| *key != keys[start]).map_or(keys.len(), |length| start + length);
        sort(&mut elements[start..end], rest, cx)?;
        start = end;
    }
    cx.release_to(mark);
    Ok(())
}

/// `order_by`.
pub fn order_by(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let comparisons = comparisons(args)?;
    let first = args.value(0)?;
    // Nothing at all is in every order already, and stays a stream. A range is looked at only when it is read.
    let exhausted = match &first {
        Value::Datum(Datum::Array(elements)) => elements.is_empty(),
        Value::Sequence(sequence) => sequence.is_exhausted(),
        Value::Table(table) => table.is_nothing() && first.kind_name() == "SELECTION",
        _ => false,
    };
    if args.optarg_node("index").is_some() {
        if !matches!(first, Value::Table(_) | Value::Sequence(_) | Value::Datum(Datum::Array(_))) {
            return Err(expected_kind("SEQUENCE", &first).at(args.id(0)));
        }
        // It may fail, and is asked for whether there is something to order or not.
        args.optarg("index")?;
        if exhausted {
            return Ok(first);
        }
        return Err(Error::logic(
            "Indexed order_by can only be performed on a TABLE or TABLE_SLICE. Make sure order_by comes before any \
             transformations (such as map) or filters.",
        ));
    }
    let sequence = args.value_as_finite_sequence(0, first)?;
    if comparisons.is_empty() {
        return Err(Error::logic("Must specify something to order by."));
    }
    if exhausted {
        return sequence.into_value(cx);
    }
    let table = sequence.table.clone();
    let mut elements = sequence.read_array(cx)?.into_vec();
    sort(&mut elements, &comparisons, cx)?;
    Sequence::selected(Array::from(elements), table).into_value(cx)
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn by_several_things_and_stably() {
        check(&[
            (
                r#"[41,[[2,[{"a":2,"i":0},{"a":1,"i":1},{"i":2},{"a":2,"i":3}]],"a"]]"#,
                r#"[{"i":2},{"a":1,"i":1},{"a":2,"i":0},{"a":2,"i":3}]"#,
            ),
            (
                r#"[41,[[2,[{"a":2,"i":0},{"a":1,"i":1},{"i":2},{"a":2,"i":3}]],[74,["a"]]]]"#,
                r#"[{"a":2,"i":0},{"a":2,"i":3},{"a":1,"i":1},{"i":2}]"#,
            ),
            (r#"[41,[[2,[{"a":1,"i":0},{"a":1,"i":1}]],"a",[74,["i"]]]]"#, r#"[{"a":1,"i":1},{"a":1,"i":0}]"#),
            ("[41,[[2,[3,1,2]],[69,[[2,[1]],[25,[0,[10,[1]]]]]]]]", "[3,2,1]"),
            ("[41,[[2,[1]]]]", "QueryLogic: Must specify something to order by."),
            (
                r#"[41,[[2,[{"x":2},{"x":1}]],[154,[[2,["x"]]]]]]"#,
                "QueryLogic: r.args is not supported in an order_by or union command yet.",
            ),
            (
                r#"[41,[[154,[[2,[[2,[2,1]],"x"]]]]]]"#,
                "QueryLogic: r.args is not supported in an order_by or union command yet.",
            ),
        ]);
    }

    #[test]
    fn nothing_is_ordered_by_chance() {
        let refused = "QueryLogic: Sorting by a non-deterministic function is not supported.";
        check(&[
            ("[41,[[2,[]],[69,[[2,[1]],[151,[]]]]]]", refused),
            ("[41,[[2,[2,1]],[74,[[69,[[2,[1]],[169,[]]]]]]]]", refused),
            (r#"[41,[[2,[2,1]],[69,[[2,[1]],[15,["t"]]]]]]"#, refused),
            (r#"[44,[[2,[1]],[2,[2]]],{"interleave":[69,[[2,[1]],[151,[]]]]}]"#, refused),
            (r#"[44,[[2,[1]],[2,[2]]],{"interleave":[2,[[69,[[2,[1]],[151,[]]]]]]}]"#, refused),
            // The same all through one query.
            ("[41,[[2,[2,1]],[69,[[2,[1]],[103,[]]]]]]", "[2,1]"),
            // Of a table it depends on more than the element, of a value not.
            (r#"[41,[[2,[2,1]],[69,[[2,[1]],[79,[[15,["t"]]]]]]]]"#, refused),
            ("[41,[[2,[2,1]],[69,[[2,[1]],[79,[[10,[1]]]]]]]]", "[1,2]"),
        ]);
    }

    #[test]
    fn what_has_ended_is_in_every_order() {
        check(&[
            (r#"[41,[[71,[[173,[3]],0]]],{"index":"a"}]"#, "[]"),
            (r#"[52,[[41,[[71,[[173,[3]],0]],"a"]]]]"#, r#""STREAM""#),
            ("[41,[[71,[[173,[3]],0]]]]", "QueryLogic: Must specify something to order by."),
        ]);
    }

    #[test]
    fn an_index_is_asked_for_before_the_elements_are() {
        let not_a_table = "QueryLogic: Indexed order_by can only be performed on a TABLE or TABLE_SLICE. Make sure order_by comes before \
                           any transformations (such as map) or filters.";
        check(&[
            (r#"[41,[[2,[]]],{"index":"a"}]"#, "[]"),
            (r#"[41,[[2,[1]]],{"index":"a"}]"#, not_a_table),
            (r#"[41,[[2,[]]],{"index":[12,["x"]]}]"#, "User: x"),
            (r#"[41,[[2,[1]]],{"index":[74,[[12,["x"]]]]}]"#, "User: x"),
            (r#"[41,[1],{"index":[12,["x"]]}]"#, "QueryLogic: Expected type SEQUENCE but found DATUM:\n1"),
        ]);
    }
}
