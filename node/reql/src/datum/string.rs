//! `Str`: an immutable UTF-8 string whose clone costs nothing, either its own or a piece of a stored document.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use super::COUNTERS_BYTES;

/// A string of the language. Ordered by its UTF-8 bytes, which is the order by code points.
#[derive(Clone)]
pub struct Str(Repr);

#[derive(Clone)]
enum Repr {
    Static(&'static str),
    Shared(Arc<str>),
    /// Bytes that were UTF-8 when the view was made.
    View(Bytes),
}

impl Str {
    /// A string known at compile time; costs no allocation.
    pub const fn from_static(text: &'static str) -> Str {
        Str(Repr::Static(text))
    }

    /// A piece of a larger buffer, or nothing when it is not UTF-8.
    pub fn from_utf8(bytes: Bytes) -> Option<Str> {
        std::str::from_utf8(&bytes).ok()?;
        Some(Str(Repr::View(bytes)))
    }

    /// A piece of an encoded datum, whose strings were UTF-8 when it was written. Damaged ones read as empty.
    pub(super) fn view(bytes: Bytes) -> Str {
        Str(Repr::View(bytes))
    }

    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Static(text) => text.as_bytes(),
            Repr::Shared(text) => text.as_bytes(),
            Repr::View(bytes) => bytes,
        }
    }

    /// The text. A view is checked again here, which safe code cannot avoid; compare and hash bytes where speed matters.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Static(text) => text,
            Repr::Shared(text) => text,
            Repr::View(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        }
    }

    /// Bytes of memory beside the string itself; of a view, those that it shows.
    pub(super) fn heap(&self) -> usize {
        match &self.0 {
            Repr::Static(_) => 0,
            Repr::Shared(text) => COUNTERS_BYTES + text.len(),
            Repr::View(bytes) => bytes.len(),
        }
    }

    /// A copy that does not keep the buffer alive that this string may be a piece of.
    pub fn detach(&self) -> Str {
        match &self.0 {
            Repr::View(_) => Str::from(self.as_str()),
            _ => self.clone(),
        }
    }
}

impl Deref for Str {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl Default for Str {
    fn default() -> Str {
        Str::from_static("")
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Str {
        Str(Repr::Shared(Arc::from(text)))
    }
}

impl From<String> for Str {
    fn from(text: String) -> Str {
        Str(Repr::Shared(Arc::from(text)))
    }
}

impl From<Arc<str>> for Str {
    fn from(text: Arc<str>) -> Str {
        Str(Repr::Shared(text))
    }
}

impl From<Str> for String {
    fn from(text: Str) -> String {
        text.as_str().to_owned()
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Str {}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Str) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Str {
    fn cmp(&self, other: &Str) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Str {
    /// As `str` hashes, so that maps keyed by `Str` can be asked with a `str`.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_whatever_the_representation() {
        let own = Str::from("naïve");
        let view = Str::from_utf8(Bytes::from_static("naïve".as_bytes())).unwrap();
        assert_eq!(own, view);
        assert_eq!(own, Str::from_static("naïve"));
        assert_eq!(view.as_str(), "naïve");
        assert_eq!(view.detach(), own);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        assert!(Str::from_utf8(Bytes::from_static(&[0xff])).is_none());
    }
}
