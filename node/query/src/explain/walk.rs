//! From a compiled query to its steps.
//!
//! A chain of terms is followed from its innermost first argument outwards. As far as its terms only prepare a reading it is
//! evaluated, and what comes of that is asked how it would be read; of the terms behind it only their names are known. Nothing
//! is evaluated here that reads, writes, or draws by chance.

use std::cell::Cell;
use std::sync::Arc;

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::signature::Grouping;
use photondb_reql::eval::{CallNode, Cx, Func, Node, Scope, Sequence, Source, Value, eval};
use photondb_reql::transform::Transform;
use photondb_reql::{Str, Term, TermKind};

use super::access;
use super::outline::{Input, Outline, Place, Step};
use super::wording::{self, Texts};
use crate::limits::{EXPLAINED_DEPTH_MAX, EXPLAINED_STEPS_MAX};
use crate::mismatch;
use crate::plan;
use crate::selection::{Part, Slice, TableRef};
use crate::table::Order;
use crate::terms;

/// One query being explained.
pub(super) struct Walk<'a> {
    texts: Texts<'a>,
    cx: &'a Cx,
    steps_left: Cell<usize>,
}

impl<'a> Walk<'a> {
    pub fn new(term: &'a Term, cx: &'a Cx) -> Walk<'a> {
        Walk { texts: Texts::of(term), cx, steps_left: Cell::new(EXPLAINED_STEPS_MAX) }
    }

    /// The steps of the query.
    pub fn outline(&self, root: &Node) -> Result<Outline> {
        let mut steps = Vec::new();
        self.chain(root, 0, &mut steps)?;
        Ok(Outline(steps))
    }

    fn chain(&self, node: &Node, depth: usize, steps: &mut Vec<Step>) -> Result<()> {
        if !node.traits().touches_world {
            let mut step = Step::new("compute", Place::Coordinator);
            step.detail = Some(self.texts.node(node));
            self.push(step, steps);
            return Ok(());
        }
        let mut calls = Vec::new();
        let mut source = node;
        while let Node::Call(call) = source
            && is_chained(call)
        {
            calls.push(call);
            source = &call.args[0];
        }
        calls.reverse();
        let prepared = prepared(source, &calls);
        let behind = match prepared.checked_sub(1) {
            Some(last) => {
                let behind = calls.get(prepared).copied();
                let value = eval(&Node::Call(calls[last].clone()), &Scope::empty(), self.cx)?;
                prepared + self.value(value, behind, depth, steps)?
            }
            None => {
                self.source(source, &calls, depth, steps);
                0
            }
        };
        for call in &calls[behind..] {
            if self.steps_left.get() == 0 {
                break;
            }
            let step = self.call(call, depth);
            self.push(step, steps);
        }
        Ok(())
    }

    fn push(&self, step: Step, steps: &mut Vec<Step>) {
        match self.steps_left.get() {
            0 => {}
            1 => {
                self.steps_left.set(0);
                let mut rest = Step::new("...", Place::Coordinator);
                rest.note = Some("more steps than are shown".to_owned());
                steps.push(rest);
            }
            left => {
                self.steps_left.set(left - 1);
                steps.push(step);
            }
        }
    }

    /// What a chain begins with that cannot be evaluated here.
    fn source(&self, source: &Node, calls: &[&Arc<CallNode>], depth: usize, steps: &mut Vec<Step>) {
        match source {
            // The name of a database, or of what is made.
            Node::Constant(..) if calls.first().is_some_and(|call| call.grouping != Grouping::Stream) => {}
            Node::Call(call) if source.traits().touches_world => {
                let mut step = self.call(call, depth);
                step.detail = None;
                let all = call.args.first().map(|first| self.inputs(call.kind, std::iter::once(first), depth));
                step.inputs.splice(0..0, all.unwrap_or_default());
                self.push(step, steps);
            }
            source => {
                let mut step = Step::new("compute", Place::Coordinator);
                step.detail = Some(self.texts.node(source));
                self.push(step, steps);
            }
        }
    }

    /// The steps of what has been prepared for the term `behind`; returns how many of the terms behind are among them.
    fn value(
        &self,
        value: Value,
        behind: Option<&Arc<CallNode>>,
        depth: usize,
        steps: &mut Vec<Step>,
    ) -> Result<usize> {
        if let Some(row) = mismatch::as_row(&value) {
            self.push(access::one(&row.table, &row.key)?, steps);
            return Ok(0);
        }
        let Value::Sequence(sequence) = (match value {
            Value::Table(table) => match table.as_any().downcast_ref::<TableRef>() {
                Some(table) => return self.table(table, behind, steps),
                None => return Ok(0),
            },
            value => value,
        }) else {
            return Ok(0);
        };
        self.sequence(&sequence, behind, depth, steps)?;
        Ok(0)
    }

    /// A table or a part of it, nothing done to it yet.
    fn table(&self, table: &TableRef, behind: Option<&Arc<CallNode>>, steps: &mut Vec<Step>) -> Result<usize> {
        let Some(call) = behind else {
            self.push(access::read(table, &[], self.cx)?, steps);
            return Ok(0);
        };
        if let Some(path) = looked_up_by(call) {
            let mut step = Step::new("read", Place::Shard);
            step.access = Some(access::by(table, path, index_of(call), self.texts.arguments(call))?);
            self.push(step, steps);
            return Ok(1);
        }
        if takes_unread(call.kind) {
            let mut step = Step::new("table", Place::Coordinator);
            step.access = Some(access::unread(table));
            self.push(step, steps);
            return Ok(0);
        }
        if call.kind == TermKind::Count && call.args.len() == 1 {
            let mut step = access::read(table, &[], self.cx)?;
            if step.access.as_ref().is_some_and(|access| access.rows.is_some()) {
                step.name = "count".to_owned();
                step.note = Some("stands in the tree, no row is read".to_owned());
                self.push(step, steps);
                return Ok(1);
            }
        }
        let ordered = by_index(table, call).unwrap_or_else(|| table.clone());
        let mut step = access::read(&ordered, &[], self.cx)?;
        if call.kind == TermKind::Changes {
            step.name = "listen".to_owned();
        }
        if call.kind == TermKind::Filter
            && table.surroundings.use_index
            && let Some(access) = &mut step.access
        {
            access.no_index = Some("not before the variables are known that the filter sees".to_owned());
        }
        self.push(step, steps);
        Ok(0)
    }

    fn sequence(
        &self,
        sequence: &Sequence,
        behind: Option<&Arc<CallNode>>,
        depth: usize,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let of = match &sequence.source {
            Source::Table(table) => Some(table),
            _ => sequence.table.as_ref(),
        };
        if let Some(table) = of.and_then(|table| table.as_any().downcast_ref::<TableRef>()) {
            let listens = behind.is_some_and(|call| call.kind == TermKind::Changes);
            let transforms = if listens { &[] } else { sequence.transforms.as_slice() };
            let mut step = access::read(table, transforms, self.cx)?;
            if listens {
                step.name = "listen".to_owned();
                step.glances = false;
            }
            self.push(step, steps);
        }
        if matches!(sequence.source, Source::Stream(_)) {
            let mut step = Step::new("order_by", Place::Coordinator);
            step.note = Some("orders rows further that are equal in the index".to_owned());
            self.push(step, steps);
        }
        let mut at_the_shard =
            steps.last().is_some_and(|read| read.glances) && matches!(sequence.source, Source::Table(_));
        for transform in &sequence.transforms {
            let mut step = self.transform(transform, depth);
            at_the_shard &= matches!(transform, Transform::Filter { predicate, .. } if predicate.in_place().is_some());
            if at_the_shard {
                step.place = Place::Shard;
            }
            self.push(step, steps);
        }
        Ok(())
    }

    fn transform(&self, transform: &Transform, depth: usize) -> Step {
        let (name, detail, functions): (&str, Option<String>, Vec<&Func>) = match transform {
            Transform::Map(function) => ("map", Some(self.texts.function(function)), vec![function]),
            Transform::ConcatMap(function) => ("concat_map", Some(self.texts.function(function)), vec![function]),
            Transform::OffsetsOf(function) => ("offsets_of", Some(self.texts.function(function)), vec![function]),
            Transform::Filter { predicate, default } => {
                ("filter", Some(self.texts.function(predicate)), std::iter::once(predicate).chain(default).collect())
            }
            Transform::Zip => ("zip", None, Vec::new()),
            Transform::Skip(count) => ("skip", Some(count.to_string()), Vec::new()),
            Transform::Limit(count) => ("limit", Some(count.to_string()), Vec::new()),
            Transform::Members(members) => {
                let call = members.call();
                let mut step = Step::new(wording::name(call.kind), Place::Coordinator);
                step.detail = self.texts.arguments(call);
                return step;
            }
            Transform::Group(by) => {
                let shown: Vec<String> = by.functions.iter().map(|function| self.texts.function(function)).collect();
                ("group", Some(shown.join(", ")), by.functions.iter().collect())
            }
        };
        let mut step = Step::new(name, Place::Coordinator);
        step.detail = detail;
        for function in functions {
            if let Func::Closure(closure) = function {
                step.inputs.extend(self.input(&closure.function.body, true, depth));
            }
        }
        step
    }

    /// A term of which only the name and the arguments are known.
    fn call(&self, call: &CallNode, depth: usize) -> Step {
        let mut step = Step::new(wording::name(call.kind), Place::Coordinator);
        step.note = wording::note(call.kind).map(str::to_owned);
        step.detail = match call.args.first() {
            Some(first @ Node::Constant(..)) if call.args.len() == 1 => Some(self.texts.node(first)),
            _ => self.texts.arguments(call),
        };
        let optargs = call.optargs.iter().map(|(_, node)| node);
        step.inputs = self.inputs(call.kind, call.args.iter().skip(1).chain(optargs), depth);
        if call.kind == TermKind::EqJoin {
            for input in &mut step.inputs {
                looked_up(input, call);
            }
        }
        step
    }

    fn inputs<'n>(&self, kind: TermKind, nodes: impl Iterator<Item = &'n Node>, depth: usize) -> Vec<Input> {
        let input = |node: &Node| match node {
            Node::Function(function) => self.input(&function.body, kind != TermKind::Funcall, depth),
            node => self.input(node, false, depth),
        };
        nodes.filter_map(input).collect()
    }

    /// The plan of what is done besides; `None`: it touches no table.
    fn input(&self, node: &Node, each_row: bool, depth: usize) -> Option<Input> {
        if !node.traits().touches_world || self.steps_left.get() == 0 {
            return None;
        }
        let mut steps = Vec::new();
        let failed = if depth >= EXPLAINED_DEPTH_MAX {
            Some("deeper than is shown".to_owned())
        } else {
            // The query may never come to it: a branch that is not taken, no row.
            self.chain(node, depth + 1, &mut steps).err().map(|error| format!("fails: {}", error.message))
        };
        if let Some(note) = failed {
            let mut step = Step::new("...", Place::Coordinator);
            step.note = Some(note);
            self.push(step, &mut steps);
        }
        Some(Input { each_row, outline: Outline(steps) })
    }
}

/// Whether a term is done to the value of its first argument, and to that alone.
fn is_chained(call: &CallNode) -> bool {
    !call.spliced && !call.args.is_empty() && call.grouping != Grouping::Lazy && call.kind != TermKind::Union
}

/// How many calls of a chain, from its beginning, can be evaluated without reading anything; none if they come to no table.
fn prepared(source: &Node, calls: &[&Arc<CallNode>]) -> usize {
    let Some(table) = calls.iter().position(|call| call.kind == TermKind::Table) else { return 0 };
    let named = is_free(source)
        && calls[..=table].iter().all(|call| {
            let own = matches!(call.kind, TermKind::Db | TermKind::Table);
            (own || !photondb_reql::eval::signature::signature(call.kind).traits.touches_world)
                && has_free_arguments(call)
        });
    if !named {
        return 0;
    }
    let mut prepared = table + 1;
    for call in &calls[prepared..] {
        if !has_free_arguments(call) {
            break;
        }
        if call.kind == TermKind::Get {
            return prepared + 1;
        }
        if !prepares(call) {
            break;
        }
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
        K::Group => !has_index,
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
fn looked_up_by(call: &CallNode) -> Option<&'static str> {
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
fn index_of(call: &CallNode) -> Option<&Str> {
    call.optargs.iter().find(|(name, _)| name == "index").and_then(|(_, node)| match node {
        Node::Constant(Datum::String(name), _) => Some(name),
        _ => None,
    })
}

/// Terms of a table that do not read it through.
fn takes_unread(kind: TermKind) -> bool {
    use TermKind as K;
    terms::on_table(kind) && !matches!(kind, K::Update | K::Replace | K::Delete | K::Changes)
}

/// The order in which a term reads a table that names an index for that.
fn by_index(table: &TableRef, call: &CallNode) -> Option<TableRef> {
    let order = match call.kind {
        TermKind::Min | TermKind::Distinct | TermKind::Group => Order::Ascending,
        TermKind::Max => Order::Descending,
        _ => return None,
    };
    let slice = table.as_slice()?;
    let has_index = call.optargs.iter().any(|(name, _)| name == "index");
    let index = match index_of(call) {
        Some(name) => name.clone(),
        None if !has_index && matches!(call.kind, TermKind::Min | TermKind::Max) && call.args.len() == 1 => {
            slice.index.clone().unwrap_or_else(|| table.info().primary_key.clone())
        }
        _ => return None,
    };
    if slice.index.as_ref().is_some_and(|of| *of != index) {
        return None;
    }
    Some(table.with(Part::Slice(Slice { index: Some(index), range: slice.range.clone(), order })))
}

/// The right side of `eq_join` is not read through: each row of the left side is looked up in it.
fn looked_up(input: &mut Input, call: &CallNode) {
    let Some(access) = input.outline.0.first_mut().and_then(|step| step.access.as_mut()) else { return };
    input.each_row = true;
    access.rows = None;
    access.path = "primary key point";
    if let Some(name) = index_of(call).filter(|name| **name != *access.index) {
        access.path = "index point";
        access.index = name.to_string();
    }
}
