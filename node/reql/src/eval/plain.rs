//! Plain expressions: fields of arguments, constants, arithmetic and comparisons of numbers and strings. They are most of
//! what is run on each row of a table, and need neither a scope nor a value of their own on the way: everything is read
//! where it lies in the stored document.
//!
//! A plain expression knows the answers of the frequent cases and nothing else. Where it has none (a field is missing, a
//! type is another, a result is out of range) the function is evaluated in full, which gives the answer or the error.
//! So it may leave out whatever it likes, but what it answers must be what [`eval`](super::eval) answers.

use std::cmp::Ordering;

use crate::datum::node::Node as View;
use crate::datum::{Datum, Str};
use crate::eval::node::{CallNode, Node};
use crate::eval::signature::Grouping;
use crate::term::TermKind;

/// Deeper expressions are not plain: they are walked by recursion.
const DEPTH_MAX: usize = 16;

/// Longer chains of operands are not plain.
const OPERANDS_MAX: usize = 8;

/// Neither are larger expressions, because all of one counts as a single step.
const SIZE_MAX: usize = 32;

/// An expression over the arguments of one function.
#[derive(Clone, Debug)]
pub struct Plain(Expression);

#[derive(Clone, Debug)]
enum Expression {
    Constant(Datum),
    Argument(usize),
    Field(Box<Expression>, Str),
    Compare(Comparison, Vec<Expression>),
    Arithmetic(Operation, Vec<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Plain {
    /// The plain form of a function's body, when it has one that does anything.
    pub fn of(body: &Node) -> Option<Plain> {
        match expression(body, 0)? {
            Expression::Constant(_) | Expression::Argument(_) => None,
            expression if expression.size() > SIZE_MAX => None,
            expression => Some(Plain(expression)),
        }
    }

    /// The result for these arguments, borrowed from them; `None`: evaluate the function in full.
    pub fn view<'a>(&'a self, args: &'a [Datum]) -> Option<View<'a>> {
        value(&self.0, &Inputs::Data(args))
    }

    /// The same for a single argument that lies somewhere else than in a datum.
    pub fn view_of<'a>(&'a self, argument: View<'a>) -> Option<View<'a>> {
        value(&self.0, &Inputs::One(argument))
    }

    /// The result as a datum of its own, where that takes no memory.
    pub fn datum(&self, args: &[Datum]) -> Option<Datum> {
        match self.view(args)? {
            View::Number(number) => Some(Datum::Number(number)),
            View::Bool(truth) => Some(Datum::Bool(truth)),
            View::Null => Some(Datum::Null),
            _ => None,
        }
    }

    /// Whether the result counts as true, unless it is an object, which `filter` may take for a pattern.
    pub fn truth(&self, args: &[Datum]) -> Option<bool> {
        match self.view(args)? {
            View::Object(_) => None,
            view => Some(is_true(view)),
        }
    }

    /// The same for a single argument that lies somewhere else than in a datum.
    pub fn truth_of(&self, argument: View<'_>) -> Option<bool> {
        match self.view_of(argument)? {
            View::Object(_) => None,
            view => Some(is_true(view)),
        }
    }
}

/// The arguments of the function.
enum Inputs<'a> {
    Data(&'a [Datum]),
    One(View<'a>),
}

impl<'a> Inputs<'a> {
    fn get(&self, index: usize) -> Option<View<'a>> {
        match self {
            Inputs::Data(args) => args.get(index).map(Datum::node),
            Inputs::One(argument) => (index == 0).then_some(*argument),
        }
    }
}

impl Expression {
    fn size(&self) -> usize {
        let below = match self {
            Expression::Constant(_) | Expression::Argument(_) => 0,
            Expression::Field(from, _) | Expression::Not(from) => from.size(),
            Expression::Compare(_, operands) | Expression::Arithmetic(_, operands) => sizes(operands),
            Expression::All(operands) | Expression::Any(operands) => sizes(operands),
        };
        1 + below
    }
}

fn sizes(operands: &[Expression]) -> usize {
    operands.iter().map(Expression::size).sum()
}

fn is_true(view: View<'_>) -> bool {
    !matches!(view, View::Null | View::Bool(false))
}

fn expression(node: &Node, depth: usize) -> Option<Expression> {
    if depth > DEPTH_MAX {
        return None;
    }
    match node {
        Node::Constant(datum, _) => Some(Expression::Constant(datum.clone())),
        Node::Variable { up: 0, index, .. } => Some(Expression::Argument(usize::from(*index))),
        Node::Variable { .. } | Node::Function(_) => None,
        Node::Call(call) => call_expression(call, depth + 1),
    }
}

fn call_expression(call: &CallNode, depth: usize) -> Option<Expression> {
    use TermKind as K;
    if call.spliced || !call.optargs.is_empty() || call.args.len() > OPERANDS_MAX {
        return None;
    }
    let operands = || call.args.iter().map(|arg| expression(arg, depth)).collect::<Option<Vec<_>>>();
    let compare = |comparison| Some(Expression::Compare(comparison, operands()?));
    let arithmetic = |operation| Some(Expression::Arithmetic(operation, operands()?));
    match call.kind {
        K::Bracket | K::GetField => match call.args.as_slice() {
            [from, Node::Constant(Datum::String(name), _)] => {
                Some(Expression::Field(Box::new(expression(from, depth)?), name.clone()))
            }
            _ => None,
        },
        K::Eq => compare(Comparison::Equal),
        K::Ne => compare(Comparison::NotEqual),
        K::Lt => compare(Comparison::Less),
        K::Le => compare(Comparison::LessOrEqual),
        K::Gt => compare(Comparison::Greater),
        K::Ge => compare(Comparison::GreaterOrEqual),
        K::Add => arithmetic(Operation::Add),
        K::Sub => arithmetic(Operation::Subtract),
        K::Mul => arithmetic(Operation::Multiply),
        K::Div => arithmetic(Operation::Divide),
        K::And => Some(Expression::All(operands()?)),
        K::Or => Some(Expression::Any(operands()?)),
        K::Not if call.args.len() == 1 && call.grouping != Grouping::Lazy => {
            Some(Expression::Not(Box::new(expression(&call.args[0], depth)?)))
        }
        _ => None,
    }
}

fn value<'a>(expression: &'a Expression, args: &Inputs<'a>) -> Option<View<'a>> {
    match expression {
        Expression::Constant(datum) => Some(datum.node()),
        Expression::Argument(index) => args.get(*index),
        Expression::Field(from, name) => match value(from, args)? {
            // A field of a time or a point is an error.
            View::Object(fields) if fields.ptype().is_none() => fields.get(name),
            _ => None,
        },
        Expression::Compare(comparison, operands) => compare(*comparison, operands, args).map(View::Bool),
        Expression::Arithmetic(operation, operands) => arithmetic(*operation, operands, args).map(View::Number),
        Expression::All(operands) => truths(operands, args, false),
        Expression::Any(operands) => truths(operands, args, true),
        Expression::Not(operand) => Some(View::Bool(!is_true(value(operand, args)?))),
    }
}

/// Whether every neighbouring pair fits, looking no further than needed.
fn compare(comparison: Comparison, operands: &[Expression], args: &Inputs<'_>) -> Option<bool> {
    let (first, rest) = operands.split_first()?;
    let mut left = value(first, args)?;
    let negated = matches!(comparison, Comparison::NotEqual);
    for operand in rest {
        let right = value(operand, args)?;
        let order = scalar_order(left, right)?;
        let fits = match comparison {
            Comparison::Equal | Comparison::NotEqual => order.is_eq(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        };
        if !fits {
            return Some(negated);
        }
        left = right;
    }
    Some(!negated)
}

/// The order of two numbers, strings, truths or nulls; others are compared in full.
fn scalar_order(left: View<'_>, right: View<'_>) -> Option<Ordering> {
    match (left, right) {
        (View::Number(left), View::Number(right)) => left.partial_cmp(&right),
        (View::String(left), View::String(right)) => Some(left.cmp(right)),
        (View::Bool(left), View::Bool(right)) => Some(left.cmp(&right)),
        (View::Null, View::Null) => Some(Ordering::Equal),
        _ => None,
    }
}

fn arithmetic(operation: Operation, operands: &[Expression], args: &Inputs<'_>) -> Option<f64> {
    let number = |operand| match value(operand, args)? {
        View::Number(number) => Some(number),
        _ => None,
    };
    let (first, rest) = operands.split_first()?;
    let mut result = number(first)?;
    for operand in rest {
        let right = number(operand)?;
        result = match operation {
            Operation::Add => result + right,
            Operation::Subtract => result - right,
            Operation::Multiply => result * right,
            // Division by zero is an error.
            Operation::Divide if right == 0.0 => return None,
            Operation::Divide => result / right,
        };
        if !result.is_finite() {
            return None;
        }
    }
    Some(result)
}

/// `and` and `or` over truth values. Nothing behind the one that decides is looked at.
fn truths<'a>(operands: &'a [Expression], args: &Inputs<'a>, decides: bool) -> Option<View<'a>> {
    for operand in operands {
        match value(operand, args)? {
            View::Bool(truth) if truth == decides => return Some(View::Bool(truth)),
            View::Bool(_) => {}
            _ => return None,
        }
    }
    (!operands.is_empty()).then_some(View::Bool(!decides))
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::datum::json;
    use crate::eval::{Cx, Scope, compile, eval};
    use crate::term::{Message, parse};

    const OPERANDS: &[&str] = &[
        "1",
        "0",
        "-0.5",
        "1e308",
        r#""a""#,
        r#""""#,
        "null",
        "true",
        "false",
        "[10,[1]]",
        r#"[170,[[10,[1]],"n"]]"#,
        r#"[31,[[10,[1]],"n"]]"#,
        r#"[170,[[10,[1]],"s"]]"#,
        r#"[170,[[170,[[10,[1]],"o"]],"n"]]"#,
        r#"[170,[[10,[1]],"none"]]"#,
        r#"[170,[[10,[1]],"t"]]"#,
        r#"[170,[[170,[[10,[1]],"t"]],"epoch_time"]]"#,
        r#"[170,[[10,[1]],"l"]]"#,
        r#"[170,[[10,[1]],"b"]]"#,
        "[24,[1,2]]",
        r#"[17,[[170,[[10,[1]],"n"]],3]]"#,
    ];

    const DOCUMENTS: &[&str] = &[
        r#"{"n":3,"s":"a","o":{"n":-1},"l":[1],"b":true,"t":{"$reql_type$":"TIME","epoch_time":1,"timezone":"+00:00"}}"#,
        r#"{"n":1e308,"s":"","o":{"n":"x"},"b":false,"t":null}"#,
        r#"{"n":null,"o":[{"n":1}]}"#,
        "3",
        r#"[{"n":3}]"#,
        "null",
    ];

    fn print(view: View<'_>) -> String {
        format!("{view:?}")
    }

    fn body(term: &str) -> (crate::eval::Query, String) {
        let query = format!("[1,[69,[[2,[1]],{term}]],{{}}]");
        let Ok(Message::Start(start)) = parse(query.as_bytes()) else { panic!("{query} is no query") };
        (compile(&start.term).expect("compiles"), query)
    }

    /// Whatever a plain expression answers, the function in full answers too; and both forms of a document are the same to it.
    #[test]
    fn it_answers_what_the_function_in_full_answers() {
        let cx = Cx::pure();
        let (mut answered, mut all) = (0, 0);
        let mut check = |term: &str| {
            let (query, text) = body(term);
            let Node::Function(function) = &query.root else { panic!("{text} is no function") };
            let Some(plain) = &function.plain else { return };
            for document in DOCUMENTS {
                let tree = json::parse(document.as_bytes()).expect("JSON");
                let view = Datum::view(tree.to_encoded().into()).expect("was encoded");
                for document in [tree, view] {
                    all += 1;
                    let args = [document.clone()];
                    let in_full = eval(&function.body, &Scope::empty().enter(smallvec![document]), &cx)
                        .and_then(|value| value.into_datum(&cx));
                    let Some(found) = plain.view(&args) else { continue };
                    answered += 1;
                    let in_full = in_full.unwrap_or_else(|error| panic!("{text}: {found:?}, but {}", error.message));
                    let equal = crate::datum::compare::compare(found, in_full.node()).is_eq();
                    assert!(equal, "{text}: {found:?}, but {}", in_full.print());
                    assert_eq!(plain.view_of(args[0].node()).map(print), Some(print(found)), "{text}");
                    assert_eq!(plain.truth_of(args[0].node()), plain.truth(&args), "{text}");
                    if let Some(truth) = plain.truth(&args) {
                        assert_eq!(truth, in_full.is_truthy(), "{text}");
                    }
                    if let Some(datum) = plain.datum(&args) {
                        assert_eq!(datum, in_full, "{text}");
                    }
                }
            }
        };
        for kind in [17, 18, 19, 20, 21, 22, 24, 25, 26, 27, 66, 67] {
            for left in OPERANDS {
                check(&format!("[23,[[{kind},[{left},{left}]]]]"));
                for right in OPERANDS {
                    check(&format!("[{kind},[{left},{right}]]"));
                    check(&format!("[{kind},[{left},{right},{left}]]"));
                }
            }
        }
        OPERANDS.iter().for_each(|operand| check(operand));
        assert!(answered > all / 10, "{answered} of {all}");
    }

    #[test]
    fn what_is_frequent_is_answered() {
        let document = [json::parse(br#"{"score":7,"n":1}"#).expect("JSON")];
        for (term, expected) in [
            (r#"[19,[[170,[[10,[1]],"score"]],100]]"#, Datum::Bool(true)),
            (r#"[24,[[170,[[10,[1]],"n"]],1]]"#, Datum::Number(2.0)),
            (r#"[31,[[10,[1]],"score"]]"#, Datum::Number(7.0)),
        ] {
            let (query, text) = body(term);
            let Node::Function(function) = &query.root else { panic!("{text} is no function") };
            let plain = function.plain.as_ref().unwrap_or_else(|| panic!("{text} is not plain"));
            assert_eq!(plain.datum(&document), Some(expected), "{text}");
        }
    }
}
