//! `photonctl index`: secondary indexes.

use std::time::Duration;

use clap::Subcommand;
use photondb_reql::term::TermKind;
use serde_json::{Map, Value};

use super::table::value_in_time;
use crate::client::Client;
use crate::failure::Failure;
use crate::javascript;
use crate::limits::TIMEOUT_SECS_MAX;
use crate::output::{Columns, Format, cell};
use crate::term::{TableName, array, call, call_with, function};

#[derive(Debug, Subcommand)]
pub enum IndexVerb {
    /// The indexes of a table.
    List {
        /// Which table.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
    },
    /// Makes an index: of the field that is called like it, of other fields, or of what a function gives.
    Create {
        /// Of which table.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
        /// Its name.
        index: String,
        /// The field it is of; given several times, the index is of all of them together.
        #[arg(long = "field", value_name = "FIELD")]
        fields: Vec<String>,
        /// What it is of, as a function of the document in JavaScript: `x => x("a").downcase()`.
        #[arg(long, value_name = "FUNCTION", conflicts_with = "fields")]
        function: Option<String>,
        /// An array gives an entry for each of its elements.
        #[arg(long)]
        multi: bool,
        /// Of geometries.
        #[arg(long)]
        geo: bool,
    },
    /// Drops an index.
    Drop {
        /// Of which table.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
        /// Its name.
        index: String,
    },
    /// How far each index of a table is.
    Status {
        /// Of which table.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
        /// Only these.
        indexes: Vec<String>,
    },
    /// Waits until indexes of a table are ready.
    Wait {
        /// Of which table.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
        /// Only these.
        indexes: Vec<String>,
        /// How long to wait, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        wait: u64,
    },
    /// Gives an index another name.
    Rename {
        /// Of which table.
        #[arg(value_name = "[DATABASE.]TABLE")]
        table: TableName,
        /// Its name.
        index: String,
        /// The new one.
        new_name: String,
        /// An index that is called so already gives way.
        #[arg(long)]
        overwrite: bool,
    },
}

pub fn run(verb: &IndexVerb, client: &Client, format: Format) -> Result<String, Failure> {
    let done = |term: Value, said: String| Ok(format.write(&client.value(&term)?, || said));
    match verb {
        IndexVerb::List { table } => {
            let names = client.value(&call(TermKind::IndexList, [table.term()]))?;
            Ok(format.write(&names, || {
                let mut columns = Columns::new(["INDEX"]);
                names.as_array().into_iter().flatten().for_each(|name| columns.row([cell(name)]));
                columns.finish()
            }))
        }
        IndexVerb::Create { table, index, .. } => done(
            create(verb)?,
            format!("Index `{index}` of table `{table}` has been made; `index wait` waits until it is ready\n"),
        ),
        IndexVerb::Drop { table, index } => done(
            call(TermKind::IndexDrop, [table.term(), index.as_str().into()]),
            format!("Index `{index}` of table `{table}` has been dropped\n"),
        ),
        IndexVerb::Status { table, indexes } => {
            let statuses = client.value(&of(TermKind::IndexStatus, table, indexes))?;
            Ok(format.write(&statuses, || list(&statuses)))
        }
        IndexVerb::Wait { table, indexes, wait } => {
            let what = || format!("not every index of table `{table}` is ready (photonctl index status)");
            let limit = Duration::from_secs((*wait).clamp(1, TIMEOUT_SECS_MAX));
            let statuses = value_in_time(client, &of(TermKind::IndexWait, table, indexes), limit, what)?;
            Ok(format.write(&statuses, || list(&statuses)))
        }
        IndexVerb::Rename { table, index, new_name, overwrite } => {
            let options = Map::from_iter([("overwrite".to_owned(), Value::Bool(*overwrite))]);
            let arguments = vec![table.term(), index.as_str().into(), new_name.as_str().into()];
            let said = format!("Index `{index}` of table `{table}` is called `{new_name}` now\n");
            done(call_with(TermKind::IndexRename, arguments, options), said)
        }
    }
}

fn of(kind: TermKind, table: &TableName, indexes: &[String]) -> Value {
    let names = indexes.iter().map(|name| Value::from(name.as_str()));
    call_with(kind, std::iter::once(table.term()).chain(names).collect(), Map::new())
}

fn create(verb: &IndexVerb) -> Result<Value, Failure> {
    let IndexVerb::Create { table, index, fields, function: written, multi, geo } = verb else {
        unreachable!("called for `create` alone")
    };
    let mut arguments = vec![table.term(), index.as_str().into()];
    let field = |name: &String| call(TermKind::Bracket, [call(TermKind::Var, [1.into()]), name.as_str().into()]);
    match (written, fields.as_slice()) {
        (Some(text), _) => arguments.push(javascript::term(text)?),
        (None, []) => {}
        (None, [one]) => arguments.push(function(&[1], field(one))),
        (None, several) => arguments.push(function(&[1], array(several.iter().map(field).collect()))),
    }
    let chosen = [("multi", *multi), ("geo", *geo)].into_iter().filter(|(_, chosen)| *chosen);
    let options = chosen.map(|(name, _)| (name.to_owned(), Value::Bool(true))).collect();
    Ok(call_with(TermKind::IndexCreate, arguments, options))
}

fn list(statuses: &Value) -> String {
    let mut columns = Columns::new(["INDEX", "READY", "PROGRESS", "MULTI", "GEO", "OUTDATED"]);
    for status in statuses.as_array().into_iter().flatten() {
        let is = |field: &str| if status[field] == Value::Bool(true) { "yes" } else { "no" }.to_owned();
        // Only one that is being built says how far it is.
        let progress = status["progress"].as_f64().map(|part| format!("{:.0} %", part * 100.0)).unwrap_or_default();
        columns.row([cell(&status["index"]), is("ready"), progress, is("multi"), is("geo"), is("outdated")]);
    }
    columns.finish()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        verb: IndexVerb,
    }

    fn created(line: &[&str]) -> Value {
        let line = [&["index", "create", "d.t"], line].concat();
        create(&Line::try_parse_from(line).unwrap().verb).unwrap()
    }

    #[test]
    fn an_index_is_of_a_field_of_several_or_of_a_function() {
        let table = json!([15, [[14, ["d"]], "t"]]);
        let field = |name: &str| json!([170, [[10, [1]], name]]);
        assert_eq!(created(&["a"]), json!([75, [table, "a"]]));
        assert_eq!(created(&["a", "--multi"]), json!([75, [table, "a"], {"multi": true}]));
        assert_eq!(
            created(&["i", "--field", "a", "--geo"]),
            json!([75, [table, "i", [69, [[2, [1]], field("a")]]], {"geo": true}])
        );
        assert_eq!(
            created(&["i", "--field", "a", "--field", "b"]),
            json!([75, [table, "i", [69, [[2, [1]], [2, [field("a"), field("b")]]]]]])
        );
        assert_eq!(
            created(&["i", "--function", "x => x('a')"]),
            json!([75, [table, "i", [69, [[2, [1]], field("a")]]]])
        );
    }

    #[test]
    fn a_line_for_each_index() {
        let statuses = json!([
            {"index": "a", "ready": true, "multi": false, "geo": false, "outdated": false},
            {"index": "b", "ready": false, "progress": 0.254, "multi": true, "geo": false, "outdated": true},
        ]);
        let expected = "\
INDEX  READY  PROGRESS  MULTI  GEO  OUTDATED
a      yes    -         no     no   no
b      no     25 %      yes    no   yes
";
        assert_eq!(list(&statuses), expected);
    }
}
