//! Histories of objects that are right: several clients at once, lost answers, and effects that come late. Checkers are tried with them.

use crate::ledger::{CallId, ClientId, Fate, Ledger, Micros};
use crate::linearizable::{CallOf, Object};
use crate::random::Random;

/// How a history is made.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Clients at once.
    pub clients: u64,
    /// Calls of all of them.
    pub calls: usize,
    /// One call in so many loses its answer; of those some take effect, some late, some never.
    pub unknown_in: u64,
    /// One call in so many certainly does nothing; zero: none.
    pub nothing_in: u64,
}

struct Busy<O: Object> {
    id: CallId,
    input: O::Input,
    effect: Option<O::Output>,
    is_lost: bool,
    does_nothing: bool,
}

/// A history of `object`, whose clients ask what `draw` says.
pub fn history<O: Object>(
    object: &O,
    shape: Shape,
    random: &mut Random,
    mut draw: impl FnMut(&mut Random) -> O::Input,
) -> Vec<CallOf<O>> {
    let mut ledger: Ledger<O::Input, O::Output> = Ledger::default();
    let mut busy: Vec<Option<Busy<O>>> = (0..shape.clients).map(|_| None).collect();
    let mut late: Vec<O::Input> = Vec::new();
    let (mut state, mut begun) = (object.initial(), 0);
    while begun < shape.calls || busy.iter().any(Option::is_some) {
        if !late.is_empty() && random.once_in(8) {
            let at = random.below(late.len() as u64) as usize;
            state = object.step(&state, &late.swap_remove(at)).0;
        }
        let client = random.below(shape.clients) as usize;
        match busy[client].take() {
            None if begun < shape.calls => {
                begun += 1;
                let input = draw(random);
                let id = ledger.begin(ClientId(client as u64), Micros(0), input.clone());
                let is_lost = random.once_in(shape.unknown_in);
                let does_nothing = shape.nothing_in > 0 && random.once_in(shape.nothing_in);
                busy[client] = Some(Busy { id, input, effect: None, is_lost, does_nothing });
            }
            None => {}
            Some(call) if call.does_nothing => ledger.end(call.id, Fate::Nothing),
            Some(call) if call.is_lost && call.effect.is_none() && random.once_in(2) => {
                if random.once_in(2) {
                    late.push(call.input);
                }
                ledger.end(call.id, Fate::Unknown);
            }
            Some(call) => match call.effect {
                None => {
                    let (next, output) = object.step(&state, &call.input);
                    state = next;
                    busy[client] = Some(Busy { effect: Some(output), ..call });
                }
                Some(_) if call.is_lost => ledger.end(call.id, Fate::Unknown),
                Some(output) => ledger.end(call.id, Fate::Answered(output)),
            },
        }
    }
    ledger.calls().to_vec()
}
