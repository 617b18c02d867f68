//! A queue on a real Redis, and jobs to put into it.

use std::time::Duration;

use mondo_jobs::{
    job::{Job, JobId, Step},
    pair::PairId,
    queue::{
        Arrival, Bounds, Commit, Death, Delivery, End, Leases, NewJob, NewPair, Priority, Queue, QueueConfig,
        Reader, Retention,
    },
};
use redis::AsyncCommands as _;
use secrecy::SecretString;

use super::{redis::TestRedis, wait::until};

/// Long enough that no lease lapses by itself while a test runs.
pub(crate) const LONG_LEASE: Duration = Duration::from_mins(10);

pub(crate) struct TestQueue {
    pub(crate) redis: TestRedis,
    pub(crate) queue: Queue,
}

impl TestQueue {
    pub(crate) async fn start() -> Self {
        Self::with_lease(LONG_LEASE).await
    }

    pub(crate) async fn with_lease(lease: Duration) -> Self {
        let redis = TestRedis::start().await;
        let queue = connect(redis.url(), lease).await;
        Self { redis, queue }
    }

    /// Starts that many pairs.
    pub(crate) async fn pairs(&self, count: usize) -> Vec<NewPair> {
        let pairs: Vec<NewPair> = std::iter::repeat_with(new_pair).take(count).collect();
        for chunk in pairs.chunks(500) {
            self.queue.start(chunk).await.unwrap();
        }
        pairs
    }

    /// Waits until the next start asks Redis how much memory it has.
    pub(crate) async fn memory_is_asked_for_again(&self) {
        until("what was known of the memory expires", || async {
            !self.redis.connection().await.exists::<_, bool>("{test:0}:memory").await.unwrap()
        })
        .await;
    }

    /// The next job of a step, claimed by this consumer.
    pub(crate) async fn claim(&self, step: Step, consumer: &str) -> Delivery {
        let found = self.claims(step, consumer, 1).await;
        found.into_iter().next().expect("a job in the stream")
    }

    pub(crate) async fn claims(&self, step: Step, consumer: &str, count: usize) -> Vec<Delivery> {
        let mut reader = self.reader(step, consumer).await;
        let arrivals = reader.read(count, Duration::from_millis(100)).await.unwrap();
        arrivals.into_iter().map(job).collect()
    }

    /// Takes over everything of a step whose lease, a short one, has lapsed.
    pub(crate) async fn reclaim(&self, step: Step, consumer: &str) -> Vec<Delivery> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let arrivals = self.queue.reclaim(0, step, consumer, 100).await.unwrap();
        arrivals.into_iter().map(job).collect()
    }

    pub(crate) async fn reader(&self, step: Step, consumer: &str) -> Reader {
        Reader::connect(&self.queue, 0, step, consumer, Duration::from_secs(5)).await.unwrap()
    }

    /// Makes one pair ready.
    pub(crate) async fn make_ready(&self, body: &[u8]) -> PairId {
        self.make_all_ready(&[body.to_vec()]).await.remove(0)
    }

    /// Makes a pair ready for each body, in this order.
    pub(crate) async fn make_all_ready(&self, bodies: &[Vec<u8>]) -> Vec<PairId> {
        let mut made = Vec::new();
        for bodies in bodies.chunks(500) {
            self.pairs(bodies.len()).await;
            let deliveries = self.claims(Step::Objects, "maker", bodies.len()).await;
            assert_eq!(deliveries.len(), bodies.len());
            for (delivery, body) in deliveries.iter().zip(bodies) {
                let end = Some(End::Ready { body: body.clone() });
                self.queue.commit(delivery, &Commit { end, ..Commit::default() }).await.unwrap();
            }
            made.extend(deliveries.iter().map(|delivery| delivery.pair));
        }
        made
    }

    /// Waiting, running, delayed.
    pub(crate) async fn step(&self, step: Step) -> (u64, u64, u64) {
        let stats = self.queue.stats().await.unwrap();
        let found = stats.steps.iter().find(|stats| stats.step == step).unwrap();
        (found.waiting, found.running, found.delayed)
    }

    pub(crate) async fn counter(&self, name: &str) -> i64 {
        self.queue.stats().await.unwrap().counters.get(name).copied().unwrap_or(0)
    }

    /// How many pairs are ready; none while Redis is away.
    pub(crate) async fn ready(&self) -> u64 {
        self.queue.stats().await.map_or(0, |stats| stats.ready)
    }

    pub(crate) async fn until_ready(&self, count: u64) {
        until("all pairs are ready", || async { self.ready().await == count }).await;
    }

    pub(crate) async fn healthy(&self) {
        assert_eq!(self.queue.doctor().await.unwrap(), []);
    }
}

pub(crate) async fn connect(url: SecretString, lease: Duration) -> Queue {
    connect_sharded(url, lease, 1).await
}

pub(crate) async fn connect_sharded(url: SecretString, lease: Duration, shards: u32) -> Queue {
    Queue::connect(config(url, lease, shards)).await.unwrap()
}

pub(crate) async fn connect_bounded(
    url: SecretString,
    lease: Duration,
    shards: u32,
    bounds: Bounds,
) -> Queue {
    Queue::connect(QueueConfig { bounds, ..config(url, lease, shards) }).await.unwrap()
}

pub(crate) fn config(url: SecretString, lease: Duration, shards: u32) -> QueueConfig {
    QueueConfig {
        url,
        prefix: "test".to_owned(),
        lease,
        shards,
        retention: Retention::default(),
        bounds: Bounds::default(),
        replicas_min: 0,
        connect_time_max: Duration::from_secs(30),
    }
}

/// Renews leases; gives the jobs whose lease is lost.
pub(crate) async fn renew(queue: &Queue, consumer: &str, held: &[&Delivery]) -> Vec<JobId> {
    Leases::new(queue, Duration::from_secs(10)).renew(consumer, held).await.unwrap()
}

pub(crate) fn new_pair() -> NewPair {
    let id = PairId::fresh();
    let fields = vec![("head".to_owned(), b"{}".to_vec())];
    NewPair { id, priority: Priority::Normal, fields, first: new_job(&Job::first(id)) }
}

pub(crate) fn new_job(job: &Job) -> NewJob {
    NewJob { id: job.id(), pair: job.pair, step: job.step, envelope: job.envelope() }
}

/// The job of a step that makes the question.
pub(crate) fn next_job(pair: PairId, step: Step) -> NewJob {
    new_job(&Job { pair, step, candidate: None, round: 0 })
}

pub(crate) fn job(arrival: Arrival) -> Delivery {
    match arrival {
        Arrival::Job(delivery) => delivery,
        Arrival::Undecodable(entry) => panic!("not a job: {entry:?}"),
    }
}

/// A death of this class with this error and its causes.
pub(crate) fn death(attempts: u32, class: &str, chain: &[&str]) -> Death {
    let chain = chain.iter().map(|error| (*error).to_owned()).collect();
    Death { attempts, class: class.to_owned(), chain, ..Death::default() }
}
