//! `info`: what a value is.

use photondb_reql::datum::{Array, Datum, Object, ObjectBuilder};
use photondb_reql::error::Result;
use photondb_reql::eval::value::Db;
use photondb_reql::eval::{Args, Value};

use crate::catalog::Permission;
use crate::mismatch;
use crate::selection::{Part, Slice, TableRef};
use crate::table::{Access, DatumRange, Keys, Order};

/// `info()`.
pub(super) fn eval(args: &Args<'_>) -> Result<Value> {
    let value = args.value(0)?;
    let mut fields = ObjectBuilder::new();
    fields.insert("type", value.type_name());
    if let Some(row) = mismatch::as_row(&value) {
        fields.insert("table", table(&row.table)?);
        return Ok(Value::Datum(Datum::Object(fields.build())));
    }
    match value {
        Value::Table(found) => {
            if let Some(found) = found.as_any().downcast_ref::<TableRef>() {
                return Ok(Value::Datum(selection(found)?));
            }
        }
        Value::Sequence(sequence) => {
            let of = sequence.table.as_ref().and_then(|of| of.as_any().downcast_ref::<TableRef>()).cloned();
            if let Some(of) = of {
                fields.insert("table", table(&of)?);
            } else if sequence.is_plain_array() {
                let array = Datum::from(sequence.read_array(args.cx())?);
                fields.insert("type", "ARRAY");
                fields.insert("value", array.print());
            }
        }
        Value::Db(db) => return Ok(Value::Datum(database(&db))),
        Value::Datum(datum) if !matches!(datum, Datum::Null | Datum::MinVal | Datum::MaxVal) => {
            fields.insert("value", datum.print());
        }
        _ => {}
    }
    Ok(Value::Datum(Datum::Object(fields.build())))
}

fn database(db: &Db) -> Datum {
    let fields =
        [("id", Datum::from(db.id.clone())), ("name", Datum::from(db.name.clone())), ("type", Datum::from("DB"))];
    Datum::Object(Object::from(fields))
}

fn table(of: &TableRef) -> Result<Datum> {
    // How many documents there are is for who may read them.
    if !of.info().system {
        of.surroundings.require_on(Permission::Read, of.info())?;
    }
    let counts = match of.table.count_by_shard(of.mode)? {
        Some(counts) => counts,
        None => vec![count(of)?],
    };
    let mut indexes: Vec<_> = of.table.indexes()?.into_iter().map(|index| index.name).collect();
    indexes.sort();
    Ok(Datum::Object(Object::from([
        ("db", database(&of.db)),
        ("doc_count_estimates", Datum::from(counts.into_iter().map(Datum::from).collect::<Vec<_>>())),
        ("id", Datum::from(of.info().id.clone())),
        ("indexes", Datum::from(Array::from(indexes.into_iter().map(Datum::String).collect::<Vec<_>>()))),
        ("name", Datum::from(of.info().name.clone())),
        ("primary_key", Datum::from(of.info().primary_key.clone())),
        ("type", Datum::from("TABLE")),
    ])))
}

fn count(of: &TableRef) -> Result<u64> {
    let all = Access { index: None, keys: Keys::Range(DatumRange::all()), order: Order::Any };
    if let Some(count) = of.table.count(&all, of.mode)? {
        return Ok(count);
    }
    let mut rows = of.table.scan(&all, of.mode)?;
    let mut count = 0;
    loop {
        match rows.next_batch(crate::limits::SCAN_BATCH_ROWS)?.len() {
            0 => return Ok(count),
            more => count += more as u64,
        }
    }
}

fn selection(of: &TableRef) -> Result<Datum> {
    if of.is_whole() {
        return table(of);
    }
    let mut fields = ObjectBuilder::new();
    fields.insert("table", table(of)?);
    if let Part::Slice(slice) = &of.part {
        fields.insert("type", "TABLE_SLICE");
        slice_fields(of, slice, &mut fields);
    } else {
        fields.insert("type", "SELECTION<STREAM>");
    }
    Ok(Datum::Object(fields.build()))
}

fn slice_fields(of: &TableRef, slice: &Slice, fields: &mut ObjectBuilder) {
    fields.insert("index", slice.index.clone().unwrap_or_else(|| of.info().primary_key.clone()));
    let sorting = match slice.order {
        Order::Any | Order::AscendingInShards => "UNORDERED",
        Order::Ascending => "ASCENDING",
        Order::Descending => "DESCENDING",
    };
    fields.insert("sorting", sorting);
    let range = slice.range.clone().unwrap_or_else(DatumRange::all);
    for (side, bound, closed, unbounded) in [
        ("left", &range.left, range.left_closed, Datum::MinVal),
        ("right", &range.right, range.right_closed, Datum::MaxVal),
    ] {
        let kind = match bound {
            bound if *bound == unbounded => "unbounded",
            Datum::MinVal | Datum::MaxVal => "unachievable",
            bound => {
                fields.insert(format!("{side}_bound"), bound.clone());
                if closed { "closed" } else { "open" }
            }
        };
        fields.insert(format!("{side}_bound_type"), kind);
    }
}
