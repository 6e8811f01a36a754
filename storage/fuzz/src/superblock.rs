//! Any bytes as superblocks, alone and in a directory.

use std::sync::Arc;

use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::disk::{Disk, OpenMode};
use photondb_storage::superblock::format::{BLOCK_BYTES, SUPERBLOCK_FORMAT_VERSION};
use photondb_storage::superblock::{SUPERBLOCK_FILE, Superblock, Superblocks};
use photondb_storage::verify;

use super::directory::{change_superblock, look, sample, seal_superblock};
use super::input::Input;

/// Where what follows magic and version begins.
const FIELDS_AT: usize = 12;

/// First byte modulo 4: 0 a block as it is; 1 the fields of a block, its checksum made right; 2 the whole file; 3 changes
/// of the superblocks of a directory, their checksums made right.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    match input.byte() % 4 {
        0 => decode(input.rest()),
        1 => {
            let mut block = vec![0; BLOCK_BYTES];
            block[..8].copy_from_slice(b"PhotonSB");
            block[8..FIELDS_AT].copy_from_slice(&SUPERBLOCK_FORMAT_VERSION.to_le_bytes());
            let fields = input.take(BLOCK_BYTES - 4 - FIELDS_AT);
            block[FIELDS_AT..FIELDS_AT + fields.len()].copy_from_slice(fields);
            seal_superblock(&mut block);
            decode(&block);
        }
        2 => {
            let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new(1));
            let file = disk.open(SUPERBLOCK_FILE, OpenMode::CreateNew).expect("the disk is empty");
            file.write_all_at(input.take(3 * BLOCK_BYTES), 0).expect("the disk is sound");
            let superblocks = Superblocks::open(&*disk, OpenMode::Existing).expect("it was made above");
            let _ = superblocks.read();
            let _ = verify::check(disk, &mut |_| {});
        }
        _ => {
            let (disk, _) = sample();
            let (which, way) = (input.byte(), input.byte());
            let mut changes = Vec::new();
            while !input.is_empty() {
                changes.push((input.word(), input.byte()));
            }
            for slot in (0..2).filter(|slot| which & (1 << slot) == 0) {
                change_superblock(&disk, slot, changes.iter().copied());
            }
            look(&disk, way);
        }
    }
}

/// What is accepted is written and read as the same again.
fn decode(block: &[u8]) {
    if let Ok(superblock) = Superblock::decode(block) {
        assert_eq!(Superblock::decode(&superblock.encode()), Ok(superblock));
    }
}
