//! Worker processes that are killed in the middle of a step: another one finishes the pairs, each once.

use std::{
    path::Path,
    process::ExitStatus,
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
    canned_llm::CannedLlm, http::Client, program::Running, queue, redis::TestRedis, wait::until,
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
        let (personas, data) = (self.dir.path().join("personas"), self.dir.path().join("data"));
        let settings = [
            ("MONDO_PERSONAS", personas.to_str().unwrap()),
            ("MONDO_GRACE_SECS", "1"),
            ("REDIS_URL", url.expose_secret()),
            ("MONDO_PREFIX", "test"),
            ("MONDO_LEASE_SECS", "3"),
            ("MONDO_READY_LOW", "0"),
            // Above what is there: at the mark, upstream steps slow.
            ("MONDO_READY_HIGH", "1000"),
            ("MONDO_DATA_DIR", data.to_str().unwrap()),
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
        files
            .filter(|name| name != "personas" && name != "data")
            .map(|name| self.log(name.to_str().unwrap()))
            .collect()
    }

    /// Waits until a process has ended.
    async fn exit(&self, process: &mut Running) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = process.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
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
    signal_to(process.0.id(), name);
}

fn signal_to(pid: u32, name: &str) {
    let sent = std::process::Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.unwrap().success());
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

/// Jobs beside the one that the responder never answers.
const INNOCENT: u64 = 5;

/// Workers of the first step, all of whose jobs wait for the responder; one of them in vain.
struct Poisoned {
    crash: Crash,
}

impl Poisoned {
    async fn start() -> Self {
        let crash = Crash::with_pairs(INNOCENT + 1).await;
        crash.llm.poison_the_first();
        crash.llm.hold(Purpose::Objects);
        Self { crash }
    }

    fn worker(&self, name: &str) -> Running {
        let log = self.crash.dir.path().join(name);
        self.crash.process(&["worker", "--steps", "objects"], "127.0.0.1:0", &log)
    }

    /// Waits until that many calls came since the start, the one in vain included.
    async fn asked(&self, calls: u64) {
        let asked = || self.crash.llm.asked(Purpose::Objects) as u64;
        self.crash.until("the calls", |_| asked() >= calls).await;
    }

    /// A worker that is killed while it runs all of them, and one that has taken them over.
    async fn taken_over(&self) -> Running {
        let mut first = self.worker("first");
        self.asked(INNOCENT + 1).await;
        first.kill();
        let second = self.worker("second");
        self.asked(2 * (INNOCENT + 1)).await;
        second
    }

    async fn committed(&self, count: u64) {
        let committed = |stats: &Stats| {
            stats.counters.get("committed").is_some_and(|committed| committed.unsigned_abs() == count)
        };
        self.crash.until("the innocent", committed).await;
    }
}

/// The processes that a worker has started for one job each.
fn alone(worker: &Running) -> Vec<u32> {
    let own = worker.0.id();
    let read =
        |pid: u32, name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let parent = |pid| read(pid, "stat").rsplit(") ").next()?.split(' ').nth(1)?.parse::<u32>().ok();
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent(*pid) == Some(own) && read(*pid, "cmdline").contains("--alone")).collect()
}

#[tokio::test]
async fn a_job_that_ends_its_process_three_times_takes_no_other_job_with_it() {
    let poisoned = Poisoned::start().await;
    let mut worker = poisoned.taken_over().await;
    assert_eq!(alone(&worker).len() as u64, INNOCENT + 1, "each in a process of its own");
    poisoned.crash.llm.release();
    poisoned.committed(INNOCENT).await;
    // Only the poison is left. The first crash was that of the first worker.
    for crashes in 1..3 {
        let left = || async { alone(&worker).len() == 1 };
        until("the poison's process", left).await;
        poisoned.crash.until("the poison", |_| poisoned.crash.llm.poison_was_asked() == crashes + 1).await;
        signal_to(alone(&worker)[0], "KILL");
    }
    poisoned.crash.until("the letter", |stats| stats.dead == 1).await;
    assert!(worker.0.try_wait().unwrap().is_none(), "the worker is still there:\n{}", poisoned.crash.logs());

    let letters = poisoned.crash.queue.dead(&DeadFilter::default(), 10).await.unwrap();
    assert_eq!((letters[0].class.as_str(), letters[0].crashes, letters[0].attempts), ("crashed", 3, 0));
    assert!(letters[0].chain[0].contains("3 times"), "{:?}", letters[0].chain);
    assert!(letters[0].chain[1].contains("killed by signal 9"), "{:?}", letters[0].chain);
    assert!(letters[0].log.iter().any(|line| line.contains("process of its own")), "{:?}", letters[0].log);
    assert_eq!(poisoned.crash.queue.doctor().await.unwrap(), []);
}

#[tokio::test]
async fn the_end_of_a_worker_is_not_charged_to_what_ran_beside_it() {
    let poisoned = Poisoned::start().await;
    let mut worker = poisoned.taken_over().await;
    // With the first one, four workers: more than any job may end.
    for lost in 3..5 {
        worker.kill();
        worker = poisoned.worker("next");
        poisoned.asked(lost * (INNOCENT + 1)).await;
    }
    worker.kill();
    poisoned.crash.llm.release();
    let _last = poisoned.worker("last");
    poisoned.committed(INNOCENT).await;
    assert_eq!(poisoned.crash.queue.stats().await.unwrap().dead, 0);
}

#[tokio::test]
async fn a_stop_calls_off_what_runs_in_a_process_of_its_own_and_hands_it_back() {
    let poisoned = Poisoned::start().await;
    let mut worker = poisoned.taken_over().await;
    let processes = alone(&worker);
    signal(&worker, "TERM");
    let status = poisoned.crash.exit(&mut worker).await;
    assert!(status.success(), "{status}:\n{}", poisoned.crash.logs());
    let left: Vec<_> =
        processes.iter().filter(|pid| std::fs::exists(format!("/proc/{pid}")).unwrap()).collect();
    assert!(left.is_empty(), "{left:?} outlived their worker");
    let objects = poisoned.crash.queue.stats().await.unwrap().steps;
    let objects = objects.iter().find(|step| step.step == Step::Objects).unwrap();
    assert_eq!(
        (objects.waiting, objects.running),
        (INNOCENT + 1, 0),
        "handed back, without waiting for a lease"
    );
    poisoned.crash.llm.release();
    let _next = poisoned.worker("next");
    poisoned.committed(INNOCENT).await;
}

#[tokio::test]
async fn processes_of_one_job_end_with_the_worker_that_started_them() {
    let poisoned = Poisoned::start().await;
    let mut worker = poisoned.taken_over().await;
    let processes = alone(&worker);

    worker.kill();

    let gone = async || processes.iter().all(|pid| !std::fs::exists(format!("/proc/{pid}/exe")).unwrap());
    until("its processes are gone", gone).await;
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
    let ended = crash.exit(&mut worker).await;
    assert!(ended.success(), "{ended}:\n{}", crash.log("stopped"));
    // A second of grace, two for a Redis that may come back, and some for a machine that is busy.
    assert!(asked.elapsed() < Duration::from_secs(9), "{:?}:\n{}", asked.elapsed(), crash.log("stopped"));
    assert!(crash.log("stopped").contains("left to its lease"), "{}", crash.log("stopped"));

    crash.redis.server.revive().await.unwrap();
    crash.llm.release();
    let _next = crash.worker("next");
    crash.finishes_once().await;
}
