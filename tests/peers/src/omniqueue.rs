//! omniqueue: the queue under Svix, over Redis Streams.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use omniqueue::{
    QueueProducer as _,
    backends::{
        RedisBackend, RedisConfig, redis::RedisConnectionManager, redis::RedisConsumer, redis::RedisProducer,
    },
};
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::{OnceCell, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::work::{BATCH, CONCURRENCY, Mode, Peer, STEPS, Tally, Workers, payload, result};

type Producer = RedisProducer<RedisConnectionManager>;
type Consumer = RedisConsumer<RedisConnectionManager>;

const GROUP: &str = "workers";

pub struct OmniQueue {
    url: SecretString,
    connection: OnceCell<MultiplexedConnection>,
}

impl OmniQueue {
    pub fn new(url: &SecretString) -> Self {
        Self { url: url.clone(), connection: OnceCell::new() }
    }

    async fn connection(&self) -> anyhow::Result<MultiplexedConnection> {
        let connect = || async {
            redis::Client::open(self.url.expose_secret())?.get_multiplexed_async_connection().await
        };
        Ok(self.connection.get_or_try_init(connect).await?.clone())
    }

    async fn pair(&self, step: usize) -> anyhow::Result<(Producer, Consumer)> {
        let config = RedisConfig {
            dsn: self.url.expose_secret().to_owned(),
            max_connections: u16::try_from(CONCURRENCY + 2)?,
            reinsert_on_nack: false,
            queue_key: key(step),
            delayed_queue_key: format!("{}-delayed", key(step)),
            delayed_lock_key: format!("{}-lock", key(step)),
            consumer_group: GROUP.to_owned(),
            consumer_name: "worker".to_owned(),
            payload_key: "payload".to_owned(),
            ack_deadline_ms: 15_000,
            dlq_config: None,
            sentinel_config: None,
        };
        Ok(RedisBackend::builder(config).build_pair().await?)
    }
}

fn key(step: usize) -> String {
    format!("omniqueue-{step}")
}

#[async_trait]
impl Peer for OmniQueue {
    fn name(&self) -> &'static str {
        "omniqueue 0.3.0"
    }

    fn settings(&self) -> &'static str {
        "streams, a connection for each job under way, ack_deadline 15 s; it has batches only for receiving \
         (receive_all); chain: the handler stores the result with HSET and sends the next job, then acknowledges"
    }

    fn promises(&self) -> &'static str {
        "at least once; acknowledgement not fenced; no renewal: a job that takes longer than its deadline runs twice; \
         result, next job and acknowledgement in three calls"
    }

    async fn prepare(&self) -> anyhow::Result<()> {
        let mut connection = self.connection().await?;
        for step in 0..STEPS {
            let group = ["CREATE", &key(step), GROUP, "0", "MKSTREAM"];
            redis::cmd("XGROUP").arg(&group).exec_async(&mut connection).await?;
        }
        Ok(())
    }

    async fn add(&self, jobs: usize, mode: Mode) -> anyhow::Result<()> {
        let (producer, _consumer) = self.pair(0).await?;
        let payload = payload().into_bytes();
        if mode == Mode::Single {
            for _ in 0..jobs {
                producer.send_raw(&payload).await?;
            }
            return Ok(());
        }
        let payloads = vec![payload; jobs];
        for chunk in payloads.chunks(BATCH) {
            producer.send_raw_batch(chunk).await?;
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
            let (_, consumer) = self.pair(step).await?;
            let next = if step + 1 < steps { Some(Arc::new(self.pair(step + 1).await?.0)) } else { None };
            let step = Step {
                next,
                results: (steps > 1).then_some(self.connection().await?),
                tally: Arc::clone(tally),
            };
            let (work, shutdown) = (receive(consumer, mode, step), shutdown.clone());
            workers.spawn(async move { shutdown.run_until_cancelled(work).await.unwrap_or(Ok(())) });
        }
        Ok(workers)
    }

    /// A stream holds what is not acknowledged.
    async fn finished(&self, steps: usize) -> anyhow::Result<usize> {
        let mut connection = self.connection().await?;
        let mut left = 0;
        for step in 0..steps {
            left += connection.xlen::<_, usize>(key(step)).await?;
        }
        Ok(if left == 0 { usize::MAX } else { 0 })
    }
}

/// What a job of one step does.
#[derive(Clone)]
struct Step {
    next: Option<Arc<Producer>>,
    results: Option<MultiplexedConnection>,
    tally: Arc<Tally>,
}

impl Step {
    async fn run(mut self, delivery: omniqueue::Delivery) -> anyhow::Result<()> {
        let number = self.tally.started();
        self.tally.count();
        if let Some(results) = &mut self.results {
            results.hset::<_, _, _, ()>(format!("result-{number}"), "page", result()).await?;
        }
        if let Some(next) = &self.next {
            next.send_raw(&payload().into_bytes()).await?;
        }
        delivery.ack().await.map_err(|(error, _)| error)?;
        Ok(())
    }
}

async fn receive(mut consumer: Consumer, mode: Mode, step: Step) -> anyhow::Result<()> {
    let slots = Arc::new(Semaphore::new(CONCURRENCY));
    let mut running = JoinSet::new();
    loop {
        let mut free = Arc::clone(&slots).acquire_owned().await?;
        while let Some(ended) = running.try_join_next() {
            ended??;
        }
        let deliveries = if mode == Mode::Single {
            vec![consumer.receive().await?]
        } else {
            let more = u32::try_from(slots.available_permits())?;
            free.merge(Arc::clone(&slots).acquire_many_owned(more).await?);
            consumer.receive_all(free.num_permits(), Duration::from_secs(1)).await?
        };
        for delivery in deliveries {
            let (slot, step) = (free.split(1), step.clone());
            running.spawn(async move {
                let _slot = slot;
                step.run(delivery).await
            });
        }
    }
}
