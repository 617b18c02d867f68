//! What is held up on purpose, and what slows by itself.

use std::{sync::Arc, time::Duration};

use mondo_jobs::{
    job::Step,
    ports::{LlmError, fake::FakeLlm},
    queue::{Priority, Target},
    record,
    step::Disposition,
};
use mondo_workers::backend::{FlowOptions, Handler as _};
use tokio::sync::Semaphore;

use super::runner::runner;
use crate::support::{
    queue::TestQueue,
    wait::until,
    workers::{Workers, next_step},
};

const ANSWER: Target = Target::Step(Step::Answer);
const GRACE: Duration = Duration::from_secs(30);
/// Longer than workers need to see a pause.
const SEEN: Duration = Duration::from_millis(2_600);

fn responder() -> Target {
    Target::Responder("fake/model".to_owned())
}

/// Workers that take any job to the next step, and ask that responder.
fn workers(test: &TestQueue, ready_high: Option<u64>) -> Workers {
    let flow = FlowOptions { responder: Some("fake/model".to_owned()), ready_high };
    Workers::with_flow(&test.queue, 4, GRACE, flow, |delivery| async move { Ok(next_step(&delivery)) })
}

#[tokio::test]
async fn a_pause_says_why_and_ends_when_it_is_resumed_or_its_time_is_over() {
    let test = TestQueue::start().await;
    let queue = &test.queue;
    queue.pause(&ANSWER, "first", None).await.unwrap();
    queue.pause(&ANSWER, "prompt changes", None).await.unwrap();
    queue.pause(&responder(), "down", Some(Duration::from_mins(5))).await.unwrap();
    let pauses = queue.stats().await.unwrap().pauses;
    let told: Vec<_> = pauses.iter().map(|pause| (pause.target.to_string(), pause.reason.as_str())).collect();
    assert_eq!(told, [("answer".to_owned(), "prompt changes"), ("responder:fake/model".to_owned(), "down")]);
    assert_eq!(pauses[0].ends_in_ms, None);
    assert!((290_000..=300_000).contains(&pauses[1].ends_in_ms.unwrap()), "{pauses:?}");
    assert!(pauses[0].since_ms.abs_diff(mondo_jobs::clock::now_ms()) < 60_000);

    let minute = Duration::from_mins(1);
    assert!(!queue.pause_if_running(&ANSWER, "refused", minute).await.unwrap(), "what was said stays");
    assert_eq!(queue.pauses().await.unwrap()[0].reason, "prompt changes");
    assert!(queue.resume(&ANSWER).await.unwrap());
    assert!(!queue.resume(&ANSWER).await.unwrap(), "it is not paused any more");
    assert!(queue.pause_if_running(&ANSWER, "refused", Duration::from_millis(50)).await.unwrap());
    until("the time is over by Redis's own clock", async || queue.pauses().await.unwrap().len() == 1).await;
}

#[tokio::test]
async fn jobs_of_a_paused_step_wait_and_use_no_attempt() {
    let mut test = TestQueue::start().await;
    test.queue.pause(&ANSWER, "prompt changes", None).await.unwrap();
    let workers = workers(&test, None);
    test.pairs(3).await;
    let waiting = async || test.step(Step::Answer).await == (3, 0, 0);
    until("all wait in front of the paused step", waiting).await;

    // The pause is Redis's: workers that come or go know it from the first moment on.
    let late = self::workers(&test, None);
    test.redis.server.kill();
    test.redis.server.revive().await.unwrap();
    tokio::time::sleep(SEEN).await;
    assert_eq!((test.step(Step::Answer).await, workers.seen() + late.seen()), ((3, 0, 0), 6));
    assert!(workers.pulse.last_poll_age().unwrap() < Duration::from_secs(10), "to be paused is healthy");

    test.queue.resume(&ANSWER).await.unwrap();
    until("the pairs are ready", async || test.queue.stats().await.unwrap().ready == 3).await;
    let seen = [workers.seen.lock().unwrap().clone(), late.seen.lock().unwrap().clone()].concat();
    assert!(seen.iter().all(|delivery| (delivery.attempts, delivery.crashes) == (0, 0)));
    assert_eq!(test.counter("waited").await, 0);
    workers.stop().await;
    late.stop().await;
    test.healthy().await;
}

#[tokio::test]
async fn a_running_job_finishes_and_nothing_else_is_claimed_after_a_pause() {
    let test = TestQueue::start().await;
    let go = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&go);
    let workers = Workers::start(&test.queue, 4, move |delivery| {
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.unwrap().forget();
            Ok(next_step(&delivery))
        }
    });
    test.pairs(1).await;
    until("the first job runs", async || workers.seen() == 1).await;
    test.queue.pause(&Target::Step(Step::Objects), "why not", None).await.unwrap();
    tokio::time::sleep(SEEN).await;
    // Its fetcher was in a blocking read when the pause came.
    test.pairs(2).await;
    go.add_permits(1);
    until("the running job is committed", async || test.counter("committed").await == 1).await;
    assert_eq!(test.step(Step::Objects).await, (2, 0, 0));
    go.add_permits(100);
    test.queue.resume(&Target::Step(Step::Objects)).await.unwrap();
    until("the pairs are ready", async || test.queue.stats().await.unwrap().ready == 3).await;
    workers.stop().await;
}

#[tokio::test]
async fn a_paused_responder_holds_up_the_steps_that_ask_it_and_no_others() {
    let test = TestQueue::start().await;
    test.queue.pause(&responder(), "down", None).await.unwrap();
    test.queue.pause(&Target::Responder("other/model".to_owned()), "down too", None).await.unwrap();
    let pair = test.pairs(1).await.remove(0).id;
    let objects = test.claim(Step::Objects, "one").await;
    let next = [Step::Execute, Step::Question].map(|step| crate::support::queue::next_job(pair, step));
    let commit = mondo_jobs::queue::Commit { next: next.to_vec(), ..Default::default() };
    test.queue.commit(&objects, &commit).await.unwrap();

    let workers = workers(&test, None);
    until("execute runs", async || workers.seen() == 1).await;
    tokio::time::sleep(SEEN).await;
    assert_eq!(workers.seen(), 1);
    assert_eq!(workers.seen.lock().unwrap()[0].step, Step::Execute);
    assert_eq!(test.queue.responders().await.unwrap().len(), 2);
    test.queue.resume(&responder()).await.unwrap();
    until("the others run", async || workers.seen() > 1).await;
    workers.stop().await;
}

/// DESIGN section 6: it pauses that responder and says so; it stops neither the API nor the other responders.
#[tokio::test]
async fn a_responder_that_refuses_the_credentials_is_paused_with_what_it_said() {
    let test = TestQueue::start().await;
    test.queue.start(&[record::new_pair(7, 0).unwrap()]).await.unwrap();
    let delivery = test.claim(Step::Objects, "worker").await;
    let refusal =
        || LlmError::Unauthorized { responder: "fake/model".to_owned(), message: "no such key".to_owned() };
    let runner = runner(&test, FakeLlm::new(move |_| Err(refusal())));
    for _ in 0..2 {
        let failure = runner.handle(&delivery).await.unwrap_err();
        assert_eq!(failure.disposition, Disposition::Halt);
    }
    let pauses = test.queue.pauses().await.unwrap();
    assert_eq!((pauses.len(), &pauses[0].target), (1, &responder()));
    assert!(pauses[0].reason.contains("no such key"), "{pauses:?}");
    assert!((500_000..=600_000).contains(&pauses[0].ends_in_ms.unwrap()), "it is tried again by itself");
}

#[tokio::test]
async fn upstream_steps_slow_down_while_nobody_takes_the_ready_pairs() {
    let test = TestQueue::start().await;
    test.make_ready(b"1").await;
    test.make_ready(b"2").await;
    test.pairs(40).await;
    let high = mondo_jobs::queue::NewPair { priority: Priority::High, ..crate::support::queue::new_pair() };
    test.queue.start(&[high]).await.unwrap();
    let started = tokio::time::Instant::now();
    let workers = workers(&test, Some(2));
    let objects = || workers.seen.lock().unwrap().iter().filter(|job| job.step == Step::Objects).count();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (ran, seconds) = (objects(), started.elapsed().as_secs());
    assert!(ran >= 1, "it slows and does not stop");
    // A read that waits may bring one of each priority.
    assert!(ran as u64 <= seconds + 3, "{ran} jobs in {seconds} s");
    let seen = workers.seen.lock().unwrap().clone();
    assert_eq!(seen[0].priority, Priority::High, "what somebody waits for goes first all the same");

    while let Some(taken) = test.queue.take().await.unwrap() {
        test.queue.delivered(taken.pair).await.unwrap();
    }
    let taking = async || {
        while let Some(taken) = test.queue.take().await.unwrap() {
            test.queue.delivered(taken.pair).await.unwrap();
        }
        objects() == 41
    };
    until("all go on once the pairs are taken", taking).await;
    workers.stop().await;
}
