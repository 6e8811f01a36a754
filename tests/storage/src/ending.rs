//! Why something did not go on.

use photondb_storage::StorageError;

/// What ends an action, a life, or the run.
#[derive(Debug)]
pub enum Ending {
    /// A property does not hold: the run has failed.
    Violation(String),
    /// Storage answered with an error; whether it may depends on what the disk did.
    Refused(StorageError),
    /// Storage says that something is damaged, in a run whose disk lies: that is all it can do.
    Reported(String),
}

impl From<StorageError> for Ending {
    fn from(error: StorageError) -> Self {
        Ending::Refused(error)
    }
}

/// The result of everything a run does.
pub type Outcome<T = ()> = Result<T, Ending>;

/// A violation.
pub fn violation<T>(what: impl Into<String>) -> Outcome<T> {
    Err(Ending::Violation(what.into()))
}

/// Whether an error says that bytes are not what was written.
pub fn is_damage(error: &StorageError) -> bool {
    match error {
        StorageError::WalDamaged { .. }
        | StorageError::DamagedPage { .. }
        | StorageError::NoSuperblock { .. }
        | StorageError::StaleCheckpoint { .. }
        | StorageError::LogMissing { .. }
        | StorageError::NoLog { .. }
        | StorageError::NewerFormat { .. }
        | StorageError::Inconsistent { .. }
        | StorageError::StreamSuspect { .. } => true,
        StorageError::Poisoned(inner) => is_damage(inner),
        _ => false,
    }
}
