//! The search against trying every order, and histories of objects that are right, and of those made wrong.

use super::*;
use crate::imagined::{self, Shape};
use crate::ledger::{ClientId, Ledger, Micros};
use crate::random::Random;

fn call(input: Ask, began: u64, ended: Option<u64>, fate: Fate<Said>) -> Call<Ask, Said> {
    Call { client: ClientId(1), input, at: Micros(0), began: Moment(began), ended: ended.map(Moment), fate }
}

fn read(began: u64, ended: u64, value: u64) -> Call<Ask, Said> {
    call(Ask::Read, began, Some(ended), Fate::Answered(Said::Value(value)))
}

fn set(value: u64, began: u64, ended: u64) -> Call<Ask, Said> {
    call(Ask::Set(value), began, Some(ended), Fate::Answered(Said::Done(true)))
}

#[test]
fn a_read_sees_the_last_write() {
    assert!(is_linearizable(&[set(1, 1, 2), read(3, 4, 1)]));
    assert!(!is_linearizable(&[set(1, 1, 2), read(3, 4, 0)]));
    assert!(is_linearizable(&[set(1, 1, 5), read(2, 3, 0), read(4, 6, 1)]));
}

#[test]
fn nobody_sees_a_value_go_back() {
    assert!(!is_linearizable(&[set(1, 1, 8), read(2, 3, 1), read(4, 5, 0)]));
}

#[test]
fn an_unknown_write_happens_once_or_never() {
    let unknown = |ended| call(Ask::Add, 3, ended, Fate::Unknown);
    for value in [10, 11] {
        assert!(is_linearizable(&[set(10, 1, 2), unknown(Some(9)), read(4, 5, value)]));
    }
    assert!(!is_linearizable(&[set(10, 1, 2), unknown(Some(9)), read(4, 5, 12)]));
    assert!(!is_linearizable(&[set(10, 1, 2), unknown(Some(9)), read(10, 11, 10), read(12, 13, 11)]));
    assert!(is_linearizable(&[set(10, 1, 2), unknown(None), read(10, 11, 10), read(12, 13, 11)]));
}

#[test]
fn answers_of_writes_are_looked_at() {
    let adds = |second| {
        let add = |began, ended, said| call(Ask::Add, began, Some(ended), Fate::Answered(Said::Value(said)));
        [add(3, 5, 1), add(4, 6, second)]
    };
    assert!(is_linearizable(&adds(2)));
    assert!(!is_linearizable(&adds(1)));
}

/// A number that is read, set, and set if it is what the caller believes.
struct Register;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Read,
    Set(u64),
    Swap(u64, u64),
    Add,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Value(u64),
    Done(bool),
}

impl Object for Register {
    type State = u64;
    type Input = Ask;
    type Output = Said;

    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, state: &u64, input: &Ask) -> (u64, Said) {
        match *input {
            Ask::Read => (*state, Said::Value(*state)),
            Ask::Set(value) => (value, Said::Done(true)),
            Ask::Swap(old, new) if *state == old => (new, Said::Done(true)),
            Ask::Swap(..) => (*state, Said::Done(false)),
            Ask::Add => (*state + 1, Said::Value(*state + 1)),
        }
    }
}

type Calls = Vec<Call<Ask, Said>>;

/// A register that is right.
fn history(random: &mut Random, clients: u64, calls: usize, values: u64, unknown_in: u64) -> Calls {
    let shape = Shape { clients, calls, unknown_in, nothing_in: 20 };
    imagined::history(&Register, shape, random, |random| match random.below(3) {
        0 => Ask::Read,
        1 => Ask::Set(random.below(values)),
        _ => Ask::Swap(random.below(values), random.below(values)),
    })
}

fn is_linearizable(calls: &[Call<Ask, Said>]) -> bool {
    match check_object(&Register, calls, STEPS_MAX) {
        Verdict::Linearizable => true,
        Verdict::Violated(_) => false,
        Verdict::Undecided { steps } => panic!("undecided after {steps}"),
    }
}

/// Tries every order of every choice of unknown calls.
fn by_trying(calls: &[&Call<Ask, Said>], state: u64) -> bool {
    if calls.iter().all(|call| call.answer().is_none()) {
        return true;
    }
    (0..calls.len()).any(|at| {
        let call = calls[at];
        let comes_too_early = calls.iter().any(|other| other.answer().is_some() && other.ended_before(call.began));
        let (next, said) = Register.step(&state, &call.input);
        let fits = call.answer().is_none_or(|answer| *answer == said);
        // One that must have taken effect before something that is done already began can only be left out.
        let mut rest = calls.to_vec();
        rest.remove(at);
        rest.retain(|other| other.answer().is_some() || !other.ended_before(call.began));
        !comes_too_early && fits && by_trying(&rest, next)
    })
}

#[test]
fn the_search_finds_an_order_exactly_where_trying_all_of_them_does() {
    let mut random = Random::new(7);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..30_000 {
        let (clients, length) = (random.within(1..=4), random.within(1..=6));
        let mut calls = history(&mut random, clients, length as usize, 3, 3);
        for call in &mut calls {
            if random.once_in(6)
                && let Fate::Answered(said) = &mut call.fate
            {
                *said = match *said {
                    Said::Value(_) => Said::Value(random.below(3)),
                    Said::Done(_) => Said::Done(random.once_in(2)),
                };
            }
            if call.fate == Fate::Unknown && random.once_in(3) {
                call.ended = Some(Moment(call.began.0 + random.within(1..=6)));
            }
        }
        let relevant = calls.iter().filter(|call| call.fate != Fate::Nothing);
        let expected = by_trying(&relevant.collect::<Vec<_>>(), 0);
        assert_eq!(is_linearizable(&calls), expected, "{calls:#?}");
        *(if expected { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 5_000 && bad > 3_000, "{good} good, {bad} bad");
}

#[test]
fn histories_of_a_right_register_are_accepted() {
    let mut random = Random::new(1);
    for round in 0..60 {
        // Values that come again are harder than those that never do.
        let values = random.pick(&[3, 10, 1_000_000]);
        let calls = history(&mut random, 8, 300, values, 12);
        assert!(is_linearizable(&calls), "round {round}");
    }
}

#[test]
fn an_answer_made_wrong_is_noticed_at_once() {
    let mut random = Random::new(2);
    for round in 0..60 {
        let mut calls = history(&mut random, 6, 200, 1_000_000, 12);
        let reads: Vec<usize> =
            (0..calls.len()).filter(|at| matches!(calls[*at].answer(), Some(Said::Value(_)))).collect();
        let at = reads[random.below(reads.len() as u64) as usize];
        // Nobody ever wrote it.
        calls[at].fate = Fate::Answered(Said::Value(5_000_000));
        let Verdict::Violated(found) = check_object(&Register, &calls, STEPS_MAX) else { panic!("round {round}") };
        let before = calls.iter().filter(|call| call.answer().is_some() && call.ended <= calls[at].ended).count();
        assert_eq!(found.answers, before, "the shortest beginning ends with the wrong answer");
        assert!(found.evidence.contains("5000000"), "{}", found.evidence);
    }
}

#[test]
fn a_read_that_is_too_old_is_noticed() {
    let mut random = Random::new(3);
    let mut noticed = 0;
    for _ in 0..60 {
        let mut calls = history(&mut random, 4, 100, 1_000_000, 1_000);
        let reads: Vec<usize> =
            (0..calls.len()).filter(|at| matches!(calls[*at].answer(), Some(Said::Value(_)))).collect();
        let (old, new) = (reads[2], reads[reads.len() - 1]);
        if calls[old].fate != calls[new].fate {
            calls[new].fate = calls[old].fate.clone();
            assert!(!is_linearizable(&calls));
            noticed += 1;
        }
    }
    assert!(noticed > 40, "{noticed}");
}

#[test]
fn a_lost_write_is_noticed() {
    let history = |second| {
        let mut ledger: Ledger<Ask, Said> = Ledger::default();
        for (ask, said) in [(Ask::Set(1), Said::Done(true)), (Ask::Read, second)] {
            let id = ledger.begin(ClientId(1), Micros(0), ask);
            ledger.end(id, Fate::Answered(said));
        }
        ledger.calls().to_vec()
    };
    assert!(is_linearizable(&history(Said::Value(1))));
    assert!(!is_linearizable(&history(Said::Value(0))));
}

#[test]
fn a_search_that_takes_too_long_says_so() {
    let mut random = Random::new(4);
    let calls = history(&mut random, 6, 200, 1_000_000, 12);
    assert_eq!(check_object(&Register, &calls, 20), Verdict::Undecided { steps: 20 });
}
