//! Workers of two releases on one Redis: a job that the older one cannot read waits for the newer one.

use std::sync::Arc;

use async_trait::async_trait;
use mondo_jobs::{
    job::{Job, Step},
    pair::PairId,
    ports::fake::{FakeLlm, FakeSandbox, reply},
    queue::{Commit, DeadFilter, Delivery, NewPair, Priority},
    record,
    step::Limits,
    steps::Personas,
};
use mondo_workers::{
    backend::{Failure, Handler, WorkerOptions, run_workers},
    llm::journal::Journal,
    runner::Runner,
};
use redis::AsyncCommands as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::support::{queue::TestQueue, wait::until, workers::next_step};

const PAIRS: u8 = 10;

/// The next release: it reads two versions of envelopes.
struct Newer;

#[async_trait]
impl Handler for Newer {
    async fn handle(&self, delivery: &Delivery) -> Result<Commit, Failure> {
        assert_eq!((delivery.attempts, delivery.crashes), (0, 0), "the older worker used nothing up");
        let v1 = Job::from_envelope(delivery.pair, &delivery.envelope).is_ok();
        assert!(v1 || delivery.envelope == NEWER, "untouched: {}", delivery.envelope);
        Ok(next_step(delivery))
    }
}

const NEWER: &str = r#"{"kind":"objects","v":2,"hint":{"of":"a later release"}}"#;

fn newer_pair() -> NewPair {
    let pair = record::new_pair(7, 0).unwrap();
    let first = mondo_jobs::queue::NewJob { envelope: NEWER.to_owned(), ..pair.first.clone() };
    NewPair { first, ..pair }
}

/// Workers of the first step alone.
fn start(test: &TestQueue, handler: Arc<dyn Handler>, stop: &CancellationToken, tasks: &TaskTracker) {
    let options = WorkerOptions { steps: vec![(Step::Objects, 2)], ..WorkerOptions::default() };
    let workers = run_workers(test.queue.clone(), options, handler, stop.clone());
    tasks.spawn(async move { workers.await.unwrap() });
}

#[tokio::test]
async fn a_worker_leaves_newer_jobs_untouched_and_both_releases_share_the_work() {
    let test = TestQueue::start().await;
    let older = Runner {
        queue: test.queue.clone(),
        journal: Journal::new(test.queue.clone(), None),
        llm: Arc::new(FakeLlm::new(|_| Ok(reply(r#"{"objects": ["kite", "drum", "lamp"]}"#)))),
        responder: "fake/model".into(),
        sandbox: Arc::new(FakeSandbox::finding(Vec::new())),
        personas: Arc::new(Personas::embedded()),
        limits: Limits { fix_rounds_max: 1 },
    };
    let newer: Vec<NewPair> = std::iter::repeat_with(newer_pair).take(PAIRS.into()).collect();
    test.queue.start(&newer).await.unwrap();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    start(&test, Arc::new(older), &stop, &tasks);
    until("the older worker has seen them", || async { test.counter("waited").await >= 10 }).await;
    assert_eq!(test.counter("committed").await, 0);

    let older: Vec<NewPair> = (0..u64::from(PAIRS)).map(|seed| record::new_pair(seed, 0).unwrap()).collect();
    test.queue.start(&older).await.unwrap();
    start(&test, Arc::new(Newer), &stop, &tasks);
    until("all are committed", || async { test.counter("committed").await == 2 * i64::from(PAIRS) }).await;
    assert_eq!((test.counter("retried").await, test.counter("buried").await), (0, 0));
    let waited = test.counter("waited").await;
    assert!(waited < 20 * i64::from(PAIRS), "{waited}: it does not run in circles");
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

#[test]
fn an_envelope_reads_back_as_it_was_stored() {
    let pair: PairId = "01936f2e-0000-7000-8000-000000000001".parse().unwrap();
    let stored = r#"{"kind":"objects","v":1,"round":0}"#;
    assert_eq!(Job::first(pair).envelope(), stored);
    assert_eq!(Job::from_envelope(pair, stored).unwrap(), Job::first(pair));
    let stored = r#"{"kind":"fix","v":1,"candidate":"base","round":2}"#;
    assert_eq!(Job::from_envelope(pair, stored).unwrap().envelope(), stored);
}

/// The entry and the dead letter of this release, as they are stored. If this must change, a worker of the release
/// before cannot read what this one writes, and the layout's version must be raised.
#[tokio::test]
async fn entries_and_letters_are_stored_and_read_as_they_always_were() {
    let test = TestQueue::start().await;
    let mut connection = test.redis.connection().await;
    let pair = record::pair_of(PAIR.parse().unwrap(), Priority::Normal, 7, 0).unwrap();
    test.queue.start(&[pair]).await.unwrap();
    let stored: Vec<(String, Vec<(String, String)>)> = redis::cmd("XRANGE")
        .arg(&["{test:0}:stream:objects", "-", "+"])
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(stored[0].1, [("job".to_owned(), ENTRY.to_owned())]);

    // A later release may say more; what this one knows of it is read all the same. Layout 1 left nothing out.
    let more = format!(r#"{},"attempts":2,"crashes":1,"trace":"00-4bf9"}}"#, ENTRY.trim_end_matches('}'));
    for entry in [more.as_str(), FIRST_LAYOUT] {
        let () = connection.xadd("{test:0}:stream:objects", "*", &[("job", entry)]).await.unwrap();
    }
    let found = test.claims(Step::Objects, "worker", 3).await;
    for (delivery, counts) in found.iter().zip([(0, 0), (2, 1), (3, 2)]) {
        assert_eq!((delivery.attempts, delivery.crashes), counts);
        assert_eq!(delivery.pair.to_string(), PAIR);
        assert_eq!(delivery.job.as_str(), format!("{PAIR}/objects"));
        assert_eq!(delivery.envelope, r#"{"kind":"objects","v":1,"round":0}"#);
    }

    let () = connection.zadd("{test:0}:dead", "letter", 5).await.unwrap();
    let () = connection.hset("{test:0}:dead:letters", "letter", LETTER).await.unwrap();
    let letter = test.queue.dead(&DeadFilter::default(), 1).await.unwrap().remove(0);
    assert_eq!((letter.class.as_str(), letter.attempts, letter.crashes, letter.at_ms), ("crashed", 1, 3, 5));
    assert_eq!(letter.chain, ["outer", "inner"]);
}

const PAIR: &str = "01936f2e-0000-7000-8000-000000000001";
const ENTRY: &str = r#"{"id":"01936f2e-0000-7000-8000-000000000001/objects","envelope":"{\"kind\":\"objects\",\"v\":1,\"round\":0}"}"#;
const FIRST_LAYOUT: &str = r#"{"id":"01936f2e-0000-7000-8000-000000000001/objects","pair":"01936f2e-0000-7000-8000-000000000001","envelope":"{\"kind\":\"objects\",\"v\":1,\"round\":0}","attempts":3,"crashes":2}"#;
const LETTER: &str = r#"{"job":"letter","pair":"01936f2e-0000-7000-8000-000000000001","step":"objects","envelope":"{}","attempts":1,"crashes":3,"class":"crashed","chain":["outer","inner"],"at_ms":5}"#;
