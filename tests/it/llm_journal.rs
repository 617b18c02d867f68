//! Nothing paid is paid again, also when Redis goes away with a reply in hand.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mondo_jobs::{
    job::{Job, Step},
    pair::PairId,
    ports::{Llm, LlmError, Memory as _, Purpose, RecentList, Reply, Request},
    queue::{Commit, Queue},
    step::Disposition,
};
use mondo_workers::llm::{
    journal::{Journal, Journaled, Tally},
    openai::{OpenAi, OpenAiConfig},
};
use redis::AsyncCommands as _;
use tokio::sync::{Mutex, Notify};

use crate::support::{
    openai_server::{Manner, OpenAiServer, Turn, request},
    queue::{TestQueue, connect, new_pair},
    redis::TestRedis,
};

const RESPONDER: &str = "test/asked-model";

async fn queue(redis: &TestRedis) -> Queue {
    connect(redis.url(), Duration::from_secs(15)).await
}

/// A pair under way.
async fn pair(queue: &Queue) -> PairId {
    let pair = new_pair();
    queue.start(std::slice::from_ref(&pair)).await.unwrap();
    pair.id
}

/// A journal without a spool.
fn journal(queue: &Queue) -> Journal {
    Journal::new(queue.clone(), None)
}

/// A server whose calls cost 48 millionths of a dollar, and a way to ask it.
async fn priced() -> (OpenAiServer, Arc<dyn Llm>) {
    let server = OpenAiServer::saying("a kite").await;
    let config = OpenAiConfig { price_in: 3.0, price_out: 3.0, ..server.config() };
    let client = Arc::new(OpenAi::new(&config).expect("a client"));
    (server, client)
}

#[tokio::test]
async fn a_reply_is_paid_for_once_whoever_asks_again() {
    let redis = TestRedis::start().await;
    let queue = queue(&redis).await;
    let (server, client) = priced().await;
    let first = Job::first(pair(&queue).await);
    let journaled = |job: &Job| Journaled::new(client.clone(), RESPONDER, journal(&queue), job);

    let bought = journaled(&first).complete(&request("name an object")).await.unwrap();
    let other = Job { step: Step::Question, ..first.clone() };
    for job in [&first, &other] {
        assert_eq!(journaled(job).complete(&request("name an object")).await.unwrap(), bought);
    }
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn a_reply_counts_once_for_the_job_that_paid_and_for_no_other() {
    let redis = TestRedis::start().await;
    let queue = queue(&redis).await;
    let (_server, client) = priced().await;
    let job = Job::first(pair(&queue).await);
    let journaled = |job: &Job| Journaled::new(client.clone(), RESPONDER, journal(&queue), job);
    let once = Tally { calls: 1, cost_micro_usd: 48 };

    // The second attempt has the replies of the first from the journal.
    for attempt in 0..2 {
        let run = journaled(&job);
        run.complete(&request("name an object")).await.unwrap();
        run.complete(&request("name an object")).await.unwrap();
        assert_eq!(run.tally(), once, "attempt {attempt}");
    }

    let other = journaled(&Job { step: Step::Question, ..job });
    other.complete(&request("name an object")).await.unwrap();
    assert_eq!(other.tally(), Tally::default());
}

#[tokio::test]
async fn another_request_pair_or_responder_is_asked_anew() {
    let redis = TestRedis::start().await;
    let queue = queue(&redis).await;
    let (server, client) = priced().await;
    let (one, other) = (pair(&queue).await, pair(&queue).await);
    let journaled =
        |responder: &str, pair| Journaled::new(client.clone(), responder, journal(&queue), &Job::first(pair));

    journaled(RESPONDER, one).complete(&request("name an object")).await.unwrap();
    journaled(RESPONDER, one).complete(&request("name another")).await.unwrap();
    let solve = Request { purpose: Purpose::Solve, ..request("name an object") };
    journaled(RESPONDER, one).complete(&solve).await.unwrap();
    journaled("test/other-model", one).complete(&request("name an object")).await.unwrap();
    journaled(RESPONDER, other).complete(&request("name an object")).await.unwrap();
    assert_eq!(server.calls().len(), 5);
}

#[tokio::test]
async fn a_failed_call_is_neither_stored_nor_counted() {
    let redis = TestRedis::start().await;
    let queue = queue(&redis).await;
    let (server, client) = priced().await;
    server.then(Turn::Answer(Manner::Cut));
    let journaled = Journaled::new(client, RESPONDER, journal(&queue), &Job::first(pair(&queue).await));
    journaled.complete(&request("name an object")).await.unwrap_err();
    assert_eq!(journaled.tally(), Tally::default());
    assert_eq!(journaled.complete(&request("name an object")).await.unwrap().text, "a kite");
    assert_eq!(journaled.tally().calls, 1);
}

#[tokio::test]
async fn a_prompt_is_made_from_the_same_objects_when_its_job_is_run_again() {
    let line = TestQueue::start().await;
    let (_server, client) = priced().await;
    let memory = |pair| Journaled::new(client.clone(), RESPONDER, journal(&line.queue), &Job::first(pair));
    let started = line.pairs(2).await;
    let (early, late) = (started[0].id, started[1].id);

    assert!(memory(early).recent(RecentList::Objects).await.unwrap().is_empty());
    let remember = vec![
        (RecentList::Objects, "a kite".to_owned()),
        (RecentList::Questions, "How does a kite fly?".to_owned()),
    ];
    let delivery = line.claim(Step::Objects, "worker").await;
    line.queue.commit(&delivery, &Commit { remember, ..Commit::default() }).await.unwrap();

    assert!(memory(early).recent(RecentList::Objects).await.unwrap().is_empty());
    assert_eq!(memory(late).recent(RecentList::Objects).await.unwrap(), ["a kite"]);
    assert_eq!(memory(early).recent(RecentList::Questions).await.unwrap(), ["How does a kite fly?"]);
}

/// A responder during whose call Redis dies.
struct Fatal {
    llm: Arc<dyn Llm>,
    redis: Arc<Mutex<TestRedis>>,
    died: Arc<Notify>,
}

#[async_trait]
impl Llm for Fatal {
    async fn complete(&self, request: &Request) -> Result<Reply, LlmError> {
        let reply = self.llm.complete(request).await;
        self.redis.lock().await.server.kill();
        self.died.notify_one();
        reply
    }
}

#[tokio::test]
async fn a_paid_reply_waits_for_redis_to_come_back() {
    let redis = TestRedis::start().await;
    let queue = queue(&redis).await;
    let (server, client) = priced().await;
    let job = Job::first(pair(&queue).await);
    let redis = Arc::new(Mutex::new(redis));
    let died = Arc::new(Notify::new());
    let fatal = Arc::new(Fatal { llm: client.clone(), redis: redis.clone(), died: died.clone() });
    let journaled = Journaled::new(fatal, RESPONDER, journal(&queue), &job);

    let asked = request("name an object");
    let revived = async {
        died.notified().await;
        redis.lock().await.server.revive().await.expect("the same Redis again");
    };
    let (reply, ()) = tokio::join!(journaled.complete(&asked), revived);
    reply.unwrap();

    let again = Journaled::new(client, RESPONDER, journal(&queue), &job);
    again.complete(&asked).await.unwrap();
    assert_eq!(server.calls().len(), 1, "the reply was stored after all");
}

#[tokio::test]
async fn nothing_is_asked_while_the_journal_cannot_be_read() {
    let mut redis = TestRedis::start().await;
    let queue = queue(&redis).await;
    let (server, client) = priced().await;
    let job = Job::first(pair(&queue).await);
    redis.server.kill();
    let journal = journal(&queue).patient_for(Duration::from_millis(300));
    let journaled = Journaled::new(client, RESPONDER, journal, &job);
    let error = journaled.complete(&request("name an object")).await.unwrap_err();
    assert_eq!((error.class(), error.disposition()), ("journal", Disposition::Wait { after: None }));
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn a_journal_that_is_none_buries_its_job_before_anything_is_paid() {
    let redis = TestRedis::start().await;
    let queue = queue(&redis).await;
    let (server, client) = priced().await;
    let (spoilt, pair) = (pair(&queue).await, pair(&queue).await);
    let mut connection = redis.connection().await;
    let () = connection.set(format!("{{test:0}}:pair:{spoilt}:journal"), "no hash").await.unwrap();
    let journaled = |pair| Journaled::new(client.clone(), RESPONDER, journal(&queue), &Job::first(pair));

    let error = journaled(spoilt).complete(&request("name an object")).await.unwrap_err();
    assert_eq!((error.class(), error.disposition()), ("journal_unusable", Disposition::Bury), "{error}");
    let error = journaled(spoilt).recent(RecentList::Objects).await.unwrap_err();
    assert_eq!((error.class(), error.disposition()), ("memory_unusable", Disposition::Bury), "{error}");
    assert!(server.calls().is_empty());

    // A reply that cannot be read back has been paid for all the same.
    journaled(pair).complete(&request("name an object")).await.unwrap();
    let key = format!("{{test:0}}:pair:{pair}:journal");
    let field: Vec<String> = connection.hkeys(&key).await.unwrap();
    let () = connection.hset(&key, &field[0], "no reply").await.unwrap();
    let error = journaled(pair).complete(&request("name an object")).await.unwrap_err();
    assert_eq!((error.class(), error.disposition()), ("journal_unusable", Disposition::Bury), "{error}");
    assert!(error.to_string().contains(&field[0]), "{error}");
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn a_reply_for_a_pair_that_has_ended_leaves_nothing_behind() {
    let line = TestQueue::start().await;
    let (_server, client) = priced().await;
    let ended = line.make_ready(b"{}").await;
    for pair in [ended, PairId::fresh()] {
        let journaled = Journaled::new(client.clone(), RESPONDER, journal(&line.queue), &Job::first(pair));
        assert_eq!(journaled.complete(&request("name an object")).await.unwrap().text, "a kite");
        let mut connection = line.redis.connection().await;
        let kept: bool = connection.exists(format!("{{test:0}}:pair:{pair}:journal")).await.unwrap();
        assert!(!kept, "nothing would ever remove it");
    }
}
