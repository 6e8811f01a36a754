//! What goes between a query and the process that runs its scripts.
//!
//! ```text
//! message  := length:u32  body            little endian; the length is that of the body
//! request  := 1  array_limit:u64  source:part  count:u32  part*count      call the function that `source` gives
//!           | 2  array_limit:u64  source:part                             evaluate `source`
//!           | 3                                                           forget everything; no answer
//! reply    := 1  datum                    the value
//!           | 2                           the source gives a function
//!           | 3  text                     it failed
//! part     := length:u32  bytes           a text, or a datum in its encoded form
//! ```
//!
//! Both ends are the same program, so there is no version. The asking end still trusts no byte of an answer.

use bytes::{Buf, Bytes};
use photondb_reql::datum::{Datum, DecodeError};

use crate::limits::{REPLY_BYTES_MAX, REQUEST_BYTES_MAX};

/// Bytes of the length in front of each message.
pub const LENGTH_BYTES: usize = 4;

/// What is to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The script.
    pub source: String,
    /// Call the function that the script gives with these; `None`: the script's own value is asked for.
    pub arguments: Option<Vec<Datum>>,
    /// Elements that an array of the result may have.
    pub array_limit: usize,
}

/// What the process is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Run this in the realm of the query at hand.
    Run(Run),
    /// The query is over: the next one gets a realm of its own.
    Reset,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The result.
    Value(Datum),
    /// The script gives a function, which the realm remembers by the script's source.
    Function,
    /// The script is wrong, threw, or gave something that is no value of ReQL. The text is for the client.
    Failed(String),
}

/// Bytes that are no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("a message of {bytes} bytes; at most {max} are allowed")]
    TooLong { bytes: usize, max: usize },
    #[error("a message ends before it should")]
    Truncated,
    #[error("no message begins with {found}")]
    Kind { found: u8 },
    #[error("a text of a message is not UTF-8")]
    Text,
    #[error(transparent)]
    Datum(#[from] DecodeError),
}

/// The length of a request's body, from the bytes in front of it.
pub fn request_length(length: [u8; LENGTH_BYTES]) -> Result<usize, MessageError> {
    body_length(length, REQUEST_BYTES_MAX)
}

/// The length of a reply's body, from the bytes in front of it.
pub fn reply_length(length: [u8; LENGTH_BYTES]) -> Result<usize, MessageError> {
    body_length(length, REPLY_BYTES_MAX)
}

fn body_length(length: [u8; LENGTH_BYTES], max: usize) -> Result<usize, MessageError> {
    let bytes = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if bytes > max { Err(MessageError::TooLong { bytes, max }) } else { Ok(bytes) }
}

impl Request {
    /// The message, length included. Errors: too long.
    pub fn encode(&self) -> Result<Vec<u8>, MessageError> {
        framed(REQUEST_BYTES_MAX, |out| match self {
            Request::Run(run) => {
                out.push(if run.arguments.is_some() { 1 } else { 2 });
                out.extend_from_slice(&u64::try_from(run.array_limit).unwrap_or(u64::MAX).to_le_bytes());
                part(out, |out| out.extend_from_slice(run.source.as_bytes()));
                if let Some(arguments) = &run.arguments {
                    out.extend_from_slice(&u32::try_from(arguments.len()).unwrap_or(u32::MAX).to_le_bytes());
                    for argument in arguments {
                        part(out, |out| argument.encode(out));
                    }
                }
            }
            Request::Reset => out.push(3),
        })
    }

    /// The request that a body stands for.
    pub fn decode(mut body: Bytes) -> Result<Request, MessageError> {
        let kind = byte(&mut body)?;
        if kind == 3 {
            return Ok(Request::Reset);
        }
        if kind != 1 && kind != 2 {
            return Err(MessageError::Kind { found: kind });
        }
        let array_limit = body.try_get_u64_le().map_err(|_| MessageError::Truncated)?;
        let array_limit = usize::try_from(array_limit).unwrap_or(usize::MAX);
        let source = text(&take_part(&mut body)?)?;
        let mut arguments = None;
        if kind == 1 {
            let count = body.try_get_u32_le().map_err(|_| MessageError::Truncated)?;
            let datums = (0..count).map(|_| Ok(Datum::decode(take_part(&mut body)?)?));
            arguments = Some(datums.collect::<Result<Vec<_>, MessageError>>()?);
        }
        Ok(Request::Run(Run { source, arguments, array_limit }))
    }
}

impl Reply {
    /// The message, length included. Errors: too long.
    pub fn encode(&self) -> Result<Vec<u8>, MessageError> {
        framed(REPLY_BYTES_MAX, |out| match self {
            Reply::Value(datum) => {
                out.push(1);
                datum.encode(out);
            }
            Reply::Function => out.push(2),
            Reply::Failed(text) => {
                out.push(3);
                out.extend_from_slice(text.as_bytes());
            }
        })
    }

    /// The reply that a body stands for, every byte of it checked.
    pub fn decode(mut body: Bytes) -> Result<Reply, MessageError> {
        match byte(&mut body)? {
            1 => Ok(Reply::Value(Datum::decode(body)?)),
            2 => Ok(Reply::Function),
            3 => Ok(Reply::Failed(text(&body)?)),
            found => Err(MessageError::Kind { found }),
        }
    }
}

fn framed(max: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>, MessageError> {
    let mut out = vec![0; LENGTH_BYTES];
    write(&mut out);
    let bytes = out.len() - LENGTH_BYTES;
    match u32::try_from(bytes) {
        Ok(length) if bytes <= max => {
            out[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
            Ok(out)
        }
        _ => Err(MessageError::TooLong { bytes, max }),
    }
}

/// A part whose length is known when it is written. One past four gigabytes makes the whole message too long anyway.
fn part(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    write(out);
    let length = u32::try_from(out.len() - start - LENGTH_BYTES).unwrap_or(u32::MAX);
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

fn take_part(body: &mut Bytes) -> Result<Bytes, MessageError> {
    let length = body.try_get_u32_le().map_err(|_| MessageError::Truncated)?;
    match usize::try_from(length) {
        Ok(length) if length <= body.len() => Ok(body.split_to(length)),
        _ => Err(MessageError::Truncated),
    }
}

fn byte(body: &mut Bytes) -> Result<u8, MessageError> {
    body.try_get_u8().map_err(|_| MessageError::Truncated)
}

fn text(bytes: &[u8]) -> Result<String, MessageError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| MessageError::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(message: Vec<u8>) -> Bytes {
        let length = request_length(message[..LENGTH_BYTES].try_into().unwrap()).unwrap();
        let body = Bytes::from(message).slice(LENGTH_BYTES..);
        assert_eq!(body.len(), length);
        body
    }

    fn requests() -> Vec<Request> {
        let run = |arguments| Run { source: "x => ü".to_owned(), arguments, array_limit: 7 };
        let arguments = vec![Datum::from(1), Datum::MinVal, Datum::from(vec![Datum::from("a"), Datum::Null])];
        vec![
            Request::Reset,
            Request::Run(run(None)),
            Request::Run(run(Some(Vec::new()))),
            Request::Run(run(Some(arguments))),
        ]
    }

    #[test]
    fn both_ways() {
        for request in requests() {
            assert_eq!(Request::decode(body(request.encode().unwrap())), Ok(request));
        }
        for reply in [Reply::Value(Datum::Number(1.5)), Reply::Function, Reply::Failed("Error: ß".to_owned())] {
            assert_eq!(Reply::decode(body(reply.encode().unwrap())), Ok(reply));
        }
    }

    #[test]
    fn pieces_of_a_message_are_errors() {
        for request in requests() {
            let whole = body(request.encode().unwrap());
            for end in 0..whole.len() {
                assert!(Request::decode(whole.slice(..end)).is_err(), "{request:?} up to {end}");
            }
        }
        assert_eq!(Reply::decode(Bytes::from_static(b"\x09")), Err(MessageError::Kind { found: 9 }));
        assert_eq!(Reply::decode(Bytes::from_static(b"\x03\xff")), Err(MessageError::Text));
        assert!(Reply::decode(Bytes::from_static(b"\x01\x01\x0a\xff")).is_err());
        let too_long = |max| Err(MessageError::TooLong { bytes: 0xffff_ffff, max });
        assert_eq!(request_length([0xff; 4]), too_long(REQUEST_BYTES_MAX));
        assert_eq!(reply_length([0xff; 4]), too_long(REPLY_BYTES_MAX));
    }
}
