//! A process of its own for a job that was there when a worker ended: should it be what ended it, it takes nothing
//! else with it, and nothing has to wait for it.
//!
//! The process that holds the job starts itself again with other arguments, keeps the lease, and stores how the job
//! ended. Its child reads the delivery from standard input, does the work, and writes one line with what came of it
//! to standard output. An input that ends calls the child off, so none outlives whoever started it. A child that
//! ends without that line has crashed.

use std::{
    ffi::OsString,
    io::{self, BufRead as _, Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    panic::AssertUnwindSafe,
    process::{ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use futures_util::FutureExt as _;
use mondo_jobs::{
    disposition::Disposition,
    queue::{Commit, Delivery},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStderr, ChildStdout, Command},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{Failure, Handler, outcome::panicked};
use crate::notes::{self, Notes, Remains};

/// This program, even after its file was replaced.
const OURSELVES: &str = "/proc/self/exe";
/// The most bytes of a reply; a commit is bounded long before.
const REPLY_BYTES_MAX: u64 = 1 << 30;
/// How long a child that was called off may take to end by itself.
const CALLED_OFF_TIME_MAX: Duration = Duration::from_secs(15);

/// How this program is started again to run one job: with arguments that lead to [`Errand::receive`].
#[derive(Clone)]
pub struct OwnProcess {
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What its environment has beyond ours.
    pub environment: Vec<(&'static str, OsString)>,
    /// The same, where nobody may read it.
    pub secrets: Vec<(&'static str, SecretString)>,
}

/// What a child says.
#[derive(Serialize, Deserialize)]
struct Said {
    result: Result<Commit, Failure>,
    notes: Remains,
}

/// The process of a job ended before the job did, in this way.
#[derive(Debug, thiserror::Error)]
#[error("its process ended: {0}")]
pub(super) struct Crashed(pub(super) String);

impl OwnProcess {
    /// Runs a job in a process of its own. Called off when the future is dropped.
    pub(super) async fn run(
        &self,
        delivery: &Delivery,
        notes: &Notes,
    ) -> Result<Result<Commit, Failure>, Crashed> {
        let mut child = match self.start() {
            Ok(child) => child,
            Err(error) => return Ok(Err(cannot_start(&error))),
        };
        // Open until the child has ended, or is called off.
        let mut input = child.stdin.take();
        if let Some(input) = &mut input {
            // Ids and numbers always serialize.
            let mut line = serde_json::to_vec(delivery).unwrap_or_default();
            line.push(b'\n');
            // A child that reads nothing has ended, and how it did is told below.
            let _ = input.write_all(&line).await;
        }
        let (output, log) = (child.stdout.take(), child.stderr.take());
        let (said, ()) = tokio::join!(hear(output), pass_on(log, notes));
        let Some(said) = said else {
            let how = child.wait().await.map_or_else(|error| error.to_string(), describe);
            return Err(Crashed(how));
        };
        notes.adopt(said.notes);
        Ok(said.result)
    }

    fn start(&self) -> io::Result<Child> {
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        let secrets = self.secrets.iter().map(|(name, value)| (name, value.expose_secret()));
        Command::new(OURSELVES)
            .arg0("mondo")
            .args(&self.arguments)
            .envs(environment)
            .envs(secrets)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for us; we tell it.
            .process_group(0)
            .spawn()
    }
}

/// The line of a child; none when it ended without.
async fn hear(output: Option<ChildStdout>) -> Option<Said> {
    let mut line = Vec::new();
    BufReader::new(output?.take(REPLY_BYTES_MAX)).read_until(b'\n', &mut line).await.ok()?;
    serde_json::from_slice(&line).ok()
}

/// Passes on what a child logs, and keeps the end of it.
async fn pass_on(log: Option<ChildStderr>, notes: &Notes) {
    let Some(log) = log else { return };
    let (mut log, mut line) = (BufReader::new(log), Vec::new());
    while log.read_until(b'\n', &mut line).await.is_ok_and(|bytes| bytes > 0) {
        notes.add(String::from_utf8_lossy(&line).trim_end().to_owned());
        // A log that nobody reads is no reason to stop.
        let _ = io::stderr().write_all(&line);
        line.clear();
    }
}

fn cannot_start(error: &io::Error) -> Failure {
    Failure {
        disposition: Disposition::Wait { after: None },
        class: "process".to_owned(),
        chain: vec!["cannot start a process for the job".to_owned(), error.to_string()],
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "no word of how".to_owned(),
    }
}

/// What a child is to do.
pub struct Errand {
    delivery: Delivery,
    called_off: CancellationToken,
}

impl Errand {
    /// Reads standard input, from now to its end, on a thread of its own: a job that blocks all others does not
    /// keep the process from being called off.
    ///
    /// # Errors
    /// When there is no delivery on it.
    pub fn receive() -> io::Result<Self> {
        let mut input = io::BufReader::new(io::stdin());
        let mut line = String::new();
        input.read_line(&mut line)?;
        let delivery = serde_json::from_str(&line)?;
        let called_off = CancellationToken::new();
        let told = called_off.clone();
        thread::Builder::new().name("errand".to_owned()).spawn(move || {
            let _ = input.read_to_end(&mut Vec::new());
            told.cancel();
            thread::sleep(CALLED_OFF_TIME_MAX);
            // Whoever started this process has given it up.
            std::process::exit(1);
        })?;
        Ok(Self { delivery, called_off })
    }

    /// The job.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// Does it with the handler, and says what came of it. Where there is no handler, the job is not to blame.
    ///
    /// # Errors
    /// When nobody listens any more.
    pub async fn run(self, handler: Result<&dyn Handler, Failure>) -> io::Result<()> {
        let Self { delivery, called_off } = &self;
        let span = tracing::info_span!("job", job.id = %delivery.job, step = %delivery.step, attempt = delivery.attempts);
        let notes = Arc::<Notes>::default();
        let work = async {
            tracing::info!("runs in a process of its own: a worker ended while it ran before");
            let run = AssertUnwindSafe(handler?.handle(delivery)).catch_unwind();
            notes::keep(&notes, run).await.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
        };
        let Some(result) = called_off.run_until_cancelled(work.instrument(span)).await else { return Ok(()) };
        let mut line = serde_json::to_vec(&Said { result, notes: notes.remains() })?;
        line.push(b'\n');
        let mut output = io::stdout().lock();
        output.write_all(&line)?;
        output.flush()
    }
}
