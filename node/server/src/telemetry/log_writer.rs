//! Standard error, as the log is written there. When that fails the node goes on, and tells of it in `current_issues`.

use std::io::{self, Write};

use parking_lot::Mutex;

/// Why the newest line could not be written.
static FAILED: Mutex<Option<String>> = Mutex::new(None);

/// Why the newest line of the log could not be written; `None`: it was.
pub fn log_error() -> Option<String> {
    FAILED.lock().clone()
}

/// Writes lines to standard error, and keeps whether that succeeds. It never fails itself: whoever logs cannot do anything about
/// it, and the library that formats lines would write of it to standard error, and panic when that fails too.
#[derive(Default)]
pub(super) struct LogWriter(());

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        note(&io::stderr().write_all(line), &mut FAILED.lock());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn note(written: &io::Result<()>, failed: &mut Option<String>) {
    match written {
        Ok(()) if failed.is_none() => {}
        Ok(()) => *failed = None,
        Err(error) => *failed = Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_kept_until_a_line_is_written() {
        let mut failed = None;
        note(&Err(io::Error::other("the disk is full")), &mut failed);
        assert_eq!(failed.as_deref(), Some("the disk is full"));
        note(&Ok(()), &mut failed);
        assert_eq!(failed, None);
    }
}
