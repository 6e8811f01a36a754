//! `photon_tables`: what a table has that RethinkDB's do not, `{id, db, name, change_log_bytes, compression}`. Two of them can be
//! changed. `compression`: pages written from then on are written so, those that are there stay as they are until they change or move.
//! `change_log_bytes`: how many bytes of changes each replica of each shard keeps for feeds that go on.

use photondb_cluster_state::limits::{CHANGE_LOG_BYTES_MAX, CHANGE_LOG_BYTES_MIN};
use photondb_cluster_state::{Command, Compression, Scope, Table, TableSettings};
use photondb_proto::TableId;
use photondb_query::catalog::Compression as Named;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};

use super::{Contents, Viewer, fields};
use crate::catalog;

/// The table.
pub(super) struct PhotonTables;

/// What can be changed of a table here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chosen {
    compression: Compression,
    change_log_bytes: u64,
}

impl Chosen {
    fn of(table: &Table) -> Chosen {
        Chosen { compression: table.compression, change_log_bytes: table.change_log_bytes }
    }

    /// From a row that somebody wants. Errors say what is wrong with it.
    fn wanted(row: &Object) -> std::result::Result<Chosen, String> {
        let got = |field: &str| row.get(field).map_or("nothing".to_owned(), |found| found.print());
        let compression = match row.get("compression") {
            Some(Datum::String(name)) => Named::named(&name),
            _ => None,
        };
        let compression = compression.map(catalog::stored_compression).ok_or_else(|| {
            format!("In `compression`: Expected \"lz4\", \"none\" or \"zstd\", got: {}", got("compression"))
        })?;
        let is_taken = |bytes: &f64| {
            bytes.fract() == 0.0 && (CHANGE_LOG_BYTES_MIN as f64..=CHANGE_LOG_BYTES_MAX as f64).contains(bytes)
        };
        let change_log_bytes = match row.get("change_log_bytes") {
            Some(Datum::Number(bytes)) => Some(bytes).filter(is_taken),
            _ => None,
        };
        let change_log_bytes = change_log_bytes.ok_or_else(|| {
            format!(
                "In `change_log_bytes`: Expected a whole number from {CHANGE_LOG_BYTES_MIN} (1 MiB) to \
                 {CHANGE_LOG_BYTES_MAX} (16 GiB), got: {}",
                got("change_log_bytes")
            )
        })?;
        Ok(Chosen { compression, change_log_bytes: change_log_bytes as u64 })
    }

    /// What differs from what was `read`: nobody's change of the other field since then is taken back with it.
    fn changes(self, read: Chosen) -> TableSettings {
        let Chosen { compression, change_log_bytes } = self;
        TableSettings {
            compression: (compression != read.compression).then_some(compression),
            change_log_bytes: (change_log_bytes != read.change_log_bytes).then_some(change_log_bytes),
            ..TableSettings::default()
        }
    }
}

/// Whether a table has of them what can be changed here.
fn has(table: &Table, settings: TableSettings) -> bool {
    settings.compression.is_none_or(|wanted| wanted == table.compression)
        && settings.change_log_bytes.is_none_or(|wanted| wanted == table.change_log_bytes)
}

fn row(viewer: &Viewer<'_>, table: &Table, chosen: Chosen) -> Datum {
    Datum::Object(Object::from([
        ("change_log_bytes", Datum::from(chosen.change_log_bytes)),
        ("compression", Datum::from(catalog::shown_compression(chosen.compression).name())),
        ("db", catalog::database(&viewer.state, table, viewer.format)),
        ("id", Datum::from(table.id.to_string())),
        ("name", Datum::from(table.name.as_str())),
    ]))
}

impl Contents for PhotonTables {
    fn is_agreed(&self) -> bool {
        true
    }

    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        Ok(viewer.state.tables().map(|table| row(viewer, table, Chosen::of(table))).collect())
    }

    fn write(&self, viewer: &Viewer<'_>, key: &Datum, old: &Datum, new: &Datum) -> Result<Datum> {
        if old.is_null() && new.is_null() {
            return Ok(Datum::Null);
        }
        if old.is_null() || new.is_null() {
            return Err(Error::op_failed("Tables are created and dropped with `table_create` and `table_drop`."));
        }
        let wrong = |what: &str| fields::wrong_format(viewer.table, what);
        let id: TableId = match key {
            Datum::String(text) => text.parse().map_err(|_| Error::internal("a table's key is no UUID"))?,
            _ => return Err(Error::internal("a table's key is no UUID")),
        };
        let Some(table) = viewer.state.table(id) else { return Ok(Datum::Null) };
        viewer.require_config(Scope::Table(table.database, id))?;
        let chosen = Chosen::wanted(new.as_object()?).map_err(|what| wrong(&what))?;
        let shown = row(viewer, table, chosen);
        if shown != *new {
            return Err(wrong("Only `change_log_bytes` and `compression` can be changed here."));
        }
        let read = Chosen::wanted(old.as_object()?).map_err(|what| wrong(&what))?;
        let settings = chosen.changes(read);
        if settings != TableSettings::default() {
            viewer.ground.propose(Command::SetTableConfig { id, settings })?;
            viewer.ground.settle(|state| state.table(id).is_none_or(|table| has(table, settings)))?;
        }
        Ok(shown)
    }
}

#[cfg(test)]
mod tests {
    use photondb_cluster_state::ClusterState;

    use super::*;
    use crate::catalog::samples::{TABLE, cluster, run, whole};

    #[test]
    fn who_changes_one_field_takes_nobody_elses_change_of_the_other_back() {
        let mut state = cluster(whole(&[1]));
        let stored = |state: &ClusterState| Table::clone(state.table(TABLE).expect("is there"));
        let seen = Chosen::of(&stored(&state));
        let bytes = 2 * CHANGE_LOG_BYTES_MIN;
        assert!(seen.compression == Compression::Lz4 && seen.change_log_bytes != bytes);
        let smaller = Chosen { compression: Compression::Zstd, ..seen }.changes(seen);
        let longer = Chosen { change_log_bytes: bytes, ..seen }.changes(seen);
        assert_eq!(seen.changes(seen), TableSettings::default());
        // Both have seen the table before either had changed it.
        for settings in [smaller, longer] {
            assert!(!has(&stored(&state), settings));
            run(&mut state, Command::SetTableConfig { id: TABLE, settings });
            assert!(has(&stored(&state), settings));
        }
        let both = Chosen { compression: Compression::Zstd, change_log_bytes: bytes };
        assert_eq!(Chosen::of(&stored(&state)), both);
        assert!(has(&stored(&state), smaller), "who waits for it does not wait for what the other one had before");
    }

    fn wanted(change_log_bytes: Datum) -> std::result::Result<Chosen, String> {
        Chosen::wanted(&Object::from([
            ("change_log_bytes", change_log_bytes),
            ("compression", Datum::from("zstd")),
            ("name", Datum::from("t")),
        ]))
    }

    #[test]
    fn as_much_may_be_kept_as_is_of_use_and_as_a_disk_may_have() {
        for bytes in [CHANGE_LOG_BYTES_MIN, 5_000_000, CHANGE_LOG_BYTES_MAX] {
            let chosen = Chosen { compression: Compression::Zstd, change_log_bytes: bytes };
            assert_eq!(wanted(Datum::from(bytes)), Ok(chosen));
        }
        let past = [CHANGE_LOG_BYTES_MIN - 1, CHANGE_LOG_BYTES_MAX + 1, 0].map(Datum::from);
        for refused in past.into_iter().chain([Datum::Number(1e7 + 0.5), Datum::Number(-1e7), Datum::from("64 MiB")]) {
            let error = wanted(refused.clone()).expect_err("is refused");
            let expected =
                "In `change_log_bytes`: Expected a whole number from 1048576 (1 MiB) to 17179869184 (16 GiB), got: ";
            assert_eq!(error, format!("{expected}{}", refused.print()));
        }
        assert!(Chosen::wanted(&Object::from([("compression", Datum::from("lz4"))])).is_err(), "nothing is no number");
    }
}
