//! What is known of terms without evaluating them: which only prepare a reading, how they read a table, where they run.

use std::sync::Arc;

use photondb_reql::datum::Datum;
use photondb_reql::eval::signature::{Grouping, signature};
use photondb_reql::eval::{CallNode, Node};
use photondb_reql::transform::Transform;
use photondb_reql::{Str, TermKind};

use crate::plan;
use crate::selection::{Part, Slice, TableRef};
use crate::table::Order;
use crate::terms;

/// Whether a term is done to the value of its first argument, and to that alone.
pub(super) fn is_chained(call: &CallNode) -> bool {
    !call.spliced && !call.args.is_empty() && call.grouping != Grouping::Lazy && call.kind != TermKind::Union
}

/// How many calls of a chain, from its beginning, can be evaluated without reading anything; none if they come to no table.
pub(super) fn prepared(source: &Node, calls: &[&Arc<CallNode>]) -> usize {
    let Some(table) = calls.iter().position(|call| call.kind == TermKind::Table) else { return 0 };
    let named = is_free(source)
        && calls[..=table].iter().all(|call| {
            let own = matches!(call.kind, TermKind::Db | TermKind::Table);
            (own || !signature(call.kind).traits.touches_world) && has_free_arguments(call)
        });
    if !named {
        return 0;
    }
    let mut prepared = table + 1;
    let mut grouped = false;
    for call in &calls[prepared..] {
        // What is done for each group has the groups read first, unless it is one more step of the stream.
        if !has_free_arguments(call) || (grouped && call.grouping != Grouping::Stream) {
            break;
        }
        if call.kind == TermKind::Get {
            return prepared + 1;
        }
        if !prepares(call) {
            break;
        }
        grouped |= call.kind == TermKind::Group;
        prepared += 1;
    }
    prepared
}

/// Whether a term, on a table or a stream from one, does nothing before its result is read.
fn prepares(call: &CallNode) -> bool {
    use TermKind as K;
    let has_index = call.optargs.iter().any(|(name, _)| name == "index");
    match call.kind {
        K::GetAll | K::Between | K::BetweenDeprecated | K::GetIntersecting => true,
        K::Filter | K::ConcatMap | K::OffsetsOf | K::Zip | K::Skip | K::Limit | K::Slice => true,
        K::Pluck | K::Without | K::Merge | K::HasFields | K::WithFields | K::GetField => true,
        K::Intersects | K::Includes => true,
        K::Map => call.args.len() == 2,
        K::Bracket => matches!(call.args.get(1), Some(Node::Constant(Datum::String(_), _))),
        K::OrderBy => has_index,
        K::Group => true,
        _ => false,
    }
}

/// Whether all but the first argument can be evaluated at any time.
fn has_free_arguments(call: &CallNode) -> bool {
    call.args.iter().skip(1).chain(call.optargs.iter().map(|(_, node)| node)).all(is_free)
}

/// Whether a node sees no variables of functions around it and neither reads, writes nor draws. What a function does when it is
/// called does not count.
fn is_free(node: &Node) -> bool {
    if plan::sees_outside(node) {
        return false;
    }
    let traits = node.traits();
    matches!(node, Node::Function(_)) || (!traits.touches_world && !traits.nondeterministic)
}

/// How a term reads a table that names keys which are not known before the query runs.
pub(super) fn looked_up_by(call: &CallNode) -> Option<&'static str> {
    Some(match (call.kind, index_of(call)) {
        (TermKind::Get, _) => "primary key point",
        (TermKind::GetAll, None) => "primary key points",
        (TermKind::GetAll, Some(_)) => "index points",
        (TermKind::Between | TermKind::BetweenDeprecated, None) => "primary key range",
        (TermKind::Between | TermKind::BetweenDeprecated, Some(_)) => "index range",
        (TermKind::GetIntersecting, _) => "geospatial index",
        _ => return None,
    })
}

/// The option `index`, where it is a name and not computed.
pub(super) fn index_of(call: &CallNode) -> Option<&Str> {
    call.optargs.iter().find(|(name, _)| name == "index").and_then(|(_, node)| match node {
        Node::Constant(Datum::String(name), _) => Some(name),
        _ => None,
    })
}

/// Terms of a table that do not read it through.
pub(super) fn takes_unread(kind: TermKind) -> bool {
    use TermKind as K;
    terms::on_table(kind) && !matches!(kind, K::Update | K::Replace | K::Delete | K::Changes)
}

/// The order in which a term reads a table that it does not read through as it is.
pub(super) fn by_index(table: &TableRef, call: &CallNode) -> Option<TableRef> {
    let named = index_of(call);
    if named.is_none() && call.optargs.iter().any(|(name, _)| name == "index") {
        return None;
    }
    let primary_key = &table.info().primary_key;
    let index = named.unwrap_or(primary_key);
    let in_order = |order| {
        let slice = Slice { index: Some(index.clone()), range: None, order };
        table.is_whole().then(|| table.with(Part::Slice(slice)))
    };
    match call.kind {
        TermKind::Min if call.args.len() == 1 => in_order(Order::Ascending),
        TermKind::Max if call.args.len() == 1 => in_order(Order::Descending),
        TermKind::Group if index != primary_key => in_order(Order::Ascending),
        // Of each row its primary key, in whatever order.
        TermKind::Distinct if named == Some(primary_key) => None,
        TermKind::Distinct => table.in_order_of(index),
        _ => None,
    }
}

/// Whether a filter looks at documents where they lie.
pub(super) fn is_filter_in_place(transform: &Transform) -> bool {
    matches!(transform, Transform::Filter { predicate, .. } if predicate.in_place().is_some())
}

/// Whether a term reduces rows, to which `transforms` are done, where they lie.
pub(super) fn reduces_in_place(transforms: &[Transform], call: &CallNode) -> bool {
    use TermKind as K;
    let filters = transforms.iter().take_while(|transform| is_filter_in_place(transform)).count();
    let chain = match &transforms[filters..] {
        [] => true,
        [Transform::Map(function)] => function.in_place().is_some(),
        _ => false,
    };
    let by = match (call.kind, call.args.get(1)) {
        (K::Count | K::Sum | K::Avg | K::Min | K::Max, None) => true,
        (K::Sum | K::Avg | K::Min | K::Max, Some(Node::Constant(Datum::String(_), _))) => true,
        (K::Count | K::Sum | K::Avg | K::Min | K::Max, Some(Node::Function(function))) => {
            function.params.len() == 1 && function.plain.is_some()
        }
        _ => false,
    };
    chain && by && call.optargs.is_empty() && !call.spliced
}
