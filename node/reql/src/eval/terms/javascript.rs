//! `javascript` (`r.js`).

use crate::error::Result;
use crate::eval::script::{Script, Scripted};
use crate::eval::{Args, Func, Value, signature};

/// How long a script may run unless it says otherwise, in milliseconds: RethinkDB's default.
const TIMEOUT_MS: u64 = 5_000;

/// The value that a script gives, or the function.
pub fn eval(args: &Args<'_>) -> Result<Value> {
    let timeout_ms = match args.optarg_as("timeout", signature::number)? {
        // What is negative, or more than fits, becomes the nearest that is neither.
        Some(seconds) => (seconds * 1000.0) as u64,
        None => TIMEOUT_MS,
    };
    let script = Script { source: args.string(0)?, timeout_ms, id: args.call().id };
    Ok(match args.cx().world().script(&script, None, args.cx())? {
        Scripted::Value(datum) => Value::Datum(datum),
        Scripted::Function => Value::Function(Func::Script(script)),
    })
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn arguments_are_checked_before_anything_runs() {
        check(&[
            ("[11,[1]]", "QueryLogic: Expected type STRING but found NUMBER."),
            (r#"[11,["1"],{"timeout":"x"}]"#, "QueryLogic: Expected type NUMBER but found STRING."),
            (r#"[11,["1"]]"#, "QueryLogic: JavaScript cannot be run here."),
        ]);
    }
}
