//! Names everything a tree takes: for dropping it, and for taking a dropped set's slots back.

use crate::btree::node::{LargeValue, Value};
use crate::btree::source::NodeSource;
use crate::error::Result;
use crate::page::format::{PageRef, Target};

/// What becomes of a walk that comes to a damaged page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtDamage {
    /// It ends with the error.
    Stop,
    /// It goes on beside it, and does not find what lies below.
    GoOn,
}

/// Collects every node and large value below `page`, itself included, but for the parts that begin where `is_foreign` says.
/// Leaves on disk are read only when a reference says that large values lie there; `refs_of_value` names all slots of one.
pub(crate) fn collect_refs<S: NodeSource>(
    source: &S,
    page: PageRef,
    refs_of_value: &impl Fn(&S, LargeValue) -> Result<Vec<PageRef>>,
    is_foreign: &impl Fn(PageRef) -> bool,
    at_damage: AtDamage,
    found: &mut Vec<PageRef>,
) -> Result<()> {
    if is_foreign(page) {
        return Ok(());
    }
    found.push(page);
    let node = match source.node(page) {
        Err(error) if error.is_damage() && at_damage == AtDamage::GoOn => {
            crate::probe!("what lies below a damaged page that is given up is not found again");
            return Ok(());
        }
        node => node?,
    };
    if node.is_leaf() {
        for index in 0..node.len() {
            if let Value::Large(large) = node.value(index) {
                match refs_of_value(source, large) {
                    Err(error) if error.is_damage() && at_damage == AtDamage::GoOn => {}
                    refs => found.extend(refs?),
                }
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
            collect_refs(source, child, refs_of_value, is_foreign, at_damage, found)?;
        }
    }
    Ok(())
}
