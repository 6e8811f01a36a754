//! The options that all writes share.

use photondb_reql::datum::Datum;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::Args;

use crate::catalog::Permission;
use crate::selection::TableRef;
use crate::table::WriteOptions;
use crate::write::stats::ReturnChanges;

/// How a write is carried out and what it answers.
pub(crate) struct Options {
    pub write: WriteOptions,
    pub return_changes: ReturnChanges,
}

impl Options {
    /// Reads and checks them.
    pub fn read(args: &Args<'_>) -> Result<Options> {
        Options::besides(return_changes(args)?, args)
    }

    /// The same where `return_changes` was read before: of several faults the one that is read first is answered.
    pub fn besides(return_changes: ReturnChanges, args: &Args<'_>) -> Result<Options> {
        let soft = soft_durability(args)?;
        let ignore_write_hook = args.optarg_bool("ignore_write_hook")?.unwrap_or(false);
        Ok(Options { write: WriteOptions { soft, ignore_write_hook, ..WriteOptions::default() }, return_changes })
    }

    /// Refuses a table to whom these options let do more with it than write: only who may set the hook may pass it by.
    pub fn permit(&self, table: &TableRef) -> Result<()> {
        if self.write.ignore_write_hook {
            table.surroundings.require_on(Permission::Config, table.info())?;
        }
        Ok(())
    }
}

/// The option `return_changes`.
pub(crate) fn return_changes(args: &Args<'_>) -> Result<ReturnChanges> {
    if args.optarg_node("return_vals").is_some() {
        return Err(Error::logic("Error: encountered obsolete optarg `return_vals`.  Use `return_changes` instead."));
    }
    match args.optarg_datum("return_changes")? {
        Some(Datum::String(text)) if text == "always" => Ok(ReturnChanges::Always),
        Some(Datum::String(text)) => Err(Error::logic(format!(
            "Invalid return_changes value `{text}` (options are `true`, `false`, and `'always'`.)"
        ))),
        Some(other) if other.is_truthy() => Ok(ReturnChanges::Yes),
        None | Some(_) => Ok(ReturnChanges::No),
    }
}

/// The option `durability`.
pub(crate) fn soft_durability(args: &Args<'_>) -> Result<bool> {
    let soft = args.optarg_as("durability", |datum| {
        let text = datum.as_string()?;
        match text.as_str() {
            "soft" => Ok(true),
            "hard" => Ok(false),
            other => Err(Error::logic(format!(
                "Durability option `{other}` unrecognized (options are \"hard\" and \"soft\")."
            ))),
        }
    })?;
    Ok(soft.unwrap_or(false))
}
