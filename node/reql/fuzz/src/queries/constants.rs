//! Constants of each kind, and values of options.

use super::super::input::Input;

/// Names of fields, of the documents and of what is made of them.
pub const NAMES: &[&str] = &["a", "b", "id", "n", "s", "l", "o", "t", "g", "left", "group", "reduction", "é", ""];

/// The field in which documents have what a letter stands for.
pub fn usual_name(want: char) -> &'static str {
    match want {
        'n' | 'i' => "n",
        's' => "s",
        'a' | 'q' => "l",
        'o' => "o",
        't' => "t",
        'g' => "g",
        'b' => "b",
        _ => "a",
    }
}

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "0.5",
    "-0.0",
    "100",
    "3",
    "7",
    "3",
    "1",
    "3",
    "-1",
    "1e15",
    "9007199254740993",
    "1e308",
    "-1e308",
    "5e-324",
    "2.5",
    "-2",
    "4294967296",
];

const WHOLE: &[&str] = &["0", "1", "2", "3", "-1", "5", "-2", "10", "2014", "1000", "-1000", "2147483648"];

const TEXTS: &[&str] = &[
    "\"\"",
    "\"a\"",
    "\"b\"",
    "\"id\"",
    "\"é\"",
    "\"a b\\tc\"",
    "\"\\u0000\"",
    "\"1\"",
    "\"(a)|b*\"",
    "\"[\"",
    "\"2014-01-02T03:04:05+06:00\"",
    "\"2014-W01-1\"",
    "\"+00:00\"",
    "\"Z\"",
    "\"array\"",
    "\"string\"",
    "\"number\"",
    "\"object\"",
    "\"bool\"",
    "\"binary\"",
    "\"{\\\"a\\\":[1,null]}\"",
    "\"😀\"",
    "\"{a}\"",
    "\"n\"",
    "\"i\"",
];

const TIMES: &[&str] = &[
    "[101,[0]]",
    "[101,[1388631845.678]]",
    "[101,[1]]",
    "[103,[]]",
    "[101,[-62167219200]]",
    "[101,[253402300799.999]]",
    "[99,[\"2016-02-29T12:00:00-03:30\"]]",
    "[103,[]]",
    "[101,[1e300]]",
];

const SHAPES: &[&str] = &[
    "[159,[0,0]]",
    "[159,[-122.4,37.7]]",
    "[159,[180,90]]",
    "[160,[[2,[0,0]],[2,[1,1]]]]",
    "[161,[[2,[0,0]],[2,[0,1]],[2,[1,1]]]]",
    "[161,[[2,[0,0]],[2,[0,10]],[2,[10,10]],[2,[10,0]]]]",
    "[165,[[2,[1,1]],1000],{\"num_vertices\":5}]",
    "[161,[[2,[0,0]],[2,[1,1]],[2,[0,1]],[2,[1,0]]]]",
];

const ARRAYS: &[&str] = &[
    "[2,[]]",
    "[2,[1,2,3]]",
    "[2,[3,1,2,1]]",
    "[2,[null,true,\"a\",-0,[2,[]],{}]]",
    "[2,[\"b\",\"a\",\"\"]]",
    "[2,[{\"a\":1,\"n\":2},{\"a\":2},{\"b\":null}]]",
    "[2,[[2,[1]],[2,[1,0]],[2,[]]]]",
    "[173,[5]]",
    "[2,[{\"left\":{\"a\":1},\"right\":{\"a\":2}}]]",
    "[2,[[155,[\"eA==\"]],[101,[1]],[101,[0]]]]",
];

const OBJECTS: &[&str] = &[
    "{}",
    "{\"a\":1}",
    "{\"a\":{\"b\":[2,[1,{\"c\":null}]]},\"n\":-0.5}",
    "{\"b\":\"x\",\"a\":null}",
    "{\"id\":1,\"n\":7}",
    "{\"s\":\"é\",\"l\":[2,[1,2]],\"t\":[101,[1]]}",
    "{\"left\":{\"a\":1},\"right\":{\"b\":2}}",
    "{\"\":0}",
    "{\"group\":1,\"reduction\":[2,[1]]}",
    "{\"a\":[137,[{\"b\":1}]]}",
    "{\"type\":\"Point\",\"coordinates\":[2,[1,2]]}",
];

const FIELDS: &[&str] = &[
    "\"a\"",
    "\"n\"",
    "\"id\"",
    "\"o\"",
    "\"l\"",
    "\"none\"",
    "{\"a\":true}",
    "{\"o\":{\"b\":true}}",
    "[2,[\"a\",\"b\"]]",
    "{\"o\":\"b\"}",
    "{\"a\":[2,[\"b\",{\"c\":true}]]}",
    "\"left\"",
];

const ORDERS: &[&str] = &["\"n\"", "\"a\"", "[74,[\"n\"]]", "[73,[\"s\"]]", "\"none\"", "[74,[\"id\"]]"];

const TRUTHS: &[&str] = &["true", "false", "null", "0", "\"\""];

/// A constant of the kind that a letter stands for.
pub fn constant(want: char, input: &mut Input<'_>) -> String {
    let any = [NUMBERS, TEXTS, TRUTHS, ARRAYS, OBJECTS, WHOLE, TIMES, SHAPES];
    let choices = match want {
        'n' => NUMBERS,
        'i' => WHOLE,
        'b' => TRUTHS,
        's' => TEXTS,
        't' => TIMES,
        'y' => &["[155,[\"a\"]]", "{\"$reql_type$\":\"BINARY\",\"data\":\"AAEC\"}"],
        'g' => SHAPES,
        'a' => ARRAYS,
        'o' => OBJECTS,
        'k' => FIELDS,
        'd' => ORDERS,
        'q' if input.below(2) == 0 => &["[15,[\"t\"]]"],
        'q' => ARRAYS,
        'T' => &["[15,[\"t\"]]"],
        'U' => &["[15,[\"u\"]]"],
        'S' => &["[15,[\"u\"]]", "[16,[[15,[\"u\"]],1]]", "[78,[[15,[\"u\"]],1,\"a\"]]"],
        'w' => &["[56,[[15,[\"u\"]],{\"id\":1,\"n\":2}]]", "[53,[[15,[\"u\"]],{\"n\":3}]]"],
        'W' => &[
            "[69,[[2,[900]],[56,[[15,[\"u\"]],{\"id\":[10,[900]]}],{\"conflict\":\"replace\"}]]]",
            "[69,[[2,[900]],[54,[[16,[[15,[\"u\"]],[10,[900]]]]]]]]",
        ],
        _ => *input.choose(&any),
    };
    (*input.choose(choices)).to_owned()
}

/// What stands for an option: JSON, or `f`, `G`, `x` for something grown.
pub const OPTIONS: &[(&str, &[&str])] = &[
    ("_NO_RECURSE_", &["true", "false"]),
    ("_SHORTCUT_", &["1", "2", "x"]),
    ("_EVAL_FLAGS_", &["1", "0"]),
    ("base", &["0", "x"]),
    ("compression", &["\"lz4\""]),
    ("conflict", &["\"replace\"", "\"update\"", "\"error\"", "G"]),
    ("default", &["true", "false", "[12,[]]", "x"]),
    ("default_timezone", &["\"+01:00\"", "\"Z\"", "x"]),
    ("durability", &["\"soft\"", "\"hard\"", "x"]),
    ("emit", &["[69,[[2,[901,902,903]],[2,[[10,[902]]]]]]", "G"]),
    ("fill", &["true", "false"]),
    ("final_emit", &["[69,[[2,[904]],[2,[[10,[904]]]]]]", "f"]),
    ("float", &["true", "false", "x"]),
    ("geo_system", &["\"WGS84\"", "\"unit_sphere\"", "x"]),
    ("index", &["\"n\"", "\"id\"", "\"l\"", "\"g\"", "\"none\"", "[74,[\"n\"]]", "[73,[\"id\"]]"]),
    ("interleave", &["true", "false", "\"n\"", "[2,[\"a\",[74,[\"n\"]]]]", "f"]),
    ("left_bound", &["\"open\"", "\"closed\"", "\"none\""]),
    ("multi", &["true", "false", "x"]),
    ("non_atomic", &["true", "false"]),
    ("num_vertices", &["3", "32", "0", "x"]),
    ("ordered", &["true", "false"]),
    ("return_changes", &["true", "\"always\"", "false", "x"]),
    ("right_bound", &["\"open\"", "\"closed\"", "x"]),
    ("unit", &["\"m\"", "\"km\"", "x"]),
];
