//! The list of a service's EndpointSlices, page by page.

use std::error::Error;

use http::{Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::List;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::client::{Body, ConfigExt};
use kube::core::params::ListParams;
use kube::core::{Request, Status};
use kube::{Client, Config, Resource};
use tower::{BoxError, ServiceBuilder};

use crate::account::ServiceAccount;
use crate::error::SearchError;
use crate::limits::{ANSWER_BYTES_MAX, PAGE_SLICES, PAGES_MAX, REFUSAL_BYTES_MAX, REFUSAL_SHOWN_MAX, RESTARTS_MAX};
use crate::server::ApiServer;

/// The label of each slice: whose it is.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// One service's slices, to be listed.
pub(crate) struct Listing<'a> {
    client: Client,
    server: &'a ApiServer,
    account: &'a ServiceAccount,
    namespace: &'a str,
    service: &'a str,
}

/// What one request gave.
enum Page {
    Slices {
        slices: Vec<EndpointSlice>,
        bytes: usize,
        next: Option<String>,
    },
    /// The server has forgotten what the pages before were of.
    Expired,
}

impl<'a> Listing<'a> {
    /// As whom the account's files say now. Nobody is asked yet.
    pub fn new(
        server: &'a ApiServer,
        account: &'a ServiceAccount,
        namespace: &'a str,
        service: &'a str,
    ) -> Result<Listing<'a>, SearchError> {
        let client = client(server, account)?;
        Ok(Listing { client, server, account, namespace, service })
    }

    /// All of them, as they were at one moment.
    pub async fn slices(&self) -> Result<Vec<EndpointSlice>, SearchError> {
        for _ in 0..=RESTARTS_MAX {
            if let Some(slices) = self.attempt().await? {
                return Ok(slices);
            }
        }
        Err(SearchError::Expired { server: self.server.to_string() })
    }

    /// `None`: the pages expired on the way.
    async fn attempt(&self) -> Result<Option<Vec<EndpointSlice>>, SearchError> {
        let (mut found, mut after, mut bytes_left) = (Vec::new(), None, ANSWER_BYTES_MAX);
        for _ in 0..PAGES_MAX {
            match self.page(after, bytes_left).await? {
                Page::Expired => return Ok(None),
                Page::Slices { slices, bytes, next } => {
                    found.extend(slices);
                    bytes_left -= bytes;
                    after = next;
                }
            }
            if after.is_none() {
                return Ok(Some(found));
            }
        }
        Err(SearchError::TooMuch { server: self.server.to_string() })
    }

    async fn page(&self, after: Option<String>, bytes_max: usize) -> Result<Page, SearchError> {
        let goes_on = after.is_some();
        let mut params = ListParams::default().labels(&format!("{SERVICE_LABEL}={}", self.service)).limit(PAGE_SLICES);
        params.continue_token = after;
        let path = EndpointSlice::url_path(&(), Some(self.namespace));
        let request = Request::new(path).list(&params).map_err(|error| self.unreachable(&error))?;
        let answer = self.client.send(request.map(Body::from)).await.map_err(|error| self.unreachable(&error))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::GONE if goes_on => return Ok(Page::Expired),
            _ => return Err(self.refused(answer).await),
        }
        let body = Limited::new(answer.into_body(), bytes_max).collect().await;
        let body = body.map_err(|error| self.broken_off(&*error))?.to_bytes();
        let list: List<EndpointSlice> = serde_json::from_slice(&body)
            .map_err(|error| SearchError::Malformed { server: self.server.to_string(), reason: error.to_string() })?;
        let next = list.metadata.continue_.filter(|token| !token.is_empty());
        Ok(Page::Slices { slices: list.items, bytes: body.len(), next })
    }

    fn unreachable(&self, error: &(dyn Error + 'static)) -> SearchError {
        SearchError::Unreachable { server: self.server.to_string(), reason: chain(error) }
    }

    /// Why a body did not come to its end.
    fn broken_off(&self, error: &(dyn Error + Send + Sync + 'static)) -> SearchError {
        match error.is::<LengthLimitError>() {
            true => SearchError::TooMuch { server: self.server.to_string() },
            false => SearchError::Unreachable { server: self.server.to_string(), reason: chain(error) },
        }
    }

    /// What a status says that is not success.
    async fn refused(&self, answer: Response<Body>) -> SearchError {
        let status = answer.status();
        let body = Limited::new(answer.into_body(), REFUSAL_BYTES_MAX).collect().await;
        let said = body.map(|body| shown(&body.to_bytes())).unwrap_or_else(|error| chain(&*error));
        let (server, namespace) = (self.server.to_string(), self.namespace.to_owned());
        match status {
            StatusCode::UNAUTHORIZED => SearchError::Unauthorized { server, token: self.account.token_file(), said },
            StatusCode::FORBIDDEN => SearchError::Forbidden { namespace, said },
            StatusCode::NOT_FOUND => SearchError::Unknown { server, said },
            status => SearchError::Refused { server, status: status.as_u16(), said },
        }
    }
}

/// A client for one look: connections are not kept, since the token and the authority may be others at the next. It is not kube's
/// ready-made one, which logs each failure as an error and tries again by itself.
fn client(server: &ApiServer, account: &ServiceAccount) -> Result<Client, SearchError> {
    let mut config = Config::new(server.uri().clone());
    config.root_cert = Some(account.authorities()?);
    config.auth_info.token = Some(account.token()?.into());
    let unusable = |error: kube::Error| SearchError::Unreachable { server: server.to_string(), reason: chain(&error) };
    let connector = config.rustls_https_connector().map_err(unusable)?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(unusable)?)
        .map_err(BoxError::from)
        .service(HttpClient::builder(TokioExecutor::new()).build::<_, Body>(connector));
    Ok(Client::new(service, "default"))
}

/// An error and what caused it, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Many repeat their cause.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// What a refusal says, shortened to a line: the message of a Status, or whatever it is.
fn shown(body: &[u8]) -> String {
    let said = match serde_json::from_slice::<Status>(body) {
        Ok(status) if !status.message.is_empty() => status.message,
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|char| !char.is_control()).take(REFUSAL_SHOWN_MAX).collect();
    if line.is_empty() { "without a reason".to_owned() } else { line }
}
