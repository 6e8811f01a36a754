//! What disks were asked.

use super::Cluster;

impl Cluster {
    /// What was asked of all disks together, in calls that change something.
    pub fn disk_calls(&self) -> u64 {
        self.machines.iter().map(|machine| machine.disk().operations()).sum()
    }

    /// What disks were asked within the step.
    pub(super) fn trace_disks(&mut self) {
        for (at, before) in self.disks.iter_mut().enumerate() {
            let disk = self.machines[at].disk();
            let asked = disk.trace_hash();
            if asked == *before {
                continue;
            }
            *before = asked;
            let lines = if self.trace.is_shown() { disk.take_trace() } else { Vec::new() };
            self.trace.note(&(at, asked), format_args!("disk of n{}: {}", at + 1, lines.join("; ")));
        }
    }
}
