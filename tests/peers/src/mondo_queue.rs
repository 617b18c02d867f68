//! mondo's own queue: alone, one call for each thing, and through its apalis backend, as `mondo worker` runs it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mondo_jobs::{
    job::{Job, Step},
    pair::PairId,
    queue::{
        Arrival, Bounds, Commit, Delivery, End, NewJob, NewPair, Priority, Queue, QueueConfig, Reader,
        Retention,
    },
};
use mondo_workers::backend::{Failure, Handler, WorkerOptions, run_workers};
use secrecy::SecretString;
use tokio::{
    sync::{OnceCell, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::work::{BATCH, CONCURRENCY, Mode, Peer, STEPS, Tally, Workers, payload, result};

/// Claims under way at once in a step where jobs are claimed one by one.
const CLAIMERS: usize = 8;
/// How long a read waits for new jobs.
const BLOCK: Duration = Duration::from_secs(1);

pub struct Mondo {
    url: SecretString,
    queue: OnceCell<Queue>,
}

impl Mondo {
    pub fn new(url: &SecretString) -> Self {
        Self { url: url.clone(), queue: OnceCell::new() }
    }

    async fn queue(&self) -> anyhow::Result<&Queue> {
        let connect = || {
            Queue::connect(QueueConfig {
                url: self.url.clone(),
                prefix: "mondo".to_owned(),
                lease: Duration::from_secs(12),
                shards: 1,
                retention: Retention::default(),
                bounds: Bounds::default(),
                replicas_min: 0,
                connect_time_max: Duration::from_secs(10),
            })
        };
        Ok(self.queue.get_or_try_init(connect).await?)
    }
}

#[async_trait]
impl Peer for Mondo {
    fn name(&self) -> &'static str {
        "mondo"
    }

    fn settings(&self) -> &'static str {
        "lease 12 s, otherwise the defaults; single: one claim and one commit for each job, eight claims of a step at a time; batched: \
         the workers' own backend with 100 slots, as `mondo worker` runs it"
    }

    fn promises(&self) -> &'static str {
        "at least once, committed once: acknowledgement, result and next job in one transaction, fenced against late \
         workers; a lease for each job; a pair that exists is not added again"
    }

    async fn prepare(&self) -> anyhow::Result<()> {
        Ok(self.queue().await?.make_groups().await?)
    }

    async fn add(&self, jobs: usize, mode: Mode) -> anyhow::Result<()> {
        let queue = self.queue().await?;
        let pairs: Vec<NewPair> = std::iter::repeat_with(new_pair).take(jobs).collect();
        let batch = if mode == Mode::Single { 1 } else { BATCH };
        for chunk in pairs.chunks(batch) {
            queue.start(chunk).await?;
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
        let queue = self.queue().await?.clone();
        let mut workers = Workers::new();
        if mode == Mode::Single {
            for step in Step::ALL.into_iter().take(steps) {
                let slots = Arc::new(Semaphore::new(CONCURRENCY));
                for number in 0..CLAIMERS {
                    let consumer = format!("{step}-{number}");
                    let claimer = Claimer { queue: queue.clone(), step, consumer, slots: Arc::clone(&slots) };
                    let (work, shutdown) =
                        (claimer.one_by_one(steps > 1, Arc::clone(tally)), shutdown.clone());
                    workers.spawn(async move { shutdown.run_until_cancelled(work).await.unwrap_or(Ok(())) });
                }
            }
            return Ok(workers);
        }
        let options = WorkerOptions {
            steps: Step::ALL.into_iter().take(steps).map(|step| (step, CONCURRENCY)).collect(),
            grace: Duration::from_secs(1),
            ..WorkerOptions::default()
        };
        let walker = Walker { chained: steps > 1, tally: Arc::clone(tally) };
        let work = run_workers(queue, options, Arc::new(walker), shutdown.clone());
        workers.spawn(async move { Ok(work.await?) });
        Ok(workers)
    }

    async fn finished(&self, _steps: usize) -> anyhow::Result<usize> {
        let counters = self.queue().await?.stats().await?.counters;
        Ok(usize::try_from(counters.get("committed").copied().unwrap_or_default())?)
    }
}

/// One of those that share the slots of a step where jobs are claimed one by one.
struct Claimer {
    queue: Queue,
    step: Step,
    consumer: String,
    slots: Arc<Semaphore>,
}

impl Claimer {
    /// Reads one job at a time and commits each by itself.
    async fn one_by_one(self, chained: bool, tally: Arc<Tally>) -> anyhow::Result<()> {
        let mut reader = Reader::connect(&self.queue, 0, self.step, &self.consumer, BLOCK).await?;
        let mut running = JoinSet::new();
        loop {
            let slot = Arc::clone(&self.slots).acquire_owned().await?;
            while let Some(ended) = running.try_join_next() {
                ended??;
            }
            if let Some(arrival) = reader.read(1, BLOCK).await?.pop() {
                let Arrival::Job(delivery) = arrival else { anyhow::bail!("an entry cannot be read") };
                let (queue, tally) = (self.queue.clone(), Arc::clone(&tally));
                running.spawn(async move {
                    tally.count();
                    queue.commit(&delivery, &commit(&delivery, chained)).await?;
                    drop(slot);
                    Ok::<_, anyhow::Error>(())
                });
            }
        }
    }
}

struct Walker {
    chained: bool,
    tally: Arc<Tally>,
}

#[async_trait]
impl Handler for Walker {
    async fn handle(&self, delivery: &Delivery) -> Result<Commit, Failure> {
        self.tally.count();
        Ok(commit(delivery, self.chained))
    }
}

/// In a chain a result, and the next job or the end of the pair; else only that the job is done.
fn commit(delivery: &Delivery, chained: bool) -> Commit {
    if !chained {
        return Commit { record: b"{}".to_vec(), ..Commit::default() };
    }
    let next = Step::ALL.into_iter().skip_while(|step| *step != delivery.step).nth(1);
    Commit {
        record: b"{}".to_vec(),
        fields: vec![("page".to_owned(), result().into_bytes())],
        end: next.is_none().then(|| End::Ready { body: b"{}".to_vec() }),
        next: next.map(|step| new_job(delivery.pair, step)).into_iter().collect(),
        ..Commit::default()
    }
}

fn new_pair() -> NewPair {
    let id = PairId::fresh();
    NewPair { id, priority: Priority::Normal, fields: Vec::new(), first: new_job(id, Step::Objects) }
}

fn new_job(pair: PairId, step: Step) -> NewJob {
    let id = Job { pair, step, candidate: None, round: 0 }.id();
    NewJob { id, pair, step, envelope: payload() }
}

const _: () = assert!(Step::ALL.len() == STEPS);
