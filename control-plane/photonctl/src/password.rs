//! Passwords that are not written on the command line, where other users of the machine could see them.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::limits::PASSWORD_BYTES_MAX;

/// Where the password of a user comes from.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[group(required = true, multiple = false)]
pub struct NewPassword {
    /// Read the user's password from standard input.
    #[arg(long)]
    new_password_stdin: bool,
    /// Read the user's password from a file.
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    /// The user has no password.
    #[arg(long)]
    no_password: bool,
}

impl NewPassword {
    /// The password; `None`: the user has none.
    pub fn read(&self) -> Result<Option<String>, Failure> {
        match &self.new_password_file {
            Some(file) => from_file(file).map(Some),
            None if self.no_password => Ok(None),
            None => from("standard input", std::io::stdin().lock()).map(Some),
        }
    }
}

/// What a file holds.
pub fn from_file(file: &Path) -> Result<String, Failure> {
    let what = file.display().to_string();
    let opened = std::fs::File::open(file);
    from(&what, opened.map_err(|source| Failure::Unreadable { what: what.clone(), source })?)
}

/// Everything, but for the end of the line behind it.
fn from(what: &str, source: impl Read) -> Result<String, Failure> {
    let unreadable = |source| Failure::Unreadable { what: what.to_owned(), source };
    let invalid = |message: &str| unreadable(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
    let mut text = String::new();
    let count = source.take(PASSWORD_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    if count > PASSWORD_BYTES_MAX {
        return Err(invalid("it is too long for a password"));
    }
    let text = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)).unwrap_or(&text);
    if text.is_empty() {
        return Err(invalid("there is no password in it"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_is_no_part_of_a_password() {
        for text in ["secret", "secret\n", "secret\r\n"] {
            assert_eq!(from("x", text.as_bytes()).unwrap(), "secret");
        }
        assert_eq!(from("x", &b" a\nb \n"[..]).unwrap(), " a\nb ");
    }

    #[test]
    fn what_is_no_password_is_refused() {
        for (text, expected) in
            [(&b""[..], "no password"), (b"\n", "no password"), (&[b'x'; 5000], "too long"), (b"\xff", "UTF-8")]
        {
            let refused = from("the file", text).unwrap_err().to_string();
            assert!(refused.contains("the file") && refused.contains(expected), "{refused}");
        }
    }
}
