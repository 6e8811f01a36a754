//! A plan: steps in the order in which rows go through them, as a document and as text.

use photondb_reql::BacktraceId;
use photondb_reql::datum::{Datum, Object, ObjectBuilder};

use crate::observed::Observed;

/// The steps of a query or of a part of it, in the order of the data.
#[derive(Default)]
pub(super) struct Outline(pub Vec<Step>);

/// One step.
pub(super) struct Step {
    /// The term, or `read`.
    pub name: String,
    /// Who does it.
    pub place: Place,
    /// Its arguments.
    pub detail: Option<String>,
    /// What it does, where its name does not say it.
    pub note: Option<String>,
    /// How a table is read.
    pub access: Option<Access>,
    /// Whether filters behind it look at documents where they lie.
    pub glances: bool,
    /// What it needs besides the rows that come to it.
    pub inputs: Vec<Input>,
}

/// Who does a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The shard that has the data.
    Shard,
    /// The node that the client is connected to.
    Coordinator,
}

/// A plan inside a step.
pub(super) struct Input {
    /// Done again for each row, not once.
    pub each_row: bool,
    pub outline: Outline,
}

/// How a table is read.
pub(super) struct Access {
    /// `database.table`.
    pub table: String,
    pub path: &'static str,
    /// The index; the primary key's name where it is that.
    pub index: String,
    /// A range or keys, as text.
    pub keys: Option<String>,
    pub order: Option<&'static str>,
    /// Exactly, as the trees count it; `None`: only reading tells.
    pub rows: Option<u64>,
    /// Why a filter behind it is no read of an index, when that was asked for.
    pub no_index: Option<String>,
    /// Where in the query the table is named.
    pub id: BacktraceId,
}

impl Step {
    pub fn new(name: impl Into<String>, place: Place) -> Step {
        Step { name: name.into(), place, detail: None, note: None, access: None, glances: false, inputs: Vec::new() }
    }
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Place::Shard => "shard",
            Place::Coordinator => "coordinator",
        }
    }
}

impl Outline {
    /// `[{step, at, ..}, ..]`; with what was counted where tables were read.
    pub fn to_datum(&self, observed: Option<&Observed>) -> Datum {
        Datum::from(self.0.iter().map(|step| step.to_datum(observed)).collect::<Vec<_>>())
    }

    /// One line for each step; what a step needs besides stands below it.
    pub fn to_text(&self, observed: Option<&Observed>) -> String {
        let mut text = String::new();
        self.write(0, observed, &mut text);
        text
    }

    fn write(&self, level: usize, observed: Option<&Observed>, text: &mut String) {
        for step in &self.0 {
            let indent = "  ".repeat(level);
            text.push_str(&format!("{indent}{} [{}]\n", step.line(observed), step.place.name()));
            for input in &step.inputs {
                let what = if input.each_row { "for each row:" } else { "with:" };
                text.push_str(&format!("{indent}  {what}\n"));
                input.outline.write(level + 2, observed, text);
            }
        }
    }
}

impl Step {
    fn line(&self, observed: Option<&Observed>) -> String {
        let mut line = self.name.clone();
        if let Some(access) = &self.access {
            line.push_str(&format!(" {}: {}", access.table, access.line(observed)));
        }
        if let Some(detail) = &self.detail {
            line.push_str(&format!("({detail})"));
        }
        if let Some(note) = &self.note {
            line.push_str(&format!(": {note}"));
        }
        line
    }

    fn to_datum(&self, observed: Option<&Observed>) -> Datum {
        let mut fields = ObjectBuilder::new();
        fields.insert("step", self.name.as_str());
        fields.insert("at", self.place.name());
        if let Some(detail) = &self.detail {
            fields.insert("arguments", detail.as_str());
        }
        if let Some(note) = &self.note {
            fields.insert("note", note.as_str());
        }
        if let Some(access) = &self.access {
            fields.insert("access", access.to_datum(observed));
        }
        if !self.inputs.is_empty() {
            let input = |input: &Input| {
                let plan = input.outline.to_datum(observed);
                Datum::Object(Object::from([("for_each_row", Datum::Bool(input.each_row)), ("plan", plan)]))
            };
            fields.insert("inputs", Datum::from(self.inputs.iter().map(input).collect::<Vec<_>>()));
        }
        Datum::Object(fields.build())
    }
}

impl Access {
    fn line(&self, observed: Option<&Observed>) -> String {
        let mut line = format!("{} by `{}`", self.path, self.index);
        if let Some(keys) = &self.keys {
            line.push_str(&format!(" {keys}"));
        }
        if let Some(order) = self.order {
            line.push_str(&format!(", {order}"));
        }
        if let Some(rows) = self.rows {
            line.push_str(&format!(", {rows} {}", if rows == 1 { "row" } else { "rows" }));
        }
        if let Some(reason) = &self.no_index {
            line.push_str(&format!(", no index used: {reason}"));
        }
        if let Some(tally) = observed.and_then(|observed| observed.at(self.id)) {
            let took = tally.took.get().as_secs_f64() * 1e3;
            line.push_str(&format!("; read {} rows in {took:.3} ms", tally.rows.get()));
            if tally.opened.get() > 1 {
                line.push_str(&format!(", begun {} times", tally.opened.get()));
            }
        }
        line
    }

    fn to_datum(&self, observed: Option<&Observed>) -> Datum {
        let mut fields = ObjectBuilder::new();
        fields.insert("table", self.table.as_str());
        fields.insert("path", self.path);
        fields.insert("index", self.index.as_str());
        if let Some(keys) = &self.keys {
            fields.insert("keys", keys.as_str());
        }
        if let Some(order) = self.order {
            fields.insert("order", order);
        }
        if let Some(rows) = self.rows {
            fields.insert("rows", Datum::from(rows));
        }
        if let Some(reason) = &self.no_index {
            fields.insert("no_index", reason.as_str());
        }
        if let Some(tally) = observed.map(|observed| observed.at(self.id)) {
            let (opened, rows, took) =
                tally.map_or_else(Default::default, |tally| (tally.opened.get(), tally.rows.get(), tally.took.get()));
            let actual = Object::from([
                ("opened", Datum::from(opened)),
                ("reading(ms)", Datum::Number(took.as_secs_f64() * 1e3)),
                ("rows_examined", Datum::from(rows)),
            ]);
            fields.insert("actual", Datum::Object(actual));
        }
        Datum::Object(fields.build())
    }
}
