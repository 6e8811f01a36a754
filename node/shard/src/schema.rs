//! What a shard knows of its table: indexes with their state, the write hook, and how much its change log may hold. Kept in a
//! tree of its own, because it changes seldom and the shard's small state is written with every entry.
//!
//! ```text
//! key 0x01, index id u64 big-endian:
//!   version u8 = 5, tree u32, flags u8 (bit 0: multi, bit 1: ready, bit 2: geospatial, bit 3: outdated), evaluator u16,
//!   name length u16, name,
//!   built u8 (0 nothing, 1 up to the key that follows, 2 to the end), [key length u16, key],
//!   definition length u32, definition,
//!   halves u8 (0 none, 1 some; not before version 4), [first key of the upper one length u16, key, lower tree u32, upper tree u32,
//!   copied u8 as built, [entry length u16, entry]],
//!   rest u8 (0 none, 1 some; not before version 5), [its tree u32]
//! key 0x02: the write hook's definition
//! key 0x03: bytes that the change log may hold, u64; where nobody has told it, there is no such key
//! ```
//!
//! Versions 1 and 2 (of geospatial indexes) have no evaluator: it is unknown.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use photondb_proto::IndexId;
use photondb_reql::eval::stored::EvaluatorVersion;
use photondb_storage::fault::fault_point;
use photondb_storage::{Direction, KeyRange, Snapshot, Transaction, TreeId};

use crate::error::ShardError;
use crate::format::{Reader, put_bytes, put_key, put_name};
use crate::index_function::IndexFunction;
use crate::limits::CHANGE_LOG_BYTES_DEFAULT;
use crate::shard::trees;

const VERSION: u8 = 5;
/// From this one on the evaluator stands in it.
const VERSION_WITH_EVALUATOR: u8 = 3;
/// From this one on its halves stand in it.
const VERSION_WITH_HALVES: u8 = 4;
/// From this one on its rest stands in it.
const VERSION_WITH_REST: u8 = 5;
const FLAG_MULTI: u8 = 1;
const FLAG_READY: u8 = 2;
const FLAG_GEO: u8 = 4;
const FLAG_OUTDATED: u8 = 8;
const KEY_INDEX: u8 = 1;
const KEY_WRITE_HOOK: u8 = 2;
const KEY_CHANGE_LOG_BYTES: u8 = 3;

/// Copies of an index that are made before the shard is split: the entries of documents before a key, and of those from it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halves {
    /// The first primary key of the upper one.
    pub at: Bytes,
    /// The tree of the entries of documents before it.
    pub lower: TreeId,
    /// The tree of the others.
    pub upper: TreeId,
    /// Which entries of the index are there, in the order of its keys.
    pub copied: Built,
}

/// How far an index is built at this replica. The watermark is no part of the state that replicas must agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Built {
    /// No document yet.
    Nothing,
    /// Documents up to and with this primary key.
    UpTo(Bytes),
    /// All.
    Whole,
}

impl Built {
    /// Whether apply must maintain the index for this primary key.
    pub fn covers(&self, key: &[u8]) -> bool {
        match self {
            Built::Nothing => false,
            Built::UpTo(mark) => key <= mark.as_ref(),
            Built::Whole => true,
        }
    }
}

/// Whether queries may use an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// Some voter is still building.
    Building,
    /// An `IndexReady` entry was applied: every voter had built it.
    Ready,
}

/// One secondary index.
#[derive(Clone, Debug)]
pub struct Index {
    /// Never used twice.
    pub id: IndexId,
    /// Its name.
    pub name: String,
    /// The tree that holds its entries.
    pub tree: TreeId,
    /// One entry for each element of an array.
    pub multi: bool,
    /// Of geometry, by the cells that cover it.
    pub geo: bool,
    /// The function as stored bytes.
    pub definition: Bytes,
    /// The function, compiled.
    pub function: IndexFunction,
    /// Whether queries may use it.
    pub state: IndexState,
    /// How far it is built here.
    pub built: Built,
    /// With which version of the evaluator its entries were made.
    pub evaluator: EvaluatorVersion,
    /// It was made with another version, and is being built again.
    pub outdated: bool,
    /// What becomes of it when the shard is split. This replica's affair.
    pub halves: Option<Halves>,
    /// A tree with entries that are still to come into `tree`: what another shard had in its index before it became part of this one.
    /// No key is in both. This replica's affair.
    pub rest: Option<TreeId>,
}

impl Index {
    /// Whether queries at this replica may use it. Ready is not enough: the entry that says so comes back with the log
    /// after a crash, what was built since the last checkpoint does not.
    pub fn is_usable(&self) -> bool {
        (self.state == IndexState::Ready && self.built == Built::Whole) || fault_point!("index-used-unbuilt")
    }

    /// Whether its entries may be others than its function gives now. Such an index must not be read, and must not be
    /// maintained either: what is to be removed would not be found. It is built again from nothing.
    pub fn must_be_built_again(&self) -> bool {
        self.evaluator != EvaluatorVersion::CURRENT && (self.geo || !self.function.is_same_in_every_version())
    }

    /// The half, if there is one and it is to have this entry of the document with that primary key.
    pub(crate) fn half_of(&self, entry: &[u8], primary_key: &[u8]) -> Option<TreeId> {
        let halves = self.halves.as_ref().filter(|halves| halves.copied.covers(entry))?;
        if fault_point!("half-not-maintained") {
            return None;
        }
        Some(if primary_key < halves.at.as_ref() { halves.lower } else { halves.upper })
    }

    /// Drops its tree and those that lie beside it.
    pub(crate) fn drop_trees(&self, transaction: &mut Transaction) -> Result<(), ShardError> {
        transaction.drop_tree(self.tree)?;
        self.drop_trees_beside(transaction)
    }

    /// Drops its halves and its rest.
    pub(crate) fn drop_trees_beside(&self, transaction: &mut Transaction) -> Result<(), ShardError> {
        if let Some(rest) = self.rest {
            transaction.drop_tree(rest)?;
        }
        self.drop_halves(transaction)
    }

    /// Drops its halves, if there are any.
    pub(crate) fn drop_halves(&self, transaction: &mut Transaction) -> Result<(), ShardError> {
        for tree in self.halves.iter().flat_map(|halves| [halves.lower, halves.upper]) {
            transaction.drop_tree(tree)?;
        }
        Ok(())
    }

    /// Whether the other's entries are what this one would have made of its documents.
    pub(crate) fn makes_the_same_as(&self, other: &Index) -> bool {
        (&self.definition, self.multi, self.geo) == (&other.definition, other.multi, other.geo)
    }

    /// Whether documents are still missing from it, or nobody has said that none are.
    pub fn needs_building(&self) -> bool {
        self.built != Built::Whole || self.state == IndexState::Building
    }
}

/// All of it. Immutable: a change makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// By id.
    pub indexes: BTreeMap<IndexId, Arc<Index>>,
    /// The write hook's stored bytes.
    pub write_hook: Option<Bytes>,
    /// How many bytes of changes the change log may hold, if that was told.
    pub change_log_bytes: Option<u64>,
}

impl Schema {
    /// The index of that name.
    pub fn index(&self, name: &str) -> Option<&Arc<Index>> {
        self.indexes.values().find(|index| index.name == name)
    }

    /// How many bytes of changes the change log may hold.
    pub fn change_log_bytes(&self) -> u64 {
        self.change_log_bytes.unwrap_or(CHANGE_LOG_BYTES_DEFAULT)
    }

    /// Reads what [`write_index`], [`write_hook`] and [`write_change_log_bytes`] stored.
    pub fn load(snapshot: &Snapshot) -> Result<Schema, ShardError> {
        let mut schema = Schema::default();
        let mut cursor = snapshot.cursor(trees::SCHEMA, KeyRange::all(), Direction::Forward)?;
        while let Some((key, value)) = cursor.next()? {
            schema.take_row(&key, value)?;
        }
        Ok(schema)
    }

    /// The same, of what lies in another tree.
    pub(crate) fn load_from(transaction: &Transaction, tree: TreeId) -> Result<Schema, ShardError> {
        let mut schema = Schema::default();
        let mut cursor = transaction.cursor(tree, KeyRange::all(), Direction::Forward)?;
        while let Some((key, value)) = cursor.next()? {
            schema.take_row(&key, value)?;
        }
        Ok(schema)
    }

    fn take_row(&mut self, key: &[u8], value: Bytes) -> Result<(), ShardError> {
        match key.first() {
            Some(&KEY_INDEX) => {
                let index = decode_index(key, &value)?;
                self.indexes.insert(index.id, Arc::new(index));
            }
            Some(&KEY_WRITE_HOOK) => self.write_hook = Some(value),
            Some(&KEY_CHANGE_LOG_BYTES) => {
                let mut reader = Reader::new("how much a change log may hold", &value);
                self.change_log_bytes = Some(reader.u64()?);
                reader.end()?;
            }
            _ => return Err(ShardError::Format { what: "a schema key", offset: 0, reason: "of an unknown kind" }),
        }
        Ok(())
    }
}

/// Stores an index's definition and state.
pub fn write_index(transaction: &mut Transaction, index: &Index) -> Result<(), ShardError> {
    write_index_to(transaction, trees::SCHEMA, index)
}

/// The same in another tree.
pub(crate) fn write_index_to(transaction: &mut Transaction, tree: TreeId, index: &Index) -> Result<(), ShardError> {
    let mut value = vec![VERSION];
    value.put_u32_le(index.tree.0);
    let ready = index.state == IndexState::Ready;
    let flags =
        [(index.multi, FLAG_MULTI), (ready, FLAG_READY), (index.geo, FLAG_GEO), (index.outdated, FLAG_OUTDATED)];
    value.put_u8(flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum());
    value.put_u16_le(index.evaluator.0);
    put_name(&mut value, &index.name);
    put_built(&mut value, &index.built);
    put_bytes(&mut value, &index.definition);
    value.put_u8(u8::from(index.halves.is_some()));
    if let Some(Halves { at, lower, upper, copied }) = &index.halves {
        put_key(&mut value, at);
        value.put_u32_le(lower.0);
        value.put_u32_le(upper.0);
        put_built(&mut value, copied);
    }
    value.put_u8(u8::from(index.rest.is_some()));
    if let Some(rest) = index.rest {
        value.put_u32_le(rest.0);
    }
    transaction.put(tree, &index_key(index.id), &value)?;
    Ok(())
}

fn put_built(out: &mut Vec<u8>, built: &Built) {
    match built {
        Built::Nothing => out.put_u8(0),
        Built::UpTo(key) => {
            out.put_u8(1);
            put_key(out, key);
        }
        Built::Whole => out.put_u8(2),
    }
}

fn read_built(reader: &mut Reader<'_>) -> Result<Built, ShardError> {
    match reader.u8()? {
        0 => Ok(Built::Nothing),
        1 => Ok(Built::UpTo(reader.key()?)),
        2 => Ok(Built::Whole),
        _ => Err(reader.error("unknown state of building")),
    }
}

/// Removes an index's definition; its tree is the caller's.
pub fn remove_index(transaction: &mut Transaction, id: IndexId) -> Result<(), ShardError> {
    transaction.delete(trees::SCHEMA, &index_key(id))?;
    Ok(())
}

/// Stores or removes the write hook.
pub fn write_hook(transaction: &mut Transaction, definition: Option<&Bytes>) -> Result<(), ShardError> {
    write_hook_to(transaction, trees::SCHEMA, definition)
}

/// The same in another tree.
pub(crate) fn write_hook_to(
    transaction: &mut Transaction,
    tree: TreeId,
    definition: Option<&Bytes>,
) -> Result<(), ShardError> {
    match definition {
        Some(definition) => transaction.put(tree, &[KEY_WRITE_HOOK], definition)?,
        None => transaction.delete(tree, &[KEY_WRITE_HOOK])?,
    };
    Ok(())
}

/// Stores how many bytes the change log may hold, if that was told.
pub(crate) fn write_change_log_bytes(transaction: &mut Transaction, bytes: Option<u64>) -> Result<(), ShardError> {
    write_change_log_bytes_to(transaction, trees::SCHEMA, bytes)
}

/// The same in another tree, which has none.
pub(crate) fn write_change_log_bytes_to(
    transaction: &mut Transaction,
    tree: TreeId,
    bytes: Option<u64>,
) -> Result<(), ShardError> {
    if let Some(bytes) = bytes {
        transaction.put(tree, &[KEY_CHANGE_LOG_BYTES], &bytes.to_le_bytes())?;
    }
    Ok(())
}

/// What all replicas agree on of a row that the functions above stored: not the tree of an index and how far it
/// is built, which are others where one replica builds it again by itself.
pub(crate) fn agreed(key: &[u8], value: &Bytes) -> Result<Vec<u8>, ShardError> {
    if key.first() != Some(&KEY_INDEX) {
        return Ok(value.to_vec());
    }
    let stored = StoredIndex::decode(value)?;
    let mut agreed = vec![stored.flags & !FLAG_OUTDATED];
    put_name(&mut agreed, &stored.name);
    put_bytes(&mut agreed, &stored.definition);
    Ok(agreed)
}

fn index_key(id: IndexId) -> [u8; 9] {
    let mut key = [KEY_INDEX; 9];
    key[1..].copy_from_slice(&id.0.to_be_bytes());
    key
}

fn decode_index(key: &[u8], value: &Bytes) -> Result<Index, ShardError> {
    let id = key
        .get(1..9)
        .and_then(|id| id.try_into().ok())
        .map(|id| IndexId(u64::from_be_bytes(id)))
        .ok_or(ShardError::Format { what: "an index's key", offset: 1, reason: "of the wrong length" })?;
    let StoredIndex { tree, flags, evaluator, name, built, definition, halves, rest } = StoredIndex::decode(value)?;
    let function = IndexFunction::compile(&name, &definition)?;
    let state = if flags & FLAG_READY == 0 { IndexState::Building } else { IndexState::Ready };
    let [multi, geo, outdated] = [FLAG_MULTI, FLAG_GEO, FLAG_OUTDATED].map(|flag| flags & flag != 0);
    Ok(Index { id, name, tree, multi, geo, definition, function, state, built, evaluator, outdated, halves, rest })
}

/// The value of an index, not looked into.
struct StoredIndex {
    tree: TreeId,
    flags: u8,
    evaluator: EvaluatorVersion,
    name: String,
    built: Built,
    definition: Bytes,
    halves: Option<Halves>,
    rest: Option<TreeId>,
}

impl StoredIndex {
    fn decode(value: &Bytes) -> Result<StoredIndex, ShardError> {
        let mut reader = Reader::new("an index's definition", value);
        let version = reader.version(VERSION)?;
        let tree = TreeId(reader.u32()?);
        let flags = reader.u8()?;
        let evaluator = match version {
            VERSION_WITH_EVALUATOR.. => EvaluatorVersion(reader.u16()?),
            _ => EvaluatorVersion::UNKNOWN,
        };
        let name = reader.name()?;
        let (built, definition) = (read_built(&mut reader)?, reader.bytes()?);
        let mut halves = None;
        if version >= VERSION_WITH_HALVES && reader.u8()? == 1 {
            let (at, lower, upper) = (reader.key()?, TreeId(reader.u32()?), TreeId(reader.u32()?));
            halves = Some(Halves { at, lower, upper, copied: read_built(&mut reader)? });
        }
        let has_rest = version >= VERSION_WITH_REST && reader.u8()? == 1;
        let rest = if has_rest { Some(TreeId(reader.u32()?)) } else { None };
        reader.end()?;
        Ok(StoredIndex { tree, flags, evaluator, name, built, definition, halves, rest })
    }
}

#[cfg(test)]
mod tests {
    use photondb_reql::eval::Cx;
    use photondb_reql::eval::stored::{compile_term, encode_function};
    use photondb_reql::term::{Message, parse};
    use photondb_storage::{Engine, EngineOptions, TreeSetId};

    use super::*;

    fn definition() -> Bytes {
        let Ok(Message::Start(start)) = parse(br#"[1,[69,[[2,[1]],[170,[[10,[1]],"a"]]]]]"#) else { panic!("a query") };
        Bytes::from(encode_function(&compile_term(&start.term).expect("compiles"), &Cx::pure()).expect("encodes"))
    }

    #[test]
    fn golden_bytes_of_how_much_a_change_log_may_hold() {
        let set = Engine::in_memory(EngineOptions::default()).create_tree_set(TreeSetId(1)).expect("a new tree set");
        let mut transaction = set.begin();
        transaction.create_tree(trees::SCHEMA).expect("a new tree");
        transaction.commit().expect("commits");
        let nothing_told = Schema::load(&set.snapshot()).expect("reads");
        assert_eq!((nothing_told.change_log_bytes, nothing_told.change_log_bytes()), (None, CHANGE_LOG_BYTES_DEFAULT));
        let mut transaction = set.begin();
        write_change_log_bytes(&mut transaction, Some(0x0102)).expect("writes");
        transaction.commit().expect("commits");
        let stored = set.get(trees::SCHEMA, b"\x03").expect("reads").expect("is there");
        assert_eq!(stored.as_ref(), b"\x02\x01\0\0\0\0\0\0");
        assert_eq!(Schema::load(&set.snapshot()).expect("reads").change_log_bytes(), 0x0102);
    }

    #[test]
    fn golden_bytes_of_an_index() {
        let definition = definition();
        let index = Index {
            id: IndexId(7),
            name: "by_a".into(),
            tree: TreeId(17),
            multi: true,
            geo: false,
            function: IndexFunction::compile("by_a", &definition).expect("compiles"),
            definition: definition.clone(),
            state: IndexState::Ready,
            built: Built::UpTo(Bytes::from_static(b"k")),
            evaluator: EvaluatorVersion(0x0102),
            outdated: true,
            halves: Some(Halves {
                at: Bytes::from_static(b"m"),
                lower: TreeId(0x2000_0000),
                upper: TreeId(0x2000_0001),
                copied: Built::UpTo(Bytes::from_static(b"e")),
            }),
            rest: Some(TreeId(0x2000_0002)),
        };
        let set = Engine::in_memory(EngineOptions::default()).create_tree_set(TreeSetId(1)).expect("a new tree set");
        let mut transaction = set.begin();
        transaction.create_tree(trees::SCHEMA).expect("a new tree");
        write_index(&mut transaction, &index).expect("writes");
        transaction.commit().expect("commits");
        let key = b"\x01\0\0\0\0\0\0\0\x07";
        let stored = set.get(trees::SCHEMA, key).expect("reads").expect("is there");
        let length = u32::try_from(definition.len()).expect("short").to_le_bytes();
        let halves = b"\x01\x01\0m\0\0\0\x20\x01\0\0\x20\x01\x01\0e";
        let rest = b"\x01\x02\0\0\x20";
        let head = b"\x05\x11\0\0\0\x0b\x02\x01\x04\0by_a\x01\x01\0k".as_slice();
        let expected = [head, &length, &definition, halves, rest].concat();
        assert_eq!(stored.as_ref(), expected);

        let read = decode_index(key, &stored).expect("decodes");
        assert_eq!(format!("{read:?}"), format!("{index:?}"));
        // As it was before it had a rest.
        let old = [&[4], &head[1..], &length, &definition, halves].concat();
        let read = decode_index(key, &Bytes::from(old)).expect("decodes");
        assert_eq!(format!("{read:?}"), format!("{:?}", Index { rest: None, ..index.clone() }));
        // As it was before it had halves.
        let old = [&[3], &head[1..], &length, &definition].concat();
        let read = decode_index(key, &Bytes::from(old)).expect("decodes");
        assert_eq!(format!("{read:?}"), format!("{:?}", Index { halves: None, rest: None, ..index }));
        // As it was before there was an evaluator in it.
        let old = [b"\x01\x11\0\0\0\x03\x04\0by_a\x02".as_slice(), &length, &definition].concat();
        let read = decode_index(key, &Bytes::from(old)).expect("decodes");
        assert_eq!((read.evaluator, read.outdated, read.is_usable()), (EvaluatorVersion::UNKNOWN, false, true));
        assert!(read.multi && !read.geo);
        let newer = [&[6], &expected[1..]].concat();
        assert!(matches!(decode_index(key, &Bytes::from(newer)), Err(ShardError::Newer { found: 6, known: 5, .. })));
    }
}
