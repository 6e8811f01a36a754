//! What many runs came to.

use std::fmt;
use std::time::Duration;

use photondb_storage::disk::simulated::Fault;

use crate::Report;
use crate::zones::Zone;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// Runs.
    pub runs: u64,
    /// Lives of a process.
    pub lives: u64,
    /// Power losses, those during recovery included.
    pub power_losses: u64,
    /// Power losses during recovery.
    pub power_losses_in_recovery: u64,
    /// Checks of a whole directory.
    pub checks: u64,
    /// Runs that ended with a report of damage.
    pub reported: u64,
    /// How often each fault struck.
    pub faults: [u64; Fault::ALL.len()],
    /// How often a bit of each kind of bytes flipped.
    pub rotted: [u64; Zone::ALL.len()],
    /// What the calls of slow disks would have taken.
    pub disk_time: Duration,
}

impl Sums {
    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.lives += report.lives;
        self.power_losses += report.power_losses;
        self.power_losses_in_recovery += report.power_losses_in_recovery;
        self.checks += report.checks;
        self.reported += u64::from(report.reported.is_some());
        self.disk_time += report.disk_time;
        self.faults.iter_mut().zip(report.faults).for_each(|(sum, count)| *sum += count);
        self.rotted.iter_mut().zip(report.rotted).for_each(|(sum, count)| *sum += count);
    }

    /// Faults that never struck and kinds of bytes that never rotted.
    pub fn missing(&self) -> Vec<String> {
        let faults = Fault::ALL.iter().zip(self.faults).filter(|(_, count)| *count == 0);
        let zones = Zone::ALL.iter().zip(self.rotted).filter(|(_, count)| *count == 0);
        faults.map(|(fault, _)| fault.to_string()).chain(zones.map(|(zone, _)| format!("rot of {zone:?}"))).collect()
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sums { runs, lives, power_losses, power_losses_in_recovery, checks, reported, disk_time, .. } = self;
        let faults: u64 = self.faults.iter().chain(&self.rotted).sum();
        write!(
            formatter,
            "{runs} runs, {lives} lives, {power_losses} power losses ({power_losses_in_recovery} during recovery), \
             {faults} faults, {checks} checks, {reported} runs with damage reported, {} s of slow disks;",
            disk_time.as_secs()
        )?;
        let faults = Fault::ALL.iter().zip(self.faults);
        faults.into_iter().try_for_each(|(fault, count)| write!(formatter, " {fault}: {count},"))?;
        Zone::ALL.iter().zip(self.rotted).try_for_each(|(zone, count)| write!(formatter, " {zone:?} rotted: {count},"))
    }
}
