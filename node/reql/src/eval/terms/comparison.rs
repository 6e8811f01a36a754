//! `eq`, `ne`, `lt`, `le`, `gt`, `ge`: each compares neighbours and stops at the first pair that does not fit.

use std::cmp::Ordering;

use crate::datum::compare::of_two;
use crate::error::Result;
use crate::eval::{Args, Value};

/// `eq`: all are equal.
pub fn eq(args: &Args<'_>) -> Result<Value> {
    chain(args, Ordering::is_eq).map(Value::from)
}

/// `ne`: not all are equal.
pub fn ne(args: &Args<'_>) -> Result<Value> {
    chain(args, Ordering::is_eq).map(|equal| Value::from(!equal))
}

/// `lt`: each is less than the next.
pub fn lt(args: &Args<'_>) -> Result<Value> {
    chain(args, Ordering::is_lt).map(Value::from)
}

/// `le`: none is greater than the next.
pub fn le(args: &Args<'_>) -> Result<Value> {
    chain(args, Ordering::is_le).map(Value::from)
}

/// `gt`: each is greater than the next.
pub fn gt(args: &Args<'_>) -> Result<Value> {
    chain(args, Ordering::is_gt).map(Value::from)
}

/// `ge`: none is less than the next.
pub fn ge(args: &Args<'_>) -> Result<Value> {
    chain(args, Ordering::is_ge).map(Value::from)
}

/// Whether every neighbouring pair fits. What stands behind a pair that does not is never evaluated.
fn chain(args: &Args<'_>, fits: fn(Ordering) -> bool) -> Result<bool> {
    let mut left = args.datum(0)?;
    for index in 1..args.len() {
        let right = args.datum(index)?;
        if !fits(of_two(&left, &right)) {
            return Ok(false);
        }
        left = right;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn neighbours_are_compared() {
        check(&[
            ("[17,[1,1,1]]", "true"),
            ("[17,[1,1,2]]", "false"),
            ("[18,[1,1,2]]", "true"),
            ("[18,[1,1]]", "false"),
            ("[19,[1,2,3]]", "true"),
            ("[19,[1,3,2]]", "false"),
            ("[20,[1,1,2]]", "true"),
            ("[21,[3,2,1]]", "true"),
            ("[22,[3,3,1]]", "true"),
            ("[22,[1,2]]", "false"),
            (r#"[19,[[2,[]],false,null,1,{},"a"]]"#, "true"),
        ]);
    }

    #[test]
    fn nothing_behind_the_answer_is_evaluated() {
        check(&[(r#"[17,[1,2,[12,["no"]]]]"#, "false"), (r#"[17,[1,1,[12,["no"]]]]"#, "User: no")]);
    }
}
