//! `add`, `sub`, `mul`, `div` (over numbers, strings, arrays and times), `mod` and the roundings.
//!
//! The four operations fold from the left, so their errors point at the whole term; a single argument comes back as it
//! is, whatever its type.

use crate::datum::{Array, Datum, time};
use crate::error::{Error, Result};
use crate::eval::context::Limits;
use crate::eval::terms::time::shift;
use crate::eval::{Args, Value};
use crate::limits::STRING_BYTES_MAX;

/// `add`: sums numbers, joins strings and arrays, moves a time by seconds.
pub fn add(args: &Args<'_>) -> Result<Value> {
    fold(args, add_two)
}

/// `sub`: numbers, a time minus seconds, or the seconds between two times.
pub fn sub(args: &Args<'_>) -> Result<Value> {
    fold(args, |left, right, _| sub_two(&left, &right))
}

/// `mul`: numbers, or an array repeated.
pub fn mul(args: &Args<'_>) -> Result<Value> {
    fold(args, mul_two)
}

/// `div`: numbers.
pub fn div(args: &Args<'_>) -> Result<Value> {
    fold(args, |left, right, _| div_two(&left, &right))
}

/// `mod` of whole numbers; the sign is that of the dividend.
pub fn modulo(args: &Args<'_>) -> Result<Value> {
    let (dividend, divisor) = (args.integer(0)?, args.integer(1)?);
    if divisor == 0 {
        return Err(Error::logic("Cannot take a number modulo 0."));
    }
    Ok(Datum::from(dividend % divisor).into())
}

/// `floor`.
pub fn floor(args: &Args<'_>) -> Result<Value> {
    Ok(Datum::Number(args.number(0)?.floor()).into())
}

/// `ceil`.
pub fn ceil(args: &Args<'_>) -> Result<Value> {
    Ok(Datum::Number(args.number(0)?.ceil()).into())
}

/// `round`, halves away from zero.
pub fn round(args: &Args<'_>) -> Result<Value> {
    Ok(Datum::Number(args.number(0)?.round()).into())
}

fn fold(args: &Args<'_>, operation: impl Fn(Datum, Datum, &Limits) -> Result<Datum>) -> Result<Value> {
    let mut result = args.datum(0)?;
    for index in 1..args.len() {
        result = operation(result, args.datum(index)?, args.cx().limits())?;
    }
    Ok(result.into())
}

/// The sum of two values, as `add` and `sum` and `reduce` mean it.
pub fn add_two(left: Datum, right: Datum, limits: &Limits) -> Result<Datum> {
    match (left, right) {
        (Datum::Number(left), Datum::Number(right)) => Datum::number(left + right),
        (Datum::String(left), right @ Datum::String(_)) => {
            let (left, right) = (left.as_str(), right.as_string()?.as_str());
            if left.len() + right.len() > STRING_BYTES_MAX {
                return Err(Error::resource(format!("String over size limit `{STRING_BYTES_MAX}` bytes.")));
            }
            Ok(Datum::from([left, right].concat()))
        }
        (left, right) if left.is_ptype("TIME") => shift(&left, right.as_number()?),
        (left, right) if right.is_ptype("TIME") => shift(&right, left.as_number()?),
        (Datum::Array(left), right) => concat(left, right.as_array()?, limits),
        (Datum::String(_), right) => Err(Error::expected_type("STRING", &right)),
        (Datum::Number(_), right) => Err(Error::expected_type("NUMBER", &right)),
        (left, _) => Err(Error::expected_type("NUMBER", &left)),
    }
}

fn concat(left: Array, right: &Array, limits: &Limits) -> Result<Datum> {
    check_length(left.len().saturating_add(right.len()), limits)?;
    let mut items = left.into_vec();
    items.extend(right.iter());
    Ok(items.into())
}

/// Refuses an array longer than the query allows.
pub fn check_length(length: usize, limits: &Limits) -> Result<()> {
    if length > limits.array { Err(Error::array_too_large(limits.array)) } else { Ok(()) }
}

fn sub_two(left: &Datum, right: &Datum) -> Result<Datum> {
    match (time::parts(left), time::parts(right)) {
        (Some((left, _)), Some((right, _))) => time::round_to_millis(left - right).map(Datum::Number),
        (Some(_), None) => shift(left, -right.as_number()?),
        (None, _) => Datum::number(left.as_number()? - right.as_number()?),
    }
}

fn mul_two(left: Datum, right: Datum, limits: &Limits) -> Result<Datum> {
    match (left, right) {
        (Datum::Array(items), times) | (times, Datum::Array(items)) => repeat(&items, times.as_integer()?, limits),
        (left, right) => Datum::number(left.as_number()? * right.as_number()?),
    }
}

/// Room that is made for an array before it is filled: `array_limit` may be far more than there is memory.
const RESERVED_MAX: usize = 100_000;

fn repeat(items: &Array, times: i64, limits: &Limits) -> Result<Datum> {
    let Ok(times) = usize::try_from(times) else {
        return Err(Error::logic("Cannot multiply an ARRAY by a negative number."));
    };
    let length = items.len().saturating_mul(times);
    check_length(length, limits)?;
    let mut repeated = Vec::with_capacity(length.min(RESERVED_MAX));
    if !items.is_empty() {
        for _ in 0..times {
            repeated.extend(items.iter());
        }
    }
    Ok(repeated.into())
}

fn div_two(left: &Datum, right: &Datum) -> Result<Datum> {
    let (left, right) = (left.as_number()?, right.as_number()?);
    if right == 0.0 {
        return Err(Error::logic("Cannot divide by zero."));
    }
    Datum::number(left / right)
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn numbers_strings_arrays_and_times() {
        check(&[
            ("[24,[1,2,3]]", "6"),
            ("[24,[true]]", "true"),
            (r#"[24,["a","b","c"]]"#, r#""abc""#),
            ("[24,[[2,[1]],[2,[2,3]]]]", "[1,2,3]"),
            ("[102,[[24,[[101,[1375147296.6812]],1000]]]]", "1375148296.681"),
            ("[102,[[24,[1000,[101,[0]]]]]]", "1000"),
            ("[25,[[101,[10]],[101,[4]]]]", "6"),
            ("[102,[[25,[[101,[10]],4]]]]", "6"),
            ("[25,[5]]", "5"),
            ("[25,[5,3,1]]", "1"),
            ("[26,[1.5,4.5]]", "6.75"),
            ("[26,[[2,[1,2]],2]]", "[1,2,1,2]"),
            ("[26,[0,[2,[1]]]]", "[]"),
            ("[26,[[2,[]],9007199254740992]]", "[]"),
            ("[27,[1,2,4]]", "0.125"),
            ("[28,[-10,3]]", "-1"),
            ("[183,[-0.5]]", "-1"),
            ("[184,[0.5]]", "1"),
            ("[185,[-0.5]]", "-1"),
            ("[185,[2.5]]", "3"),
        ]);
    }

    #[test]
    fn faults() {
        check(&[
            (r#"[24,["a",1]]"#, "QueryLogic: Expected type STRING but found NUMBER."),
            ("[24,[1,null]]", "NonExistence: Expected type NUMBER but found NULL."),
            ("[24,[{},1]]", "QueryLogic: Expected type NUMBER but found OBJECT."),
            ("[24,[[2,[]],1]]", "QueryLogic: Expected type ARRAY but found NUMBER."),
            ("[24,[1,[101,[0]],[101,[0]]]]", "QueryLogic: Expected type NUMBER but found PTYPE<TIME>."),
            (r#"[25,["a",0.8]]"#, "QueryLogic: Expected type NUMBER but found STRING."),
            ("[26,[[2,[1]],-1]]", "QueryLogic: Cannot multiply an ARRAY by a negative number."),
            ("[26,[[2,[1]],1.5]]", "QueryLogic: Number not an integer: 1.5"),
            (
                "[26,[[2,[1]],1000000]]",
                "ResourceLimit: Array over size limit `100000`.  To raise the number of allowed elements, modify the `array_limit` option to `.run` (not available in the Data Explorer), or use an index.",
            ),
            ("[26,[1.7976931348623157e+308,10]]", "QueryLogic: Non-finite number: inf"),
            ("[27,[1,0]]", "QueryLogic: Cannot divide by zero."),
            ("[28,[1,0]]", "QueryLogic: Cannot take a number modulo 0."),
            ("[28,[27.517,5]]", "QueryLogic: Number not an integer: 27.51699999999999946"),
            (r#"[183,["X"]]"#, "QueryLogic: Expected type NUMBER but found STRING."),
        ]);
    }
}
