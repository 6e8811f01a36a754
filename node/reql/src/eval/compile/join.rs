//! `inner_join` and `outer_join`, which are short for other terms.

use super::{Compiled, Compiler, Frame, function, node};
use crate::datum::{Datum, Str};
use crate::error::Result;
use crate::eval::node::Node;
use crate::eval::signature::signature;
use crate::term::{BacktraceId, Call, TermKind};

/// The numbers of invented variables count down from here; no driver uses any like them.
const INVENTED: i64 = -9_000_000_000;

impl Compiler {
    /// ```text
    /// inner: left.concat_map(n => right.concat_map(m => branch(func(n, m), [{left: n, right: m}], [])))
    /// outer: left.concat_map(n => (list => branch(list.count() > 0, list, [{left: n}]))(
    ///            right.concat_map(..as above..).coerce_to('array')))
    /// ```
    pub(super) fn join(&mut self, call: &Call, left: Compiled) -> Result<Compiled> {
        let at = call.id;
        let row = self.invent();
        let body = self.within(plain(row), |this| {
            let matches = this.matches(call)?;
            Ok(match call.kind {
                TermKind::InnerJoin => matches,
                _ => this.or_left_alone(matches, at),
            })
        })?;
        Ok(term(TermKind::ConcatMap, at, vec![left, function(vec![row], body, at)]))
    }

    /// The pairs of the current row with rows of the right side.
    fn matches(&mut self, call: &Call) -> Result<Compiled> {
        let at = call.id;
        let right = self.term(&call.args[1], false)?;
        let other = self.invent();
        let body = self.within(plain(other), |this| {
            let predicate = this.term(&call.args[2], false)?;
            let (left, right) = (variable(1, at), variable(0, at));
            let applies = term(TermKind::Funcall, at, vec![predicate, variable(1, at), variable(0, at)]);
            let pair = object(at, vec![("left", left), ("right", right)]);
            let one = term(TermKind::MakeArray, at, vec![pair]);
            Ok(term(TermKind::Branch, at, vec![applies, one, constant(Datum::from(vec![]), at)]))
        })?;
        Ok(term(TermKind::ConcatMap, at, vec![right, function(vec![other], body, at)]))
    }

    fn or_left_alone(&mut self, matches: Compiled, at: BacktraceId) -> Compiled {
        let list = self.invent();
        let count = term(TermKind::Count, at, vec![variable(0, at)]);
        let some = term(TermKind::Gt, at, vec![count, constant(Datum::from(0), at)]);
        let alone = term(TermKind::MakeArray, at, vec![object(at, vec![("left", variable(1, at))])]);
        let body = term(TermKind::Branch, at, vec![some, variable(0, at), alone]);
        let array = term(TermKind::CoerceTo, at, vec![matches, constant(Datum::from("ARRAY"), at)]);
        term(TermKind::Funcall, at, vec![function(vec![list], body, at), array])
    }

    fn invent(&mut self) -> i64 {
        self.invented += 1;
        INVENTED - self.invented
    }
}

fn plain(variable: i64) -> Frame {
    Frame { params: vec![variable], binds_row: false }
}

fn variable(up: u16, id: BacktraceId) -> Compiled {
    Compiled::flat(Node::Variable { up, index: 0, row: false, id })
}

fn constant(datum: Datum, id: BacktraceId) -> Compiled {
    Compiled::flat(Node::Constant(datum, id))
}

fn term(kind: TermKind, id: BacktraceId, args: Vec<Compiled>) -> Compiled {
    build(kind, id, args, Vec::new())
}

fn object(id: BacktraceId, fields: Vec<(&'static str, Compiled)>) -> Compiled {
    build(TermKind::MakeObj, id, Vec::new(), fields)
}

fn build(kind: TermKind, id: BacktraceId, args: Vec<Compiled>, fields: Vec<(&'static str, Compiled)>) -> Compiled {
    let inside = args.iter().chain(fields.iter().map(|(_, field)| field));
    let depth = 1 + inside.map(|part| part.depth).max().unwrap_or(0);
    let args = args.into_iter().map(|arg| arg.node).collect();
    let fields = fields.into_iter().map(|(name, field)| (Str::from_static(name), field.node)).collect();
    let known = signature(kind);
    Compiled { node: node(kind, id, args, fields, false, known.traits, known.grouping), depth }
}
