//! A whole node in the simulation: sessions, queries, shards, consensus, log.

use std::time::Duration;

use photondb_simulation::machine::{DRIVER_PORT, End, Machine, Skew};
use photondb_simulation::random::Random;
use photondb_storage::EngineOptions;
use photondb_storage::disk::simulated::SimulatedDisk;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::TcpStream;

async fn ask(host: &'static str, queries: &[&str]) -> std::io::Result<Vec<String>> {
    let mut stream = TcpStream::connect((host, DRIVER_PORT)).await?;
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
        frame.extend(u32::try_from(query.len()).unwrap().to_le_bytes());
        frame.extend(query.as_bytes());
        stream.write_all(&frame).await?;
        stream.read_u64_le().await?;
        let length = stream.read_u32_le().await?;
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body).await?;
        answers.push(String::from_utf8(body).unwrap());
    }
    Ok(answers)
}

#[test]
fn queries_are_answered_and_a_restart_finds_what_was_written() {
    let mut random = Random::new(7);
    let disk = SimulatedDisk::new(7);
    let machine = Machine::new("n1", disk.clone(), Skew::NONE, EngineOptions::default(), &mut random);
    let mut sim = turmoil::Builder::new().rng_seed(7).simulation_duration(Duration::from_secs(3600)).build();
    let software = machine.clone();
    sim.host("n1", move || {
        let machine = software.clone();
        async move {
            match machine.live().await {
                End::Stopped => Ok(()),
                End::Failed(reason) => Err(reason.into()),
            }
        }
    });
    sim.client("c1", async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let answers = ask(
            "n1",
            &["[1,1]", r#"[1,[60,["t"]]]"#, r#"[1,[56,[[15,["t"]],{"id":1,"a":2}]]]"#, r#"[1,[43,[[15,["t"]]]]]"#],
        )
        .await?;
        println!("{answers:#?}");
        assert_eq!(answers[0], "SUCCESS");
        assert_eq!(answers[1], r#"{"t":1,"r":[1]}"#);
        Ok(())
    });
    sim.run().unwrap();
    println!("virtual {:?}", sim.elapsed());
}
