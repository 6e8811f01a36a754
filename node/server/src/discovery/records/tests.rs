//! Against a small server of DNS on the loopback, which answers as a test wants.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Mutex as StdMutex;
use std::thread;
use std::time::{Duration, Instant};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, Record};

use super::*;

const NAME: &str = "_photondb._tcp.example.com";

/// What the server says of every name: records, or that there is no such name; `None`: it says nothing.
type Says = Arc<StdMutex<Option<Vec<(&'static str, u16)>>>>;

fn server(says: Says) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut packet = [0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut packet).unwrap();
            let Some(targets) = says.lock().unwrap().clone() else { continue };
            let question = Message::from_vec(&packet[..length]).unwrap();
            socket.send_to(&answer(&question, &targets).to_vec().unwrap(), from).unwrap();
        }
    });
    address
}

fn answer(question: &Message, targets: &[(&'static str, u16)]) -> Message {
    let mut answer = question.clone().into_response();
    let asked = question.queries.first().unwrap().clone();
    for (target, port) in targets {
        let record = SRV::new(0, 0, *port, Name::from_ascii(target).unwrap());
        answer.add_answer(Record::from_rdata(asked.name().clone(), 0, RData::SRV(record)));
    }
    if targets.is_empty() {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    answer
}

fn records(server: SocketAddr, port: Option<u16>) -> Arc<dyn Discovery> {
    let make = move || {
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let servers = vec![NameServerConfig::new(server.ip(), true, vec![connection])];
        let config = ResolverConfig::from_name_servers(servers);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        limit(builder.options_mut());
        builder.build()
    };
    Arc::new(Records::new(JoinService { name: NAME.to_owned(), port }, Arc::new(make)))
}

/// Looks until it finds `expected`: what was found before may be believed for a moment.
async fn until(records: &Arc<dyn Discovery>, expected: &[&str]) {
    let begun = Instant::now();
    loop {
        let mut found = records.look_up().await;
        if let Ok(found) = &mut found {
            found.sort();
            if found == expected {
                return;
            }
        }
        assert!(begun.elapsed() < 2 * DISCOVERY_BELIEF_MAX, "{found:?} instead of {expected:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn records_are_asked_for_again_and_say_where_nodes_listen() {
    let says = Says::default();
    *says.lock().unwrap() = Some(vec![("db-1.example.com.", 29015), ("db-2.example.com.", 29016)]);
    let server = server(says.clone());
    let found = records(server, None);
    assert_eq!(found.name(), NAME);
    until(&found, &["db-1.example.com:29015", "db-2.example.com:29016"]).await;

    *says.lock().unwrap() = Some(vec![("db-3.example.com.", 1), (".", 0)]);
    until(&found, &["db-3.example.com:1"]).await;
    until(&records(server, Some(7)), &["db-3.example.com:7"]).await;
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_an_error_until_it_leads_somewhere() {
    let says = Says::default();
    *says.lock().unwrap() = Some(Vec::new());
    let records = records(server(says.clone()), None);
    let unknown = records.look_up().await;
    assert!(unknown.as_ref().is_err_and(|reason| reason.contains("no record")), "{unknown:?}");

    *says.lock().unwrap() = None;
    tokio::time::sleep(2 * DISCOVERY_DISBELIEF_MAX).await;
    let silent = records.look_up().await;
    assert!(silent.is_err(), "{silent:?}");

    *says.lock().unwrap() = Some(vec![("db-1.example.com.", 2)]);
    until(&records, &["db-1.example.com:2"]).await;
}
