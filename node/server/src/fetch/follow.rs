//! A request with its redirects.

use bytes::Bytes;
use photondb_query::fetch::{Auth, AuthScheme, Cookie, FetchError, HeaderLine, Method, Request, Response};
use photondb_reql::eval::Cx;
use url::Url;

use super::exchange::{Hop, exchange};
use super::{Client, cookies};

/// Performs the request, and those to which the answers redirect it.
pub(super) async fn follow(
    client: &Client,
    request: &Request,
    jar: &mut Vec<Cookie>,
    cx: &Cx,
) -> Result<Response, FetchError> {
    let mut url = parse(&request.url)?;
    let mut hop = Hop {
        method: request.method,
        auth: request.auth.clone().or_else(|| auth_in(&url)),
        header: request.header.clone(),
        body: request.body.clone(),
        verify: request.verify,
    };
    let mut followed = 0;
    loop {
        let answer = exchange(client, &url, &hop, jar, request.redirects > 0, cx).await?;
        cookies::store(jar, &url, &answer.header);
        let Some(target) = answer.redirect else {
            return Ok(Response {
                status: answer.status,
                header: answer.header,
                body: answer.body,
                // The jar stays full for another attempt.
                cookies: jar.clone(),
            });
        };
        if followed >= request.redirects {
            return Err(FetchError::Redirects);
        }
        followed += 1;
        let next = url.join(&target).map_err(|_| FetchError::Url)?;
        check_scheme(&next)?;
        hop.redirect(answer.status);
        if next.origin() != url.origin() {
            hop.leave_origin();
        }
        url = next;
    }
}

/// A URL of the web. Without a scheme it means `http`.
fn parse(text: &str) -> Result<Url, FetchError> {
    let text = text.trim();
    let with_scheme;
    let text = if text.contains("://") {
        text
    } else {
        with_scheme = format!("http://{text}");
        &with_scheme
    };
    let url = Url::parse(text).map_err(|_| FetchError::Url)?;
    check_scheme(&url)?;
    Ok(url)
}

fn check_scheme(url: &Url) -> Result<(), FetchError> {
    if matches!(url.scheme(), "http" | "https") { Ok(()) } else { Err(FetchError::Scheme) }
}

/// The user that the URL itself names.
fn auth_in(url: &Url) -> Option<Auth> {
    let text = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    (!url.username().is_empty() || url.password().is_some()).then(|| Auth {
        scheme: AuthScheme::Basic,
        user: text(url.username()),
        password: text(url.password().unwrap_or_default()),
    })
}

impl Hop {
    /// What RFC 9110, section 15.4, and all clients make of the method.
    fn redirect(&mut self, status: u16) {
        let becomes_get = match status {
            301 | 302 => self.method == Method::Post,
            303 => self.method != Method::Head,
            _ => false,
        };
        if becomes_get {
            self.method = Method::Get;
            self.body = Bytes::new();
            self.header.retain(|line| !line.name.to_ascii_lowercase().starts_with("content-"));
        }
    }

    /// Another server must not learn what was meant for the first one.
    fn leave_origin(&mut self) {
        self.auth = None;
        let private = |line: &HeaderLine| {
            ["authorization", "cookie", "host"].iter().any(|name| line.name.trim().eq_ignore_ascii_case(name))
        };
        self.header.retain(|line| !private(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_web_is_spoken_to() {
        assert_eq!(parse("example.org/x?y").unwrap().as_str(), "http://example.org/x?y");
        assert_eq!(parse(" https://example.org ").unwrap().as_str(), "https://example.org/");
        for other in ["file:///etc/passwd", "ftp://example.org", "gopher://x", "unix://x"] {
            assert_eq!(parse(other), Err(FetchError::Scheme), "{other}");
        }
        for bad in ["", "http://", "http://[::1", "http://a b/", "http://x:99999/"] {
            assert_eq!(parse(bad), Err(FetchError::Url), "{bad}");
        }
        // Every spelling of an address is that address.
        for spelling in ["http://0x7f.1/", "http://2130706433/", "http://127.1/", "http://0177.0.0.1/"] {
            assert_eq!(parse(spelling).unwrap().host_str(), Some("127.0.0.1"), "{spelling}");
        }
    }

    fn hop(method: Method) -> Hop {
        let line = |name: &str| HeaderLine { name: name.to_owned(), value: Some("x".to_owned()) };
        Hop {
            method,
            auth: Some(Auth { scheme: AuthScheme::Basic, user: "u".to_owned(), password: "p".to_owned() }),
            header: ["Authorization", "X-Own", "Content-Type", "cookie"].map(line).to_vec(),
            body: Bytes::from_static(b"body"),
            verify: true,
        }
    }

    #[test]
    fn a_redirect_may_change_the_method() {
        for (method, status, becomes) in [
            (Method::Post, 301, Method::Get),
            (Method::Post, 302, Method::Get),
            (Method::Put, 302, Method::Put),
            (Method::Put, 303, Method::Get),
            (Method::Head, 303, Method::Head),
            (Method::Post, 307, Method::Post),
            (Method::Delete, 308, Method::Delete),
        ] {
            let mut hop = hop(method);
            hop.redirect(status);
            assert_eq!(hop.method, becomes, "{method:?} {status}");
            assert_eq!(hop.body.is_empty(), becomes != method, "{method:?} {status}");
        }
    }

    #[test]
    fn secrets_stay_with_the_first_server() {
        let mut hop = hop(Method::Get);
        hop.leave_origin();
        assert!(hop.auth.is_none());
        assert_eq!(hop.header.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(), ["X-Own", "Content-Type"]);
        let auth = auth_in(&parse("http://us%20er:p%40@example.org/").unwrap()).unwrap();
        assert_eq!((auth.user.as_str(), auth.password.as_str()), ("us er", "p@"));
    }
}
