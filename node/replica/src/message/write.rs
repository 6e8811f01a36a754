//! Writes and what became of them, as messages.
//!
//! A function travels as the bytes in which it would be stored: captured variables and `now()` are constants there. Every
//! function of a [`Transition`] is one that can, because `query` evaluates all others itself.

use bytes::Bytes;
use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::change::Transition as WireTransition;
use photondb_proto::v1::shard::done::Now;
use photondb_proto::v1::shard::insert::Conflict as WireConflict;
use photondb_proto::v1::shard::outcome::Outcome;
use photondb_query::table::{Conflict, Transition, Write, WriteOptions, WriteResult};
use photondb_reql::Str;
use photondb_reql::datum::Datum;
use photondb_reql::error::{Error as QueryError, ErrorKind};
use photondb_reql::eval::stored::{Literals, compile_arrived, encode_function};
use photondb_reql::eval::{Cx, Func, Limits};

use super::{Malformed, datum, document, read_datum, read_document};
use crate::error::ReplicaError;
use crate::keys;
use crate::writer::KeyedWrite;

/// The message that asks for `writes`. Errors: a function that cannot be sent.
pub(crate) fn write<'a>(
    writes: impl Iterator<Item = &'a Write>,
    primary_key: &Str,
    options: &WriteOptions,
    cx: &Cx,
) -> Result<wire::Write, ReplicaError> {
    let mut functions = Functions { bytes: Vec::new(), cx };
    let mut changes = Vec::new();
    for write in writes {
        changes.push(wire::Change {
            key: datum(&write.key),
            transition: Some(match &write.transition {
                Transition::Insert { document, conflict } => WireTransition::Insert(wire::Insert {
                    document: datum(document),
                    conflict: match conflict {
                        Conflict::Error => None,
                        Conflict::Replace => Some(WireConflict::Replace(wire::Replace {})),
                        Conflict::Update => Some(WireConflict::Update(wire::Update {})),
                        Conflict::Function(function) => Some(WireConflict::Function(functions.place_of(function)?)),
                    },
                }),
                Transition::Update(function) => WireTransition::Update(functions.place_of(function)?),
                Transition::Replace(function) => WireTransition::Replace(functions.place_of(function)?),
                Transition::Delete => WireTransition::Delete(wire::Delete {}),
            }),
        });
    }
    Ok(wire::Write {
        primary_key: primary_key.to_string(),
        ignore_write_hook: options.ignore_write_hook,
        now_micros: cx.world().now_micros(),
        array_limit: cx.limits().array as u64,
        memory_bytes: cx.limits().memory as u64,
        functions: functions.bytes,
        changes,
    })
}

/// Functions on their way, each once: the writes of one query mostly share one.
struct Functions<'a> {
    bytes: Vec<Bytes>,
    cx: &'a Cx,
}

impl Functions<'_> {
    fn place_of(&mut self, function: &Func) -> Result<u32, ReplicaError> {
        let bytes = encode_function(function, self.cx).map_err(ReplicaError::Query)?;
        let place = match self.bytes.iter().rposition(|known| **known == *bytes) {
            Some(place) => place,
            None => {
                self.bytes.push(Bytes::from(bytes));
                self.bytes.len() - 1
            }
        };
        Ok(u32::try_from(place).expect("a request holds fewer writes than that"))
    }
}

/// Writes that have arrived.
pub(crate) struct Arrived {
    pub writes: Vec<KeyedWrite>,
    pub primary_key: Str,
    pub options: WriteOptions,
    pub now_micros: i64,
    pub limits: Limits,
    /// How deep evaluating any of the functions goes.
    pub depth: usize,
}

/// The writes of a message, their functions compiled.
pub(crate) fn read_write(message: wire::Write) -> Result<Arrived, ReplicaError> {
    let mut functions = Arrivals { bytes: message.functions, compiled: Vec::new(), depth: 0 };
    let mut writes = Vec::with_capacity(message.changes.len());
    for change in message.changes {
        let key = read_datum(change.key)?;
        let transition = match change.transition.ok_or(Malformed("a change that changes nothing"))? {
            WireTransition::Insert(insert) => Transition::Insert {
                document: read_datum(insert.document)?,
                conflict: match insert.conflict {
                    None => Conflict::Error,
                    Some(WireConflict::Replace(_)) => Conflict::Replace,
                    Some(WireConflict::Update(_)) => Conflict::Update,
                    Some(WireConflict::Function(place)) => Conflict::Function(functions.at(place, Literals::Refused)?),
                },
            },
            WireTransition::Update(place) => Transition::Update(functions.at(place, Literals::Allowed)?),
            WireTransition::Replace(place) => Transition::Replace(functions.at(place, Literals::Refused)?),
            WireTransition::Delete(_) => Transition::Delete,
        };
        let encoded = keys::primary(&key).map_err(ReplicaError::Query)?;
        writes.push(KeyedWrite { key: encoded, write: Write { key, transition } });
    }
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Ok(Arrived {
        writes,
        primary_key: Str::from(message.primary_key.as_str()),
        options: WriteOptions { ignore_write_hook: message.ignore_write_hook, ..WriteOptions::default() },
        now_micros: message.now_micros,
        limits: Limits {
            array: size(message.array_limit),
            memory: size(message.memory_bytes).min(Limits::default().memory),
            ..Limits::default()
        },
        depth: functions.depth,
    })
}

/// Functions that have arrived, each compiled once for each way in which it is used.
struct Arrivals {
    bytes: Vec<Bytes>,
    compiled: Vec<(u32, Literals, Func)>,
    depth: usize,
}

impl Arrivals {
    fn at(&mut self, place: u32, literals: Literals) -> Result<Func, ReplicaError> {
        let known = self.compiled.iter().rev().find(|(of, as_well, _)| (*of, *as_well) == (place, literals));
        if let Some((_, _, function)) = known {
            return Ok(function.clone());
        }
        let bytes = self.bytes.get(place as usize).ok_or(Malformed("a function that was not sent"))?;
        let arrived = compile_arrived(bytes, literals).map_err(ReplicaError::Query)?;
        self.depth = self.depth.max(arrived.depth);
        self.compiled.push((place, literals, arrived.function.clone()));
        Ok(arrived.function)
    }
}

/// What became of writes; `failed` says why some are open.
pub(crate) fn written(
    writes: &[KeyedWrite],
    results: Vec<Option<WriteResult>>,
    failed: Option<wire::Failed>,
) -> wire::Written {
    let outcome = |(write, result): (&KeyedWrite, Option<WriteResult>)| wire::Outcome {
        outcome: Some(match result {
            None => Outcome::Open(wire::Open {}),
            Some(WriteResult::Refused { error, old }) => Outcome::Refused(wire::Refused {
                kind: error.kind.code().into(),
                message: error.message,
                old: document(&old),
            }),
            Some(WriteResult::Done { old, new }) => {
                let sent = match &write.write.transition {
                    Transition::Insert { document, .. } => Some(document),
                    _ => None,
                };
                let now = if new.is_null() {
                    None
                } else if new == old {
                    Some(Now::AsBefore(wire::AsBefore {}))
                } else if sent == Some(&new) {
                    Some(Now::AsSent(wire::AsSent {}))
                } else {
                    Some(Now::Document(datum(&new)))
                };
                Outcome::Done(wire::Done { old: document(&old), now })
            }
        }),
    };
    wire::Written { outcomes: writes.iter().zip(results).map(outcome).collect(), failed }
}

/// What became of `write`; `None`: nothing was done about it.
pub(crate) fn read_outcome(outcome: wire::Outcome, write: &Write) -> Result<Option<WriteResult>, Malformed> {
    Ok(match outcome.outcome.ok_or(Malformed("an outcome that says nothing"))? {
        Outcome::Open(_) => None,
        Outcome::Refused(refused) => {
            let kind = u8::try_from(refused.kind).ok().and_then(ErrorKind::from_code);
            let error = QueryError::new(kind.ok_or(Malformed("an unknown kind of error"))?, refused.message);
            Some(WriteResult::Refused { error, old: read_document(refused.old)? })
        }
        Outcome::Done(done) => {
            let old = read_document(done.old)?;
            let new = match done.now {
                None => Datum::Null,
                Some(Now::AsBefore(_)) => old.clone(),
                Some(Now::Document(document)) => read_datum(document)?,
                Some(Now::AsSent(_)) => match &write.transition {
                    Transition::Insert { document, .. } => document.clone(),
                    _ => return Err(Malformed("a document that was not sent")),
                },
            };
            Some(WriteResult::Done { old, new })
        }
    })
}
