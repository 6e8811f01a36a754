//! The parts for programs. Field names are stable and listed in `docs/operations.md`.

use photondb_storage::StorageError;
use photondb_storage::inspect::{
    EntryReport, Inspector, PageReport, SpaceReport, SuperblockReport, TreeReport, TreeSetReport, TreesReport,
};
use photondb_storage::page::PageId;
use photondb_storage::wal::{LogSurvey, SegmentState, SegmentSurvey, StreamId, StreamSurvey};
use serde_json::{Value, json};

use super::Part;

pub(super) fn part(part: &Part<'_>) -> Value {
    match part {
        Part::Superblock(inspector) => superblocks(inspector),
        Part::Trees(Ok(report)) => trees(report),
        Part::Space(Ok(report)) => space(report),
        Part::Log(Ok(survey)) => log(survey),
        Part::Page(Ok(report)) => page(report),
        Part::Trees(Err(error)) | Part::Space(Err(error)) | Part::Log(Err(error)) | Part::Page(Err(error)) => {
            json!({ "error": error.to_string() })
        }
    }
}

fn page_name(page: Option<PageId>) -> Option<String> {
    page.map(|page| format!("{page:?}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn problem(error: Option<&StorageError>) -> Option<String> {
    error.map(ToString::to_string)
}

fn superblocks(inspector: &Inspector) -> Value {
    let error = inspector.newest().err();
    json!({ "slots": inspector.superblocks().iter().map(superblock).collect::<Vec<_>>(), "error": problem(error.as_ref()) })
}

fn superblock(report: &SuperblockReport) -> Value {
    let SuperblockReport { slot, offset, newest, content } = report;
    let mut value = json!({ "slot": slot, "offset": offset, "valid": content.is_ok(), "newest": newest });
    let more = match content {
        Ok(found) => json!({
            "generation": found.generation,
            "cluster": found.identity.map(|(cluster, _)| format!("{cluster:032x}")),
            "node": found.identity.map(|(_, node)| format!("{node:032x}")),
            "boot": found.boot,
            "clean": found.clean,
            "wal_start": found.wal_start,
            "catalogue_root": page_name(found.catalogue.page.and_then(|page| page.page_id())),
            "tree_sets": found.catalogue.count,
            "extents": found.extents,
            "directory": found.directory.iter().map(|page| page_name(Some(*page))).collect::<Vec<_>>(),
        }),
        Err(flaw) => json!({ "error": flaw.detail() }),
    };
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}

fn trees(report: &TreesReport) -> Value {
    json!({
        "tree_sets": report.sets.iter().map(tree_set).collect::<Vec<_>>(),
        "error": problem(report.problem.as_ref()),
    })
}

fn tree_set(set: &TreeSetReport) -> Value {
    json!({
        "id": set.id.0,
        "compression": super::compression_name(set.compression),
        "meta_bytes": set.meta_bytes,
        "trees": set.trees.iter().map(tree).collect::<Vec<_>>(),
    })
}

fn tree(tree: &TreeReport) -> Value {
    let size = tree.footprint;
    let deep = size.stored_bytes > 0;
    json!({
        "id": tree.id.0,
        "root": page_name(tree.root),
        "entries": tree.entries,
        "levels": tree.levels,
        "leaf_pages": size.leaf_pages,
        "branch_pages": size.branch_pages,
        "value_pages": size.value_pages,
        "slot_bytes": size.slot_bytes,
        "stored_bytes": deep.then_some(size.stored_bytes),
        "content_bytes": deep.then_some(size.content_bytes),
        "damaged_pages": tree.damaged_pages,
        "error": problem(tree.problem.as_ref()),
    })
}

fn space(report: &SpaceReport) -> Value {
    let classes = report.classes.iter().map(|class| {
        json!({
            "slot_bytes": class.slot_bytes,
            "extents": class.extents,
            "slots": class.slots,
            "used_slots": class.used_slots,
        })
    });
    json!({
        "file_bytes": report.file_bytes,
        "extents": report.extents,
        "free_extents": report.free_extents,
        "used_slots": report.used_slots,
        "used_bytes": report.used_bytes,
        "free_slots": report.free_slots,
        "free_slot_bytes": report.free_slot_bytes,
        "amplification": report.amplification(),
        "classes": classes.collect::<Vec<_>>(),
    })
}

fn log(survey: &LogSurvey) -> Value {
    let spares = survey.spares.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes }));
    json!({
        "start": survey.named_start.get(),
        "end": survey.end.get(),
        "durable": survey.durable.get(),
        "records": survey.records,
        "torn_bytes": survey.torn_bytes,
        "closed": survey.closed,
        "checkpoint": survey.generation,
        "segments": survey.segments.iter().map(segment).collect::<Vec<_>>(),
        "spares": spares.collect::<Vec<_>>(),
        "streams": survey.streams.iter().map(|(id, found)| stream(*id, found)).collect::<Vec<_>>(),
        "damage": survey.damage.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn segment(segment: &SegmentSurvey) -> Value {
    let known = matches!(segment.state, SegmentState::InUse | SegmentState::Prepared);
    json!({
        "sequence": segment.sequence,
        "name": segment.name,
        "state": super::state_name(segment.state),
        "bytes": segment.file_bytes,
        "incarnation": known.then(|| format!("{:016x}", segment.incarnation)),
        "start": known.then(|| segment.start.get()),
        "end": known.then(|| segment.end.get()),
        "live_records": segment.live_records,
        "live_bytes": segment.live_bytes,
    })
}

fn stream(id: StreamId, found: &StreamSurvey) -> Value {
    let state = &found.state;
    json!({
        "id": id.0,
        "first_index": state.first_index,
        "last_index": state.last_index,
        "purged": state.purged.as_ref().map(|(upto, _)| upto),
        "vote": state.vote.as_ref().map(|vote| hex(vote)),
        "committed": state.committed.as_ref().map(|committed| hex(committed)),
        "erased": state.erased,
        "suspect": state.suspect || found.lost.is_some(),
        "lost": found.lost.as_ref().map(ToString::to_string),
        "live_records": found.live_records,
        "live_bytes": found.live_bytes,
    })
}

fn page(report: &PageReport) -> Value {
    json!({
        "page": page_name(Some(report.page)),
        "offset": report.offset,
        "kind": super::kind_name(report.kind),
        "checkpoint": report.generation,
        "stored_bytes": report.stored_bytes,
        "content_bytes": report.content_bytes,
        "level": report.level,
        "entries": report.entries.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn entry(entry: &EntryReport) -> Value {
    match entry {
        EntryReport::Inline { key, value_bytes } => json!({ "key": hex(key), "value_bytes": value_bytes }),
        EntryReport::Large { key, value_bytes, page } => {
            json!({ "key": hex(key), "value_bytes": value_bytes, "page": page_name(*page) })
        }
        EntryReport::Child { key, page, entries } => {
            json!({ "key": hex(key), "page": page_name(*page), "entries": entries })
        }
    }
}
