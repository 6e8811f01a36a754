//! Where a person writes: history, completion of names, and lines that go on while brackets are open.

use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Helper};

use crate::failure::Failure;
use crate::javascript;
use crate::limits::HISTORY_QUERIES_MAX;

const PROMPT: &str = "r> ";

/// What was written.
pub enum Line {
    Query(String),
    /// Nothing more comes.
    End,
}

pub struct Editor {
    lines: rustyline::Editor<Words, DefaultHistory>,
    history: Option<PathBuf>,
}

impl Editor {
    /// With what was written the last time.
    pub fn open() -> Result<Editor, Failure> {
        let config = Config::builder()
            .max_history_size(HISTORY_QUERIES_MAX)
            .map_err(failed)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut lines = rustyline::Editor::with_config(config).map_err(failed)?;
        lines.set_helper(Some(Words));
        let history = history_file();
        if let Some(file) = &history
            && file.exists()
            && let Err(error) = lines.load_history(file)
        {
            eprintln!("photonctl: the history in {} cannot be read: {error}", file.display());
        }
        Ok(Editor { lines, history })
    }

    /// The next query. A line that was given up with Ctrl-C is empty.
    pub fn read(&mut self) -> Result<Line, Failure> {
        match self.lines.readline(PROMPT) {
            Ok(text) => {
                self.remember(&text);
                Ok(Line::Query(text))
            }
            Err(ReadlineError::Interrupted) => Ok(Line::Query(String::new())),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(error) => Err(failed(error)),
        }
    }

    /// Readable for this user alone: a query may hold a password. A line that begins with a space is forgotten.
    fn remember(&mut self, text: &str) {
        let is_new = !text.trim().is_empty() && self.lines.add_history_entry(text).unwrap_or(false);
        let Some(file) = self.history.clone().filter(|_| is_new) else { return };
        let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        let written = folder.map_err(ReadlineError::from).and_then(|()| self.lines.append_history(&file));
        if let Err(error) = written {
            eprintln!("photonctl: the history in {} cannot be written: {error}", file.display());
            // Said once.
            self.history = None;
        }
    }
}

fn failed(error: ReadlineError) -> Failure {
    Failure::Unreadable { what: "the terminal".to_owned(), source: std::io::Error::other(error) }
}

/// Where applications keep what they know of their user, unless another file is named; an empty name: nowhere.
fn history_file() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    if let Some(file) = variable("PHOTONCTL_HISTORY") {
        return Some(file).filter(|file| !file.as_os_str().is_empty());
    }
    let state = variable("XDG_STATE_HOME").filter(|folder| folder.is_absolute());
    let state = state.or_else(|| Some(variable("HOME")?.join(".local/state")))?;
    Some(state.join("photonctl/history"))
}

/// The names of the language.
struct Words;

impl Helper for Words {}
impl Highlighter for Words {}

impl Hinter for Words {
    type Hint = String;
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(&line[..position]))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        let is_unfinished = !text.trim().is_empty() && javascript::term(text).is_err_and(|error| error.is_unfinished());
        Ok(if is_unfinished { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

/// Where the word at the end of a text begins, and what it may become: a name behind a dot.
fn complete(text: &str) -> (usize, Vec<String>) {
    let start = text
        .rfind(|letter: char| !letter.is_alphanumeric())
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    let (before, word) = text.split_at(start);
    if !before.ends_with('.') {
        return (text.len(), Vec::new());
    }
    let mut names: Vec<String> = javascript::names().filter(|name| name.starts_with(word)).map(str::to_owned).collect();
    names.sort_unstable();
    (start, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_behind_a_dot_are_completed() {
        assert_eq!(complete("r.tableC"), (2, vec!["tableCreate".to_owned()]));
        assert_eq!(complete("r.table('t').getN").1, ["getNearest"]);
        assert_eq!(complete("r.table('t').").0, 13);
        assert!(complete("r.").1.len() > 150);
        for text in ["", "r", "r.table('cou", "r.table('t').filter({cou"] {
            assert!(complete(text).1.is_empty(), "{text}");
        }
    }

    #[test]
    fn letters_of_several_bytes_are_words_too() {
        assert_eq!(complete("r('ä→co").1, Vec::<String>::new());
    }
}
