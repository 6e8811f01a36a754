//! What conversion needs of the realm, taken before a script can put something else in its place.

use rquickjs::function::{Constructor, This};
use rquickjs::{Coerced, Ctx, Function, Object, Persistent, Result, String as JsString, Value};

/// The standard objects that values are told apart by.
pub(super) struct Builtins {
    /// `Date`.
    pub date: Persistent<Constructor<'static>>,
    /// `Date.prototype`.
    pub date_prototype: Persistent<Object<'static>>,
    /// `Date.prototype.valueOf`.
    pub date_value: Persistent<Function<'static>>,
    /// `RegExp.prototype`.
    pub regexp_prototype: Persistent<Object<'static>>,
    /// `String.prototype.toWellFormed`.
    well_formed: Persistent<Function<'static>>,
}

impl Builtins {
    pub fn of(ctx: &Ctx<'_>) -> Result<Builtins> {
        let globals = ctx.globals();
        let date: Constructor<'_> = globals.get("Date")?;
        let date_prototype: Object<'_> = date.get("prototype")?;
        let date_value: Function<'_> = date_prototype.get("valueOf")?;
        let regexp_prototype: Object<'_> = globals.get::<_, Object<'_>>("RegExp")?.get("prototype")?;
        let string_prototype: Object<'_> = globals.get::<_, Object<'_>>("String")?.get("prototype")?;
        let well_formed: Function<'_> = string_prototype.get("toWellFormed")?;
        Ok(Builtins {
            date: Persistent::save(ctx, date),
            date_prototype: Persistent::save(ctx, date_prototype),
            date_value: Persistent::save(ctx, date_value),
            regexp_prototype: Persistent::save(ctx, regexp_prototype),
            well_formed: Persistent::save(ctx, well_formed),
        })
    }
}

/// Any value as text, as `String(value)` gives it.
pub(super) fn text<'js>(ctx: &Ctx<'js>, builtins: &Builtins, value: Value<'js>) -> Result<String> {
    let Coerced(string) = value.get::<Coerced<JsString<'js>>>()?;
    string_text(ctx, builtins, &string)
}

/// A string as text. Half of a surrogate pair, which no UTF-8 stands for, becomes U+FFFD.
pub(super) fn string_text<'js>(ctx: &Ctx<'js>, builtins: &Builtins, string: &JsString<'js>) -> Result<String> {
    if let Ok(text) = string.to_string() {
        return Ok(text);
    }
    let well_formed = builtins.well_formed.clone().restore(ctx)?;
    well_formed.call::<_, JsString<'js>>((This(string.clone()),))?.to_string()
}
