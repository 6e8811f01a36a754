//! A small database that answers a part of ReQL, written from RethinkDB's documentation and from nothing of the product:
//! what both say alike, both would have to have got wrong independently.
//!
//! It is one machine, one thread and plain collections. A query outside its part, or one whose answer the documentation
//! leaves open, is [`Fault::Undefined`], never a guess; `generate` makes queries that are defined.

mod administration;
mod aggregate;
mod agree;
mod arithmetic;
mod database;
mod evaluate;
mod fault;
pub mod generate;
mod sequence;
mod shape;
mod thing;
mod value;
mod write;

pub use agree::agree;
pub use database::{Change, Database};
pub use fault::Fault;
pub use thing::{Expected, Order};
pub use value::Value;

use evaluate::{Evaluation, Scope};

use crate::term::Term;

/// The model.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// What it holds.
    pub database: Database,
}

impl Model {
    /// A fresh server: the database `test` without tables.
    pub fn new() -> Model {
        Model { database: Database::new() }
    }

    /// Whether the model knows what a query answers and leaves behind. It is not run.
    pub fn knows(&mut self, term: &Term) -> bool {
        let before = self.database.journal().len();
        let knows = !matches!(self.run(term), Err(Fault::Undefined(_)));
        self.database.rewind(before);
        knows
    }

    /// Runs a query. Errors: what the server must answer too, or that the model does not know. After an error the database
    /// is as before; of a query that fails after it has written, the model does not know.
    pub fn run(&mut self, term: &Term) -> Result<Expected, Fault> {
        let before = self.database.journal().len();
        let mut evaluation = Evaluation::new(&mut self.database);
        let answered = evaluation.evaluate(term, &Scope::default()).and_then(|thing| evaluation.expected(thing));
        let has_written = self.database.journal().len() > before;
        match answered {
            Ok(expected) => Ok(expected),
            Err(fault) => {
                // Names change last, when nothing can fail any more.
                self.database.rewind(before);
                Err(if has_written { Fault::undefined("a query that fails after it has written") } else { fault })
            }
        }
    }
}

#[cfg(test)]
mod records_tests;
#[cfg(test)]
mod tests;
