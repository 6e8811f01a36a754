//! What a predicate says about single fields of a row, and what in it could fail.

use photondb_reql::datum::Datum;
use photondb_reql::eval::{CallNode, Closure, Cx, Func, Node, eval};
use photondb_reql::{Str, TermKind};
use smallvec::smallvec;

use super::comparison;
use super::range::Claims;
use crate::limits::PLANNED_DEPTH_MAX;
use crate::table::DatumRange;

/// Adds what holds for every row that the predicate accepts, as long as nothing in front of it can fail otherwise than for want
/// of something. Returns whether nothing at all can.
pub(super) fn read(predicate: &Func, cx: &Cx, claims: &mut Claims) -> bool {
    match predicate {
        Func::Matches(pattern @ Datum::Object(_)) => {
            pattern_claims(pattern, claims);
            true
        }
        Func::Closure(closure) if closure.function.params.len() == 1 => {
            let reader = Reader { closure, cx };
            match &closure.function.body {
                Node::Constant(pattern @ Datum::Object(_), _) => {
                    pattern_claims(pattern, claims);
                    true
                }
                Node::Call(call) if call.kind == TermKind::MakeObj => reader.made_pattern(call, claims),
                body => reader.conjunct(body, claims, 0),
            }
        }
        _ => false,
    }
}

/// The name, when the node is a field of the row: the one argument of its function.
pub(super) fn field(node: &Node) -> Option<&Str> {
    let Node::Call(call) = node else { return None };
    let is_access = matches!(call.kind, TermKind::Bracket | TermKind::GetField);
    match call.args.as_slice() {
        [Node::Variable { up: 0, index: 0, .. }, Node::Constant(Datum::String(name), _)]
            if is_access && call.optargs.is_empty() =>
        {
            Some(name)
        }
        _ => None,
    }
}

/// `filter({a: 1})`: fields of objects are compared one by one, everything else as a whole. A row that has no such field, or
/// another value in it, lacks something or does not match; nothing else can happen.
fn pattern_claims(pattern: &Datum, claims: &mut Claims) {
    let Datum::Object(fields) = pattern else { return };
    if pattern.ptype_name().is_some() {
        return;
    }
    for (name, value) in fields.iter() {
        if can_be_compared(&value) {
            claims.add(&name, equal(value));
        }
    }
}

fn can_be_compared(value: &Datum) -> bool {
    match value {
        Datum::Null | Datum::MinVal | Datum::MaxVal => false,
        Datum::Object(_) => value.is_ptype("TIME"),
        _ => true,
    }
}

fn equal(value: Datum) -> DatumRange {
    DatumRange { left: value.clone(), left_closed: true, right: value, right_closed: true }
}

struct Reader<'a> {
    closure: &'a Closure,
    cx: &'a Cx,
}

impl Reader<'_> {
    /// A pattern with values that are computed: as a whole or not at all.
    fn made_pattern(&self, call: &CallNode, claims: &mut Claims) -> bool {
        let values = call.optargs.iter().map(|(name, node)| Some((name, self.known(node)?)));
        let Some(values) = values.collect::<Option<Vec<_>>>() else { return false };
        for (name, value) in values {
            if can_be_compared(&value) {
                claims.add(name, equal(value));
            }
        }
        true
    }

    fn conjunct(&self, node: &Node, claims: &mut Claims, depth: usize) -> bool {
        if let Node::Call(call) = node
            && call.kind == TermKind::And
            && !call.spliced
            && depth < PLANNED_DEPTH_MAX
        {
            return call.args.iter().all(|arg| self.conjunct(arg, claims, depth + 1));
        }
        if let Some((field, range)) = self.condition(node) {
            claims.add(field, range);
            return true;
        }
        self.is_harmless(node, depth)
    }

    /// A field compared with something known.
    fn condition<'n>(&self, node: &'n Node) -> Option<(&'n Str, DatumRange)> {
        let Node::Call(call) = node else { return None };
        let [left, right] = call.args.as_slice() else { return None };
        if !comparison(call.kind) || call.spliced {
            return None;
        }
        let (field, value, kind) = match (field(left), field(right)) {
            (Some(field), None) => (field, self.known(right)?, call.kind),
            (None, Some(field)) => (field, self.known(left)?, turned(call.kind)),
            _ => return None,
        };
        if !can_be_compared(&value) {
            return None;
        }
        let from =
            |left: Datum, left_closed| DatumRange { left, left_closed, right: Datum::MaxVal, right_closed: true };
        let to =
            |right: Datum, right_closed| DatumRange { left: Datum::MinVal, left_closed: true, right, right_closed };
        Some(match kind {
            TermKind::Eq => (field, equal(value)),
            TermKind::Gt => (field, from(value, false)),
            TermKind::Ge => (field, from(value, true)),
            TermKind::Lt => (field, to(value, false)),
            TermKind::Le => (field, to(value, true)),
            _ => return None,
        })
    }

    /// Whether it raises nothing but errors for want of something, whatever the row.
    fn is_harmless(&self, node: &Node, depth: usize) -> bool {
        let Node::Call(call) = node else { return !matches!(node, Node::Function(_)) };
        if field(node).is_some() || self.known(node).is_some() {
            return true;
        }
        let logical = matches!(call.kind, TermKind::And | TermKind::Or | TermKind::Not);
        (logical || comparison(call.kind))
            && !call.spliced
            && depth < PLANNED_DEPTH_MAX
            && call.args.iter().all(|arg| self.is_harmless(arg, depth + 1))
    }

    /// The value of what does not depend on the row, if it has one.
    fn known(&self, node: &Node) -> Option<Datum> {
        match node {
            Node::Constant(datum, _) => Some(datum.clone()),
            Node::Variable { up: 0, .. } | Node::Function(_) => None,
            Node::Variable { up, index, .. } => {
                self.closure.scope.frames().nth(usize::from(*up) - 1)?.get(usize::from(*index)).cloned()
            }
            Node::Call(call) if !call.traits.deterministic() || mentions_row(node) => None,
            Node::Call(_) => {
                let scope = self.closure.scope.enter(smallvec![Datum::Null]);
                eval(node, &scope, self.cx).and_then(|value| value.into_datum(self.cx)).ok()
            }
        }
    }
}

/// `1 < field` as `field > 1`.
fn turned(kind: TermKind) -> TermKind {
    match kind {
        TermKind::Lt => TermKind::Gt,
        TermKind::Le => TermKind::Ge,
        TermKind::Gt => TermKind::Lt,
        TermKind::Ge => TermKind::Le,
        other => other,
    }
}

/// Whether the node sees variables of a function around it, as far as one looks.
pub(crate) fn sees_outside(node: &Node) -> bool {
    sees(node, &|up, level| up >= level, 0, 0)
}

/// Whether the node sees the arguments of the function it stands in, as far as one looks.
fn mentions_row(node: &Node) -> bool {
    sees(node, &|up, level| up == level, 0, 0)
}

/// Whether `wanted` holds for a variable `up` levels out that stands within `level` functions of the node. What is too deep to
/// be looked at counts as one.
fn sees(node: &Node, wanted: &dyn Fn(u16, u16) -> bool, level: u16, depth: usize) -> bool {
    let mut node = node;
    loop {
        match node {
            Node::Constant(..) => return false,
            Node::Variable { up, .. } => return wanted(*up, level),
            Node::Function(function) => {
                return depth >= PLANNED_DEPTH_MAX || sees(&function.body, wanted, level + 1, depth + 1);
            }
            Node::Call(call) => {
                let behind = call.args.iter().skip(1).chain(call.optargs.iter().map(|(_, node)| node));
                let inside = |arg: &Node| depth >= PLANNED_DEPTH_MAX || sees(arg, wanted, level, depth + 1);
                if behind.into_iter().any(inside) {
                    return true;
                }
                match call.args.first() {
                    Some(first) => node = first,
                    None => return false,
                }
            }
        }
    }
}
