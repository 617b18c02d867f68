//! The one place that prints. Data goes to stdout, everything else to stderr.

use std::io::{IsTerminal as _, Write as _};

/// Prints one line of data.
///
/// # Errors
/// When stdout is closed: whoever read it has seen enough.
pub(super) fn data(line: &str) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Says something to the person at the terminal.
pub(super) fn note(line: &str) {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// Prints a value as JSON, indented for people and in one line for programs.
///
/// # Errors
/// When stdout is closed.
pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = if std::io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)?
    } else {
        serde_json::to_string(value)?
    };
    Ok(data(&text)?)
}

/// A table without lines, for people.
pub(super) fn table(header: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header.to_vec());
    table
}
