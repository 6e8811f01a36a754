//! The parts for people.

use std::io::{self, Write};

use photondb_storage::inspect::{EntryReport, Inspector, KeyText, PageReport, SpaceReport, TreesReport};
use photondb_storage::page::PageId;
use photondb_storage::wal::LogSurvey;

use super::Part;
use crate::command::offline::{size, table};

pub(super) fn part(out: &mut impl Write, part: &Part<'_>) -> io::Result<()> {
    match part {
        Part::Superblock(inspector) => superblocks(out, inspector),
        Part::Trees(Ok(report)) => trees(out, report),
        Part::Space(Ok(report)) => space(out, report),
        Part::Log(Ok(survey)) => log(out, survey),
        Part::Page(Ok(report)) => page(out, report),
        Part::Trees(Err(error)) | Part::Space(Err(error)) | Part::Log(Err(error)) | Part::Page(Err(error)) => {
            writeln!(out, "{}: cannot be shown: {error}", part.name())
        }
    }
}

fn optional(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn page_name(page: Option<PageId>) -> String {
    page.map_or_else(|| "-".to_owned(), |page| format!("{page:?}"))
}

fn superblocks(out: &mut impl Write, inspector: &Inspector) -> io::Result<()> {
    writeln!(out, "superblocks")?;
    if inspector.superblocks().is_empty() {
        writeln!(out, "  the file is missing")?;
    }
    for report in inspector.superblocks() {
        let role = if report.newest { ", the newest" } else { "" };
        let found = match &report.content {
            Ok(found) => found,
            Err(flaw) => {
                writeln!(out, "  slot {} (byte {}): not valid: {}", report.slot, report.offset, flaw.detail())?;
                continue;
            }
        };
        let end = if found.clean { ", written when the node was stopped" } else { "" };
        writeln!(out, "  slot {} (byte {}): checkpoint {}{role}{end}", report.slot, report.offset, found.generation)?;
        match found.identity {
            Some((cluster, node)) => {
                writeln!(out, "    cluster {cluster:032x}, node {node:032x}, boot {}", found.boot)?
            }
            None => writeln!(out, "    no cluster yet, boot {}", found.boot)?,
        }
        let root = found.catalogue.page.and_then(|page| page.page_id());
        let root = page_name(root);
        writeln!(out, "    catalogue {root} with {} tree sets, log from {}", found.catalogue.count, found.wal_start)?;
        writeln!(out, "    {} extents, free set directory {:?}", found.extents, found.directory)?;
    }
    Ok(())
}

fn trees(out: &mut impl Write, report: &TreesReport) -> io::Result<()> {
    writeln!(out, "trees")?;
    let mut rows = Vec::new();
    for set in &report.sets {
        for tree in &set.trees {
            let footprint = tree.footprint;
            let ratio = footprint.content_bytes as f64 / footprint.stored_bytes.max(1) as f64;
            let stored = footprint.stored_bytes > 0;
            rows.push(vec![
                set.id.0.to_string(),
                tree.id.0.to_string(),
                tree.entries.to_string(),
                tree.levels.to_string(),
                footprint.leaf_pages.to_string(),
                footprint.branch_pages.to_string(),
                footprint.value_pages.to_string(),
                size(footprint.slot_bytes),
                optional(stored.then(|| size(footprint.stored_bytes))),
                optional(stored.then(|| format!("{ratio:.2}"))),
                page_name(tree.root),
            ]);
        }
    }
    let titles =
        ["set", "tree", "entries", "levels", "leaves", "branches", "values", "slots", "stored", "ratio", "root"];
    table(out, &titles, &rows)?;
    let rows: Vec<_> = report
        .sets
        .iter()
        .map(|set| {
            let compression = super::compression_name(set.compression).to_owned();
            vec![set.id.0.to_string(), set.trees.len().to_string(), compression, size(set.meta_bytes)]
        })
        .collect();
    writeln!(out, "\ntree sets")?;
    table(out, &["set", "trees", "compression", "meta"], &rows)?;
    for set in &report.sets {
        for tree in &set.trees {
            if let Some(problem) = &tree.problem {
                let (set, id, count) = (set.id.0, tree.id.0, tree.damaged_pages);
                writeln!(out, "  tree {id} of set {set}: {count} damaged pages, the first: {problem}")?;
            }
        }
    }
    report.problem.as_ref().map_or(Ok(()), |problem| writeln!(out, "  the catalogue cannot be read further: {problem}"))
}

fn space(out: &mut impl Write, report: &SpaceReport) -> io::Result<()> {
    writeln!(out, "space")?;
    let amplification = report.amplification().map_or_else(|| "-".to_owned(), |factor| format!("{factor:.2}"));
    writeln!(
        out,
        "  page file {}, {} in {} used slots: amplification {amplification}",
        size(report.file_bytes),
        size(report.used_bytes),
        report.used_slots
    )?;
    writeln!(
        out,
        "  {} extents of 1 MiB, {} of them free; {} free slots in the others ({})",
        report.extents,
        report.free_extents,
        report.free_slots,
        size(report.free_slot_bytes)
    )?;
    let rows: Vec<_> = report
        .classes
        .iter()
        .map(|class| {
            let percent = class.used_slots * 100 / class.slots.max(1);
            vec![
                size(class.slot_bytes),
                class.extents.to_string(),
                class.slots.to_string(),
                class.used_slots.to_string(),
                format!("{percent} %"),
            ]
        })
        .collect();
    table(out, &["slot", "extents", "slots", "used", "full"], &rows)
}

fn log(out: &mut impl Write, survey: &LogSurvey) -> io::Result<()> {
    writeln!(out, "log")?;
    let closed = if survey.closed { "closed" } else { "not closed" };
    writeln!(
        out,
        "  from {} to {}, durable to {} at least; {} records; {closed}; last checkpoint recorded {}",
        survey.named_start, survey.end, survey.durable, survey.records, survey.generation
    )?;
    if survey.torn_bytes > 0 {
        writeln!(out, "  {} bytes behind the end are of a write that was cut short", survey.torn_bytes)?;
    }
    let segments: Vec<_> = survey
        .segments
        .iter()
        .map(|segment| {
            vec![
                segment.name.clone(),
                super::state_name(segment.state).to_owned(),
                size(segment.file_bytes),
                segment.start.to_string(),
                segment.end.to_string(),
                segment.live_records.to_string(),
                size(segment.live_bytes),
                format!("{:016x}", segment.incarnation),
            ]
        })
        .collect();
    table(out, &["segment", "state", "size", "from", "to", "live records", "live", "incarnation"], &segments)?;
    for (name, bytes) in &survey.spares {
        writeln!(out, "  {name}: spare, {}", size(*bytes))?;
    }
    let streams: Vec<_> = survey
        .streams
        .iter()
        .map(|(id, stream)| {
            let state = &stream.state;
            let standing = match (&stream.lost, state.suspect, state.erased) {
                (_, _, true) => "erased",
                (Some(_), ..) | (_, true, _) => "suspect",
                _ => "whole",
            };
            vec![
                id.to_string(),
                optional(state.first_index),
                optional(state.last_index),
                optional(state.purged.as_ref().map(|(upto, _)| upto)),
                if state.vote.is_some() { "yes" } else { "no" }.to_owned(),
                stream.live_records.to_string(),
                size(stream.live_bytes),
                standing.to_owned(),
            ]
        })
        .collect();
    writeln!(out, "\nstreams")?;
    table(out, &["stream", "first", "last", "purged", "vote", "live records", "live", "state"], &streams)?;
    survey.damage.iter().try_for_each(|damage| writeln!(out, "  {damage}"))
}

fn page(out: &mut impl Write, report: &PageReport) -> io::Result<()> {
    let PageReport { page, offset, kind, generation, content_bytes, stored_bytes, level, entries } = report;
    writeln!(out, "page {page:?} at byte {offset}: {}, checkpoint {generation}", super::kind_name(*kind))?;
    writeln!(out, "  {content_bytes} bytes of content, stored in {stored_bytes} of {}", page.class().slot_bytes())?;
    if let Some(level) = level {
        writeln!(out, "  level {level}, {} entries", entries.len())?;
    }
    for entry in entries {
        match entry {
            EntryReport::Inline { key, value_bytes } => writeln!(out, "  {}: {value_bytes} bytes", KeyText(key))?,
            EntryReport::Large { key, value_bytes, page } => {
                writeln!(out, "  {}: {value_bytes} bytes in {}", KeyText(key), page_name(*page))?;
            }
            EntryReport::Child { key, page, entries } => {
                writeln!(out, "  from {}: {}, {entries} entries", KeyText(key), page_name(*page))?;
            }
        }
    }
    Ok(())
}
