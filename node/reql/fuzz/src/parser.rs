//! Any bytes as a message of a client: a tree of terms within its limits, or a refusal; and what is done with a tree before
//! anything is evaluated.
//!
//! First byte modulo 4: 0 the bytes as they are; 1 the same as the term of a START; 2 as the body of a function; 3 the
//! encoded form of a term.

use bytes::Bytes;
use photondb_reql::eval;
use photondb_reql::format::{decode_term, encode_term};
use photondb_reql::limits::{CHAIN_MAX, NESTING_MAX};
use photondb_reql::term::{Message, Refusal, Term, TermKind, parse, print};

use super::input::Input;

/// What is examined.
#[derive(Clone, Copy)]
pub struct Subject {
    pub parse: fn(&[u8]) -> Result<Message, Box<Refusal>>,
    pub encode: fn(&Term, &mut Vec<u8>),
}

impl Subject {
    /// The product.
    pub const PRODUCT: Subject = Subject { parse, encode: encode_term };
}

/// Examines the product.
pub fn run(input: &[u8]) {
    run_with(input, &Subject::PRODUCT);
}

/// Examines `subject`.
pub fn run_with(input: &[u8], subject: &Subject) {
    let mut input = Input::new(input);
    let kind = input.byte() % 4;
    let rest = input.rest();
    match kind {
        0 => message(rest, subject),
        1 => message(&[b"[1,", rest, b"]"].concat(), subject),
        2 => message(&[b"[1,[38,[[2,[1]],[69,[[2,[1]],", rest, b"]]]],{}]"].concat(), subject),
        _ => {
            if let Ok(term) = decode_term(&Bytes::copy_from_slice(rest)) {
                examine(&term, subject);
            }
        }
    }
}

fn message(bytes: &[u8], subject: &Subject) {
    let first = (subject.parse)(bytes);
    match (&first, (subject.parse)(bytes)) {
        (Ok(Message::Start(first)), Ok(Message::Start(second))) => {
            assert_eq!(format!("{:?}", first.term), format!("{:?}", second.term), "read twice");
            well_formed(bytes);
            examine(&first.term, subject);
            for (name, value) in &first.global_optargs {
                assert!(!name.is_empty());
                examine(value, subject);
            }
        }
        (Err(first), Err(second)) => {
            assert_eq!(*first, second, "refused twice");
            assert!(!first.error.message.is_empty());
            assert!(first.frames.len() <= NESTING_MAX + CHAIN_MAX + 1);
            let response = first.error.kind.response_type();
            assert!(response == 16 || response == 17, "refused as if it had run: {:?}", first.error);
        }
        (Ok(_), Ok(_)) => {}
        (first, second) => panic!("read as {:?}, then as {:?}", first.is_ok(), second.is_ok()),
    }
}

/// What is taken for a query is JSON to another reader as well, as far as that one reads: it goes less deep, takes no
/// number beyond a double, and no half of a surrogate pair.
fn well_formed(bytes: &[u8]) {
    let deep = bytes.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > 100;
    if deep || bytes.windows(2).any(|pair| pair == b"\\u") {
        return;
    }
    if let Err(error) = serde_json::from_slice::<serde_json::Value>(bytes) {
        let text = String::from_utf8_lossy(bytes);
        assert!(error.to_string().starts_with("number out of range"), "{text} is no JSON: {error}");
    }
}

/// What is done with a tree: it is compiled, shown, stored, and read again.
fn examine(term: &Term, subject: &Subject) {
    within_limits(term);
    let mut bytes = Vec::new();
    (subject.encode)(term, &mut bytes);
    let back = decode_term(&Bytes::from(bytes.clone())).expect("what was encoded can be decoded");
    assert_eq!(format!("{back:?}"), format!("{term:?}"), "a term that was stored");
    let mut again = Vec::new();
    encode_term(&back, &mut again);
    assert_eq!(bytes, again);
    let _shown = print::query(term, usize::MAX);
    match (eval::compile(term), eval::compile(&back)) {
        (Ok(first), Ok(second)) => {
            assert_eq!((first.depth, first.root.traits()), (second.depth, second.root.traits()));
        }
        (Err(first), Err(second)) => assert_eq!((first.kind, first.message), (second.kind, second.message)),
        (first, second) => panic!("{term:?} compiles as {first:?}, stored as {second:?}"),
    }
}

/// Every part stands within the limits of nesting and of chains.
fn within_limits(term: &Term) {
    let mut waiting = vec![(term, 0)];
    while let Some((term, nesting)) = waiting.pop() {
        assert!(nesting <= NESTING_MAX + 1, "nested too deep");
        let Term::Call(call) = term else { continue };
        let chain = call.chain();
        let links = chain.iter().filter(|call| !matches!(call.kind, TermKind::MakeArray | TermKind::MakeObj)).count();
        assert!(links <= CHAIN_MAX + NESTING_MAX + 1, "a chain of {links}");
        for call in chain {
            let others = call.args.iter().skip(1).chain(call.optargs.iter().map(|(_, value)| value));
            waiting.extend(others.map(|part| (part, nesting + 1)));
        }
    }
}
