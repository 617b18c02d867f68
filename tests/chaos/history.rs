//! What workers did, as they saw it themselves: a file for each process, to which each event is appended in one write,
//! so that it is there whenever the process is killed.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::now_us;

/// One event of one run of a handler.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) at_us: u64,
    pub(crate) job: String,
    /// Names the run.
    pub(crate) run: u64,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// A handler was given the job.
    Start { attempts: u32, crashes: u32, losses: u32 },
    /// It asked for this to be committed.
    Commit { record: String },
    /// It failed.
    Fail { class: String },
    /// It was dropped: the lease was lost, or the process drained.
    Drop,
}

pub(crate) struct Writer(File);

impl Writer {
    pub(crate) fn open(path: &Path) -> Self {
        Self(File::options().create(true).append(true).open(path).expect("a history file"))
    }

    pub(crate) fn note(&self, job: &str, run: u64, what: What) {
        let event = Event { at_us: now_us(), job: job.to_owned(), run, what };
        let mut line = serde_json::to_vec(&event).expect("plain data");
        line.push(b'\n');
        (&self.0).write_all(&line).expect("a history that can be written");
    }
}

/// Everything that one process wrote.
pub(crate) fn read(path: &Path) -> Vec<Event> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The jobs that a process was in the middle of when it ended, each with its run.
pub(crate) fn unfinished(events: &[Event]) -> Vec<(String, u64)> {
    let mut open: HashMap<u64, &str> = HashMap::new();
    for event in events {
        match event.what {
            What::Start { .. } => drop(open.insert(event.run, &event.job)),
            _ => drop(open.remove(&event.run)),
        }
    }
    open.into_iter().map(|(run, job)| (job.to_owned(), run)).collect()
}
