//! Functions as JavaScript, the way `index_status`, `get_write_hook` and their system tables show them.

mod javascript;
mod layout;

use super::Term;
use crate::limits::PRINTED_BYTES_MAX;

/// Lines longer than this are broken where that is possible.
const WIDTH: usize = 80;

/// As [`WIDTH`], where a whole query is shown.
const QUERY_WIDTH: usize = 89;

/// `function(var1) { return r.row("a"); }`
pub fn function(params: &[i64], body: &Term) -> String {
    let names: Vec<String> = params.iter().map(|param| variable(*param)).collect();
    let body = layout::print(&javascript::render(body, PRINTED_BYTES_MAX), WIDTH, PRINTED_BYTES_MAX);
    format!("function({}) {{ return {body}; }}", names.join(", "))
}

/// The `query` of an index: `indexCreate('a', function(..) { .. }, {multi: true})`.
pub fn index_create(name: &str, params: &[i64], body: &Term, multi: bool, geo: bool) -> String {
    let options: Vec<&str> =
        [(multi, "multi: true"), (geo, "geo: true")].into_iter().filter(|(on, _)| *on).map(|(_, text)| text).collect();
    let options = if options.is_empty() { String::new() } else { format!(", {{{}}}", options.join(", ")) };
    format!("indexCreate('{name}', {}{options})", function(params, body))
}

/// The `query` of a write hook.
pub fn set_write_hook(params: &[i64], body: &Term) -> String {
    format!("setWriteHook({})", function(params, body))
}

/// A whole query, as `jobs` shows it. What goes beyond `bytes_max` is cut; so is what goes beyond
/// [`PRINTED_BYTES_MAX`].
pub fn query(term: &Term, bytes_max: usize) -> String {
    let bytes_max = bytes_max.min(PRINTED_BYTES_MAX);
    layout::print(&javascript::render(term, bytes_max), QUERY_WIDTH, bytes_max)
}

/// Variables that a driver numbered, and those that the server made up, which have negative numbers.
fn variable(number: i64) -> String {
    if number < 0 { format!("_var{}", number.unsigned_abs()) } else { format!("var{number}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PRINTED_TEXT_BYTES_MAX;
    use crate::term::{Message, parse};

    fn term(json: &str) -> Term {
        match parse(format!("[1,{json}]").as_bytes()) {
            Ok(Message::Start(start)) => start.term,
            other => panic!("{other:?}"),
        }
    }

    fn body(json: &str) -> String {
        let printed = function(&[1], &term(json));
        printed
            .strip_prefix("function(var1) { return ")
            .and_then(|rest| rest.strip_suffix("; }"))
            .map(str::to_owned)
            .unwrap_or(printed)
    }

    #[test]
    fn recorded_index_functions() {
        let field = term(r#"[31,[[10,[-19]],"a"]]"#);
        assert_eq!(
            index_create("a", &[-19], &field, false, false),
            "indexCreate('a', function(_var19) { return _var19.getField(\"a\"); })"
        );
        assert_eq!(body(r#"[170,[[13,[]],"arr"]]"#), r#"r.row("arr")"#);
        assert_eq!(body(r#"[2,[[170,[[13,[]],"a"]],[170,[[13,[]],"id"]]]]"#), r#"r.expr([r.row("a"), r.row("id")])"#);
        assert_eq!(body(r#"[24,[[170,[[13,[]],"a"]],1]]"#), r#"r.add(r.row("a"), 1)"#);
        assert_eq!(body(r#"[170,[[170,[[13,[]],"o"]],"p"]]"#), r#"r.row("o")("p")"#);
        assert_eq!(body(r#"[141,[[170,[[10,[1]],"name"]]]]"#), r#"var1("name").upcase()"#);
        assert_eq!(body("[159,[[10,[1]],[10,[1]]]]"), "r.point(var1, var1)");
        let many = term(r#"[38,[[170,[[10,[5]],"m"]],[69,[[2,[6]],[2,[[10,[6]],[170,[[10,[5]],"id"]]]]]]]]"#);
        assert_eq!(
            index_create("mc", &[5], &many, true, false),
            "indexCreate('mc', function(var5) { return var5(\"m\").map(function (var6) {\n                  return \
             r.expr([var6, var5(\"id\")]);\n              }); }, {multi: true})"
        );
    }

    #[test]
    fn recorded_write_hook() {
        let hook = term(r#"[65,[[17,[[10,[7]],null]],[10,[7]],[35,[[10,[7]],{"hooked":true}]]]]"#);
        assert_eq!(
            set_write_hook(&[5, 6, 7], &hook),
            "setWriteHook(function(var5, var6, var7) { return r.branch(r.eq(var7, null), var7, \
             var7.merge({\"hooked\": true})); })"
        );
    }

    #[test]
    fn long_texts_are_cut() {
        let long = "x".repeat(PRINTED_TEXT_BYTES_MAX);
        let many = |part: &str| format!("[2,[{}]]", vec![part; 200].join(","));
        let calls = (0..9).fold("1".to_owned(), |inner, _| format!("[65,[{long:?},{inner},{long:?}]]"));
        let indented =
            (0..14).fold("1".to_owned(), |inner, _| format!("[2,[{:?},{inner},{}]]", "y".repeat(5_000), many("1")));
        let field = "n".repeat(1 << 20);
        for json in [
            many(&format!("{long:?}")),
            many(&format!("{{{long:?}:1}}")),
            many(&format!("[169,[],{{{long:?}:1}}]")),
            format!("{{{field:?}:1}}"),
            format!(r#"[99,["x"],{{{field:?}:1}}]"#),
            calls,
            indented,
        ] {
            let term = term(&json);
            for bytes_max in [0, 100, usize::MAX] {
                let text = query(&term, bytes_max);
                assert!(text.len() <= bytes_max.min(PRINTED_BYTES_MAX) + 3, "{} bytes of {json:.60}", text.len());
                assert!(text.contains("..."), "{json:.60}");
            }
        }
        // What fits is whole.
        assert_eq!(query(&term(&format!("{long:?}")), usize::MAX), format!("r.expr({long:?})"));
    }

    #[test]
    fn constants() {
        assert_eq!(body("5"), "r.expr(5)");
        assert_eq!(body(r#"{"a":{"b":1.5}}"#), r#"r.object("a", {"b": 1.500000})"#);
        assert_eq!(body("[180]"), "r.minval");
        assert_eq!(body(r#"[149,["a b"," "]]"#), r#"r.expr("a b").split(" ")"#);
    }
}
