//! What is before `changes`, as a number: a token is of use only to the query that it was given for.
//!
//! Two queries have one fingerprint if they select the same part of a table by the same primary key or an index of the same
//! definition, and show the same of it. Not everything that looks the same is the same: drivers number the variables of functions as
//! they go, so here they are numbered anew, and the moment of `now()` is another one in each query.

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::{Cx, Func, stored};
use photondb_reql::format::encode_term;
use photondb_reql::transform::Transform;
use photondb_reql::{Term, TermKind};
use sha2::{Digest, Sha256};

use crate::selection::{Part, TableRef};

/// The fingerprint of a feed of `table`, shown after `transforms`; `point`: of one document. Errors: no such index.
pub(super) fn fingerprint(table: &TableRef, transforms: &[Transform], point: bool, cx: &Cx) -> Result<u64> {
    let mut print = Print(Sha256::new());
    print.part(b"feed", &[u8::from(point)]);
    match table.reading_index() {
        None => print.part(b"primary", table.info().primary_key.as_bytes()),
        Some(name) => {
            let index = table.index(&name)?;
            print.part(b"index", &[u8::from(index.multi), u8::from(index.geo)]);
            print.function(stored::decode_function(&index.definition)?);
        }
    }
    match &table.part {
        Part::Slice(slice) => {
            if let Some(range) = &slice.range {
                print.part(b"range", &[u8::from(range.left_closed), u8::from(range.right_closed)]);
                [&range.left, &range.right].into_iter().for_each(|bound| print.datum(bound));
            }
        }
        Part::Keys { keys, .. } => {
            print.part(b"keys", &[]);
            keys.iter().for_each(|key| print.datum(key));
        }
        Part::Intersecting { geometry, .. } => {
            print.part(b"intersecting", &[]);
            print.datum(geometry);
        }
    }
    for transform in transforms {
        print.transform(transform, cx)?;
    }
    let whole = print.0.finalize();
    let (first, _) = whole.split_first_chunk().expect("a SHA-256 has 32 bytes");
    Ok(u64::from_le_bytes(*first))
}

struct Print(Sha256);

impl Print {
    /// Each part says where it ends, so that no two rows of parts are the same bytes.
    fn part(&mut self, what: &[u8], bytes: &[u8]) {
        for piece in [what, bytes] {
            self.0.update((piece.len() as u64).to_le_bytes());
            self.0.update(piece);
        }
    }

    fn datum(&mut self, datum: &Datum) {
        self.part(b"datum", &datum.to_encoded());
    }

    fn transform(&mut self, transform: &Transform, cx: &Cx) -> Result<()> {
        let mut functions = |what: &[u8], functions: [Option<&Func>; 2]| {
            self.part(what, &[]);
            functions.into_iter().flatten().try_for_each(|function| {
                self.function(stored::function_term(function, cx)?);
                Ok(())
            })
        };
        match transform {
            Transform::Map(function) => functions(b"map", [Some(function), None]),
            Transform::Filter { predicate, default } => functions(b"filter", [Some(predicate), default.as_ref()]),
            Transform::Members(members) => {
                self.part(b"members", &[]);
                self.function(stored::members_term(members, cx)?);
                Ok(())
            }
            // No feed of single documents has any other.
            other => {
                self.part(b"other", format!("{other:?}").as_bytes());
                Ok(())
            }
        }
    }

    fn function(&mut self, mut term: Term) {
        number_anew(&mut term, &mut Vec::new(), &mut 0);
        let mut bytes = Vec::new();
        encode_term(&term, &mut bytes);
        self.part(b"function", &bytes);
    }
}

/// Numbers the variables of functions in the order in which they come, and sorts the names of options. `known` are those of the functions
/// around, each with its new number.
fn number_anew(term: &mut Term, known: &mut Vec<(Datum, i64)>, next: &mut i64) {
    let mut at = term;
    // Along first arguments in a loop: chains are longer than a stack is deep.
    while let Term::Call(call) = at {
        call.optargs.sort_by(|left, right| left.0.cmp(&right.0));
        for (_, value) in &mut call.optargs {
            number_anew(value, known, next);
        }
        let (kind, outside) = (call.kind, known.len());
        let Some((first, rest)) = call.args.split_first_mut() else { return };
        match (kind, &mut *first) {
            (TermKind::Var, Term::Datum(name, _)) => {
                if let Some((_, number)) = known.iter().rev().find(|(old, _)| old == name) {
                    *name = Datum::from(*number);
                }
            }
            (TermKind::Func, Term::Datum(names, _)) => {
                let Datum::Array(list) = &*names else { return };
                let numbers: Vec<Datum> = list
                    .iter()
                    .map(|name| {
                        *next += 1;
                        known.push((name, *next));
                        Datum::from(*next)
                    })
                    .collect();
                *names = Datum::from(numbers);
            }
            _ => {}
        }
        rest.iter_mut().for_each(|arg| number_anew(arg, known, next));
        known.truncate(outside);
        at = first;
    }
}
