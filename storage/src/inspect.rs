//! What a data directory holds, for people and programs that look at it from outside.

mod key_text;

pub use key_text::KeyText;
