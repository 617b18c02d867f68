//! bullmq-official: the Rust port of BullMQ, with its own Lua scripts.

use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use bullmq::{
    BulkJob, Error, Job, Queue, QueueOptions, Worker, WorkerOptions, options::RedisConnectionOptions,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::work::{BATCH, CONCURRENCY, Mode, Peer, STEPS, Tally, Workers, payload, result};

/// How long a worker may take to close.
const CLOSE_TIME_MAX_MS: u64 = 5_000;

pub struct BullMq {
    url: SecretString,
    queues: OnceCell<Vec<Queue>>,
}

impl BullMq {
    pub fn new(url: &SecretString) -> Self {
        Self { url: url.clone(), queues: OnceCell::new() }
    }

    fn connection(&self) -> RedisConnectionOptions {
        RedisConnectionOptions::new().url(self.url.expose_secret())
    }

    async fn queues(&self) -> anyhow::Result<&[Queue]> {
        let connect = || async {
            let mut queues = Vec::new();
            for step in 0..STEPS {
                queues.push(self.queue(step).await?);
            }
            Ok::<_, anyhow::Error>(queues)
        };
        Ok(self.queues.get_or_try_init(connect).await?)
    }

    async fn queue(&self, step: usize) -> anyhow::Result<Queue> {
        let options = QueueOptions::new().connection(self.connection());
        Ok(Queue::with_options(&name(step), options).await?)
    }
}

fn name(step: usize) -> String {
    format!("bullmq-{step}")
}

#[async_trait]
impl Peer for BullMq {
    fn name(&self) -> &'static str {
        "bullmq-official 1.4.4"
    }

    fn settings(&self) -> &'static str {
        "concurrency 100, otherwise the defaults; it has no batches but add_bulk; chain: the handler adds the next job \
         and returns the result"
    }

    fn promises(&self) -> &'static str {
        "at least once; completion fenced by a lock token (30 s); result stored with the completion, the next job of \
         the same queue fetched in the same call; next job of the chain added before it, in another call"
    }

    async fn prepare(&self) -> anyhow::Result<()> {
        self.queues().await.map(|_| ())
    }

    async fn add(&self, jobs: usize, mode: Mode) -> anyhow::Result<()> {
        let queue = self.queues().await?.first().context("no queue")?;
        if mode == Mode::Single {
            for _ in 0..jobs {
                queue.add("job", payload()).await?;
            }
            return Ok(());
        }
        for start in (0..jobs).step_by(BATCH) {
            let count = BATCH.min(jobs - start);
            queue.add_bulk((0..count).map(|_| BulkJob::new("job", payload())).collect()).await?;
        }
        Ok(())
    }

    async fn work(
        &self,
        steps: usize,
        _mode: Mode,
        tally: &Arc<Tally>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Workers> {
        let mut workers = Workers::new();
        for step in 0..steps {
            let next = if step + 1 < steps { Some(Arc::new(self.queue(step + 1).await?)) } else { None };
            let (chained, tally) = (steps > 1, Arc::clone(tally));
            let handler = move |_job: Job, _token| {
                let (next, tally) = (next.clone(), Arc::clone(&tally));
                async move {
                    tally.count();
                    if let Some(next) = next {
                        next.add("job", payload()).await?;
                    }
                    Ok::<_, Error>(if chained { Value::String(result()) } else { Value::Null })
                }
            };
            let options = WorkerOptions {
                connection: self.connection(),
                concurrency: CONCURRENCY,
                ..WorkerOptions::default()
            };
            let worker = Worker::with_options(&name(step), handler, options).await?;
            let shutdown = shutdown.clone();
            // It works by itself from the start.
            workers.spawn(async move {
                shutdown.cancelled().await;
                Ok(worker.close(CLOSE_TIME_MAX_MS).await?)
            });
        }
        Ok(workers)
    }

    async fn finished(&self, steps: usize) -> anyhow::Result<usize> {
        let mut finished = 0;
        for queue in self.queues().await?.iter().take(steps) {
            finished += usize::try_from(queue.get_completed_count().await?)?;
        }
        Ok(finished)
    }
}
