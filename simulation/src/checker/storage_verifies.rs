//! Between two lives the directory is sound: storage's own offline check finds nothing.

use std::sync::Arc;

use photondb_storage::disk::simulated::SimulatedDisk;
use photondb_storage::verify;

use crate::checker::Violation;

const PROPERTY: &str = "storage verifies";

/// Checks the directory in `disk`, which nobody has open. Gives how many pages were looked at.
pub fn check(disk: &SimulatedDisk) -> Result<u64, Violation> {
    let violation = |evidence| Violation { property: PROPERTY, evidence };
    let report = verify::check(Arc::new(disk.clone()), &mut |_| ()).map_err(|error| violation(error.to_string()))?;
    match report.problems.first() {
        None => Ok(report.pages),
        Some(first) => Err(violation(format!("{} problems, the first: {first}", report.problems.len()))),
    }
}
