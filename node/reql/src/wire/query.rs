//! What a client can ask: run a query, go on with one, stop one, wait for what was not answered, say who you are.

use crate::datum::json::find::bytes_before;
use crate::term::{self, Message, Refusal};

/// The number that opens a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryType {
    Start = 1,
    Continue = 2,
    Stop = 3,
    NoreplyWait = 4,
    ServerInfo = 5,
}

impl QueryType {
    pub fn of(message: &Message) -> QueryType {
        match message {
            Message::Start(_) => QueryType::Start,
            Message::Continue => QueryType::Continue,
            Message::Stop => QueryType::Stop,
            Message::NoreplyWait => QueryType::NoreplyWait,
            Message::ServerInfo => QueryType::ServerInfo,
        }
    }
}

/// What the parts of a message take of memory in the end, as term, in the compiled query, and in the registry of places, in
/// bytes: whatever stands before a comma, a term or an array, an object. Found by measuring; the vectors that grow while a
/// message is read take half as much again for a moment.
const PART_BYTES: [u16; 256] = {
    let mut bytes = [0; 256];
    bytes[b',' as usize] = 160;
    bytes[b'[' as usize] = 190;
    bytes[b'{' as usize] = 480;
    bytes
};

/// Messages shorter than this are taken for the worst, and not looked at.
const SHORT_BYTES: usize = 128;
const SHORT_BYTES_FACTOR: usize = 80;

/// About how many bytes of memory the query takes that a message stands for, beside the message. Seldom too little.
pub fn memory_of(body: &[u8]) -> usize {
    if body.len() < SHORT_BYTES {
        return body.len() * SHORT_BYTES_FACTOR;
    }
    let (mut bytes, mut rest) = (body.len(), body);
    loop {
        let outside = bytes_before_text(rest, &mut bytes);
        let Some((_, text)) = rest.split_at(outside).1.split_first() else { return bytes };
        rest = behind_text(text);
    }
}

/// How many bytes come before the next text. `memory` grows by what their values take.
fn bytes_before_text(rest: &[u8], memory: &mut usize) -> usize {
    let mut parts = 0usize;
    let quote = rest.iter().position(|byte| {
        parts = parts.saturating_add(PART_BYTES[usize::from(*byte)].into());
        *byte == b'"'
    });
    *memory = memory.saturating_add(parts);
    quote.unwrap_or(rest.len())
}

/// What stands behind a text that has begun, its quote taken.
fn behind_text(text: &[u8]) -> &[u8] {
    let mut rest = text;
    loop {
        rest = match &rest[bytes_before(rest, |byte| (byte == b'"') | (byte == b'\\'))..] {
            [b'"', behind @ ..] => return behind,
            [_, _, behind @ ..] => behind,
            _ => return &[],
        };
    }
}

/// Reads the body of a frame. `pause` is called now and then, when it is long.
pub fn parse(body: &[u8], pause: &mut dyn FnMut()) -> Result<Message, Box<Refusal>> {
    term::parse_with_pauses(body, pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_takes_more_than_its_bytes() {
        let numbers = |count: usize| format!("[1,[2,[{}]]]", vec!["1"; count].join(","));
        for count in [10, 100, 100_000] {
            let foretold = memory_of(numbers(count).as_bytes());
            assert!((100 * count..400 * count).contains(&foretold), "{count} numbers take {foretold} bytes");
        }
        let fields = format!("[{}]", vec![r#"{"a\\\"[":"\\\\","b":[1,2]}"#; 100].join(","));
        assert_eq!(memory_of(fields.as_bytes()), fields.len() + 100 * (480 + 3 * 160 + 190) - 160 + 190);
        for text in ["x".repeat(1_000_000), "[{,\"\\".repeat(200_000)] {
            let text = format!("[1,{text:?}]");
            assert!((text.len()..text.len() + 10_000).contains(&memory_of(text.as_bytes())));
        }
        assert!(memory_of(b"[2]") < 1_000);
    }
}
