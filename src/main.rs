//! The `mondo` program: one binary, one role per command.

use std::process::ExitCode;

fn main() -> ExitCode {
    mondo::cli::main()
}
