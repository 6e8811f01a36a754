//! What tells a program to end.

use std::fmt;
use std::io::{self, Read};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// What has told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Terminate,
    Interrupt,
    /// Whoever holds the other end of standard input is gone, or wants this process to go.
    EndOfInput,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Told::Terminate => "SIGTERM",
            Told::Interrupt => "SIGINT",
            Told::EndOfInput => "end of input",
        })
    }
}

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

    /// The end of standard input too.
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

    /// Waits for the next one.
    pub async fn next(&mut self) -> Told {
        let input = &mut self.input;
        let ended = async {
            match input {
                // Its sender says so before it goes.
                Some(receiver) => drop(receiver.wait_for(|ended| *ended).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Told::Terminate,
            _ = self.interrupt.recv() => Told::Interrupt,
            () = ended => {
                // Once.
                self.input = None;
                Told::EndOfInput
            }
        }
    }
}
