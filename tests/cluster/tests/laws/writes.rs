//! Writes: what changes nothing says so, what is done twice is done once, and what is written is what is read.

use photondb_test_cluster::documents::key;

use super::{Laws, field, function};

/// All of them, with values drawn anew.
pub fn laws(laws: &mut Laws) {
    idempotent(laws);
    update_is_replace(laws);
    returned_changes(laws);
    copies(laws);
    deleted(laws);
}

fn count(laws: &mut Laws, sequence: &str) -> u64 {
    laws.connection.value(&format!("[43,[{sequence}]]")).as_u64().expect("a count is a number")
}

/// An update that sets what is there already leaves every document as it is.
fn idempotent(laws: &mut Laws) {
    let table = laws.table.clone();
    let value = key(&mut laws.numbers);
    for change in [format!("{{\"w\":{value}}}"), function(&format!("{{\"w\":[52,[{}]]}}", field("n")))] {
        let all = count(laws, &table);
        let update = format!("[53,[{table},{change}]]");
        let first = laws.connection.value(&update);
        assert_eq!(first["errors"], 0, "{update}: {first}");
        let second = laws.connection.value(&update);
        assert_eq!((&second["replaced"], &second["unchanged"]), (&0.into(), &all.into()), "{update}: {second}");
    }
    let all = count(laws, &table);
    let same = laws.connection.value(&format!("[55,[{table},{}]]", function("$")));
    assert_eq!(same["unchanged"], all, "{same}");
    let again = laws.connection.value(&format!("[56,[{table},{table}],{{\"conflict\":\"replace\"}}]"));
    assert_eq!(again["unchanged"], all, "{again}");
    let refused = laws.connection.value(&format!("[56,[{table},{table}]]"));
    assert_eq!((&refused["errors"], &refused["inserted"]), (&all.into(), &0.into()), "{refused}");
}

/// `update(x)` is `replace(row => row.merge(x))`.
fn update_is_replace(laws: &mut Laws) {
    let table = laws.table.clone();
    let merged = format!("{{\"n\":[28,[[24,[{},1]],10]],\"o\":{{\"deep\":{}}}}}", field("n"), field("s"));
    let replaced = format!("[38,[{table},{}]]", function(&format!("[35,[$,{merged}]]")));
    let expected = laws.elements(&replaced);
    let answer = laws.connection.value(&format!("[53,[{table},{}]]", function(&merged)));
    assert_eq!(answer["errors"], 0, "{answer}");
    assert_eq!(laws.elements(&table), expected, "update is no merge");
}

/// What `return_changes` shows is what was there, and what is there.
fn returned_changes(laws: &mut Laws) {
    let table = laws.table.clone();
    let chosen = format!("[39,[{table},{}]]", function(&format!("[19,[{},5]]", field("n"))));
    let before = laws.elements(&format!("[41,[[51,[{chosen},\"array\"]],\"id\"]]"));
    let change = function(&format!("{{\"seen\":[24,[[92,[{},0]],1]]}}", field("seen")));
    let answer = laws.connection.value(&format!("[53,[{chosen},{change}],{{\"return_changes\":\"always\"}}]"));
    let changes = answer["changes"].as_array().cloned().unwrap_or_default();
    let of = |name: &str| super::sorted(changes.iter().map(|change| change[name].clone()).collect());
    assert_eq!(of("old_val"), super::sorted(before));
    let after = laws.elements(&chosen);
    assert_eq!(of("new_val"), super::sorted(after));
}

/// A copy of a table is the table.
fn copies(laws: &mut Laws) {
    let (table, copy) = (laws.table.clone(), format!("[15,[[14,[\"test\"]],\"{}_copy\"]]", laws.name));
    laws.connection.value(&format!("[60,[[14,[\"test\"]],\"{}_copy\"]]", laws.name));
    let answer = laws.connection.value(&format!("[56,[{copy},{table}]]"));
    assert_eq!(answer["errors"], 0, "{answer}");
    laws.same(&copy, &table);
    laws.connection.value(&format!("[61,[[14,[\"test\"]],\"{}_copy\"]]", laws.name));
}

/// What is deleted is gone from the table and from every index, and nothing else is.
fn deleted(laws: &mut Laws) {
    let table = laws.table.clone();
    let (value, number) = (key(&mut laws.numbers), laws.below(10));
    for chosen in [
        format!("[78,[{table},{value}],{{\"index\":\"k\"}}]"),
        format!("[71,[[182,[{table},{number},[181,[]]],{{\"index\":\"n\"}}],3]]"),
    ] {
        let (all, some) = (count(laws, &table), count(laws, &chosen));
        let answer = laws.connection.value(&format!("[54,[{chosen}]]"));
        assert_eq!(answer["deleted"], some, "{chosen}: {answer}");
        assert_eq!(count(laws, &table), all - some, "{chosen}");
        assert_eq!(count(laws, &format!("[41,[{table}],{{\"index\":\"n\"}}]")), all - some, "{chosen}");
    }
    assert_eq!(count(laws, &format!("[78,[{table},{value}],{{\"index\":\"k\"}}]")), 0);
}
