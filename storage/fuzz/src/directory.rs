//! A small data directory with a bit of everything in it, and everything that reads one.

use std::sync::{Arc, OnceLock};

use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::disk::{Disk, File, OpenMode};
use photondb_storage::inspect::Inspector;
use photondb_storage::page::format::{HEADER_BYTES, PageId};
use photondb_storage::page::store::PAGE_FILE;
use photondb_storage::superblock::SUPERBLOCK_FILE;
use photondb_storage::superblock::format::BLOCK_BYTES;
use photondb_storage::wal::WalOptions;
use photondb_storage::{
    Compression, Direction, Engine, EngineOptions, Fill, KeyRange, Snapshot, StorageError, TreeId, TreeSetId,
    TreeSetOptions, verify,
};

const PAGE_MAGIC: &[u8] = b"PhPg";
const PAGE_CHECKSUM_AT: usize = 32;
const BLOCK_CHECKSUM_AT: usize = BLOCK_BYTES - 4;

/// Small sizes, so that little data reaches every part.
pub fn options() -> EngineOptions {
    EngineOptions {
        cache_bytes: 1 << 20,
        dirty_bytes: 256 << 10,
        wal: WalOptions {
            segment_bytes: 64 << 10,
            first_segment_bytes: 64 << 10,
            reclaim_slack_bytes: 64 << 10,
            cache_bytes: 64 << 10,
            ..WalOptions::default()
        },
        ..EngineOptions::default()
    }
}

/// A copy of the directory, and its pages in order.
pub fn sample() -> (SimulatedDisk, &'static [PageId]) {
    static SAMPLE: OnceLock<(SimulatedDisk, Vec<PageId>)> = OnceLock::new();
    let (disk, pages) = SAMPLE.get_or_init(|| {
        let disk = SimulatedDisk::new(1);
        fill(&disk).expect("the disk is sound");
        let bytes = disk.bytes_of(PAGE_FILE).expect("the engine made it");
        let pages = (0..bytes.len()).step_by(512).filter_map(|at| page_at(&bytes, at)).collect();
        (disk, pages)
    });
    (disk.fork(1), pages)
}

fn page_at(bytes: &[u8], at: usize) -> Option<PageId> {
    let header = bytes.get(at..at + HEADER_BYTES)?;
    let id = PageId::from_bits(u64::from_le_bytes(header[8..16].try_into().ok()?))?;
    (header.starts_with(PAGE_MAGIC) && id.offset() == at as u64).then_some(id)
}

fn fill(disk: &SimulatedDisk) -> Result<(), StorageError> {
    let engine = Engine::open(Arc::new(disk.clone()), options())?;
    engine.set_identity(1, 2)?;
    let sets = [(1, Compression::None, 900u32), (2, Compression::Lz4, 300), (3, Compression::Zstd, 300)];
    for (id, compression, rows) in sets {
        let set = engine.create_tree_set_with(TreeSetId(id), TreeSetOptions { compression })?;
        let mut transaction = set.begin();
        transaction.set_meta(bytes::Bytes::from_static(b"position 7"))?;
        for tree in 0..3 {
            transaction.create_tree(TreeId(tree))?;
        }
        let rows =
            (0..rows).map(|row| (format!("key {row:05}").into_bytes(), format!("value {}", row * 7).into_bytes()));
        transaction.bulk_load(TreeId(0), rows, Fill::FULL)?;
        for (key, length) in [("a", 3_000), ("b", 9_000), ("c", 70_000), ("d", 10)] {
            transaction.put(TreeId(1), key.as_bytes(), &vec![b'v'; length])?;
        }
        transaction.commit()?;
    }
    engine.checkpoint()?;
    let set = engine.tree_set(TreeSetId(1)).expect("it was made above");
    let mut transaction = set.begin();
    for row in (0..900u32).step_by(9) {
        transaction.delete(TreeId(0), format!("key {row:05}").as_bytes())?;
    }
    transaction.commit()?;
    engine.checkpoint()?;
    engine.close()
}

/// Changes bytes of a page where it lies, `(where, what)` each, and makes its checksum right.
pub fn change_page(disk: &SimulatedDisk, page: PageId, changes: impl IntoIterator<Item = (u16, u8)>) {
    let file = open(disk, PAGE_FILE);
    let mut slot = vec![0; page.class().slot_bytes()];
    file.read_exact_at(&mut slot, page.offset()).expect("the page was there");
    for (at, value) in changes {
        let at = usize::from(at) % slot.len();
        slot[at] = value;
    }
    seal_page(&mut slot);
    file.write_all_at(&slot, page.offset()).expect("the disk is sound");
}

/// Makes the checksum of a page right, as far as its length says where it ends.
pub fn seal_page(slot: &mut [u8]) {
    let Some(length) = slot.get(24..28) else { return };
    let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
    let Some(covered) = length.checked_add(HEADER_BYTES).filter(|end| *end <= slot.len()) else { return };
    slot[PAGE_CHECKSUM_AT..PAGE_CHECKSUM_AT + 4].fill(0);
    let sum = crc32fast::hash(&slot[..covered]);
    slot[PAGE_CHECKSUM_AT..PAGE_CHECKSUM_AT + 4].copy_from_slice(&sum.to_le_bytes());
}

/// Changes bytes of a superblock where it lies, and makes its checksum right.
pub fn change_superblock(disk: &SimulatedDisk, slot: u64, changes: impl IntoIterator<Item = (u16, u8)>) {
    let file = open(disk, SUPERBLOCK_FILE);
    let mut block = vec![0; BLOCK_BYTES];
    file.read_exact_at(&mut block, slot * BLOCK_BYTES as u64).expect("the superblock was there");
    for (at, value) in changes {
        block[usize::from(at) % BLOCK_BYTES] = value;
    }
    seal_superblock(&mut block);
    file.write_all_at(&block, slot * BLOCK_BYTES as u64).expect("the disk is sound");
}

/// Makes the checksum of a superblock right.
pub fn seal_superblock(block: &mut [u8]) {
    let sum = crc32fast::hash(&block[..BLOCK_CHECKSUM_AT]);
    block[BLOCK_CHECKSUM_AT..].copy_from_slice(&sum.to_le_bytes());
}

fn open(disk: &SimulatedDisk, name: &str) -> Arc<dyn File> {
    disk.open(name, OpenMode::Existing).expect("the engine made it")
}

/// Reads all of a directory: `way` modulo 4 says by the check, by what `inspect` shows, by an engine, or by all of them.
/// Any outcome but a panic is right.
pub fn look(disk: &SimulatedDisk, way: u8) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    if matches!(way % 4, 0 | 3) {
        let _ = verify::check(Arc::clone(&shared), &mut |_| {});
    }
    if matches!(way % 4, 1 | 3) {
        inspect(Arc::clone(&shared));
    }
    if matches!(way % 4, 2 | 3) {
        serve(shared);
    }
}

fn inspect(disk: Arc<dyn Disk>) {
    if let Ok(inspector) = Inspector::open(disk, false) {
        let _ = (inspector.newest().is_ok(), inspector.space(), inspector.log());
        let _ = inspector.trees(true);
    }
}

fn serve(disk: Arc<dyn Disk>) {
    let Ok(engine) = Engine::open(disk, options()) else { return };
    for id in engine.tree_sets() {
        let set = engine.tree_set(id).expect("it is listed");
        let snapshot = set.snapshot();
        for tree in snapshot.trees() {
            let _ = read_tree(&snapshot, tree);
            let _ = set.get(tree, b"key 00077");
        }
    }
}

fn read_tree(snapshot: &Snapshot, tree: TreeId) -> Result<(), StorageError> {
    let count = snapshot.count(tree, &KeyRange::all())?;
    let _ = snapshot.count(tree, &KeyRange::half_open(&b"b"[..], &b"key 00500"[..]));
    let _ = snapshot.nth(tree, &KeyRange::all(), count / 2);
    for direction in [Direction::Forward, Direction::Backward] {
        let mut cursor = snapshot.cursor(tree, KeyRange::all(), direction)?;
        let mut seen = 0;
        while seen < 10_000 && matches!(cursor.next(), Ok(Some(_))) {
            seen += 1;
        }
    }
    Ok(())
}
