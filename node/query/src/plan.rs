//! How a table is read on which `filter` stands: with `use_index: "auto"` by an index, where that gives what reading the
//! whole table would give. [`predicate`] finds what a predicate says about single fields, [`range`] what that means for keys.
//!
//! A plan never changes what a sequence is: it is made when the sequence is opened, and the predicate is still asked about
//! every row that is read. So a plan is right if no row that it passes over would have been kept, or would have raised an
//! error that is not swallowed:
//!
//! - P1 A condition holds for every row that is kept, and what stands in front of it in the predicate raises nothing but
//!   errors for want of something, which `filter` swallows unless its option `default` says otherwise.
//! - P2 The index files each document once, under exactly the field that the conditions are about.
//! - P3 What it does not file (documents without the field, nulls, objects) cannot fulfil the conditions; or the index is
//!   known to have filed every document of the table.

mod predicate;
mod range;

use std::collections::BTreeMap;

use photondb_reql::datum::Datum;
use photondb_reql::error::{ErrorKind, Result};
use photondb_reql::eval::{Cx, Func, Node, Stream};
use photondb_reql::key::PrimaryKey;
use photondb_reql::transform::Transform;
use photondb_reql::{Str, TermKind};

use crate::catalog::Permission;
use crate::definition;
use crate::keys;
use crate::limits::{INDEX_ROWS_ALWAYS, INDEX_SHARE_DIVISOR};
use crate::selection::{Part, Slice, TableRef};
use crate::table::{DatumRange, IndexInfo, Order};
pub(crate) use predicate::sees_outside;
use range::Claims;

/// How a table is to be read.
pub(crate) enum Plan {
    /// As the query says.
    AsAsked(Reason),
    /// By an index, of which the filter behind it needs no more than this part.
    ByIndex(Box<TableRef>),
}

/// Why a filter is no read of an index.
pub(crate) enum Reason {
    /// Nobody asked for it, or there is no filter.
    NotAsked,
    /// The query writes: what it has written would move in the index while that is read.
    Writes,
    /// The predicate says nothing of a single field before something in it may fail.
    NoCondition,
    /// No index is of a field that it says something about.
    NoIndex,
    /// The best index, and why not.
    Refused { index: Str, why: &'static str },
}

/// What became of an index that is of a field with a condition.
enum Verdict {
    /// This part of it could be read; how many rows that are, as far as it can be counted.
    Usable(Box<TableRef>, Option<u64>),
    Refused(&'static str),
}

/// Chooses how `table` is read, to which `transforms` will be done. Errors: permission; the table cannot be asked.
pub(crate) fn choose(table: &TableRef, transforms: &[Transform], cx: &Cx) -> Result<Plan> {
    if !table.surroundings.use_index || !matches!(transforms.first(), Some(Transform::Filter { .. })) {
        return Ok(Plan::AsAsked(Reason::NotAsked));
    }
    if table.surroundings.writes {
        return Ok(Plan::AsAsked(Reason::Writes));
    }
    if !table.is_whole() || table.info().system {
        return Ok(Plan::AsAsked(Reason::NotAsked));
    }
    table.surroundings.require_on(Permission::Read, table.info())?;
    let claims = claims(transforms, cx);
    if claims.is_empty() {
        return Ok(Plan::AsAsked(Reason::NoCondition));
    }
    if let Some(range) = claims.get(&table.info().primary_key)
        && is_primary(range)
    {
        return Ok(Plan::ByIndex(Box::new(part(table, &table.info().primary_key, range))));
    }
    by_secondary(table, &claims)
}

/// Opens what the plan chose. An index that is gone since it was chosen is none.
pub(crate) fn open(table: &TableRef, transforms: &[Transform], cx: &Cx) -> Result<Box<dyn Stream>> {
    match choose(table, transforms, cx)? {
        Plan::ByIndex(part) => match part.open_rows() {
            Err(error) if error.kind == ErrorKind::OpFailed => table.open_stream(cx),
            rows => Ok(Box::new(rows?)),
        },
        Plan::AsAsked(_) => table.open_stream(cx),
    }
}

/// What the filters in front of everything else say about fields.
fn claims(transforms: &[Transform], cx: &Cx) -> BTreeMap<Str, DatumRange> {
    let mut claims = Claims::default();
    for transform in transforms {
        let Transform::Filter { predicate, default } = transform else { break };
        if !default.as_ref().is_none_or(drops) {
            break;
        }
        // What may fail here would not be asked about the rows that a later filter passes over.
        if !predicate::read(predicate, cx, &mut claims) {
            break;
        }
    }
    claims.into_ranges()
}

/// Whether the option `default` of a filter drops rows for which the predicate lacks something.
fn drops(default: &Func) -> bool {
    match default {
        Func::Closure(closure) => match &closure.function.body {
            Node::Constant(datum, _) => !datum.is_truthy(),
            _ => false,
        },
        _ => false,
    }
}

fn by_secondary(table: &TableRef, claims: &BTreeMap<Str, DatumRange>) -> Result<Plan> {
    let mut best: Option<(Box<TableRef>, u64)> = None;
    let mut reason = Reason::NoIndex;
    let mut indexes = table.table.indexes()?;
    indexes.sort_by(|a, b| a.name.cmp(&b.name));
    for index in indexes {
        let Some(range) = field_of(&index).and_then(|field| claims.get(&field)) else { continue };
        match judge(table, &index, range)? {
            Verdict::Refused(why) => reason = Reason::Refused { index: index.name, why },
            Verdict::Usable(part, rows) => {
                let rows = rows.unwrap_or(u64::MAX);
                if best.as_ref().is_none_or(|(_, fewest)| rows < *fewest) {
                    best = Some((part, rows));
                }
            }
        }
    }
    Ok(match best {
        Some((part, _)) => Plan::ByIndex(part),
        None => Plan::AsAsked(reason),
    })
}

fn judge(table: &TableRef, index: &IndexInfo, range: &DatumRange) -> Result<Verdict> {
    if index.multi || index.geo {
        return Ok(Verdict::Refused("it may file a document more than once, or not by its order"));
    }
    if !index.ready || index.outdated {
        return Ok(Verdict::Refused("it is still being built"));
    }
    if !is_secondary(range) {
        return Ok(Verdict::Refused("the value that the field is compared with cannot be a key"));
    }
    if !range::is_filed(range) && table.table.left_out(&index.name, table.mode)? != Some(0) {
        return Ok(Verdict::Refused(
            "it leaves out documents (a null, an object, or no such field) that the range may hold",
        ));
    }
    let part = part(table, &index.name, range);
    let count = |of: &TableRef| of.access().map_or(Ok(None), |access| table.table.count(&access, table.mode));
    let rows = count(&part)?;
    if let (Some(rows), Some(all)) = (rows, count(table)?)
        && rows > INDEX_ROWS_ALWAYS
        && rows > all / INDEX_SHARE_DIVISOR
    {
        return Ok(Verdict::Refused("too many of the table's rows are in its range"));
    }
    Ok(Verdict::Usable(Box::new(part), rows))
}

fn part(table: &TableRef, index: &Str, range: &DatumRange) -> TableRef {
    let slice = Slice { index: Some(index.clone()), range: Some(range.clone()), order: Order::Any };
    table.with(Part::Slice(slice))
}

/// The field that an index files documents by, when its function is that and nothing else.
fn field_of(index: &IndexInfo) -> Option<Str> {
    let Func::Closure(closure) = definition::decode(&index.definition).ok()? else { return None };
    if closure.function.params.len() != 1 {
        return None;
    }
    predicate::field(&closure.function.body).cloned()
}

fn bounds(range: &DatumRange) -> impl Iterator<Item = &Datum> {
    [&range.left, &range.right].into_iter().filter(|bound| !matches!(bound, Datum::MinVal | Datum::MaxVal))
}

fn is_primary(range: &DatumRange) -> bool {
    bounds(range).all(|bound| PrimaryKey::bound(bound).is_ok())
}

fn is_secondary(range: &DatumRange) -> bool {
    bounds(range).all(|bound| keys::check_secondary(bound).is_ok())
}

impl Reason {
    /// For people; `None` where nothing was asked.
    pub fn text(&self) -> Option<String> {
        Some(match self {
            Reason::NotAsked => return None,
            Reason::Writes => "the query writes".to_owned(),
            Reason::NoCondition => {
                "no condition compares a field with a value, before anything that may fail or where `default` lets rows \
                 pass"
                    .to_owned()
            }
            Reason::NoIndex => "no index is of a field that is compared".to_owned(),
            Reason::Refused { index, why } => format!("index `{index}`: {why}"),
        })
    }
}

/// Whether a term is a comparison, and which.
fn comparison(kind: TermKind) -> bool {
    matches!(kind, TermKind::Eq | TermKind::Ne | TermKind::Lt | TermKind::Le | TermKind::Gt | TermKind::Ge)
}
