//! What happens to bytes on their way.

use std::time::Duration;

/// How it is on the way from one node to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    /// Bytes arrive.
    #[default]
    Clear,
    /// Connections are reset, and new ones too: a cable that is pulled out where the system notices.
    Cut,
    /// Bytes wait, and nobody is told: a firewall that drops packets. They arrive when it is over, as TCP sends them again. No
    /// connection is made meanwhile, in either direction.
    Silent,
    /// Bytes arrive later, and no more than so many of them.
    Slow {
        /// At least so much later.
        delay: Duration,
        /// And up to so much more, in order all the same.
        jitter: Duration,
        /// Zero: as many as come.
        bytes_per_second: u64,
    },
    /// Packets are lost: TCP sends them again, which takes time, and sometimes gives up.
    Lossy {
        /// One piece of what is sent in so many is lost ...
        lost_in: u64,
        /// ... and arrives so much later, and with it all that follows.
        again_after: Duration,
        /// One in so many breaks the connection; zero: none.
        broken_in: u64,
    },
}

impl Weather {
    /// A link across the world: 40 to 70 ms, a megabyte a second.
    pub const FAR: Weather = Weather::Slow {
        delay: Duration::from_millis(40),
        jitter: Duration::from_millis(30),
        bytes_per_second: 1_000_000,
    };

    /// A bad cable: one piece in twenty is lost, one in five hundred breaks the connection.
    pub const BAD_CABLE: Weather =
        Weather::Lossy { lost_in: 20, again_after: Duration::from_millis(200), broken_in: 500 };
}
