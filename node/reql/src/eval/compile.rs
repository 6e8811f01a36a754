//! From syntax to what is evaluated: the number and names of arguments are checked, variables become places, and it is
//! known afterwards what each part may do.
//!
//! Like everything that walks terms it loops along first arguments and recurses into the others.

mod join;

use std::sync::Arc;

use crate::datum::{Datum, Str};
use crate::error::{Error, Result};
use crate::eval::merge::passes_literals;
use crate::eval::node::{CallNode, Function, Node, Traits};
use crate::eval::plain::Plain;
use crate::eval::signature::{Grouping, Signature, check_arity, signature};
use crate::term::{BacktraceId, Call, Term, TermKind};

/// A compiled query.
#[derive(Debug)]
pub struct Query {
    /// What is evaluated.
    pub root: Node,
    /// How many calls of the evaluator may be inside one another: what the stack must hold.
    pub depth: usize,
}

/// Compiles a query.
pub fn compile(term: &Term) -> Result<Query> {
    let Compiled { node, depth } = Compiler::default().term(term, false)?;
    Ok(Query { root: node, depth })
}

/// Compiles a `FUNC` term that sees no variables but its own; its result may be a literal, or have some in it, if `literal_ok`.
/// With it, how deep its evaluation goes.
pub(crate) fn compile_function_term(term: &Term, literal_ok: bool) -> Result<(Arc<Function>, usize)> {
    let Compiled { node, depth } = Compiler::default().term(term, literal_ok)?;
    match node {
        Node::Function(function) => Ok((function, depth)),
        _ => Err(Error::internal("a stored function is not a function")),
    }
}

#[derive(Default)]
struct Compiler {
    /// The functions around the current term, outermost first.
    frames: Vec<Frame>,
    /// Numbers given to the variables of functions that no driver wrote.
    invented: i64,
}

struct Frame {
    params: Vec<i64>,
    /// Whether `r.row` stands for its parameter: functions of one parameter that a driver wrote.
    binds_row: bool,
}

/// A node and how deep its evaluation goes.
struct Compiled {
    node: Node,
    depth: usize,
}

impl Compiled {
    fn flat(node: Node) -> Compiled {
        Compiled { node, depth: 1 }
    }
}

impl Compiler {
    fn term(&mut self, term: &Term, literal_ok: bool) -> Result<Compiled> {
        let mut chain: Vec<(&Call, bool)> = Vec::new();
        let (mut term, mut literal_ok) = (term, literal_ok);
        let mut done = loop {
            match term {
                Term::Datum(datum, id) => break Compiled::flat(Node::Constant(datum.clone(), *id)),
                Term::Call(call) => match (call.kind, call.args.first()) {
                    (TermKind::Var, _) => break self.variable(call)?,
                    (TermKind::ImplicitVar, _) => break self.implicit_variable(call)?,
                    (TermKind::Func, _) => break self.function(call, literal_ok)?,
                    (TermKind::MakeObj, Some(_)) => {
                        return Err(Error::compile("MAKE_OBJ term must not have any args.").at(call.id));
                    }
                    (_, None) => break self.call(call, None, literal_ok)?,
                    (kind, Some(first)) => {
                        chain.push((call, literal_ok));
                        let called = kind == TermKind::Funcall && first.kind() == TermKind::Func;
                        literal_ok = passes_literals(kind, 0, literal_ok) && !called;
                        term = first;
                    }
                },
            }
        };
        while let Some((call, literal_ok)) = chain.pop() {
            done = self.call(call, Some(done), literal_ok)?;
        }
        Ok(done)
    }

    /// A call whose first argument, if it has one, is compiled already.
    fn call(&mut self, call: &Call, first: Option<Compiled>, literal_ok: bool) -> Result<Compiled> {
        let kind = call.kind;
        let at = |error: Error| error.at(call.id);
        if let (TermKind::InnerJoin | TermKind::OuterJoin, Some(first)) = (kind, &first) {
            check_arity(kind, call.args.len()).map_err(at)?;
            let left = Compiled { node: first.node.clone(), depth: first.depth };
            self.check_optargs(call)?;
            return self.join(call, left);
        }
        let Signature { grouping, traits, .. } = signature(kind);
        let mut traits = traits;
        // Whether `args` brings a name is not known yet.
        if kind == TermKind::Uuid && !matches!(call.args.as_slice(), [name] if name.kind() != TermKind::Args) {
            traits.nondeterministic = true;
        }
        let mut args = Vec::with_capacity(call.args.len());
        let mut depth = 1;
        let spliced = call.args.iter().any(|arg| arg.kind() == TermKind::Args);
        let first_is_flat = !spliced && grouping != Grouping::Lazy;
        if let Some(first) = first {
            depth = first.depth + usize::from(!first_is_flat);
            args.push(first.node);
        }
        for (index, arg) in call.args.iter().enumerate().skip(args.len()) {
            // What a pattern of `filter` may say, a function there may not give.
            let given_by_function = kind == TermKind::Filter && arg.kind() == TermKind::Func;
            let literals = passes_literals(kind, index, literal_ok) && !given_by_function;
            let compiled = match (kind, index, arg.kind()) {
                // What `update` merges in is evaluated for each document, even where it does not look at it.
                (TermKind::Update, 1, given)
                    if !matches!(given, TermKind::Func | TermKind::Datum | TermKind::Var | TermKind::Args) =>
                {
                    self.thunk(arg, literals)?
                }
                _ => self.term(arg, literals)?,
            };
            depth = depth.max(1 + compiled.depth);
            args.push(compiled.node);
        }
        if !spliced {
            check_arity(kind, args.len()).map_err(at)?;
        }
        self.check_optargs(call)?;
        let mut optargs = Vec::with_capacity(call.optargs.len());
        for (name, arg) in &call.optargs {
            let compiled = match (kind, &**name) {
                (TermKind::Filter, "default") => self.thunk(arg, false)?,
                _ => self.term(arg, passes_literals(kind, usize::MAX, literal_ok))?,
            };
            depth = depth.max(1 + compiled.depth);
            optargs.push((name.clone(), compiled.node));
        }
        if kind == TermKind::MakeObj {
            // In this order fields are evaluated, which decides which of two errors is seen.
            optargs.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        }
        Ok(Compiled { node: node(kind, call.id, args, optargs, literal_ok, traits, grouping), depth })
    }

    fn check_optargs(&self, call: &Call) -> Result<()> {
        if call.kind == TermKind::MakeObj {
            return Ok(());
        }
        let known = signature(call.kind).optargs;
        match call.optargs.iter().find(|(name, _)| !known.contains(&&**name)) {
            Some((name, arg)) => Err(Error::compile(format!("Unrecognized optional argument `{name}`.")).at(arg.id())),
            None => Ok(()),
        }
    }

    /// An argument to be evaluated later, as a function of nothing.
    fn thunk(&mut self, term: &Term, literal_ok: bool) -> Result<Compiled> {
        let body = self.within(Frame { params: Vec::new(), binds_row: false }, |this| this.term(term, literal_ok))?;
        Ok(function(Vec::new(), body, term.id()))
    }

    fn within<T>(&mut self, frame: Frame, compile: impl FnOnce(&mut Compiler) -> Result<T>) -> Result<T> {
        self.frames.push(frame);
        let result = compile(self);
        self.frames.pop();
        result
    }

    fn variable(&self, call: &Call) -> Result<Compiled> {
        let fail = |message: &str| Err(Error::compile(message).at(call.id));
        let [name] = call.args.as_slice() else {
            return fail("A variable term has the wrong number of arguments.");
        };
        let Some(Datum::Number(number)) = name.as_datum() else {
            return fail("A variable term has a non-numeric variable name argument.");
        };
        match self.place(*number as i64) {
            Some((up, index)) => Ok(Compiled::flat(Node::Variable { up, index, row: false, id: call.id })),
            None => fail("Variable name not found."),
        }
    }

    /// How many functions out a variable is, and which parameter there. Inner functions hide outer ones' variables.
    fn place(&self, variable: i64) -> Option<(u16, u16)> {
        self.frames.iter().rev().enumerate().find_map(|(up, frame)| {
            let index = frame.params.iter().rposition(|param| *param == variable)?;
            Some((u16::try_from(up).ok()?, u16::try_from(index).ok()?))
        })
    }

    fn implicit_variable(&self, call: &Call) -> Result<Compiled> {
        let fail = |message: &str| Err(Error::compile(message).at(call.id));
        if !call.args.is_empty() || !call.optargs.is_empty() {
            return fail("Expected no arguments or optional arguments on implicit variable term.");
        }
        let mut rows = self.frames.iter().rev().enumerate().filter(|(_, frame)| frame.binds_row);
        match (rows.next(), rows.next()) {
            (Some((up, _)), None) => {
                let up = u16::try_from(up).map_err(|_| Error::compile("Too many functions inside one another."))?;
                Ok(Compiled::flat(Node::Variable { up, index: 0, row: true, id: call.id }))
            }
            (None, _) => fail("r.row is not defined in this context."),
            (Some(_), Some(_)) => fail("Cannot use r.row in nested queries.  Use functions instead."),
        }
    }

    fn function(&mut self, call: &Call, literal_ok: bool) -> Result<Compiled> {
        let fail = |message: String| Err(Error::compile(message).at(call.id));
        if !call.optargs.is_empty() {
            return fail("FUNC takes no optional arguments.".to_owned());
        }
        let [params, body] = call.args.as_slice() else {
            return fail(format!("FUNC takes exactly two arguments (got {})", call.args.len()));
        };
        let params = parameters(params).map_err(|error| error.at(call.id))?;
        let frame = Frame { binds_row: params.len() == 1, params: params.clone() };
        let body = self.within(frame, |this| this.term(body, literal_ok))?;
        Ok(function(params, body, call.id))
    }
}

/// The numbers of a function's parameters.
fn parameters(term: &Term) -> Result<Vec<i64>> {
    let not_numbers = || Error::compile("CLIENT ERROR: FUNC variables must be a literal array of *numbers*.");
    let number = |datum: &Datum| match datum {
        Datum::Number(number) => Ok(*number as i64),
        _ => Err(not_numbers()),
    };
    match term {
        Term::Datum(Datum::Array(items), _) => items.iter().map(|item| number(&item)).collect(),
        Term::Datum(..) => Err(Error::compile("CLIENT ERROR: FUNC variables must be a literal *array* of numbers.")),
        Term::Call(call) if call.kind == TermKind::MakeArray => {
            let literal = |arg: &Term| match arg.as_datum() {
                Some(datum) => number(datum),
                None => Err(Error::compile("CLIENT ERROR: FUNC variables must be a *literal* array of numbers.")),
            };
            call.args.iter().map(literal).collect()
        }
        Term::Call(_) => Err(Error::compile("CLIENT ERROR: FUNC variables must be a *literal array of numbers*.")),
    }
}

fn function(params: Vec<i64>, body: Compiled, id: BacktraceId) -> Compiled {
    let plain = Plain::of(&body.node);
    Compiled { node: Node::Function(Arc::new(Function { params, body: body.node, plain, id })), depth: body.depth + 1 }
}

fn node(
    kind: TermKind,
    id: BacktraceId,
    args: Vec<Node>,
    optargs: Vec<(Str, Node)>,
    literal_ok: bool,
    traits: Traits,
    grouping: Grouping,
) -> Node {
    let parts = args.iter().chain(optargs.iter().map(|(_, node)| node));
    let traits = parts.fold(traits, |traits, part| traits.union(part.traits()));
    let spliced = args.iter().any(|arg| arg.kind() == TermKind::Args);
    Node::Call(Arc::new(CallNode { kind, id, args, optargs, spliced, literal_ok, grouping, traits }))
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn arguments_are_counted_and_named() {
        check(&[
            ("[38,[[2,[]]]]", "Compile: Expected 2 or more arguments but found 1."),
            ("[52,[]]", "Compile: Expected 1 argument but found 0."),
            ("[146,[]]", "Compile: Expected between 1 and 2 arguments but found 0."),
            ("[103,[1]]", "Compile: Expected 0 arguments but found 1."),
            (r#"[43,[[2,[]]],{"index":"a"}]"#, "Compile: Unrecognized optional argument `index`."),
            ("[25,[[154,[[2,[5,3]]]]]]", "2"),
            ("[28,[[154,[[2,[5]]]]]]", "QueryLogic: Expected 2 arguments but found 1."),
        ]);
    }

    #[test]
    fn variables_are_found() {
        check(&[
            ("[10,[1]]", "Compile: Variable name not found."),
            ("[10,[1,2]]", "Compile: A variable term has the wrong number of arguments."),
            ("[13,[]]", "Compile: r.row is not defined in this context."),
            ("[38,[[2,[1]],[69,[[2,[1]],[24,[[13,[]],1]]]]]]", "[2]"),
            (
                "[38,[[2,[1]],[69,[[2,[1]],[38,[[2,[1]],[69,[[2,[2]],[13,[]]]]]]]]]]",
                "Compile: Cannot use r.row in nested queries.  Use functions instead.",
            ),
            ("[38,[[2,[1]],[69,[[2,[1]],[38,[[2,[2]],[69,[[2,[1]],[10,[1]]]]]]]]]]", "[[2]]"),
            ("[69,[[2,[1]]]]", "Compile: FUNC takes exactly two arguments (got 1)"),
        ]);
    }

    #[test]
    fn joins_are_pairs() {
        let equal = "[69,[[2,[1,2]],[17,[[10,[1]],[10,[2]]]]]]";
        check(&[
            (&*format!("[48,[[2,[1,2]],[2,[2,2]],{equal}]]"), r#"[{"left":2,"right":2},{"left":2,"right":2}]"#),
            (&*format!("[49,[[2,[1,2]],[2,[2]],{equal}]]"), r#"[{"left":1},{"left":2,"right":2}]"#),
            (&*format!("[48,[[2,[1]],{equal}]]"), "Compile: Expected 3 arguments but found 2."),
            // The right side and the predicate see the variables around the join.
            (
                "[38,[[2,[2]],[69,[[2,[9]],[48,[[2,[1,2]],[2,[[10,[9]]]],[69,[[2,[1,2]],[17,[[10,[1]],[10,[9]]]]]]]]]]]]",
                r#"[[{"left":2,"right":2}]]"#,
            ),
        ]);
    }
}
