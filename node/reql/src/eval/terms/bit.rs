//! Bitwise terms, on whole numbers from -2^53 to 2^53 - 1: the range that these operations never leave.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::{Args, Value};

const END: i64 = 1 << 53;

/// `bit_and`.
pub fn and(args: &Args<'_>) -> Result<Value> {
    fold(args, |left, right| left & right)
}

/// `bit_or`.
pub fn or(args: &Args<'_>) -> Result<Value> {
    fold(args, |left, right| left | right)
}

/// `bit_xor`.
pub fn xor(args: &Args<'_>) -> Result<Value> {
    fold(args, |left, right| left ^ right)
}

/// `bit_not`.
pub fn not(args: &Args<'_>) -> Result<Value> {
    Ok(Datum::from(!operand(args, 0)?).into())
}

/// `bit_sal`: shifts left, which may leave the range of exact integers and even that of numbers.
pub fn sal(args: &Args<'_>) -> Result<Value> {
    let value = operand(args, 0)?;
    let by = distance(args)?;
    let shifted = match i32::try_from(by) {
        _ if value == 0 => 0.0,
        Ok(by) if by < 1024 => value as f64 * 2f64.powi(by),
        Ok(by) if by < 4096 => f64::INFINITY.copysign(value as f64),
        _ => f64::INFINITY,
    };
    Ok(Datum::number(shifted)?.into())
}

/// `bit_sar`: shifts right and keeps the sign.
pub fn sar(args: &Args<'_>) -> Result<Value> {
    let value = operand(args, 0)?;
    let by = distance(args)?.min(63);
    Ok(Datum::from(value >> by).into())
}

fn fold(args: &Args<'_>, operation: fn(i64, i64) -> i64) -> Result<Value> {
    let mut result = operand(args, 0)?;
    for index in 1..args.len() {
        result = operation(result, operand(args, index)?);
    }
    Ok(Datum::from(result).into())
}

fn operand(args: &Args<'_>, index: usize) -> Result<i64> {
    let value = args.integer(index)?;
    if (-END..END).contains(&value) { Ok(value) } else { Err(Error::logic(format!("Integer too large: {value}"))) }
}

fn distance(args: &Args<'_>) -> Result<i64> {
    let by = args.integer(1)?;
    if by < 0 { Err(Error::logic("Cannot bit-shift by a negative value")) } else { Ok(by) }
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn whole_numbers_of_53_bits() {
        check(&[
            ("[191,[-2,3]]", "2"),
            ("[192,[1,2,8]]", "11"),
            ("[193,[7,2]]", "5"),
            ("[194,[9007199254740991]]", "-9007199254740992"),
            ("[195,[-1,54]]", "-18014398509481985.0"),
            ("[195,[0,999999]]", "0"),
            ("[196,[-9007199254740992,52]]", "-2"),
            ("[196,[-1,100]]", "-1"),
        ]);
    }

    #[test]
    fn faults() {
        check(&[
            ("[192,[9007199254740992,0]]", "QueryLogic: Integer too large: 9007199254740992"),
            ("[191,[9007199254740994,0]]", "QueryLogic: Number not an integer (>2^53): 9007199254740994"),
            ("[195,[5,-1]]", "QueryLogic: Cannot bit-shift by a negative value"),
            ("[195,[5,5000]]", "QueryLogic: Non-finite number: inf"),
            ("[195,[-5,2000]]", "QueryLogic: Non-finite number: -inf"),
            ("[191,[1.5,3]]", "QueryLogic: Number not an integer: 1.5"),
        ]);
    }
}
