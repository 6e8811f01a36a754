//! The walk over a term.

use std::collections::BTreeMap;

use super::database::Database;
use super::fault::Fault;
use super::thing::{Expected, Order, TableName, Thing};
use super::value::Value;
use crate::term::{Term, number};

/// Variables of the functions around a term.
#[derive(Clone, Debug, Default)]
pub struct Scope(BTreeMap<u64, Value>);

/// A function, or a value in the place of one.
pub struct Function<'a> {
    parameters: Vec<u64>,
    body: &'a Term,
    scope: Scope,
}

/// A term in its parts.
pub struct Call<'a> {
    /// Which term.
    pub number: u64,
    /// Its arguments.
    pub arguments: &'a [Term],
    /// Its options.
    pub options: Option<&'a serde_json::Map<String, Term>>,
}

impl<'a> Call<'a> {
    /// `None`: it is a plain value.
    pub fn of(term: &'a Term) -> Result<Option<Call<'a>>, Fault> {
        let serde_json::Value::Array(parts) = term else { return Ok(None) };
        let number = parts.first().and_then(Term::as_u64).ok_or_else(|| Fault::undefined("a term without a number"))?;
        let arguments = parts.get(1).and_then(Term::as_array).map_or(&[] as &[Term], Vec::as_slice);
        Ok(Some(Call { number, arguments, options: parts.get(2).and_then(Term::as_object) }))
    }

    /// The argument. Errors: there are fewer.
    pub fn argument(&self, at: usize) -> Result<&'a Term, Fault> {
        self.arguments.get(at).ok_or_else(|| Fault::undefined("a term with too few arguments"))
    }

    /// Errors: there is another number of arguments.
    pub fn takes(&self, count: usize) -> Result<(), Fault> {
        if self.arguments.len() == count { Ok(()) } else { Err(Fault::undefined("another number of arguments")) }
    }

    /// The option.
    pub fn option(&self, name: &str) -> Option<&'a Term> {
        self.options?.get(name)
    }

    /// Errors: there are options beside these.
    pub fn knows(&self, names: &[&str]) -> Result<(), Fault> {
        let mut options = self.options.into_iter().flatten();
        match options.find(|(name, _)| !names.contains(&name.as_str())) {
            Some((name, _)) => Err(Fault::undefined(format_args!("the option {name}"))),
            None => Ok(()),
        }
    }
}

/// A query under way.
pub struct Evaluation<'d> {
    /// What it reads and writes.
    pub database: &'d mut Database,
    /// Whether rows without an order became an array.
    pub any_order: bool,
    /// Whether the query is a write, whose answer is a summary.
    pub writes: bool,
}

impl Evaluation<'_> {
    /// A query that begins.
    pub fn new(database: &mut Database) -> Evaluation<'_> {
        Evaluation { database, any_order: false, writes: false }
    }

    /// What the whole query answers.
    pub fn expected(&mut self, thing: Thing) -> Result<Expected, Fault> {
        let order = if self.any_order { Order::Any } else { Order::Fixed };
        match thing {
            Thing::Value(value) if self.writes => match value {
                Value::Object(_) if !self.any_order => Ok(Expected::Summary(value)),
                other => Err(Fault::undefined(format_args!("{other:?} made of writes"))),
            },
            Thing::Value(value) if value.has_bounds() => Err(Fault::undefined("a bound as an answer")),
            Thing::Value(value) | Thing::One { row: value, .. } => Ok(Expected::Value(value, order)),
            Thing::Database(_) | Thing::Groups(_) => Err(Fault::undefined("an answer that is no value")),
            sequence => {
                let (rows, order) = self.rows(sequence)?;
                Ok(Expected::Rows(rows, order))
            }
        }
    }

    /// What `term` is.
    pub fn evaluate(&mut self, term: &Term, scope: &Scope) -> Result<Thing, Fault> {
        match Call::of(term)? {
            Some(call) => self.call(&call, scope),
            None => match term {
                serde_json::Value::Object(fields) => {
                    let mut object = BTreeMap::new();
                    for (name, field) in fields {
                        object.insert(name.clone(), self.value(field, scope)?);
                    }
                    if object.contains_key("$reql_type$") {
                        return Err(Fault::undefined("pseudotypes"));
                    }
                    Ok(Thing::Value(Value::Object(object)))
                }
                plain => Value::from_json(plain).map(Thing::Value),
            },
        }
    }

    /// The value of `term`; a sequence as an array.
    pub fn value(&mut self, term: &Term, scope: &Scope) -> Result<Value, Fault> {
        match self.evaluate(term, scope)? {
            Thing::Value(value) | Thing::One { row: value, .. } => Ok(value),
            Thing::Database(_) | Thing::Groups(_) => Err(Fault::undefined("no value")),
            _ => Err(Fault::undefined("a stream in the place of a value")),
        }
    }

    /// The values of all arguments.
    pub fn values(&mut self, arguments: &[Term], scope: &Scope) -> Result<Vec<Value>, Fault> {
        arguments.iter().map(|argument| self.value(argument, scope)).collect()
    }

    /// `term` as a function; a value stands for the function that always gives it.
    pub fn function<'a>(&self, term: &'a Term, scope: &Scope) -> Result<Function<'a>, Fault> {
        if contains(term, number::IMPLICIT_VAR) {
            return Err(Fault::undefined("r.row"));
        }
        match Call::of(term)? {
            Some(call) if call.number == number::FUNC => {
                call.takes(2)?;
                let parameters = Call::of(call.argument(0)?)?.map_or(&[] as &[Term], |list| list.arguments);
                let parameters = parameters.iter().map(|id| id.as_u64().ok_or_else(|| Fault::undefined("a parameter")));
                Ok(Function {
                    parameters: parameters.collect::<Result<_, _>>()?,
                    body: call.argument(1)?,
                    scope: scope.clone(),
                })
            }
            _ => Ok(Function { parameters: Vec::new(), body: term, scope: scope.clone() }),
        }
    }

    /// `term`, which must be a function and no value in the place of one.
    pub fn explicit_function<'a>(&self, term: &'a Term, scope: &Scope) -> Result<Function<'a>, Fault> {
        match Call::of(term)? {
            Some(call) if call.number == number::FUNC => self.function(term, scope),
            _ => Err(Fault::undefined("a value in the place of a function")),
        }
    }

    /// The value of `function` for `arguments`.
    pub fn apply(&mut self, function: &Function<'_>, arguments: &[Value]) -> Result<Value, Fault> {
        if !function.parameters.is_empty() && function.parameters.len() != arguments.len() {
            return Err(Fault::undefined("a function of another number of arguments"));
        }
        let mut scope = function.scope.clone();
        scope.0.extend(function.parameters.iter().copied().zip(arguments.iter().cloned()));
        match self.evaluate(function.body, &scope)? {
            // What a function gives is a value, so that a sequence in it becomes an array.
            sequence @ (Thing::Table(_) | Thing::Selection { .. } | Thing::Stream { .. }) => {
                let (rows, order) = self.rows(sequence)?;
                self.array(rows, order)
            }
            thing => Value::try_from(thing),
        }
    }

    /// An array of rows; notes when their order is open.
    pub fn array(&mut self, rows: Vec<Value>, order: Order) -> Result<Value, Fault> {
        self.any_order |= order == Order::Any && rows.len() > 1;
        Ok(Value::Array(rows))
    }

    /// The rows of a sequence. Errors: it is none.
    pub fn rows(&mut self, thing: Thing) -> Result<(Vec<Value>, Order), Fault> {
        match thing {
            Thing::Table(name) => Ok((self.database.documents(&name)?, Order::Any)),
            Thing::Selection { rows, order, .. } | Thing::Stream { rows, order } => Ok((rows, order)),
            Thing::Value(Value::Array(rows)) | Thing::One { row: Value::Array(rows), .. } => Ok((rows, Order::Fixed)),
            Thing::Value(value) | Thing::One { row: value, .. } => Err(value.mistyped("a sequence")),
            Thing::Database(_) | Thing::Groups(_) => Err(Fault::undefined("no sequence")),
        }
    }

    fn call(&mut self, call: &Call<'_>, scope: &Scope) -> Result<Thing, Fault> {
        use number::*;
        match call.number {
            MAKE_ARRAY => Ok(Thing::Value(Value::Array(self.values(call.arguments, scope)?))),
            DATUM => Value::from_json(call.argument(0)?).map(Thing::Value),
            VAR => {
                let id = call.argument(0)?.as_u64().unwrap_or_default();
                scope.0.get(&id).cloned().map(Thing::Value).ok_or_else(|| Fault::undefined("an unbound variable"))
            }
            MINVAL => Ok(Thing::Value(Value::MinVal)),
            MAXVAL => Ok(Thing::Value(Value::MaxVal)),
            FUNCALL => {
                let function = self.function(call.argument(0)?, scope)?;
                let arguments = self.values(&call.arguments[1..], scope)?;
                self.apply(&function, &arguments).map(Thing::Value)
            }
            BRANCH => self.branch(call.arguments, scope),
            DEFAULT => {
                call.takes(2)?;
                let value = match self.evaluate(call.argument(0)?, scope) {
                    Ok(Thing::Value(Value::Null) | Thing::One { row: Value::Null, .. }) => None,
                    Ok(thing) => Some(thing),
                    Err(fault) if fault.is_missing() => None,
                    Err(fault) => return Err(fault),
                };
                match value {
                    Some(thing) => Ok(thing),
                    None => self.evaluate(call.argument(1)?, scope),
                }
            }
            DB => {
                let name = call.argument(0)?.as_str().ok_or_else(|| Fault::undefined("the name of a database"))?;
                Ok(Thing::Database(name.to_owned()))
            }
            TABLE => {
                call.knows(&["read_mode"])?;
                let name = self.table_name(call, scope)?;
                self.database.table(&name)?;
                Ok(Thing::Table(name))
            }
            ADD | SUB | MUL | DIV | MOD | EQ | NE | LT | LE | GT | GE | NOT | AND | OR => self.arithmetic(call, scope),
            GET_FIELD | BRACKET | HAS_FIELDS | PLUCK | WITHOUT | MERGE | KEYS | VALUES | APPEND | PREPEND | TYPE_OF => {
                self.shape(call, scope)
            }
            GET | GET_ALL | BETWEEN | FILTER | MAP | CONCAT_MAP | ORDER_BY | DISTINCT | UNION | NTH | LIMIT | SKIP
            | COERCE_TO => self.sequence(call, scope),
            COUNT | SUM | AVG | MIN | MAX | REDUCE | GROUP | UNGROUP | CONTAINS | IS_EMPTY => {
                self.aggregate(call, scope)
            }
            INSERT | UPDATE | REPLACE | DELETE => {
                self.writes = true;
                self.write(call, scope).map(Thing::Value)
            }
            DB_CREATE | DB_DROP | DB_LIST | TABLE_CREATE | TABLE_DROP | TABLE_LIST | INDEX_CREATE | INDEX_DROP
            | INDEX_LIST | WAIT => self.administer(call, scope),
            other => Err(Fault::undefined(format_args!("term {other}"))),
        }
    }

    /// The table that a term names by a database and a string.
    pub fn table_name(&mut self, call: &Call<'_>, scope: &Scope) -> Result<TableName, Fault> {
        call.takes(2)?;
        let Thing::Database(database) = self.evaluate(call.argument(0)?, scope)? else {
            return Err(Fault::undefined("a table of no database"));
        };
        let table = self.value(call.argument(1)?, scope)?.string()?.to_owned();
        Ok(TableName { database, table })
    }

    fn branch(&mut self, arguments: &[Term], scope: &Scope) -> Result<Thing, Fault> {
        match arguments {
            [otherwise] => self.evaluate(otherwise, scope),
            [test, then, rest @ ..] if !rest.is_empty() => {
                if self.value(test, scope)?.is_true() {
                    self.evaluate(then, scope)
                } else {
                    self.branch(rest, scope)
                }
            }
            _ => Err(Fault::undefined("a branch without an end")),
        }
    }
}

/// Whether the term `number` is anywhere in `term`.
pub fn contains(term: &Term, number: u64) -> bool {
    match term {
        serde_json::Value::Array(parts) => {
            parts.first().and_then(Term::as_u64) == Some(number) && parts.get(1).is_none_or(Term::is_array)
                || parts.iter().any(|part| contains(part, number))
        }
        serde_json::Value::Object(fields) => fields.values().any(|field| contains(field, number)),
        _ => false,
    }
}
