//! What the clients of a cluster asked and heard.
//!
//! "When" is a place in the order of all beginnings and ends. One ledger is written by one thread at a time, so that order
//! is the real one, and it is finer than time.

use crate::answer::Failure;

/// Time since the beginning of the run, in microseconds; virtual time where the run is simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub u64);

/// A client of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// A place in the order of beginnings and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate<O> {
    /// This was the answer.
    Answered(O),
    /// Certainly nothing happened.
    Nothing,
    /// It may have happened, or may still happen.
    Unknown,
}

/// One call of one client.
#[derive(Clone, Debug)]
pub struct Call<I, O> {
    /// Who.
    pub client: ClientId,
    /// What.
    pub input: I,
    /// When it began, for people.
    pub at: Micros,
    /// Its beginning.
    pub began: Moment,
    /// Its end. Of an unknown fate: the latest moment at which it can have taken effect; `None`: any.
    pub ended: Option<Moment>,
    /// What became of it.
    pub fate: Fate<O>,
}

impl<I, O> Call<I, O> {
    /// The answer, if there was one.
    pub fn answer(&self) -> Option<&O> {
        match &self.fate {
            Fate::Answered(answer) => Some(answer),
            Fate::Nothing | Fate::Unknown => None,
        }
    }

    /// Whether it was over before `moment`.
    pub fn ended_before(&self, moment: Moment) -> bool {
        self.ended.is_some_and(|ended| ended < moment)
    }
}

/// Names a call of a ledger.
#[derive(Clone, Copy, Debug)]
pub struct CallId(usize);

/// All calls of a workload, in the order of their beginnings.
#[derive(Clone, Debug)]
pub struct Ledger<I, O> {
    calls: Vec<Call<I, O>>,
    moments: u64,
}

impl<I, O> Default for Ledger<I, O> {
    fn default() -> Ledger<I, O> {
        Ledger { calls: Vec::new(), moments: 0 }
    }
}

impl<I, O> Ledger<I, O> {
    /// A client asks. Until it has ended, its fate is unknown.
    pub fn begin(&mut self, client: ClientId, at: Micros, input: I) -> CallId {
        let began = self.moment();
        self.calls.push(Call { client, input, at, began, ended: None, fate: Fate::Unknown });
        CallId(self.calls.len() - 1)
    }

    /// The client knows what it will ever know.
    pub fn end(&mut self, id: CallId, fate: Fate<O>) {
        let ended = self.moment();
        let call = &mut self.calls[id.0];
        call.ended = (!matches!(fate, Fate::Unknown)).then_some(ended);
        call.fate = fate;
    }

    /// The client heard this answer, or failed so. `read` makes the answer what it says; `None`: it makes no sense, which
    /// gives it back.
    pub fn heard<A: Clone>(
        &mut self,
        id: CallId,
        heard: &Result<A, Failure>,
        read: impl FnOnce(&A) -> Option<O>,
    ) -> Result<(), A> {
        let fate = match heard {
            Ok(answer) => match read(answer) {
                Some(output) => Fate::Answered(output),
                None => return Err(answer.clone()),
            },
            Err(failure) if failure.is_definite() => Fate::Nothing,
            Err(_) => Fate::Unknown,
        };
        self.end(id, fate);
        Ok(())
    }

    /// All calls.
    pub fn calls(&self) -> &[Call<I, O>] {
        &self.calls
    }

    fn moment(&mut self) -> Moment {
        self.moments += 1;
        Moment(self.moments)
    }
}
