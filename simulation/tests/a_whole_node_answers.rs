//! A whole node in the simulation: sessions, queries, shards, consensus, log.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use photondb_simulation::cluster::fault::{Fault, Timed};
use photondb_simulation::cluster::plan::ClusterPlan;
use photondb_simulation::cluster::{Cluster, address};
use photondb_simulation::machine::DRIVER_PORT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use turmoil::net::TcpStream;

async fn ask(queries: &[&str]) -> std::io::Result<Vec<String>> {
    let mut stream = TcpStream::connect((address(0), DRIVER_PORT)).await?;
    stream.write_all(&[0x20, 0x2d, 0x0c, 0x40, 0, 0, 0, 0, 0xc7, 0x70, 0x69, 0x7e]).await?;
    let mut greeting = Vec::new();
    loop {
        match stream.read_u8().await? {
            0 => break,
            byte => greeting.push(byte),
        }
    }
    let mut answers = vec![String::from_utf8_lossy(&greeting).into_owned()];
    for (token, query) in queries.iter().enumerate() {
        let mut frame = (token as u64).to_le_bytes().to_vec();
        frame.extend(u32::try_from(query.len()).expect("queries are short").to_le_bytes());
        frame.extend(query.as_bytes());
        stream.write_all(&frame).await?;
        stream.read_u64_le().await?;
        let length = stream.read_u32_le().await?;
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body).await?;
        answers.push(String::from_utf8_lossy(&body).into_owned());
    }
    Ok(answers)
}

#[test]
fn queries_are_answered_and_a_restart_finds_what_was_written() {
    let mut plan = ClusterPlan::draw(7, None, Some(1), Duration::from_secs(30));
    plan.faults = vec![
        Timed { at: Duration::from_secs(4), lasts: Duration::from_secs(1), fault: Fault::PowerLoss { at: 0 } },
        Timed { at: Duration::from_secs(12), lasts: Duration::from_secs(1), fault: Fault::Kill { at: 0 } },
        Timed { at: Duration::from_secs(20), lasts: Duration::ZERO, fault: Fault::Restart { at: 0 } },
    ];
    let mut cluster = Cluster::new(&plan, false);
    let answers = Rc::new(RefCell::new(Vec::new()));
    let heard = answers.clone();
    cluster.add_client(async move {
        sleep(Duration::from_secs(2)).await;
        let create = [r#"[1,[60,["t"]]]"#, r#"[1,[56,[[15,["t"]],{"id":1,"a":2}]]]"#];
        let made = ask(&create).await.unwrap();
        heard.borrow_mut().extend(made);
        for at in [8, 16, 24] {
            sleep(Duration::from_secs(at).saturating_sub(turmoil::sim_elapsed().unwrap())).await;
            let counted = ask(&[r#"[1,[43,[[15,["t"]]]]]"#]).await.unwrap();
            heard.borrow_mut().extend(counted);
        }
    });
    while !cluster.step() {
        assert!(cluster.judge().violations().is_empty(), "{:?}", cluster.judge().violations());
    }
    let answers = answers.borrow();
    assert!(answers[1].contains("\"tables_created\":1"), "{answers:?}");
    assert!(answers[2].contains("\"inserted\":1"), "{answers:?}");
    let counts: Vec<_> = answers.iter().filter(|answer| answer.as_str() == r#"{"t":1,"r":[1]}"#).collect();
    assert_eq!(counts.len(), 3, "after each fault the document is there: {answers:?}");
}
