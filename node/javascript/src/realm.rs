//! One query's scripts: they share a global object, which nobody else sees.

mod builtins;
mod read;
mod write;

use std::collections::HashMap;

use rquickjs::context::EvalOptions;
use rquickjs::function::Args;
use rquickjs::{Context, Ctx, Error, Function, Persistent, Runtime, Value};

use crate::limits::{ERROR_BYTES_MAX, FUNCTIONS_MAX, HEAP_BYTES_MAX, STACK_BYTES_MAX};
use crate::message::{Reply, Run};
use builtins::Builtins;
use read::Reader;

/// The engine with a fresh global object.
pub struct Realm {
    /// By source. The functions keep their variables from call to call, as in RethinkDB.
    functions: HashMap<String, Persistent<Function<'static>>>,
    builtins: Builtins,
    context: Context,
    runtime: Runtime,
}

/// Why a script gave no value: what the client is told.
struct Failure(String);

impl Realm {
    /// A realm of the standard objects. Errors: not even they fit into memory.
    pub fn new() -> rquickjs::Result<Realm> {
        let runtime = Runtime::new()?;
        runtime.set_memory_limit(HEAP_BYTES_MAX);
        runtime.set_max_stack_size(STACK_BYTES_MAX);
        let context = Context::full(&runtime)?;
        let builtins = context.with(|ctx| Builtins::of(&ctx))?;
        Ok(Realm { functions: HashMap::new(), builtins, context, runtime })
    }

    /// Runs a script, or calls the function it gives. It takes as long as the script does.
    pub fn run(&mut self, run: &Run) -> Reply {
        let Realm { functions, builtins, context, .. } = self;
        let reply = context.with(|ctx| {
            let work = Work { ctx, builtins, functions, array_limit: run.array_limit };
            work.run(run).unwrap_or_else(|Failure(text)| Reply::Failed(cut(text)))
        });
        if matches!(reply, Reply::Failed(_)) {
            // What a failed script leaves in cycles must not be held against the next one.
            self.runtime.run_gc();
        }
        reply
    }
}

struct Work<'a, 'js> {
    ctx: Ctx<'js>,
    builtins: &'a Builtins,
    functions: &'a mut HashMap<String, Persistent<Function<'static>>>,
    array_limit: usize,
}

impl<'js> Work<'_, 'js> {
    fn run(mut self, run: &Run) -> Result<Reply, Failure> {
        let function = match self.known(&run.source)? {
            Some(function) => function,
            None => {
                let value = self.evaluate(&run.source)?;
                match value.as_function() {
                    Some(function) => {
                        self.remember(&run.source, function);
                        function.clone()
                    }
                    None if run.arguments.is_none() => return self.answer(value),
                    None => {
                        return Err(Failure(format!(
                            "Javascript query `{}` returned a value when it should have returned a function.",
                            run.source
                        )));
                    }
                }
            }
        };
        match &run.arguments {
            None => Ok(Reply::Function),
            Some(arguments) => {
                let value = self.call(&function, arguments)?;
                if value.is_function() {
                    return Err(Failure("Returning functions from within `r.js` is unsupported.".to_owned()));
                }
                self.answer(value)
            }
        }
    }

    fn known(&self, source: &str) -> Result<Option<Function<'js>>, Failure> {
        let saved = self.functions.get(source).cloned();
        saved.map(|saved| saved.restore(&self.ctx)).transpose().map_err(|error| self.failure(&error))
    }

    fn remember(&mut self, source: &str, function: &Function<'js>) {
        if self.functions.len() >= FUNCTIONS_MAX {
            self.functions.clear();
        }
        self.functions.insert(source.to_owned(), Persistent::save(&self.ctx, function.clone()));
    }

    fn evaluate(&self, source: &str) -> Result<Value<'js>, Failure> {
        let mut options = EvalOptions::default();
        options.strict = false;
        options.filename = Some("query".to_owned());
        self.ctx.eval_with_options(source, options).map_err(|error| self.failure(&error))
    }

    fn call(&self, function: &Function<'js>, arguments: &[photondb_reql::Datum]) -> Result<Value<'js>, Failure> {
        let mut given = Args::new(self.ctx.clone(), arguments.len());
        given.this(self.ctx.globals()).map_err(|error| self.failure(&error))?;
        for argument in arguments {
            let value = write::value(&self.ctx, self.builtins, argument).map_err(|error| match error {
                write::Refused::Engine(error) => self.failure(&error),
                refused => Failure(refused.to_string()),
            })?;
            given.push_arg(value).map_err(|error| self.failure(&error))?;
        }
        function.call_arg(given).map_err(|error| self.failure(&error))
    }

    fn answer(&self, value: Value<'js>) -> Result<Reply, Failure> {
        let mut reader =
            Reader::new(&self.ctx, self.builtins, self.array_limit).map_err(|error| self.failure(&error))?;
        reader.datum(&value).map(Reply::Value).map_err(|error| {
            // A getter that threw has left its exception behind; it must not be taken for one of the next script.
            drop(self.ctx.catch());
            Failure(error.to_string())
        })
    }

    /// What the script threw, as text: `SyntaxError: ...`, or whatever the thrown value is as a string.
    fn failure(&self, error: &Error) -> Failure {
        if !error.is_exception() {
            return Failure(match error {
                Error::InvalidString(_) => "SyntaxError: a script may not hold the character NUL".to_owned(),
                other => format!("InternalError: {other}"),
            });
        }
        let text = builtins::text(&self.ctx, self.builtins, self.ctx.catch());
        if text.is_err() {
            drop(self.ctx.catch());
        }
        Failure(text.unwrap_or_else(|_| "The script threw something that has no text.".to_owned()))
    }
}

fn cut(mut text: String) -> String {
    if text.len() > ERROR_BYTES_MAX {
        let end = (0..=ERROR_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests;
