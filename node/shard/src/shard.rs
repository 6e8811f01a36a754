//! The state machine: entries in, effects out, and readers at any time.

mod adopt;
mod freeze;
mod join;
mod replacement;
mod settle;
mod split;
mod state;
mod take_over;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;
use photondb_proto::{Epoch, IndexId, KeyRange, SchemaVersion};
use photondb_reql::eval::Cx;
use photondb_reql::eval::stored::EvaluatorVersion;
use photondb_storage::fault::fault_point;
use photondb_storage::{Direction, Transaction, TreeId, TreeSet};

use crate::command::{Command, Effect, Fence, Outcome, Skipped};
use crate::error::ShardError;
use crate::format::decode_command;
use crate::index_function::IndexFunction;
use crate::limits::INDEXES_MAX;
use crate::publish::{ChangeBatch, DocumentChange, Listener, Publisher};
use crate::read::{KeyBounds, Reader};
use crate::schema::{self, Built, Index, IndexState, Schema};
use crate::traffic::Traffic;
use crate::{change_log, primary, secondary};
pub use adopt::Ward;
pub use freeze::Frozen;
pub use split::Unborn;
pub(crate) use state::State;
pub use take_over::Freeze;

/// The trees of a shard. Indexes take numbers from `INDEXES_FROM` on, never twice.
pub mod trees {
    use photondb_storage::{Transaction, TreeId};

    use crate::error::ShardError;

    /// Documents.
    pub const PRIMARY: TreeId = TreeId(1);
    /// The change log.
    pub const CHANGE_LOG: TreeId = TreeId(2);
    /// Index definitions, the write hook, and how large the change log may be.
    pub const SCHEMA: TreeId = TreeId(3);
    /// What stays of a change log of which much is cut off: there in the middle of a transaction only.
    pub(crate) const CHANGE_LOG_PASSING: TreeId = TreeId(4);
    /// The first tree of an index.
    pub const INDEXES_FROM: u32 = 16;
    /// The first tree of a half or a rest of an index, which one replica has by itself around a split or a join. No index that the
    /// log makes comes so far.
    pub const HALVES_FROM: u32 = 1 << 29;
    /// The first tree of what was cut off and has no tree set of its own yet, or has been adopted and is not joined yet.
    pub const CHILDREN_FROM: u32 = 1 << 30;
    /// The first tree of an index that one replica builds again by itself.
    pub const BUILT_AGAIN_FROM: u32 = 1 << 31;

    /// Trees of one child at most.
    const PER_CHILD: u32 = photondb_storage::limits::TREES_PER_SET_MAX as u32;

    /// Where a tree of a child lies as long as it has no tree set of its own.
    pub(crate) fn of_child(slot: u32, tree: TreeId) -> TreeId {
        assert!(tree.0 < PER_CHILD, "trees of a child are numbered from the first");
        TreeId(CHILDREN_FROM + slot * PER_CHILD + tree.0)
    }

    /// The slot and the number in it, if the tree is a child's.
    pub(crate) fn slot_of(tree: TreeId) -> Option<(u32, TreeId)> {
        let at = tree.0.checked_sub(CHILDREN_FROM).filter(|_| tree.0 < BUILT_AGAIN_FROM)?;
        Some((at / PER_CHILD, TreeId(at % PER_CHILD)))
    }

    /// Drops everything that lies in a slot.
    pub(crate) fn drop_slot(transaction: &mut Transaction, slot: u32) -> Result<(), ShardError> {
        for tree in transaction.trees() {
            if slot_of(tree).is_some_and(|(of, _)| of == slot) {
                transaction.drop_tree(tree)?;
            }
        }
        Ok(())
    }
}

/// The index of an entry in the shard's log, by which consensus goes. That of a shard has nothing to do with that of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryNumber(pub u64);

/// The place of an entry in the order of all that ever happens to a key, whichever shard has the key by then (S18). It is this that is
/// told, and kept in change logs. In one shard positions ascend with the entries; not every position is an entry's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

/// One committed entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its index in the log.
    pub position: EntryNumber,
    /// The term it was appended in.
    pub term: u64,
    /// What was proposed; `None` for an entry of consensus itself.
    pub command: Option<Bytes>,
}

/// One shard.
pub struct Shard {
    set: TreeSet,
    /// Owned by apply and the index builder, who take turns.
    state: Mutex<State>,
    /// What readers and the proposer see of the schema; replaced after the commit that changed it.
    view: ArcSwap<View>,
    /// A commit under way may take keys away, and `view` does not say so yet.
    narrowing: AtomicBool,
    /// Its member has ended; what it holds is dropped, or another member's. Changed in the turn of who writes.
    closed: AtomicBool,
    publisher: Publisher,
    traffic: Arc<Traffic>,
}

/// The schema in force and the fence that a proposer puts on what it evaluates under it.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Indexes and hook.
    pub schema: Arc<Schema>,
    /// The key range's epoch.
    pub epoch: Epoch,
    /// Counts schema changes.
    pub version: SchemaVersion,
    /// The keys it has; `None`: those that it began with.
    pub range: Option<KeyRange>,
    /// The attempt at a join that has frozen it: it answers nothing, and no write has an effect.
    pub frozen: Option<u32>,
}

impl View {
    /// Whether the shard answers for a key.
    pub fn has(&self, key: &[u8]) -> bool {
        (self.frozen.is_none() || fault_point!("frozen-still-read"))
            && self.range.as_ref().is_none_or(|range| range.contains(key))
    }

    /// Whether it answers still for all keys of a range that belonged to it.
    pub fn covers(&self, range: &KeyRange) -> bool {
        self.frozen.is_none() && self.range.as_ref().is_none_or(|all| all.covers(range))
    }
}

/// What a chunk of index building did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildStep {
    /// Nothing is left to build.
    Idle,
    /// Some documents were indexed; call again.
    Progress,
    /// This index is now built to its end here.
    Built(IndexId),
}

impl Shard {
    /// Opens the shard kept in `set`; an empty set is a new shard.
    pub fn open(set: TreeSet) -> Result<Shard, ShardError> {
        Shard::open_at(set, Epoch::default())
    }

    /// The same; a new shard has this epoch, because there was another one of its number before it.
    pub fn open_at(set: TreeSet, epoch: Epoch) -> Result<Shard, ShardError> {
        let meta = set.meta();
        let state = if meta.is_empty() {
            let mut transaction = set.begin();
            for tree in [trees::PRIMARY, trees::CHANGE_LOG, trees::SCHEMA] {
                transaction.create_tree(tree)?;
            }
            let (next_tree, next_own_tree) = (trees::INDEXES_FROM, trees::HALVES_FROM);
            let state = State { epoch, next_tree, next_own_tree, ..State::default() };
            transaction.set_meta(state.encode())?;
            transaction.commit()?;
            state
        } else {
            State::load(&set, &meta)?
        };
        let view = ArcSwap::from_pointee(state.view());
        let narrowing = AtomicBool::new(false);
        let closed = AtomicBool::new(false);
        let (publisher, traffic) = (Publisher::default(), Arc::default());
        Ok(Shard { set, state: Mutex::new(state), view, narrowing, closed, publisher, traffic })
    }

    /// The bytes of consensus stored with the last entry applied; empty when there is none.
    pub fn consensus(&self) -> Bytes {
        self.state.lock().consensus.clone()
    }

    /// The bytes of consensus that a shard's stored state holds: for states read from elsewhere, such as a checkpoint.
    pub fn consensus_of(meta: &Bytes) -> Result<Bytes, ShardError> {
        if meta.is_empty() { Ok(Bytes::new()) } else { Ok(State::decode(meta)?.consensus) }
    }

    /// The same, of a state that is to be others', too. Errors: [`ShardError::Hollow`] when what belongs to it is not there.
    pub(crate) fn whole_consensus_of(meta: &Bytes) -> Result<Bytes, ShardError> {
        match meta.is_empty() {
            true => Ok(Bytes::new()),
            false => State::decode(meta).and_then(|state| state.check_whole().map(|()| state.consensus)),
        }
    }

    /// The last entry applied.
    pub fn position(&self) -> EntryNumber {
        self.state.lock().applied
    }

    /// The schema and fence in force.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// The encoded document with this encoded key, as of the last commit, for somebody who asks for it. Errors: [`ShardError::Moved`]
    /// when the key is another shard's, or the shard is frozen.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, ShardError> {
        self.traffic.note_get(key);
        self.document(key)
    }

    /// The same, for who writes: not counted as a read.
    pub fn document(&self, key: &[u8]) -> Result<Option<Bytes>, ShardError> {
        let epoch = self.view.load().epoch;
        let found = self.set.get(trees::PRIMARY, key)?;
        if self.narrowing.load(Ordering::Acquire) {
            // What was read may be what a split has left, or a freeze; after its turn that is known.
            drop(self.state.lock());
        }
        let view = self.view.load();
        if view.epoch != epoch {
            // The key may have come in between, with a join.
            return self.read()?.document(key);
        }
        match view.has(key) || fault_point!("range-not-checked") {
            true => found.as_ref().map(primary::document).transpose(),
            false => Err(ShardError::Moved),
        }
    }

    /// Everything as of the last commit.
    pub fn read(&self) -> Result<Reader, ShardError> {
        // An index is never read through a definition that is not its own, nor keys through another range.
        let (view, snapshot) = (self.view.load_full(), self.set.snapshot());
        let head = State::head_of(&snapshot.meta())?;
        if (head.epoch, head.version) == (view.epoch, view.version) {
            return Ok(Reader::new(snapshot, &view, head.told(), &self.traffic));
        }
        // A commit that changed them is about to be made known.
        let _turn = self.state.lock();
        let (view, snapshot) = (self.view.load_full(), self.set.snapshot());
        let head = State::head_of(&snapshot.meta())?;
        Ok(Reader::new(snapshot, &view, head.told(), &self.traffic))
    }

    /// Listens to every change applied after this call.
    pub fn listen(&self, wake: Box<dyn Fn() + Send + Sync>) -> Listener {
        self.publisher.listen(wake)
    }

    /// Whether anybody listened when something was published last.
    pub fn is_listened_to(&self) -> bool {
        !self.publisher.is_idle()
    }

    /// Ends every listener, and what goes on in the background: the shard is being dropped, or goes on in another group. When this
    /// returns, nobody but its group writes to the trees through it.
    pub fn close(&self) {
        {
            let _turn = self.state.lock();
            self.closed.store(true, Ordering::Release);
        }
        self.publisher.close();
    }

    /// Errors: [`ShardError::Gone`] when the shard is closed. Asked in the turn of who writes.
    fn check_open(&self) -> Result<(), ShardError> {
        if self.closed.load(Ordering::Acquire) { Err(ShardError::Gone) } else { Ok(()) }
    }

    /// Applies committed entries in order as one transaction, and stores `consensus` with it. One outcome for each.
    pub fn apply(&self, entries: &[Entry], consensus: Bytes) -> Result<Vec<Outcome>, ShardError> {
        let mut state = self.state.lock();
        let mut work = Work {
            transaction: self.set.begin(),
            state: state.clone(),
            published: Vec::new(),
            cx: Cx::pure(),
            scratch: Vec::new(),
        };
        let mut outcomes = Vec::with_capacity(entries.len());
        for entry in entries {
            outcomes.push(work.entry(entry)?);
        }
        work.state.consensus = consensus;
        // What is hollow has given its limit away, and nothing is added to its log.
        if !work.state.hollow {
            work.trim_log()?;
        }
        let stored = if fault_point!("position-stored-late") { &*state } else { &work.state };
        work.transaction.set_meta(stored.encode())?;
        let Work { transaction, state: next, published, .. } = work;
        self.narrowing.store(next.epoch != state.epoch, Ordering::Release);
        transaction.commit()?;
        let schema_changed = next.version != state.version || next.epoch != state.epoch;
        *state = next;
        if schema_changed {
            self.view.store(Arc::new(state.view()));
            self.narrowing.store(false, Ordering::Release);
        }
        published.iter().for_each(|batch| self.traffic.note_written(&batch.changes));
        if !self.publisher.is_idle() {
            for batch in &published {
                self.publisher.publish(batch);
            }
        }
        Ok(outcomes)
    }

    /// Indexes about `documents` more documents of the first index that is not built to its end. Called between applies;
    /// takes the same turn as they do.
    pub fn build_step(&self, documents: usize) -> Result<BuildStep, ShardError> {
        let mut state = self.state.lock();
        self.check_open()?;
        if state.frozen.is_some() {
            return Ok(BuildStep::Idle);
        }
        let Some(index) = state.schema.indexes.values().find(|index| index.built != Built::Whole).cloned() else {
            return Ok(BuildStep::Idle);
        };
        let ahead = match &index.built {
            Built::UpTo(mark) => KeyBounds::after(mark.clone()),
            _ => KeyBounds::all(),
        };
        let reader = Reader::new(self.set.snapshot(), &state.view(), state.told(), &self.traffic);
        let found = reader.documents(&ahead, Direction::Forward, documents, |_| false)?;
        let mut transaction = self.set.begin();
        let cx = Cx::pure();
        for (key, document) in &found.rows {
            secondary::add(&mut transaction, &index, key, document, state.told().0, &cx)?;
        }
        let built = found.last.map_or(Built::Whole, Built::UpTo);
        let outdated = index.outdated && built != Built::Whole;
        let next = Index { built, outdated, ..(*index).clone() };
        schema::write_index(&mut transaction, &next)?;
        transaction.commit()?;
        let step = if next.built == Built::Whole { BuildStep::Built(index.id) } else { BuildStep::Progress };
        let mut schema = (*state.schema).clone();
        schema.indexes.insert(index.id, Arc::new(next));
        state.schema = Arc::new(schema);
        self.view.store(Arc::new(state.view()));
        Ok(step)
    }

    /// The indexes that are built to their end here but not yet ready: for each, `IndexReady` may be proposed.
    pub fn built_not_ready(&self) -> Vec<IndexId> {
        let view = self.view.load();
        if view.frozen.is_some() {
            return Vec::new();
        }
        let waiting = |index: &&Arc<Index>| index.built == Built::Whole && index.state == IndexState::Building;
        view.schema.indexes.values().filter(waiting).map(|index| index.id).collect()
    }

    /// What it has had to do here.
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// The trees' handle, for snapshots of the whole shard.
    pub fn tree_set(&self) -> &TreeSet {
        &self.set
    }
}

/// One apply in progress.
struct Work {
    transaction: Transaction,
    state: State,
    published: Vec<ChangeBatch>,
    cx: Cx,
    scratch: Vec<u8>,
}

impl Work {
    fn entry(&mut self, entry: &Entry) -> Result<Outcome, ShardError> {
        assert!(entry.position > self.state.applied, "S1: entries are applied once, in order");
        self.state.applied = entry.position;
        let Some(bytes) = &entry.command else { return Ok(Outcome::Applied) };
        match decode_command(bytes)? {
            Command::Write { fence, effects } => self.write(entry, &fence, effects),
            Command::Split(split) => self.split(entry, &split),
            Command::Freeze { attempt } => Ok(self.freeze(entry, attempt)),
            Command::Thaw { attempt } => self.thaw(attempt),
            Command::Join(join) => self.join(&join),
            // It stays what others adopt, or have adopted.
            _ if self.state.frozen.is_some() => Ok(Outcome::Skipped(Skipped::Epoch)),
            command => {
                self.change_schema(command)?;
                self.state.version.0 += 1;
                Ok(Outcome::Applied)
            }
        }
    }

    fn write(&mut self, entry: &Entry, fence: &Fence, effects: Vec<Effect>) -> Result<Outcome, ShardError> {
        if let Some(reason) = self.state.refuses(fence, entry.term) {
            return Ok(Outcome::Skipped(reason));
        }
        (self.state.term, self.state.chain, self.state.number) = (fence.term, fence.chain, fence.number);
        let schema = self.state.schema.clone();
        let position = self.state.told();
        let mut changes = Vec::with_capacity(effects.len());
        for effect in effects {
            let old = primary::write(&mut self.transaction, &effect, position.0, &mut self.scratch)?;
            let change = match effect {
                Effect::Put { key, document } => DocumentChange { key, old, new: Some(document) },
                Effect::Delete { key } => DocumentChange { key, old, new: None },
            };
            let replaces = change.old.is_some() && change.new.is_some();
            let maintained = !(replaces && fault_point!("index-not-maintained"));
            for index in schema.indexes.values().filter(|index| maintained && index.built.covers(&change.key)) {
                secondary::maintain(&mut self.transaction, index, &change, position.0, &self.cx)?;
            }
            let number = u32::try_from(changes.len()).expect("an entry's effects are bounded by its bytes");
            let log = self.state.log;
            let bytes_max = schema.change_log_bytes();
            self.state.log = change_log::append(&mut self.transaction, log, bytes_max, position.0, number, &change)?;
            changes.push(change);
        }
        self.published.push(ChangeBatch::of(position, changes.into()));
        Ok(Outcome::Applied)
    }

    /// Removes what the change log has too much.
    fn trim_log(&mut self) -> Result<(), ShardError> {
        let bytes_max = self.state.schema.change_log_bytes();
        self.state.log = change_log::trim(&mut self.transaction, self.state.log, bytes_max)?;
        Ok(())
    }

    fn change_schema(&mut self, command: Command) -> Result<(), ShardError> {
        let mut schema = (*self.state.schema).clone();
        match command {
            Command::Write { .. }
            | Command::Split(_)
            | Command::Freeze { .. }
            | Command::Thaw { .. }
            | Command::Join(_) => {
                unreachable!("they do not change the schema alone")
            }
            Command::CreateIndex { id, name, multi, geo, definition } => {
                // One index too many is no reason to end every replica: it is never ready, and can be dropped.
                let has_room = schema.indexes.len() < INDEXES_MAX;
                if !schema.indexes.contains_key(&id) && has_room {
                    let tree = TreeId(self.state.next_tree);
                    self.state.next_tree += 1;
                    self.transaction.create_tree(tree)?;
                    let function = IndexFunction::compile(&name, &definition)?;
                    let index = Index {
                        id,
                        name,
                        tree,
                        multi,
                        geo,
                        definition,
                        function,
                        state: IndexState::Building,
                        built: Built::Nothing,
                        evaluator: EvaluatorVersion::CURRENT,
                        outdated: false,
                        halves: None,
                        rest: None,
                    };
                    schema::write_index(&mut self.transaction, &index)?;
                    schema.indexes.insert(id, Arc::new(index));
                }
            }
            Command::DropIndex { id } => {
                if let Some(index) = schema.indexes.remove(&id) {
                    index.drop_trees(&mut self.transaction)?;
                    schema::remove_index(&mut self.transaction, id)?;
                }
            }
            Command::RenameIndex { id, name } => self.change_index(&mut schema, id, |index| index.name = name)?,
            Command::IndexReady { id } => {
                self.change_index(&mut schema, id, |index| index.state = IndexState::Ready)?
            }
            Command::SetWriteHook { definition } => {
                schema::write_hook(&mut self.transaction, definition.as_ref())?;
                schema.write_hook = definition;
            }
            Command::SetChangeLog { bytes_max } => {
                // By what was in force for the entries before, wherever an apply has begun or ends (S7).
                self.trim_log()?;
                self.state.log = change_log::lower(&mut self.transaction, self.state.log, bytes_max)?;
                schema::write_change_log_bytes(&mut self.transaction, Some(bytes_max))?;
                schema.change_log_bytes = Some(bytes_max);
            }
        }
        self.state.schema = Arc::new(schema);
        Ok(())
    }

    fn change_index(
        &mut self,
        schema: &mut Schema,
        id: IndexId,
        change: impl FnOnce(&mut Index),
    ) -> Result<(), ShardError> {
        if let Some(index) = schema.indexes.get(&id) {
            let mut index = (**index).clone();
            change(&mut index);
            schema::write_index(&mut self.transaction, &index)?;
            schema.indexes.insert(id, Arc::new(index));
        }
        Ok(())
    }
}
