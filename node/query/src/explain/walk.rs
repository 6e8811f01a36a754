//! From a compiled query to its steps.
//!
//! A chain of terms is followed from its innermost first argument outwards. As far as its terms only prepare a reading it is
//! evaluated, and what comes of that is asked how it would be read; of the terms behind it only their names are known. Nothing
//! is evaluated here that reads, writes, or draws by chance.

use std::cell::Cell;
use std::sync::Arc;

use photondb_reql::error::Result;
use photondb_reql::eval::signature::Grouping;
use photondb_reql::eval::{CallNode, Cx, Func, Node, Scope, Sequence, Source, Value, eval};
use photondb_reql::transform::Transform;
use photondb_reql::{Term, TermKind};

use super::access;
use super::outline::{Input, Outline, Place, Step};
use super::prepared::{
    by_index, index_of, is_chained, is_filter_in_place, looked_up_by, prepared, reduces_in_place, takes_unread,
};
use super::wording::{self, Texts};
use crate::limits::{EXPLAINED_DEPTH_MAX, EXPLAINED_STEPS_MAX};
use crate::mismatch;
use crate::selection::TableRef;

/// One query being explained.
pub(super) struct Walk<'a> {
    texts: Texts<'a>,
    cx: &'a Cx,
    steps_left: Cell<usize>,
    /// Whether the term behind what was prepared last reduces rows where they lie.
    reduces_in_place: Cell<bool>,
}

impl<'a> Walk<'a> {
    pub fn new(term: &'a Term, cx: &'a Cx) -> Walk<'a> {
        Walk {
            texts: Texts::of(term),
            cx,
            steps_left: Cell::new(EXPLAINED_STEPS_MAX),
            reduces_in_place: Cell::new(false),
        }
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
        let mut in_place = self.reduces_in_place.take();
        for call in &calls[behind..] {
            if self.steps_left.get() == 0 {
                break;
            }
            let mut step = self.call(call, depth);
            if std::mem::take(&mut in_place) {
                step.place = Place::Shard;
            }
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
                Some(table) => return self.table(table, behind, depth, steps),
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
    fn table(
        &self,
        table: &TableRef,
        behind: Option<&Arc<CallNode>>,
        depth: usize,
        steps: &mut Vec<Step>,
    ) -> Result<usize> {
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
        let ordered = by_index(table, call);
        let mut step = access::read(ordered.as_ref().unwrap_or(table), &[], self.cx)?;
        let takes_first = ordered.is_some() && matches!(call.kind, TermKind::Min | TermKind::Max);
        if takes_first {
            access::only_first(&mut step);
        }
        if call.kind == TermKind::Changes {
            step.name = "listen".to_owned();
        }
        if call.kind == TermKind::Filter
            && table.surroundings.use_index
            && let Some(access) = &mut step.access
        {
            access.no_index = Some("not before the variables are known that the filter sees".to_owned());
        }
        self.reduces_in_place.set(step.glances && !takes_first && reduces_in_place(&[], call));
        self.push(step, steps);
        let note = match call.kind {
            _ if takes_first => "takes the first row",
            TermKind::Distinct if ordered.is_some() => "drops what is like the one before",
            TermKind::Distinct if index_of(call) == Some(&table.info().primary_key) => "gives the key of each row",
            _ => return Ok(0),
        };
        let mut step = self.call(call, depth);
        step.note = Some(note.to_owned());
        self.push(step, steps);
        Ok(1)
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
        let glances = steps.last().is_some_and(|read| read.glances) && matches!(sequence.source, Source::Table(_));
        let reduces = glances && behind.is_some_and(|call| reduces_in_place(&sequence.transforms, call));
        let mut at_the_shard = glances;
        for transform in &sequence.transforms {
            let mut step = self.transform(transform, depth);
            at_the_shard &= is_filter_in_place(transform);
            if at_the_shard || reduces {
                step.place = Place::Shard;
            }
            self.push(step, steps);
        }
        self.reduces_in_place.set(reduces);
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
                let parts = by.functions.iter().map(|function| self.texts.function(function));
                let index = by.index.iter().map(|name| format!("index: {}", wording::datum(&name.clone().into())));
                let shown: Vec<String> = parts.chain(index).collect();
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
