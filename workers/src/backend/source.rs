//! The backend that apalis sees: a channel of claims, and a layer that passes on how each ended.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    error::BoxDynError,
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use futures_util::{FutureExt as _, future::BoxFuture};
use mondo_jobs::queue::{Commit, Queue};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{Layer, Service};

use super::{
    acker::{Ending, Endings},
    claim::{Claim, Desk},
    fetcher::Fetcher,
    outage::Outage,
    outcome::{Interrupted, Outcome, decide},
};

/// What a source needs to fetch for its step.
#[derive(Clone)]
pub(super) struct SourceConfig {
    pub(super) queue: Queue,
    pub(super) desk: Arc<Desk>,
    pub(super) outage: Arc<Outage>,
    pub(super) endings: Endings,
    pub(super) stop: CancellationToken,
    pub(super) tracker: TaskTracker,
}

/// The jobs of one step.
pub(super) struct Source {
    config: SourceConfig,
    claims: Option<mpsc::Receiver<Claim>>,
}

impl Source {
    pub(super) fn new(config: SourceConfig) -> Self {
        Self { config, claims: None }
    }

    /// The fetcher starts with the first poll: apalis may make a backend outside a runtime.
    fn claims(&mut self) -> &mut mpsc::Receiver<Claim> {
        let config = &self.config;
        self.claims.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(config.desk.slots);
            let fetcher = Fetcher {
                queue: config.queue.clone(),
                desk: Arc::clone(&config.desk),
                outage: Arc::clone(&config.outage),
                endings: config.endings.clone(),
                claims: sender,
                stop: config.stop.clone(),
            };
            config.tracker.spawn(fetcher.run());
            receiver
        })
    }
}

impl Backend for Source {
    type Task = Task<Claim>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        self.claims().poll_recv(cx).map(|claim| {
            claim.map(|claim| {
                let id = TaskId::from_string(claim.delivery().entry.clone());
                Ok(TaskBuilder::new(claim).task_id(id).build())
            })
        })
    }

    /// Nothing is left to do: running jobs have ended, unstarted ones were handed back at the stop.
    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Source {
    type Args = Claim;
    type Id = String;
    type Kind = Ephemeral;
    type Config = SourceConfig;
    type Layer = EndLayer;

    fn config(&self) -> &SourceConfig {
        &self.config
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> EndLayer {
        EndLayer { endings: self.config.endings.clone() }
    }
}

/// Outermost layer: it sees the final result, after timeout and panic.
#[derive(Clone)]
pub(super) struct EndLayer {
    endings: Endings,
}

impl<S> Layer<S> for EndLayer {
    type Service = EndService<S>;

    fn layer(&self, inner: S) -> EndService<S> {
        EndService { inner, endings: self.endings.clone() }
    }
}

#[derive(Clone)]
pub(super) struct EndService<S> {
    inner: S,
    endings: Endings,
}

impl<S> Service<Task<Claim>> for EndService<S>
where
    S: Service<Task<Claim>, Response = Commit>,
    S::Future: Send + 'static,
    S::Error: Into<BoxDynError>,
{
    /// The real end is on its way to the acker; apalis needs to know of none.
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Claim>) -> Self::Future {
        let claim = task.args.clone();
        let endings = self.endings.clone();
        if !claim.begin() {
            return futures_util::future::ready(Err(Interrupted::HandedBack.into())).boxed();
        }
        let started = Instant::now();
        let run = self.inner.call(task);
        async move {
            let outcome = decide(claim.delivery(), run.await.map_err(Into::into), rand::random());
            metrics::histogram!("mondo_job_seconds", "step" => claim.desk().step.name())
                .record(started.elapsed().as_secs_f64());
            if outcome != Outcome::Forget {
                // Fails only when the acker is gone, and then the lease lapses.
                let _ = endings.send(Ending::Job(claim, outcome));
            }
            Ok(())
        }
        .boxed()
    }
}
