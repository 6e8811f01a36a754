//! Expressions and their terms; texts that are none, and what is said of them.

use serde_json::json;

use super::*;

fn check(text: &str, expected: Value) {
    match term(text) {
        Ok(found) => assert_eq!(found, expected, "{text}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

fn fault(text: &str, expected: &str) {
    let error = term(text).expect_err(text).to_string();
    assert!(error.contains(expected), "{text}: {error}");
}

#[test]
fn chains_are_nested_first_arguments() {
    check("r.table('t')", json!([15, ["t"]]));
    check("r.db(\"d\").table(\"t\").get(1)('name');", json!([170, [[16, [[15, [[14, ["d"]], "t"]], 1]], "name"]]));
    check("r.dbList()", json!([59, []]));
    check("r.table('t') // all\n  .count() /* of them */", json!([43, [[15, ["t"]]]]));
    check("r({a: [1, -2.5, null]})", json!({"a": [2, [1, -2.5, null]]}));
    check("r.expr([true, {'b c': 1e3}])", json!([2, [true, {"b c": 1000}]]));
}

#[test]
fn functions_number_their_parameters() {
    check(
        "r.table('t').map(x => x('a').add(1))",
        json!([38, [[15, ["t"]], [69, [[2, [1]], [24, [[170, [[10, [1]], "a"]], 1]]]]]]),
    );
    check(
        "r([1]).reduce((a, b) => a.add(b))",
        json!([37, [[2, [1]], [69, [[2, [1, 2]], [24, [[10, [1]], [10, [2]]]]]]]]),
    );
    check("r([1]).map(function(x) { return x; })", json!([38, [[2, [1]], [69, [[2, [1]], [10, [1]]]]]]));
    check("r([1]).map(x => { return {y: x} })", json!([38, [[2, [1]], [69, [[2, [1]], {"y": [10, [1]]}]]]]));
    check("r([1]).map(x => ({y: x}))", json!([38, [[2, [1]], [69, [[2, [1]], {"y": [10, [1]]}]]]]));
    // The inner one hides the outer one, also when it is called `r`.
    check(
        "r([[1]]).map(x => x.map(x => x))",
        json!([38, [[2, [[2, [1]]]], [69, [[2, [1]], [38, [[10, [1]], [69, [[2, [2]], [10, [2]]]]]]]]]]),
    );
    check("r([1]).map(r => r)", json!([38, [[2, [1]], [69, [[2, [1]], [10, [1]]]]]]));
    check("r.do(1, 2, (a, b) => a)", json!([64, [[69, [[2, [1, 2]], [10, [1]]]], 1, 2]]));
    check("r(1).do(x => x)", json!([64, [[69, [[2, [1]], [10, [1]]]], 1]]));
    check("r.table('t').map(() => 1)", json!([38, [[15, ["t"]], [69, [[2, []], 1]]]]));
}

#[test]
fn what_is_said_of_the_row_becomes_a_function() {
    check(
        "r.table('t').filter(r.row('a').gt(1))",
        json!([39, [[15, ["t"]], [69, [[2, [1]], [21, [[170, [[13, []], "a"]], 1]]]]]]),
    );
    check(
        "r.table('t').update({a: r.row('a').add(1)})",
        json!([53, [[15, ["t"]], [69, [[2, [1]], {"a": [24, [[170, [[13, []], "a"]], 1]]}]]]]),
    );
    check(
        "r.table('t').orderBy(r.desc(r.row('a')))",
        json!([41, [[15, ["t"]], [74, [[69, [[2, [1]], [170, [[13, []], "a"]]]]]]]]),
    );
    // Inside a comparison it is still the row of the filter, and what is in a function stays there.
    check(
        "r.table('t').filter(r(1).eq(r.row('a')))",
        json!([39, [[15, ["t"]], [69, [[2, [1]], [17, [1, [170, [[13, []], "a"]]]]]]]]),
    );
    check(
        "r.table('t').filter(r.row('l').contains(r.row.eq(2)))",
        json!([
            39,
            [[15, ["t"]], [69, [[2, [2]], [93, [[170, [[13, []], "l"]], [69, [[2, [1]], [17, [[13, []], 2]]]]]]]]]
        ]),
    );
}

#[test]
fn an_object_at_the_end_is_options_where_there_are_some() {
    check("r.table('t', {readMode: 'outdated'})", json!([15, ["t"], {"read_mode": "outdated"}]));
    check("r.table('t').getAll(1, 2, {index: 'i'})", json!([78, [[15, ["t"]], 1, 2], {"index": "i"}]));
    check("r.table('t').insert({id: 1})", json!([56, [[15, ["t"]], {"id": 1}]]));
    check(
        "r.table('t').insert({id: 1}, {conflict: 'replace'})",
        json!([56, [[15, ["t"]], {"id": 1}], {"conflict": "replace"}]),
    );
    check("r.table('t').filter({a: 1})", json!([39, [[15, ["t"]], {"a": 1}]]));
    check("r.table('t').filter({a: 1}, {default: true})", json!([39, [[15, ["t"]], {"a": 1}], {"default": true}]));
    check("r.table('t').merge({a: 1})", json!([35, [[15, ["t"]], {"a": 1}]]));
    check("r.table('t').changes({includeInitial: true})", json!([152, [[15, ["t"]]], {"include_initial": true}]));
    check(
        "r.tableCreate('t', {primaryKey: 'k', replicas: {eastCoast: 1}})",
        json!([60, ["t"], {"primary_key": "k", "replicas": {"eastCoast": 1}}]),
    );
    check("r.grant('u', {read: true})", json!([188, ["u", {"read": true}]]));
    check("r.random(1, 2, {float: true})", json!([151, [1, 2], {"float": true}]));
    check(
        "r.distance(r.point(0, 0), r.point(1, 1), {unit: 'km'})",
        json!([162, [[159, [0, 0]], [159, [1, 1]]], {"unit": "km"}]),
    );
}

#[test]
fn names_are_those_of_the_javascript_driver() {
    check("r.ISO8601('x')", json!([99, ["x"]]));
    check("r.now().toISO8601()", json!([100, [[103, []]]]));
    check("r.js('1')", json!([11, ["1"]]));
    check("r.table('t').between(r.minval, r.maxval)", json!([182, [[15, ["t"]], [180, []], [181, []]]]));
    check("r.now().dayOfWeek().eq(r.monday)", json!([17, [[131, [[103, []]]], [107, []]]]));
    check("r(1).toJSON()", json!([172, [1]]));
    check("r(1).toJsonString()", json!([172, [1]]));
}

#[test]
fn numbers_that_are_written_out_are_reckoned_with() {
    check("r.now().sub(60 * 60 * 24 + 1)", json!([25, [[103, []], 86_401]]));
    check("r.expr(-(2 - 5) / 2 % 4)", json!(1.5));
    check("r.expr(0xff)", json!(255));
    check("r.expr(.5e-1)", json!(0.05));
    fault("r.now() - 1", "write `.sub(..)`");
    fault("r.expr(1 / 0)", "no number");
}

#[test]
fn texts_have_the_escapes_of_javascript() {
    check(r#"r('a\'b\n\u00e4\x41\u{1f600}\ud83d\ude00')"#, json!("a'b\nä\u{41}😀😀"));
    check("r(`two\nlines`)", json!("two\nlines"));
    fault(r"r('\q')", "this escape is not known");
    fault(r"r('\ud800x')", "this escape is not known");
    fault("r('abc\n')", "no closing '");
    fault("r(`a${1}`)", "is not put in");
}

#[test]
fn what_cannot_be_says_what_to_write() {
    fault("r.table('t').coutn()", "line 1, column 14: `coutn` is not known; did you mean `count`?");
    fault("table('t')", "did you mean `r.table`?");
    fault("r.table(t)", "`t` is not known; queries begin with `r`");
    fault("r.table('t').filter(x => x('a') == 1)", "write `.eq(..)`");
    fault("r.table('t').filter(x => x('a').gt(1) && true)", "write `.and(..)`");
    fault("r.table('t').filter(x => !x('a'))", "write `.not()`");
    fault("r.table('t')['a']", "with parentheses");
    fault("r.table('t').count", "needs parentheses: `count()`");
    fault("r.table('t').run(connection)", "leave `.run(..)` out");
    fault("r.table('t').toArray()", "printed by themselves");
    fault("new Date()", "r.now()");
    fault("r", "`r` alone is no value");
    fault("r.table('t') r.table('u')", "one at a time");
    fault("r.table('t').map(x => { x })", "one `return`");
    fault("r(1)(2, 3)", "exactly one value");
    fault("r.do()", "needs a function");
    fault("x = 1", "`x` is not known");
    fault("r.expr(1) = 1", "assigned");
    fault("r.table('t') # all", "`#` means nothing here");
}

#[test]
fn the_place_is_shown_below_its_line() {
    let error = term("r.table('t')\n  .coutn()").unwrap_err().to_string();
    assert_eq!(error, "line 2, column 4: `coutn` is not known; did you mean `count`?\n      .coutn()\n       ^");
    let error = term("r('ä').coutn()").unwrap_err().to_string();
    assert!(error.ends_with("\n    r('ä').coutn()\n           ^"), "{error}");
}

#[test]
fn what_more_text_can_finish_is_known() {
    for text in
        ["r.table(", "r.table('t')\n  .filter({", "r.expr([1,", "r.table('t').", "/* a", "r(`a", "r([1]).map(x => {"]
    {
        let error = term(text).unwrap_err();
        assert!(error.is_unfinished(), "{text}: {error}");
    }
    for text in ["r.table('t", "r.table(]", "r.nothing()", "r.table('t').count"] {
        let error = term(text).unwrap_err();
        assert!(!error.is_unfinished(), "{text}: {error}");
    }
}

#[test]
fn depth_is_bounded() {
    let deep = |levels: usize| format!("r.expr({}1{})", "[".repeat(levels), "]".repeat(levels));
    assert!(term(&deep(50)).is_ok());
    fault(&deep(100_000), "levels of brackets");
    let long = |links: usize| format!("r(1){}", ".add(1)".repeat(links));
    assert!(term(&long(500)).is_ok());
    fault(&long(100_000), "methods behind each other");
}

#[test]
fn every_name_is_read_as_some_term() {
    let known: Vec<&str> = names().collect();
    assert!(known.len() > 150, "{}", known.len());
    for name in
        ["table", "orderBy", "getAll", "hasFields", "concatMap", "toGeojson", "indexWait", "epochTime", "do", "row"]
    {
        assert!(known.contains(&name), "{name}");
    }
    assert!(!known.contains(&"makeArray") && !known.contains(&"funcall") && !known.contains(&"iso8601"));
}
