//! Reads any bytes as a segment: one reader over them, and a whole recovery of a log that has them as its only segment.

use std::sync::{Arc, OnceLock};

use photondb_storage::StorageError;
use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::disk::{Disk, OpenMode};
use photondb_storage::wal::{Lsn, StreamState, Wal, WalOptions, examine, seal};

use super::input::Input;

const NAME: &str = "wal-0000000000000001";
const HEADER_BYTES: usize = 4096;
const SEGMENT_BYTES: usize = 64 << 10;

/// The longest input that is used.
pub const INPUT_BYTES_MAX: usize = 16 << 10;

/// First byte even: the input is a segment. Odd: it is what follows the header and precedes zeros, and checksums are made right.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let sealed = input.byte() % 2 == 1;
    let body = input.take(INPUT_BYTES_MAX);
    let mut segment = Vec::new();
    if sealed {
        segment.extend_from_slice(header());
        segment.extend_from_slice(body);
        segment.resize(SEGMENT_BYTES, 0);
        seal(&mut segment);
    } else {
        segment.extend_from_slice(body);
    }
    let _ = examine(&segment);
    recover(&segment);
}

fn options() -> WalOptions {
    WalOptions {
        segment_bytes: SEGMENT_BYTES as u64,
        first_segment_bytes: SEGMENT_BYTES as u64,
        incarnation_seed: 42,
        recycle_max: 1,
        reclaim_slack_bytes: 64 << 10,
        cache_bytes: 4 << 10,
    }
}

/// The header that a log gives its first segment.
fn header() -> &'static [u8] {
    static HEADER: OnceLock<Vec<u8>> = OnceLock::new();
    HEADER.get_or_init(|| {
        let disk = SimulatedDisk::new(1);
        drop(open(&disk).expect("the disk is sound"));
        let mut bytes = disk.bytes_of(NAME).expect("the log made it");
        bytes.truncate(HEADER_BYTES);
        bytes
    })
}

fn open(disk: &SimulatedDisk) -> Result<Arc<Wal>, StorageError> {
    Wal::open(Arc::new(disk.clone()), options(), Lsn::ZERO, u64::MAX).map(|(wal, _)| wal)
}

/// What a recovery decides is decided: the next one finds the same, after damage too, and so does one after the power went
/// at any call of it.
fn recover(segment: &[u8]) {
    let disk = disk_with(segment);
    let Ok(wal) = open(&disk) else { return };
    let states = read_all(&wal);
    drop(wal);
    disk.crash();
    assert_eq!(read_all(&open(&disk).expect("what recovery made can be recovered")), states);
    for call in 0.. {
        let disk = disk_with(segment);
        disk.reseed(call);
        disk.crash_at(call);
        drop(open(&disk));
        if !disk.is_crashed() {
            break;
        }
        disk.restart();
        let wal = open(&disk).expect("what recovery left half done can be recovered");
        assert_eq!(read_all(&wal), states, "after a power loss at call {call} of recovery");
    }
}

fn disk_with(segment: &[u8]) -> SimulatedDisk {
    let disk = SimulatedDisk::new(2);
    let file = disk.open(NAME, OpenMode::CreateNew).expect("the disk is empty");
    file.write_all_at(segment, 0).expect("the disk is sound");
    file.sync_data().and_then(|()| disk.sync_directory()).expect("the disk is sound");
    disk
}

type Streams = Vec<(u64, StreamState, Vec<(u64, u64, Vec<u8>)>)>;

/// Streams of which nothing is known are left out: whether they are listed says nothing.
fn read_all(wal: &Wal) -> Streams {
    let states = wal.states().into_iter().filter(|(_, state)| *state != StreamState::default());
    let streams = states.map(|(stream, state)| {
        let entries = wal.read(stream, 0, u64::MAX, usize::MAX).expect("what recovery kept can be read");
        let entries = entries.into_iter().map(|entry| (entry.index, entry.term, entry.payload.to_vec())).collect();
        (stream.0, state, entries)
    });
    streams.collect()
}
