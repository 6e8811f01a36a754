//! Cookies of one query (RFC 6265): what servers set on the way goes back to them, through redirects and from page to
//! page. Nothing outlives the query.

use photondb_query::fetch::Cookie;
use url::Url;

use crate::limits::{HTTP_COOKIE_BYTES_MAX, HTTP_COOKIES_MAX};

/// Keeps what the `Set-Cookie` lines of an answer say.
pub(super) fn store(jar: &mut Vec<Cookie>, url: &Url, header: &[(String, String)]) {
    for (_, line) in header.iter().filter(|(name, _)| name == "set-cookie") {
        let Some((cookie, gone)) = parse(line, url) else { continue };
        jar.retain(|old| (&old.name, &old.domain, &old.path) != (&cookie.name, &cookie.domain, &cookie.path));
        if !gone && jar.len() < HTTP_COOKIES_MAX {
            jar.push(cookie);
        }
    }
}

/// The `Cookie` line for a request.
pub(super) fn line(jar: &[Cookie], url: &Url) -> Option<String> {
    let host = url.host_str()?.to_ascii_lowercase();
    let goes = |cookie: &&Cookie| {
        let domain = if cookie.host_only { host == cookie.domain } else { is_below(&host, &cookie.domain) };
        domain && path_matches(url.path(), &cookie.path) && (!cookie.secure || url.scheme() == "https")
    };
    let pairs: Vec<String> =
        jar.iter().filter(goes).map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
    (!pairs.is_empty()).then(|| pairs.join("; "))
}

/// A cookie, and whether it is to be forgotten.
fn parse(line: &str, url: &Url) -> Option<(Cookie, bool)> {
    if line.len() > HTTP_COOKIE_BYTES_MAX {
        return None;
    }
    let mut parts = line.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let host = url.host_str()?.to_ascii_lowercase();
    let mut cookie = Cookie {
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
        domain: host.clone(),
        host_only: true,
        path: default_path(url.path()),
        secure: false,
    };
    let mut gone = false;
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "secure" => cookie.secure = true,
            "path" if value.starts_with('/') => cookie.path = value.to_owned(),
            "max-age" => gone = value.starts_with('-') || value == "0",
            "domain" => {
                let domain = value.trim_start_matches('.').to_ascii_lowercase();
                // One of a whole top level, or of somebody else, is refused.
                if domain.is_empty() {
                    continue;
                }
                if !is_below(&host, &domain) || (host != domain && !domain.contains('.')) {
                    return None;
                }
                cookie.host_only = false;
                cookie.domain = domain;
            }
            _ => {}
        }
    }
    (!cookie.name.is_empty()).then_some((cookie, gone))
}

fn is_below(host: &str, domain: &str) -> bool {
    host == domain
        || host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.') && host.parse::<std::net::IpAddr>().is_err())
}

/// Section 5.1.4: up to the last slash.
fn default_path(path: &str) -> String {
    match path.rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(end) => path[..end].to_owned(),
    }
}

fn path_matches(path: &str, of: &str) -> bool {
    path.strip_prefix(of).is_some_and(|rest| of.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(url: &str, lines: &[&str]) -> Vec<Cookie> {
        let header: Vec<_> = lines.iter().map(|line| ("set-cookie".to_owned(), (*line).to_owned())).collect();
        let mut jar = Vec::new();
        store(&mut jar, &Url::parse(url).unwrap(), &header);
        jar
    }

    fn sent(jar: &[Cookie], url: &str) -> String {
        line(jar, &Url::parse(url).unwrap()).unwrap_or_default()
    }

    #[test]
    fn a_cookie_goes_back_where_it_came_from() {
        let jar = jar(
            "http://a.example.org/x/y",
            &["a=1; Path=/", "b=2", "c=3; Secure; path=/", "d=4; Domain=example.org; Path=/", "a=5; path=/"],
        );
        assert_eq!(sent(&jar, "http://a.example.org/x/z"), "b=2; d=4; a=5");
        assert_eq!(sent(&jar, "https://a.example.org/xx"), "c=3; d=4; a=5");
        assert_eq!(sent(&jar, "http://b.example.org/"), "d=4");
        assert_eq!(sent(&jar, "http://badexample.org/"), "");
    }

    #[test]
    fn a_server_sets_none_for_others_and_takes_its_own_back() {
        assert_eq!(jar("http://example.org/", &["a=1; domain=other.org", "b=1; domain=org", "nothing", "=1"]), []);
        assert_eq!(jar("http://example.org/", &["a=1", "a=; max-age=0"]), []);
        assert_eq!(jar("http://127.0.0.1/", &["a=1; domain=0.0.1"]), []);
    }
}
