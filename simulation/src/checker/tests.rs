//! The checkers of one kind of history each: they accept what objects that are right do, notice each kind of wrong, and
//! never ask for more than that there is an order.

use std::collections::BTreeMap;

use photondb_history::imagined::{Shape, history};
use serde_json::json;

use super::counter::CounterInput;
use super::feed_replays_table::{Documents, Replay, key};
use super::index_equals_table::Row;
use super::linearizable::{CallOf, Object, STEPS_MAX, Verdict, check_object};
use super::list_append::{ListInput, Seen};
use super::names_agree::{NameInput, NameOutput, Names};
use super::unique_inserts::{InsertInput, InsertOutput};
use super::*;
use crate::client::FeedEvent;
use crate::ledger::{Call, Fate};
use crate::random::Random;

struct List;

impl Object for List {
    type State = Vec<i64>;
    type Input = ListInput;
    type Output = Seen;

    fn initial(&self) -> Vec<i64> {
        Vec::new()
    }

    fn step(&self, state: &Vec<i64>, input: &ListInput) -> (Vec<i64>, Seen) {
        let mut next = state.clone();
        if let ListInput::Append(element) = input {
            next.push(*element);
        }
        (next.clone(), next)
    }
}

struct Number;

impl Object for Number {
    type State = u64;
    type Input = CounterInput;
    type Output = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, state: &u64, input: &CounterInput) -> (u64, u64) {
        let next = state + u64::from(*input == CounterInput::Increment);
        (next, next)
    }
}

struct Key;

impl Object for Key {
    type State = Option<i64>;
    type Input = InsertInput;
    type Output = InsertOutput;

    fn initial(&self) -> Option<i64> {
        None
    }

    fn step(&self, state: &Option<i64>, input: &InsertInput) -> (Option<i64>, InsertOutput) {
        match (input, state) {
            (InsertInput::Read, _) => (*state, InsertOutput::Found(*state)),
            (InsertInput::Insert(_), Some(_)) => (*state, InsertOutput::Refused),
            (InsertInput::Insert(value), None) => (Some(*value), InsertOutput::Inserted),
        }
    }
}

fn shape(random: &mut Random, calls: usize) -> Shape {
    Shape { clients: random.within(1..=6), calls, unknown_in: random.pick(&[5, 20, 10_000]), nothing_in: 15 }
}

/// Makes histories, makes one answer of some wrong, and compares `check` with the search for an order: what has an order
/// must pass. Gives how many of those without an order were noticed, in hundredths.
fn compare<O: Object>(
    object: &O,
    mut draw: impl FnMut(&mut Random) -> O::Input,
    mut spoil: impl FnMut(&mut Random, &mut O::Output),
    check: impl Fn(&[CallOf<O>]) -> Result<(), Violation>,
) -> u64 {
    let mut random = Random::new(11);
    let (mut wrong, mut noticed) = (0, 0);
    for round in 0..1_500 {
        let calls = if round % 10 == 0 { 150 } else { 12 };
        let shape = shape(&mut random, calls);
        let mut calls = history(object, shape, &mut random, &mut draw);
        check(&calls).unwrap_or_else(|violation| panic!("round {round}: {violation}"));
        let answered: Vec<usize> = (0..calls.len()).filter(|at| calls[*at].answer().is_some()).collect();
        let Some(at) = answered.get(random.below(answered.len().max(1) as u64) as usize) else { continue };
        if let Fate::Answered(output) = &mut calls[*at].fate {
            spoil(&mut random, output);
        }
        let found = check(&calls);
        match check_object(object, &calls, STEPS_MAX / 20) {
            Verdict::Linearizable => {
                found.unwrap_or_else(|violation| panic!("round {round} has an order: {violation}"))
            }
            Verdict::Violated(_) => {
                wrong += 1;
                noticed += u64::from(found.is_err());
            }
            Verdict::Undecided { .. } => {}
        }
    }
    assert!(wrong > 300, "{wrong}");
    100 * noticed / wrong
}

#[test]
fn lists() {
    let mut next = 0;
    let draw = |random: &mut Random| {
        next += 1;
        if random.once_in(2) { ListInput::Read } else { ListInput::Append(next) }
    };
    let spoil = |random: &mut Random, seen: &mut Seen| match random.below(4) {
        0 => drop(seen.pop()),
        1 => seen.push(random.below(9) as i64),
        2 if seen.len() > 1 => {
            let last = seen.len() - 1;
            seen.swap(0, last);
        }
        _ => seen.extend(seen.first().copied()),
    };
    let noticed = compare(&List, draw, spoil, list_append::check);
    assert!(noticed >= 97, "{noticed}");
}

#[test]
fn counters() {
    let draw = |random: &mut Random| if random.once_in(2) { CounterInput::Read } else { CounterInput::Increment };
    let spoil = |random: &mut Random, value: &mut u64| {
        *value = (*value + random.pick(&[1, 2, 20])).saturating_sub(10 * random.below(2))
    };
    let noticed = compare(&Number, draw, spoil, counter::check);
    assert!(noticed >= 85, "{noticed}");
}

#[test]
fn keys() {
    let mut next = 0;
    let draw = |random: &mut Random| {
        next += 1;
        if random.once_in(3) { InsertInput::Insert(next) } else { InsertInput::Read }
    };
    let spoil = |random: &mut Random, output: &mut InsertOutput| {
        *output = match output {
            InsertOutput::Inserted => InsertOutput::Refused,
            InsertOutput::Refused => InsertOutput::Inserted,
            InsertOutput::Found(None) => InsertOutput::Found(Some(random.below(20) as i64)),
            InsertOutput::Found(Some(_)) if random.once_in(2) => InsertOutput::Found(None),
            InsertOutput::Found(Some(value)) => InsertOutput::Found(Some(*value + 1)),
        }
    };
    let check = |calls: &[Call<_, _>]| unique_inserts::check(0, &calls.iter().collect::<Vec<_>>());
    let noticed = compare(&Key, draw, spoil, check);
    assert!(noticed >= 90, "{noticed}");
}

#[test]
fn banks() {
    let accounts = |balances: &[i64]| -> bank::Accounts {
        balances.iter().enumerate().map(|(at, balance)| (format!("a{at}"), *balance)).collect()
    };
    let opened = accounts(&[100, 100]);
    assert!(bank::check(&opened, &accounts(&[30, 170])).is_ok());
    for wrong in [&[30, 171][..], &[-1, 201], &[200], &[100, 100, 0]] {
        assert!(bank::check(&opened, &accounts(wrong)).is_err(), "{wrong:?}");
    }
}

#[test]
fn indexes() {
    let rows =
        |rows: &[(u64, i64)]| rows.iter().map(|(id, indexed)| Row { id: *id, indexed: *indexed }).collect::<Vec<_>>();
    let keys = [1, 2].into();
    assert!(index_equals_table::check_whole(&keys, &rows(&[(2, 5), (1, 9)])).is_ok());
    for wrong in [&[(1, 9)][..], &[(1, 9), (2, 5), (1, 5)], &[(1, 1), (2, 2), (3, 3)]] {
        assert!(index_equals_table::check_whole(&keys, &rows(wrong)).is_err(), "{wrong:?}");
    }
    assert!(index_equals_table::check_part(3, 6, &rows(&[(2, 5), (1, 3)])).is_ok());
    for wrong in [&[(1, 6)][..], &[(1, 2)], &[(1, 4), (1, 5)]] {
        assert!(index_equals_table::check_part(3, 6, &rows(wrong)).is_err(), "{wrong:?}");
    }
    let table = rows(&[(1, 9), (2, 5)]);
    assert!(index_equals_table::check_still(&table, &rows(&[(2, 5), (1, 9)])).is_ok());
    for wrong in [&[(2, 5)][..], &[(2, 5), (1, 8)], &[(2, 5), (1, 9), (1, 9)]] {
        assert!(index_equals_table::check_still(&table, &rows(wrong)).is_err(), "{wrong:?}");
    }
}

/// A feed of a table under random writes: its initial content, its changes, and the table in the end.
fn feed(random: &mut Random) -> (Vec<FeedEvent>, Documents) {
    let mut table: BTreeMap<u64, _> = (0..random.below(4)).map(|id| (id, json!({ "id": id, "v": 0 }))).collect();
    let mut events = vec![FeedEvent::State("initializing".to_owned())];
    // Changes of documents that have been sent come between those that have not.
    let mut unsent: Vec<u64> = table.keys().copied().collect();
    let (mut version, mut left) = (1, 30);
    while left > 0 {
        if !unsent.is_empty() && random.once_in(3) {
            let id = unsent.remove(0);
            if let Some(document) = table.get(&id) {
                events.push(FeedEvent::Initial(document.clone()));
            }
            if unsent.is_empty() {
                events.push(FeedEvent::State("ready".to_owned()));
            }
            continue;
        }
        left -= 1;
        let id = random.below(4);
        let new = if random.once_in(3) { json!(null) } else { json!({ "id": id, "v": version }) };
        version += 1;
        let old = if new.is_null() { table.remove(&id) } else { table.insert(id, new.clone()) };
        let old = old.unwrap_or_default();
        if old != new && !unsent.contains(&id) {
            events.push(FeedEvent::Change { old, new });
        }
    }
    for id in &unsent {
        events.extend(table.get(id).map(|document| FeedEvent::Initial(document.clone())));
    }
    if !events.contains(&FeedEvent::State("ready".to_owned())) {
        events.push(FeedEvent::State("ready".to_owned()));
    }
    (events, by_key(table.into_values()))
}

fn by_key(documents: impl IntoIterator<Item = serde_json::Value>) -> Documents {
    documents.into_iter().map(|document| (key(&document).unwrap(), document)).collect()
}

fn replay(events: &[FeedEvent], table: &Documents) -> Result<(), Violation> {
    let mut replay = Replay::default();
    for event in events {
        replay.take(event)?;
    }
    replay.check_end(table)
}

#[test]
fn feeds() {
    let mut random = Random::new(5);
    for round in 0..500 {
        let (events, table) = feed(&mut random);
        replay(&events, &table).unwrap_or_else(|violation| panic!("round {round}: {violation}"));
        let changes: Vec<usize> =
            (0..events.len()).filter(|at| matches!(events[*at], FeedEvent::Change { .. })).collect();
        let at = changes[random.below(changes.len() as u64) as usize];
        let (mut without, mut twice, mut strange) = (events.clone(), events.clone(), events.clone());
        without.remove(at);
        twice.insert(at, events[at].clone());
        strange[at] = FeedEvent::Strange(json!({ "error": "x" }));
        let of_key = |event: &FeedEvent| match event {
            FeedEvent::Change { old, new } => Some(if new.is_null() { old["id"].clone() } else { new["id"].clone() }),
            _ => None,
        };
        for wrong in [&without, &twice, &strange, &events[..events.len().min(1)].to_vec()] {
            assert!(replay(wrong, &table).is_err(), "round {round}, event {at}: {wrong:?}");
        }
        // Two changes of one document change places.
        if let Some(next) = changes.iter().find(|next| **next > at && of_key(&events[**next]) == of_key(&events[at])) {
            let mut swapped = events.clone();
            swapped.swap(at, *next);
            assert!(replay(&swapped, &table).is_err(), "round {round}: {swapped:?}");
        }
    }
}

#[test]
fn initial_content_comes_once_and_before_its_end() {
    let document = FeedEvent::Initial(json!({ "id": 1 }));
    let table = by_key([json!({ "id": 1 })]);
    let state = |name: &str| FeedEvent::State(name.to_owned());
    let (begin, ready) = (state("initializing"), state("ready"));
    assert!(replay(&[begin.clone(), document.clone(), ready.clone()], &table).is_ok());
    assert!(replay(&[begin.clone(), document.clone(), document.clone(), ready.clone()], &table).is_err());
    assert!(replay(&[begin.clone(), ready.clone(), document.clone()], &table).is_err());
    assert!(replay(&[begin.clone(), document.clone()], &table).is_err(), "it never ends");
    assert!(replay(&[begin, ready.clone(), ready], &Documents::new()).is_err());
}

#[test]
fn names() {
    let done = Fate::Answered(NameOutput::Done);
    let mut names = Names::default();
    names.asked("a", NameInput::Create, &done).unwrap();
    names.asked("b", NameInput::Create, &Fate::Nothing).unwrap();
    names.asked("c", NameInput::Create, &Fate::Unknown).unwrap();
    names.asked("c", NameInput::Drop, &done).unwrap();
    let list = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for right in [&["a", "c", "of others"][..], &["a"]] {
        names.listed(&list(right)).unwrap();
    }
    for wrong in [&[][..], &["c"], &["a", "b"], &["a", "a"]] {
        assert!(names.listed(&list(wrong)).is_err(), "{wrong:?}");
    }
    assert_eq!([names.is_there("a"), names.is_there("b"), names.is_there("c")], [Some(true), Some(false), None]);
    assert!(names.clone().asked("a", NameInput::Create, &done).is_err(), "it is there");
    assert!(names.clone().asked("a", NameInput::Drop, &Fate::Answered(NameOutput::Missing)).is_err());
    assert!(names.clone().asked("b", NameInput::Create, &Fate::Answered(NameOutput::Exists)).is_err());
    names.asked("a", NameInput::Drop, &done).unwrap();
    assert!(names.listed(&list(&["a"])).is_err(), "it was dropped");
}
