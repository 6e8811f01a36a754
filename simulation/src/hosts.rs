//! What runs the machines of a world, tells them the time and carries their connections.
//!
//! turmoil's tasks run in the order in which they became ready. madsim, in a build with `--cfg madsim`, runs whichever ready
//! task of whichever machine its seed picks. Everything above is the same.

#[cfg(madsim)]
mod madsim;
#[cfg(not(madsim))]
mod turmoil;

use std::pin::Pin;
use std::time::Duration;

#[cfg(madsim)]
pub use self::madsim::{
    CARRIES_GRPC, GRAIN_MICROS, Home, Hosts, MachineTime, SLOWS_LINKS, TcpListener, TcpStream, bind, elapsed,
    on_fresh_ground, standing_at,
};
#[cfg(not(madsim))]
pub use self::turmoil::{
    CARRIES_GRPC, GRAIN_MICROS, Home, Hosts, MachineTime, SLOWS_LINKS, TcpListener, TcpStream, bind, elapsed,
    on_fresh_ground, standing_at,
};

/// How long one step of virtual time is.
pub const TICK: Duration = Duration::from_millis(1);

/// What a process or a client does from its beginning to its end.
pub type Life = Pin<Box<dyn Future<Output = ()>>>;

/// What passes on a link between two hosts, the first of which has the lower number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Nothing from the first to the second.
    pub cut_there: bool,
    /// Nothing from the second to the first.
    pub cut_back: bool,
    /// It waits.
    pub held: bool,
    /// Messages take so many milliseconds more from the first to the second.
    pub late_there: u64,
    /// From the second to the first.
    pub late_back: u64,
}
