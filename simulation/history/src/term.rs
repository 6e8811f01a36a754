//! ReQL terms as a driver sends them: JSON arrays `[number, [arguments], {options}]`. Only what simulated clients need, each
//! function named as the term.

pub mod number;

use serde_json::{Value, json};

/// A term, or a value, which is a term too unless it contains an array (see [`datum`]).
pub type Term = Value;

/// The term `number` of `arguments`.
pub fn call(number: u64, arguments: impl Into<Vec<Term>>) -> Term {
    json!([number, arguments.into()])
}

/// The same with options.
pub fn call_with(number: u64, arguments: impl Into<Vec<Term>>, options: Value) -> Term {
    json!([number, arguments.into(), options])
}

/// A value as a term: its arrays, which would be taken for terms, are spelled out.
pub fn datum(value: &Value) -> Term {
    match value {
        Value::Array(elements) => make_array(elements.iter().map(datum).collect::<Vec<_>>()),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), datum(value))).collect())
        }
        plain => plain.clone(),
    }
}

/// `[a, b]`
pub fn make_array(elements: impl Into<Vec<Term>>) -> Term {
    call(number::MAKE_ARRAY, elements)
}

/// `r.db(name)`
pub fn db(name: &str) -> Term {
    call(number::DB, [json!(name)])
}

/// `r.db("test").table(name)`
pub fn table(name: &str) -> Term {
    table_in("test", name)
}

/// `r.db(database).table(name)`
pub fn table_in(database: &str, name: &str) -> Term {
    call(number::TABLE, [db(database), json!(name)])
}

/// `table.get(key)`
pub fn get(table: Term, key: impl Into<Value>) -> Term {
    call(number::GET, [table, key.into()])
}

/// `table.get_all(key, {index})`
pub fn get_all(table: Term, key: impl Into<Value>, index: &str) -> Term {
    call_with(number::GET_ALL, [table, key.into()], json!({ "index": index }))
}

/// `table.between(from, to, {index})`
pub fn between(table: Term, from: impl Into<Value>, to: impl Into<Value>, index: &str) -> Term {
    call_with(number::BETWEEN, [table, from.into(), to.into()], json!({ "index": index }))
}

/// `table.insert(documents)`, with `conflict` and `return_changes`.
pub fn insert(table: Term, documents: Term, conflict: &str, return_changes: bool) -> Term {
    let options = json!({ "conflict": conflict, "return_changes": return_changes });
    call_with(number::INSERT, [table, documents], options)
}

/// `selection.update(change, {return_changes})`
pub fn update(selection: Term, change: Term, return_changes: bool) -> Term {
    call_with(number::UPDATE, [selection, change], json!({ "return_changes": return_changes }))
}

/// `selection.replace(function, {return_changes})`
pub fn replace(selection: Term, function: Term, return_changes: bool) -> Term {
    call_with(number::REPLACE, [selection, function], json!({ "return_changes": return_changes }))
}

/// `selection.delete({return_changes})`
pub fn delete(selection: Term, return_changes: bool) -> Term {
    call_with(number::DELETE, [selection], json!({ "return_changes": return_changes }))
}

/// A function of the variables `parameters`.
pub fn func(parameters: &[u64], body: Term) -> Term {
    call(number::FUNC, [make_array(parameters.iter().map(|id| json!(id)).collect::<Vec<_>>()), body])
}

/// The variable `id` of a function.
pub fn var(id: u64) -> Term {
    call(number::VAR, [json!(id)])
}

/// `value[name]`
pub fn field(value: Term, name: &str) -> Term {
    call(number::BRACKET, [value, json!(name)])
}

/// `r.branch(test, then, otherwise)`
pub fn branch(test: Term, then: Term, otherwise: Term) -> Term {
    call(number::BRANCH, [test, then, otherwise])
}

/// `a == b`
pub fn eq(a: Term, b: impl Into<Term>) -> Term {
    call(number::EQ, [a, b.into()])
}

/// `a >= b`
pub fn ge(a: Term, b: impl Into<Term>) -> Term {
    call(number::GE, [a, b.into()])
}

/// `a + b`
pub fn add(a: Term, b: impl Into<Term>) -> Term {
    call(number::ADD, [a, b.into()])
}

/// `a - b`
pub fn sub(a: Term, b: impl Into<Term>) -> Term {
    call(number::SUB, [a, b.into()])
}

/// `value.default(otherwise)`
pub fn default(value: Term, otherwise: Term) -> Term {
    call(number::DEFAULT, [value, otherwise])
}

/// `array.append(element)`
pub fn append(array: Term, element: impl Into<Term>) -> Term {
    call(number::APPEND, [array, element.into()])
}

/// `sequence.coerce_to("array")`
pub fn to_array(sequence: Term) -> Term {
    call(number::COERCE_TO, [sequence, json!("array")])
}

/// `sequence.count()`
pub fn count(sequence: Term) -> Term {
    call(number::COUNT, [sequence])
}

/// `table.order_by({index}).limit(count)`
pub fn first(table: Term, index: &str, count: u64) -> Term {
    call(number::LIMIT, [call_with(number::ORDER_BY, [table], json!({ "index": index })), json!(count)])
}

/// `table.changes({include_initial, include_states, squash: false})`
pub fn changes(sequence: Term, include_initial: bool) -> Term {
    let options = json!({ "include_initial": include_initial, "include_states": include_initial, "squash": false });
    call_with(number::CHANGES, [sequence], options)
}

/// The same with all that, whose elements say where it can go on; with a `token`, from there on.
pub fn changes_with_tokens(sequence: Term, token: Option<&str>) -> Term {
    let token = token.map_or(json!(true), |token| json!(token));
    let options = json!({ "include_initial": true, "include_states": true, "squash": false, "resume_token": token });
    call_with(number::CHANGES, [sequence], options)
}

/// `r.db("test").table_create(name)`
pub fn table_create(name: &str) -> Term {
    call(number::TABLE_CREATE, [db("test"), json!(name)])
}

/// `r.db("test").table_create(name, {shards, replicas})`
pub fn table_create_with(name: &str, shards: u64, replicas: u64) -> Term {
    let options = json!({ "shards": shards, "replicas": replicas });
    call_with(number::TABLE_CREATE, [db("test"), json!(name)], options)
}

/// `r.db(database).table_list()`
pub fn table_list(database: &str) -> Term {
    call(number::TABLE_LIST, [db(database)])
}

/// `table.wait({timeout})`, seconds.
pub fn wait(table: Term, timeout_seconds: u64) -> Term {
    call_with(number::WAIT, [table], json!({ "timeout": timeout_seconds }))
}

/// `table.index_create(name)`, on the field of that name.
pub fn index_create(table: Term, name: &str) -> Term {
    call(number::INDEX_CREATE, [table, json!(name)])
}

/// `table.index_wait(name)`
pub fn index_wait(table: Term, name: &str) -> Term {
    call(number::INDEX_WAIT, [table, json!(name)])
}

/// `table.reconfigure({shards, replicas})`
pub fn reconfigure(table: Term, shards: u64, replicas: u64) -> Term {
    call_with(number::RECONFIGURE, [table], json!({ "shards": shards, "replicas": replicas }))
}

/// `table.reconfigure({shards, replicas: {tag: count}, primary_replica_tag, nonvoting_replica_tags})`
pub fn reconfigure_by_tags(
    table: Term,
    shards: u64,
    counts: &[(&str, u64)],
    primary: &str,
    nonvoting: &[&str],
) -> Term {
    let replicas: serde_json::Map<String, Value> =
        counts.iter().map(|(tag, count)| ((*tag).to_owned(), json!(count))).collect();
    let nonvoting = make_array(nonvoting.iter().map(|tag| json!(tag)).collect::<Vec<_>>());
    let options = json!({
        "shards": shards,
        "replicas": replicas,
        "primary_replica_tag": primary,
        "nonvoting_replica_tags": nonvoting,
    });
    call_with(number::RECONFIGURE, [table], options)
}

/// `table.reconfigure({emergency_repair: "unsafe_rollback"})`
pub fn repair(table: Term) -> Term {
    call_with(number::RECONFIGURE, [table], json!({ "emergency_repair": "unsafe_rollback" }))
}

/// `table.rebalance()`
pub fn rebalance(table: Term) -> Term {
    call(number::REBALANCE, [table])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_what_drivers_send() {
        assert_eq!(get(table("t"), 5), json!([16, [[15, [[14, ["test"]], "t"]], 5]]));
        assert_eq!(datum(&json!({"a": [1, [2]]})), json!({"a": [2, [1, [2, [2]]]]}));
        let grow = func(&[1], json!({ "n": add(field(var(1), "n"), 1) }));
        assert_eq!(grow, json!([69, [[2, [1]], {"n": [24, [[170, [[10, [1]], "n"]], 1]]}]]));
        assert_eq!(
            insert(table("t"), json!({}), "error", false)[2],
            json!({"conflict": "error", "return_changes": false})
        );
    }
}
