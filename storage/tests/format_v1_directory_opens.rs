//! A whole directory as the first format wrote it, built here byte by byte and not by the program: it is sound, everything
//! in it is read, and it goes on living under today's program.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/seeded.rs"]
mod harness;

use std::collections::BTreeMap;
use std::sync::Arc;

use harness::{assert_clean, options};
use photondb_storage::checksum::checksum;
use photondb_storage::disk::memory::MemoryDisk;
use photondb_storage::disk::{Disk, OpenMode};
use photondb_storage::wal::StreamId;
use photondb_storage::{Compression, Direction, Engine, KeyRange, TreeId, TreeSetId};

const EXTENT_BYTES: usize = 1 << 20;
const SEGMENT_BYTES: usize = 64 << 10;
const LEAF: u8 = 1;
const BRANCH: u8 = 2;
const VALUE: u8 = 3;
const VALUE_PART: u8 = 4;
const VALUE_PARTS: u8 = 5;
const FREE_CHUNK: u8 = 6;
const FREE_DIRECTORY: u8 = 7;
const LZ4: u8 = 1;

/// Class numbers and slot sizes of the first format, as far as they are used here: 4, 8 and 64 KiB.
const CLASSES: [(u8, usize); 3] = [(0, 4 << 10), (2, 8 << 10), (11, 64 << 10)];

/// A page file of the first format; extent number i has the i-th class above.
struct Pages {
    file: Vec<u8>,
    slots: [u16; 3],
}

impl Pages {
    fn new() -> Self {
        let mut file = vec![0; CLASSES.len() * EXTENT_BYTES];
        for (extent, (class, _)) in CLASSES.iter().enumerate() {
            let mut header = b"PhEx\x01\0".to_vec();
            header.extend([*class, 0, extent as u8, 0, 0, 0, 0, 0, 0, 0]);
            header.extend(1u64.to_le_bytes());
            header.extend([0; 8]);
            let sum = crc32fast::hash(&header);
            header[24..28].copy_from_slice(&sum.to_le_bytes());
            file[extent * EXTENT_BYTES..][..32].copy_from_slice(&header);
        }
        Pages { file, slots: [0; 3] }
    }

    /// Where the next page of an extent goes.
    fn id(&mut self, extent: usize) -> u64 {
        let slot = self.slots[extent];
        self.slots[extent] += 1;
        u64::from(slot) | (extent as u64) << 16 | (u64::from(CLASSES[extent].0) + 1) << 56
    }

    fn put(&mut self, id: u64, kind: u8, flags: u8, payload: &[u8], body_len: usize) {
        let (slot, extent) = ((id & 0xFFFF) as usize, (id >> 16 & 0xFF) as usize);
        let mut page = b"PhPg\x01\0".to_vec();
        page.extend([kind, flags]);
        page.extend(id.to_le_bytes());
        page.extend(3u64.to_le_bytes());
        page.extend((payload.len() as u32).to_le_bytes());
        page.extend((body_len as u32).to_le_bytes());
        page.extend([0; 8]);
        page.extend(payload);
        let sum = crc32fast::hash(&page);
        page[32..36].copy_from_slice(&sum.to_le_bytes());
        assert!(page.len() <= CLASSES[extent].1);
        let at = extent * EXTENT_BYTES + 4096 + slot * CLASSES[extent].1;
        self.file[at..at + page.len()].copy_from_slice(&page);
    }

    fn add(&mut self, extent: usize, kind: u8, body: &[u8]) -> u64 {
        let id = self.id(extent);
        self.put(id, kind, 0, body, body.len());
        id
    }

    /// With LZ4 that found nothing to shorten: one run of literals.
    fn add_lz4(&mut self, extent: usize, kind: u8, body: &[u8]) -> u64 {
        let mut payload = vec![0xF0];
        let mut rest = body.len() - 15;
        while rest >= 255 {
            payload.push(255);
            rest -= 255;
        }
        payload.push(rest as u8);
        payload.extend(body);
        let id = self.id(extent);
        self.put(id, kind, LZ4, &payload, body.len());
        id
    }
}

/// A node of the first layout. An entry: key, value, whether it is large.
fn node(level: u8, large_values: bool, entries: &[(Vec<u8>, Vec<u8>, bool)]) -> Vec<u8> {
    let (mut slots, mut heap) = (Vec::new(), Vec::new());
    for (key, value, large) in entries {
        let mut cell = (key.len() as u16).to_le_bytes().to_vec();
        cell.extend((value.len() as u16 | u16::from(*large) << 15).to_le_bytes());
        cell.extend(key);
        cell.extend(value);
        // Cells were put in front of those there were.
        heap.splice(0..0, cell);
        slots.extend((heap.len() as u16).to_le_bytes());
    }
    let mut body = (entries.len() as u16).to_le_bytes().to_vec();
    body.extend((heap.len() as u16).to_le_bytes());
    body.extend([0, 0, level, u8::from(large_values)]);
    body.extend(slots);
    body.extend(heap);
    body
}

fn child(id: u64, large_values: bool, count: u64) -> Vec<u8> {
    [(id | u64::from(large_values) << 62).to_le_bytes(), count.to_le_bytes()].concat()
}

fn large(id: u64, length: usize) -> Vec<u8> {
    [&id.to_le_bytes()[..], &(length as u32).to_le_bytes()].concat()
}

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn small_rows() -> Rows {
    (0..300u32).map(|row| (format!("row {row:04}").into_bytes(), format!("value of {row}").into_bytes())).collect()
}

fn large_rows() -> Rows {
    let bytes = |length: usize| (0..length).map(|at| (at % 251) as u8).collect();
    Rows::from([
        (b"a".to_vec(), b"short".to_vec()),
        (b"one page".to_vec(), bytes(5_000)),
        (b"pieces".to_vec(), bytes(150_000)),
    ])
}

/// The directory: one tree set with `meta`, a tree of two levels, one of large values, one empty.
fn directory() -> Arc<MemoryDisk> {
    let mut pages = Pages::new();
    let rows: Vec<_> = small_rows().into_iter().map(|(key, value)| (key, value, false)).collect();
    let leaves = [
        pages.add(1, LEAF, &node(0, false, &rows[..140])),
        pages.add_lz4(1, LEAF, &node(0, false, &rows[140..150])),
        pages.add(1, LEAF, &node(0, false, &rows[150..])),
    ];
    let counts = [140, 10, 150];
    let keys = [Vec::new(), rows[140].0.clone(), b"row 015".to_vec()];
    let children =
        keys.into_iter().zip(leaves).zip(counts).map(|((key, id), count)| (key, child(id, false, count), false));
    let root = pages.add(0, BRANCH, &node(1, false, &children.collect::<Vec<_>>()));

    let values = large_rows();
    let one = pages.add(1, VALUE, &values[&b"one page"[..]]);
    let pieces: Vec<u64> = values[&b"pieces"[..]].chunks(65_496).map(|piece| pages.add(2, VALUE_PART, piece)).collect();
    let list: Vec<u8> = pieces.iter().flat_map(|id| id.to_le_bytes()).collect();
    let list = pages.add(0, VALUE_PARTS, &list);
    let entries = [
        (b"a".to_vec(), b"short".to_vec(), false),
        (b"one page".to_vec(), large(one, 5_000), true),
        (b"pieces".to_vec(), large(list, 150_000), true),
    ];
    let large_root = pages.add(0, LEAF, &node(0, true, &entries));

    let mut record = vec![1, 0, 0, 0, 3, 0, 0, 0];
    let trees = [(1u32, root, 300u64), (2, large_root | 1 << 62, 3), (7, 0, 0)];
    for (tree, root, entries) in trees {
        record.extend(tree.to_le_bytes());
        record.extend(root.to_le_bytes());
        record.extend(entries.to_le_bytes());
    }
    record.extend(8u32.to_le_bytes());
    record.extend(b"position");
    let catalogue = pages.add(0, LEAF, &node(0, false, &[(9u64.to_be_bytes().to_vec(), record, false)]));

    let (chunk, free_directory) = (pages.id(0), pages.id(0));
    let mut chunk_body = Vec::new();
    for (extent, (class, _)) in CLASSES.iter().enumerate() {
        chunk_body.extend([class + 1, 0, 0, 0, 0, 0, 0, 0]);
        chunk_body.extend(((1u64 << pages.slots[extent]) - 1).to_le_bytes());
        chunk_body.extend([0; 24]);
    }
    chunk_body.resize(96 * 40, 0);
    pages.put(chunk, FREE_CHUNK, 0, &chunk_body, chunk_body.len());
    pages.put(free_directory, FREE_DIRECTORY, 0, &chunk.to_le_bytes(), 8);

    let mut superblocks = Vec::new();
    for generation in [4u64, 3] {
        let mut block = b"PhotonSB\x01\0\0\0\x01\0\0\0".to_vec();
        block.extend(generation.to_le_bytes());
        block.extend(77u128.to_le_bytes());
        block.extend(78u128.to_le_bytes());
        block.extend(5u64.to_le_bytes()); // boot
        block.extend(0u64.to_le_bytes()); // start of the log
        block.extend(catalogue.to_le_bytes());
        block.extend(1u64.to_le_bytes());
        block.extend(3u32.to_le_bytes()); // extents
        block.extend(1u32.to_le_bytes()); // directory pages
        block.extend(free_directory.to_le_bytes());
        block.resize(4092, 0);
        let sum = crc32fast::hash(&block);
        block.extend(sum.to_le_bytes());
        superblocks.extend(block);
    }
    let log = log();
    // Whoever changes what is built here does not test the first format any more.
    assert_eq!([&pages.file, &superblocks, &log].map(|file| crc32fast::hash(file)), GOLDEN);

    let disk = MemoryDisk::new();
    for (name, bytes) in [("pages", &pages.file), ("superblock", &superblocks), ("wal-0000000000000001", &log)] {
        disk.open(name, OpenMode::CreateNew).unwrap().write_all_at(bytes, 0).unwrap();
    }
    Arc::new(disk)
}

/// Checksums of the three files.
const GOLDEN: [u32; 3] = [2_374_906_478, 3_436_067_493, 3_104_726_274];

/// A segment of the log with an entry and a vote of one stream.
fn log() -> Vec<u8> {
    let incarnation = 0x0123_4567_89AB_CDEFu64;
    let mut segment = b"PhotonWL\x01\0\0\0\0\0\0\0".to_vec();
    for field in [incarnation, 1, 0, SEGMENT_BYTES as u64] {
        segment.extend(field.to_le_bytes());
    }
    let sum = checksum(incarnation, 0, &[&segment[16..]]);
    segment[12..16].copy_from_slice(&sum.to_le_bytes());
    let header = segment.clone();
    segment.resize(2048, 0);
    segment.extend(header);
    segment.resize(4096, 0);
    let mut record = |kind: u8, stream: u64, link: u64, content: &[u8]| {
        let at = segment.len() as u64;
        let data = [&stream.to_le_bytes()[..], &link.to_le_bytes(), content].concat();
        let [low, high] = (data.len() as u16).to_le_bytes();
        let sum = checksum(incarnation, at, &[&[low, high, 1, kind], &data]);
        segment.extend(sum.to_le_bytes());
        segment.extend([low, high, 1, kind]);
        segment.extend(data);
        segment.resize(segment.len().next_multiple_of(8), 0);
        at
    };
    let words = |a: u64, b: u64| [a.to_le_bytes(), b.to_le_bytes()].concat();
    record(1, u64::MAX, 0, &words(4096, 0));
    let entry = record(2, 3, 0, &[&words(1, 7)[..], b"payload"].concat());
    record(3, 3, entry, b"vote");
    segment.resize(SEGMENT_BYTES, 0);
    segment
}

fn assert_holds(engine: &Engine, small: &Rows, large: &Rows) {
    let snapshot = engine.tree_set(TreeSetId(9)).unwrap().snapshot();
    assert_eq!(snapshot.trees(), [TreeId(1), TreeId(2), TreeId(7)]);
    for (tree, rows) in [(1, small), (2, large), (7, &Rows::new())] {
        let tree = TreeId(tree);
        assert_eq!(snapshot.count(tree, &KeyRange::all()).unwrap(), rows.len() as u64);
        let mut cursor = snapshot.cursor(tree, KeyRange::all(), Direction::Forward).unwrap();
        let found: Vec<_> = std::iter::from_fn(|| cursor.next().unwrap()).collect();
        let mut cursor = snapshot.cursor(tree, KeyRange::all(), Direction::Backward).unwrap();
        let mut backward: Vec<_> = std::iter::from_fn(|| cursor.next().unwrap()).collect();
        backward.reverse();
        assert!(found == backward && found.iter().zip(rows).all(|((k, v), (key, value))| k == key && v == value));
        for (n, (key, value)) in rows.iter().enumerate() {
            assert!(snapshot.get(tree, key).unwrap().unwrap() == value[..]);
            assert!(snapshot.nth(tree, &KeyRange::all(), n as u64).unwrap().unwrap().0 == key[..]);
        }
    }
}

#[test]
fn it_is_sound_and_read_and_goes_on() {
    let disk = directory();
    assert_clean(&disk);
    let (mut small, mut large) = (small_rows(), large_rows());
    let engine = Engine::open(disk.clone(), options()).unwrap();
    let identity = engine.identity();
    assert_eq!((identity.cluster, identity.node, identity.boot), (Some(77), Some(78), 6));
    let set = engine.tree_set(TreeSetId(9)).unwrap();
    assert_eq!((set.meta(), set.compression()), (b"position"[..].into(), Compression::None));
    assert_holds(&engine, &small, &large);
    let entries = engine.wal().read(StreamId(3), 0, u64::MAX, usize::MAX).unwrap();
    assert_eq!((entries[0].index, entries[0].term, &entries[0].payload[..]), (1, 7, &b"payload"[..]));
    assert_eq!(engine.wal().state(StreamId(3)).unwrap().vote.unwrap(), b"vote"[..]);

    let mut transaction = set.begin();
    for row in (0..300u32).step_by(7) {
        let key = format!("row {row:04}").into_bytes();
        transaction.put(TreeId(1), &key, b"changed").unwrap();
        small.insert(key, b"changed".to_vec());
    }
    transaction.delete(TreeId(2), b"pieces").unwrap();
    large.remove(&b"pieces"[..]);
    transaction.commit().unwrap();
    drop(set);
    engine.close().unwrap();
    assert_clean(&disk);
    let engine = Engine::open(disk.clone(), options()).unwrap();
    assert_holds(&engine, &small, &large);
    engine.close().unwrap();
}
