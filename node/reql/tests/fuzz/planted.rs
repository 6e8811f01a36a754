//! Deliberate bugs, one at least for each target: a target that does not notice them looks at nothing.

use std::cell::Cell;
use std::cmp::Ordering;
use std::sync::Arc;

use photondb_reql::datum::Datum;
use photondb_reql::eval::plain::Plain;
use photondb_reql::eval::{self, CallNode, Node, Query};
use photondb_reql::key;
use photondb_reql::term::{Call, Term, TermKind};

use super::drawn::noticed_after;
use super::targets::{datum_order, evaluator, keys, parser};

/// What of the same target holds without the bug stands in `fuzz_targets_hold.rs`.
fn check(target: &'static str, what: &str, run: fn(&[u8])) {
    match noticed_after(target, run) {
        Some(inputs) => println!("{target}: {what}: noticed at input {inputs}"),
        None => panic!("{target} does not notice: {what}"),
    }
}

/// One bug, as a subject that has it.
macro_rules! planted {
    ($name:ident, $target:ident, $what:literal, $subject:expr) => {
        #[test]
        fn $name() {
            check(stringify!($target), $what, |input| $target::run_with(input, &$subject));
        }
    };
}

planted!(
    minus_zero_below_zero,
    datum_order,
    "-0 is below 0",
    datum_order::Subject {
        compare: |a, b| match (a, b) {
            (Datum::Number(a), Datum::Number(b)) => a.total_cmp(b),
            _ => a.cmp(b),
        },
        ..datum_order::Subject::PRODUCT
    }
);

planted!(
    strings_by_length,
    datum_order,
    "a short string is below a long one, but only in one direction",
    datum_order::Subject {
        compare: |a, b| match (a, b) {
            (Datum::String(a), Datum::String(b)) if a.as_bytes().len() < b.as_bytes().len() => Ordering::Less,
            _ => a.cmp(b),
        },
        ..datum_order::Subject::PRODUCT
    }
);

planted!(
    json_drops_control_characters,
    datum_order,
    "control characters are lost in JSON",
    datum_order::Subject {
        to_json: |datum| datum.to_json().ok().map(|text| text.replace("\\u0001", "")),
        ..datum_order::Subject::PRODUCT
    }
);

planted!(
    nul_is_not_escaped,
    keys,
    "NUL is written into a key as it is",
    keys::Subject {
        encode: |datum, role, out| match datum {
            Datum::String(text) => {
                out.push(0x38);
                out.extend_from_slice(text.as_bytes());
                out.push(0);
                Ok(())
            }
            _ => key::format::encode(datum, role, out),
        },
        ..keys::Subject::PRODUCT
    }
);

planted!(
    the_cut_is_not_marked,
    keys,
    "an index value that was cut says that it is whole",
    keys::Subject {
        index_key: |value, primary, tag| {
            key::index_key(value, primary, tag).map(|mut key| {
                let last = key.len() - 1;
                key[last] &= !1;
                key
            })
        },
        ..keys::Subject::PRODUCT
    }
);

planted!(
    trailing_bytes_are_taken,
    parser,
    "bytes behind a message are taken for nothing",
    parser::Subject {
        parse: |bytes| {
            let end = bytes.iter().rposition(|byte| *byte == b']').map_or(bytes.len(), |at| at + 1);
            photondb_reql::term::parse(&bytes[..end])
        },
        ..parser::Subject::PRODUCT
    }
);

planted!(
    options_are_not_stored,
    parser,
    "the options of a term are lost when it is stored",
    parser::Subject {
        encode: |term, out| match term {
            Term::Call(call) => {
                let args = call.args.clone();
                let bare = Call { kind: call.kind, args, optargs: Vec::new(), id: call.id };
                photondb_reql::format::encode_term(&Term::Call(Box::new(bare)), out);
            }
            Term::Datum(..) => photondb_reql::format::encode_term(term, out),
        },
        ..parser::Subject::PRODUCT
    }
);

/// The body of a function with `<` read as `<=`.
fn confused(node: &Node) -> Node {
    match node {
        Node::Call(call) => Node::Call(Arc::new(CallNode {
            kind: if call.kind == TermKind::Lt { TermKind::Le } else { call.kind },
            id: call.id,
            args: call.args.iter().map(confused).collect(),
            optargs: call.optargs.clone(),
            spliced: call.spliced,
            literal_ok: call.literal_ok,
            grouping: call.grouping,
            traits: call.traits,
        })),
        other => other.clone(),
    }
}

planted!(
    the_short_way_is_wrong,
    evaluator,
    "the plain form of a function takes < for <=",
    evaluator::Subject {
        compile: |term| {
            let query = eval::compile(term)?;
            let root = evaluator::forms::rebuilt(&query.root, &|body| Plain::of(&confused(body)));
            Ok(Query { root, depth: query.depth })
        },
        ..evaluator::Subject::PRODUCT
    }
);

fn holds(node: &Node, wanted: &dyn Fn(&CallNode) -> bool) -> bool {
    match node {
        Node::Call(call) => {
            wanted(call)
                || call.args.iter().any(|arg| holds(arg, wanted))
                || call.optargs.iter().any(|(_, arg)| holds(arg, wanted))
        }
        Node::Function(function) => holds(&function.body, wanted),
        _ => false,
    }
}

planted!(
    a_panic_in_a_corner,
    evaluator,
    "`splice_at` at a negative place inside of something panics",
    evaluator::Subject {
        eval: |node, scope, cx| {
            let negative = |call: &CallNode| {
                let place = call.args.get(1);
                call.kind == TermKind::SpliceAt
                    && matches!(place, Some(Node::Constant(Datum::Number(at), _)) if *at < 0.0)
            };
            assert!(!holds(node, &negative), "a planted panic");
            eval::eval(node, scope, cx)
        },
        ..evaluator::Subject::PRODUCT
    }
);

planted!(
    another_answer_the_second_time,
    evaluator,
    "a query that groups gives another answer when it is run again",
    evaluator::Subject {
        eval: |node, scope, cx| {
            thread_local!(static RUNS: Cell<u32> = const { Cell::new(0) });
            let grouped = holds(node, &|call| call.kind == TermKind::Group);
            RUNS.set(RUNS.get() + u32::from(grouped));
            if grouped && RUNS.get().is_multiple_of(2) {
                return Ok(Datum::Null.into());
            }
            eval::eval(node, scope, cx)
        },
        ..evaluator::Subject::PRODUCT
    }
);
