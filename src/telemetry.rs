//! Logs: text or JSON on stderr, so that stdout is left to data.

use tracing_subscriber::EnvFilter;

use crate::config::LogConfig;

/// Starts logging. With `quiet`, only warnings and errors show: a progress display has the screen.
pub fn start(config: &LogConfig, quiet: bool) {
    let filter = if quiet && config.filter == "info" { "warn" } else { &config.filter };
    let builder =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_writer(std::io::stderr);
    // A second call (several commands in one test process) keeps the first subscriber.
    let _ = if config.json { builder.json().try_init() } else { builder.with_target(false).try_init() };
}
