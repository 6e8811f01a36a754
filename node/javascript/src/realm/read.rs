//! What a script gives, as a value of ReQL.

use photondb_reql::datum::{Datum, ObjectBuilder, PTYPE_FIELD, Str, time};
use rquickjs::function::This;
use rquickjs::object::Filter;
use rquickjs::{Atom, Ctx, Function, Object, Result as JsResult, Value};

use super::builtins::{Builtins, string_text};
use crate::limits::{RESULT_BYTES_MAX, RESULT_NESTING_MAX};

/// Why a value is none of ReQL's, in RethinkDB's words where it has any.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("Recursion limit exceeded in js_to_json (circular reference?).")]
    TooDeep,
    #[error("Cannot convert javascript `undefined` to ql::datum_t.")]
    Undefined,
    #[error("Cannot convert function to ql::datum_t.")]
    Function,
    #[error("Cannot convert RegExp to ql::datum_t.")]
    RegExp,
    #[error("Number return value is not finite.")]
    NotFinite,
    #[error("Invalid Date in JS environment")]
    Date,
    #[error("Array length is not a number")]
    ArrayLength,
    #[error("Could not get object properties.")]
    Properties,
    #[error("Unhandled value type when converting to ql::datum_t.")]
    Kind,
    #[error("The result of a JavaScript query is larger than {RESULT_BYTES_MAX} bytes.")]
    TooLarge,
    #[error(transparent)]
    Datum(#[from] photondb_reql::Error),
}

/// Reads one result.
pub(super) struct Reader<'a, 'js> {
    ctx: &'a Ctx<'js>,
    builtins: &'a Builtins,
    date_prototype: Object<'js>,
    date_value: Function<'js>,
    regexp_prototype: Object<'js>,
    array_limit: usize,
    bytes_left: usize,
}

impl<'a, 'js> Reader<'a, 'js> {
    pub fn new(ctx: &'a Ctx<'js>, builtins: &'a Builtins, array_limit: usize) -> JsResult<Reader<'a, 'js>> {
        Ok(Reader {
            ctx,
            builtins,
            date_prototype: builtins.date_prototype.clone().restore(ctx)?,
            date_value: builtins.date_value.clone().restore(ctx)?,
            regexp_prototype: builtins.regexp_prototype.clone().restore(ctx)?,
            array_limit,
            bytes_left: RESULT_BYTES_MAX,
        })
    }

    pub fn datum(&mut self, value: &Value<'js>) -> Result<Datum, Unreadable> {
        self.value(value, RESULT_NESTING_MAX)
    }

    fn value(&mut self, value: &Value<'js>, levels: usize) -> Result<Datum, Unreadable> {
        let Some(levels) = levels.checked_sub(1) else { return Err(Unreadable::TooDeep) };
        self.spend(1)?;
        if let Some(string) = value.as_string() {
            return self.text(string_text(self.ctx, self.builtins, string)).map(Datum::String);
        }
        if let Some(number) = value.as_number() {
            return Datum::number(number).map_err(|_| Unreadable::NotFinite);
        }
        if let Some(truth) = value.as_bool() {
            return Ok(Datum::Bool(truth));
        }
        if value.is_null() {
            return Ok(Datum::Null);
        }
        if value.is_undefined() {
            return Err(Unreadable::Undefined);
        }
        if let Some(array) = value.as_array() {
            return self.array(array.as_object(), levels);
        }
        if value.is_function() {
            return Err(Unreadable::Function);
        }
        match value.as_object() {
            Some(object) => self.object(object, levels),
            None => Err(Unreadable::Kind),
        }
    }

    fn array(&mut self, array: &Object<'js>, levels: usize) -> Result<Datum, Unreadable> {
        let length = array.get::<_, f64>("length").map_err(|_| Unreadable::ArrayLength)?;
        if length > self.array_limit as f64 {
            return Err(photondb_reql::Error::array_too_large(self.array_limit).into());
        }
        // It is a whole number between 0 and the limit.
        let length = length as u32;
        let mut items = Vec::new();
        for index in 0..length {
            let item: Value<'js> = array.get(index).map_err(|_| Unreadable::Kind)?;
            items.push(self.value(&item, levels)?);
        }
        Ok(Datum::from(items))
    }

    fn object(&mut self, object: &Object<'js>, levels: usize) -> Result<Datum, Unreadable> {
        let prototype = object.get_prototype();
        if prototype.as_ref() == Some(&self.regexp_prototype) {
            return Err(Unreadable::RegExp);
        }
        if prototype.as_ref() == Some(&self.date_prototype) {
            let milliseconds: f64 = self.date_value.call((This(object.clone()),)).map_err(|_| Unreadable::Date)?;
            return Ok(time::from_epoch(milliseconds / 1000.0, "+00:00")?);
        }
        let mut fields = ObjectBuilder::new();
        for name in object.own_keys::<Atom<'js>>(Filter::new().string().enum_only()) {
            let name = name.map_err(|_| Unreadable::Properties)?;
            let value: Value<'js> = object.get(name.clone()).map_err(|_| Unreadable::Kind)?;
            let value = self.value(&value, levels)?;
            let name = name.to_js_string().and_then(|name| string_text(self.ctx, self.builtins, &name));
            fields.insert(self.text(name)?, value);
        }
        let claims = fields.get(PTYPE_FIELD).is_some();
        let fields = fields.build();
        if claims { Ok(Datum::from_fields(fields)?) } else { Ok(Datum::Object(fields)) }
    }

    fn text(&mut self, text: JsResult<String>) -> Result<Str, Unreadable> {
        let text = text.map_err(|_| Unreadable::Kind)?;
        self.spend(text.len())?;
        Ok(Str::from(text))
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Unreadable> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(Unreadable::TooLarge)?;
        Ok(())
    }
}
