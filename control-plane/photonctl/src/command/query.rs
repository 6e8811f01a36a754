//! `photonctl query`: queries that run, and one that is to.

use std::io::{Read, Write};

use clap::Subcommand;
use photondb_reql::term::TermKind;
use serde_json::{Map, Value, json};

use crate::client::{Answers, Client, Results, Waited};
use crate::failure::Failure;
use crate::javascript;
use crate::limits::QUERY_TEXT_CHARS_MAX;
use crate::output::{Columns, Format, cell, json, printable};
use crate::term::{array, call, database, system_table};

#[derive(Debug, Subcommand)]
pub enum QueryVerb {
    /// The queries that run on all nodes, feeds and open results among them, this one too.
    List,
    /// Ends a query. What it has written stays.
    Kill {
        /// Its id, as `query list` shows it.
        id: String,
    },
    /// Runs one query and prints each result as it comes: with `-o json` in a line of its own.
    Run {
        /// ReQL in JavaScript, as in `r.table("t").count()`; without it, or as `-`, it is read from standard input.
        query: Option<String>,
        /// The database of tables that are named without one; `test` unless told otherwise.
        #[arg(long, value_name = "DATABASE")]
        db: Option<String>,
    },
}

pub fn run(verb: &QueryVerb, client: &Client, format: Format) -> Result<String, Failure> {
    match verb {
        QueryVerb::List => {
            let of_queries = json!({ "type": "query" });
            let jobs = client.value(&call(TermKind::Filter, [system_table("jobs"), of_queries]))?;
            Ok(format.write(&jobs, || list(&jobs)))
        }
        QueryVerb::Kill { id } => {
            let job = call(TermKind::Get, [system_table("jobs"), array(vec!["query".into(), id.as_str().into()])]);
            let (answer, killed) = client.write(&call(TermKind::Delete, [job]))?;
            if killed == 0 {
                return Err(client.absent(format!("there is no query `{id}` (photonctl query list)")));
            }
            Ok(format.write(&answer, || format!("Query {id} has been ended\n")))
        }
        QueryVerb::Run { query, db } => {
            let text = match query.as_deref() {
                None | Some("-") => from_stdin()?,
                Some(text) => text.to_owned(),
            };
            let term = javascript::term(&text)?;
            let mut answers = client.query(&term, &options(db.as_deref()), client.query_limit())?;
            print(&mut answers, format, false)?;
            Ok(String::new())
        }
    }
}

/// What goes with a query.
pub fn options(db: Option<&str>) -> Map<String, Value> {
    db.map(|db| ("db".to_owned(), database(db))).into_iter().collect()
}

/// Prints results as they come. Gives how many rows a sequence had; `None`: it was one value.
pub fn print(answers: &mut Answers<'_>, format: Format, interruptible: bool) -> Result<Option<u64>, Failure> {
    let mut stdout = std::io::stdout().lock();
    let mut put = |value: &Value| {
        let text = match format {
            Format::Table => json(value),
            Format::Json => format!("{value}\n"),
            Format::Yaml => "---\n".to_owned() + &format.write(value, String::new),
        };
        stdout.write_all(text.as_bytes()).map_err(Failure::Unwritable)
    };
    let mut rows = None;
    loop {
        match answers.wait(interruptible)? {
            Waited::Answer(None) | Waited::Interrupted => return Ok(rows),
            Waited::Answer(Some(results)) => match results {
                Results::Value(value) => put(&value)?,
                Results::Rows(some) => {
                    if interruptible && rows.is_none() && answers.is_feed() {
                        eprintln!("Changes are shown as they come; Ctrl-C ends");
                    }
                    some.iter().try_for_each(&mut put)?;
                    rows = Some(rows.unwrap_or(0) + some.len() as u64);
                }
            },
        }
    }
}

pub fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let unreadable = |source| Failure::Unreadable { what: "standard input".to_owned(), source };
    std::io::stdin().lock().read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

fn list(jobs: &Value) -> String {
    let mut columns = Columns::new(["ID", "SERVER", "USER", "CLIENT", "SECONDS", "QUERY"]);
    for job in jobs.as_array().into_iter().flatten() {
        let info = &job["info"];
        let lasts = job["duration_sec"].as_f64().map(|seconds| format!("{seconds:.1}")).unwrap_or_default();
        let client = format!("{}:{}", cell(&info["client_address"]), cell(&info["client_port"]));
        columns.row([
            cell(&job["id"][1]),
            cell(&job["servers"][0]),
            cell(&info["user"]),
            client,
            lasts,
            short(info["query"].as_str().unwrap_or_default()),
        ]);
    }
    columns.finish()
}

/// A text in one line of bounded length.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUERY_TEXT_CHARS_MAX) {
        Some((end, _)) => printable(&line[..end]) + "...",
        None => printable(&line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_query() {
        let job = |text: &str| {
            json!({"id": ["query", "7"], "servers": ["n1"], "duration_sec": 1.26, "info": {
                "client_address": "10.0.0.1", "client_port": 4000, "user": "ann", "query": text,
            }})
        };
        let expected = "\
ID  SERVER  USER  CLIENT         SECONDS  QUERY
7   n1      ann   10.0.0.1:4000  1.3      r.table(\"t\") .count()
";
        assert_eq!(list(&json!([job("r.table(\"t\")\n    .count()")])), expected);
        let long = list(&json!([job(&"x".repeat(1000))]));
        assert!(long.trim_end().ends_with("x...") && long.len() < 300, "{long}");
    }

    #[test]
    fn a_database_goes_with_a_query() {
        assert_eq!(Value::from(options(Some("d"))), json!({"db": [14, ["d"]]}));
        assert!(options(None).is_empty());
    }
}
