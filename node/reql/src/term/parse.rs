//! From the bytes of a message to terms, in one pass and without recursion.
//!
//! The happy path builds the tree as it reads. Faults are graver the further out they lie (text that is no JSON before a
//! malformed message before a malformed term), so whenever reading fails the whole message is looked at again to report the
//! gravest one, as RethinkDB does, which parses everything before it interprets anything.

mod shape;

use super::backtrace::{BacktraceId, Frame, Registry};
use super::placement;
use super::{Call, Term, TermKind};
use crate::datum::json::find::bytes_before;
use crate::datum::json::parse::{Progress, first_duplicate, value, value_watched};
use crate::datum::json::scan::{Kind, Scanner};
use crate::datum::json::{JsonError, ParseError};
use crate::datum::{Array, Datum, Object, PTYPE_FIELD, Str};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{ARRAY_ELEMENTS_MAX, CHAIN_MAX, NESTING_MAX, PARSED_BYTES_BETWEEN_PAUSES};

/// A message of a client.
#[derive(Debug)]
pub enum Message {
    Start(Box<Start>),
    Continue,
    Stop,
    NoreplyWait,
    ServerInfo,
}

/// A query to run.
#[derive(Clone, Debug)]
pub struct Start {
    pub term: Term,
    /// Options of the whole query, in the order of the message, each name once. Errors in them point nowhere.
    pub global_optargs: Vec<(Str, Term)>,
    /// What the ids in `term` stand for.
    pub registry: Registry,
}

impl Start {
    pub fn global_optarg(&self, name: &str) -> Option<&Term> {
        self.global_optargs.iter().find(|(found, _)| found == name).map(|(_, term)| term)
    }

    /// A global option that must be known before anything is evaluated: true only if it is the constant `true`.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.global_optarg(name), Some(Term::Datum(Datum::Bool(true), _)))
    }
}

/// Why a message did not become a query, with the path to the term at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Refusal {
    pub error: Error,
    pub frames: Vec<Frame>,
    /// The query says `noreply`: nobody waits to hear what is wrong with it.
    pub unheard: bool,
}

/// Reads a message `[type, term, global options]`.
pub fn parse(body: &[u8]) -> std::result::Result<Message, Box<Refusal>> {
    parse_with_pauses(body, &mut || ())
}

/// The same; each [`PARSED_BYTES_BETWEEN_PAUSES`] it makes a pause, in which others may have their turn.
pub fn parse_with_pauses(body: &[u8], pause: &mut dyn FnMut()) -> std::result::Result<Message, Box<Refusal>> {
    let mut parser = Parser {
        body,
        pause,
        paused_at: 0,
        scanner: Scanner::new(body),
        registry: Registry::new(),
        silent: false,
        fold_arrays: !mentions_array_limit(body),
        open: Vec::new(),
    };
    parser.message().map_err(|fault| {
        let error = match shape::inspect(body) {
            Err(graver) => graver,
            Ok(()) => fault.into_error(),
        };
        let frames = error.backtrace.map(|id| parser.registry.frames(id)).unwrap_or_default();
        let unheard = error.kind != ErrorKind::Client && shape::says_noreply(body);
        Box::new(Refusal { error, frames, unheard })
    })
}

/// Whether the query may set a limit on arrays. A false alarm only costs the folding of arrays.
fn mentions_array_limit(body: &[u8]) -> bool {
    let mut rest = body;
    loop {
        let (before, from) = rest.split_at(bytes_before(rest, |byte| byte == b'_'));
        let Some((_, behind)) = from.split_first() else { return false };
        if before.ends_with(b"array") && behind.starts_with(b"limit") {
            return true;
        }
        rest = behind;
    }
}

/// The answer to text that is not JSON.
fn undecodable() -> Error {
    Error::client("Client is buggy (failed to deserialize query).")
}

enum Fault {
    Json,
    Term(Error),
}

impl Fault {
    fn into_error(self) -> Error {
        match self {
            Fault::Json => undecodable(),
            Fault::Term(error) => error,
        }
    }
}

impl From<JsonError> for Fault {
    fn from(_: JsonError) -> Fault {
        Fault::Json
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Term(error)
    }
}

type Parse<T> = std::result::Result<T, Fault>;

/// A term whose parts are being read.
struct Open {
    part: Part,
    place: Place,
}

enum Part {
    Args(Box<Call>),
    Optargs(Box<Call>, Str),
    /// An object in term position, and the field being read.
    Object(BacktraceId, Vec<(Str, Term)>, Str),
}

/// What a term needs to know of where it stands.
#[derive(Clone, Copy)]
struct Place {
    nesting: usize,
    chain: usize,
    writes_allowed: bool,
    /// What takes a direction here: `order_by`, `union`, or an array among the options of the latter.
    ordering: Option<TermKind>,
}

impl Place {
    const ROOT: Place = Place { nesting: 0, chain: 0, writes_allowed: true, ordering: None };

    fn inside(self, kind: TermKind, first: bool) -> Place {
        let chained = first && !matches!(kind, TermKind::MakeArray | TermKind::MakeObj);
        Place {
            nesting: self.nesting + usize::from(!chained),
            chain: if chained { self.chain + 1 } else { 0 },
            writes_allowed: self.writes_allowed && (first || !placement::forbids_writes(kind)),
            ordering: match kind {
                TermKind::OrderBy | TermKind::Union => Some(kind),
                TermKind::MakeArray if self.ordering == Some(TermKind::Union) => Some(kind),
                _ => None,
            },
        }
    }

    fn check(self) -> Result<()> {
        if self.nesting > NESTING_MAX {
            return Err(Error::compile(format!("Query nested more than {NESTING_MAX} levels deep.")));
        }
        if self.chain > CHAIN_MAX {
            return Err(Error::compile(format!("Query chains more than {CHAIN_MAX} terms.")));
        }
        Ok(())
    }
}

/// Long constants are parsed with pauses as well.
struct Pauses<'a>(&'a mut dyn FnMut());

impl Progress for Pauses<'_> {
    fn look(&mut self, _values: usize, _bytes: usize) -> Result<()> {
        (self.0)();
        Ok(())
    }
}

struct Parser<'a> {
    body: &'a [u8],
    pause: &'a mut dyn FnMut(),
    /// Where the last pause was.
    paused_at: usize,
    scanner: Scanner<'a>,
    registry: Registry,
    /// Ids are not recorded: these are global options.
    silent: bool,
    fold_arrays: bool,
    open: Vec<Open>,
}

impl Parser<'_> {
    fn message(&mut self) -> Parse<Message> {
        if !self.scanner.take(b'[') {
            return Err(Fault::Term(undecodable()));
        }
        let message = match self.integer()? {
            1 => {
                self.punctuation(b',')?;
                let start = self.start()?;
                Message::Start(Box::new(start))
            }
            number => {
                // Nothing in these messages matters but their shape.
                shape::inspect(self.body)?;
                return match number {
                    2 => Ok(Message::Continue),
                    3 => Ok(Message::Stop),
                    4 => Ok(Message::NoreplyWait),
                    5 => Ok(Message::ServerInfo),
                    _ => Err(Fault::Term(undecodable())),
                };
            }
        };
        self.punctuation(b']')?;
        self.scanner.end()?;
        Ok(message)
    }

    fn start(&mut self) -> Parse<Start> {
        let term = self.tree()?;
        let mut global_optargs = Vec::new();
        if self.scanner.take(b',') {
            self.silent = true;
            self.punctuation(b'{')?;
            if !self.scanner.take(b'}') {
                loop {
                    let name = self.scanner.key()?;
                    if !placement::is_option(&name) {
                        let complaint = format!("Unrecognized global optional argument `{name}`.");
                        return Err(Fault::Term(Error::compile(complaint)));
                    }
                    global_optargs.push((name, self.tree()?));
                    if !self.scanner.take(b',') {
                        break;
                    }
                }
                self.punctuation(b'}')?;
            }
            if let Some(name) = first_duplicate(&global_optargs) {
                return Err(Fault::Term(Error::compile(format!("Duplicate global optional argument: `{name}`."))));
            }
        }
        Ok(Start { term, global_optargs, registry: std::mem::take(&mut self.registry) })
    }

    fn punctuation(&mut self, byte: u8) -> Parse<()> {
        if self.scanner.take(byte) { Ok(()) } else { Err(Fault::Term(undecodable())) }
    }

    /// A number as the JSON library of RethinkDB gives it out when asked for an integer: the low 32 bits of whatever it
    /// holds, which for a number with a fraction or an exponent is the double.
    fn integer(&mut self) -> Parse<i32> {
        self.scanner.peek();
        let start = self.scanner.offset();
        let value = self.scanner.number()?;
        Ok(low_bits(self.scanner.since(start), value))
    }

    fn add(&mut self, parent: BacktraceId, frame: Frame) -> BacktraceId {
        if self.silent { BacktraceId::NONE } else { self.registry.add(parent, frame) }
    }

    fn forget_below(&mut self, id: BacktraceId) {
        if !self.silent {
            self.registry.forget_below(id);
        }
    }

    /// A whole term with everything in it.
    fn tree(&mut self) -> Parse<Term> {
        let (mut parent, mut frame, mut place) = (BacktraceId::NONE, Frame::Arg(0), Place::ROOT);
        loop {
            self.rest();
            let id = self.add(parent, frame);
            let mut done = self.open_term(id, place).map_err(|fault| blame(fault, id))?;
            // Hand finished terms to what they belong to, until something still wants a part.
            while let Some(term) = done {
                let Some(open) = self.open.pop() else { return Ok(term) };
                done = self.accept(open, term)?;
            }
            (parent, frame, place) = match self.open.last() {
                Some(open) => open.wants(),
                None => return Err(Fault::Term(undecodable())),
            };
        }
    }

    /// Makes a pause, when it is time for one.
    fn rest(&mut self) {
        let at = self.scanner.offset();
        if at - self.paused_at >= PARSED_BYTES_BETWEEN_PAUSES {
            self.paused_at = at;
            (self.pause)();
        }
    }

    /// Reads a term as far as its first part, which stays open, or wholly if it has none.
    fn open_term(&mut self, id: BacktraceId, place: Place) -> Parse<Option<Term>> {
        place.check()?;
        match self.scanner.kind()? {
            Kind::Array => self.open_call(id, place),
            Kind::Object => {
                self.scanner.take(b'{');
                if self.scanner.take(b'}') {
                    return Ok(Some(Term::Datum(Datum::Object(Object::new()), id)));
                }
                let name = self.scanner.key()?;
                self.open.push(Open { part: Part::Object(id, Vec::new(), name), place });
                Ok(None)
            }
            _ => match value(&mut self.scanner, 0, Datum::from_fields) {
                Ok(datum) => Ok(Some(Term::Datum(datum, id))),
                Err(ParseError::Json(_)) => Err(Fault::Json),
                Err(ParseError::Datum(error)) => Err(Fault::Term(error)),
            },
        }
    }

    fn open_call(&mut self, id: BacktraceId, place: Place) -> Parse<Option<Term>> {
        self.scanner.take(b'[');
        let kind = match self.scanner.peek() {
            Some(b']') => return Err(Fault::Term(wrong_length(0))),
            _ => match self.scanner.kind()? {
                Kind::Number => self.integer()?,
                other => {
                    let complaint = format!("Expected a TermType as a NUMBER but found {}.", other.name());
                    return Err(Fault::Term(Error::compile(complaint)));
                }
            },
        };
        let kind = TermKind::try_from(i64::from(kind)).map_err(|unknown| Error::compile(unknown.to_string()))?;
        placement::check(kind, place.writes_allowed, place.ordering.is_some())?;
        if kind == TermKind::Datum {
            return self.datum(id).map(Some);
        }
        let call = Box::new(Call { kind, args: Vec::new(), optargs: Vec::new(), id });
        if !self.scanner.take(b',') {
            self.end_call()?;
            return Ok(Some(self.close_call(call)?));
        }
        match self.scanner.kind()? {
            Kind::Array => {
                self.scanner.take(b'[');
                if self.scanner.take(b']') {
                    return self.after_args(call, place);
                }
                self.open.push(Open { part: Part::Args(call), place });
                Ok(None)
            }
            Kind::Object => self.open_optargs(call, place),
            _ => Err(Fault::Term(Error::compile(
                "Second element in a Term is neither arguments nor optional arguments.",
            ))),
        }
    }

    /// `[1, value]`: the value is plain JSON.
    fn datum(&mut self, id: BacktraceId) -> Parse<Term> {
        if !self.scanner.take(b',') {
            return Err(Fault::Term(Error::compile("Expected 3 items in array, but found 2.")));
        }
        let datum = match value_watched(&mut self.scanner, NESTING_MAX, Datum::from_raw_fields, &mut Pauses(self.pause))
        {
            Ok(datum) => datum,
            Err(ParseError::Json(_)) => return Err(Fault::Json),
            Err(ParseError::Datum(error)) => return Err(Fault::Term(Error::compile(error.message))),
        };
        let mut size = 3;
        while self.scanner.take(b',') {
            self.scanner.skip(usize::MAX)?;
            size += 1;
        }
        if size > 3 {
            return Err(Fault::Term(Error::compile(format!("Expected 3 items in array, but found {size}."))));
        }
        self.punctuation(b']')?;
        Ok(Term::Datum(datum, id))
    }

    fn after_args(&mut self, call: Box<Call>, place: Place) -> Parse<Option<Term>> {
        if self.scanner.take(b',') {
            return match self.scanner.kind()? {
                Kind::Object => self.open_optargs(call, place),
                _ => Err(Fault::Term(Error::compile("Third element in a Term is not optional arguments."))),
            };
        }
        self.end_call()?;
        Ok(Some(self.close_call(call)?))
    }

    fn open_optargs(&mut self, call: Box<Call>, place: Place) -> Parse<Option<Term>> {
        self.scanner.take(b'{');
        if self.scanner.take(b'}') {
            self.end_call()?;
            return Ok(Some(self.close_call(call)?));
        }
        let name = self.scanner.key()?;
        self.open.push(Open { part: Part::Optargs(call, name), place });
        Ok(None)
    }

    /// The bracket that closes a term.
    fn end_call(&mut self) -> Parse<()> {
        let mut size = 3;
        while self.scanner.take(b',') {
            self.scanner.skip(usize::MAX)?;
            size += 1;
        }
        if size > 3 {
            return Err(Fault::Term(wrong_length(size)));
        }
        self.punctuation(b']')
    }

    /// Gives a part to the term it belongs to; the term comes back when that was its last.
    fn accept(&mut self, open: Open, part: Term) -> Parse<Option<Term>> {
        let place = open.place;
        match open.part {
            Part::Args(mut call) => {
                call.args.push(part);
                if self.scanner.take(b',') {
                    self.open.push(Open { part: Part::Args(call), place });
                    return Ok(None);
                }
                self.punctuation(b']')?;
                let id = call.id;
                self.after_args(call, place).map_err(|fault| blame(fault, id))
            }
            Part::Optargs(mut call, name) => {
                call.optargs.push((name, part));
                if self.scanner.take(b',') {
                    let name = self.scanner.key()?;
                    self.open.push(Open { part: Part::Optargs(call, name), place });
                    return Ok(None);
                }
                self.punctuation(b'}')?;
                let id = call.id;
                let close = |parser: &mut Self| {
                    parser.end_call()?;
                    if let Some(name) = first_duplicate(&call.optargs) {
                        return Err(Fault::Term(Error::compile(format!("Duplicate optional argument: {name}."))));
                    }
                    parser.close_call(call)
                };
                close(self).map(Some).map_err(|fault| blame(fault, id))
            }
            Part::Object(id, mut fields, name) => {
                fields.push((name, part));
                if self.scanner.take(b',') {
                    let name = self.scanner.key()?;
                    self.open.push(Open { part: Part::Object(id, fields, name), place });
                    return Ok(None);
                }
                self.punctuation(b'}')?;
                if let Some(name) = first_duplicate(&fields) {
                    let complaint = Error::compile(format!("Duplicate object key: {name}."));
                    return Err(Fault::Term(complaint.at(id)));
                }
                Ok(Some(self.close_object(id, fields)))
            }
        }
    }

    /// A finished call. An array of constants becomes a constant, so that a bulk insert is data and not a tree of terms.
    fn close_call(&mut self, mut call: Box<Call>) -> Parse<Term> {
        let constant = call.kind == TermKind::MakeArray
            && self.fold_arrays
            && call.optargs.is_empty()
            && call.args.len() <= ARRAY_ELEMENTS_MAX
            && call.args.iter().all(|arg| matches!(arg, Term::Datum(..)));
        if !constant {
            return Ok(Term::Call(call));
        }
        let id = call.id;
        self.forget_below(id);
        let items: Vec<Datum> = std::mem::take(&mut call.args).into_iter().filter_map(into_constant).collect();
        Ok(Term::Datum(Datum::Array(Array::from(items)), id))
    }

    /// A finished object. One of constants becomes a constant, unless it is a pseudo-type that only fails, or only has a
    /// meaning, when it is evaluated.
    fn close_object(&mut self, id: BacktraceId, fields: Vec<(Str, Term)>) -> Term {
        let constant = fields.iter().all(|(_, value)| matches!(value, Term::Datum(..)));
        if constant {
            if !fields.iter().any(|(name, _)| name == PTYPE_FIELD) {
                self.forget_below(id);
                return Term::Datum(Datum::Object(constant_object(fields)), id);
            }
            if let Ok(datum) = Datum::from_fields(constant_object(fields.clone())) {
                self.forget_below(id);
                return Term::Datum(datum, id);
            }
        }
        Term::Call(Box::new(Call { kind: TermKind::MakeObj, args: Vec::new(), optargs: fields, id }))
    }
}

impl Open {
    /// Where the part stands that this term wants next.
    fn wants(&self) -> (BacktraceId, Frame, Place) {
        match &self.part {
            Part::Args(call) => {
                let position = call.args.len();
                let frame = Frame::Arg(u32::try_from(position).unwrap_or(u32::MAX));
                (call.id, frame, self.place.inside(call.kind, position == 0))
            }
            Part::Optargs(call, name) => (call.id, Frame::Optarg(name.clone()), self.place.inside(call.kind, false)),
            Part::Object(id, _, name) => {
                (*id, Frame::Optarg(name.clone()), self.place.inside(TermKind::MakeObj, false))
            }
        }
    }
}

fn blame(fault: Fault, id: BacktraceId) -> Fault {
    match fault {
        Fault::Term(error) => Fault::Term(error.at(id)),
        Fault::Json => Fault::Json,
    }
}

fn wrong_length(found: usize) -> Error {
    Error::compile(format!("Expected between 1 and 3 elements in a raw term, but found {found}."))
}

fn into_constant(term: Term) -> Option<Datum> {
    match term {
        Term::Datum(datum, _) => Some(datum),
        Term::Call(_) => None,
    }
}

fn constant_object(fields: Vec<(Str, Term)>) -> Object {
    let constants = fields.into_iter().filter_map(|(name, term)| into_constant(term).map(|datum| (name, datum)));
    Object::from(constants.collect::<Vec<_>>())
}

/// See [`Parser::integer`].
fn low_bits(token: &[u8], value: f64) -> i32 {
    let text = std::str::from_utf8(token).unwrap_or_default();
    let bits = match (text.parse::<i64>(), text.parse::<u64>()) {
        (Ok(integer), _) => integer as u64,
        (Err(_), Ok(integer)) => integer,
        (Err(_), Err(_)) => value.to_bits(),
    };
    (bits & 0xffff_ffff) as u32 as i32
}
