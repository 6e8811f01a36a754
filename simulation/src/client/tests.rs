//! The client against a server that is the reference model, over pipes.

use std::future::Future;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;
use crate::term::{self, number};
use crate::workload::cluster::rehearsal::{Defect, Port, Server};

/// Runs `test` on virtual time with a client of a server.
fn with_client<F: Future<Output = ()>>(password: &'static str, used: &str, test: impl FnOnce(Client) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let port = Rc::new(Port(Server::new(1, Defect::None, 0, password)));
        let login = Login { user: "admin".to_owned(), password: used.to_owned() };
        test(Client::new(ClientId(1), port, login, Random::new(3))).await;
    });
}

async fn make_table(client: &mut Client, documents: u64) {
    client.query(&term::table_create("t")).await.unwrap();
    let documents = (0..documents).map(|id| json!({ "id": id, "pad": "x".repeat(300) })).collect::<Vec<_>>();
    client.query(&term::insert(term::table("t"), term::make_array(documents), "error", false)).await.unwrap();
}

#[test]
fn the_right_password_gets_in_and_a_wrong_one_does_not() {
    for (password, used, gets_in) in
        [("", "", true), ("se,cr=et", "se,cr=et", true), ("secret", "", false), ("", "x", false)]
    {
        with_client(password, used, |mut client| async move {
            let answer = client.query(&call_db_list()).await;
            match gets_in {
                true => assert_eq!(answer.unwrap().into_rows().unwrap().len(), 2),
                false => assert!(matches!(answer, Err(Failure::NotSent(reason)) if reason.contains("Wrong password"))),
            }
        });
    }
}

fn call_db_list() -> Term {
    term::call(number::DB_LIST, [])
}

#[test]
fn streams_are_read_to_their_end_whatever_the_batches() {
    with_client("", "", |mut client| async move {
        make_table(&mut client, 50).await;
        assert_eq!(client.query(&term::table("t")).await.unwrap().into_rows().unwrap().len(), 50);
        assert_eq!(client.query(&term::count(term::table("t"))).await, Ok(Answer::Value(json!(50))));
        // The connection is good for more.
        assert_eq!(client.query(&term::get(term::table("t"), 99)).await, Ok(Answer::Value(Value::Null)));
    });
}

#[test]
fn errors_say_what_they_say_about_the_effect() {
    with_client("", "", |mut client| async move {
        let missing = client.query(&term::table("none")).await.unwrap_err();
        assert!(missing.is_definite());
        assert_eq!(missing.server_error().unwrap().kind, ErrorKind::OpFailed);
        let logic = client.query(&term::add(json!(1), "x")).await.unwrap_err();
        assert_eq!(logic.server_error().unwrap().kind, ErrorKind::Logic);
    });
    let of = |t, e| Failure::of(ServerError { kind: ErrorKind::of(t, e), message: String::new() });
    for (t, e) in [(16, None), (17, None), (18, Some(3_100_000)), (18, Some(4_100_000)), (18, Some(6_000_000))] {
        assert!(of(t, e).is_definite(), "{t} {e:?}");
    }
    for (t, e) in [(18, Some(4_200_000)), (18, Some(1_000_000)), (18, Some(2_000_000)), (18, None), (99, None)] {
        assert!(!of(t, e).is_definite(), "{t} {e:?}");
    }
}

#[test]
fn a_feed_that_nobody_waits_for_loses_nothing() {
    with_client("", "", |mut client| async move {
        make_table(&mut client, 3).await;
        let mut feed = client.feed(&term::changes(term::table("t"), true)).await.unwrap();
        for id in 0..20 {
            let change = json!({ "n": id });
            client.query(&term::update(term::get(term::table("t"), id % 3), change, false)).await.unwrap();
        }
        let (mut changes, mut gave_up) = (0, 0);
        while changes < 20 {
            // Far too short for a whole answer, most of the time.
            match feed.next(Duration::from_micros(300)).await.unwrap() {
                Some(FeedEvent::Change { new, .. }) => {
                    assert_eq!(new["n"], changes);
                    changes += 1;
                }
                Some(_) => {}
                None => gave_up += 1,
            }
        }
        assert!(gave_up > 0);
        assert_eq!(feed.next(Duration::from_secs(1)).await.unwrap(), None);
        feed.close().await.unwrap();
    });
}

/// A node that says `script`, one piece for each thing it hears, and then nothing.
struct Scripted(Vec<Vec<u8>>);

impl Outside for Scripted {
    fn nodes(&self) -> usize {
        1
    }

    fn connect(&self, _: NodeIndex) -> LocalFuture<'_, io::Result<Box<dyn ByteStream>>> {
        let script = self.0.clone();
        Box::pin(async move {
            let (ours, mut theirs) = duplex(1 << 12);
            task::spawn_local(async move {
                let mut heard = [0; 4096];
                for said in script {
                    // The client may be gone; then nobody is spoken to.
                    if theirs.read(&mut heard).await.unwrap_or(0) == 0 || theirs.write_all(&said).await.is_err() {
                        return;
                    }
                }
                while theirs.read(&mut heard).await.unwrap_or(0) > 0 {}
            });
            Ok(Box::new(ours) as Box<dyn ByteStream>)
        })
    }

    fn now(&self) -> Micros {
        Micros(0)
    }
}

#[test]
fn a_node_that_breaks_the_protocol_is_no_answer() {
    let hello = b"{\"success\":true,\"max_protocol_version\":0}\0".to_vec();
    let scripts = [
        // A word that is no JSON, one without an end, a refusal, a nonce of its own, far too much hashing.
        vec![b"ERROR: no\n\0".to_vec()],
        vec![vec![b'x'; 4097]],
        vec![b"{\"success\":false,\"error\":\"no\"}\0".to_vec()],
        vec![[&hello[..], b"{\"success\":true,\"authentication\":\"r=other,s=AAAA,i=1\"}\0"].concat()],
        vec![[&hello[..], b"{\"success\":true,\"authentication\":\"i=4000000000\"}\0"].concat()],
        vec![],
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        for script in scripts {
            let mut client =
                Client::new(ClientId(1), Rc::new(Scripted(script.clone())), Login::default(), Random::new(1));
            let answer = client.query(&call_db_list()).await;
            assert!(matches!(answer, Err(Failure::NotSent(_))), "{script:?}: {answer:?}");
        }
    });
}
