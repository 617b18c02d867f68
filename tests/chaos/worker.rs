//! One worker process: everything that `mondo worker` runs, with a pause for a browser.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mondo_jobs::{
    finding::{Finding, FindingClass, Report, Severity},
    job::Step,
    ports::{Execution, Llm, LlmError, Message, Reply, Request, Role, Sandbox, SandboxError},
    queue::{Bounds, Commit, Delivery, Queue, QueueConfig, Retention},
    step::Limits,
    steps::Personas,
};
use mondo_workers::{
    backend::{Errand, Failure, Handler, OwnProcess, WorkerOptions, run_workers},
    llm::{
        journal::Journal,
        openai::{OpenAi, OpenAiConfig},
        spool::{Spool, SpoolConfig},
    },
    runner::Runner,
};
use serde::{Deserialize, Serialize};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    dice::Dice,
    history::{What, Writer},
    responder::{FAULT, JOB_MARK},
};

/// How long running jobs may go on after SIGTERM.
const GRACE: Duration = Duration::from_secs(30);

/// The most bytes of paid replies that a worker keeps for Redis.
const SPOOL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long the last replies may take to be filed.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(5);
/// A worker that could not look at the queue for so long ends; no fault here lasts as long.
const PROGRESS_MAX: Duration = Duration::from_mins(3);

/// What a worker is told on its command line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) redis: String,
    pub(crate) prefix: String,
    pub(crate) base_url: String,
    pub(crate) history: PathBuf,
    /// Outlives the process: the next one in its place finds what it left.
    pub(crate) spool: PathBuf,
    pub(crate) lease_secs: u64,
    pub(crate) slots: usize,
    pub(crate) seed: u64,
}

impl Settings {
    pub(crate) fn from_text(text: &str) -> Self {
        serde_json::from_str(text).expect("settings as they are written below")
    }

    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("plain data")
    }
}

tokio::task_local! {
    /// The job that the running task works on.
    static JOB: String;
}

pub(crate) async fn run(settings: &Settings) -> ExitCode {
    start_log();
    let Some(handler) = Witness::start(settings).await else { return ExitCode::FAILURE };
    let alone = OwnProcess::new(vec!["alone".into(), settings.to_text().into()]);
    let options = WorkerOptions {
        steps: Step::ALL.map(|step| (step, settings.slots)).to_vec(),
        grace: GRACE,
        progress_max: PROGRESS_MAX,
        alone: Some(alone),
        ..WorkerOptions::default()
    };
    let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(shutdown_on_signal(shutdown.clone()));
    let Runner { queue, journal, .. } = handler.runner.clone();
    let ended = run_workers(queue, options, Arc::new(handler), shutdown).await;
    journal.close(CLOSE_TIME_MAX).await;
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "workers ended");
            ExitCode::FAILURE
        }
    }
}

/// What a worker starts for a job that was there when a worker ended.
pub(crate) async fn run_alone(settings: &Settings) -> ExitCode {
    start_log();
    let errand = Errand::receive().expect("a job");
    let Some(handler) = Witness::start(settings).await else { return ExitCode::FAILURE };
    let (journal, stop, tasks) =
        (handler.runner.journal.clone(), CancellationToken::new(), TaskTracker::new());
    tasks.spawn(journal.clone().run(stop.clone()));
    tasks.close();
    let ran = errand.run(&handler).await;
    stop.cancel();
    tasks.wait().await;
    journal.close(CLOSE_TIME_MAX).await;
    if ran.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn start_log() {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
}

async fn shutdown_on_signal(shutdown: CancellationToken) {
    let mut term =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signals");
    term.recv().await;
    shutdown.cancel();
}

/// The real runner, with a history of what it did.
struct Witness {
    history: Writer,
    runs: AtomicU64,
    runner: Runner,
}

impl Witness {
    /// None, and a word in the log, where Redis is away for too long.
    async fn start(settings: &Settings) -> Option<Self> {
        let queue = Queue::connect(QueueConfig {
            url: settings.redis.clone().into(),
            prefix: settings.prefix.clone(),
            lease: Duration::from_secs(settings.lease_secs),
            shards: 1,
            retention: Retention::default(),
            bounds: Bounds::default(),
            replicas_min: 0,
            connect_time_max: Duration::from_mins(2),
        })
        .await;
        let queue = queue.inspect_err(|error| tracing::error!(%error, "no queue")).ok()?;
        let config = OpenAiConfig {
            provider: "chaos".to_owned(),
            base_url: settings.base_url.clone(),
            key: None,
            model: "books".to_owned(),
            timeout: Duration::from_mins(2),
            idle: Duration::from_mins(1),
            price_in: 1.0,
            price_out: 1.0,
        };
        let spool = SpoolConfig { dir: settings.spool.clone(), bytes_max: SPOOL_BYTES_MAX };
        let journal = Journal::new(queue.clone(), Some(Spool::open(spool).await.expect("a spool")));
        if let Err(error) = journal.offer().await {
            tracing::warn!(%error, "redis does not take what is spooled");
        }
        Some(Self {
            history: Writer::open(&settings.history),
            // Processes of one worker share its history.
            runs: AtomicU64::new(u64::from(std::process::id()) << 32),
            runner: Runner {
                queue,
                journal,
                llm: Arc::new(Marked(OpenAi::new(&config).expect("a client"))),
                responder: config.responder().into(),
                sandbox: Arc::new(Browserless(Mutex::new(Dice::new(settings.seed)))),
                personas: Arc::new(Personas::embedded()),
                limits: Limits { fix_rounds_max: 3 },
            },
        })
    }
}

/// Notes a run that is dropped in the middle.
struct Open<'a> {
    witness: &'a Witness,
    job: &'a str,
    run: u64,
    ended: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.witness.history.note(self.job, self.run, What::Drop);
        }
    }
}

#[async_trait]
impl Handler for Witness {
    async fn handle(&self, delivery: &Delivery) -> Result<Commit, Failure> {
        let (job, run) = (delivery.job.as_str(), self.runs.fetch_add(1, Ordering::Relaxed));
        let start =
            What::Start { attempts: delivery.attempts, crashes: delivery.crashes, losses: delivery.losses };
        self.history.note(job, run, start);
        let mut open = Open { witness: self, job, run, ended: false };
        let result = JOB.scope(job.to_owned(), self.runner.handle(delivery)).await;
        open.ended = true;
        let what = match &result {
            Ok(commit) => What::Commit { record: String::from_utf8_lossy(&commit.record).into_owned() },
            Err(failure) => What::Fail { class: failure.class.clone() },
        };
        self.history.note(job, run, what);
        result
    }
}

/// Tells the responder for which job it is asked; the journal, which is above it, does not see that.
struct Marked(OpenAi);

#[async_trait]
impl Llm for Marked {
    async fn complete(&self, request: &Request) -> Result<Reply, LlmError> {
        let mut request = request.clone();
        let content = format!("{JOB_MARK}{}", JOB.get());
        request.messages.insert(0, Message { role: Role::System, content });
        self.0.complete(&request).await
    }
}

/// Takes as long as a browser under load, and finds the one fault that the responder plants.
struct Browserless(Mutex<Dice>);

#[async_trait]
impl Sandbox for Browserless {
    async fn execute(&self, execution: &Execution) -> Result<Report, SandboxError> {
        let time = self.0.lock().unwrap().work();
        tokio::time::sleep(time).await;
        let fault = Finding {
            class: FindingClass::Reference,
            severity: Severity::Blocking,
            message: format!("ReferenceError: {FAULT} is not defined"),
            file: None,
            line: Some(7),
            column: Some(1),
            phase: "load".to_owned(),
            page_ms: 0,
            input: None,
            stack: Vec::new(),
        };
        let findings = if execution.page.contains(FAULT) { vec![fault] } else { Vec::new() };
        Ok(Report {
            findings,
            findings_left_out: 0,
            seed: execution.seed,
            page_ms: 10_000,
            wall_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            frames: 600,
            inputs: 10,
            memory_bytes_peak: 1 << 20,
            ..Report::default()
        })
    }
}
