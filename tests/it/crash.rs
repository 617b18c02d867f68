//! Worker processes that are killed in the middle of a step: another one finishes the pairs, each once.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use mondo_jobs::{
    job::Step,
    ports::Purpose,
    queue::{Queue, Stats},
    record,
};
use secrecy::ExposeSecret as _;

use crate::support::{
    canned_llm::CannedLlm,
    http::{Client, until},
    program::Running,
    queue,
    redis::TestRedis,
};

/// Pairs in each test.
const PAIRS: u64 = 2;
/// Commits of one pair: objects, question, answer, execute, fix, execute, solve.
const COMMITS: u64 = 7;
/// Long enough for any machine; a test ends as soon as what it waits for is there.
const DEADLINE: Duration = Duration::from_mins(2);

struct Crash {
    redis: TestRedis,
    queue: Queue,
    llm: CannedLlm,
    dir: tempfile::TempDir,
}

impl Crash {
    async fn start() -> Self {
        let redis = TestRedis::start().await;
        let queue = queue::connect(redis.url(), Duration::from_secs(3)).await;
        let pairs: Vec<_> = (0..PAIRS).map(|seed| record::new_pair(seed, 0).unwrap()).collect();
        queue.start(&pairs).await.unwrap();
        Self { redis, queue, llm: CannedLlm::start().await, dir: tempfile::tempdir().unwrap() }
    }

    fn process(&self, arguments: &[&str], listen: &str, log: &Path) -> Running {
        let url = self.redis.url();
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
            ("MONDO_SANDBOX", "local"),
            ("MONDO_SANDBOX_SLOTS", "1"),
            ("MONDO_LISTEN", listen),
        ];
        Running::start(arguments, &settings, log)
    }

    fn worker(&self, name: &str) -> Running {
        self.process(&["worker"], "127.0.0.1:0", &self.dir.path().join(name))
    }

    async fn until(&self, what: &str, happened: impl Fn(&Stats) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let stats = self.queue.stats().await.unwrap();
            if happened(&stats) {
                return;
            }
            assert!(Instant::now() < deadline, "{what} did not come: {stats:?}\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn logs(&self) -> String {
        let files = std::fs::read_dir(self.dir.path()).unwrap();
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap_or_default()).collect()
    }

    /// Every pair is ready, has committed each step once, and leaves through the API once.
    async fn finishes_once(&self) {
        self.until("the last pair", |stats| stats.ready == PAIRS).await;
        let stats = self.queue.stats().await.unwrap();
        assert_eq!((stats.open, stats.dead), (0, 0), "{stats:?}");
        assert_eq!(stats.counters["committed"].unsigned_abs(), PAIRS * COMMITS, "{stats:?}");
        assert_eq!(stats.counters["ready"].unsigned_abs(), PAIRS);
        assert_eq!(self.queue.doctor().await.unwrap(), []);
        // Alive until Redis has been told: an API that is killed before gives the pair to somebody again.
        let _api = self.leave_through_the_api().await;
        self.until("the last delivery", |stats| stats.counters.get("delivered") == Some(&2)).await;
    }

    async fn leave_through_the_api(&self) -> Running {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let api = self.process(&["api"], &address.to_string(), &self.dir.path().join("api"));
        until("the API listens", async || Client::connect(address).await.is_ok()).await;
        let mut client = Client::connect(address).await.unwrap();
        let mut ids = std::collections::HashSet::new();
        for _ in 0..PAIRS {
            client.ask("GET", "/api/synthetic-gen").await;
            let reply = client.reply().await.json();
            assert_eq!(reply["success"], true, "{reply}");
            ids.insert(reply["body"]["metadata"]["pair_id"].as_str().unwrap().to_owned());
        }
        assert_eq!(ids.len() as u64, PAIRS, "a pair came twice");
        api
    }
}

/// Kills the only worker while the responder is being asked for `purpose`.
async fn killed_while_asking(purpose: Purpose) {
    let crash = Crash::start().await;
    crash.llm.hold(purpose);
    let mut first = crash.worker("first");
    crash.until("the call", |_| crash.llm.was_asked(purpose)).await;
    let _second = crash.worker("second");

    first.kill();
    crash.llm.release();

    crash.finishes_once().await;
}

#[tokio::test]
async fn a_worker_killed_in_objects_loses_nothing() {
    killed_while_asking(Purpose::Objects).await;
}

#[tokio::test]
async fn a_worker_killed_in_question_loses_nothing() {
    killed_while_asking(Purpose::Question).await;
}

#[tokio::test]
async fn a_worker_killed_in_answer_loses_nothing() {
    killed_while_asking(Purpose::Answer).await;
}

#[tokio::test]
async fn a_worker_killed_in_execute_loses_nothing() {
    let crash = Crash::start().await;
    let mut first = crash.worker("first");
    let executing =
        |stats: &Stats| stats.steps.iter().any(|step| step.step == Step::Execute && step.running > 0);
    crash.until("the execution", executing).await;
    let _second = crash.worker("second");

    first.kill();

    crash.finishes_once().await;
}

#[tokio::test]
async fn a_worker_killed_in_fix_loses_nothing() {
    killed_while_asking(Purpose::Fix).await;
}

#[tokio::test]
async fn a_worker_killed_in_solve_loses_nothing() {
    killed_while_asking(Purpose::Solve).await;
}
