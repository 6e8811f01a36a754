//! `json` and `to_json_string`.

use crate::datum::{Datum, json};
use crate::error::Result;
use crate::eval::{Args, Value};

/// `json`: the value that a text in JSON stands for.
pub fn parse(args: &Args<'_>) -> Result<Value> {
    Ok(json::parse_text(args.string(0)?.as_str(), &mut args.cx())?.into())
}

/// `to_json_string`.
pub fn print(args: &Args<'_>) -> Result<Value> {
    Ok(Datum::from(args.datum(0)?.to_json()?).into())
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::{OVER_TWO, check, check_within};

    #[test]
    fn both_ways() {
        check(&[
            (r#"[98,["{\"a\":[1,null]}"]]"#, r#"{"a":[1,null]}"#),
            (r#"[172,[{"b":[2,[1.5]],"a":"x"}]]"#, r#""{\"a\":\"x\",\"b\":[1.5]}""#),
            ("[172,[1000.0]]", r#""1000""#),
            (r#"[172,[[155,["foo"]]]]"#, r#""{\"$reql_type$\":\"BINARY\",\"data\":\"Zm9v\"}""#),
        ]);
    }

    #[test]
    fn arrays_are_limited() {
        check_within(
            2,
            &[
                (r#"[98,["[[1,2],{\"a\":[3,4]}]"]]"#, r#"[[1,2],{"a":[3,4]}]"#),
                (r#"[98,["[1,2,3]"]]"#, OVER_TWO),
                (r#"[98,["{\"a\":[[],[],[]]}"]]"#, OVER_TWO),
            ],
        );
    }

    #[test]
    fn faults() {
        check(&[
            (
                r#"[98,["[1,2"]]"#,
                r#"QueryLogic: Failed to parse "[1,2" as JSON: Missing a comma or ']' after an array element."#,
            ),
            (r#"[98,["nul"]]"#, r#"QueryLogic: Failed to parse "nul" as JSON: Invalid value."#),
            (r#"[98,["{\"a\":1,\"a\":2}"]]"#, r#"QueryLogic: Duplicate key "a" in JSON."#),
            ("[172,[[181,[]]]]", "QueryLogic: Cannot convert `r.maxval` to JSON."),
        ]);
    }
}
