//! `binary`.

use bytes::Bytes;

use crate::datum::Datum;
use crate::error::Result;
use crate::eval::{Args, Value};

/// `binary`: the bytes of a string; binary data comes back as it is.
pub fn binary(args: &Args<'_>) -> Result<Value> {
    let datum = match args.datum(0)? {
        binary @ Datum::Binary(_) => binary,
        other => from_text(other.as_string()?.as_bytes()),
    };
    Ok(datum.into())
}

/// Binary data of a copy of these bytes.
pub fn from_text(text: &[u8]) -> Datum {
    Datum::Binary(Bytes::copy_from_slice(text))
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn of_strings_and_of_itself() {
        check(&[
            (r#"[155,["foo"]]"#, r#"{"$reql_type$":"BINARY","data":"Zm9v"}"#),
            (r#"[155,[[155,["foo"]]]]"#, r#"{"$reql_type$":"BINARY","data":"Zm9v"}"#),
            ("[155,[{}]]", "QueryLogic: Expected type STRING but found OBJECT."),
            ("[155,[null]]", "NonExistence: Expected type STRING but found NULL."),
        ]);
    }
}
