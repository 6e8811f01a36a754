//! What a survey of the log says, as findings.

use crate::disk::Disk;
use crate::error::StorageError;
use crate::superblock::Superblock;
use crate::wal::{Damage, DamageKind, LogSurvey, Lsn, StreamId, survey};

use super::finding::{Concerns, Finding, Findings, Note, Remedy, Zone};
use super::{CheckReport, Meter};

/// Reads the log. `superblock`: the newest, when there is one.
pub(super) fn check_log(
    disk: &dyn Disk,
    superblock: Option<&Superblock>,
    report: &mut CheckReport,
    findings: &mut Findings,
    meter: &mut Meter<'_>,
) -> LogSurvey {
    let start = superblock.map_or(Lsn::ZERO, |superblock| Lsn::new(superblock.wal_start));
    let found = match survey(disk, start, &mut |done, total| meter.log(done, total)) {
        Ok(found) => found,
        Err(problem) => {
            findings.add(Finding::new(Zone::LogSegment, Concerns::Log, problem, Remedy::RefillOrRestore));
            return LogSurvey::default();
        }
    };
    report.streams = found.streams.len() as u64;
    report.log_records = found.records;
    report.log_bytes = found.segments.iter().map(|segment| segment.file_bytes).sum();
    for damage in &found.damage {
        findings.add(damaged(&found, damage));
    }
    let accepted = |damage: &Damage| Note::AcceptedDamage { damage: damage.clone() };
    report.notes.extend(found.damage_accepted.iter().map(accepted));
    belongs_together(&found, superblock, findings);
    for (stream, surveyed) in &found.streams {
        let concerns = Concerns::Stream(*stream);
        if let Some(damage) = &surveyed.lost {
            let detail = format!("stream {stream} may have lost records: {damage}");
            let problem = StorageError::Inconsistent { detail };
            let finding = Finding::new(Zone::LogStream, concerns, problem, Remedy::RefillStream);
            findings.add(finding.at(&name_of(&found, damage.segment), damage.offset));
        } else if surveyed.state.suspect {
            let problem = StorageError::StreamSuspect { stream: stream.0 };
            findings.add(Finding::new(Zone::LogStream, concerns, problem, Remedy::RefillStream));
        }
    }
    if found.torn_bytes > 0
        && let Some(segment) = found.segments.iter().find(|one| one.start <= found.end && found.end < one.end)
    {
        let (file, offset) = (segment.name.clone(), found.end.get() - segment.start.get());
        report.notes.push(Note::TornTail { file, offset, bytes: found.torn_bytes });
    }
    found
}

/// The log reaches what the superblock relies on, and has seen no checkpoint that the superblocks lack (R2).
fn belongs_together(found: &LogSurvey, superblock: Option<&Superblock>, findings: &mut Findings) {
    let Some(superblock) = superblock else { return };
    let mut refuse = |zone, problem| {
        findings.add(Finding::new(zone, Concerns::Everything, problem, Remedy::CopyAgain));
    };
    if superblock.boot > 0 && found.segments.is_empty() {
        refuse(Zone::LogSegment, StorageError::NoLog { boot: superblock.boot });
    } else if found.end.get() < superblock.wal_start {
        refuse(Zone::LogSegment, StorageError::LogMissing { start: superblock.wal_start, end: found.end.get() });
    }
    if found.generation > superblock.generation.saturating_add(1) {
        let problem = StorageError::StaleCheckpoint { found: superblock.generation, recorded: found.generation };
        refuse(Zone::Superblock, problem);
    }
}

fn damaged(found: &LogSurvey, damage: &Damage) -> Finding {
    let (zone, concerns) = match damage.kind {
        DamageKind::Checksum { .. } => (Zone::LogRecord, Concerns::Log),
        DamageKind::Segment => (Zone::LogSegment, Concerns::Log),
        DamageKind::Link { stream, .. } | DamageKind::Entry { stream, .. } => {
            (Zone::LogStream, if stream == StreamId::LOG { Concerns::Log } else { Concerns::Stream(stream) })
        }
    };
    let problem = StorageError::WalDamaged { damage: damage.clone() };
    let finding = Finding::new(zone, concerns, problem, Remedy::RefillStream);
    finding.at(&name_of(found, damage.segment), damage.offset)
}

fn name_of(found: &LogSurvey, sequence: u64) -> String {
    let known = found.segments.iter().find(|segment| segment.sequence == sequence);
    known.map_or_else(|| format!("wal-{sequence:016x}"), |segment| segment.name.clone())
}
