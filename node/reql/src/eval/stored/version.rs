//! What stored functions give may change from one version of this program to the next: how numbers are printed has. What was
//! computed and kept with one version (the entries of an index) cannot be computed again with another to be found.

use crate::datum::Datum;
use crate::eval::node::{Function, Node};
use crate::term::TermKind;

/// Counts the changes of what deterministic functions give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EvaluatorVersion(pub u16);

impl EvaluatorVersion {
    /// Some version from before they were counted.
    pub const UNKNOWN: EvaluatorVersion = EvaluatorVersion(0);

    /// This program's. To be raised with every change of what any deterministic function gives, be it an error: the number
    /// is all by which an index notices.
    pub const CURRENT: EvaluatorVersion = EvaluatorVersion(2);
}

/// Whether the function gives the same in every version, past and to come: it only takes fields, and puts them in arrays.
pub fn is_same_in_every_version(function: &Function) -> bool {
    let mut pending = vec![&function.body];
    while let Some(node) = pending.pop() {
        match node {
            Node::Constant(..) | Node::Variable { .. } => {}
            Node::Call(call) => {
                let names_a_field = || matches!(call.args.get(1), Some(Node::Constant(Datum::String(_), _)));
                let same = match call.kind {
                    TermKind::MakeArray => !call.spliced,
                    TermKind::GetField | TermKind::Bracket => call.args.len() == 2 && names_a_field(),
                    _ => false,
                };
                if !same || !call.optargs.is_empty() {
                    return false;
                }
                pending.extend(&call.args);
            }
            Node::Function(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::terms::checked::check;
    use crate::eval::{Func, stored::compile_term};
    use crate::term::{Message, parse};

    fn is_same(body: &str) -> bool {
        let query = format!("[1,[69,[[2,[1]],{body}]]]");
        let Ok(Message::Start(start)) = parse(query.as_bytes()) else { panic!("{query} is no query") };
        let Func::Closure(closure) = compile_term(&start.term).expect("compiles") else { panic!("no literal") };
        is_same_in_every_version(&closure.function)
    }

    #[test]
    fn fields_and_arrays_of_them_are_the_same_in_every_version() {
        for body in [
            r#"[31,[[10,[1]],"a"]]"#,
            r#"[170,[[10,[1]],"a"]]"#,
            r#"[170,[[170,[[13,[]],"a"]],"b"]]"#,
            r#"[2,[[170,[[10,[1]],"a"]],[2,[[31,[[10,[1]],"b"]],5]]]]"#,
            "[10,[1]]",
            "7",
        ] {
            assert!(is_same(body), "{body}");
        }
        for body in [
            r#"[51,[[170,[[10,[1]],"a"]],"string"]]"#,
            r#"[2,[[170,[[10,[1]],"a"]],[172,[[10,[1]]]]]]"#,
            "[170,[[10,[1]],0]]",
            r#"[38,[[170,[[10,[1]],"a"]],[69,[[2,[2]],[10,[2]]]]]]"#,
            r#"[141,[[170,[[10,[1]],"a"]]]]"#,
            r#"[2,[[154,[[2,[1]]]]]]"#,
        ] {
            assert!(!is_same(body), "{body}");
        }
        let deep = (0..9_000).fold("[10,[1]]".to_owned(), |inner, _| format!(r#"[170,[{inner},"a"]]"#));
        assert!(is_same(&deep));
    }

    /// Who changes one of these raises [`EvaluatorVersion::CURRENT`] with it.
    #[test]
    fn results_of_this_version() {
        assert_eq!(EvaluatorVersion::CURRENT, EvaluatorVersion(2));
        check(&[
            (r#"[51,[0.1,"string"]]"#, r#""0.1""#),
            (r#"[51,[1e21,"string"]]"#, r#""1e21""#),
            (r#"[51,[1e-7,"string"]]"#, r#""1e-7""#),
            (r#"[51,[123456789012345680,"string"]]"#, r#""123456789012345680.0""#),
            (r#"[172,[[2,[1.5,-0.0,5e-324]]]]"#, r#""[1.5,-0.0,5e-324]""#),
            (r#"[51,["1e3","number"]]"#, "1000"),
            (r#"[149,["a  b"]]"#, r#"["a","b"]"#),
            (r#"[141,["straße"]]"#, r#""STRAßE""#),
            (r#"[33,[{"a":5},{"a":{}}]]"#, r#"{"a":{}}"#),
        ]);
    }
}
