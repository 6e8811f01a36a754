//! The records of a log as they lie there, read by docs/storage-format.md and not by the log's own reader. Only for logs
//! without damage.

use photondb_storage::disk::simulated::SimulatedDisk;

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Its position in the log.
    pub at: u64,
    pub stream: u64,
    pub link: u64,
    /// What it says; of a moved one, what the record said that was moved.
    pub kind: u8,
    /// Where it first stood, when it was moved.
    pub original: Option<u64>,
    /// Its content.
    pub body: Vec<u8>,
}

pub const BATCH: u8 = 1;
pub const ENTRY: u8 = 2;
pub const VOTE: u8 = 3;
pub const SUSPECT: u8 = 9;
const MOVED: u8 = 10;

impl RawRecord {
    /// The `number`th integer of the content.
    pub fn number(&self, number: usize) -> u64 {
        u64_at(&self.body, 8 * number)
    }
}

/// The segments that there are, oldest first: name and bytes.
pub fn segments(disk: &SimulatedDisk) -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<_> = disk.names().into_iter().filter(|name| is_segment(name)).collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), disk.bytes_of(&name).expect("it is there"))).collect()
}

pub fn is_segment(name: &str) -> bool {
    name.starts_with("wal-") && !name.starts_with("wal-spare-")
}

/// Every record of the log, in its order.
pub fn records(disk: &SimulatedDisk) -> Vec<RawRecord> {
    segments(disk).iter().flat_map(|(_, bytes)| records_of(bytes)).collect()
}

fn records_of(bytes: &[u8]) -> Vec<RawRecord> {
    let (incarnation, start) = (u64_at(bytes, 16), u64_at(bytes, 32));
    let (mut at, mut records, mut begun) = (4096, Vec::new(), None);
    while at + 8 <= bytes.len() {
        let length = usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        let (part, kind) = (bytes[at + 6], bytes[at + 7]);
        let Some(data) = bytes.get(at + 8..at + 8 + length) else { break };
        if checksum(incarnation, start + at as u64, &bytes[at + 4..at + 8 + length]).to_le_bytes() != bytes[at..at + 4]
        {
            // The end, and what an earlier use of the file left behind it.
            break;
        }
        match part {
            1 | 2 => begun = Some((at, kind, data.to_vec())),
            3 | 4 => begun.as_mut().expect("a first fragment comes first").2.extend_from_slice(data),
            6 => {}
            // The end of the segment, or nothing any more.
            _ => break,
        }
        if let (1 | 4, Some((first, kind, data))) = (part, begun.clone()) {
            records.push(record(start + first as u64, kind, &data));
        }
        at = (at + 8 + length).next_multiple_of(8);
    }
    records
}

fn record(at: u64, kind: u8, data: &[u8]) -> RawRecord {
    let (stream, link) = (u64_at(data, 0), u64_at(data, 8));
    match kind {
        MOVED => {
            let original = Some(u64_at(data, 16));
            RawRecord { at, stream, link, kind: data[24], original, body: data[32..].to_vec() }
        }
        kind => RawRecord { at, stream, link, kind, original: None, body: data[16..].to_vec() },
    }
}

fn checksum(incarnation: u64, position: u64, bytes: &[u8]) -> u32 {
    let seed = (incarnation as u32) ^ (incarnation >> 32) as u32;
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(&position.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
