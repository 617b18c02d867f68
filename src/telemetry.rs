//! Logs: text or JSON on stderr, so that stdout is left to data.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::LogConfig;

/// Starts logging. Where a command says itself what happens, only warnings and errors are logged beside it,
/// unless `MONDO_LOG` asks for more.
pub fn start(config: &LogConfig, says_itself: bool) {
    let filter = match &config.filter {
        Some(filter) => filter,
        None if says_itself => "warn",
        None => "info",
    };
    let builder =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_writer(std::io::stderr);
    // Colours are for people: in a file they are noise. At a terminal the library heeds NO_COLOR.
    let builder = if std::io::stderr().is_terminal() { builder } else { builder.with_ansi(false) };
    // A second call (several commands in one test process) keeps the first subscriber.
    let _ = if config.json { builder.json().try_init() } else { builder.with_target(false).try_init() };
}
