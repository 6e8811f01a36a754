//! F2: the free set names exactly the slots that a walk found, and the headers of their extents agree.

use crate::error::StorageError;
use crate::page::PageId;
use crate::page::store::{PAGE_FILE, PageStore};
use crate::slab::FreeSet;
use crate::slab::format::{
    EXTENT_BYTES, EXTENT_HEADER_USED_BYTES, check_extent_header, extent_header_generation, extent_offset,
};
use crate::superblock::Superblock;

use super::finding::{Concerns, Finding, Findings, Remedy, Zone};
use super::slots::Slots;

/// Compares the books with what was found. `complete`: nothing kept the walk from seeing every slot.
pub(super) fn compare(
    free_set: &FreeSet,
    found: &Slots,
    superblock: &Superblock,
    complete: bool,
    findings: &mut Findings,
) {
    let mut add = |page: PageId, detail: String, remedy| {
        let problem = StorageError::Inconsistent { detail };
        let mut finding = Finding::new(Zone::FreeSet, Concerns::NoData, problem, remedy).on(page);
        finding.generation = Some(superblock.generation);
        findings.add(finding);
    };
    let used = used_slots(free_set, superblock.extents);
    for page in found.iter().filter(|page| !used.has(*page)) {
        add(page, format!("page {page:?} is in use, but free in the free set (F2)"), Remedy::RefillOrRestore);
    }
    // After damage the pages below it were not seen; that they look unused says nothing more.
    for page in used.iter().filter(|page| complete && !found.has(*page)) {
        add(page, format!("page {page:?} is used in the free set, but nothing refers to it (F2)"), Remedy::Compact);
    }
}

/// The slots in use as the books have it.
pub(super) fn used_slots(free_set: &FreeSet, extents: u32) -> Slots {
    let mut used = Slots::new(extents);
    for (number, extent) in (0u32..).zip(free_set.extents()) {
        let Some(class) = extent.class else { continue };
        for slot in extent.used.iter() {
            // Books that were read name existing slots, each once.
            let _ = used.insert(PageId::new(class, number, slot));
        }
    }
    used
}

/// Reads the header of each extent with used slots.
pub(super) fn check_extent_headers(
    store: &PageStore,
    free_set: &FreeSet,
    superblock: &Superblock,
    findings: &mut Findings,
) {
    for (number, extent) in (0u32..).zip(free_set.extents()) {
        let Some(class) = extent.class.filter(|_| !extent.used.is_empty()) else { continue };
        let mut header = [0; EXTENT_HEADER_USED_BYTES];
        let read = store.file().read_exact_at(&mut header, extent_offset(number));
        let checked = read
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    let detail = format!("extent {number} has no header: the page file ends before it");
                    StorageError::Inconsistent { detail }
                }
                _ => StorageError::io("read of", PAGE_FILE, error),
            })
            .and_then(|()| check_extent_header(number, class, &header))
            .and_then(|()| match extent_header_generation(&header) {
                newer if newer > superblock.generation => Err(StorageError::Inconsistent {
                    detail: format!(
                        "extent {number} got its size class for checkpoint {newer}, after checkpoint {} that uses it (C2)",
                        superblock.generation
                    ),
                }),
                _ => Ok(()),
            });
        if let Err(problem) = checked {
            let finding = Finding::new(Zone::ExtentHeader, Concerns::NoData, problem, Remedy::Compact);
            findings.add(finding.at(PAGE_FILE, extent_offset(number)));
        }
    }
}

/// The page file reaches the end of its last extent that is in use: a copy that was cut short does not.
pub(super) fn check_length(store: &PageStore, free_set: &FreeSet, findings: &mut Findings) {
    let used = free_set.extents().iter().rposition(|extent| !extent.used.is_empty());
    let needed = used.map_or(0, |last| (last as u64 + 1) * EXTENT_BYTES as u64);
    let problem = match store.file().len() {
        Ok(length) if length >= needed => return,
        Ok(length) => StorageError::Inconsistent {
            detail: format!("the page file ends at byte {length}, but must reach {needed}"),
        },
        Err(error) => StorageError::io("length of", PAGE_FILE, error),
    };
    let finding = Finding::new(Zone::Directory, Concerns::Everything, problem, Remedy::CopyAgain);
    findings.add(Finding { file: PAGE_FILE.to_owned(), ..finding });
}
