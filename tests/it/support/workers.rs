//! Workers in this process, with a handler that a test writes as a closure.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use mondo_jobs::{
    job::Step,
    queue::{Commit, Delivery, End, Queue},
};
use mondo_workers::backend::{
    Failure, FlowOptions, Handler, Pulse, WorkerOptions, WorkersError, run_workers,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::queue::next_job;

type Handle = dyn Fn(Delivery) -> BoxFuture<'static, Result<Commit, Failure>> + Send + Sync;

pub(crate) struct Workers {
    pub(crate) shutdown: CancellationToken,
    pub(crate) pulse: Pulse,
    /// Every delivery that a handler was given.
    pub(crate) seen: Arc<Mutex<Vec<Delivery>>>,
    task: JoinHandle<Result<(), WorkersError>>,
}

struct Closure {
    seen: Arc<Mutex<Vec<Delivery>>>,
    handle: Box<Handle>,
}

#[async_trait]
impl Handler for Closure {
    async fn handle(&self, delivery: &Delivery) -> Result<Commit, Failure> {
        self.seen.lock().unwrap().push(delivery.clone());
        (self.handle)(delivery.clone()).await
    }
}

impl Workers {
    /// Workers of all steps, with that many slots each.
    pub(crate) fn start<F>(
        queue: &Queue,
        slots: usize,
        handle: impl Fn(Delivery) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Commit, Failure>> + Send + 'static,
    {
        Self::with_grace(queue, slots, Duration::from_secs(30), handle)
    }

    pub(crate) fn with_grace<F>(
        queue: &Queue,
        slots: usize,
        grace: Duration,
        handle: impl Fn(Delivery) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Commit, Failure>> + Send + 'static,
    {
        Self::with_flow(queue, slots, grace, FlowOptions::default(), handle)
    }

    pub(crate) fn with_flow<F>(
        queue: &Queue,
        slots: usize,
        grace: Duration,
        flow: FlowOptions,
        handle: impl Fn(Delivery) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Commit, Failure>> + Send + 'static,
    {
        Self::with_options(queue, slots, grace, Duration::from_mins(5), flow, handle)
    }

    /// Workers that end when they could not look for work for so long.
    pub(crate) fn with_progress_max<F>(
        queue: &Queue,
        progress_max: Duration,
        handle: impl Fn(Delivery) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Commit, Failure>> + Send + 'static,
    {
        let (grace, flow) = (Duration::from_secs(30), FlowOptions::default());
        Self::with_options(queue, 1, grace, progress_max, flow, handle)
    }

    #[expect(clippy::disallowed_methods, reason = "the test awaits it in `ended`")]
    fn with_options<F>(
        queue: &Queue,
        slots: usize,
        grace: Duration,
        progress_max: Duration,
        flow: FlowOptions,
        handle: impl Fn(Delivery) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Commit, Failure>> + Send + 'static,
    {
        let seen = Arc::<Mutex<Vec<Delivery>>>::default();
        let handler = Arc::new(Closure {
            seen: Arc::clone(&seen),
            handle: Box::new(move |delivery| Box::pin(handle(delivery))),
        });
        let (shutdown, pulse) = (CancellationToken::new(), Pulse::default());
        let steps = Step::ALL.map(|step| (step, slots)).to_vec();
        let options = WorkerOptions {
            steps,
            grace,
            progress_max,
            pulse: pulse.clone(),
            flow,
            ..WorkerOptions::default()
        };
        let task = tokio::spawn(run_workers(queue.clone(), options, handler, shutdown.clone()));
        Self { shutdown, pulse, seen, task }
    }

    pub(crate) fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.ended().await.unwrap();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    pub(crate) async fn ended(self) -> Result<(), WorkersError> {
        self.task.await.unwrap()
    }
}

/// Goes through all six steps and makes the pair ready.
pub(crate) fn next_step(delivery: &Delivery) -> Commit {
    let following = Step::ALL.into_iter().skip_while(|step| *step != delivery.step).nth(1);
    Commit {
        record: b"{}".to_vec(),
        next: following.map(|step| next_job(delivery.pair, step)).into_iter().collect(),
        end: following.is_none().then(|| End::Ready { body: delivery.pair.to_string().into_bytes() }),
        ..Commit::default()
    }
}
