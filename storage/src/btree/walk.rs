//! Names everything a tree takes: for dropping it, and for taking a dropped set's slots back.

use crate::btree::node::{LargeValue, Value};
use crate::btree::source::NodeSource;
use crate::error::Result;
use crate::page::format::{PageRef, Target};

/// Collects every node and large value below `page`, itself included, but for the parts that begin where `is_foreign` says.
/// Leaves on disk are read only when a reference says that large values lie there; `refs_of_value` names all slots of one.
pub(crate) fn collect_refs<S: NodeSource>(
    source: &S,
    page: PageRef,
    refs_of_value: &impl Fn(&S, LargeValue) -> Result<Vec<PageRef>>,
    is_foreign: &impl Fn(PageRef) -> bool,
    found: &mut Vec<PageRef>,
) -> Result<()> {
    if is_foreign(page) {
        return Ok(());
    }
    let node = source.node(page)?;
    found.push(page);
    if node.is_leaf() {
        for index in 0..node.len() {
            if let Value::Large(large) = node.value(index) {
                found.extend(refs_of_value(source, large)?);
            }
        }
        return Ok(());
    }
    for index in 0..node.len() {
        let child = node.child(index).page;
        let plain_leaf = node.level() == 1 && matches!(child.target(), Target::Page(_)) && !child.has_large_values();
        if plain_leaf && !is_foreign(child) {
            found.push(child);
        } else {
            collect_refs(source, child, refs_of_value, is_foreign, found)?;
        }
    }
    Ok(())
}
