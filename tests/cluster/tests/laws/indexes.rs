//! What is read by an index is what a scan finds, in the order of a sort.

use photondb_test_cluster::documents::{key, primary_key};

use super::{Laws, field, function};

/// All of them, with values drawn anew.
pub fn laws(laws: &mut Laws) {
    equal_values(laws);
    members(laws);
    several_values(laws);
    ranges(laws);
    order(laws);
    pages(laws);
    extremes(laws);
    distinct(laws);
    groups(laws);
    joins(laws);
}

fn equal_values(laws: &mut Laws) {
    for _ in 0..6 {
        let value = key(&mut laws.numbers);
        let table = laws.table.clone();
        let scan = format!("[39,[{table},{}]]", function(&format!("[17,[{},{value}]]", field("k"))));
        laws.same_set(&format!("[78,[{table},{value}],{{\"index\":\"k\"}}]"), &scan);
        let number = laws.below(10);
        let both = format!("[67,[[17,[{},{number}]],[17,[{},{value}]]]]", field("n"), field("k"));
        let scan = format!("[39,[{table},{}]]", function(&both));
        laws.same_set(&format!("[78,[{table},[2,[{number},{value}]]],{{\"index\":\"nk\"}}]"), &scan);
        let key = primary_key(&mut laws.numbers);
        let scan = format!("[39,[{table},{}]]", function(&format!("[17,[{},{key}]]", field("id"))));
        laws.same_set(&format!("[78,[{table},{key}]]"), &scan);
        laws.same_value(&format!("[16,[{table},{key}]]"), &format!("[92,[[170,[[51,[{scan},\"array\"]],0]],null]]"));
    }
}

/// A document stands in a `multi` index under each element; more than once when an element is there more than once.
fn members(laws: &mut Laws) {
    for _ in 0..6 {
        let value = key(&mut laws.numbers);
        let table = laws.table.clone();
        let list = format!("[17,[[52,[{}]],\"ARRAY\"]]", field("m"));
        let member = format!("[67,[{list},[93,[{},{value}]]]]", field("m"));
        let lone = format!("[67,[[23,[{list}]],[17,[{},{value}]]]]", field("m"));
        let scan = format!("[39,[{table},{}]]", function(&format!("[66,[{member},{lone}]]")));
        laws.same_set(&format!("[42,[[78,[{table},{value}],{{\"index\":\"m\"}}]]]"), &format!("[42,[{scan}]]"));
    }
}

fn several_values(laws: &mut Laws) {
    for index in ["k", "id", "n"] {
        let (first, second) = (primary_key(&mut laws.numbers), primary_key(&mut laws.numbers));
        let get = |values: &[&str]| format!("[78,[{},{}],{{\"index\":\"{index}\"}}]", laws.table, values.join(","));
        let (all, one, other) = (get(&[&first, &second, &first]), get(&[&first]), get(&[&second]));
        laws.same_set(&all, &format!("[44,[{one},{other},{one}]]"));
        laws.counted(&all);
    }
}

fn ranges(laws: &mut Laws) {
    for index in ["k", "id"] {
        let (mut low, mut high) = (key(&mut laws.numbers), key(&mut laws.numbers));
        if index == "id" {
            (low, high) = (primary_key(&mut laws.numbers), primary_key(&mut laws.numbers));
        }
        let whole = laws.with_key(index);
        let table = laws.table.clone();
        for (left, above) in [("closed", 22), ("open", 21)] {
            for (right, below) in [("closed", 20), ("open", 19)] {
                let options =
                    format!("{{\"index\":\"{index}\",\"left_bound\":\"{left}\",\"right_bound\":\"{right}\"}}");
                let between = format!("[182,[{table},{low},{high}],{options}]");
                let within = format!("[67,[[{above},[{0},{low}]],[{below},[{0},{high}]]]]", field(index));
                laws.same_set(&between, &format!("[39,[{whole},{}]]", function(&within)));
                laws.counted(&between);
            }
        }
        // Cut in two, a range is whole.
        let part = |low: &str, high: &str, right: &str, left: &str| {
            let options = format!("{{\"index\":\"{index}\",\"right_bound\":\"{right}\",\"left_bound\":\"{left}\"}}");
            format!("[182,[{table},{low},{high}],{options}]")
        };
        let all = part("[180,[]]", "[181,[]]", "closed", "closed");
        laws.same_set(&all, &whole);
        for (right, left) in [("open", "closed"), ("closed", "open")] {
            let below = part("[180,[]]", &low, right, "closed");
            let above = part(&low, "[181,[]]", "open", left);
            laws.same_set(&format!("[44,[{below},{above}]]"), &all);
        }
    }
}

fn order(laws: &mut Laws) {
    for index in ["k", "id", "n"] {
        let whole = laws.with_key(index);
        for direction in [73, 74] {
            let sorted = format!("[41,[{},[{direction},[\"{index}\"]]]]", coerced(&whole));
            let indexed = format!("[41,[{}],{{\"index\":[{direction},[\"{index}\"]]}}]", laws.table);
            let values = |sequence: &str| format!("[38,[{},{}]]", coerced(sequence), function(&field(index)));
            laws.same(&values(&indexed), &values(&sorted));
            laws.same_set(&indexed, &whole);
        }
    }
}

/// Pieces of a sequence, one after the other, are the whole.
fn pages(laws: &mut Laws) {
    for index in ["k", "id"] {
        let size = 1 + laws.below(40);
        let whole = format!("[41,[{}],{{\"index\":\"{index}\"}}]", laws.table);
        let count = laws.elements(&whole).len() as u64;
        laws.counted(&whole);
        let pieces: Vec<String> =
            (0..=count / size).map(|at| format!("[71,[[70,[{whole},{}]],{size}]]", at * size)).collect();
        laws.same(
            &format!("[44,[{}]]", pieces.iter().map(|piece| coerced(piece)).collect::<Vec<_>>().join(",")),
            &coerced(&whole),
        );
        let place = laws.below(count + 2);
        laws.counted(&format!("[70,[{whole},{place}]]"));
        laws.same(&format!("[30,[{whole},{place},{}]]", place + 5), &format!("[71,[[70,[{whole},{place}]],5]]"));
        if place < count {
            laws.same_value(&format!("[45,[{whole},{place}]]"), &format!("[45,[{},{place}]]", coerced(&whole)));
        }
    }
}

fn extremes(laws: &mut Laws) {
    for index in ["k", "id", "n"] {
        for (term, direction) in [(147, 73), (148, 74)] {
            let value = |row: &str| format!("[92,[[170,[{row},\"{index}\"]],null]]");
            let rows = laws.with_key(index);
            // Of an empty index it is an error that `default` does not replace.
            let by_index = format!("[65,[[86,[{rows}]],null,[{term},[{}],{{\"index\":\"{index}\"}}]]]", laws.table);
            let first = format!("[45,[[41,[{},[{direction},[\"{index}\"]]]],0]]", coerced(&rows));
            laws.same_value(&value(&by_index), &value(&first));
        }
    }
}

fn distinct(laws: &mut Laws) {
    for index in ["k", "id", "n"] {
        let mapped = format!("[38,[{},{}]]", laws.with_key(index), function(&field(index)));
        laws.same(
            &coerced(&format!("[42,[{}],{{\"index\":\"{index}\"}}]", laws.table)),
            &coerced(&format!("[42,[{mapped}]]")),
        );
        laws.counted(&format!("[42,[{}],{{\"index\":\"{index}\"}}]", laws.table));
    }
    let whole = format!("[42,[{}]]", laws.table);
    laws.same(&coerced(&whole), &coerced(&format!("[41,[{}],{{\"index\":\"id\"}}]", laws.table)));
    laws.counted(&whole);
}

fn groups(laws: &mut Laws) {
    for (index, by) in [("k", field("k")), ("n", field("n")), ("n3", format!("[28,[{},3]]", field("n")))] {
        let whole = if index == "k" { laws.with_key("k") } else { laws.table.clone() };
        let by_index = format!("[150,[[43,[[144,[{}],{{\"index\":\"{index}\"}}]]]]]", laws.table);
        let by_function = format!("[150,[[43,[[144,[{whole},{}]]]]]]", function(&by));
        laws.same(&by_index, &by_function);
        let sum = format!("[145,[{by_function},\"reduction\"]]");
        laws.same_value(&sum, &format!("[43,[{whole}]]"));
        let by_index = format!("[150,[[43,[[144,[{}],{{\"index\":\"{index}\",\"multi\":true}}]]]]]", laws.table);
        let by_function = format!("[150,[[43,[[144,[{whole},{}],{{\"multi\":true}}]]]]]", function(&by));
        laws.same(&by_index, &by_function);
    }
}

/// A join by an index is the join of all pairs.
fn joins(laws: &mut Laws) {
    let left = format!("[71,[[41,[{}],{{\"index\":\"id\"}}],12]]", laws.table);
    for index in ["k", "n"] {
        let pairs = format!("[69,[[2,[1,2]],[17,[[170,[[10,[1]],\"{index}\"]],[170,[[10,[2]],\"{index}\"]]]]]]");
        let left = format!("[39,[{},{}]]", coerced(&left), keyed(index));
        let all = format!("[48,[{left},{},{pairs}]]", coerced(&laws.with_key(index)));
        let by_index = format!("[50,[{left},\"{index}\",{}],{{\"index\":\"{index}\"}}]", laws.table);
        laws.same_set(&by_index, &all);
    }
}

/// Whether a row has something that can be a key.
fn keyed(name: &str) -> String {
    let kinds = ["NUMBER", "STRING", "BOOL", "PTYPE<TIME>", "PTYPE<BINARY>", "ARRAY"];
    let kinds: Vec<String> = kinds.iter().map(|kind| format!("[17,[[52,[{}]],\"{kind}\"]]", field(name))).collect();
    function(&format!("[66,[{}]]", kinds.join(",")))
}

fn coerced(sequence: &str) -> String {
    format!("[51,[{sequence},\"array\"]]")
}
