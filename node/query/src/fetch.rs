//! What fetches for `http`, as a query sees it: one request, with its redirects and repetitions, and one response.

use std::time::Duration;

use bytes::Bytes;
use photondb_reql::error::Error;
use photondb_reql::eval::Cx;

/// The way to other servers. One for each session is enough.
pub trait Fetch {
    /// Whether anything may be fetched. Errors: [`FetchError::NotAllowed`].
    fn check_allowed(&self) -> Result<(), FetchError>;

    /// Performs the request; parks the fiber. Dropping the fiber abandons it. The body of the response is counted in `cx`,
    /// and left for the caller to give back.
    fn fetch(&self, request: &Request, cx: &Cx) -> Result<Response, FetchError>;
}

/// A method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 6] = [Method::Get, Method::Head, Method::Post, Method::Put, Method::Patch, Method::Delete];

    /// As requests and messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// One line of a request's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderLine {
    /// As it was given; names are compared without regard to case.
    pub name: String,
    /// `None`: what would be sent by itself under this name is not sent.
    pub value: Option<String>,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    pub scheme: AuthScheme,
    pub user: String,
    pub password: String,
}

/// How a request says who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthScheme {
    Basic,
    Digest,
}

/// A cookie that a server has set, and to whom it goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    pub name: String,
    pub value: String,
    /// In lower case.
    pub domain: String,
    /// Only to this very host, not to those below it.
    pub host_only: bool,
    pub path: String,
    /// Only over TLS.
    pub secure: bool,
}

/// A request.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    /// With its parameters; without a scheme it means `http`.
    pub url: String,
    /// In order. A later line replaces what would be sent by itself, not an earlier line.
    pub header: Vec<HeaderLine>,
    pub body: Bytes,
    pub auth: Option<Auth>,
    pub cookies: Vec<Cookie>,
    /// How many redirects are followed.
    pub redirects: u32,
    /// How often it is tried when it fails for a reason that may pass.
    pub attempts: u64,
    /// For everything together.
    pub timeout: Duration,
    /// Whether the server must prove who it is.
    pub verify: bool,
}

/// What came back last.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub header: Vec<(String, String)>,
    /// Decoded, if it was compressed.
    pub body: Bytes,
    /// Those that were sent, and those that came with this response and the ones before it.
    pub cookies: Vec<Cookie>,
}

/// Why there is no response, in RethinkDB's words where it has any. A query may catch it with `default`, all but
/// [`FetchError::NotAllowed`] and [`FetchError::Memory`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("`http` is not allowed on this server (it was started without `--allow-http`).")]
    NotAllowed,
    #[error("timed out after {}.{:03} seconds", .0.as_secs(), .0.subsec_millis())]
    TimedOut(Duration),
    #[error("could not perform, no attempts allowed")]
    NoAttempts,
    #[error("could not connect to server")]
    Connect,
    #[error("error when sending data")]
    Send,
    #[error("error when receiving data")]
    Receive,
    #[error("Couldn't resolve host name")]
    Resolve,
    #[error("Number of redirects hit maximum amount")]
    Redirects,
    #[error("Unsupported protocol")]
    Scheme,
    #[error("URL using bad/illegal format or missing URL")]
    Url,
    #[error("Peer certificate cannot be authenticated with given CA certificates")]
    Certificate,
    #[error("SSL connect error")]
    Tls,
    #[error("Unrecognized or bad HTTP Content or Transfer-Encoding")]
    Encoding,
    #[error("`{0}` is no header that can be sent")]
    Header(String),
    /// The address is one that this server does not connect to. It is not named: what a name stands for in the network of the
    /// server is no business of who asks.
    #[error("the address is not allowed (see the option `allow-http-to` of the server)")]
    Address,
    #[error("the response is larger than {0} bytes")]
    TooLarge(usize),
    /// The query may not hold the response.
    #[error(transparent)]
    Memory(Error),
}
