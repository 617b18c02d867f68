//! Starts the workers of a process, and ends them without losing anything.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use apalis::{
    layers::{
        WorkerBuilderExt as _,
        tracing::{DefaultOnFailure, TraceLayer},
    },
    prelude::{Monitor, ParallelizeExt as _, WorkerBuilder},
};
use mondo_jobs::{job::Step, queue::Queue};
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Level;
use uuid::Uuid;

use super::{
    Handler, Pulse,
    acker::{Acker, Ending, Endings},
    alone::{KILLED_AFTER, OwnProcess},
    claim::{Claim, Desk},
    fetcher::{Counter, Fetcher},
    flow::{Flow, FlowOptions},
    keeper::Keeper,
    outage::Outage,
    renewer::Renewer,
    runs::Runs,
    source::Source,
    takeover::Takeover,
};

/// How long cancelled handlers may take to let go.
const CANCEL_TIME_MAX: Duration = Duration::from_secs(5);
/// How long the last ends may take to be stored.
const STORE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long they are kept when Redis is away; then their jobs are left to their leases.
const AWAY_TIME_MAX: Duration = Duration::from_secs(2);
/// How often the worker of a step is restarted before the process gives up.
const RESTARTS_MAX: usize = 10;
/// How often progress is looked at.
const PROGRESS_PERIOD: Duration = Duration::from_millis(500);

/// How the workers of a process run; by default, one job of each step at once, beside handlers that do no harm.
#[derive(Clone)]
pub struct WorkerOptions {
    /// The steps to run, each with how many jobs it may run at once, at least 1.
    pub steps: Vec<(Step, usize)>,
    /// How long one call of a responder may take: a run may take as long as all that its step may make.
    pub call_time_max: Duration,
    /// How long running jobs may take to finish after the shutdown; then they are handed back.
    pub grace: Duration,
    /// After how long without a successful look at the queue the workers end.
    pub progress_max: Duration,
    /// Tells whether work is being fetched.
    pub pulse: Pulse,
    /// What the flow of work is steered by.
    pub flow: FlowOptions,
    /// How a job that was there when a worker ended gets a process of its own. Without it, such a job runs here, and
    /// no second crash is put down to it: only for handlers that can do a process no harm.
    pub alone: Option<OwnProcess>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            steps: Step::ALL.map(|step| (step, 1)).to_vec(),
            call_time_max: Duration::from_mins(10),
            grace: Duration::from_secs(20),
            progress_max: Duration::from_mins(5),
            pulse: Pulse::default(),
            flow: FlowOptions::default(),
            alone: None,
        }
    }
}

/// Why the workers ended without being told to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkersError {
    /// The worker of a step kept failing, or leases could not be renewed any more.
    #[error("the workers could not be kept running; see the log")]
    Failed,
    /// Nothing could be fetched.
    #[error(
        "no work could be fetched for {secs} s, so the workers end and whoever started them can start them \
         afresh; is redis there, and does it take writes?"
    )]
    Stuck {
        /// For how long.
        secs: u64,
    },
}

/// Runs jobs of these steps until the shutdown; then finishes what is running, or hands it back when the grace
/// is over.
///
/// # Errors
/// When the process cannot do its work any more and must be started again.
pub async fn run_workers(
    queue: Queue,
    options: WorkerOptions,
    handler: Arc<dyn Handler>,
    shutdown: CancellationToken,
) -> Result<(), WorkersError> {
    let (endings, ended) = mpsc::unbounded_channel();
    // A child, so that a failure here ends these workers and not whoever shares the token.
    let halt = Halt { stop: shutdown.child_token(), why: Arc::default() };
    let cancel = CancellationToken::new();
    let (tasks, outage) = (Tasks::default(), Arc::<Outage>::default());
    let desks = desks(&options);
    let counter = Counter { endings, stop: halt.stop.clone() };
    let mut monitor = Monitor::new();
    for desk in desks.iter() {
        let runs = Runs {
            queue: queue.clone(),
            handler: Arc::clone(&handler),
            alone: options.alone.clone(),
            call_time_max: options.call_time_max,
            cancel: cancel.clone(),
        };
        monitor = register(monitor, desk, runs, &counter.endings, &tasks.jobs);
    }
    let (pulse, progress_max) = (options.pulse, options.progress_max);
    tasks.keeper.spawn(watch_progress(pulse, progress_max, halt.clone()));
    let flow = Arc::new(Flow::new(queue.clone(), options.flow.clone()));
    tasks.keeper.spawn(Arc::clone(&flow).watch(Arc::clone(&outage), tasks.settled.clone()));
    tasks.keep(&queue, &desks, &outage, ended, halt.clone());
    // The acker ends with the last of its senders: the counter goes to those that bring jobs.
    tasks.bring(&queue, &desks, &flow, &outage, counter);
    run_monitor(monitor, options.grace, &halt, &cancel).await;

    halt.stop.cancel();
    cancel.cancel();
    tasks.settle(&outage).await;
    if let Some(alone) = &options.alone {
        settle(&alone.children, KILLED_AFTER, "processes of jobs").await;
    }
    halt.why.get().map_or(Ok(()), |why| Err(why.clone()))
}

/// Ends the workers of a process, and remembers why.
#[derive(Clone)]
struct Halt {
    stop: CancellationToken,
    why: Arc<OnceLock<WorkersError>>,
}

impl Halt {
    fn because(&self, why: WorkersError) {
        // The first reason is the one that counts.
        let _ = self.why.set(why);
        self.stop.cancel();
    }
}

/// Ends the process when nothing could be fetched for too long: whoever started it can start it afresh.
async fn watch_progress(pulse: Pulse, silence_max: Duration, halt: Halt) {
    let work = async {
        while pulse.silence() < silence_max {
            sleep(PROGRESS_PERIOD).await;
        }
    };
    if halt.stop.run_until_cancelled(work).await.is_some() {
        tracing::error!(
            secs = silence_max.as_secs(),
            "no work could be fetched for too long; the workers end"
        );
        halt.because(WorkersError::Stuck { secs: silence_max.as_secs() });
    }
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
async fn run_monitor(monitor: Monitor, grace: Duration, halt: &Halt, cancel: &CancellationToken) {
    let failed = halt.clone();
    let monitor = monitor.should_restart(move |worker, error| {
        let goes_on = worker.restarts() < RESTARTS_MAX;
        tracing::error!(worker = worker.name(), restarts = worker.restarts(), %error, "a worker ended");
        if !goes_on {
            failed.because(WorkersError::Failed);
        }
        goes_on
    });
    let (stopping, cancelling) = (halt.stop.clone(), cancel.clone());
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
        halt.because(WorkersError::Failed);
    } else if !halt.stop.is_cancelled() {
        halt.because(WorkersError::Failed);
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
    /// Starts what brings jobs.
    fn bring(
        &self,
        queue: &Queue,
        desks: &Arc<[Arc<Desk>]>,
        flow: &Arc<Flow>,
        outage: &Arc<Outage>,
        counter: Counter,
    ) {
        for desk in desks.iter() {
            let (queue, desk, flow) = (queue.clone(), Arc::clone(desk), Arc::clone(flow));
            let (outage, counter) = (Arc::clone(outage), counter.clone());
            self.jobs.spawn(Fetcher { queue, desk, flow, outage, counter }.run());
        }
        let (queue, desks, flow) = (queue.clone(), Arc::clone(desks), Arc::clone(flow));
        let outage = Arc::clone(outage);
        self.jobs.spawn(Takeover { queue, desks, flow, outage, counter, turn: 0 }.run());
    }

    /// Starts what keeps them and stores how they ended.
    fn keep(
        &self,
        queue: &Queue,
        desks: &Arc<[Arc<Desk>]>,
        outage: &Arc<Outage>,
        ended: mpsc::UnboundedReceiver<Ending>,
        halt: Halt,
    ) {
        let (delayed, stop) = (Arc::<Notify>::default(), self.settled.clone());
        let (queue, outage) = (queue.clone(), Arc::clone(outage));
        let renewer = Renewer {
            queue: queue.clone(),
            desks: Arc::clone(desks),
            outage: Arc::clone(&outage),
            stop: stop.clone(),
        };
        self.keeper.spawn(watch_renewal(renewer, halt));
        let keeper =
            Keeper { queue: queue.clone(), outage: Arc::clone(&outage), delayed: Arc::clone(&delayed), stop };
        self.keeper.spawn(keeper.clone().promote());
        self.keeper.spawn(keeper.clone().forget());
        self.keeper.spawn(keeper.sweep());
        let give_up = self.give_up.clone();
        self.acker.spawn(Acker { queue, outage, delayed, give_up }.run(ended));
    }

    /// Leases are renewed until the last end is stored, or cannot be.
    async fn settle(&self, outage: &Outage) {
        settle(&self.jobs, CANCEL_TIME_MAX, "jobs").await;
        self.acker.close();
        tokio::select! {
            () = self.acker.wait() => {}
            () = sleep(STORE_TIME_MAX) => {}
            () = outage.has_lasted(AWAY_TIME_MAX) => {}
        }
        self.give_up.cancel();
        settle(&self.acker, CANCEL_TIME_MAX, "ends of jobs").await;
        self.settled.cancel();
        settle(&self.keeper, CANCEL_TIME_MAX, "keepers").await;
    }
}

/// Renews leases until that is not needed any more. Without it others would take over what runs here, so the
/// workers end with it.
async fn watch_renewal(renewer: Renewer, halt: Halt) {
    let stop = renewer.stop.clone();
    match renewer.start() {
        // The thread has dropped its end, whether it returned or panicked.
        Ok(ended) => drop(ended.await),
        Err(error) => tracing::error!(%error, "no thread for renewing leases"),
    }
    if !stop.is_cancelled() {
        tracing::error!("leases are not renewed any more; the workers end");
        halt.because(WorkersError::Failed);
    }
}

/// Adds the worker of one step. The layers, outermost first: slots, a task of its own for each job, its trace.
fn register(
    monitor: Monitor,
    desk: &Arc<Desk>,
    runs: Runs,
    endings: &Endings,
    jobs: &TaskTracker,
) -> Monitor {
    let (desk, endings, jobs) = (Arc::clone(desk), endings.clone(), jobs.clone());
    monitor.register(move |restarts| {
        let (runs, jobs) = (runs.clone(), jobs.clone());
        WorkerBuilder::new(format!("{}-{restarts}", desk.consumer))
            .backend(Source::new(Arc::clone(&desk), endings.clone()))
            // What is taken over does not wait for what runs.
            .concurrency(desk.places)
            .parallelize(move |run| jobs.spawn(run))
            .layer(TraceLayer::new().on_failure(DefaultOnFailure::new().level(Level::DEBUG)))
            .build(move |claim: Claim| runs.clone().run(claim))
    })
}

/// Waits for tasks to end, for so long.
async fn settle(tasks: &TaskTracker, time_max: Duration, what: &str) {
    tasks.close();
    if timeout(time_max, tasks.wait()).await.is_err() {
        tracing::warn!(what, count = tasks.len(), "still not done; the leases will lapse");
    }
}
