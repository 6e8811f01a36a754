//! What a client can ask: run a query, go on with one, stop one, wait for what was not answered, say who you are.

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
const VALUE_BYTES: usize = 160;
const ARRAY_BYTES: usize = 190;
const OBJECT_BYTES: usize = 480;

/// Messages shorter than this are taken for the worst, and not looked at.
const SHORT_BYTES: usize = 128;
const SHORT_BYTES_FACTOR: usize = 80;

/// About how many bytes of memory the query takes that a message stands for, beside the message. Seldom too little.
pub fn memory_of(body: &[u8]) -> usize {
    if body.len() < SHORT_BYTES {
        return body.len() * SHORT_BYTES_FACTOR;
    }
    let (mut bytes, mut in_text, mut escaped) = (body.len(), false, false);
    for byte in body {
        let part = match byte {
            _ if escaped => {
                escaped = false;
                0
            }
            b'\\' if in_text => {
                escaped = true;
                0
            }
            b'"' => {
                in_text = !in_text;
                0
            }
            _ if in_text => 0,
            b',' => VALUE_BYTES,
            b'[' => ARRAY_BYTES,
            b'{' => OBJECT_BYTES,
            _ => 0,
        };
        bytes = bytes.saturating_add(part);
    }
    bytes
}

/// Reads the body of a frame.
pub fn parse(body: &[u8]) -> Result<Message, Box<Refusal>> {
    term::parse(body)
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
        for text in ["x".repeat(1_000_000), "[{,\"\\".repeat(200_000)] {
            let text = format!("[1,{text:?}]");
            assert!((text.len()..text.len() + 10_000).contains(&memory_of(text.as_bytes())));
        }
        assert!(memory_of(b"[2]") < 1_000);
    }
}
