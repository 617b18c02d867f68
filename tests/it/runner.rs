//! What a run stores about itself, and what becomes of it when the pair's keys are not what they should be.

use std::sync::Arc;

use mondo_jobs::{
    job::Step,
    pair::StepRecord,
    ports::{
        LlmError,
        fake::{FakeLlm, FakeSandbox, reply},
    },
    record,
    step::{Disposition, Limits},
    steps::Personas,
};
use mondo_workers::{backend::Handler as _, runner::Runner};
use redis::AsyncCommands as _;

use crate::support::queue::TestQueue;

fn runner(test: &TestQueue, llm: FakeLlm) -> Runner {
    Runner {
        queue: test.queue.clone(),
        llm: Arc::new(llm),
        responder: "fake/model".into(),
        sandbox: Arc::new(FakeSandbox::finding(Vec::new())),
        personas: Arc::new(Personas::embedded()),
        limits: Limits { fix_rounds_max: 5 },
    }
}

#[tokio::test]
async fn what_a_failed_attempt_paid_for_is_counted_by_the_one_that_commits() {
    let test = TestQueue::start().await;
    test.queue.start(&[record::new_pair(7, 0).unwrap()]).await.unwrap();
    let delivery = test.claim(Step::Objects, "worker").await;
    let mut replies = vec![
        Ok(reply("no objects")),
        Err(LlmError::Unavailable { responder: "fake".to_owned(), message: "gone".to_owned() }),
        Ok(reply(r#"{"objects": ["kite", "drum", "lamp"]}"#)),
    ]
    .into_iter();
    let runner = runner(&test, FakeLlm::new(move |_| replies.next().unwrap()));

    let failure = runner.handle(&delivery).await.unwrap_err();
    assert_eq!((failure.disposition, failure.class.as_str()), (Disposition::Retry, "unavailable"));
    let commit = runner.handle(&delivery).await.unwrap();

    let record: StepRecord = serde_json::from_slice(&commit.record).unwrap();
    assert_eq!((record.llm_calls, record.cost_micro_usd), (2, 200));
    assert_eq!(commit.counters, [("llm_calls".to_owned(), 2), ("cost_micro_usd".to_owned(), 200)]);
}

#[tokio::test]
async fn a_job_whose_record_is_no_record_is_buried() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0).id;
    let delivery = test.claim(Step::Objects, "worker").await;
    let mut connection = test.redis.connection().await;
    let () = connection.set(format!("{{test:0}}:pair:{pair}"), "not a hash").await.unwrap();

    let failure = runner(&test, FakeLlm::replies([])).handle(&delivery).await.unwrap_err();
    assert_eq!((failure.disposition, failure.class.as_str()), (Disposition::Bury, "redis"), "{failure}");
}
