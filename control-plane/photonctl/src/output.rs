//! What answers look like: aligned columns for people, JSON or YAML for programs.

use clap::ValueEnum;
use serde_json::Value;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns.
    Table,
    /// One JSON value.
    Json,
    /// The same as YAML.
    Yaml,
}

impl Format {
    /// What writes answers for programs; `None`: they are for people.
    pub fn writer(self) -> Option<fn(&Value) -> String> {
        match self {
            Format::Table => None,
            Format::Json => Some(json),
            Format::Yaml => Some(yaml),
        }
    }

    /// The answer for programs, or the text for people.
    pub fn write(self, value: &Value, text: impl FnOnce() -> String) -> String {
        self.writer().map_or_else(text, |write| write(value))
    }
}

/// A JSON value on several lines.
pub fn json(value: &Value) -> String {
    format!("{value:#}\n")
}

fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).expect("all that JSON can say YAML can say")
}

/// The fields of a document, a line each. What is no single value is written as JSON.
pub fn fields(document: &Value) -> String {
    match document {
        Value::Object(fields) => {
            let fields: Vec<(&str, String)> = fields.iter().map(|(name, value)| (name.as_str(), cell(value))).collect();
            pairs(&fields)
        }
        other => cell(other) + "\n",
    }
}

/// A value in one line.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        other => other.to_string(),
    }
}

/// What somebody else wrote, safe for a terminal and in one line.
pub fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

/// Rows in aligned columns below their headings.
pub struct Columns<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Columns<N> {
    /// No row yet.
    pub fn new(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_owned)] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// The text, each row a line. An empty cell is written as a dash, so that every row has as many words.
    pub fn finish(self) -> String {
        let dashed = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
        let rows: Vec<[String; N]> = self.rows.into_iter().map(|row| row.map(dashed)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        let mut text = String::new();
        for row in rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Names and values, a line each, values aligned.
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

/// A number of bytes as people read it.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut unit = 0;
    let mut tenths = u128::from(count) * 10 / 1024;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A time as people read it: the two largest units.
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut columns = Columns::new(["NAME", "SHARDS", "LAST"]);
        columns.row(["t".into(), "1".into(), "x".into()]);
        columns.row(["a_long_name".into(), "".into(), "".into()]);
        assert_eq!(columns.finish(), "NAME         SHARDS  LAST\nt            1       x\na_long_name  -       -\n");
    }

    #[test]
    fn programs_get_json_or_yaml() {
        let value = serde_json::json!({"name": "a: b", "list": [1, null, {"x": "1"}], "none": [], "yes": "yes"});
        assert_eq!(Format::Table.write(&value, || "text".to_owned()), "text");
        let text = || panic!("no text is asked for");
        assert_eq!(serde_json::from_str::<Value>(&Format::Json.write(&value, text)).unwrap(), value);
        let yaml = Format::Yaml.write(&value, text);
        for line in ["name: \"a: b\"", "- 1", "- null", "- x: \"1\"", "none: []", "\"yes\": \"yes\""] {
            assert!(yaml.lines().any(|found| found == line), "{line} is not in\n{yaml}");
        }
    }

    #[test]
    fn documents_are_lines_and_cannot_move_the_cursor() {
        let value = serde_json::json!({"id": "a\u{1b}[2J", "list": [1, 2], "none": null});
        assert_eq!(fields(&value), "id    a?[2J\nlist  [1,2]\nnone  \n");
        assert_eq!(fields(&Value::from(3)), "3\n");
    }

    #[test]
    fn pairs_are_aligned() {
        assert_eq!(pairs(&[("Id", "7".into()), ("Name", "n".into())]), "Id    7\nName  n\n");
    }

    #[test]
    fn sizes_are_rounded_down_to_a_tenth() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            ((1 << 20) - 1, "1023.9 KiB"),
            (5 << 40, "5.0 TiB"),
            (u64::MAX, "16777215.9 TiB"),
        ];
        for (count, expected) in cases {
            assert_eq!(bytes(count), expected);
        }
    }

    #[test]
    fn times_have_their_two_largest_units() {
        let cases =
            [(999, "0 s"), (59_000, "59 s"), (61_000, "1 min 1 s"), (3_660_000, "1 h 1 min"), (90_000_000, "1 d 1 h")];
        for (milliseconds, expected) in cases {
            assert_eq!(duration(milliseconds), expected);
        }
    }
}
