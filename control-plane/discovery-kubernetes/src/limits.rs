//! Every maximum of this crate.

use std::time::Duration;

/// How long a look may take, with all its pages. Shorter than a node that starts waits for one
/// (`photondb_controller::limits::START_CALL_MAX`), so that the reason is told and not that there was no answer.
pub const LOOK_TIME_MAX: Duration = Duration::from_millis(1500);

/// Slices that one page of an answer may have. A slice has a hundred pods unless somebody configured Kubernetes otherwise.
pub const PAGE_SLICES: u32 = 100;

/// Pages of one look.
pub const PAGES_MAX: usize = 100;

/// How often a look begins anew because its pages expired under it.
pub const RESTARTS_MAX: usize = 3;

/// Bytes of all the pages of one look. A thousand pods take about half a mebibyte.
pub const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Pods that one service may have.
pub const PODS_MAX: usize = 1000;

/// Bytes of what a server says when it refuses that are read, and characters of it that are shown.
pub const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// See [`REFUSAL_BYTES_MAX`].
pub const REFUSAL_SHOWN_MAX: usize = 300;

/// Bytes of a file of the service account.
pub const ACCOUNT_FILE_BYTES_MAX: u64 = 1 << 20;

/// The longest name of a service or a namespace, in bytes (RFC 1123).
pub const LABEL_BYTES_MAX: usize = 63;
