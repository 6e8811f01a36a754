//! Answers, written straight from datums: `{"t":..,"e":..,"r":[..],"b":[..],"p":..,"n":[..]}`.

use super::frame::{Token, write_frame};
use crate::datum::Datum;
use crate::datum::json::write_string;
use crate::error::{Error, Result};
use crate::term::write_frames;
use crate::term::{Frame, Refusal, Registry};

/// What kind of answer it is, with its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseType {
    /// One value.
    Atom = 1,
    /// The last rows of a stream.
    Sequence = 2,
    /// Some rows of a stream; the client asks for more with CONTINUE.
    Partial = 3,
    WaitComplete = 4,
    ServerInfo = 5,
    ClientError = 16,
    CompileError = 17,
    RuntimeError = 18,
}

/// What a driver should know about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A feed over a table or range.
    SequenceFeed = 1,
    /// A feed over one document.
    AtomFeed = 2,
    /// A feed over an ordered, limited set.
    OrderByLimitFeed = 3,
    /// A feed over a union of feeds.
    UnionedFeed = 4,
    /// The feed says what state it is in.
    IncludesStates = 5,
}

/// An answer that is not an error.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub kind: ResponseType,
    pub results: &'a [Datum],
    /// Written for streams only.
    pub notes: &'a [Note],
    pub profile: Option<&'a Datum>,
}

impl<'a> Response<'a> {
    pub fn new(kind: ResponseType, results: &'a [Datum]) -> Response<'a> {
        Response { kind, results, notes: &[], profile: None }
    }

    /// Appends the answer as a frame. What has no JSON (MINVAL) makes it an error under the same token.
    pub fn write_frame(&self, token: Token, out: &mut Vec<u8>) {
        let start = out.len();
        let mut outcome = Ok(());
        write_frame(token, out, |out| outcome = self.write(out));
        if let Err(error) = outcome {
            out.truncate(start);
            write_frame(token, out, |out| write_error(&error, &[], None, out));
        }
    }

    /// Appends the JSON of the answer. On an error `out` holds a torn piece.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        write_type(self.kind as u8, out);
        out.extend_from_slice(b",\"r\":[");
        for (index, datum) in self.results.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            datum.write_json(out)?;
        }
        out.push(b']');
        if let Some(profile) = self.profile {
            out.extend_from_slice(b",\"p\":");
            profile.write_json(out)?;
        }
        if matches!(self.kind, ResponseType::Sequence | ResponseType::Partial) {
            out.extend_from_slice(b",\"n\":[");
            for (index, note) in self.notes.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_small(*note as u32, out);
            }
            out.push(b']');
        }
        out.push(b'}');
        Ok(())
    }
}

fn write_type(number: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"t\":");
    write_small(u32::from(number), out);
}

fn write_small(number: u32, out: &mut Vec<u8>) {
    crate::datum::number::write_json(f64::from(number), out);
}

/// Appends the JSON of an error answer.
pub fn write_error(error: &Error, frames: &[Frame], profile: Option<&Datum>, out: &mut Vec<u8>) {
    write_type(error.kind.response_type(), out);
    if let Some(number) = error.kind.number() {
        out.extend_from_slice(b",\"e\":");
        write_small(number, out);
    }
    out.extend_from_slice(b",\"r\":[");
    write_string(error.message.as_bytes(), out);
    out.extend_from_slice(b"],\"b\":");
    write_frames(frames, out);
    if let Some(profile) = profile {
        let start = out.len();
        out.extend_from_slice(b",\"p\":");
        if profile.write_json(out).is_err() {
            out.truncate(start);
        }
    }
    out.push(b'}');
}

/// Appends an error that arose while a query ran, as a frame; `registry` is the query's.
pub fn write_error_frame(token: Token, error: &Error, registry: &Registry, out: &mut Vec<u8>) {
    let frames = error.backtrace.map(|id| registry.frames(id)).unwrap_or_default();
    write_frame(token, out, |out| write_error(error, &frames, None, out));
}

/// Appends the answer to a message that did not become a query, as a frame.
pub fn write_refusal_frame(token: Token, refusal: &Refusal, out: &mut Vec<u8>) {
    write_frame(token, out, |out| write_error(&refusal.error, &refusal.frames, None, out));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::Object;
    use crate::term::BacktraceId;

    fn json(response: Response<'_>) -> String {
        let mut out = Vec::new();
        response.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn answers_as_rethinkdb_writes_them() {
        let info = Datum::from(Object::from([("name", "srv")]).with("proxy", false));
        assert_eq!(
            json(Response::new(ResponseType::ServerInfo, &[info])),
            r#"{"t":5,"r":[{"name":"srv","proxy":false}]}"#
        );
        let rows = [Datum::from(1), Datum::Null];
        let notes = [Note::SequenceFeed, Note::IncludesStates];
        let feed = Response { notes: &notes, ..Response::new(ResponseType::Partial, &rows) };
        assert_eq!(json(feed), r#"{"t":3,"r":[1,null],"n":[1,5]}"#);
    }

    #[test]
    fn errors_carry_number_and_path() {
        let mut registry = Registry::new();
        let root = registry.add(BacktraceId::NONE, Frame::Arg(0));
        let inner = registry.add(root, Frame::Optarg("index".into()));
        let mut out = Vec::new();
        write_error_frame(Token(2), &Error::logic("no \"x\"").at(inner), &registry, &mut out);
        assert_eq!(out[12..], *br#"{"t":18,"e":3000000,"r":["no \"x\""],"b":["index"]}"#);
    }

    #[test]
    fn what_has_no_json_becomes_an_error() {
        let mut out = Vec::new();
        Response::new(ResponseType::Atom, &[Datum::MinVal]).write_frame(Token(1), &mut out);
        assert_eq!(out[12..], *br#"{"t":18,"e":3000000,"r":["Cannot convert `r.minval` to JSON."],"b":[]}"#);
    }
}
