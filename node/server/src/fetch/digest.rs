//! Digest authentication (RFC 7616), as far as servers use it: MD5 and SHA-256, `qop` `auth` or none.

use md5::Md5;
use photondb_query::fetch::Auth;
use sha2::{Digest, Sha256};

/// What a server wants to be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    hash: Hash,
    session: bool,
    qop: bool,
    /// The nonce of the last answer was too old; the password may be right.
    pub stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hash {
    Md5,
    Sha256,
}

impl Challenge {
    /// The best of those that can be answered, from the `WWW-Authenticate` lines.
    pub fn strongest<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Challenge> {
        lines.flat_map(challenges).filter_map(|fields| Challenge::read(&fields)).max_by_key(|challenge| challenge.hash)
    }

    fn read(fields: &[(String, String)]) -> Option<Challenge> {
        let get = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let algorithm = get("algorithm").unwrap_or_else(|| "MD5".to_owned()).to_ascii_uppercase();
        let (name, session) = match algorithm.strip_suffix("-SESS") {
            Some(name) => (name, true),
            None => (algorithm.as_str(), false),
        };
        let hash = match name {
            "MD5" => Hash::Md5,
            "SHA-256" => Hash::Sha256,
            _ => return None,
        };
        let qop = match get("qop") {
            None => false,
            Some(offered) if offered.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")) => true,
            Some(_) => return None,
        };
        let stale = get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
        Some(Challenge { realm: get("realm")?, nonce: get("nonce")?, opaque: get("opaque"), hash, session, qop, stale })
    }

    /// The `Authorization` line for a request. `client_nonce` must be new for each.
    pub fn answer(&self, auth: &Auth, method: &str, uri: &str, client_nonce: &str) -> String {
        const COUNT: &str = "00000001";
        let hash = |text: String| self.hash.hex(&text);
        let mut secret = hash(format!("{}:{}:{}", auth.user, self.realm, auth.password));
        if self.session {
            secret = hash(format!("{secret}:{}:{client_nonce}", self.nonce));
        }
        let asked = hash(format!("{method}:{uri}"));
        let response = if self.qop {
            hash(format!("{secret}:{}:{COUNT}:{client_nonce}:auth:{asked}", self.nonce))
        } else {
            hash(format!("{secret}:{}:{asked}", self.nonce))
        };
        let mut line = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\", algorithm={}{}",
            quoted(&auth.user),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(uri),
            self.hash.name(),
            if self.session { "-sess" } else { "" },
        );
        if self.qop {
            line.push_str(&format!(", qop=auth, nc={COUNT}, cnonce=\"{client_nonce}\""));
        }
        if let Some(opaque) = &self.opaque {
            line.push_str(&format!(", opaque={}", quoted(opaque)));
        }
        line
    }
}

impl Hash {
    fn name(self) -> &'static str {
        match self {
            Hash::Md5 => "MD5",
            Hash::Sha256 => "SHA-256",
        }
    }

    fn hex(self, text: &str) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Hash::Md5 => hex(&Md5::digest(text)),
            Hash::Sha256 => hex(&Sha256::digest(text)),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The fields of each Digest challenge in a line; a line may hold several challenges, of other schemes too.
fn challenges(line: &str) -> Vec<Vec<(String, String)>> {
    let mut found: Vec<(bool, Vec<(String, String)>)> = Vec::new();
    for item in split_outside_quotes(line) {
        let item = item.trim();
        // `Digest realm="x"` begins a challenge; `nonce="y"` goes on with it.
        let field = match item.split_once(|c: char| c.is_whitespace()) {
            Some((scheme, field)) if !scheme.contains('=') => {
                found.push((scheme.eq_ignore_ascii_case("digest"), Vec::new()));
                field
            }
            _ => item,
        };
        if let (Some((_, fields)), Some((name, value))) = (found.last_mut(), field.split_once('=')) {
            fields.push((name.trim().to_ascii_lowercase(), unquoted(value.trim())));
        }
    }
    found.into_iter().filter_map(|(is_digest, fields)| is_digest.then_some(fields)).collect()
}

fn split_outside_quotes(line: &str) -> Vec<&str> {
    let (mut pieces, mut start, mut in_quotes, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_quotes => escaped = true,
            '"' => in_quotes = !in_quotes,
            ',' if !in_quotes => {
                pieces.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&line[start..]);
    pieces
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use photondb_query::fetch::AuthScheme;

    use super::*;

    /// The example of RFC 7616, section 3.9.1.
    #[test]
    fn the_example_of_the_standard() {
        let fields = r#"realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
        let auth =
            Auth { scheme: AuthScheme::Digest, user: "Mufasa".to_owned(), password: "Circle of Life".to_owned() };
        let client_nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let lines = [
            format!("Digest algorithm=MD5, {fields}"),
            format!("Basic realm=\"x\", Digest {fields}, algorithm=SHA-256"),
        ];
        for (lines, response) in [
            (&lines[..1], "8ca523f5e9506fed4657c9700eebdbec"),
            (&lines[..], "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let challenge = Challenge::strongest(lines.iter().map(String::as_str)).unwrap();
            let answer = challenge.answer(&auth, "GET", "/dir/index.html", client_nonce);
            assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
            assert!(answer.contains("qop=auth, nc=00000001") && answer.contains("opaque=\"FQhe/"), "{answer}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_no_challenge() {
        for line in [
            "Basic realm=\"x\"",
            "Digest nonce=\"1\"",
            "Digest realm=\"x\", nonce=\"1\", algorithm=SHA-512-256",
            "Digest realm=\"x\", nonce=\"1\", qop=\"auth-int\"",
            "",
        ] {
            assert_eq!(Challenge::strongest([line].into_iter()), None, "{line}");
        }
    }

    #[test]
    fn quotes_are_taken_off_and_put_on() {
        let challenge = Challenge::strongest(["Digest realm=\"a\\\"b, c\", nonce=n, stale=TRUE"].into_iter()).unwrap();
        assert_eq!((challenge.realm.as_str(), challenge.nonce.as_str(), challenge.stale), ("a\"b, c", "n", true));
        let auth = Auth { scheme: AuthScheme::Digest, user: "u".to_owned(), password: "p".to_owned() };
        assert!(challenge.answer(&auth, "GET", "/", "c").starts_with("Digest username=\"u\", realm=\"a\\\"b, c\", "));
    }
}
