//! The processes of a run: workers and the API, each behind a proxy of its own.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    history::{self, Event},
    now_us,
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
    /// Since when it is stopped, if it is.
    pub(crate) stopped_us: Option<u64>,
}

impl Seat {
    pub(crate) fn new(number: usize, proxy: Proxy, settings: Settings, dir: &Path) -> Self {
        Self { proxy, settings, dir: dir.to_owned(), number, started: 0, child: None, stopped_us: None }
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
        self.stopped_us = None;
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

    /// Ends a process that the worker has started for one job, and gives what that did; none where there is none.
    pub(crate) fn kill_alone(&mut self) -> Option<Vec<Event>> {
        let worker = self.child.as_ref()?.id();
        let alone = children(worker).into_iter().next()?;
        signal(alone, "KILL");
        // Read before its worker starts another one.
        let events = history::read(&self.settings.history).into_iter();
        Some(events.filter(|event| event.run >> 32 == u64::from(alone)).collect())
    }

    /// SIGSTOP: the process is there and does nothing.
    pub(crate) fn stop(&mut self) {
        self.signal("STOP");
        self.stopped_us = Some(now_us());
    }

    pub(crate) fn go_on(&mut self) {
        if self.stopped_us.take().is_some() {
            self.signal("CONT");
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

/// The processes that this one has started.
fn children(of: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
    };
    let all = std::fs::read_dir("/proc").expect("a Linux machine").filter_map(Result::ok);
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent(*pid) == Some(of)).collect()
}

fn signal(pid: u32, name: &str) {
    // The shell's own `kill`: the program of that name is not on every machine.
    let _ = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status();
}
