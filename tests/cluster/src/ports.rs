//! Ports that are known before anybody listens on them.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// A port that nobody listens on, and that the system gives to nobody who asks for any: a node that is started later, after one of
/// another test, still finds it free.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let own = (std::process::id() % 90) as u16 * 100;
    loop {
        let port = 20_000 + (own + GIVEN.fetch_add(1, Ordering::Relaxed)) % 9_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
