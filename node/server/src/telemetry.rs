//! Log lines and metrics.

mod log_lines;
mod log_writer;

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use crate::config::{Config, LogFormat};

pub use log_lines::{LogLine, log_lines};
pub use log_writer::log_error;

/// openraft tells each step of every group at the level of our own news. A filter of the user that names it wins.
const QUIET: &str = "openraft=warn";

/// Log levels that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("option `log-level`: {0}")]
pub struct BadLogLevel(#[from] tracing_subscriber::filter::ParseError);

/// Sends log lines to standard error as configured, and keeps the newest in memory. The first call of a process counts.
pub fn start_log(config: &Config) -> Result<(), BadLogLevel> {
    let filter = EnvFilter::builder().parse(format!("{QUIET},{}", config.log_level))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(log_writer::LogWriter::default);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.log_format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // An error means that a subscriber is set already, as in a test with several nodes.
    let _ = tracing_subscriber::registry().with(lines.and_then(log_lines::Keep).with_filter(filter)).try_init();
    Ok(())
}

/// The process's metrics, for the HTTP port to show.
pub fn metrics() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // Somebody who embeds the node may have set a recorder; then ours stays empty.
        let _ = metrics::set_global_recorder(recorder);
        handle
    })
}
