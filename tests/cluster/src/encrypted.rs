//! A plain client of ports that speak TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::certificates::{Authority, Issued};
use crate::connection::{JSON, V0_4};

const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

/// A connection that has shaken hands.
pub struct Encrypted {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Encrypted {
    /// Connects to a port of the loopback, believes `authority` alone, and shows `shown`.
    pub fn open(port: u16, authority: &Authority, shown: Option<&Issued>) -> io::Result<Encrypted> {
        Encrypted::open_with(port, authority, shown, rustls::ALL_VERSIONS)
    }

    /// The same with these versions of the protocol.
    pub fn open_with(
        port: u16,
        authority: &Authority,
        shown: Option<&Issued>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> io::Result<Encrypted> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority.file()).expect("a certificate")).expect("an authority");
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions of the library")
            .with_webpki_verifier(verifier.build().expect("an authority is there"));
        let config = match shown {
            Some(Issued { certificate, key }) => {
                let chain = vec![CertificateDer::from_pem_file(certificate).expect("a certificate")];
                let key = PrivateKeyDer::from_pem_file(key).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("they go together")
            }
            None => builder.with_no_client_auth(),
        };
        let tcp = TcpStream::connect(("127.0.0.1", port))?;
        tcp.set_read_timeout(Some(ANSWER_WAIT_MAX))?;
        let name = ServerName::try_from("127.0.0.1").expect("an address");
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Encrypted { stream })
    }

    /// The certificate that the other side has shown.
    pub fn certificate(&self) -> Vec<u8> {
        self.stream.conn.peer_certificates().and_then(|chain| chain.first()).expect("a server shows one").to_vec()
    }

    /// Logs in as `admin` without a password; whether the node says that it has.
    pub fn log_in(&mut self) -> io::Result<bool> {
        self.stream.write_all(&[V0_4.to_le_bytes(), 0u32.to_le_bytes(), JSON.to_le_bytes()].concat())?;
        let mut answer = [0; 8];
        self.stream.read_exact(&mut answer)?;
        Ok(answer == *b"SUCCESS\0")
    }

    /// Runs a query and gives its answer.
    pub fn run(&mut self, message: &str) -> io::Result<serde_json::Value> {
        let mut frame = 1u64.to_le_bytes().to_vec();
        frame.extend((message.len() as u32).to_le_bytes());
        frame.extend(message.as_bytes());
        self.stream.write_all(&frame)?;
        let mut head = [0; 12];
        self.stream.read_exact(&mut head)?;
        let mut body = vec![0; u32::from_le_bytes(head[8..].try_into().expect("four bytes")) as usize];
        self.stream.read_exact(&mut body)?;
        serde_json::from_slice(&body).map_err(io::Error::other)
    }

    /// One HTTP GET: all of the answer.
    pub fn http_get(mut self, path: &str) -> io::Result<String> {
        write!(self.stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
