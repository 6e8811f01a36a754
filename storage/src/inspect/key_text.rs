//! Keys for people.

use std::fmt;

/// Bytes of a key that are shown.
const SHOWN_BYTES_MAX: usize = 32;

/// Shows a key: quoted when it is plain text, hexadecimal otherwise, cut when it is long.
pub struct KeyText<'k>(pub &'k [u8]);

impl fmt::Display for KeyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN_BYTES_MAX)];
        let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\') || *byte == b' ';
        if shown.iter().all(plain) {
            write!(f, "\"{}\"", String::from_utf8_lossy(shown))?;
        } else {
            write!(f, "0x")?;
            shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        if shown.len() < self.0.len() { write!(f, ".. ({} bytes)", self.0.len()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_anything_else_is_hexadecimal() {
        assert_eq!(KeyText(b"a key").to_string(), "\"a key\"");
        assert_eq!(KeyText(b"").to_string(), "\"\"");
        assert_eq!(KeyText(b"a\"").to_string(), "0x6122");
        assert_eq!(KeyText(&[0, 255]).to_string(), "0x00ff");
        assert_eq!(KeyText(&[b'a'; 40]).to_string(), format!("\"{}\".. (40 bytes)", "a".repeat(32)));
    }
}
