//! What a run stores about itself, and what becomes of it when the pair's keys are not what they should be.

use std::sync::Arc;

use mondo_jobs::{
    finding::FindingClass,
    job::Step,
    pair::StepRecord,
    ports::{
        Execution, LlmError,
        fake::{FakeLlm, FakeSandbox, blocking, reply, report},
    },
    queue::Delivery,
    record,
    step::{Disposition, Limits},
    steps::Personas,
};
use mondo_workers::{backend::Handler as _, llm::journal::Journal, runner::Runner};
use redis::AsyncCommands as _;

use crate::support::{
    canned_llm,
    queue::{TestQueue, death},
};

pub(crate) fn runner(test: &TestQueue, llm: FakeLlm) -> Runner {
    runner_of(test, Arc::new(llm))
}

fn runner_of(test: &TestQueue, llm: Arc<FakeLlm>) -> Runner {
    Runner {
        queue: test.queue.clone(),
        journal: Journal::new(test.queue.clone(), None),
        llm,
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

/// The next job of any step.
async fn next(test: &TestQueue) -> Option<Delivery> {
    for step in Step::ALL {
        if let Some(delivery) = test.claims(step, "worker", 1).await.pop() {
            return Some(delivery);
        }
    }
    None
}

/// Replaying a dead letter runs the step again from its beginning, whichever step it is; what the letter's runs
/// had asked is read from the journal. The first page blocks, so that the line leads through fix.
#[tokio::test]
async fn a_dead_letter_of_any_step_that_is_replayed_pays_for_nothing_again() {
    let test = TestQueue::start().await;
    test.queue.start(&[record::new_pair(7, 0).unwrap()]).await.unwrap();
    let llm = Arc::new(FakeLlm::new(|request| {
        Ok(reply(canned_llm::reply(request.purpose, request.seed).to_string()))
    }));
    let broken = |execution: &Execution| {
        let found = execution.page.contains("cuont").then(|| blocking(FindingClass::Exception, "cuont", 7));
        Ok(report(found.into_iter().collect()))
    };
    let runner = Runner { sandbox: Arc::new(FakeSandbox::new(broken)), ..runner_of(&test, llm.clone()) };

    let mut steps = Vec::new();
    while let Some(delivery) = next(&test).await {
        steps.push(delivery.step);
        runner.handle(&delivery).await.unwrap();
        let asked = llm.asked().len();
        let killed = death(1, "test", &["killed on purpose"]);
        assert!(test.queue.bury(&delivery, "worker", &killed).await.unwrap());
        assert!(test.queue.replay(delivery.job.as_str()).await.unwrap().is_some());
        let replayed = next(&test).await.expect("the replayed job");
        assert_eq!(replayed.job, delivery.job);
        let commit = runner.handle(&replayed).await.unwrap();
        assert_eq!(llm.asked().len(), asked, "{} paid again", delivery.step);
        test.queue.commit(&replayed, &commit).await.unwrap();
    }
    let line =
        [Step::Objects, Step::Question, Step::Answer, Step::Execute, Step::Fix, Step::Execute, Step::Solve];
    assert_eq!(steps, line);
    let stats = test.queue.stats().await.unwrap();
    assert_eq!((stats.ready, stats.counters["llm_calls"]), (1, 5));
}
