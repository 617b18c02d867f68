//! The `mondo` program as a person runs it.

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// A command line of the program with an environment of its own: nothing set but what is given.
pub(crate) fn mondo(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mondo"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.envs(settings.iter().copied());
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    mondo(arguments, settings).output().expect("the program starts")
}

/// What it printed, as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A program that runs beside the test and is killed with it.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Starts it. Its log goes to `log`.
    pub(crate) fn start(arguments: &[&str], settings: &[(&str, &str)], log: &Path) -> Self {
        let log = std::fs::File::create(log).expect("a log file");
        let child = mondo(arguments, settings).stdout(Stdio::null()).stderr(log).spawn();
        Self(child.expect("the program starts"))
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
