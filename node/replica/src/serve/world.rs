//! What functions of another node's query see here: its time, and nothing else.

use std::sync::Arc;

use photondb_query::Pace;
use photondb_reql::error::{Error, Result};
use photondb_reql::eval::{Args, Value, World};
use photondb_runtime::clock::Clock;

/// The world of writes that have arrived. No tables, no chance, no scripts: a function that needs them is not sent.
pub(super) struct ArrivedWorld {
    now_micros: i64,
    pace: Pace,
}

impl ArrivedWorld {
    pub fn new(now_micros: i64, clock: Arc<dyn Clock>) -> ArrivedWorld {
        ArrivedWorld { now_micros, pace: Pace::new(clock) }
    }
}

impl World for ArrivedWorld {
    fn term(&self, args: &Args<'_>) -> Result<Value> {
        Err(Error::logic(format!("`{}` cannot be used in a function that is sent to a shard.", args.kind().name())))
    }

    fn grant_steps(&self) -> u32 {
        self.pace.grant()
    }

    fn now_micros(&self) -> i64 {
        self.now_micros
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}
