//! Logs: text or JSON on stderr, so that stdout is left to data.

use std::io::IsTerminal as _;

use tracing_subscriber::{
    EnvFilter, Layer, fmt, layer::SubscriberExt as _, registry::Registry, util::SubscriberInitExt as _,
};

use crate::config::LogConfig;

/// Starts logging. `notes` gets every event, whatever is logged.
pub fn start(config: &LogConfig, notes: impl Layer<Registry> + Send + Sync) {
    let filter = config.filter.as_deref().unwrap_or("info");
    // Colours are for people: in a file they are noise. At a terminal the library heeds NO_COLOR.
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if std::io::stderr().is_terminal() { lines } else { lines.with_ansi(false) };
    let lines = if config.json { lines.json().boxed() } else { lines.with_target(false).boxed() };
    let log = tracing_subscriber::registry().with(notes).with(lines.with_filter(EnvFilter::new(filter)));
    // A second call (several commands in one test process) keeps the first subscriber.
    let _ = log.try_init();
}
