//! Commands, answers and the state as bytes. Little-endian; each opens with a version byte, 8 today; an older one is read, a
//! newer one refused. Version 2 gave tables their compression, version 3 members their roles and nodes their members, version 4
//! nodes their service, version 5 shards their parents and cuts, version 6 what is known of the groups that they were given anew,
//! version 7 how far they are joined, and tables those that were, version 8 new shards whole placements, tables one command for
//! all that is said of them, and how much of changes is kept.
//!
//! ```text
//! u8, u16, u32, u64, u128   as they are            bool     u8 (0, 1)
//! id                        u64 or u128            option   u8 (0, 1), the value if 1
//! text, bytes               u32 length, bytes      list, set, map   u32 count, the items in order (map: key, value)
//! struct                    its fields in the order that `layout` gives them
//! enum                      u8 tag, the fields of the variant
//! ```
//!
//! Tags and orders are in [`layout`] alone, and are for ever: what changes gets a new tag or a new version.

mod codec;
mod layout;
#[cfg(test)]
mod tests;

use crate::command::{Command, Response};
use crate::error::StateError;
use crate::state::ClusterState;

pub use codec::FormatError;
use codec::{Input, Stored};

const VERSION: u8 = 8;

impl Command {
    /// As bytes, for the log.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The inverse.
    pub fn decode(bytes: &[u8]) -> Result<Command, FormatError> {
        decode(bytes)
    }
}

impl Response {
    /// The answer to a command as bytes, for the way from apply to the proposer.
    pub fn encode_outcome(outcome: &Result<Response, StateError>) -> Vec<u8> {
        encode(outcome)
    }

    /// The inverse.
    pub fn decode_outcome(bytes: &[u8]) -> Result<Result<Response, StateError>, FormatError> {
        decode(bytes)
    }
}

impl ClusterState {
    /// As bytes, for checkpoints and snapshots. Equal states have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The inverse.
    pub fn decode(bytes: &[u8]) -> Result<ClusterState, FormatError> {
        let mut state: ClusterState = decode(bytes)?;
        state.index_names();
        Ok(state)
    }
}

fn encode<T: Stored>(value: &T) -> Vec<u8> {
    let mut out = vec![VERSION];
    value.put(&mut out);
    out
}

fn decode<T: Stored>(bytes: &[u8]) -> Result<T, FormatError> {
    let mut input = Input::open(bytes, VERSION)?;
    let value = T::get(&mut input)?;
    input.end()?;
    Ok(value)
}
