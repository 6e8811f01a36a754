//! `http`: a value from another server, or with `page` a stream of values from several of its pages.

mod escape;
mod header;
mod options;
mod page;
mod result;

use std::rc::Rc;

use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Cx, Sequence, Value};

use crate::catalog::{Permission, Scope};
use crate::fetch::{FetchError, Response};
use crate::surroundings::Surroundings;
use options::Options;
use page::Pages;

/// `http(url, {...})`.
pub(super) fn eval(surroundings: &Rc<Surroundings>, args: &Args<'_>) -> Result<Value> {
    surroundings.require(Permission::Connect, Scope::Global)?;
    surroundings.environment.fetch.check_allowed().map_err(|error| Error::op_failed(error.to_string()))?;
    let options = Options::read(args)?;
    if let Some((page, limit)) = options::page(args)? {
        let pages = Pages::new(surroundings.clone(), options, page, limit, args.call().id);
        return Ok(Value::Sequence(Sequence::stream(Box::new(pages))));
    }
    let fetched = fetch(surroundings, &options, Vec::new(), args.cx())?;
    Ok(Value::Datum(fetched.body))
}

/// Performs a request. What comes is counted in `cx`. Errors: it failed, the status is none of success, or the body is not in the format that was asked for.
fn fetch(
    surroundings: &Surroundings,
    options: &Options,
    cookies: Vec<crate::fetch::Cookie>,
    cx: &Cx,
) -> Result<result::Fetched> {
    let response: Response = match surroundings.environment.fetch.fetch(&options.request(cookies), cx) {
        Ok(response) => response,
        Err(error @ FetchError::NotAllowed) => return Err(Error::op_failed(error.to_string())),
        Err(FetchError::Memory(error)) => return Err(error),
        Err(error) => return Err(failed(options, &error.to_string())),
    };
    result::read(response, options, cx)
}

/// Other servers are not to be relied upon, so `default` catches the error.
fn failed(options: &Options, why: &str) -> Error {
    Error::non_existence(format!("{}: {why}.", during(options)))
}

/// `` Error in HTTP GET of `url` ``
fn during(options: &Options) -> String {
    format!("Error in HTTP {} of `{}`", options.method.name(), options.url)
}
