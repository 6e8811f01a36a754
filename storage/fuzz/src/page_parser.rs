//! Any bytes as a page and as what pages hold, and changed pages in a directory.

use bytes::Bytes;
use photondb_storage::btree::format::open_stored;
use photondb_storage::btree::node::{Node, Value};
use photondb_storage::checkpoint::catalogue::Record;
use photondb_storage::page::format::{HEADER_BYTES, PageId, PageKind, decode};
use photondb_storage::slab::extent::Extent;
use photondb_storage::slab::free_set::decode_chunk;
use photondb_storage::slab::size_class::SizeClass;

use super::directory::{change_page, look, sample, seal_page};
use super::input::Input;

/// First byte modulo 6: 0 a page as it is; 1 kind, flags, length of the body and payload of a page, its checksum made
/// right; 2 the body of a node; 3 a free chunk; 4 a record of the catalogue; 5 changes of a page of a directory, its
/// checksum made right.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    match input.byte() % 6 {
        0 => page(input.rest()),
        1 => page(&page_around(&mut input)),
        2 => node(input.rest()),
        3 => chunk(input.rest()),
        4 => record(input.rest()),
        _ => {
            let (disk, pages) = sample();
            let page = pages[usize::from(input.byte()) % pages.len()];
            let way = input.byte();
            let mut changes = Vec::new();
            while !input.is_empty() {
                changes.push((input.word(), input.byte()));
            }
            change_page(&disk, page, changes);
            look(&disk, way);
        }
    }
}

fn id() -> PageId {
    PageId::new(SizeClass::LARGEST, 0, 0)
}

fn page_around(input: &mut Input<'_>) -> Vec<u8> {
    let mut slot = vec![0; HEADER_BYTES];
    slot[..4].copy_from_slice(b"PhPg");
    (slot[4], slot[6], slot[7]) = (input.byte(), input.byte(), input.byte());
    slot[8..16].copy_from_slice(&id().to_bits().to_le_bytes());
    let body_len = input.word();
    let payload = input.take(SizeClass::LARGEST.slot_bytes() - HEADER_BYTES);
    slot[24..28].copy_from_slice(&u32::try_from(payload.len()).expect("below a slot").to_le_bytes());
    slot[28..32].copy_from_slice(&u32::from(body_len).to_le_bytes());
    slot.extend_from_slice(payload);
    seal_page(&mut slot);
    slot
}

fn page(slot: &[u8]) {
    let Ok(page) = decode(id(), slot) else { return };
    match page.kind {
        PageKind::Leaf | PageKind::Branch => node(&page.body),
        PageKind::FreeChunk => chunk(&page.body),
        PageKind::Value | PageKind::ValuePart | PageKind::ValueParts | PageKind::FreeDirectory => {}
    }
}

/// What is accepted can be walked, and packing it changes nothing.
fn node(body: &[u8]) {
    let Ok(node) = open_stored(body.to_vec()) else { return };
    for index in 0..node.len() {
        let key = node.key(index).to_vec();
        if node.is_leaf() {
            assert_eq!(node.search(&key), Ok(index));
            if let Value::Inline(bytes) = node.value(index) {
                assert!(bytes.len() <= body.len());
            }
        } else if index > 0 {
            assert_eq!(node.child_index(&key), index);
        }
        let _ = (!node.is_leaf()).then(|| node.child(index));
    }
    let _ = (node.search(b"k"), node.used_bytes());
    assert_eq!(node.packed(), node);
    let reopened: Node = open_stored(node.packed().body().to_vec()).expect("what is written can be read");
    assert_eq!(reopened, node);
}

fn chunk(body: &[u8]) {
    let encode = |extents: &[Extent]| {
        let mut out = Vec::new();
        extents.iter().for_each(|extent| extent.encode(&mut out));
        out
    };
    if let Ok(extents) = decode_chunk(body) {
        let stored = encode(&extents);
        let mut rest = &stored[..];
        let again: Vec<_> = extents.iter().map(|_| Extent::decode(&mut rest).expect("it was encoded")).collect();
        assert!(rest.is_empty() && encode(&again) == stored);
    }
    let _ = Extent::decode(&mut { body });
}

fn record(value: &[u8]) {
    if let Ok(record) = Record::decode(Bytes::copy_from_slice(value)) {
        assert_eq!(Record::decode(Bytes::from(record.encode())).expect("it was encoded"), record);
    }
}
