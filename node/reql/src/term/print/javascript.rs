//! Terms as a JavaScript programmer would have written them: `var1("a").add(1)` where a term hangs on a value,
//! `r.branch(..)` where it does not.

use std::cell::Cell;

use super::layout::Doc;
use super::variable;
use crate::datum::{Datum, binary};
use crate::limits::{PRINTED_CONSTANT_DEPTH_MAX, PRINTED_PARTS_MAX, PRINTED_TEXT_BYTES_MAX};
use crate::term::{Call, Term, TermKind};

/// Deeper than this the text is cut.
const DEPTH_MAX: usize = 15;

/// Of constants and names about as many bytes as `bytes_max` are shown.
pub(super) fn render(term: &Term, bytes_max: usize) -> Doc {
    let left = Left { parts: Cell::new(PRINTED_PARTS_MAX), bytes: Cell::new(bytes_max) };
    Printer { depth: 0, left: &left, prefix: true, inside: false }.visit(term)
}

struct Printer<'a> {
    depth: usize,
    left: &'a Left,
    /// Whether `r.` is written.
    prefix: bool,
    /// Inside arguments or literals, where constants need no `r.expr`.
    inside: bool,
}

/// What may still be shown.
struct Left {
    /// Terms and constants.
    parts: Cell<usize>,
    /// Bytes of texts and names.
    bytes: Cell<usize>,
}

impl Left {
    fn is_nothing(&self) -> bool {
        self.parts.get() == 0 || self.bytes.get() == 0
    }

    /// Whether one more part is shown.
    fn take_part(&self) -> bool {
        let shown = !self.is_nothing();
        self.parts.set(self.parts.get().saturating_sub(1));
        shown
    }

    /// Whether a text of so many bytes is shown.
    fn take_bytes(&self, bytes: usize) -> bool {
        let left = self.bytes.get();
        if bytes > PRINTED_TEXT_BYTES_MAX {
            return false;
        }
        // One that does not fit ends everything: a later and shorter one would stand for it.
        self.bytes.set(left.saturating_sub(bytes));
        left >= bytes
    }

    /// The parts of one level; when nothing more is shown, one stands for the rest of them.
    fn some(&self, parts: impl Iterator<Item = Doc>) -> Vec<Doc> {
        let mut some = Vec::new();
        for part in parts {
            some.push(part);
            if self.is_nothing() {
                some.push(Doc::text("..."));
                break;
            }
        }
        some
    }

    /// A name; one that is too long is left out.
    fn name<'a>(&self, name: &'a str) -> &'a str {
        if self.take_bytes(name.len()) { name } else { "..." }
    }
}

/// A line may end behind the comma.
fn comma() -> Doc {
    Doc::Concat(vec![Doc::text(","), Doc::Soft(" ", "")])
}

fn join(parts: Vec<Doc>) -> Doc {
    let mut joined = Vec::with_capacity(parts.len() * 2);
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            joined.push(comma());
        }
        joined.push(part);
    }
    Doc::Concat(joined)
}

fn wrap(open: &str, inner: Doc, close: &str) -> Doc {
    Doc::Concat(vec![Doc::text(open), Doc::nest(inner), Doc::text(close)])
}

/// `GET_FIELD` as `getField`.
fn camel(name: &str) -> String {
    let mut result = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            _ if std::mem::take(&mut upper) => result.push(letter.to_ascii_uppercase()),
            _ => result.push(letter.to_ascii_lowercase()),
        }
    }
    result
}

fn name_of(kind: TermKind) -> String {
    if kind == TermKind::Javascript { "js".to_owned() } else { camel(kind.name()) }
}

impl Printer<'_> {
    fn within<T>(&mut self, inside: bool, print: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.inside, inside);
        let result = print(self);
        self.inside = before;
        result
    }

    fn visit(&mut self, term: &Term) -> Doc {
        if self.depth >= DEPTH_MAX || !self.left.take_part() {
            return Doc::text("...");
        }
        self.depth += 1;
        let doc = match term {
            Term::Datum(Datum::Object(_), _) if !self.inside => self.with_r(self.wrapped_constant(term)),
            Term::Datum(datum, _) if self.inside => self.constant(datum),
            Term::Datum(datum, _) => self.expr(self.constant(datum)),
            Term::Call(call) => self.call(call, term),
        };
        self.depth -= 1;
        doc
    }

    fn constant(&self, datum: &Datum) -> Doc {
        constant(datum, 0, self.left)
    }

    fn call(&mut self, call: &Call, term: &Term) -> Doc {
        match call.kind {
            TermKind::Funcall if call.args.len() != 2 => self.top_level_do(call),
            TermKind::MakeArray => {
                let items = self.within(true, |printer| printer.list(&call.args));
                let array = wrap("[", items, "]");
                if self.inside { array } else { self.expr(array) }
            }
            TermKind::MakeObj if self.inside => self.natural_object(call),
            TermKind::MakeObj => self.wrapped_object(call),
            TermKind::Func => self.func(call),
            TermKind::Var => variable_of(call),
            TermKind::ImplicitVar => self.with_r(Doc::text("row")),
            _ if hangs(term) => self.chain(term),
            _ if takes_parentheses(call) => self.funcall(call),
            kind => self.with_r(Doc::text(name_of(kind))),
        }
    }

    fn list(&mut self, terms: &[Term]) -> Doc {
        let left = self.left;
        join(left.some(terms.iter().map(|term| self.visit(term))))
    }

    fn with_r(&self, doc: Doc) -> Doc {
        if self.prefix {
            let dotted = Doc::Concat(vec![Doc::text("."), doc]);
            Doc::Concat(vec![Doc::text("r"), Doc::nest(dotted)])
        } else {
            doc
        }
    }

    fn expr(&self, doc: Doc) -> Doc {
        self.with_r(wrap("expr(", doc, ")"))
    }

    fn natural_object(&mut self, call: &Call) -> Doc {
        let left = self.left;
        let fields = call.optargs.iter().map(|(name, value)| {
            let value = self.within(true, |printer| printer.visit(value));
            field(left.name(name), value)
        });
        wrap("{", join(left.some(fields)), "}")
    }

    fn wrapped_object(&mut self, call: &Call) -> Doc {
        let left = self.left;
        let fields = call.optargs.iter().map(|(name, value)| {
            let name = quoted(left.name(name));
            let value = self.within(true, |printer| printer.visit(value));
            Doc::Concat(vec![name, comma(), value])
        });
        let fields = left.some(fields);
        self.with_r(wrap("object(", Doc::nest(join(fields)), ")"))
    }

    fn wrapped_constant(&self, term: &Term) -> Doc {
        let mut parts = Vec::new();
        if let Some(Datum::Object(fields)) = term.as_datum() {
            let fields = fields.iter().map(|(name, value)| {
                let name = quoted(self.left.name(&name));
                Doc::Concat(vec![name, comma(), self.constant(&value)])
            });
            parts = self.left.some(fields);
        }
        wrap("object(", Doc::nest(join(parts)), ")")
    }

    fn optargs(&mut self, call: &Call) -> Doc {
        let left = self.left;
        let fields = call.optargs.iter().map(|(name, value)| {
            let name = Doc::text(format!("\"{}\":", camel(left.name(name))));
            Doc::nest(Doc::Concat(vec![name, Doc::Soft(" ", ""), self.visit(value)]))
        });
        wrap("{", join(left.some(fields)), "}")
    }

    /// Arguments from `first` on, and the options behind them.
    fn arguments(&mut self, call: &Call, first: usize) -> Doc {
        self.within(true, |printer| {
            let left = printer.left;
            let mut parts = left.some(call.args.iter().skip(first).map(|arg| printer.visit(arg)));
            if !call.optargs.is_empty() {
                parts.push(printer.optargs(call));
            }
            join(parts)
        })
    }

    fn funcall(&mut self, call: &Call) -> Doc {
        let arguments = self.arguments(call, 0);
        self.with_r(Doc::Concat(vec![Doc::text(name_of(call.kind)), wrap("(", arguments, ")")]))
    }

    /// `r.do(a, b, function ..)`
    fn top_level_do(&mut self, call: &Call) -> Doc {
        let mut parts = self.within(true, |printer| {
            let left = printer.left;
            left.some(call.args.iter().skip(1).map(|arg| printer.visit(arg)))
        });
        parts.extend(call.args.first().map(|func| self.visit(func)));
        self.with_r(wrap("do(", join(parts), ")"))
    }

    fn func(&mut self, call: &Call) -> Doc {
        let [params, body] = call.args.as_slice() else { return Doc::text("...") };
        let params = match params {
            Term::Datum(Datum::Array(numbers), _) => {
                join(self.left.some(numbers.iter().map(|number| Doc::text(variable_name(&number)))))
            }
            Term::Call(array) => {
                let names = array.args.iter().filter_map(Term::as_datum).map(|number| Doc::text(variable_name(number)));
                join(self.left.some(names))
            }
            Term::Datum(..) => Doc::text("..."),
        };
        let body = self.within(false, |printer| printer.visit(body));
        let body = Doc::Concat(vec![Doc::text("return "), Doc::nest(body), Doc::text(";")]);
        let head = Doc::Concat(vec![Doc::text("tion "), wrap("(", params, ")"), Doc::text(" {"), Doc::Hard, body]);
        Doc::nest(Doc::Concat(vec![Doc::text("func"), Doc::nest(head), Doc::Hard, Doc::text("}")]))
    }

    /// `base.first(..).second(..)`
    fn chain(&mut self, term: &Term) -> Doc {
        let mut links: Vec<Doc> = Vec::new();
        let mut at = term;
        // Whether the base needs `r.` in front, should the chain end without one of its own.
        let mut needs_r = false;
        let mut base = None;
        loop {
            let Term::Call(call) = at else {
                base = Some(at);
                break;
            };
            if !hangs(at) {
                base = Some(at);
                break;
            }
            match call.kind {
                TermKind::ImplicitVar => {
                    links.push(Doc::text("row"));
                    needs_r = true;
                    break;
                }
                TermKind::Bracket if call.args.len() == 2 => {
                    let inner = self.arguments(call, 1);
                    links.push(Doc::Concat(vec![Doc::text("("), inner, Doc::text(")")]));
                    at = &call.args[0];
                }
                TermKind::Funcall => {
                    let inner = self.within(true, |printer| printer.visit(&call.args[0]));
                    links.push(Doc::Concat(vec![Doc::Soft(".", "."), wrap("do(", inner, ")")]));
                    at = &call.args[1];
                }
                kind => {
                    let inner = self.arguments(call, 1);
                    let link = wrap(&format!("{}(", name_of(kind)), inner, ")");
                    match call.args.first() {
                        Some(first) => {
                            links.push(Doc::Concat(vec![Doc::Soft(".", "."), link]));
                            at = first;
                        }
                        None => {
                            links.push(link);
                            needs_r = true;
                            break;
                        }
                    }
                }
            }
        }
        links.reverse();
        let links = Doc::Concat(links);
        match base {
            None if needs_r => self.with_r(links),
            None => links,
            Some(base) if is_bare(base) => {
                // A base that is no term of `r` starts the group, so that broken lines align with it.
                let base = self.visit(base);
                Doc::nest(Doc::Concat(vec![base, links]))
            }
            Some(base) => {
                let before = std::mem::replace(&mut self.prefix, false);
                let base = self.visit(base);
                self.prefix = before;
                self.with_r(Doc::Concat(vec![base, links]))
            }
        }
    }
}

/// Constants and variables: nothing is written in front of them.
fn is_bare(term: &Term) -> bool {
    match term {
        Term::Datum(datum, _) => !matches!(datum, Datum::Array(_) | Datum::Object(_)),
        Term::Call(call) => call.kind == TermKind::Var,
    }
}

fn quoted(name: &str) -> Doc {
    Doc::text(format!("\"{name}\""))
}

fn field(name: &str, value: Doc) -> Doc {
    Doc::nest(Doc::Concat(vec![Doc::text(format!("\"{name}\":")), Doc::Soft(" ", ""), value]))
}

fn variable_of(call: &Call) -> Doc {
    Doc::text(call.args.first().and_then(Term::as_datum).map_or_else(|| "...".to_owned(), variable_name))
}

fn variable_name(number: &Datum) -> String {
    number.as_integer().map_or_else(|_| "...".to_owned(), variable)
}

fn constant(datum: &Datum, depth: usize, left: &Left) -> Doc {
    let inner = |datum: &Datum| constant(datum, depth + 1, left);
    match datum {
        _ if depth > PRINTED_CONSTANT_DEPTH_MAX || !left.take_part() => Doc::text("..."),
        Datum::MinVal => Doc::text("r.minval"),
        Datum::MaxVal => Doc::text("r.maxval"),
        Datum::Null => Doc::text("null"),
        Datum::Bool(value) => Doc::text(value.to_string()),
        Datum::Number(value) if value.fract() == 0.0 => Doc::text(format!("{value:.0}")),
        Datum::Number(value) => Doc::text(format!("{value:.6}")),
        Datum::String(text) => Doc::text(format!("\"{}\"", left.name(text))),
        Datum::Binary(data) if !left.take_bytes(data.len()) => Doc::text("Buffer(...)"),
        Datum::Binary(data) => {
            let mut base64 = Vec::new();
            binary::write_base64(data, &mut base64);
            let base64 = String::from_utf8(base64).unwrap_or_default();
            wrap("Buffer(", join(vec![Doc::text(base64), Doc::text("'base64'")]), ")")
        }
        Datum::Array(items) => wrap("[", join(left.some(items.iter().map(|item| inner(&item)))), "]"),
        Datum::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| field(left.name(&name), inner(&value)));
            wrap("{", join(left.some(fields)), "}")
        }
    }
}

/// Whether a term is written behind its first argument, with a dot.
fn hangs(term: &Term) -> bool {
    use TermKind::*;
    let Term::Call(call) = term else { return false };
    match call.kind {
        Table | Funcall => call.args.len() == 2,
        Error | Uuid | Http | Db | Eq | Ne | Lt | Le | Gt | Ge | Not | Add | Sub | Mul | Div | Mod | Floor | Ceil
        | Round | BitAnd | BitOr | BitXor | BitNot | BitSal | BitSar | Object | Range | DbCreate | DbDrop | DbList
        | Branch | Or | And | Json | Iso8601 | EpochTime | Now | Time | Monday | Tuesday | Wednesday | Thursday
        | Friday | Saturday | Sunday | January | February | March | April | May | June | July | August | September
        | October | November | December | Literal | Random | Geojson | Point | Line | Polygon | Circle | Datum
        | Var | MakeArray | MakeObj | Args | Javascript | Asc | Desc | Minval | Maxval => false,
        _ => true,
    }
}

/// Whether parentheses follow the name even though there are no arguments.
fn takes_parentheses(call: &Call) -> bool {
    !call.args.is_empty() || !(call.kind.is_constant() || call.kind == TermKind::ImplicitVar)
}
