//! Certificates that are read again when their files change.

use std::io;
use std::sync::Arc;

use photondb_runtime::task::{Step, StepThread, Threads};

use super::contents::Contents;
use super::error::TlsError;
use super::port::PortTls;
use crate::limits::TLS_LOOK_PERIOD;

/// Starts the thread that looks at the files; `None`: there are none.
pub(crate) fn start_rotation(threads: &dyn Threads, ports: Vec<Arc<PortTls>>) -> io::Result<Option<StepThread>> {
    if ports.is_empty() {
        return Ok(None);
    }
    let mut watched: Vec<_> = ports.into_iter().map(Watched::new).collect();
    let step = move || {
        for port in &mut watched {
            port.look();
        }
        Step::After(TLS_LOOK_PERIOD)
    };
    threads.steps("certificates", Box::new(step)).map(Some)
}

/// A port whose files are looked at again and again.
struct Watched {
    port: Arc<PortTls>,
    refused: Option<Refused>,
}

/// What the files had at the last look that cannot be used. Who writes several files writes one after the other: what was
/// seen once only is nothing to complain of.
struct Refused {
    seen: Option<Contents>,
    said: bool,
}

impl Watched {
    fn new(port: Arc<PortTls>) -> Watched {
        Watched { port, refused: None }
    }

    fn look(&mut self) {
        match self.port.changed() {
            Ok(None) => self.refused = None,
            Ok(Some(contents)) => match self.port.take(contents.clone()) {
                Ok(()) => {
                    self.refused = None;
                    let file = self.port.files().certificate.path.display();
                    tracing::info!(%file, "the certificate was read again; new connections get it");
                }
                Err(error) => self.refuse(Some(contents), &error),
            },
            Err(error) => self.refuse(None, &error),
        }
    }

    fn refuse(&mut self, seen: Option<Contents>, error: &TlsError) {
        let said = match &self.refused {
            Some(refused) if refused.seen == seen => {
                if !refused.said {
                    tracing::error!(%error, "the certificate that was read before stays in use");
                }
                true
            }
            _ => false,
        };
        self.refused = Some(Refused { seen, said });
    }
}
