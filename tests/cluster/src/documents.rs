//! Random documents of all types, as JSON that can stand in a query.

use crate::Numbers;

/// A text longer than what an index keeps of a value, so that entries alike in it must be told apart by the document.
fn long() -> String {
    "y".repeat(260)
}

/// A value that can be a key. Few of each type, so that some are equal.
pub fn key(numbers: &mut Numbers) -> String {
    match numbers.below(14) {
        0..=3 => (numbers.below(30) as i64 - 10).to_string(),
        4 => format!("{}.5", numbers.below(5)),
        5 | 6 => format!("\"{}\"", ["", "a", "b", "ab", "é", "Z"][numbers.below(6) as usize]),
        7 => ["true", "false"][numbers.below(2) as usize].to_owned(),
        8 => format!("[101,[{}]]", numbers.below(4) * 1_000),
        9 => format!("[155,[\"{}\"]]", ["", "eA==", "eHk="][numbers.below(3) as usize]),
        10 => format!("[2,[{},{}]]", numbers.below(3), numbers.below(3)),
        11 => format!("[2,[\"a\",[2,[{}]]]]", numbers.below(3)),
        12 => format!("\"{}{}\"", long(), ["", "1", "2"][numbers.below(3) as usize]),
        _ => ["1e300", "-1e300", "9007199254740993", "0.1"][numbers.below(4) as usize].to_owned(),
    }
}

/// A value that can be a primary key, which may not be long.
pub fn primary_key(numbers: &mut Numbers) -> String {
    loop {
        let key = key(numbers);
        if key.len() < 100 {
            return key;
        }
    }
}

/// Anything that can be stored.
pub fn value(numbers: &mut Numbers) -> String {
    match numbers.below(9) {
        0 => "null".to_owned(),
        1 => format!("{{\"a\":{},\"b\":[2,[null,{{}}]]}}", numbers.below(3)),
        2 => "[2,[\"z\",[2,[]]]]".to_owned(),
        3 => format!("[159,[{},{}]]", numbers.below(170), numbers.below(80)),
        _ => key(numbers),
    }
}

/// A document of these fields:
///
/// | Field | What | |
/// |---|---|---|
/// | `k` | anything, and often something that can be a key | sometimes missing |
/// | `m` | an array of keys, some of them twice | sometimes missing, sometimes no array |
/// | `n` | a whole number from 0 to 9 | |
/// | `s` | one of three texts | |
pub fn document(id: &str, numbers: &mut Numbers) -> String {
    let mut fields =
        format!("\"id\":{id},\"n\":{},\"s\":\"{}\"", numbers.below(10), ["x", "y", "z"][numbers.below(3) as usize]);
    match numbers.below(8) {
        0 => {}
        1 | 2 => fields += &format!(",\"k\":{}", value(numbers)),
        _ => fields += &format!(",\"k\":{}", key(numbers)),
    }
    match numbers.below(8) {
        0 => {}
        1 => fields += &format!(",\"m\":{}", key(numbers)),
        _ => {
            let items: Vec<String> = (0..numbers.below(5)).map(|_| key(numbers)).collect();
            fields += &format!(",\"m\":[2,[{}]]", items.join(","));
        }
    }
    format!("{{{fields}}}")
}
