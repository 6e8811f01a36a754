//! What a client asks, read from HTTP/1.1.

use std::io;

use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `GET`, hopefully.
    pub method: String,
    /// Without what stands behind the question mark.
    pub path: String,
    /// What stands there, decoded.
    pub query: Vec<(String, String)>,
    /// What stands behind `Bearer` in its `authorization`.
    pub token: Option<String>,
}

impl Asked {
    /// A value of the query.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The next request without a body; `None`: the client has gone.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Asked>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 || head.len() > 64 << 10 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default().to_owned();
    let (path, query) = first.next().unwrap_or_default().split_once('?').unwrap_or_default();
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = query.map(|(name, value)| (decoded(name), decoded(value))).collect();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let mut tokens = headers.filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let token = tokens.next().and_then(|(_, value)| value.strip_prefix("Bearer ")).map(str::to_owned);
    Ok(Some(Asked { method, path: path.to_owned(), query, token }))
}
