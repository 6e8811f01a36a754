//! Databases, tables and indexes that come and go: the lists say what was acknowledged.
//!
//! Each name belongs to one client, which asks for one thing at a time; so at any time it knows whether the name must be
//! listed, unless a fate was unknown. Such a name may come or go at any later time, and is not used or judged again.

use std::collections::BTreeMap;

use crate::checker::Violation;
use crate::ledger::Fate;

const PROPERTY: &str = "names agree with what was acknowledged";

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Present,
    Absent,
    Open,
}

/// What a client asks for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameInput {
    /// To be made.
    Create,
    /// To be removed.
    Drop,
}

/// How that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameOutput {
    /// It was done.
    Done,
    /// Refused: there is such a name already.
    Exists,
    /// Refused: there is no such name.
    Missing,
}

/// The names of one client in one place.
#[derive(Clone, Debug, Default)]
pub struct Names {
    known: BTreeMap<String, Known>,
}

impl Names {
    /// Whether the name is there; `None`: nobody knows.
    pub fn is_there(&self, name: &str) -> Option<bool> {
        match self.known.get(name) {
            None | Some(Known::Absent) => Some(false),
            Some(Known::Present) => Some(true),
            Some(Known::Open) => None,
        }
    }

    /// The client asked, and this became of it.
    pub fn asked(&mut self, name: &str, input: NameInput, fate: &Fate<NameOutput>) -> Result<(), Violation> {
        let before = self.known.get(name).copied().unwrap_or(Known::Absent);
        let expected = match (input, before) {
            (NameInput::Create, Known::Present) => NameOutput::Exists,
            (NameInput::Drop, Known::Absent) => NameOutput::Missing,
            _ => NameOutput::Done,
        };
        let after = match (fate, input) {
            (Fate::Nothing, _) => before,
            (Fate::Unknown, _) => Known::Open,
            (Fate::Answered(_), _) if before == Known::Open => Known::Open,
            (Fate::Answered(output), _) if *output != expected => {
                let evidence = format!("{input:?} of {name}, which was {before:?}, answered {output:?}");
                return Err(Violation { property: PROPERTY, evidence });
            }
            (Fate::Answered(_), NameInput::Create) => Known::Present,
            (Fate::Answered(_), NameInput::Drop) => Known::Absent,
        };
        self.known.insert(name.to_owned(), after);
        Ok(())
    }

    /// What is listed, while the client asks for nothing else. Names of others are passed over.
    pub fn listed(&self, listed: &[String]) -> Result<(), Violation> {
        for (name, known) in &self.known {
            let is_listed = listed.contains(name);
            let must = match known {
                Known::Present => true,
                Known::Absent => false,
                Known::Open => continue,
            };
            if is_listed != must {
                let evidence = format!("{name} is {known:?}, listed: {is_listed}");
                return Err(Violation { property: PROPERTY, evidence });
            }
            if listed.iter().filter(|other| *other == name).count() > 1 {
                return Err(Violation { property: PROPERTY, evidence: format!("{name} is listed twice") });
            }
        }
        Ok(())
    }
}
