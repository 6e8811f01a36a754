//! One request and its answer, on a connection of its own; with `digest` also the question that comes before.

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response as HttpResponse, body::Incoming};
use hyper_util::rt::TokioIo;
use photondb_query::fetch::{Auth, AuthScheme, Cookie, FetchError, HeaderLine, Method};
use photondb_reql::eval::Cx;
use photondb_runtime::task::spawn_local;
use url::Url;

use super::{Client, EndsWithItsOwner, body, connect, cookies, digest};
use crate::limits::{HTTP_HEADER_BYTES_MAX, HTTP_HEADER_LINES_MAX};

const USER_AGENT: &str = concat!("PhotonDB/", env!("CARGO_PKG_VERSION"));

/// What is asked of one server.
pub(super) struct Hop {
    pub method: Method,
    pub auth: Option<Auth>,
    pub header: Vec<HeaderLine>,
    pub body: Bytes,
    pub verify: bool,
}

/// What it answered.
pub(super) struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub header: Vec<(String, String)>,
    pub body: Bytes,
    /// Where it wants us to go instead; the body has not been read then.
    pub redirect: Option<String>,
}

/// Asks. `follows`: a redirect is one, and not an answer like any other.
pub(super) async fn exchange(
    client: &Client,
    url: &Url,
    hop: &Hop,
    jar: &[Cookie],
    follows: bool,
    cx: &Cx,
) -> Result<Answer, FetchError> {
    let mut authorization = None;
    let digest = hop.auth.as_ref().filter(|auth| auth.scheme == AuthScheme::Digest);
    match &hop.auth {
        Some(auth) if digest.is_none() => authorization = Some(basic(auth)),
        _ => {}
    }
    let mut challenges_left = if digest.is_some() { 2 } else { 0 };
    loop {
        // Before it is known how to answer the challenge there is no use in sending much.
        let body = if digest.is_some() && authorization.is_none() { Bytes::new() } else { hop.body.clone() };
        let request = request(url, hop, jar, authorization.as_deref(), body)?;
        let (response, _connection) = send(client, url, hop.verify, request).await?;
        if let Some(auth) = digest
            && response.status() == 401
            && challenges_left > 0
            && let Some(answer) = answer_challenge(client, url, hop, auth, response.headers(), authorization.is_some())
        {
            challenges_left -= 1;
            authorization = Some(answer);
            continue;
        }
        return read(response, hop.method, follows, cx).await;
    }
}

fn answer_challenge(
    client: &Client,
    url: &Url,
    hop: &Hop,
    auth: &Auth,
    header: &HeaderMap,
    again: bool,
) -> Option<String> {
    let lines = header.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|line| line.to_str().ok());
    let challenge = digest::Challenge::strongest(lines)?;
    // Refused a second time, the password is wrong, unless only the server's number had run out.
    if again && !challenge.stale {
        return None;
    }
    let client_nonce = format!("{:032x}", client.random.next_u128());
    Some(challenge.answer(auth, hop.method.name(), &target(url), &client_nonce))
}

async fn send(
    client: &Client,
    url: &Url,
    verify: bool,
    request: Request<Full<Bytes>>,
) -> Result<(HttpResponse<Incoming>, EndsWithItsOwner<()>), FetchError> {
    let connection = connect::connect(client, url, verify).await?;
    let (mut sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_headers(HTTP_HEADER_LINES_MAX)
        .max_buf_size(HTTP_HEADER_BYTES_MAX)
        .handshake(TokioIo::new(connection))
        .await
        .map_err(|_| FetchError::Send)?;
    let driver = EndsWithItsOwner(spawn_local(async move {
        // What goes wrong here is told to whoever reads the response.
        let _ = connection.await;
    }));
    let response = sender.send_request(request).await.map_err(|error| {
        tracing::debug!(%error, "a request of `http` failed");
        if error.is_user() || error.is_body_write_aborted() { FetchError::Send } else { FetchError::Receive }
    })?;
    Ok((response, driver))
}

/// What follows the host: what is asked for.
fn target(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

fn request(
    url: &Url,
    hop: &Hop,
    jar: &[Cookie],
    authorization: Option<&str>,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, FetchError> {
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = hyper::Method::from_bytes(hop.method.name().as_bytes()).map_err(|_| FetchError::Url)?;
    *request.uri_mut() = target(url).parse().map_err(|_| FetchError::Url)?;
    let header = request.headers_mut();
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut set = |name: HeaderName, text: &str| -> Result<(), FetchError> {
        let value = HeaderValue::from_bytes(text.as_bytes());
        header.insert(name.clone(), value.map_err(|_| FetchError::Header(name.to_string()))?);
        Ok(())
    };
    set(header::HOST, host)?;
    set(header::USER_AGENT, USER_AGENT)?;
    set(header::ACCEPT, "*/*")?;
    set(header::ACCEPT_ENCODING, "deflate;q=1, gzip;q=0.5")?;
    if let Some(authorization) = authorization {
        set(header::AUTHORIZATION, authorization)?;
    }
    if let Some(cookies) = cookies::line(jar, url) {
        set(header::COOKIE, &cookies)?;
    }
    if body.is_empty() && matches!(hop.method, Method::Post | Method::Put | Method::Patch) {
        set(header::CONTENT_LENGTH, "0")?;
    }
    add_lines(header, &hop.header)?;
    Ok(request)
}

/// The query's own lines take the place of what would be sent by itself.
fn add_lines(header: &mut HeaderMap, lines: &[HeaderLine]) -> Result<(), FetchError> {
    let named = lines.iter().map(|line| {
        let name = HeaderName::from_bytes(line.name.trim().as_bytes());
        name.map(|name| (name, &line.value)).map_err(|_| FetchError::Header(line.name.clone()))
    });
    let named = named.collect::<Result<Vec<_>, _>>()?;
    for (name, _) in &named {
        header.remove(name);
    }
    for (name, value) in named {
        let Some(value) = value else { continue };
        // Where a message ends, and what becomes of the connection, is not for a query to say.
        let framing = [
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::CONNECTION,
            header::UPGRADE,
            header::EXPECT,
            header::TE,
            header::TRAILER,
        ];
        if framing.contains(&name) {
            return Err(FetchError::Header(name.to_string()));
        }
        let value = HeaderValue::from_bytes(value.as_bytes());
        header.append(name.clone(), value.map_err(|_| FetchError::Header(name.to_string()))?);
    }
    Ok(())
}

fn basic(auth: &Auth) -> String {
    use base64::Engine;
    let pair = format!("{}:{}", auth.user, auth.password);
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

async fn read(response: HttpResponse<Incoming>, method: Method, follows: bool, cx: &Cx) -> Result<Answer, FetchError> {
    let (parts, incoming) = response.into_parts();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let header = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let status = parts.status.as_u16();
    let redirect =
        parts.headers.get(header::LOCATION).filter(|_| follows && matches!(status, 301 | 302 | 303 | 307 | 308));
    let redirect = redirect.map(text);
    let body = match (&redirect, method) {
        (None, method) if method != Method::Head => body::read(incoming, &parts.headers, cx).await?,
        _ => Bytes::new(),
    };
    Ok(Answer { status, header, body, redirect })
}
