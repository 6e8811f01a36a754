//! Queries out of an input: trees of terms as JSON, most of them of the right types, some nearly.
//!
//! Where the input ends, everything that is wanted becomes a constant, so that every input is a query.

mod constants;
mod terms;

use std::fmt::Write as _;

use photondb_reql::TermKind;
use photondb_reql::eval::signature::signature;

use super::input::Input;
use constants::{NAMES, OPTIONS, constant, usual_name};
use terms::{Pattern, TERMS};

/// Calls in one query.
const CALLS_MAX: usize = 40;

/// How deep they stand in one another.
const LEVELS_MAX: usize = 7;

/// Bytes of a query. Lists of lists can be long however few calls they have.
const BYTES_MAX: usize = 8_000;

/// What a query may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The table `t`, to be read through.
    Scan,
    /// The tables `t` and `u`, their keys and indexes.
    Read,
    /// The same, and the documents of `u` may be written.
    Write,
}

/// What is wanted in a place: the letters of [`terms`].
type Want = char;

/// A term as JSON.
pub fn term(input: &mut Input<'_>, reach: Reach) -> String {
    let mut growth =
        Growth { input, reach, out: String::new(), variables: Vec::new(), next_variable: 1, calls_left: CALLS_MAX };
    let want = *growth.input.choose(&['q', 'x', 'a', 'q', 'n', 'o', 'q', 'b']);
    growth.grow(want, LEVELS_MAX);
    growth.out
}

struct Growth<'g, 'i> {
    input: &'g mut Input<'i>,
    reach: Reach,
    out: String,
    /// The numbers of the variables that can be named here.
    variables: Vec<u32>,
    next_variable: u32,
    calls_left: usize,
}

impl Growth<'_, '_> {
    /// One term that gives what is wanted, as a rule.
    fn grow(&mut self, want: Want, levels: usize) {
        match want {
            'f' => return self.function(1, 'x', levels),
            'p' => return self.function(1, 'b', levels),
            'F' => return self.function(2, 'x', levels),
            'G' => return self.function(3, 'x', levels),
            _ => {}
        }
        let choice = self.input.byte();
        // Now and then something else than what is wanted.
        let want = if choice >= 252 { *self.input.choose(&['n', 's', 'a', 'o', 'x', 'q', 't', 'g']) } else { want };
        let root = levels == LEVELS_MAX && !self.input.is_empty();
        let stop = levels == 0 || self.calls_left == 0 || self.out.len() > BYTES_MAX || (choice % 8 < 3 && !root);
        if stop {
            return self.leaf(want, choice);
        }
        let fits = |pattern: &&Pattern| pattern.fits(want) && pattern.reach <= self.reach as u8;
        let candidates: Vec<&Pattern> = TERMS.iter().filter(fits).collect();
        match candidates.is_empty() {
            true => self.leaf(want, choice),
            // Two bytes: there are more terms than one byte can tell apart fairly.
            false => {
                let at = usize::from(self.input.byte()) << 8 | usize::from(self.input.byte());
                self.call(candidates[at % candidates.len()], levels - 1);
            }
        }
    }

    fn leaf(&mut self, want: Want, choice: u8) {
        match self.variables.len() {
            0 => {}
            // As a rule what a function gives hangs on what it gets.
            _ if choice & 0b11000 != 0 && !matches!(want, 'k' | 'd' | 'T' | 'U' | 'S' | 'W') => {
                let variable = *self.input.choose(&self.variables);
                let name = match self.input.below(2) {
                    0 => *self.input.choose(NAMES),
                    _ => usual_name(want),
                };
                // A field of the row, or the row itself.
                let row = format!("[10,[{variable}]]");
                let field = !matches!(want, 'o' | 'x') || self.input.below(2) == 0;
                self.out += &if field { format!("[170,[{row},\"{name}\"]]") } else { row };
                return;
            }
            _ => {}
        }
        let constant = constant(want, self.input);
        self.out += &constant;
    }

    fn call(&mut self, pattern: &Pattern, levels: usize) {
        self.calls_left = self.calls_left.saturating_sub(1);
        let _ = write!(self.out, "[{},[", pattern.kind.number());
        let mut wants: Vec<Want> = Vec::new();
        for letter in pattern.args.chars() {
            match letter {
                '*' => {
                    let repeated = wants.last().copied().unwrap_or('x');
                    wants.extend(std::iter::repeat_n(repeated, self.input.below(3)));
                }
                '?' => {
                    if self.input.below(2) == 0 {
                        wants.pop();
                    }
                }
                letter => wants.push(letter),
            }
        }
        // Now and then one too many or too few.
        match self.input.byte() {
            254 => drop(wants.pop()),
            255 => wants.push('x'),
            _ => {}
        }
        for (at, want) in wants.into_iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            self.grow(want, levels);
        }
        self.out.push(']');
        self.options(pattern.kind, levels);
        self.out.push(']');
    }

    fn options(&mut self, kind: TermKind, levels: usize) {
        let known = signature(kind).optargs;
        if known.is_empty() || self.input.below(3) != 0 {
            return;
        }
        self.out.push_str(",{");
        let name = *self.input.choose(known);
        let _ = write!(self.out, "\"{name}\":");
        match OPTIONS.iter().find(|(option, _)| *option == name) {
            Some((_, values)) => {
                let value = *self.input.choose(values);
                match value {
                    "f" => self.function(1, 'x', levels),
                    "G" => self.function(3, 'x', levels),
                    "x" => self.grow('x', levels.min(2)),
                    value => self.out += value,
                }
            }
            None => self.grow('x', levels.min(2)),
        }
        self.out.push('}');
    }

    /// A function, or now and then what stands for one.
    fn function(&mut self, parameters: usize, result: Want, levels: usize) {
        let choice = self.input.below(16);
        if parameters == 1 && choice == 15 {
            let name = *self.input.choose(NAMES);
            let _ = write!(self.out, "\"{name}\"");
            return;
        }
        let first = self.next_variable;
        self.next_variable += parameters as u32;
        let names: Vec<String> = (first..self.next_variable).map(|name| name.to_string()).collect();
        let _ = write!(self.out, "[69,[[2,[{}]],", names.join(","));
        self.variables.extend(first..self.next_variable);
        self.grow(result, levels.saturating_sub(1));
        self.variables.truncate(self.variables.len() - parameters);
        self.out.push_str("]]");
    }
}
