//! What tells a program to end.

use std::io::{self, Read};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The name of the end of standard input.
pub(super) const END_OF_INPUT: &str = "end of input";

/// Signals, and the end of standard input where that counts.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// `true` once standard input has ended.
    input: Option<watch::Receiver<bool>>,
}

impl Signals {
    /// SIGTERM and SIGINT. Called inside a runtime.
    pub fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            input: None,
        })
    }

    /// The end of standard input too: whoever holds its other end is gone, or wants this process to go.
    pub fn and_end_of_input(mut self) -> io::Result<Signals> {
        let (ended, input) = watch::channel(false);
        std::thread::Builder::new().name("standard-input".to_owned()).spawn(move || {
            let mut rest = [0; 64];
            // An error is an end too.
            while io::stdin().lock().read(&mut rest).is_ok_and(|read| read > 0) {}
            ended.send_replace(true);
        })?;
        self.input = Some(input);
        Ok(self)
    }

    /// The name of the next one.
    pub async fn next(&mut self) -> &'static str {
        let input = &mut self.input;
        let ended = async {
            match input {
                // Its sender says so before it goes.
                Some(receiver) => drop(receiver.wait_for(|ended| *ended).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            () = ended => {
                // Once.
                self.input = None;
                END_OF_INPUT
            }
        }
    }
}
