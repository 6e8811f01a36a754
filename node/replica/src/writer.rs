//! Writes of one request to one shard, by the member that leads it.

use bytes::Bytes;
use photondb_query::table::{Write, WriteOptions, WriteResult};
use photondb_query::write::{self, Rules};
use photondb_reql::Str;
use photondb_reql::datum::Datum;
use photondb_reql::eval::Cx;
use photondb_runtime::fiber;
use photondb_shard::{Effect, ShardError};
use photondb_storage::fault::buggify;

use crate::error::ReplicaError;
use crate::feed::document_or_null;
use crate::limits::ATTEMPTS_MAX;
use crate::proposer::{Planned, Proposer, Settled};

/// A write with its encoded key.
pub(crate) struct KeyedWrite {
    pub key: Bytes,
    pub write: Write,
}

/// What is the same for all writes of a request.
pub(crate) struct Request<'a> {
    /// The field that is the primary key.
    pub primary_key: &'a Str,
    pub options: &'a WriteOptions,
    pub cx: &'a Cx,
}

/// Carries out those of `all` that `open` names, in order, and notes their results. Called on a fiber.
///
/// Errors: those without a result were not done ([`ReplicaError::NotLeading`], and whatever else is not
/// [`ReplicaError::Unknown`]); of [`ShardError::Moved`] at least one is another shard's.
pub(crate) fn write_shard(
    proposer: &Proposer,
    all: &[KeyedWrite],
    mut open: Vec<usize>,
    request: &Request<'_>,
    results: &mut [Option<WriteResult>],
) -> Result<(), ReplicaError> {
    let mut attempts = 0;
    while !open.is_empty() {
        let keys: Vec<Bytes> = open.iter().map(|index| all[*index].key.clone()).collect();
        let (ticket, documents) = fiber::wait(proposer.read(&keys))?;
        if !keys.iter().all(|key| ticket.view.has(key)) {
            photondb_storage::probe!("write of a key that was cut off from its shard");
            return Err(ShardError::Moved.into());
        }
        // The hook of the schema that the entry is fenced to, whatever the coordinator knows.
        let hook = match request.options.ignore_write_hook {
            true => None,
            false => proposer.hook(&ticket.view)?,
        };
        let rules = Rules { primary_key: request.primary_key, hook: hook.as_ref() };
        let mut planned = Vec::with_capacity(open.len());
        let mut evaluated = Vec::with_capacity(open.len());
        for (index, document) in open.iter().zip(documents) {
            let KeyedWrite { key, write } = &all[*index];
            let old = document_or_null(document.as_ref())?;
            let (effect, result) = evaluate(key, write, old, rules, request.cx);
            planned.push(Planned { key: key.clone(), expected: document, effect });
            evaluated.push(result);
        }
        if buggify!("replica/write-gives-way") {
            fiber::yield_now();
        }
        let submitted = proposer.submit(&ticket, planned)?;
        let (taken, full) = (submitted.taken.clone(), submitted.full);
        match fiber::wait(submitted.settle())? {
            Settled::Applied if taken.contains(&true) => {
                let mut rest = Vec::new();
                for ((index, result), taken) in open.iter().zip(evaluated).zip(taken) {
                    if taken { results[*index] = Some(result) } else { rest.push(*index) }
                }
                open = rest;
            }
            Settled::Applied if full => fiber::yield_now(),
            _ => {
                attempts += 1;
                if attempts == ATTEMPTS_MAX {
                    return Err(ReplicaError::Unsettled { attempts });
                }
                fiber::yield_now();
            }
        }
    }
    Ok(())
}

fn evaluate(key: &Bytes, write: &Write, old: Datum, rules: Rules<'_>, cx: &Cx) -> (Option<Effect>, WriteResult) {
    match write::apply(&write.transition, &old, rules, &write.key, cx) {
        Err(error) => (None, WriteResult::Refused { error, old }),
        Ok(new) if new == old => (None, WriteResult::Done { old, new }),
        Ok(Datum::Null) => (Some(Effect::Delete { key: key.clone() }), WriteResult::Done { old, new: Datum::Null }),
        Ok(new) => {
            let mut document = Vec::with_capacity(256);
            new.encode(&mut document);
            let effect = Effect::Put { key: key.clone(), document: Bytes::from(document) };
            (Some(effect), WriteResult::Done { old, new })
        }
    }
}
