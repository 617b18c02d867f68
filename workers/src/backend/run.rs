//! Starts the workers of a process, and ends them without losing anything.

use std::{sync::Arc, time::Duration};

use apalis::{
    layers::{
        WorkerBuilderExt as _,
        tracing::{DefaultOnFailure, TraceLayer},
    },
    prelude::{Monitor, ParallelizeExt as _, WorkerBuilder},
};
use apalis_core::error::BoxDynError;
use mondo_jobs::{
    job::Step,
    queue::{Commit, Queue},
};
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, Level};
use uuid::Uuid;

use super::{
    Handler, Pulse,
    acker::{Acker, Ending},
    claim::{Claim, Desk},
    keeper::Keeper,
    outage::Outage,
    outcome::Interrupted,
    source::{Source, SourceConfig},
};
use crate::notes;

/// How long cancelled handlers may take to let go.
const CANCEL_TIME_MAX: Duration = Duration::from_secs(5);
/// How long the last ends may take to be stored.
const STORE_TIME_MAX: Duration = Duration::from_secs(10);
/// How often the worker of a step is restarted before the process gives up.
const RESTARTS_MAX: usize = 10;

/// How the workers of a process run.
#[derive(Clone)]
pub struct WorkerOptions {
    /// The steps to run, each with how many jobs it may run at once, at least 1.
    pub steps: Vec<(Step, usize)>,
    /// How long running jobs may take to finish after the shutdown; then they are handed back.
    pub grace: Duration,
    /// Tells whether work is being fetched.
    pub pulse: Pulse,
}

/// Why the workers ended without being told to.
#[derive(Debug, thiserror::Error)]
pub enum WorkersError {
    /// The worker of a step kept failing.
    #[error("the worker of a step ended {RESTARTS_MAX} times; see the log")]
    Failed,
}

/// Runs jobs of these steps until the shutdown; then finishes what is running, or hands it back when the grace
/// is over.
///
/// # Errors
/// When the worker of a step cannot be kept running; that is a fault of ours.
pub async fn run_workers(
    queue: Queue,
    options: WorkerOptions,
    handler: Arc<dyn Handler>,
    shutdown: CancellationToken,
) -> Result<(), WorkersError> {
    let (endings, ended) = mpsc::unbounded_channel();
    // A child, so that a failure here ends these workers and not whoever shares the token.
    let stop = shutdown.child_token();
    let cancel = CancellationToken::new();
    let tasks = Tasks::default();
    let outage = Arc::<Outage>::default();
    let desks = desks(&options);
    tasks.start(&queue, &desks, &outage, ended);

    let mut monitor = Monitor::new();
    for desk in desks.iter() {
        let source = SourceConfig {
            queue: queue.clone(),
            desk: Arc::clone(desk),
            outage: Arc::clone(&outage),
            endings: endings.clone(),
            stop: stop.clone(),
            tracker: tasks.jobs.clone(),
        };
        monitor = register(monitor, source, Arc::clone(&handler), cancel.clone());
    }
    // The acker ends with the last of its senders.
    drop(endings);
    run_monitor(monitor, options.grace, &stop, &cancel).await;

    let asked = shutdown.is_cancelled();
    stop.cancel();
    cancel.cancel();
    tasks.settle().await;
    if asked { Ok(()) } else { Err(WorkersError::Failed) }
}

/// One desk for each step, under a name that no other process ever had.
fn desks(options: &WorkerOptions) -> Arc<[Arc<Desk>]> {
    let name = Uuid::now_v7();
    let desk = |(step, slots): &(Step, usize)| {
        Arc::new(Desk::new(*step, format!("{step}-{name}"), (*slots).max(1), options.pulse.add()))
    };
    options.steps.iter().map(desk).collect()
}

/// Runs until the stop, then until the running jobs are done or the grace is over. A worker that ends by
/// itself is started again; one that keeps ending stops them all.
async fn run_monitor(
    monitor: Monitor,
    grace: Duration,
    stop: &CancellationToken,
    cancel: &CancellationToken,
) {
    let failed = stop.clone();
    let monitor = monitor.should_restart(move |worker, error| {
        let goes_on = worker.restarts() < RESTARTS_MAX;
        tracing::error!(worker = worker.name(), restarts = worker.restarts(), %error, "a worker ended");
        if !goes_on {
            failed.cancel();
        }
        goes_on
    });
    let (stopping, cancelling) = (stop.clone(), cancel.clone());
    // The terminator is made here and started at the signal, so nothing in it may begin to count before.
    let monitor = monitor.with_terminator(async move {
        sleep(grace).await;
        cancelling.cancel();
        sleep(CANCEL_TIME_MAX).await;
    });
    let signal = async move {
        stopping.cancelled().await;
        Ok(())
    };
    if let Err(error) = monitor.run_with_signal(signal).await {
        tracing::error!(%error, "workers ended with an error");
    }
}

/// Everything that runs beside the workers, and is waited for.
#[derive(Default)]
struct Tasks {
    jobs: TaskTracker,
    acker: TaskTracker,
    keeper: TaskTracker,
    give_up: CancellationToken,
    settled: CancellationToken,
}

impl Tasks {
    fn start(
        &self,
        queue: &Queue,
        desks: &Arc<[Arc<Desk>]>,
        outage: &Arc<Outage>,
        ended: mpsc::UnboundedReceiver<Ending>,
    ) {
        let delayed = Arc::<Notify>::default();
        let keeper = Keeper {
            queue: queue.clone(),
            desks: Arc::clone(desks),
            outage: Arc::clone(outage),
            delayed: Arc::clone(&delayed),
            stop: self.settled.clone(),
        };
        self.keeper.spawn(keeper.clone().renew());
        self.keeper.spawn(keeper.clone().find_lapsed());
        self.keeper.spawn(keeper.clone().promote());
        self.keeper.spawn(keeper.clone().forget());
        self.keeper.spawn(keeper.sweep());
        let (queue, outage, give_up) = (queue.clone(), Arc::clone(outage), self.give_up.clone());
        self.acker.spawn(Acker { queue, outage, delayed, give_up }.run(ended));
    }

    /// Leases are renewed until the last end is stored.
    async fn settle(&self) {
        settle(&self.jobs, CANCEL_TIME_MAX, "jobs").await;
        if !settle(&self.acker, STORE_TIME_MAX, "ends of jobs").await {
            self.give_up.cancel();
            settle(&self.acker, CANCEL_TIME_MAX, "ends of jobs").await;
        }
        self.settled.cancel();
        settle(&self.keeper, STORE_TIME_MAX, "keepers").await;
    }
}

/// Adds the worker of one step. The layers, outermost first: slots, a task of its own for each job, its time,
/// its trace. The time must lie inside the task, or the task would outlive it.
fn register(
    monitor: Monitor,
    source: SourceConfig,
    handler: Arc<dyn Handler>,
    cancel: CancellationToken,
) -> Monitor {
    monitor.register(move |restarts| {
        let desk = &source.desk;
        let (handler, cancel, jobs) = (Arc::clone(&handler), cancel.clone(), source.tracker.clone());
        WorkerBuilder::new(format!("{}-{restarts}", desk.consumer))
            .backend(Source::new(source.clone()))
            .concurrency(desk.slots)
            .parallelize(move |run| jobs.spawn(run))
            .timeout(desk.step.time_max())
            .layer(TraceLayer::new().on_failure(DefaultOnFailure::new().level(Level::DEBUG)))
            .build(move |claim: Claim| run(claim, Arc::clone(&handler), cancel.clone()))
    })
}

/// One run of one job, until it ends or may not go on.
async fn run(
    claim: Claim,
    handler: Arc<dyn Handler>,
    cancel: CancellationToken,
) -> Result<Commit, BoxDynError> {
    let delivery = claim.delivery();
    let span = tracing::info_span!("job", job.id = %delivery.job, step = %delivery.step, attempt = delivery.attempts);
    tokio::select! {
        biased;
        () = claim.lost().cancelled() => Err(Interrupted::LeaseLost.into()),
        () = cancel.cancelled() => Err(Interrupted::Drained.into()),
        result = notes::keep(claim.notes(), handler.handle(delivery).instrument(span)) => result.map_err(Into::into),
    }
}

/// Waits for tasks to end; says whether they did in time.
async fn settle(tasks: &TaskTracker, time_max: Duration, what: &str) -> bool {
    tasks.close();
    let settled = timeout(time_max, tasks.wait()).await.is_ok();
    if !settled {
        tracing::warn!(what, count = tasks.len(), "still not done; the leases will lapse");
    }
    settled
}
