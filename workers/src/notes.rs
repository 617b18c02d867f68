//! What is remembered of a run in case it is the last of its job: the end of its log, and which model it asked.
//! A dead letter keeps both.
//!
//! The notes of a run belong to its task; what runs beside it, as the pump of a browser does, logs elsewhere.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, filter::Targets, layer::Context, registry::LookupSpan};

/// The most lines that are kept of a run.
const LINES_MAX: usize = 20;
/// The most bytes that are kept of a run.
const BYTES_MAX: usize = 4 * 1024;
/// The most bytes that are kept of one line.
const LINE_BYTES_MAX: usize = 1024;

tokio::task_local! {
    static NOTES: Arc<Notes>;
}

/// The notes of one run: at most 20 lines and 4 KiB of its log, and the model it asked last.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    started: Option<Instant>,
    lines: VecDeque<String>,
    bytes: usize,
    model: Option<String>,
}

/// What is left of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Remains {
    /// The last lines of its log, oldest first.
    pub(crate) lines: Vec<String>,
    /// Provider and model that it asked last.
    pub(crate) model: Option<String>,
}

impl Notes {
    pub(crate) fn remains(&self) -> Remains {
        let kept = self.kept();
        Remains { lines: kept.lines.iter().cloned().collect(), model: kept.model.clone() }
    }

    /// Takes over the notes of a run elsewhere, in place of its own.
    pub(crate) fn adopt(&self, remains: Remains) {
        *self.kept() = Kept::default();
        for line in remains.lines {
            self.add(line);
        }
        self.kept().model = remains.model;
    }

    fn add_now(&self, text: &str) {
        let seconds = self.kept().started.map_or(0.0, |started| started.elapsed().as_secs_f64());
        self.add(format!("+{seconds:.3}s {text}"));
    }

    /// Adds a line that another process has logged.
    pub(crate) fn add_foreign(&self, line: &str) {
        self.add(one_line(line.trim_end()));
    }

    /// Adds a line, and forgets what is over the bounds.
    fn add(&self, mut line: String) {
        let mut kept = self.kept();
        line.truncate(line.floor_char_boundary(LINE_BYTES_MAX));
        kept.bytes += line.len();
        kept.lines.push_back(line);
        while kept.lines.len() > LINES_MAX || kept.bytes > BYTES_MAX {
            let oldest = kept.lines.pop_front().map_or(0, |line| line.len());
            kept.bytes -= oldest;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a job's future and keeps notes of what it logs and asks.
pub(crate) async fn keep<F: Future>(notes: &Arc<Notes>, run: F) -> F::Output {
    notes.kept().started = Some(Instant::now());
    NOTES.scope(Arc::clone(notes), run).await
}

/// Notes provider and model that the run is about to ask. Without a run it does nothing.
pub(crate) fn asked(model: &str) {
    let _ = NOTES.try_with(|notes| notes.kept().model = Some(model.to_owned()));
}

/// Writes what a run logs into its notes, whatever the log itself shows: events of ours from `debug` on, which
/// hold no secrets, and of others warnings.
pub fn layer<S: Subscriber + for<'span> LookupSpan<'span>>() -> impl Layer<S> {
    let ours = ["mondo", "mondo_jobs", "mondo_workers"].map(|room| (room, Level::DEBUG));
    NotesLayer.with_filter(Targets::new().with_default(Level::WARN).with_targets(ours))
}

struct NotesLayer;

impl<S: Subscriber> Layer<S> for NotesLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let _ = NOTES.try_with(|notes| {
            let mut line = Line(format!("{} ", event.metadata().level()));
            event.record(&mut line);
            notes.add_now(&line.0);
        });
    }
}

/// A line stays one, and steers no terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// An event in one line: its message, then its fields.
struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text =
            if field.name() == "message" { format!("{value:?} ") } else { format!("{field}={value:?} ") };
        self.0.push_str(&one_line(&text));
    }
}
