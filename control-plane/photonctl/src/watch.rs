//! `--watch`: the same question again and again.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::failure::Failure;

/// To the first cell of a terminal, and clear what is behind it.
const REDRAW: &str = "\u{1b}[H\u{1b}[2J";

/// Prints an answer after each period: in the place of the one before on a terminal, below it anywhere else. What is looked at may be
/// unwell, and may not be there for a while: that is what one watches. So it ends only with what no later attempt can mend. Where there
/// is no answer it is said why: on a terminal below the last one.
pub fn run(period: Duration, mut ask: impl FnMut() -> Result<String, Failure>) -> Result<(), Failure> {
    let mut stdout = std::io::stdout();
    let redraws = stdout.is_terminal();
    let mut last = String::new();
    let mut print =
        |text: &str| stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Unwritable);
    loop {
        let answer = match ask() {
            Ok(text) => Ok(text),
            Err(failure) => failure.text().map(str::to_owned).ok_or(failure),
        };
        match answer {
            Ok(text) => {
                let before = match (redraws, last.is_empty()) {
                    (true, _) => REDRAW,
                    (false, true) => "",
                    (false, false) => "\n",
                };
                print(&format!("{before}{text}"))?;
                last = text;
            }
            Err(failure) if failure.may_pass() => {
                if redraws {
                    print(&format!("{REDRAW}{last}"))?;
                }
                eprintln!("photonctl: {failure}");
            }
            Err(failure) => return Err(failure),
        }
        std::thread::sleep(period);
    }
}
