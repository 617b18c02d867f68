//! Promise 3, nothing paid is paid again, while Redis is away, silent or refuses, and across `kill -9`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use mondo_jobs::{
    job::{Job, Step},
    ports::{Llm, LlmError, Purpose, Reply, Request},
    queue::{Commit, End, Queue},
    record,
};
use mondo_workers::llm::{
    journal::{Journal, Journaled},
    spool::{self, Spool, SpoolConfig, Usage},
};
use redis::AsyncCommands as _;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::support::{
    canned_llm::CannedLlm,
    openai_server::{OpenAiServer, request},
    program::{Running, run, text},
    queue::{TestQueue, connect},
    redis::TestRedis,
    wait::{until, within},
};

const RESPONDER: &str = "test/asked-model";

/// A worker's journal and spool beside a real Redis, and a server that is paid for each call.
struct Desk {
    line: TestQueue,
    server: OpenAiServer,
    dir: TempDir,
}

impl Desk {
    async fn start() -> Self {
        Self {
            line: TestQueue::start().await,
            server: OpenAiServer::saying("a kite").await,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// What a process knows that has just started.
    async fn journal(&self) -> Journal {
        self.journal_of(1024 * 1024).await
    }

    async fn journal_of(&self, bytes_max: u64) -> Journal {
        let config = SpoolConfig { dir: self.dir.path().to_owned(), bytes_max };
        Journal::new(self.line.queue.clone(), Some(Spool::open(config).await.unwrap()))
    }

    async fn job(&self) -> Job {
        Job::first(self.line.pairs(1).await.remove(0).id)
    }

    async fn ask(&self, journal: &Journal, job: &Job) -> Result<Reply, LlmError> {
        let client = Arc::new(self.server.client());
        Journaled::new(client, RESPONDER, journal.clone(), job).complete(&request("name an object")).await
    }

    /// Asks, and Redis takes no write from when the reply is there.
    async fn ask_and_refuse(&self, journal: &Journal, job: &Job) -> Reply {
        self.ask_and_stop(journal, job, false).await
    }

    async fn ask_and_stop(&self, journal: &Journal, job: &Job, silently: bool) -> Reply {
        let (llm, queue) = (self.server.client(), self.connection().await);
        let refusing = Arc::new(Refusing { llm, queue, silently });
        let journaled = Journaled::new(refusing, RESPONDER, journal.clone(), job);
        within("the reply", journaled.complete(&request("name an object"))).await.unwrap()
    }

    async fn connection(&self) -> redis::aio::MultiplexedConnection {
        self.line.redis.connection().await
    }

    async fn redis_takes_writes_again(&self) {
        min_replicas(&mut self.connection().await, 0).await;
    }

    fn waiting(&self) -> usize {
        spool::usage(self.dir.path()).unwrap().records
    }
}

/// Holds up every write from now on.
async fn hold_writes(connection: &mut redis::aio::MultiplexedConnection) {
    let pause = redis::cmd("CLIENT").arg(&["PAUSE", "3600000", "WRITE"]).to_owned();
    let () = pause.query_async(connection).await.unwrap();
}

async fn min_replicas(connection: &mut redis::aio::MultiplexedConnection, count: u32) {
    let set = redis::cmd("CONFIG").arg("SET").arg("min-replicas-to-write").arg(count).to_owned();
    let () = set.query_async(connection).await.unwrap();
}

/// A responder during whose call Redis stops to take writes: it refuses them, or is silent.
struct Refusing {
    llm: mondo_workers::llm::openai::OpenAi,
    queue: redis::aio::MultiplexedConnection,
    silently: bool,
}

#[async_trait]
impl Llm for Refusing {
    async fn complete(&self, request: &Request) -> Result<Reply, LlmError> {
        let reply = self.llm.complete(request).await;
        let mut redis = self.queue.clone();
        if self.silently {
            hold_writes(&mut redis).await;
        } else {
            min_replicas(&mut redis, 1).await;
        }
        reply
    }
}

#[tokio::test]
async fn a_reply_that_redis_refuses_is_used_at_once_and_journaled_later() {
    let desk = Desk::start().await;
    let (journal, job) = (desk.journal().await, desk.job().await);
    let reply = desk.ask_and_refuse(&journal, &job).await;
    assert_eq!((reply.text.as_str(), desk.waiting()), ("a kite", 1));
    journal.offer().await.unwrap_err();
    assert_eq!(desk.ask(&journal, &job).await.unwrap(), reply, "the job is run again, and reads the spool");

    desk.redis_takes_writes_again().await;
    assert_eq!(journal.offer().await.unwrap(), 1);
    assert_eq!(spool::usage(desk.dir.path()).unwrap(), Usage::default());
    let elsewhere = Journal::new(desk.line.queue.clone(), None);
    assert_eq!(desk.ask(&elsewhere, &job).await.unwrap(), reply);
    assert_eq!(desk.server.calls().len(), 1);
}

#[tokio::test]
async fn a_reply_that_redis_is_silent_about_is_used_and_journaled_once_it_speaks() {
    let desk = Desk::start().await;
    let (journal, job) = (desk.journal().await, desk.job().await);
    let reply = desk.ask_and_stop(&journal, &job, true).await;
    assert_eq!((reply.text.as_str(), desk.waiting()), ("a kite", 1), "an hour before Redis takes it");

    let unpause = redis::cmd("CLIENT").arg("UNPAUSE").to_owned();
    let () = unpause.query_async(&mut desk.connection().await).await.unwrap();
    journal.offer().await.unwrap();
    assert_eq!(desk.waiting(), 0);
    let elsewhere = Journal::new(desk.line.queue.clone(), None);
    assert_eq!(desk.ask(&elsewhere, &job).await.unwrap(), reply);
    assert_eq!(desk.server.calls().len(), 1);
}

#[tokio::test]
async fn what_is_spooled_goes_to_redis_by_itself() {
    let desk = Desk::start().await;
    let (journal, job) = (desk.journal().await, desk.job().await);
    let stop = tokio_util::sync::CancellationToken::new();
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(journal.clone().run(stop.clone()));
    desk.ask_and_refuse(&journal, &job).await;
    assert_eq!(desk.waiting(), 1);
    desk.redis_takes_writes_again().await;
    until("the spool is empty", async || desk.waiting() == 0).await;
    stop.cancel();
    tasks.close();
    within("the end", tasks.wait()).await;
}

#[tokio::test]
async fn the_first_reply_under_a_key_stays() {
    let desk = Desk::start().await;
    let (journal, job) = (desk.journal().await, desk.job().await);
    desk.ask_and_refuse(&journal, &job).await;
    desk.redis_takes_writes_again().await;

    // Another machine cannot see this spool, and is quicker.
    let elsewhere = Journal::new(desk.line.queue.clone(), None);
    let quicker = OpenAiServer::saying("a drum").await;
    let journaled = Journaled::new(Arc::new(quicker.client()), RESPONDER, elsewhere, &job);
    assert_eq!(journaled.complete(&request("name an object")).await.unwrap().text, "a drum");

    journal.offer().await.unwrap();
    assert_eq!(desk.ask(&journal, &job).await.unwrap().text, "a drum");
    assert_eq!(desk.waiting(), 0);
}

#[tokio::test]
async fn a_spooled_reply_whose_pair_has_ended_leaves_nothing_behind() {
    let desk = Desk::start().await;
    let (journal, job) = (desk.journal().await, desk.job().await);
    desk.ask_and_refuse(&journal, &job).await;
    desk.redis_takes_writes_again().await;
    let delivery = desk.line.claim(Step::Objects, "worker").await;
    let end = Some(End::Rejected { reason: "enough".to_owned() });
    desk.line.queue.commit(&delivery, &Commit { end, ..Commit::default() }).await.unwrap();

    assert_eq!(journal.offer().await.unwrap(), 1);
    let kept: bool =
        desk.connection().await.exists(format!("{{test:0}}:pair:{}:journal", job.pair)).await.unwrap();
    assert!(!kept, "nothing would ever remove it");
    assert_eq!(desk.waiting(), 0);
}

#[tokio::test]
async fn a_spooled_reply_that_cannot_be_journaled_stops_no_other() {
    let desk = Desk::start().await;
    let (journal, spoilt, job) = (desk.journal().await, desk.job().await, desk.job().await);
    desk.ask_and_refuse(&journal, &spoilt).await;
    desk.ask_and_refuse(&journal, &job).await;
    desk.redis_takes_writes_again().await;
    let key = format!("{{test:0}}:pair:{}:journal", spoilt.pair);
    let () = desk.connection().await.set(key, "no hash").await.unwrap();

    journal.offer().await.unwrap();
    assert_eq!(spool::usage(desk.dir.path()).unwrap(), Usage { records: 0, bytes: 0, set_aside: 1 });
    desk.ask(&Journal::new(desk.line.queue.clone(), None), &job).await.unwrap();
    assert_eq!(desk.server.calls().len(), 2);
}

/// A responder during whose call Redis falls silent.
struct Silencing {
    llm: mondo_workers::llm::openai::OpenAi,
    redis: u32,
    replied: Arc<Notify>,
}

#[async_trait]
impl Llm for Silencing {
    async fn complete(&self, request: &Request) -> Result<Reply, LlmError> {
        let reply = self.llm.complete(request).await;
        signal("-STOP", self.redis);
        self.replied.notify_one();
        reply
    }
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").arg(name).arg(pid.to_string()).status().unwrap().success());
}

/// A handler whose lease is lost, or whose time is over, is dropped; the last moment at which a reply can be in
/// its hands is while it is being filed.
#[tokio::test]
async fn a_reply_that_was_read_is_filed_although_its_handler_is_dropped() {
    let desk = Desk::start().await;
    let (journal, job) = (desk.journal().await, desk.job().await);
    let (redis, replied) = (desk.line.redis.server.pid(), Arc::<Notify>::default());
    let silencing = Silencing { llm: desk.server.client(), redis, replied: replied.clone() };
    let journaled = Journaled::new(Arc::new(silencing), RESPONDER, journal.clone(), &job);
    let asked = request("name an object");
    tokio::select! {
        biased;
        reply = journaled.complete(&asked) => panic!("filed too early: {reply:?}"),
        () = replied.notified() => {}
    }
    assert_eq!(desk.ask(&journal, &job).await.unwrap().text, "a kite", "it is in hand until it is filed");
    journal.close(Duration::from_mins(1)).await;
    assert_eq!(desk.waiting(), 1);
    signal("-CONT", redis);
    assert_eq!(desk.server.calls().len(), 1);
}

#[tokio::test]
async fn with_a_full_spool_a_reply_waits_for_redis() {
    let desk = Desk::start().await;
    let (journal, job) = (desk.journal_of(10).await, desk.job().await);
    {
        let mut reply = std::pin::pin!(desk.ask_and_refuse(&journal, &job));
        let early = tokio::time::timeout(Duration::from_secs(1), &mut reply).await;
        assert!(early.is_err(), "used before it was safe: {early:?}");
        desk.redis_takes_writes_again().await;
        reply.await;
    }
    assert_eq!(desk.waiting(), 0);
    desk.ask(&journal, &job).await.unwrap();
    assert_eq!(desk.server.calls().len(), 1);
}

/// Worker processes of the first three steps, and a Redis that goes away while the first one asks.
struct Outage {
    redis: TestRedis,
    queue: Queue,
    llm: CannedLlm,
    dir: TempDir,
}

impl Outage {
    async fn start() -> Self {
        let redis = TestRedis::start().await;
        let queue = connect(redis.url(), Duration::from_secs(3)).await;
        queue.start(&[record::new_pair(1, 0).unwrap()]).await.unwrap();
        Self { redis, queue, llm: CannedLlm::start().await, dir: tempfile::tempdir().unwrap() }
    }

    fn worker(&self, log: &str) -> Running {
        let (url, data) = (self.redis.url(), self.dir.path().join("data"));
        let settings = [
            ("REDIS_URL", url.expose_secret()),
            ("MONDO_PREFIX", "test"),
            ("MONDO_LEASE_SECS", "3"),
            ("MONDO_READY_LOW", "0"),
            ("MONDO_READY_HIGH", "0"),
            ("MONDO_RESPONDER", "openai"),
            ("MONDO_BASE_URL", self.llm.base_url()),
            ("MONDO_API_KEY", "sk-canned"),
            ("MONDO_MODEL", "canned"),
            ("MONDO_DATA_DIR", data.to_str().unwrap()),
        ];
        Running::start(
            &["worker", "--steps", "objects,question,answer"],
            &settings,
            &self.dir.path().join(log),
        )
    }

    fn spool(&self) -> PathBuf {
        self.dir.path().join("data").join("spool").join("test")
    }

    /// Redis dies while `purpose` is asked; the reply comes, is spooled, and its worker is killed.
    async fn strikes_while_asking(&mut self, purpose: Purpose, worker: &mut Running) {
        until("the call", async || self.llm.was_asked(purpose)).await;
        self.redis.server.kill();
        self.llm.release();
        until("the reply is spooled", async || spool::usage(&self.spool()).unwrap().records == 1).await;
        worker.kill();
        let (code, said) = self.stats();
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("paid replies that wait for Redis: 1 ("), "{said}");
    }

    /// What `mondo stats` says of itself, which must not need Redis for that.
    fn stats(&self) -> (i32, String) {
        let (url, data) = (self.redis.url(), self.dir.path().join("data"));
        let settings = [
            ("REDIS_URL", url.expose_secret()),
            ("MONDO_REDIS_WAIT_SECS", "0"),
            ("MONDO_PREFIX", "test"),
            ("MONDO_DATA_DIR", data.to_str().unwrap()),
        ];
        let output = run(&["stats"], &settings);
        (output.status.code().unwrap(), text(&output.stderr))
    }

    async fn everything_was_paid_once(&self) {
        until("the answer", async || {
            // The first call learns that the connection is gone.
            let Ok(stats) = self.queue.stats().await else { return false };
            stats.steps.iter().any(|step| step.step == Step::Execute && step.waiting > 0)
        })
        .await;
        let paid = self.llm.paid();
        assert_eq!(paid.len(), 3, "{paid:?}");
        assert!(paid.values().all(|times| *times == 1), "{paid:?}");
        until("the spool is empty", async || spool::usage(&self.spool()).unwrap().records == 0).await;
    }
}

async fn killed_after_spooling(purpose: Purpose) {
    let mut outage = Outage::start().await;
    outage.llm.hold(purpose);
    let mut first = outage.worker("first");
    outage.strikes_while_asking(purpose, &mut first).await;
    outage.redis.server.revive().await.unwrap();
    let _second = outage.worker("second");
    outage.everything_was_paid_once().await;
}

#[tokio::test]
async fn a_worker_killed_after_it_spooled_objects_pays_for_nothing_again() {
    killed_after_spooling(Purpose::Objects).await;
}

#[tokio::test]
async fn a_worker_killed_after_it_spooled_an_answer_pays_for_nothing_again() {
    killed_after_spooling(Purpose::Answer).await;
}

#[tokio::test]
async fn a_worker_beside_takes_over_what_a_killed_one_had_spooled() {
    let mut outage = Outage::start().await;
    outage.llm.hold(Purpose::Question);
    let mut first = outage.worker("first");
    until("the call", async || outage.llm.was_asked(Purpose::Question)).await;
    let _beside = outage.worker("beside");
    until("two files", async || std::fs::read_dir(outage.spool()).unwrap().count() == 2).await;
    outage.strikes_while_asking(Purpose::Question, &mut first).await;
    outage.redis.server.revive().await.unwrap();
    outage.everything_was_paid_once().await;
}

/// Runs a worker on a disk of its own of this size.
async fn worker_on_a_disk_of(bytes: usize) -> (i32, String) {
    let redis = TestRedis::start().await;
    let data = tempfile::tempdir().unwrap();
    let output = Command::new("bwrap")
        .args(["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--size", &bytes.to_string()])
        .args([Path::new("--tmpfs"), data.path(), Path::new(env!("CARGO_BIN_EXE_mondo"))])
        .args(["worker", "--steps", "objects"])
        .env("REDIS_URL", redis.url().expose_secret())
        .env("MONDO_DATA_DIR", data.path())
        .output()
        .unwrap();
    (output.status.code().unwrap(), text(&output.stderr))
}

#[tokio::test]
async fn a_worker_without_room_for_a_spool_does_not_start_and_says_what_to_do() {
    let (code, said) = worker_on_a_disk_of(16 * 1024).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("No space left on device") && said.contains("set MONDO_DATA_DIR"), "{said}");
}
