//! apalis-redis, tuned: large batches, no locks beside the in-flight sets, no events.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Context as _;
use apalis::{
    layers::WorkerBuilderExt as _,
    prelude::{BackendExt as _, BoxDynError, Data, PollSnapshot, PollStrategy, TaskSink as _, WorkerBuilder},
};
use apalis_redis::{Config, ConnectionManager, RedisStorage};
use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::OnceCell,
    time::{Interval, interval},
};
use tokio_util::sync::CancellationToken;

use crate::work::{BATCH, CONCURRENCY, Mode, Peer, STEPS, Tally, Workers, payload, result};

/// How often an idle worker looks for jobs: its own wake-ups come only with the heartbeat.
const POLL_PERIOD: Duration = Duration::from_millis(5);

pub struct ApalisRedis {
    url: SecretString,
    connection: OnceCell<ConnectionManager>,
}

impl ApalisRedis {
    pub fn new(url: &SecretString) -> Self {
        Self { url: url.clone(), connection: OnceCell::new() }
    }

    async fn connection(&self) -> anyhow::Result<ConnectionManager> {
        let connect = || apalis_redis::connect(self.url.expose_secret());
        Ok(self.connection.get_or_try_init(connect).await?.clone())
    }

    async fn storage(&self, step: usize, mode: Mode) -> anyhow::Result<RedisStorage<String>> {
        Ok(RedisStorage::new(self.connection().await?).with_config(config(step, mode)))
    }
}

fn config(step: usize, mode: Mode) -> Config {
    let batch = if mode == Mode::Single { 1 } else { BATCH };
    Config::default().queue(format!("apalis-{step}")).batch_size(batch).lock_tasks(false).emit_events(false)
}

#[async_trait]
impl Peer for ApalisRedis {
    fn name(&self) -> &'static str {
        "apalis-redis 1.0.0"
    }

    fn settings(&self) -> &'static str {
        "concurrency 100, lock_tasks off, emit_events off, an idle worker polls every 5 ms, by a timer of ours (its own misses its wake-up when a fetch takes longer, and waits for the heartbeat); batch_size 1 (single), 100 (batched); chain: \
         the handler pushes the next job and returns the result"
    }

    fn promises(&self) -> &'static str {
        "at least once by worker heartbeat (30 s, 10 may be missed); acknowledgement fenced by the in-flight set; next \
         job pushed before the acknowledgement, in another call; stops for good with more than 7,999 jobs due"
    }

    async fn prepare(&self) -> anyhow::Result<()> {
        Ok(())
    }

    async fn add(&self, jobs: usize, mode: Mode) -> anyhow::Result<()> {
        let mut storage = self.storage(0, mode).await?;
        if mode == Mode::Single {
            for _ in 0..jobs {
                storage.push(payload()).await.context("pushing")?;
            }
            return Ok(());
        }
        let payloads = vec![payload(); jobs];
        for chunk in payloads.chunks(BATCH) {
            storage.push_bulk(chunk.to_vec()).await.context("pushing in bulk")?;
        }
        Ok(())
    }

    async fn work(
        &self,
        steps: usize,
        mode: Mode,
        tally: &Arc<Tally>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Workers> {
        let mut workers = Workers::new();
        for step in 0..steps {
            let next = if step + 1 < steps { Some(self.storage(step + 1, mode).await?) } else { None };
            let result = if steps > 1 { result() } else { String::new() };
            let worker = WorkerBuilder::new(format!("worker-{step}"))
                .backend(self.storage(step, mode).await?.poll_with_strategy(Ticks(interval(POLL_PERIOD))))
                .data(Todo { next, result, tally: Arc::clone(tally) })
                .concurrency(CONCURRENCY)
                .build(handle);
            let shutdown = shutdown.clone();
            workers.spawn(async move {
                tokio::select! {
                    () = shutdown.cancelled() => Ok(()),
                    ended = worker.run() => ended.context("running a worker"),
                }
            });
        }
        Ok(workers)
    }

    async fn finished(&self, _steps: usize) -> anyhow::Result<usize> {
        let mut connection = self.connection().await?;
        let mut pipe = redis::pipe();
        for step in 0..STEPS {
            pipe.scard(config(step, Mode::Single).done_jobs_set());
        }
        let done: Vec<usize> = pipe.query_async(&mut connection).await?;
        Ok(done.into_iter().sum())
    }
}

/// Wakes an idle worker at every tick.
struct Ticks(Interval);

impl PollStrategy for Ticks {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _snapshot: &PollSnapshot) -> Poll<Option<()>> {
        let mut due = Poll::Pending;
        // Until it is pending, so that the next wake-up is arranged for.
        while self.0.poll_tick(cx).is_ready() {
            due = Poll::Ready(Some(()));
        }
        due
    }
}

/// What a job of one step does.
#[derive(Clone)]
struct Todo {
    next: Option<RedisStorage<String>>,
    result: String,
    tally: Arc<Tally>,
}

async fn handle(_job: String, todo: Data<Todo>) -> Result<String, BoxDynError> {
    todo.tally.count();
    if let Some(mut next) = todo.next.clone() {
        next.push(payload()).await?;
    }
    Ok(todo.result.clone())
}
