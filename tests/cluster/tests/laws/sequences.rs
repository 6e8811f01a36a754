//! Sequences and what is made of them: the same in two steps as in one, beside the data as apart from it.

use super::{Laws, field, function};

const PARTS: [&str; 5] = [
    "[35,[$,{\"z\":[24,[[170,[$,\"n\"]],1]]}]]",
    "[33,[$,\"id\",\"n\",\"s\"]]",
    "[34,[$,\"m\"]]",
    "[35,[$,{\"n\":[26,[[170,[$,\"n\"]],2]]}]]",
    "[35,[$,{\"kind\":[92,[[52,[[170,[$,\"k\"]]]],\"none\"]]}]]",
];

const TESTS: [&str; 5] = [
    "[21,[[170,[$,\"n\"]],4]]",
    "[17,[[170,[$,\"s\"]],\"x\"]]",
    "[32,[$,\"k\"]]",
    "[66,[[19,[[170,[$,\"n\"]],2]],[17,[[170,[$,\"s\"]],\"y\"]]]]",
    "[17,[[52,[[170,[$,\"k\"]]]],\"NUMBER\"]]",
];

/// All of them, with functions drawn anew.
pub fn laws(laws: &mut Laws) {
    maps(laws);
    filters(laws);
    beside_the_data(laws);
    counts(laws);
    unions(laws);
    sums(laws);
    groups(laws);
    sets(laws);
}

fn draw(laws: &mut Laws, choices: &'static [&'static str]) -> &'static str {
    choices[laws.below(choices.len() as u64) as usize]
}

fn maps(laws: &mut Laws) {
    let (first, second) = (draw(laws, &PARTS), draw(laws, &PARTS));
    let table = laws.table.clone();
    let (f, g) = (function(first), function(second));
    let in_two = format!("[38,[[38,[{table},{f}]],{g}]]");
    let in_one = function(&format!("[64,[{},{}]]", second_function(second), first));
    laws.same(&in_two, &format!("[38,[{table},{in_one}]]"));
    let listed = function(&format!("[2,[{first}]]"));
    laws.same(&format!("[40,[{table},{listed}]]"), &format!("[38,[{table},{f}]]"));
    // `merge` of a sequence is `merge` of each element.
    laws.same(
        &format!("[33,[{table},\"id\",\"s\"]]"),
        &format!("[38,[{table},{}]]", function("[33,[$,\"id\",\"s\"]]")),
    );
}

/// The same function under another variable.
fn second_function(body: &str) -> String {
    format!("[69,[[2,[2]],{}]]", body.replace('$', "[10,[2]]"))
}

fn filters(laws: &mut Laws) {
    let (first, second) = (draw(laws, &TESTS), draw(laws, &TESTS));
    let table = laws.table.clone();
    let filtered = |test: &str| format!("[39,[{table},{}]]", function(test));
    let in_two = format!("[39,[{},{}]]", filtered(first), function(second));
    laws.same(&in_two, &filtered(&format!("[67,[{first},{second}]]")));
    let known = format!("[92,[{first},false]]");
    laws.same_set(&filtered(&format!("[66,[{known},[23,[{known}]]]]")), &filtered("true"));
    let branch = function(&format!("[65,[[92,[{first},false]],[2,[$]],[2,[]]]]"));
    laws.same(&filtered(first), &format!("[40,[{table},{branch}]]"));
    laws.counted(&filtered(first));
}

/// Read as an array first, or where the documents are.
fn beside_the_data(laws: &mut Laws) {
    let table = format!("[41,[{}],{{\"index\":\"id\"}}]", laws.table);
    let array = format!("[51,[{table},\"array\"]]");
    let (part, test) = (function(draw(laws, &PARTS)), function(draw(laws, &TESTS)));
    let (skip, limit) = (laws.below(20), laws.below(40));
    for term in [
        format!("[38,[[39,[SOURCE,{test}]],{part}]]"),
        format!("[71,[[70,[[39,[SOURCE,{test}]],{skip}]],{limit}]]"),
        format!("[38,[[71,[[70,[SOURCE,{skip}]],{limit}]],{part}]]"),
        format!("[41,[[39,[SOURCE,{test}]],\"n\",[74,[\"s\"]]]]"),
        "[40,[SOURCE,[69,[[2,[1]],[2,[[170,[[10,[1]],\"n\"]],[170,[[10,[1]],\"s\"]]]]]]]]".to_owned(),
        "[96,[SOURCE,\"k\"]]".to_owned(),
        "[170,[SOURCE,\"k\"]]".to_owned(),
        "[42,[[34,[SOURCE,\"id\",\"m\",\"k\"]]]]".to_owned(),
        "[150,[[144,[[33,[SOURCE,\"n\",\"s\"]],\"s\"]]]]".to_owned(),
        format!("[87,[SOURCE,{test}]]"),
    ] {
        laws.same(&term.replace("SOURCE", &table), &term.replace("SOURCE", &array));
    }
}

fn counts(laws: &mut Laws) {
    let test = draw(laws, &TESTS);
    let table = laws.table.clone();
    for sequence in [table.clone(), format!("[39,[{table},{}]]", function(test)), format!("[70,[{table},3]]")] {
        laws.counted(&sequence);
        let nothing = format!("[17,[[43,[{sequence}]],0]]");
        laws.same_value(&format!("[86,[{sequence}]]"), &nothing);
    }
    laws.same_value(
        &format!("[43,[{table},{}]]", function(test)),
        &format!("[43,[[39,[{table},{}]]]]", function(test)),
    );
    laws.same_value(
        &format!("[93,[{table},{}]]", function(&format!("[92,[{test},false]]"))),
        &format!("[23,[[86,[[39,[{table},{}]]]]]]", function(test)),
    );
}

fn unions(laws: &mut Laws) {
    let table = laws.table.clone();
    let (first, second) = (function(draw(laws, &TESTS)), function(draw(laws, &TESTS)));
    let part = |test: &str| format!("[39,[{table},{test}]]");
    let array = |sequence: &str| format!("[51,[{sequence},\"array\"]]");
    let (one, other) = (part(&first), part(&second));
    laws.same_set(&format!("[44,[{one},{other}]]"), &format!("[24,[{},{}]]", array(&one), array(&other)));
    laws.same(
        &array(&format!("[44,[{one},{other}],{{\"interleave\":false}}]")),
        &format!("[24,[{},{}]]", array(&one), array(&other)),
    );
    // Ordered parts are merged into one order.
    let ordered = |sequence: &str| format!("[41,[{},\"n\"]]", array(sequence));
    let merged = format!("[44,[{},{}],{{\"interleave\":\"n\"}}]", ordered(&one), ordered(&other));
    let values = |sequence: &str| format!("[38,[{},{}]]", array(sequence), function(&field("n")));
    laws.same(&values(&merged), &values(&ordered(&format!("[44,[{one},{other}]]"))));
}

fn sums(laws: &mut Laws) {
    let table = laws.table.clone();
    let numbers = format!("[38,[{table},{}]]", function(&field("n")));
    let added = "[69,[[2,[1,2]],[24,[[10,[1]],[10,[2]]]]]]";
    let sum = format!("[145,[{table},\"n\"]]");
    laws.same_value(&sum, &format!("[92,[[37,[{numbers},{added}]],0]]"));
    laws.same_value(&sum, &format!("[187,[{numbers},0,{added}]]"));
    let quotient = format!("[27,[{sum},[43,[{table}]]]]");
    let average = format!("[65,[[86,[{table}]],null,{quotient}]]");
    laws.same_value(&format!("[92,[[146,[{table},\"n\"]],null]]"), &average);
}

fn groups(laws: &mut Laws) {
    let table = laws.table.clone();
    let part = draw(laws, &["[170,[$,\"s\"]]", "[28,[[170,[$,\"n\"]],4]]", "[52,[[92,[[170,[$,\"k\"]],null]]]]"]);
    let grouped = format!("[144,[{table},{}]]", function(part));
    let counts = format!("[150,[[43,[{grouped}]]]]");
    laws.same_value(&format!("[145,[{counts},\"reduction\"]]"), &format!("[43,[{table}]]"));
    // Each group is what a filter finds.
    let ids = format!("[38,[[150,[[170,[{grouped},\"id\"]]]],{}]]", function("[43,[[170,[$,\"reduction\"]]]]"));
    laws.same(&ids, &format!("[38,[{counts},{}]]", function("[170,[$,\"reduction\"]]")));
    for group in laws.elements(&counts) {
        let wanted = group["group"].to_string();
        let test = function(&format!("[17,[{part},{wanted}]]"));
        assert_eq!(laws.connection.value(&format!("[43,[[39,[{table},{test}]]]]")), group["reduction"], "{wanted}");
    }
    laws.same(&format!("[150,[[145,[{grouped},\"n\"]]]]"), &format!("[150,[[145,[[170,[{grouped},\"n\"]]]]]]"));
}

fn sets(laws: &mut Laws) {
    let mapped = format!("[38,[{},{}]]", laws.with_key("k"), function(&field("k")));
    let array = format!("[51,[{mapped},\"array\"]]");
    laws.same_set(&format!("[42,[{mapped}]]"), &format!("[90,[[2,[]],{array}]]"));
    laws.same(&format!("[42,[{mapped}]]"), &format!("[42,[{array}]]"));
    laws.same(&format!("[41,[[42,[{mapped}]],{}]]", function("$")), &format!("[42,[{mapped}]]"));
}
