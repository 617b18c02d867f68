//! The backend that apalis sees: a channel of claims, and a layer that passes on how each ended.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    error::BoxDynError,
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use futures_util::{FutureExt as _, future::BoxFuture};
use mondo_jobs::queue::Commit;
use tower::{Layer, Service};

use super::{
    acker::{Ending, Endings},
    claim::{Claim, Desk},
    outcome::{Outcome, decide},
};

/// The jobs of one step.
pub(super) struct Source {
    desk: Arc<Desk>,
    endings: Endings,
}

impl Source {
    pub(super) fn new(desk: Arc<Desk>, endings: Endings) -> Self {
        Self { desk, endings }
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
        self.desk.poll_offered(cx).map(|claim| {
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
    type Config = Arc<Desk>;
    type Layer = EndLayer;

    fn config(&self) -> &Arc<Desk> {
        &self.desk
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> EndLayer {
        EndLayer { endings: self.endings.clone() }
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
        let run = self.inner.call(task);
        async move {
            let outcome = decide(claim.delivery(), run.await.map_err(Into::into), rand::random());
            if outcome != Outcome::Forget {
                claim.end();
                // Fails only when the acker is gone, and then the lease lapses.
                let _ = endings.send(Ending::Job(claim, outcome));
            }
            Ok(())
        }
        .boxed()
    }
}
