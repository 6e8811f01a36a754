//! The terms. [`eval`] and [`apply`] only decide whose turn it is; each family has a file of its own.

pub mod aggregate;
pub mod arithmetic;
pub mod array;
pub mod binary;
pub mod bit;
pub mod bounds;
#[cfg(test)]
pub(in crate::eval) mod checked;
pub mod comparison;
pub mod control;
pub mod difference;
pub mod fold;
pub mod geo;
pub mod inspect;
pub mod javascript;
pub mod json;
pub mod nth;
pub mod object;
pub mod order;
pub mod random;
pub mod sequence;
pub mod set;
pub mod shape;
pub mod shortcut;
pub mod slice;
pub mod string;
pub mod time;
pub mod types;
pub mod union;
pub mod zipped;

use std::sync::Arc;

use crate::error::Result;
use crate::eval::signature::Grouping;
use crate::eval::{Args, CallNode, Cx, Scope, Value};
use crate::term::TermKind;

/// Evaluates a call none of whose arguments is known yet.
pub fn eval(call: &Arc<CallNode>, scope: &Scope, cx: &Cx) -> Result<Value> {
    let args = Args::new(call, scope, cx)?;
    if call.grouping == Grouping::Lazy || args.is_empty() {
        return dispatch(&args);
    }
    let first = args.value(0)?;
    on_first(args, first)
}

/// Evaluates a call whose first argument is known.
pub fn apply(call: &Arc<CallNode>, first: Value, scope: &Scope, cx: &Cx) -> Result<Value> {
    if let Value::Datum(datum) = &first {
        if let Some(field) = shape::known_field(call, datum) {
            return Ok(field);
        }
        return dispatch(&Args::with_known_first(call, first, scope, cx));
    }
    on_first(Args::with_known_first(call, Value::from(false), scope, cx), first)
}

/// Tables and documents are asked first whether they do the term themselves; grouped values have it done for each group.
fn on_first(args: Args<'_>, first: Value) -> Result<Value> {
    let own = match &first {
        Value::Table(table) => Some(Ok(table.clone())),
        Value::Row(row) => Some(Err(row.clone())),
        _ => None,
    };
    match own {
        Some(own) => {
            args.put_first(first);
            let done = match &own {
                Ok(table) => table.clone().term(&args),
                Err(row) => row.clone().term(&args),
            };
            if let Some(result) = done {
                return result;
            }
            // The term may have looked at its first argument before it declined.
            args.put_first(match own {
                Ok(table) => Value::Table(table),
                Err(row) => Value::Row(row),
            });
            dispatch(&args)
        }
        None => {
            let grouping = args.call().grouping;
            let first = match first {
                Value::Sequence(sequence) if grouping == Grouping::Each && sequence.is_grouped() => {
                    Value::Grouped(sequence.read_groups(args.cx())?)
                }
                first => first,
            };
            if grouping == Grouping::Whole {
                args.put_first(first);
                return dispatch(&args);
            }
            map_groups(&args, first, |first| {
                let args = args.with_first(first);
                dispatch(&args)
            })
        }
    }
}

/// Does something to a value, or to the value of each group when it is grouped.
pub fn map_groups(args: &Args<'_>, value: Value, each: impl Fn(Value) -> Result<Value>) -> Result<Value> {
    let cx = args.cx();
    let groups = match value {
        Value::Grouped(groups) => groups,
        Value::Sequence(sequence) if args.call().grouping == Grouping::Lazy && sequence.is_grouped() => {
            sequence.read_groups(cx)?
        }
        value => return each(value),
    };
    let mut done = Vec::with_capacity(groups.len());
    for (group, value) in groups {
        done.push((group, Value::Datum(each(value)?.into_datum(cx)?)));
    }
    Ok(Value::Grouped(done))
}

fn dispatch(args: &Args<'_>) -> Result<Value> {
    use TermKind as K;
    match args.kind() {
        K::Bracket => shape::bracket(args),
        K::GetField | K::Pluck | K::Without | K::Merge | K::HasFields => shape::eval(args),
        K::Intersects | K::Includes => shape::eval(args),
        K::WithFields => shape::with_fields(args),

        K::Eq => comparison::eq(args),
        K::Ne => comparison::ne(args),
        K::Lt => comparison::lt(args),
        K::Le => comparison::le(args),
        K::Gt => comparison::gt(args),
        K::Ge => comparison::ge(args),
        K::Add => arithmetic::add(args),
        K::Sub => arithmetic::sub(args),
        K::Mul => arithmetic::mul(args),
        K::Div => arithmetic::div(args),
        K::Mod => arithmetic::modulo(args),
        K::Floor => arithmetic::floor(args),
        K::Ceil => arithmetic::ceil(args),
        K::Round => arithmetic::round(args),
        K::BitAnd => bit::and(args),
        K::BitOr => bit::or(args),
        K::BitXor => bit::xor(args),
        K::BitNot => bit::not(args),
        K::BitSal => bit::sal(args),
        K::BitSar => bit::sar(args),

        K::MakeArray => control::make_array(args),
        K::MakeObj => control::make_obj(args),
        K::Funcall => control::funcall(args),
        K::Branch => control::branch(args),
        K::And => control::and(args),
        K::Or => control::or(args),
        K::Not => control::not(args),
        K::Default => control::default(args),
        K::Error => control::error(args),
        K::Literal => control::make_literal(args),
        K::Args | K::Asc | K::Desc => control::identity(args),
        K::TypeOf => inspect::type_of(args),
        K::CoerceTo => types::coerce_to(args),
        K::Info => inspect::info(args),
        K::Ungroup => inspect::ungroup(args),

        K::Map => sequence::map(args),
        K::Filter => sequence::filter(args),
        K::ConcatMap => sequence::concat_map(args),
        K::OffsetsOf => sequence::offsets_of(args),
        K::Zip => sequence::zip(args),
        K::Limit => sequence::limit(args),
        K::Skip => sequence::skip(args),
        K::Slice => sequence::slice(args),
        K::Range => sequence::range(args),
        K::Nth => nth::eval(args),
        K::OrderBy => order::order_by(args),
        K::Union => union::union(args),
        K::Fold => fold::fold(args),
        K::Count => aggregate::count(args),
        K::Sum | K::Avg | K::Min | K::Max => aggregate::of_numbers(args),
        K::Reduce => aggregate::reduce(args),
        K::Group => aggregate::group(args),
        K::IsEmpty => aggregate::is_empty(args),
        K::Contains => aggregate::contains(args),
        K::Distinct => aggregate::distinct(args),
        K::Sample => aggregate::sample(args),

        K::Append => array::append(args),
        K::Prepend => array::prepend(args),
        K::InsertAt => array::insert_at(args),
        K::SpliceAt => array::splice_at(args),
        K::DeleteAt => array::delete_at(args),
        K::ChangeAt => array::change_at(args),
        K::Difference => difference::difference(args),
        K::SetInsert => set::insert(args),
        K::SetUnion => set::union(args),
        K::SetIntersection => set::intersection(args),
        K::SetDifference => set::difference(args),

        K::Keys => object::keys(args),
        K::Values => object::values(args),
        K::Object => object::object(args),

        K::Match => string::find(args),
        K::Split => string::split(args),
        K::Upcase => string::upcase(args),
        K::Downcase => string::downcase(args),
        K::Format => string::format(args),
        K::Javascript => javascript::eval(args),
        K::Json => json::parse(args),
        K::ToJsonString => json::print(args),
        K::Binary => binary::binary(args),
        K::Random => random::random(args),
        K::Uuid => random::uuid(args),
        K::Minval => Ok(Value::Datum(crate::datum::Datum::MinVal)),
        K::Maxval => Ok(Value::Datum(crate::datum::Datum::MaxVal)),

        K::Now => time::now(args),
        K::Time => time::time(args),
        K::Iso8601 => time::from_iso8601(args),
        K::ToIso8601 => time::to_iso8601(args),
        K::EpochTime => time::from_epoch(args),
        K::ToEpochTime => time::to_epoch(args),
        K::InTimezone => time::in_timezone(args),
        K::Timezone => time::timezone(args),
        K::During => time::during(args),
        K::Date => time::date(args),
        K::TimeOfDay => time::time_of_day(args),
        K::Year | K::Month | K::Day | K::DayOfWeek | K::DayOfYear | K::Hours | K::Minutes | K::Seconds => {
            time::part(args)
        }
        K::Monday | K::Tuesday | K::Wednesday | K::Thursday | K::Friday | K::Saturday | K::Sunday => {
            time::constant(args)
        }
        K::January | K::February | K::March | K::April | K::May | K::June => time::constant(args),
        K::July | K::August | K::September | K::October | K::November | K::December => time::constant(args),

        K::Geojson => geo::from_geojson(args),
        K::ToGeojson => geo::to_geojson(args),
        K::Point => geo::point(args),
        K::Line => geo::line(args),
        K::Polygon => geo::polygon(args),
        K::PolygonSub => geo::polygon_sub(args),
        K::Circle => geo::circle(args),
        K::Fill => geo::fill(args),
        K::Distance => geo::distance(args),

        _ => args.cx().world().term(args),
    }
}
