//! Queries that are sent until they succeed: what is made in the beginning, and what is read in the end.

use photondb_runtime::task;

use super::limits::{INSIST_MAX, INSIST_PAUSE, JOINING_MAX, REPLICAS};
use crate::client::{Answer, Client, ErrorKind, Failure, ServerError};
use crate::term::{self, Term};

/// Sends a query that may be carried out more than once until it is answered. Errors: the last failure, when that took too
/// long.
pub async fn insist(client: &mut Client, query: &Term) -> Result<Answer, Failure> {
    let began = client.now();
    loop {
        match client.query(query).await {
            Ok(answer) => return Ok(answer),
            Err(failure) if client.now().0 - began.0 > INSIST_MAX.as_micros() as u64 => return Err(failure),
            Err(_) => {
                task::sleep(INSIST_PAUSE).await;
                // The node that was asked may be the one that cannot.
                client.leave();
            }
        }
    }
}

/// Sends a write that may be carried out more than once until it is answered without an error of any document. Errors: as [`insist`].
pub async fn insist_to_write(client: &mut Client, query: &Term) -> Result<(), Failure> {
    let began = client.now();
    loop {
        let answer = insist(client, query).await?.into_value();
        match answer["errors"].as_u64() {
            Some(0) => return Ok(()),
            _ if client.now().0 - began.0 > INSIST_MAX.as_micros() as u64 => {
                return Err(Failure::Unknown(answer.to_string()));
            }
            _ => task::sleep(INSIST_PAUSE).await,
        }
    }
}

/// Makes what may have been made by an earlier try.
pub async fn insist_to_create(client: &mut Client, query: &Term) -> Result<(), Failure> {
    let began = client.now();
    loop {
        match client.query(query).await {
            Ok(_) => return Ok(()),
            Err(failure) if is_there_already(&failure) => return Ok(()),
            Err(failure) if client.now().0 - began.0 > INSIST_MAX.as_micros() as u64 => return Err(failure),
            Err(_) => {
                task::sleep(INSIST_PAUSE).await;
                client.leave();
            }
        }
    }
}

/// Makes a table of several replicas and waits until it serves. A table that is made before the other nodes have been taken in
/// has one for ever: only when they do not come for long is that taken instead.
pub async fn insist_on_table(client: &mut Client, name: &str) -> Result<(), Failure> {
    let spread = term::table_create_with(name, 1, REPLICAS.min(client.nodes() as u64));
    let began = client.now();
    while client.now().0 - began.0 < JOINING_MAX.as_micros() as u64 {
        match client.query(&spread).await {
            Ok(_) => break,
            Err(failure) if is_there_already(&failure) => break,
            Err(_) => {
                task::sleep(INSIST_PAUSE).await;
                client.leave();
            }
        }
    }
    insist_to_create(client, &term::table_create(name)).await?;
    insist(client, &term::wait(term::table(name), 10)).await.map(drop)
}

/// Whether a name was refused because it is taken.
pub fn is_there_already(failure: &Failure) -> bool {
    says(failure, "already exists")
}

/// Whether a name was refused because nothing has it.
pub fn is_missing(failure: &Failure) -> bool {
    says(failure, "does not exist")
}

fn says(failure: &Failure, words: &str) -> bool {
    match failure.server_error() {
        Some(ServerError { kind: ErrorKind::OpFailed | ErrorKind::Logic, message }) => message.contains(words),
        _ => false,
    }
}
