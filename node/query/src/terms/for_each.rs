//! `for_each`: writes for each element of a sequence.

use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Shortcut, Value};

use crate::limits::SCAN_BATCH_ROWS;
use crate::write::stats;

const FAILED: &str = "FOR_EACH expects one or more basic write queries.";

/// `for_each(function)`; answers the sum of what the writes answered.
pub(super) fn eval(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let elements = args.convert(0, Value::into_finite_sequence)?;
    elements.check_ungrouped().map_err(|error| error.at(args.id(0)))?;
    let mut elements = elements.open(cx)?;
    let function = args.function(1, Shortcut::Constant)?;
    let id = function.body_id().unwrap_or_else(|| args.id(1));
    let mut sum = Object::new();
    loop {
        let batch = elements.next_batch(SCAN_BATCH_ROWS, cx)?;
        if batch.is_empty() {
            return Ok(Value::Datum(Datum::Object(sum)));
        }
        for element in batch {
            let value = function.call(&[element], cx)?;
            let Ok(answer) = value.into_datum(cx) else {
                return Err(Error::logic(FAILED).at(id));
            };
            let answers = match answer {
                Datum::Object(answer) => vec![Datum::Object(answer)],
                Datum::Array(answers) => answers.into_vec(),
                other => return Err(failed(Error::expected_type("ARRAY", &other)).at(id)),
            };
            for answer in answers {
                let added = answer.as_object().and_then(|answer| stats::merge(&sum, answer, cx.limits().array));
                sum = added.map_err(|error| failed(error).at(id))?;
            }
        }
    }
}

/// The error for an answer that is none of a write.
fn failed(error: Error) -> Error {
    Error { message: format!("{FAILED}  {}", error.message), ..error }
}
