//! What several commands start together: Redis where none is configured, the queue, and workers with their
//! responder and their sandbox.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use mondo_jobs::{
    clock::now_ms,
    job::Step,
    queue::{Admission, Marks, NewPair, Queue, QueueConfig},
    record,
    steps::Personas,
};
use mondo_workers::{
    backend::{self, Errand, FlowOptions, OwnProcess, Pulse, WorkerOptions},
    llm::{self, journal::Journal, spool::Spool},
    runner::Runner,
    sandbox::{AnySandbox, NoSandbox},
};
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{config::Config, http::PollAge, private_redis::PrivateRedis};

/// How often *ready + under way* is looked at.
const REFILL_PERIOD: Duration = Duration::from_secs(1);

/// How long the last paid replies may take to be filed when the workers end.
const FILE_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a process for one job waits for Redis, beside which its job can wait as well.
const ALONE_REDIS_WAIT_MAX: Duration = Duration::from_secs(30);

/// How often a private Redis is looked after.
const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// The Redis of a process: a configured one, or a private one that ends with it.
pub struct Redis {
    url: SecretString,
    private: Option<Nurse>,
}

/// Looks after a private server: one that died is started again, because everything waits for it.
struct Nurse {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Redis {
    /// The configured Redis, or a private one in `dir`.
    ///
    /// # Errors
    /// When the private one cannot be started.
    pub async fn configured_or_private(config: &Config, dir: &Path) -> anyhow::Result<Self> {
        match &config.redis {
            Some(url) => Ok(Self { url: url.clone(), private: None }),
            None => Self::private(dir).await,
        }
    }

    /// A private Redis in `dir`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn private(dir: &Path) -> anyhow::Result<Self> {
        let private = PrivateRedis::start(dir).await?;
        Ok(Self { url: private.url(), private: Some(Nurse::of(private)) })
    }

    /// Connects the queue to it.
    ///
    /// # Errors
    /// When it does not answer in time or is not fit for a queue.
    pub async fn queue(&self, config: &Config) -> anyhow::Result<Queue> {
        connect(config, self.url.clone()).await
    }

    /// Ends a private server; a configured one goes on.
    pub async fn stop(self) {
        if let Some(nurse) = self.private {
            nurse.stop.cancel();
            nurse.tasks.wait().await;
        }
    }
}

impl Nurse {
    fn of(server: PrivateRedis) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(keep_alive(server, stop.clone()));
        tasks.close();
        Self { stop, tasks }
    }
}

async fn keep_alive(mut server: PrivateRedis, stop: CancellationToken) {
    let mut reported = false;
    while stop.run_until_cancelled(tokio::time::sleep(LOOK_PERIOD)).await.is_some() {
        if !server.has_ended() {
            reported = false;
            continue;
        }
        if !reported {
            tracing::warn!("the private redis-server ended; starting it again");
        }
        if let Some(Err(error)) = stop.run_until_cancelled(server.revive()).await
            && !reported
        {
            tracing::error!(%error, "cannot start the private redis-server; still trying");
        }
        reported = true;
    }
    server.stop().await;
}

/// Connects to the configured Redis, for commands that have no use for a private one.
///
/// # Errors
/// When none is configured or it does not answer in time.
pub async fn configured_queue(config: &Config) -> anyhow::Result<Queue> {
    let url = config.redis.clone().context(
        "no Redis is configured: set REDIS_URL, or REDIS_HOST and its companions (`mondo up` alone starts a \
         private one)",
    )?;
    connect(config, url).await
}

async fn connect(config: &Config, url: SecretString) -> anyhow::Result<Queue> {
    let queue = QueueConfig {
        url,
        prefix: config.prefix.clone(),
        lease: config.lease,
        retention: config.retention,
        bounds: config.bounds,
        shards: config.shards,
        replicas_min: config.replicas_min,
        connect_time_max: config.redis_wait,
    };
    Ok(Queue::connect(queue).await?)
}

/// Running workers.
pub struct Workers {
    work: Work,
    pulse: Pulse,
    stop: CancellationToken,
    tasks: TaskTracker,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Workers {
    /// Starts workers for the configured steps, with a sandbox if `execute` is among them; with `marks`, also
    /// keeps the ready list filled.
    ///
    /// # Errors
    /// When there is no sandbox, the responder is set up wrongly, the file of personas cannot be read, or the
    /// spool cannot be written.
    pub async fn start(config: &Config, queue: &Queue, marks: Option<Marks>) -> anyhow::Result<Self> {
        tracing::info!("{}", config.llm.start_line());
        let work = Work::prepare(config, queue, &config.steps).await?;
        let pulse = Pulse::default();
        let options = WorkerOptions {
            steps: config.steps.iter().map(|step| (*step, config.slots(*step))).collect(),
            call_time_max: config.llm.call_time_max(),
            grace: config.grace,
            progress_max: config.progress_max,
            pulse: pulse.clone(),
            flow: FlowOptions {
                responder: Some(config.llm.name()),
                ready_high: marks.map(|marks| marks.high),
            },
            alone: Some(alone(config, queue)),
        };

        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (worker_queue, runner, told) = (queue.clone(), Arc::new(work.runner.clone()), stop.clone());
        let running = tasks.spawn(async move {
            backend::run_workers(worker_queue, options, runner, told).await.context("workers ended")
        });
        tasks.spawn(work.runner.journal.clone().run(stop.clone()));
        if let Some(marks) = marks {
            tasks.spawn(keep_filled(queue.clone(), marks, stop.clone()));
        }
        tasks.close();
        Ok(Self { work, pulse, stop, tasks, running })
    }

    /// How long ago a stream was last polled with success, for readiness; absent before every one was.
    pub fn poll_age(&self) -> PollAge {
        let pulse = self.pulse.clone();
        Arc::new(move || pulse.last_poll_age())
    }

    /// Waits until the workers end by themselves, which they only do when something is broken.
    ///
    /// # Errors
    /// Always: says what ended them.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        match (&mut self.running).await {
            Ok(Ok(())) => anyhow::bail!("the workers ended by themselves"),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(error).context("the workers' task died"),
        }
    }

    /// Lets running jobs finish within the grace time, hands back the others, files the last paid replies, and
    /// closes the sandbox.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
        self.work.end().await;
    }
}

/// What jobs of some steps are run with.
struct Work {
    runner: Runner,
    /// Absent where no job of `execute` is run: such a worker needs no browser.
    sandbox: Option<AnySandbox>,
}

impl Work {
    async fn prepare(config: &Config, queue: &Queue, steps: &[Step]) -> anyhow::Result<Self> {
        let personas = match &config.personas {
            None => Personas::embedded(),
            Some(path) => Personas::from_file(path).context("MONDO_PERSONAS")?,
        };
        let responder = llm::build(&config.llm)?;
        let journal = journal(config, queue, steps).await?;
        let sandbox = if steps.contains(&Step::Execute) {
            Some(AnySandbox::of(config.sandbox.clone(), config.remote.clone()).await?)
        } else {
            None
        };
        let runner = Runner {
            queue: queue.clone(),
            journal,
            llm: responder,
            responder: config.llm.name().into(),
            sandbox: sandbox.as_ref().map_or_else(|| Arc::new(NoSandbox) as _, AnySandbox::port),
            personas: Arc::new(personas),
            limits: config.limits,
        };
        Ok(Self { runner, sandbox })
    }

    async fn end(self) {
        self.runner.journal.close(FILE_TIME_MAX).await;
        if let Some(sandbox) = self.sandbox {
            sandbox.close().await;
        }
    }
}

/// How a job gets a process of its own: `mondo worker --alone`, with this queue, its spool and our way to log.
fn alone(config: &Config, queue: &Queue) -> OwnProcess {
    let mut process = OwnProcess::new(vec!["worker".into(), "--alone".into()]);
    process.environment.push(("MONDO_DATA_DIR", config.redis_dir.clone().into()));
    if let Some(filter) = &config.log.filter {
        process.environment.push(("MONDO_LOG", filter.into()));
    }
    process.secrets.push(("REDIS_URL", queue.url().clone()));
    process
}

/// Runs one job for the worker that started this process, which stores how it ended.
///
/// # Errors
/// When no job is named on standard input, it cannot be begun, or nobody listens any more.
pub async fn run_alone(config: &Config) -> anyhow::Result<()> {
    let errand = Errand::receive().context("reading a job from standard input")?;
    // Where memory is short, this process is to go before its worker. Where that cannot be said, chance decides.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    let mut config = config.clone();
    config.sandbox.slots = 1;
    config.redis_wait = config.redis_wait.min(ALONE_REDIS_WAIT_MAX);
    let queue = configured_queue(&config).await?;
    let work = Work::prepare(&config, &queue, &[errand.delivery().step]).await?;
    let (stop, offers) = (CancellationToken::new(), TaskTracker::new());
    offers.spawn(work.runner.journal.clone().run(stop.clone()));
    offers.close();

    let ran = errand.run(&work.runner).await;
    stop.cancel();
    offers.wait().await;
    work.end().await;
    Ok(ran?)
}

/// The journal, with a spool where a step asks an LLM. What an earlier process had spooled is offered before any
/// job is run.
async fn journal(config: &Config, queue: &Queue, steps: &[Step]) -> anyhow::Result<Journal> {
    let pays = steps.iter().any(|step| *step != Step::Execute);
    let spool = if pays { Some(Spool::open(config.spool.clone()).await?) } else { None };
    let journal = Journal::new(queue.clone(), spool);
    if let Err(error) = journal.offer().await {
        tracing::warn!(%error, "redis does not take what is spooled; it is used from the spool");
    }
    Ok(journal)
}

async fn keep_filled(queue: Queue, marks: Marks, stop: CancellationToken) {
    let mut reported = false;
    while stop.run_until_cancelled(tokio::time::sleep(REFILL_PERIOD)).await.is_some() {
        let wanted = usize::try_from(marks.high).unwrap_or(usize::MAX).min(100);
        // A stop does not wait for a Redis that is away; starting pairs is one transaction.
        match stop.run_until_cancelled(refill(&queue, marks, wanted)).await {
            Some(Ok(admissions)) => {
                let started = admissions.iter().filter(|one| **one == Admission::Accepted).count();
                if started > 0 {
                    tracing::info!(started, "pairs started");
                }
                let full = admissions.into_iter().find_map(Admission::full);
                if let Some(bound) = full.filter(|_| !reported) {
                    tracing::warn!(%bound, "the queue is full; no pair is started until there is room");
                }
                reported = full.is_some();
            }
            Some(Err(error)) if !reported => {
                reported = true;
                tracing::warn!(%error, "cannot refill; trying again every second");
            }
            Some(Err(_)) | None => {}
        }
    }
}

async fn refill(queue: &Queue, marks: Marks, wanted: usize) -> anyhow::Result<Vec<Admission>> {
    let pairs: Result<Vec<NewPair>, _> =
        (0..wanted).map(|_| record::new_pair(rand::random(), now_ms())).collect();
    Ok(queue.refill(marks, &pairs?).await?)
}
