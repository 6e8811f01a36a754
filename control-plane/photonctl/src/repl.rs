//! `photonctl repl`: a query at a time, with an editor of lines where a person writes, and without where a program does.

mod editor;

use std::io::IsTerminal;

use crate::client::Client;
use crate::command::query::{from_stdin, options, print};
use crate::failure::Failure;
use crate::javascript;
use crate::output::Format;
use editor::{Editor, Line};

const HELP: &str = "\
Write a query in JavaScript, as in  r.table(\"heroes\").filter(h => h(\"age\").gt(30)).limit(5)
Enter runs it once all its brackets are closed. Tab completes names. Ctrl-C ends a query that runs, a feed for example.
.help  shows this
.exit  ends, as Ctrl-D does
";

/// Runs queries until the end of the input. Where a person writes, a query that fails is not the end.
pub fn run(client: &Client, db: Option<&str>, format: Format) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return run_script(&from_stdin()?, client, db, format);
    }
    let mut editor = Editor::open()?;
    eprintln!("photonctl {}, at {}; .help says more", env!("CARGO_PKG_VERSION"), client.address());
    loop {
        match editor.read()? {
            Line::End => return Ok(String::new()),
            Line::Query(text) => match text.trim() {
                "" => {}
                ".exit" | "exit" | "quit" => return Ok(String::new()),
                ".help" | "help" => eprint!("{HELP}"),
                query => match run_query(query, client, db, format, true) {
                    Ok(Some(rows)) => eprintln!("{rows} {}", if rows == 1 { "row" } else { "rows" }),
                    Ok(None) => {}
                    Err(failure @ Failure::Unwritable(_)) => return Err(failure),
                    Err(failure) => eprintln!("{failure}"),
                },
            },
        }
    }
}

/// Queries that are not written by hand: each ends where a line ends and it is whole. The first that fails ends all.
fn run_script(text: &str, client: &Client, db: Option<&str>, format: Format) -> Result<String, Failure> {
    for query in queries(text) {
        run_query(&query, client, db, format, false)?;
    }
    Ok(String::new())
}

fn run_query(
    text: &str,
    client: &Client,
    db: Option<&str>,
    format: Format,
    interruptible: bool,
) -> Result<Option<u64>, Failure> {
    let term = javascript::term(text)?;
    let mut answers = client.query(&term, &options(db), client.query_limit())?;
    print(&mut answers, format, interruptible)
}

/// Cuts a text into queries.
fn queries(text: &str) -> Vec<String> {
    let mut queries = Vec::new();
    let mut begun = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if begun.trim().is_empty() {
            begun.clear();
        }
        begun.push_str(line);
        begun.push('\n');
        // A method may stand in a line of its own.
        let goes_on = lines.peek().is_some_and(|next| next.trim_start().starts_with('.'));
        let is_unfinished = || javascript::term(&begun).is_err_and(|error| error.is_unfinished());
        if !goes_on && !is_unfinished() {
            queries.push(std::mem::take(&mut begun));
        }
    }
    // Of what is left it is said what is missing.
    queries.push(begun);
    queries.retain(|query| !javascript::is_blank(query));
    queries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_cut_where_queries_are_whole() {
        let script = "\
// First of all
r.dbList()

r.table('t')
  .filter({
    a: 1,
  })
  .count();
r.now()
";
        let found: Vec<String> = queries(script).iter().map(|query| query.split_whitespace().collect()).collect();
        assert_eq!(found, ["//Firstofallr.dbList()", "r.table('t').filter({a:1,}).count();", "r.now()"]);
    }

    #[test]
    fn what_is_wrong_is_a_query_too() {
        assert_eq!(queries("nonsense\nr.now()").len(), 2);
        assert_eq!(queries("r.table(").len(), 1);
        assert!(queries("\n// nothing\n\n").is_empty());
        assert_eq!(queries("r.now()\n/* That is\nall. */\n").len(), 1);
    }
}
