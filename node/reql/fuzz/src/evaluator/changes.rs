//! The text of a term, and changes of it that leave it JSON: parts are replaced, doubled, dropped, moved.
//!
//! ```text
//! length:u16 big endian  JSON  change*        change := place:u8  what:u8
//! ```

use serde_json::{Value as Json, json};

use super::super::input::Input;

/// Changes of one text.
const CHANGES_MAX: usize = 6;

/// The text after its changes; `null` when it was no JSON.
pub fn changed(input: &mut Input<'_>) -> String {
    let length = usize::from(input.byte()) << 8 | usize::from(input.byte());
    let Ok(mut tree) = serde_json::from_slice::<Json>(input.take(length)) else { return "null".to_owned() };
    for _ in 0..CHANGES_MAX {
        if input.is_empty() {
            break;
        }
        let place = usize::from(input.byte());
        let what = input.byte();
        let parts = count(&tree);
        let donor = nth(&tree, usize::from(what).wrapping_mul(7) % parts).cloned().unwrap_or(Json::Null);
        if let Some(part) = nth_mut(&mut tree, place % parts) {
            change(part, what, donor);
        }
    }
    tree.to_string()
}

fn change(part: &mut Json, what: u8, donor: Json) {
    match (what % 8, part) {
        (0, part) => *part = donor,
        (1, Json::Number(number)) => {
            let next = number.as_i64().unwrap_or(0).wrapping_add(i64::from(what / 8) - 8);
            *number = next.into();
        }
        (2, Json::Array(items)) if !items.is_empty() => drop(items.remove(usize::from(what / 8) % items.len())),
        (3, Json::Array(items)) => items.push(donor),
        (4, Json::Array(items)) => items.reverse(),
        (5, Json::Object(fields)) => {
            let name = fields.keys().nth(usize::from(what / 8) % fields.len().max(1)).cloned();
            drop(name.and_then(|name| fields.remove(&name)));
        }
        (6, Json::Object(fields)) => drop(fields.insert("a".to_owned(), donor)),
        (7, Json::String(text)) => text.push(char::from(what)),
        (_, part) => {
            let others = [json!(null), json!(-1), json!(""), json!([2, []]), json!({}), json!(1e300), json!([13, []])];
            *part = others[usize::from(what / 8) % others.len()].clone();
        }
    }
}

/// Values in a tree, itself one of them.
fn count(tree: &Json) -> usize {
    match tree {
        Json::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Json::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

fn nth(tree: &Json, mut at: usize) -> Option<&Json> {
    if at == 0 {
        return Some(tree);
    }
    at -= 1;
    let parts: Vec<&Json> = match tree {
        Json::Array(items) => items.iter().collect(),
        Json::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    };
    for part in parts {
        let size = count(part);
        if at < size {
            return nth(part, at);
        }
        at -= size;
    }
    None
}

fn nth_mut(tree: &mut Json, mut at: usize) -> Option<&mut Json> {
    if at == 0 {
        return Some(tree);
    }
    at -= 1;
    let parts: Vec<&mut Json> = match tree {
        Json::Array(items) => items.iter_mut().collect(),
        Json::Object(fields) => fields.values_mut().collect(),
        _ => Vec::new(),
    };
    for part in parts {
        let size = count(part);
        if at < size {
            return nth_mut(part, at);
        }
        at -= size;
    }
    None
}
