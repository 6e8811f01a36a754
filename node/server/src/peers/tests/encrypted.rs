//! The same over TLS: a node is who shows a certificate of the nodes' authority.

use hyper_util::rt::TokioIo;
use photondb_proto::v1::peers_client::PeersClient;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tonic::transport::Endpoint;
use tower::service_fn;

use super::certificates::{Authority, Issued};
use super::*;
use crate::config::{TlsConfig, TlsFile, TlsFiles, TlsVersion};
use crate::tls::{Tls, dialing};

fn port_tls(authority: &Authority, issued: &Issued) -> Arc<PortTls> {
    let file = |option, path: &std::path::Path| TlsFile { option, path: path.to_owned() };
    let files = TlsFiles {
        certificate: file("cluster-tls-cert", &issued.certificate),
        key: file("cluster-tls-key", &issued.key),
        authority: Some(file("cluster-tls-ca", &authority.file())),
    };
    let config = TlsConfig { cluster: Some(files), minimum: TlsVersion::V1_2, ..TlsConfig::default() };
    Tls::load(&config).unwrap().cluster.unwrap()
}

fn certified(node: u128) -> Arc<Identity> {
    let credentials = Credentials { secret: None, certificates: true };
    let identity = Identity::new(NodeId(node), credentials, Arc::new(SystemClock::new()));
    identity.enter(CLUSTER);
    Arc::new(identity)
}

/// Node 2, which knows nodes by their certificates alone.
fn answering_certified(tls: &Arc<PortTls>) -> (Executor, u16) {
    let executor = Executor::start("cluster").unwrap();
    let listener = SystemNet.listen(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).unwrap();
    let port = listener.local_address().unwrap().port();
    let services = Services::default();
    services.set(Service::Shards, Arc::new(Echo));
    let service = NodeService::new(certified(2), Arc::new(services));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    start(&executor.handle(), vec![listener], Some(tls), Some(service), &LateControl::default(), &clock);
    (executor, port)
}

#[test]
fn nodes_with_certificates_need_no_secret() {
    let authority = Authority::new("nodes");
    let (_node, port) = answering_certified(&port_tls(&authority, &authority.issue("b")));
    let executor = Executor::start("caller").unwrap();
    let tls = port_tls(&authority, &authority.issue("a"));
    let peers = GrpcPeers::new(Arc::new(SystemNet), Some(tls), executor.handle(), certified(1));
    // The name that the certificate has, and the address.
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(wait(&executor, peers.find(&format!("{host}:{port}"), TIME)), Ok(Peer(2)));
    }
    let answer = ask(&executor, &peers, Service::Shards, b"hello").unwrap();
    assert_eq!(answer, [&1u128.to_be_bytes()[..], b"hello"].concat());
}

#[test]
fn who_speaks_tls_and_shows_no_certificate_is_no_node() {
    let authority = Authority::new("nodes");
    let issued = authority.issue("b");
    let (_node, port) = answering_certified(&port_tls(&authority, &issued));
    let executor = Executor::start("caller").unwrap();
    let believed = TlsFile { option: "tls-ca", path: authority.file() };
    let file = |path: &std::path::Path| TlsFile { option: "tls-cert", path: path.to_owned() };
    for (shown, expected) in
        [(None, Some(Code::Unauthenticated)), (Some((file(&issued.certificate), file(&issued.key))), None)]
    {
        let connector = TlsConnector::from(dialing(&believed, shown).unwrap());
        let said = wait(
            &executor,
            Box::pin(async move {
                let connect = service_fn(move |_| {
                    let connector = connector.clone();
                    async move {
                        let stream = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
                        let name = ServerName::try_from("localhost").unwrap();
                        connector.connect(name, stream).await.map(TokioIo::new)
                    }
                });
                let channel = Endpoint::from_static("http://node").connect_with_connector(connect).await.unwrap();
                let request = certified(1).sign(v1::HelloRequest { version: NODE_VERSION }, None);
                PeersClient::new(channel).hello(request).await
            }),
        );
        assert_eq!(said.as_ref().err().map(tonic::Status::code), expected, "{said:?}");
    }
}
