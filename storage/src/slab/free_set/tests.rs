//! What is free when, and how the stored form reads back.

use std::collections::BTreeSet;

use super::*;
use crate::page::format::PageKind;
use crate::slab::extent::map_words;
use crate::slab::format::{CHUNK_HEADER, EXTENT_RECORD_HEADER_BYTES};

fn store(set: &mut FreeSet) -> Vec<(PageId, PageKind, Vec<u8>)> {
    set.store(&mut |_| Ok(())).unwrap()
}

fn class(bytes: usize) -> SizeClass {
    SizeClass::fitting(bytes).unwrap()
}

#[test]
fn an_emptied_extent_is_reused_by_any_class() {
    let mut set = FreeSet::new();
    let pages: Vec<PageId> = (0..500).map(|_| set.allocate(class(8192)).page).collect();
    let extents = set.extents().len();
    for page in &pages {
        set.unlink_unread(*page);
    }
    assert!(set.extents().iter().all(|extent| extent.class.is_some()), "both superblocks need them");
    set.published();
    assert!(set.extents().iter().all(|extent| extent.class.is_some()), "one superblock needs them");
    set.published();
    assert_eq!(set.needed_extents(), 0);
    for _ in 0..1000 {
        set.allocate(class(2048));
    }
    assert!(set.extents().len() <= extents, "{} extents after {extents}", set.extents().len());
}

#[test]
fn small_databases_do_not_take_an_extent_per_class() {
    let mut set = FreeSet::new();
    for round in 0..10 {
        for class in SizeClass::ascending().filter(|class| *class <= SizeClass::NODE) {
            set.allocate(class);
        }
        assert!(set.extents().len() <= 2, "{} extents after {round}", set.extents().len());
    }
}

#[test]
fn large_databases_waste_nothing_to_speak_of() {
    let mut set = FreeSet::new();
    let mut wanted = 0;
    for number in 0..60_000usize {
        let class = class(4096 + number * 7919 % 4096);
        wanted += class.slot_bytes();
        set.allocate(class);
    }
    let used = set.occupancy().used_bytes as usize;
    assert!(used - wanted < 9 * 220 * 1024, "{used} for {wanted}");
    assert!(set.extents().len() << 20 < wanted + wanted / 20, "{} extents for {wanted}", set.extents().len());
}

#[test]
fn the_end_is_forgotten_when_nobody_needs_it() {
    let mut set = FreeSet::new();
    let pages: Vec<PageId> = (0..30_000).map(|_| set.allocate(class(8192)).page).collect();
    store(&mut set);
    set.published();
    set.published();
    let before = set.extents().len();
    assert!(before > 2 * EXTENTS_PER_CHUNK);
    for page in pages.iter().filter(|page| page.extent() > 10) {
        set.unlink(*page);
        set.release(*page);
    }
    set.trim();
    assert_eq!(set.extents().len(), before, "F3: superblocks need them");
    for round in 0..9 {
        if round == 3 {
            // Nothing new is put into the last extent, or it would take the free set's own pages for ever.
            set.close(before as u32 - 1);
            set.move_own_pages(|page| page.extent() > 10);
        }
        store(&mut set);
        set.published();
        set.trim();
    }
    assert!(set.extents().len() <= 12, "{}", set.extents().len());
    store(&mut set);
    let own: BTreeSet<PageId> = set.own_pages().collect();
    assert_eq!(own.len(), 2, "one chunk and one directory page: {own:?}");
    let used = set.occupancy().used_slots;
    assert_eq!(used, pages.iter().filter(|page| page.extent() <= 10).count() + 2, "F2");
}

#[test]
fn the_end_stays_while_a_reader_can_reach_it() {
    let mut set = FreeSet::new();
    let pages: Vec<PageId> = (0..1000).map(|_| set.allocate(class(8192)).page).collect();
    for page in &pages {
        set.unlink(*page);
    }
    (0..4).for_each(|_| set.published());
    assert_eq!(set.needed_extents() as usize, set.extents().len());
    pages.iter().for_each(|page| set.release(*page));
    assert_eq!(set.needed_extents(), 0);
}

#[test]
fn chunks_survive_the_disk_whatever_the_classes() {
    let mut set = FreeSet::new();
    for number in 0..40_000usize {
        set.allocate(class(600 + number * 7919 % 64_900));
    }
    let bodies = store(&mut set);
    let mut extents = Vec::new();
    for (page, kind, body) in &bodies {
        assert!(page.class().slot_bytes() >= crate::page::format::HEADER_BYTES + body.len());
        if *kind == PageKind::FreeChunk {
            extents.extend(stored::decode_chunk(body).unwrap());
        }
    }
    for (found, expected) in extents.iter().zip(set.extents()) {
        assert_eq!((found.class, &found.used), (expected.class, &expected.used));
    }
    assert!(extents.len() >= set.extents().len());
}

#[test]
fn chunk_bytes() {
    let mut set = FreeSet::new();
    for _ in 0..300 {
        set.allocate(SizeClass::from_number(12).unwrap());
    }
    let (_, _, body) = store(&mut set).remove(0);
    assert_eq!(body[..8], CHUNK_HEADER);
    assert!(body.len() >= 8 + EXTENTS_PER_CHUNK * EXTENT_RECORD_HEADER_BYTES + 8 * map_words(class(1024)));
}
