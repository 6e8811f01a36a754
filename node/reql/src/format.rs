//! Terms as versioned bytes: the functions of indexes and write hooks as they are stored, and what is pushed down to
//! shards.
//!
//! ```text
//! function := version:u8 (= 1)  params:length (param:i64 little endian)*  term
//! term     := kind:u16 little endian  payload
//! payload  := of DATUM (1): length  value                          the value as in datum/format, without its version
//!           | of any other: args:length  optargs:length            followed by the arguments, then by
//!                           term*  (name:length UTF-8  term)*      names and values of the options
//! length   := LEB128
//! ```
//!
//! A captured variable stands in a stored function as the constant it was. Places for backtraces are not kept: after
//! reading, every term is at [`BacktraceId::NONE`].

use bytes::Bytes;

use crate::datum::Str;
use crate::datum::format::{DecodeError, decode_value, write_length};
use crate::limits::{CHAIN_MAX, NESTING_MAX};
use crate::term::{BacktraceId, Call, Term, TermKind};

/// The version this code writes.
pub const VERSION: u8 = 1;

/// Bytes that are not a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("a stored function of version {found}, newer than this program's {VERSION}")]
    Version { found: u8 },
    #[error("a stored function ends before it should")]
    Truncated,
    #[error("a stored function has the unknown term {number}")]
    Term { number: u16 },
    #[error("a stored function contradicts itself: {what}")]
    Malformed { what: &'static str },
    #[error("a constant in a stored function: {0}")]
    Datum(#[from] DecodeError),
}

/// A function apart from any query: parameters and body.
#[derive(Clone, Debug)]
pub struct Function {
    /// The numbers by which the body names its parameters.
    pub params: Vec<i64>,
    pub body: Term,
}

impl Function {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        write_length(self.params.len(), &mut out);
        for param in &self.params {
            out.extend_from_slice(&param.to_le_bytes());
        }
        encode_term(&self.body, &mut out);
        out
    }

    pub fn decode(bytes: &Bytes) -> Result<Function, FormatError> {
        let mut reader = Reader { bytes, at: 0 };
        match reader.byte()? {
            VERSION => {}
            found => return Err(FormatError::Version { found }),
        }
        let count = reader.length()?;
        let params = (0..count).map(|_| reader.array().map(i64::from_le_bytes)).collect::<Result<_, _>>()?;
        let body = reader.term()?;
        if reader.at != bytes.len() {
            return Err(FormatError::Malformed { what: "bytes behind the body" });
        }
        Ok(Function { params, body })
    }
}

/// Appends a term. Loops along first arguments, so that only nesting takes stack.
pub fn encode_term(term: &Term, out: &mut Vec<u8>) {
    let chain = match term {
        Term::Call(call) => call.chain(),
        Term::Datum(..) => Vec::new(),
    };
    let innermost = chain.last().map_or(Some(term), |call| call.args.first());
    for call in &chain {
        out.extend_from_slice(&call.kind.number().to_le_bytes());
        write_length(call.args.len(), out);
        write_length(call.optargs.len(), out);
    }
    if let Some(Term::Datum(datum, _)) = innermost {
        out.extend_from_slice(&TermKind::Datum.number().to_le_bytes());
        let value = datum.to_encoded();
        // Without the version, which the function has.
        write_length(value.len() - 1, out);
        out.extend_from_slice(&value[1..]);
    }
    for call in chain.iter().rev() {
        call.args.iter().skip(1).for_each(|arg| encode_term(arg, out));
        for (name, value) in &call.optargs {
            write_length(name.as_bytes().len(), out);
            out.extend_from_slice(name.as_bytes());
            encode_term(value, out);
        }
    }
}

/// Reads one term that fills `bytes`.
pub fn decode_term(bytes: &Bytes) -> Result<Term, FormatError> {
    let mut reader = Reader { bytes, at: 0 };
    let term = reader.term()?;
    if reader.at == bytes.len() { Ok(term) } else { Err(FormatError::Malformed { what: "bytes behind a term" }) }
}

struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

/// A call that wants more parts.
struct Open {
    call: Call,
    args: usize,
    optargs: usize,
    /// The option whose value is being read.
    name: Option<Str>,
    nesting: usize,
    chain: usize,
}

impl Open {
    fn wants_more(&self) -> bool {
        self.call.args.len() < self.args || self.call.optargs.len() < self.optargs
    }
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], FormatError> {
        let end = self.at.checked_add(count).ok_or(FormatError::Truncated)?;
        let piece = self.bytes.get(self.at..end).ok_or(FormatError::Truncated)?;
        self.at = end;
        Ok(piece)
    }

    fn byte(&mut self) -> Result<u8, FormatError> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        self.take(N)?.try_into().map_err(|_| FormatError::Truncated)
    }

    fn length(&mut self) -> Result<usize, FormatError> {
        let mut length = 0u64;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            length |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // Nothing here is longer than the bytes it stands in, which keeps allocations honest.
                let length = usize::try_from(length).map_err(|_| FormatError::Truncated)?;
                return if length <= self.bytes.len() { Ok(length) } else { Err(FormatError::Truncated) };
            }
        }
        Err(FormatError::Malformed { what: "a length without end" })
    }

    fn name(&mut self) -> Result<Str, FormatError> {
        let length = self.length()?;
        let text = std::str::from_utf8(self.take(length)?);
        text.map(Str::from).map_err(|_| FormatError::Malformed { what: "a name is not UTF-8" })
    }

    /// A whole term, with a list instead of the stack.
    fn term(&mut self) -> Result<Term, FormatError> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let number = u16::from_le_bytes(self.array()?);
            let kind = TermKind::try_from(i64::from(number)).map_err(|_| FormatError::Term { number })?;
            let mut done = if kind == TermKind::Datum {
                let length = self.length()?;
                let start = self.at;
                self.take(length)?;
                // A copy, so that a small constant does not keep the whole buffer.
                let value = Bytes::copy_from_slice(&self.bytes[start..self.at]);
                Term::Datum(decode_value(value)?, BacktraceId::NONE)
            } else {
                let (nesting, chain) = match open.last() {
                    None => (0, 0),
                    Some(outer) if outer.call.args.is_empty() && outer.args > 0 => (outer.nesting, outer.chain + 1),
                    Some(outer) => (outer.nesting + 1, 0),
                };
                if nesting > NESTING_MAX || chain > CHAIN_MAX {
                    return Err(FormatError::Malformed { what: "nesting too deep" });
                }
                let (args, optargs) = (self.length()?, self.length()?);
                let call = Call { kind, args: Vec::new(), optargs: Vec::new(), id: BacktraceId::NONE };
                let mut frame = Open { call, args, optargs, name: None, nesting, chain };
                if frame.wants_more() {
                    if args == 0 {
                        frame.name = Some(self.name()?);
                    }
                    open.push(frame);
                    continue;
                }
                Term::Call(Box::new(frame.call))
            };
            loop {
                let Some(mut outer) = open.pop() else { return Ok(done) };
                match outer.name.take() {
                    Some(name) => outer.call.optargs.push((name, done)),
                    None => outer.call.args.push(done),
                }
                if outer.wants_more() {
                    if outer.call.args.len() == outer.args {
                        outer.name = Some(self.name()?);
                    }
                    open.push(outer);
                    break;
                }
                done = Term::Call(Box::new(outer.call));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::samples::{self, Samples};
    use crate::term::{Message, parse};

    fn body(json: &str) -> Term {
        match parse(format!("[1,{json}]").as_bytes()) {
            Ok(Message::Start(start)) => start.term,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn golden_bytes() {
        let function = Function { params: vec![1], body: body(r#"[170,[[10,[1]],"a"],{"x":null}]"#) };
        let hex: String = function.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "01010100000000000000 aa000201 0a000100 0100020701 0100020a61 0178 01000103".replace(' ', ""));
    }

    const TERMS: [&str; 5] = [
        "5",
        r#"[38,[[170,[[10,[5]],"m"]],[69,[[2,[6]],[2,[[10,[6]],[170,[[10,[5]],"id"]]]]]]]]"#,
        r#"[99,["2014"],{"default_timezone":[24,["+","01"]],"x":{"a":[169]}}]"#,
        "[13]",
        r#"{"a":[13],"b":[2,[[13],[13]]]}"#,
    ];

    #[test]
    fn functions_come_back() {
        for json in TERMS {
            let function = Function { params: vec![-3, 7], body: body(json) };
            let bytes = Bytes::from(function.encode());
            let decoded = Function::decode(&bytes).unwrap();
            assert_eq!(format!("{decoded:?}"), format!("{function:?}"));
            assert_eq!(decoded.encode(), bytes);
        }
    }

    #[test]
    fn long_chains_come_back() {
        let length = CHAIN_MAX - 1;
        let term = body(&format!("{}1{}", "[43,[".repeat(length), "]]".repeat(length)));
        let mut out = Vec::new();
        encode_term(&term, &mut out);
        let decoded = decode_term(&Bytes::from(out.clone())).unwrap();
        let mut again = Vec::new();
        encode_term(&decoded, &mut again);
        assert_eq!(out, again);
    }

    #[test]
    fn damaged_bytes_never_panic() {
        let mut samples = Samples::from_environment();
        for _ in 0..samples::rounds(3_000) {
            let json = TERMS[samples.below(TERMS.len())];
            let mut bytes = Function { params: vec![1], body: body(json) }.encode();
            samples.damage(&mut bytes);
            let _whatever = Function::decode(&Bytes::from(bytes));
        }
        assert_eq!(Function::decode(&Bytes::new()).unwrap_err(), FormatError::Truncated);
        assert_eq!(Function::decode(&Bytes::from_static(b"\x02")).unwrap_err(), FormatError::Version { found: 2 });
    }
}
