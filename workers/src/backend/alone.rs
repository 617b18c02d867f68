//! A process of its own for a job that was there when a worker ended: should it be what ended it, it takes nothing
//! else with it, and nothing has to wait for it.
//!
//! The process that holds the job starts itself again with other arguments, keeps the lease, and stores how the job
//! ended. Its child reads the delivery from standard input, and writes to standard output a line when it begins and
//! one with what came of it. An input that ends calls it off; one that does not end then is killed. A child that ends
//! between its two lines has crashed.

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
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStderr, Command},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use super::{Failure, Handler, outcome::panicked};
use crate::notes::{self, Notes, Remains};

/// This program, even after its file was replaced.
const OURSELVES: &str = "/proc/self/exe";
/// The most bytes of what a child says at once; a commit is bounded before.
const SAID_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The most bytes of a line of a child's log.
const LOG_LINE_BYTES_MAX: u64 = 16 * 1024;
/// How long a child that was called off may take to end by itself, the filing of its paid replies included.
const CALLED_OFF_TIME_MAX: Duration = Duration::from_secs(12);
/// How long whoever started it waits for that.
pub(super) const KILLED_AFTER: Duration = Duration::from_secs(15);

/// How this program is started again to run one job: with arguments that lead to [`Errand::receive`].
#[derive(Clone, Default)]
pub struct OwnProcess {
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What its environment has beyond ours.
    pub environment: Vec<(&'static str, OsString)>,
    /// The same, where nobody may read it.
    pub secrets: Vec<(&'static str, SecretString)>,
    /// The processes that are there.
    pub(super) children: TaskTracker,
}

/// A line that a child says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    /// From here on the job is to blame for the end of its process.
    Begun,
    Ended {
        result: Result<Commit, Failure>,
        notes: Remains,
    },
}

/// The process of a job ended before the job did, in this way.
#[derive(Debug, thiserror::Error)]
#[error("its process ended: {0}")]
pub(super) struct Crashed(pub(super) String);

impl OwnProcess {
    /// With these arguments, and an environment like ours.
    pub fn new(arguments: Vec<OsString>) -> Self {
        Self { arguments, ..Self::default() }
    }

    /// Runs a job in a process of its own.
    ///
    /// # Cancel safety
    /// The process is called off when the future is dropped, and belongs to the tracked children until it ends.
    pub(super) async fn run(
        &self,
        delivery: &Delivery,
        notes: &Arc<Notes>,
    ) -> Result<Result<Commit, Failure>, Crashed> {
        let mut child = match self.start() {
            Ok(child) => child,
            Err(error) => return Ok(Err(not_begun(&error.to_string()))),
        };
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let called_off = CancellationToken::new();
        let _call_off = called_off.clone().drop_guard();
        let kept = self.children.spawn(keep(child, Arc::clone(notes), called_off).in_current_span());
        let (Some(mut input), Some(output)) = (input, output) else {
            return Ok(Err(not_begun("it has no input or no output")));
        };
        // Ids and numbers always serialize.
        let mut line = serde_json::to_vec(delivery).unwrap_or_default();
        line.push(b'\n');
        // A child that reads nothing has ended, and how it did is told below.
        let _ = input.write_all(&line).await;

        let (mut output, mut begun) = (BufReader::new(output), false);
        while let Some(said) = hear(&mut output).await {
            match said {
                Said::Begun => begun = true,
                Said::Ended { result, notes: remains } => {
                    notes.adopt(remains);
                    return Ok(result);
                }
            }
        }
        let how = kept.await.map_or_else(|error| error.to_string(), describe);
        if begun { Err(Crashed(how)) } else { Ok(Err(not_begun(&how))) }
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
            .kill_on_drop(true)
            .spawn()
    }
}

/// The next line of a child; none when it ended without, or said something else.
async fn hear(output: &mut (impl AsyncBufRead + Unpin)) -> Option<Said> {
    let mut line = Vec::new();
    output.take(SAID_BYTES_MAX).read_until(b'\n', &mut line).await.ok()?;
    serde_json::from_slice(&line).ok()
}

/// Keeps a child until it has ended, and passes on what it logs.
async fn keep(mut child: Child, notes: Arc<Notes>, called_off: CancellationToken) -> io::Result<ExitStatus> {
    let log = child.stderr.take();
    let ended = async {
        let (status, ()) = tokio::join!(child.wait(), pass_on(log, &notes));
        status
    };
    let late = async {
        called_off.cancelled().await;
        tokio::time::sleep(KILLED_AFTER).await;
    };
    tokio::select! {
        status = ended => return status,
        () = late => {}
    }
    child.kill().await?;
    child.wait().await
}

/// Passes on what a child logs, and keeps the end of it.
async fn pass_on(log: Option<ChildStderr>, notes: &Notes) {
    let Some(log) = log else { return };
    let (mut log, mut line) = (BufReader::new(log), Vec::new());
    let mut next =
        async |line: &mut Vec<u8>| (&mut log).take(LOG_LINE_BYTES_MAX).read_until(b'\n', line).await;
    while next(&mut line).await.is_ok_and(|bytes| bytes > 0) {
        notes.add_foreign(&String::from_utf8_lossy(&line));
        // A log that nobody reads is no reason to stop.
        let _ = io::stderr().write_all(&line);
        line.clear();
    }
}

/// Nothing was tried: the job waits for better times.
fn not_begun(why: &str) -> Failure {
    tracing::warn!(why, "no process can be started for a job that needs one of its own; it waits");
    Failure {
        disposition: Disposition::Wait { after: None },
        class: "process".to_owned(),
        chain: vec!["its process did not begin".to_owned(), why.to_owned()],
    }
}

fn describe(status: io::Result<ExitStatus>) -> String {
    let status = match status {
        Ok(status) => status,
        Err(error) => return error.to_string(),
    };
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

    /// Does it with the handler, and says what came of it.
    ///
    /// # Errors
    /// When nobody listens any more.
    pub async fn run(self, handler: &dyn Handler) -> io::Result<()> {
        let Self { delivery, called_off } = &self;
        let span = tracing::info_span!("job", job.id = %delivery.job, step = %delivery.step, attempt = delivery.attempts);
        let notes = Arc::<Notes>::default();
        let work = async {
            tracing::info!("runs in a process of its own: a worker ended while it ran before");
            let run = AssertUnwindSafe(handler.handle(delivery)).catch_unwind();
            notes::keep(&notes, run).await.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
        };
        say(&Said::Begun)?;
        let Some(result) = called_off.run_until_cancelled(work.instrument(span)).await else { return Ok(()) };
        say(&Said::Ended { result, notes: notes.remains() })
    }
}

fn say(said: &Said) -> io::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    let mut output = io::stdout().lock();
    output.write_all(&line)?;
    output.flush()
}
