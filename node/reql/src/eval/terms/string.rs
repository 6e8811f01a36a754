//! Terms of strings: `match`, `split`, `upcase`, `downcase`, `format`.

mod pattern;
mod split;
mod template;

use crate::datum::{Datum, Object};
use crate::error::{Error, Result};
use crate::eval::terms::arithmetic::check_length;
use crate::eval::{Args, Value};

/// `match`: where a regular expression first matches, with its groups; `null` when it does not.
pub fn find(args: &Args<'_>) -> Result<Value> {
    let (text, expression) = (args.string(0)?, args.string(1)?);
    let text = text.as_str();
    let pattern = pattern::compile(expression.as_str())?;
    let Some(found) = pattern.captures(text.as_bytes()) else { return Ok(Datum::Null.into()) };
    let mut groups = found.iter().map(|group| match group {
        Some(group) => vec![
            ("end", Datum::from(group.end())),
            ("start", Datum::from(group.start())),
            ("str", Datum::from(String::from_utf8_lossy(group.as_bytes()).into_owned())),
        ],
        None => Vec::new(),
    });
    // The first group is the whole match, which is always there.
    let mut whole = groups.next().unwrap_or_default();
    let groups: Vec<Datum> = groups
        .map(|fields| if fields.is_empty() { Datum::Null } else { fields.into_iter().collect::<Object>().into() })
        .collect();
    args.cx().check_array_length(groups.len())?;
    whole.push(("groups", groups.into()));
    Ok(Datum::from(whole.into_iter().collect::<Object>()).into())
}

/// `split`: at white space, at a separator, or (with an empty separator) between characters; at most so many times.
pub fn split(args: &Args<'_>) -> Result<Value> {
    let text = args.string(0)?;
    let separator = match args.len() {
        0 | 1 => None,
        _ => match args.datum(1)? {
            Datum::Null => None,
            other => Some(other.as_string()?.clone()),
        },
    };
    let limit = if args.len() > 2 { split_limit(args)? } else { None };
    let parts = split::split(text.as_str(), separator.as_deref(), limit.unwrap_or(usize::MAX));
    check_length(parts.len(), args.cx().limits())?;
    Ok(Datum::from(parts.into_iter().map(Datum::from).collect::<Vec<_>>()).into())
}

fn split_limit(args: &Args<'_>) -> Result<Option<usize>> {
    let most = args.cx().limits().array.saturating_sub(1);
    match args.integer(2)? {
        -1 => Ok(None),
        limit => match usize::try_from(limit) {
            Ok(limit) if limit <= most => Ok(Some(limit)),
            _ => Err(Error::logic(format!("Error: `split` size argument must be in range [-1, {most}]."))),
        },
    }
}

/// `upcase`, of ASCII letters only, as in RethinkDB.
pub fn upcase(args: &Args<'_>) -> Result<Value> {
    Ok(Datum::from(args.string(0)?.to_ascii_uppercase()).into())
}

/// `downcase`, of ASCII letters only.
pub fn downcase(args: &Args<'_>) -> Result<Value> {
    Ok(Datum::from(args.string(0)?.to_ascii_lowercase()).into())
}

/// `format`: a template with the fields of an object in place of `{name}`.
pub fn format(args: &Args<'_>) -> Result<Value> {
    let (template, fields) = (args.string(0)?, args.datum(1)?);
    Ok(Datum::from(template::fill(template.as_str(), &fields)?).into())
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::{OVER_TWO, check, check_within};

    #[test]
    fn match_split_case_format() {
        check(&[
            (
                r#"[97,["abcdefg","a(b.e)|b(c.e)"]]"#,
                r#"{"end":5,"groups":[null,{"end":5,"start":2,"str":"cde"}],"start":1,"str":"bcde"}"#,
            ),
            (r#"[97,["abcdefg","a(b.e)|B(c.e)"]]"#, "null"),
            (r#"[97,["",""]]"#, r#"{"end":0,"groups":[],"start":0,"str":""}"#),
            (r#"[149,["a,b,,c",","]]"#, r#"["a","b","","c"]"#),
            (r#"[149,["aaaa bbbb  cccc ",null,1]]"#, r#"["aaaa","bbbb  cccc "]"#),
            (r#"[149,["a b",null,-1]]"#, r#"["a","b"]"#),
            (r#"[141,["\u00fcMl"]]"#, r#""üML""#),
            (r#"[142,["ABC"]]"#, r#""abc""#),
            (r#"[197,["x{a}y{b}",{"a":"s","b":[2,[1,"t"]]}]]"#, r#""xsy[1,\"t\"]""#),
            (r#"[197,["plain",{}]]"#, r#""plain""#),
            (r#"[197,["{b}",{"b":[155,["abc"]]}]]"#, r#""abc""#),
            (r#"[197,["{}{:}",{"":1,":":2}]]"#, r#""12""#),
        ]);
    }

    #[test]
    fn groups_are_limited() {
        check_within(
            2,
            &[(r#"[43,[[170,[[97,["ab","(a)(b)"]],"groups"]]]]"#, "2"), (r#"[97,["abc","(a)(b)(c)"]]"#, OVER_TWO)],
        );
    }

    #[test]
    fn faults() {
        check(&[
            (r#"[97,["a","["]]"#, "QueryLogic: Error in regexp `[` (portion `[`): missing ]: ["),
            (r#"[97,[1,"a"]]"#, "QueryLogic: Expected type STRING but found NUMBER."),
            (r#"[149,["a",1]]"#, "QueryLogic: Expected type STRING but found NUMBER."),
            (r#"[149,["a",null,-2]]"#, "QueryLogic: Error: `split` size argument must be in range [-1, 99999]."),
            (r#"[197,["{a}{",{"b":1}]]"#, "NonExistence: No attribute `a` in object:\n{\n\t\"b\":\t1\n}"),
            (r#"[197,["{a}{",{"a":1}]]"#, "QueryLogic: Parameter tag must be closed"),
            (r#"[197,["{{a}}",{"{a":1}]]"#, "QueryLogic: Nested template parameters are not allowed"),
            (r#"[197,["{a{",{}]]"#, "QueryLogic: Nested template parameters are not allowed"),
            (r#"[197,["{b}{{",{"a":1}]]"#, "NonExistence: No attribute `b` in object:\n{\n\t\"a\":\t1\n}"),
            (r#"[197,["{a,}",{"a,":1}]]"#, "QueryLogic: Formatting separator `,` is not allowed in parameter name"),
            (r#"[197,["{a\\}",{}]]"#, "QueryLogic: Reserved escape character `\\` is not allowed in parameter name"),
            (r#"[197,["}",{}]]"#, "QueryLogic: No parameter tags to close"),
            (r#"[197,["{nope}",null]]"#, "NonExistence: Expected type OBJECT but found NULL."),
        ]);
    }
}
