//! The processes of a run: workers and the API, each behind a proxy of its own.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    history::{self, Event},
    proxy::Proxy,
    worker::Settings,
};

/// One place for a worker: its proxy stays, its processes come and go.
pub(crate) struct Seat {
    pub(crate) proxy: Proxy,
    settings: Settings,
    dir: PathBuf,
    number: usize,
    started: usize,
    child: Option<Child>,
    pub(crate) stopped: bool,
}

impl Seat {
    pub(crate) fn new(number: usize, proxy: Proxy, settings: Settings, dir: &Path) -> Self {
        Self { proxy, settings, dir: dir.to_owned(), number, started: 0, child: None, stopped: false }
    }

    /// Starts the next process in this place.
    pub(crate) fn start(&mut self) {
        self.started += 1;
        self.settings.history = self.dir.join(format!("worker-{}-{}.history", self.number, self.started));
        self.settings.seed += 1;
        let log = File::options().create(true).append(true).open(self.log()).expect("a log file");
        let child = Command::new(std::env::current_exe().expect("a path"))
            .arg("worker")
            .arg(self.settings.to_text())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("a worker process"));
        self.stopped = false;
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join(format!("worker-{}.log", self.number))
    }

    /// Whether a process runs here; one that ended by itself is gone.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Ends the process as `kill -9` does, and gives what it was in the middle of.
    pub(crate) fn kill(&mut self) -> Vec<Event> {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        history::read(&self.settings.history)
    }

    /// SIGSTOP: the process is there and does nothing.
    pub(crate) fn stop(&mut self) {
        self.signal("STOP");
        self.stopped = true;
    }

    pub(crate) fn go_on(&mut self) {
        if self.stopped {
            self.signal("CONT");
            self.stopped = false;
        }
    }

    /// SIGTERM: the process finishes what it has and ends.
    pub(crate) fn drain(&mut self) {
        self.signal("TERM");
    }

    fn signal(&self, name: &str) {
        if let Some(child) = &self.child {
            signal(child.id(), name);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `mondo api`.
pub(crate) struct Api {
    child: Child,
}

impl Api {
    pub(crate) fn start(settings: &[(&str, &str)], log: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mondo"));
        command
            .arg("api")
            .env_clear()
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Self {
            child: command.stderr(File::create(log).expect("a log file")).spawn().expect("the API starts"),
        }
    }

    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(pid: u32, name: &str) {
    // The shell's own `kill`: the program of that name is not on every machine.
    let _ = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status();
}
