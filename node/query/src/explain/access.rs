//! How a table is read: what `read` steps show.

use photondb_reql::Str;
use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::eval::Cx;
use photondb_reql::transform::Transform;

use super::outline::{Access, Place, Step};
use super::wording;
use crate::catalog::Permission;
use crate::plan::{self, Plan};
use crate::selection::{Part, TableRef};
use crate::table::{DatumRange, Order};

const SYSTEM_TABLE: &str = "system table";

/// Reading `table`, to which `transforms` will be done. Errors: those of opening it.
pub(super) fn read(table: &TableRef, transforms: &[Transform], cx: &Cx) -> Result<Step> {
    table.surroundings.require_on(Permission::Read, table.info())?;
    let mut step = Step::new("read", Place::Shard);
    let (table, no_index) = match plan::choose(table, transforms, cx)? {
        Plan::ByIndex(part) => {
            step.note = Some("in place of the whole table, by `use_index`".to_owned());
            (*part, None)
        }
        Plan::AsAsked(reason) => (table.clone(), reason.text()),
    };
    if table.info().system {
        step.place = Place::Coordinator;
    }
    step.glances = !table.info().system && !matches!(table.part, Part::Intersecting { .. });
    step.access = Some(Access { no_index, ..access(&table)? });
    Ok(step)
}

/// Of what `step` reads no more than the first row is wanted. A system table is listed whole for it.
pub(super) fn only_first(step: &mut Step) {
    if let Some(access) = step.access.as_mut().filter(|access| access.path != SYSTEM_TABLE) {
        access.path = "first row";
        access.rows = access.rows.map(|rows| rows.min(1));
    }
}

/// A part of a table as the query names it.
pub(super) fn access(table: &TableRef) -> Result<Access> {
    let secondary = table.reading_index();
    let (path, keys, order) = match &table.part {
        Part::Intersecting { geometry, .. } => {
            ("geospatial index", Some(format!("intersecting {}", wording::datum(geometry))), Order::Any)
        }
        Part::Keys { keys, .. } => {
            let path = if secondary.is_some() { "index points" } else { "primary key points" };
            (path, Some(wording::keys(keys)), Order::Any)
        }
        Part::Slice(slice) => {
            let range = slice.range.as_ref();
            let point = range.is_some_and(is_point);
            let path = match (&secondary, range) {
                _ if table.info().system => SYSTEM_TABLE,
                (None, _) if point => "primary key point",
                (None, Some(_)) => "primary key range",
                (None, None) => "full scan",
                (Some(_), _) if point => "index point",
                (Some(_), Some(_)) => "index range",
                (Some(_), None) => "whole index",
            };
            (path, range.and_then(wording::range), slice.order)
        }
    };
    if let Some(name) = &secondary {
        let index = match &table.part {
            Part::Intersecting { .. } => table.index(name)?,
            _ => table.ordinary_index(name)?,
        };
        if !index.ready {
            return Err(table.info().index_not_ready(name));
        }
    }
    // A system table would have to be listed.
    let rows = match table.access().filter(|_| !table.info().system) {
        Some(access) => table.table.count(&access, table.mode)?,
        None => None,
    };
    Ok(Access {
        table: name(table),
        path,
        index: secondary.unwrap_or_else(|| table.info().primary_key.clone()).to_string(),
        keys,
        order: match order {
            Order::Any | Order::AscendingInShards => None,
            Order::Ascending => Some("ascending"),
            Order::Descending => Some("descending"),
        },
        rows,
        no_index: None,
        id: table.id,
    })
}

/// Reading one document by its primary key.
pub(super) fn one(table: &TableRef, key: &Datum) -> Result<Step> {
    table.surroundings.require_on(Permission::Read, table.info())?;
    let mut step = Step::new("read", Place::Shard);
    step.access = Some(Access {
        path: if table.info().system { SYSTEM_TABLE } else { "primary key point" },
        keys: Some(wording::datum(key)),
        ..unread(table)
    });
    Ok(step)
}

/// Reading a table by keys that are not known yet.
pub(super) fn by(table: &TableRef, path: &'static str, index: Option<&Str>, keys: Option<String>) -> Result<Access> {
    table.surroundings.require_on(Permission::Read, table.info())?;
    let index = index.unwrap_or(&table.info().primary_key).to_string();
    Ok(Access { path, index, keys, ..unread(table) })
}

/// A table that is named and not read.
pub(super) fn unread(table: &TableRef) -> Access {
    Access {
        table: name(table),
        path: "not read",
        index: table.info().primary_key.to_string(),
        keys: None,
        order: None,
        rows: None,
        no_index: None,
        id: table.id,
    }
}

fn name(table: &TableRef) -> String {
    format!("{}.{}", &*table.info().db_name, &*table.info().name)
}

fn is_point(range: &DatumRange) -> bool {
    range.left == range.right && range.left_closed && range.right_closed
}
