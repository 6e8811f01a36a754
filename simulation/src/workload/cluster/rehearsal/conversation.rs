//! The rehearsed server's side of a connection.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use photondb_reql::wire::{FrameDecoder, Handshake, Progress};
use photondb_runtime::task;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::{Admin, Defect, Server};
use crate::term::{Term, number};

/// A feed of one connection.
struct OpenFeed {
    table: Value,
    seen: usize,
}

pub async fn serve(server: Rc<Server>, mut stream: DuplexStream) {
    // A connection that ends is nobody's fault here.
    let _ended = converse(&server, &mut stream).await;
}

async fn converse(server: &Rc<Server>, stream: &mut DuplexStream) -> io::Result<()> {
    let mut decoder = FrameDecoder::new();
    let mut handshake = Handshake::new("rehearsal");
    loop {
        let mut arrived = Vec::new();
        if stream.read_buf(&mut arrived).await? == 0 {
            return Ok(());
        }
        let mut out = Vec::new();
        let progress = handshake.receive(&arrived, &mut Admin(server.password), &mut out);
        stream.write_all(&out).await?;
        match progress {
            Progress::Reading => {}
            Progress::Refused => return Ok(()),
            Progress::Authenticated { rest, .. } => {
                decoder.push(&rest);
                break;
            }
        }
    }
    let mut streams: BTreeMap<u64, VecDeque<Value>> = BTreeMap::new();
    let mut feeds: BTreeMap<u64, OpenFeed> = BTreeMap::new();
    loop {
        let Some(frame) = decoder.next_frame().map_err(|_| io::ErrorKind::InvalidData)? else {
            if stream.read_buf(decoder.buffer()).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let token = frame.token.0;
        let message: Value = serde_json::from_slice(&frame.body)?;
        server.pause(6).await;
        let answer = match message[0].as_u64() {
            Some(1) if message[1][0] == number::CHANGES => {
                let table = message[1][1][0].clone();
                let mut model = server.model.borrow_mut();
                let rows = model.run(&table).unwrap().to_json();
                let mut events = vec![json!({ "state": "initializing" })];
                events.extend(rows.as_array().unwrap().iter().map(|row| json!({ "new_val": row })));
                if server.defect == Defect::ShortInitial && events.len() > 2 {
                    events.pop();
                }
                events.push(json!({ "state": "ready" }));
                feeds.insert(token, OpenFeed { table, seen: model.database.journal().len() });
                json!({ "t": 3, "r": events, "n": [1, 5] })
            }
            Some(1) => {
                let Some(answer) = start(server, &message[1]).await else { return Ok(()) };
                let (kind, error, mut rows) = answer;
                if kind == 2 && rows.len() > 3 {
                    streams.insert(token, rows.split_off(rows.len() / 2).into());
                    json!({ "t": 3, "r": rows, "n": [] })
                } else {
                    json!({ "t": kind, "e": error, "r": rows, "b": [], "n": [] })
                }
            }
            Some(2) => match (streams.remove(&token), feeds.get_mut(&token)) {
                (Some(rows), _) => json!({ "t": 2, "r": rows, "n": [] }),
                (None, Some(feed)) => {
                    if server.meets_trouble() {
                        return Ok(());
                    }
                    let Some(events) = more(server, feed, stream, &mut decoder).await? else { return Ok(()) };
                    json!({ "t": 3, "r": events, "n": [1, 5] })
                }
                (None, None) => json!({ "t": 16, "r": ["no such stream"], "b": [] }),
            },
            _ => {
                streams.remove(&token);
                feeds.remove(&token);
                json!({ "t": 2, "r": [], "n": [] })
            }
        };
        let body = answer.to_string();
        let mut out = token.to_le_bytes().to_vec();
        out.extend((body.len() as u32).to_le_bytes());
        out.extend(body.bytes());
        // In pieces, so that frames arrive torn.
        for piece in out.chunks(700) {
            stream.write_all(piece).await?;
        }
    }
}

/// `None`: the connection breaks.
async fn start(server: &Rc<Server>, query: &Term) -> Option<(u64, Option<u64>, Vec<Value>)> {
    if !server.meets_trouble() {
        let answer = server.execute(query);
        server.pause(6).await;
        return Some(answer);
    }
    let late = (server.clone(), query.clone());
    match server.draw(6) {
        0 => None,
        1 => {
            server.execute(query);
            None
        }
        2 => {
            task::spawn_local(async move {
                late.0.pause(400).await;
                late.0.execute(&late.1);
            });
            None
        }
        3 => {
            // Nobody hears from it for longer than a client waits.
            task::sleep(Duration::from_secs(60)).await;
            None
        }
        4 => Some((18, Some(4_100_000), vec![json!("primary replica for shard not available")])),
        _ => {
            if server.draw(2) == 0 {
                server.execute(query);
            }
            Some((18, Some(4_200_000), vec![json!("the fate is unknown")]))
        }
    }
}

/// Waits for changes. `None`: the client is gone.
async fn more(
    server: &Server,
    feed: &mut OpenFeed,
    stream: &mut DuplexStream,
    decoder: &mut FrameDecoder,
) -> io::Result<Option<Vec<Value>>> {
    let name = feed.table[1][1].as_str().unwrap_or_default().to_owned();
    loop {
        let mut events = Vec::new();
        {
            let model = server.model.borrow();
            let journal = model.database.journal();
            // A write that was taken back shortens it.
            let seen = feed.seen.min(journal.len());
            for change in journal[seen..].iter().filter(|change| change.table.table == name) {
                events.push(json!({ "old_val": change.old.to_json(), "new_val": change.new.to_json() }));
            }
            feed.seen = journal.len();
        }
        if server.is_hit() && !events.is_empty() {
            match server.defect {
                Defect::SkipsChanges => drop(events.remove(0)),
                Defect::DoublesChanges => events.push(events[events.len() - 1].clone()),
                Defect::SwapsChanges => events.reverse(),
                _ => {}
            }
        }
        if !events.is_empty() {
            return Ok(Some(events));
        }
        tokio::select! {
            biased;
            read = stream.read_buf(decoder.buffer()) => match read? {
                0 => return Ok(None),
                // The client stops it.
                _ => return Ok(Some(Vec::new())),
            },
            () = task::sleep(Duration::from_millis(7)) => {}
        }
    }
}
