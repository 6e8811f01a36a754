//! Values of ReQL as a script sees them: times as `Date`, everything else as in JSON.

use photondb_reql::datum::{Array as DatumArray, Datum, Object as DatumObject, time};
use rquickjs::object::Property;
use rquickjs::{Array, Ctx, Error, IntoJs, Object, Result as JsResult, String as JsString, Value};

use super::builtins::Builtins;

/// Why a value cannot be passed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("`r.minval` cannot be passed to `r.js`.")]
    MinVal,
    #[error("`r.maxval` cannot be passed to `r.js`.")]
    MaxVal,
    #[error("`r.binary` data cannot be used in `r.js`.")]
    Binary,
    /// The engine has run out of memory, most likely.
    #[error(transparent)]
    Engine(#[from] Error),
}

/// The value that stands for a datum. It calls itself for each level of nesting, of which a datum has a thousand at most.
pub(super) fn value<'js>(ctx: &Ctx<'js>, builtins: &Builtins, datum: &Datum) -> Result<Value<'js>, Refused> {
    Ok(match datum {
        Datum::MinVal => return Err(Refused::MinVal),
        Datum::MaxVal => return Err(Refused::MaxVal),
        Datum::Binary(_) => return Err(Refused::Binary),
        Datum::Null => Value::new_null(ctx.clone()),
        Datum::Bool(truth) => Value::new_bool(ctx.clone(), *truth),
        Datum::Number(number) => Value::new_number(ctx.clone(), *number),
        Datum::String(text) => string(ctx, text.as_str())?,
        Datum::Array(items) => array(ctx, builtins, items)?,
        Datum::Object(fields) => match time::parts(datum) {
            Some((epoch, _)) => date(ctx, builtins, epoch)?,
            None => object(ctx, builtins, fields)?,
        },
    })
}

fn string<'js>(ctx: &Ctx<'js>, text: &str) -> JsResult<Value<'js>> {
    Ok(JsString::from_str(ctx.clone(), text)?.into_value())
}

fn array<'js>(ctx: &Ctx<'js>, builtins: &Builtins, items: &DatumArray) -> Result<Value<'js>, Refused> {
    let array = Array::new(ctx.clone())?;
    for (index, item) in items.iter().enumerate() {
        array.set(index, value(ctx, builtins, &item)?)?;
    }
    Ok(array.into_value())
}

fn object<'js>(ctx: &Ctx<'js>, builtins: &Builtins, fields: &DatumObject) -> Result<Value<'js>, Refused> {
    let object = Object::new(ctx.clone())?;
    for (name, field) in fields.iter() {
        let field = value(ctx, builtins, &field)?;
        // Defined, not set: a field called `__proto__` is a field like any other.
        let property = Property::from(field).configurable().writable().enumerable();
        object.prop(string(ctx, &name)?, property)?;
    }
    Ok(object.into_value())
}

fn date<'js>(ctx: &Ctx<'js>, builtins: &Builtins, epoch_seconds: f64) -> JsResult<Value<'js>> {
    let date = builtins.date.clone().restore(ctx)?;
    // A date is cut to whole milliseconds, and the product may lie a little below the one that is meant.
    let milliseconds = (epoch_seconds * 1000.0).round().into_js(ctx)?;
    date.construct((milliseconds,))
}
