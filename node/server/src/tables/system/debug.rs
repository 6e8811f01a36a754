//! `_debug_scratch`: documents of any form, in memory. Tests of clients use it.

use std::collections::BTreeMap;
use std::sync::Arc;

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;

use super::{Contents, Viewer};

/// The table.
pub(super) struct Scratch;

impl Contents for Scratch {
    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        Ok(viewer.ground.facts().scratch.borrow().values().cloned().collect())
    }

    fn write(&self, viewer: &Viewer<'_>, key: &Datum, _old: &Datum, new: &Datum) -> Result<Datum> {
        viewer.ground.facts().scratch.send_modify(|documents| {
            let mut changed: BTreeMap<Datum, Datum> = (**documents).clone();
            if new.is_null() {
                changed.remove(key);
            } else {
                changed.insert(key.clone(), new.detach());
            }
            *documents = Arc::new(changed);
        });
        Ok(new.clone())
    }
}
