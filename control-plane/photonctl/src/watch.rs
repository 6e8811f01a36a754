//! `--watch`: the same question again and again.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::failure::Failure;

/// To the first cell of a terminal, and clear what is behind it.
const REDRAW: &str = "\u{1b}[H\u{1b}[2J";

/// Prints an answer after each period: in the place of the one before on a terminal, below it anywhere else. Ends with a failure,
/// but not when what is looked at is not well: then that is what one watches.
pub fn run(period: Duration, mut ask: impl FnMut() -> Result<String, Failure>) -> Result<(), Failure> {
    let mut stdout = std::io::stdout();
    let redraws = stdout.is_terminal();
    let mut is_first = true;
    loop {
        let text = match ask() {
            Ok(text) => text,
            Err(failure) => failure.text().map(str::to_owned).ok_or(failure)?,
        };
        let before = match (redraws, is_first) {
            (true, _) => REDRAW,
            (false, true) => "",
            (false, false) => "\n",
        };
        write!(stdout, "{before}{text}").and_then(|()| stdout.flush()).map_err(Failure::Unwritable)?;
        is_first = false;
        std::thread::sleep(period);
    }
}
