//! Several pages as one stream: what each answers says where the next one is.

use std::rc::Rc;

use photondb_reql::BacktraceId;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result, ResultExt};
use photondb_reql::eval::{Batch, Cx, Func, Stream};

use super::options::{Options, check_parameters};
use super::result::Fetched;
use super::{during, fetch};
use crate::fetch::Cookie;
use crate::surroundings::Surroundings;

/// How the next page is found.
pub(super) enum Page {
    /// By the link `rel="next"` of the header.
    LinkNext,
    /// By a function of `{params, header, body}`: null, a URL, or an object with `url` and `params`.
    Function(Func),
}

/// The pages. Each is fetched when somebody reads that far.
pub(super) struct Pages {
    surroundings: Rc<Surroundings>,
    options: Options,
    page: Page,
    /// Pages yet to come; `None`: as many as there are.
    left: Option<u64>,
    more: bool,
    cookies: Vec<Cookie>,
    id: BacktraceId,
}

impl Pages {
    pub fn new(
        surroundings: Rc<Surroundings>,
        options: Options,
        page: Page,
        limit: Option<u64>,
        id: BacktraceId,
    ) -> Pages {
        Pages { surroundings, options, page, left: limit, more: limit != Some(0), cookies: Vec::new(), id }
    }

    fn next(&mut self, cx: &Cx) -> Result<Batch> {
        let mark = cx.held();
        let fetched = fetch(&self.surroundings, &self.options, self.cookies.clone(), cx).at(self.id)?;
        let rows = match &fetched.body {
            Datum::Array(items) => items.iter().collect(),
            other => vec![other.clone()],
        };
        self.more = self.find_next(fetched, cx).at(self.id)?;
        // Whoever gathers rows counts them.
        cx.release_to(mark);
        Ok(rows)
    }

    /// Where the next page is; whether there is one.
    fn find_next(&mut self, fetched: Fetched, cx: &Cx) -> Result<bool> {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return Ok(false);
            }
        }
        let Fetched { header, body, cookies } = fetched;
        self.cookies = cookies;
        let parameters = Datum::Object(self.options.parameters.clone());
        let seen = Datum::Object(Object::from([("params", parameters), ("header", header), ("body", body)]));
        let found = match &self.page {
            Page::LinkNext => Ok(link_next(&seen)),
            Page::Function(function) => function.apply(seen.clone(), cx),
        };
        found.and_then(|found| self.go_to(&found)).map_err(|error| Error {
            message: format!(
                "{}: {}.\nError occurred during `page` called with:\n{}\n",
                during(&self.options),
                error.message,
                seen.print()
            ),
            ..error
        })
    }

    fn go_to(&mut self, found: &Datum) -> Result<bool> {
        let fields = match found {
            Datum::Null | Datum::String(_) => return self.go_to_url(found),
            Datum::Object(fields) => fields,
            other => {
                return Err(Error::logic(format!(
                    "Expected `page` to return an OBJECT, but found {}.",
                    other.type_name()
                )));
            }
        };
        let (url, parameters) = (fields.get("url"), fields.get("params"));
        if url.is_none() && parameters.is_none() {
            return Err(Error::logic("OBJECT returned by `page` must contain `url` and/or `params` fields."));
        }
        if let Some(parameters) = parameters {
            let new = check_parameters(&parameters)?;
            let merged = new.iter().fold(self.options.parameters.clone(), |all, (name, value)| all.with(name, value));
            self.options.parameters = merged;
        }
        match url {
            Some(url) => self.go_to_url(&url),
            None => Ok(true),
        }
    }

    fn go_to_url(&mut self, url: &Datum) -> Result<bool> {
        match url {
            Datum::Null => Ok(false),
            Datum::String(url) => {
                self.options.url = url.as_str().to_owned();
                Ok(true)
            }
            other => Err(Error::logic(format!(
                "Expected `url` in OBJECT returned by `page` to be a STRING or NULL, but found {}.",
                other.type_name()
            ))),
        }
    }
}

impl Stream for Pages {
    fn next_batch(&mut self, _want: usize, cx: &Cx) -> Result<Batch> {
        // An empty batch would be the end, and a page may be empty.
        while self.more {
            let rows = self.next(cx)?;
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        Ok(Batch::new())
    }
}

fn link_next(seen: &Datum) -> Datum {
    let link = seen.field("header").and_then(|header| header.field("link"));
    link.and_then(|link| link.field("rel=\"next\"")).unwrap_or(Datum::Null)
}
