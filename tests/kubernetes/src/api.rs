//! The server, and the files of the account that it knows.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use photondb_test_cluster::certificates::Authority;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio_rustls::TlsAcceptor;

use crate::answer::answer;
use crate::request::{Asked, read};
use crate::slice::Slice;

/// A Kubernetes API on the loopback. Its thread stays until the process ends.
pub struct Api {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// The files of the account: `token`, `ca.crt`, `namespace`.
    account: TempDir,
}

/// How it answers.
#[derive(Clone, Debug, Default)]
pub enum Says {
    /// As Kubernetes does.
    #[default]
    Truth,
    /// This, with this status.
    Text(u16, String),
    /// Not at all.
    Nothing,
    /// A list that does not end.
    Endless,
    /// The half of what it announced.
    Half,
}

pub(crate) struct State {
    pub token: String,
    pub permitted: bool,
    pub slices: Vec<Slice>,
    /// Slices that a page has at most.
    pub page: usize,
    /// So many pages that are asked for have expired.
    pub expirations: usize,
    says: Says,
    asked: Vec<Asked>,
}

impl Api {
    /// One that lists nothing yet, and an account of the namespace `data` that may ask it.
    pub fn start() -> Api {
        let authority = Authority::new("kubernetes");
        let issued = authority.issue("apiserver");
        let certificate = CertificateDer::from_pem_file(&issued.certificate).expect("the certificate was written");
        let key = PrivateKeyDer::from_pem_file(&issued.key).expect("the key was written");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("the key is that of the certificate");
        let account = tempfile::tempdir().expect("a temporary folder");
        std::fs::copy(authority.file(), account.path().join("ca.crt")).expect("the authority was written");
        let state = Arc::new(Mutex::new(State {
            token: "first-token".to_owned(),
            permitted: true,
            slices: Vec::new(),
            page: usize::MAX,
            expirations: 0,
            says: Says::Truth,
            asked: Vec::new(),
        }));
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        listener.set_nonblocking(true).expect("a listener need not block");
        let address = listener.local_addr().expect("a bound listener has an address");
        let served = state.clone();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a thread can have a runtime");
            runtime.block_on(serve(listener, TlsAcceptor::from(Arc::new(config)), served))
        });
        let api = Api { address, state, account };
        api.write("token", "first-token\n");
        api.write("namespace", "data");
        api
    }

    /// The folder with the files of the account.
    pub fn account(&self) -> &Path {
        self.account.path()
    }

    /// Writes a file of the account.
    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.account.path().join(file), text).expect("a file of the folder can be written");
    }

    /// What the environment of a pod says of it.
    pub fn variable(&self, name: &str) -> Option<String> {
        match name {
            "KUBERNETES_SERVICE_HOST" => Some(self.address.ip().to_string()),
            "KUBERNETES_SERVICE_PORT" => Some(self.address.port().to_string()),
            _ => None,
        }
    }

    /// Lists these from now on.
    pub fn lists(&self, slices: Vec<Slice>) {
        self.state().slices = slices;
    }

    /// Gives at most so many slices at once.
    pub fn has_pages_of(&self, slices: usize) {
        self.state().page = slices;
    }

    /// The next pages that are asked for, but no first ones, have expired.
    pub fn forgets_pages(&self, pages: usize) {
        self.state().expirations = pages;
    }

    /// Whether the account may list slices.
    pub fn permits(&self, permitted: bool) {
        self.state().permitted = permitted;
    }

    /// Knows the account by this token alone.
    pub fn knows(&self, token: &str) {
        token.clone_into(&mut self.state().token);
    }

    /// Answers so from now on.
    pub fn says(&self, says: Says) {
        self.state().says = says;
    }

    /// What it was asked since this was called last.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the state")
    }
}

async fn serve(listener: std::net::TcpListener, tls: TlsAcceptor, state: Arc<Mutex<State>>) {
    let listener = TcpListener::from_std(listener).expect("the listener does not block");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection can be accepted");
        let (tls, state) = (tls.clone(), state.clone());
        tokio::spawn(async move {
            // A client that goes away, or believes another authority, is its own business.
            let _gone = converse(stream, tls, state).await;
        });
    }
}

async fn converse(stream: TcpStream, tls: TlsAcceptor, state: Arc<Mutex<State>>) -> io::Result<()> {
    let mut stream = tls.accept(stream).await?;
    while let Some(asked) = read(&mut stream).await? {
        let (says, (status, body)) = {
            let mut state = state.lock().expect("nobody panics with the state");
            state.asked.push(asked.clone());
            (state.says.clone(), answer(&mut state, &asked))
        };
        let head = |status: u16, length: usize| {
            format!("HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
        };
        let body = body.to_string();
        match says {
            Says::Truth => stream.write_all((head(status, body.len()) + &body).as_bytes()).await?,
            Says::Text(status, text) => stream.write_all((head(status, text.len()) + &text).as_bytes()).await?,
            Says::Nothing => tokio::time::sleep(Duration::from_secs(3600)).await,
            Says::Half => {
                stream.write_all((head(status, body.len()) + &body[..body.len() / 2]).as_bytes()).await?;
                return stream.shutdown().await;
            }
            Says::Endless => {
                stream.write_all(head(200, usize::MAX >> 1).as_bytes()).await?;
                loop {
                    stream.write_all(&[b' '; 64 << 10]).await?;
                }
            }
        }
    }
    Ok(())
}
