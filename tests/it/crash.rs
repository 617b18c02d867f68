//! Worker processes that are killed in the middle of a step: another one finishes the pairs, each once.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use mondo_jobs::{
    job::Step,
    ports::Purpose,
    queue::{DeadFilter, Queue, Stats},
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
        Self::with_pairs(PAIRS).await
    }

    async fn with_pairs(pairs: u64) -> Self {
        let redis = TestRedis::start().await;
        let queue = queue::connect(redis.url(), Duration::from_secs(3)).await;
        let pairs: Vec<_> = (0..pairs).map(|seed| record::new_pair(seed, 0).unwrap()).collect();
        queue.start(&pairs).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        // So many that no two pairs are for the same one.
        let personas: Vec<String> = (0..10_000).map(|number| format!("person number {number}")).collect();
        std::fs::write(dir.path().join("personas"), personas.join("\n")).unwrap();
        Self { redis, queue, llm: CannedLlm::start().await, dir }
    }

    fn process(&self, arguments: &[&str], listen: &str, log: &Path) -> Running {
        let url = self.redis.url();
        let personas = self.dir.path().join("personas");
        let settings = [
            ("MONDO_PERSONAS", personas.to_str().unwrap()),
            ("MONDO_GRACE_SECS", "1"),
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
            // Redis may be away for a moment.
            let stats = self.queue.stats().await;
            if stats.as_ref().is_ok_and(&happened) {
                return;
            }
            assert!(Instant::now() < deadline, "{what} did not come: {stats:?}\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }

    fn logs(&self) -> String {
        let files = std::fs::read_dir(self.dir.path()).unwrap().map(|file| file.unwrap().file_name());
        files.filter(|name| name != "personas").map(|name| self.log(name.to_str().unwrap())).collect()
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

fn signal(process: &Running, name: &str) {
    let pid = process.0.id().to_string();
    let sent = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
    assert!(sent.success());
}

#[tokio::test]
async fn a_worker_stopped_for_three_leases_commits_nothing_on_waking() {
    let crash = Crash::start().await;
    crash.llm.hold(Purpose::Question);
    let worker = |name: &str| {
        let log = crash.dir.path().join(name);
        crash.process(&["worker", "--steps", "objects,question"], "127.0.0.1:0", &log)
    };
    let first = worker("first");
    crash.until("the call", |_| crash.llm.was_asked(Purpose::Question)).await;
    signal(&first, "STOP");
    let stopped = Instant::now();
    let _second = worker("second");
    let taken_over = |stats: &Stats| stats.counters.get("reclaimed").is_some_and(|count| *count > 0);
    crash.until("the takeover", taken_over).await;
    // The replies that the stopped one waits for come as well; it finds them on waking.
    crash.llm.release();
    let committed = |stats: &Stats| stats.counters.get("committed").copied() == i64::try_from(2 * PAIRS).ok();
    crash.until("both questions", committed).await;
    tokio::time::sleep(Duration::from_secs(9).saturating_sub(stopped.elapsed())).await;

    signal(&first, "CONT");

    let told = ["lease is lost", "had been committed before", "came too late"];
    crash.until("it is told", |_| told.iter().any(|words| crash.log("first").contains(words))).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stats = crash.queue.stats().await.unwrap();
    assert!(committed(&stats) && stats.dead == 0, "{stats:?}");
    assert_eq!(crash.queue.doctor().await.unwrap(), []);
}

#[tokio::test]
async fn a_job_that_ends_three_workers_takes_no_other_job_with_it() {
    const INNOCENT: u64 = 20;
    let crash = Crash::with_pairs(INNOCENT + 1).await;
    crash.llm.poison_the_first();
    let mut kills = 0;
    while crash.queue.stats().await.unwrap().dead == 0 {
        let mut worker = crash.process(
            &["worker", "--steps", "objects"],
            "127.0.0.1:0",
            &crash.dir.path().join("poisoned"),
        );
        let asked_again = |stats: &Stats| stats.dead > 0 || crash.llm.poison_was_asked() > kills;
        crash.until("the poison", asked_again).await;
        if crash.llm.poison_was_asked() > kills {
            kills += 1;
            worker.kill();
        }
    }
    assert_eq!(kills, 3);
    let _worker =
        crash.process(&["worker", "--steps", "objects"], "127.0.0.1:0", &crash.dir.path().join("last"));
    let done = |stats: &Stats| stats.counters.get("committed").is_some_and(|count| *count == 20);
    crash.until("the innocent", done).await;
    let letters = crash.queue.dead(&DeadFilter::default(), 10).await.unwrap();
    assert_eq!(letters.len(), 1, "only the poison: {letters:?}");
    assert_eq!((letters[0].class.as_str(), letters[0].crashes), ("crashed", 3));
    assert!(letters[0].chain[0].contains("3 times"), "{:?}", letters[0].chain);
}

/// The process that a worker has started for a job, once it has.
async fn process_of_its_own(worker: &Running) -> u32 {
    let own = worker.0.id();
    let deadline = Instant::now() + DEADLINE;
    loop {
        for entry in std::fs::read_dir("/proc").unwrap() {
            let Ok(pid) = entry.unwrap().file_name().to_str().unwrap_or_default().parse::<u32>() else {
                continue;
            };
            let read =
                |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let parent =
                read("stat").rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
            if parent == Some(own) && read("cmdline").contains("--alone") {
                return pid;
            }
        }
        assert!(Instant::now() < deadline, "no process of its own");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_job_that_was_there_at_a_crash_runs_in_a_process_of_its_own() {
    const INNOCENT: u64 = 5;
    let crash = Crash::with_pairs(INNOCENT + 1).await;
    crash.llm.poison_the_first();
    let start = |name: &str| {
        crash.process(&["worker", "--steps", "objects"], "127.0.0.1:0", &crash.dir.path().join(name))
    };
    let mut first = start("first");
    crash.until("the poison", |_| crash.llm.poison_was_asked() == 1).await;
    first.kill();
    let mut second = start("second");
    for asked in [2, 3] {
        crash.until("the poison", |_| crash.llm.poison_was_asked() == asked).await;
        let process = process_of_its_own(&second).await;
        let killed = std::process::Command::new("kill").args(["-KILL", &process.to_string()]).status();
        assert!(killed.unwrap().success());
    }
    crash.until("the letter", |stats| stats.dead == 1).await;
    let committed = |stats: &Stats| stats.counters.get("committed").copied() == i64::try_from(INNOCENT).ok();
    crash.until("the innocent", committed).await;
    assert!(second.0.try_wait().unwrap().is_none(), "the worker is still there:\n{}", crash.logs());

    let letters = crash.queue.dead(&DeadFilter::default(), 10).await.unwrap();
    assert_eq!((letters[0].class.as_str(), letters[0].crashes, letters[0].attempts), ("crashed", 3, 0));
    assert!(letters[0].chain[1].contains("killed by signal 9"), "{:?}", letters[0].chain);
    assert!(letters[0].log.iter().any(|line| line.contains("process of its own")), "{:?}", letters[0].log);
    assert_eq!(crash.queue.doctor().await.unwrap(), []);
}

#[tokio::test]
async fn a_process_of_its_own_ends_with_the_worker_that_started_it() {
    let crash = Crash::with_pairs(1).await;
    crash.llm.poison_the_first();
    let start = |name: &str| {
        crash.process(&["worker", "--steps", "objects"], "127.0.0.1:0", &crash.dir.path().join(name))
    };
    let mut first = start("first");
    crash.until("the poison", |_| crash.llm.poison_was_asked() == 1).await;
    first.kill();
    let mut second = start("second");
    crash.until("the poison", |_| crash.llm.poison_was_asked() == 2).await;
    let process = process_of_its_own(&second).await;

    second.kill();

    let gone = async || !std::fs::exists(format!("/proc/{process}")).unwrap();
    until("its process is gone", gone).await;
}

#[tokio::test]
async fn a_stop_while_redis_is_away_is_prompt_and_says_what_it_leaves() {
    let mut crash = Crash::start().await;
    crash.llm.hold(Purpose::Objects);
    let mut worker = crash.worker("stopped");
    crash.until("the call", |_| crash.llm.was_asked(Purpose::Objects)).await;
    crash.redis.server.kill();
    let asked = Instant::now();
    signal(&worker, "TERM");
    let ended = loop {
        if let Some(status) = worker.0.try_wait().unwrap() {
            break status;
        }
        assert!(asked.elapsed() < DEADLINE, "it does not end:\n{}", crash.log("stopped"));
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(ended.success(), "{ended}:\n{}", crash.log("stopped"));
    // A second of grace, two for a Redis that may come back, and some for a machine that is busy.
    assert!(asked.elapsed() < Duration::from_secs(9), "{:?}:\n{}", asked.elapsed(), crash.log("stopped"));
    assert!(crash.log("stopped").contains("left to its lease"), "{}", crash.log("stopped"));

    crash.redis.server.revive().await.unwrap();
    crash.llm.release();
    let _next = crash.worker("next");
    crash.finishes_once().await;
}
