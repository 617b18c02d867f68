//! One run: starts everything, breaks it according to the seed, lets it come to rest, and has it checked.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mondo::{config::Config, private_redis::PrivateRedis};
use mondo_jobs::{
    clock::now_ms,
    env::Env,
    queue::{Admission, Bounds, DeadFilter, Marks, Queue, QueueConfig, Retention, Stats},
    record,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    Plan, check,
    dice::Dice,
    faults::{self, Fault},
    history, now_us,
    process::{Api, Seat},
    proxy::{Mode, Proxy},
    report::{Report, Tally},
    responder::{Journals, Responder},
    worker::Settings,
};

/// First part of every key.
pub(crate) const PREFIX: &str = "chaos";
/// How many jobs of each step one worker runs at once.
const SLOTS: usize = 4;
/// Pairs that are kept under way for each worker.
const PAIRS_PER_WORKER: u64 = 4;
/// How often a line of progress is printed, and dead letters are looked for.
const PROGRESS_PERIOD: Duration = Duration::from_secs(5);
/// Without any progress for so long, a queue that should come to rest is stuck.
const STUCK_TIME: Duration = Duration::from_mins(3);
/// How long a worker may take to end after SIGTERM.
const END_TIME_MAX: Duration = Duration::from_mins(1);
/// The class of jobs that ended their workers too often: chance hits some jobs three times.
const CRASHED: &str = "crashed";

/// A kill, and what the victim was in the middle of.
pub(crate) struct Kill {
    pub(crate) at_us: u64,
    /// Since when it had been stopped, if it was: what came for it since then it never held.
    pub(crate) stopped_us: Option<u64>,
    /// Each with its run.
    pub(crate) jobs: Vec<(String, u64)>,
    /// Whether it hit a worker, and not a process that it had started for one job.
    pub(crate) of_worker: bool,
}

/// What is to be mended, and when.
#[derive(Debug, Clone, Copy)]
enum Mend {
    Start(usize),
    GoOn(usize),
    Heal(usize),
}

/// What the two ends of the line know of it.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Pairs of which Redis said that they were started.
    pub(crate) started: Mutex<BTreeSet<String>>,
    /// Pairs that Redis was asked to start.
    pub(crate) asked: Mutex<BTreeSet<String>>,
    /// Pairs that a consumer was given, in order.
    pub(crate) delivered: Mutex<Vec<String>>,
    /// No more pairs are started.
    closed: AtomicBool,
}

pub(crate) struct Chaos {
    pub(crate) plan: Plan,
    pub(crate) seed: u64,
    lease: Duration,
    pub(crate) dir: PathBuf,
    redis: PrivateRedis,
    pub(crate) queue: Queue,
    pub(crate) responder: Responder,
    seats: Vec<Seat>,
    api: Api,
    /// The last link is the API's.
    api_proxy: Proxy,
    pub(crate) ledger: Arc<Ledger>,
    dice: Dice,
    mends: Vec<(Instant, Mend)>,
    pub(crate) kills: Vec<Kill>,
    /// From when to when Redis was away.
    pub(crate) outages: Vec<(u64, u64)>,
    pub(crate) tally: Tally,
    tasks: JoinSet<()>,
}

/// Runs the plan; prints what came of it.
pub(crate) async fn run(plan: Plan) -> ExitCode {
    let seed = plan.seed.unwrap_or_else(now_us);
    let kept = plan.dir.clone();
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = kept.unwrap_or_else(|| temporary.path().to_owned());
    let json = plan.json;
    let report = Box::pin(Chaos::start(plan, seed, dir.clone()).await.go()).await;
    if json {
        println!("{}", serde_json::to_string(&report).expect("plain data"));
    } else {
        println!("{report}");
    }
    if report.broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("chaos: histories and logs are in {}", temporary.keep().display());
    ExitCode::FAILURE
}

impl Chaos {
    async fn start(plan: Plan, seed: u64, dir: PathBuf) -> Self {
        let mut dice = Dice::new(seed);
        let redis = PrivateRedis::start(&dir.join("redis")).await.expect("a redis-server");
        let lease = plan.lease_secs.map_or_else(default_lease, Duration::from_secs);
        fsync_always(&redis.url()).await;
        let queue = connect(redis.url(), lease).await;
        let client = redis::Client::open(redis.url().expose_secret()).expect("a valid URL");
        let responder = Responder::start(dice.number(), Journals { client, prefix: PREFIX.to_owned() }).await;

        let mut seats = Vec::new();
        for number in 0..usize::from(plan.workers) {
            let proxy = Proxy::start(address(&redis), dice.number()).await.expect("a proxy");
            let settings = Settings {
                redis: through(&redis, proxy.address()),
                prefix: PREFIX.to_owned(),
                base_url: responder.base_url.clone(),
                history: PathBuf::new(),
                // One directory, as on one machine: who takes a job over finds what its last worker had paid for.
                spool: dir.join("spool"),
                lease_secs: lease.as_secs(),
                slots: SLOTS,
                seed: dice.number() >> 1,
            };
            let mut seat = Seat::new(number, proxy, settings, &dir);
            seat.start();
            seats.push(seat);
        }
        let api_proxy = Proxy::start(address(&redis), dice.number()).await.expect("a proxy");
        let listen =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port");
        let api = start_api(&through(&redis, api_proxy.address()), listen, &dir);
        let ledger = Arc::<Ledger>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(fill(queue.clone(), Arc::clone(&ledger), PAIRS_PER_WORKER * u64::from(plan.workers)));
        tasks.spawn(consume(listen, Arc::clone(&ledger)));
        Self {
            plan,
            seed,
            lease,
            dir,
            redis,
            queue,
            responder,
            seats,
            api,
            api_proxy,
            ledger,
            dice,
            mends: Vec::new(),
            kills: Vec::new(),
            outages: Vec::new(),
            tally: Tally::default(),
            tasks,
        }
    }

    async fn go(mut self) -> Report {
        let begun = Instant::now();
        eprintln!("chaos: seed {}, {} kills, {} workers", self.seed, self.plan.kills, self.plan.workers);
        self.break_things(begun).await;
        self.mend_all();
        let rested = self.come_to_rest().await;
        let drained = self.drain().await;
        // The filler ends when it is told to; nothing else may.
        while let Some(ended) = self.tasks.try_join_next() {
            ended.expect("no task of the controller panics");
        }
        self.tasks.shutdown().await;
        let seconds = begun.elapsed().as_secs();
        let api_runs = self.api.runs();
        check::check(&self, rested, drained, api_runs, seconds).await
    }

    async fn break_things(&mut self, begun: Instant) {
        let period = Duration::from_millis(self.plan.period_ms);
        let end = self.plan.minutes.map(|minutes| begun + Duration::from_secs(60 * minutes));
        // Some load first: a worker with nothing to do has nothing to lose.
        let mut next_fault = begun + Duration::from_secs(3);
        let mut next_line = begun + PROGRESS_PERIOD;
        while self.tally.kills < self.plan.kills && end.is_none_or(|end| Instant::now() < end) {
            let next_mend = self.mends.iter().map(|(at, _)| *at).min();
            let due = next_fault.min(next_line).min(next_mend.unwrap_or(next_fault));
            sleep_until(due).await;
            self.mend_due();
            if Instant::now() >= next_fault {
                for fault in faults::next(&mut self.dice, self.lease) {
                    self.strike(fault).await;
                }
                next_fault = Instant::now() + self.dice.gap(period);
            }
            if Instant::now() >= next_line {
                self.look(begun).await;
                next_line = Instant::now() + PROGRESS_PERIOD;
            }
        }
    }

    async fn strike(&mut self, fault: Fault) {
        let victim = self.dice.below(self.seats.len());
        let link = self.dice.below(self.seats.len() + 1);
        let now = Instant::now();
        match fault {
            Fault::Kill { back_after } => {
                let running: Vec<usize> =
                    (0..self.seats.len()).filter(|seat| self.seats[*seat].runs()).collect();
                if running.is_empty() {
                    return;
                }
                let victim = running[victim % running.len()];
                let (at_us, stopped_us) = (now_us(), self.seats[victim].stopped_us);
                let jobs = history::unfinished(&self.seats[victim].kill());
                self.kills.push(Kill { at_us, stopped_us, jobs, of_worker: true });
                self.tally.kills += 1;
                self.mends.push((now + back_after, Mend::Start(victim)));
            }
            Fault::KillAlone => {
                let at_us = now_us();
                // Whoever has some, from the victim on.
                let (before, from) = self.seats.split_at_mut(victim);
                if let Some(events) = from.iter_mut().chain(before).find_map(Seat::kill_alone) {
                    let jobs = history::unfinished(&events);
                    self.kills.push(Kill { at_us, stopped_us: None, jobs, of_worker: false });
                    self.tally.lone_kills += 1;
                }
            }
            Fault::Stop { time } => {
                if self.seats[victim].runs() && self.seats[victim].stopped_us.is_none() {
                    self.seats[victim].stop();
                    self.tally.stops += 1;
                    self.mends.push((now + time, Mend::GoOn(victim)));
                }
            }
            Fault::Redis { kindly, back_after } => self.restart_redis(kindly, back_after).await,
            Fault::Cut => {
                self.link(link).cut();
                self.tally.cuts += 1;
            }
            Fault::Link { mode, time } => {
                self.link(link).set(mode);
                self.tally.note_link(mode);
                self.mends.push((now + time, Mend::Heal(link)));
            }
        }
    }

    fn link(&self, link: usize) -> &Proxy {
        self.seats.get(link).map_or(&self.api_proxy, |seat| &seat.proxy)
    }

    async fn restart_redis(&mut self, kindly: bool, back_after: Duration) {
        let from = now_us();
        if kindly {
            say(&self.redis.url(), &["SHUTDOWN"]).await;
            self.tally.redis_shutdowns += 1;
        } else {
            self.redis.kill();
            self.tally.redis_kills += 1;
        }
        sleep(back_after).await;
        self.redis.revive().await.expect("redis-server starts again");
        fsync_always(&self.redis.url()).await;
        self.outages.push((from, now_us()));
    }

    fn mend_due(&mut self) {
        let now = Instant::now();
        let (due, rest): (Vec<_>, Vec<_>) = self.mends.drain(..).partition(|(at, _)| *at <= now);
        self.mends = rest;
        for (_, mend) in due {
            match mend {
                Mend::Start(seat) => self.seats[seat].start(),
                Mend::GoOn(seat) => self.seats[seat].go_on(),
                Mend::Heal(link) => self.link(link).set(Mode::Pass),
            }
        }
        for (number, seat) in self.seats.iter_mut().enumerate() {
            let is_expected =
                self.mends.iter().any(|(_, mend)| matches!(mend, Mend::Start(it) if *it == number));
            if !is_expected && !seat.runs() {
                self.tally.gave_up += 1;
                eprintln!("chaos: worker {number} ended by itself, see {}", seat.log().display());
                seat.start();
            }
        }
    }

    fn mend_all(&mut self) {
        let now = Instant::now();
        for (at, _) in &mut self.mends {
            *at = now;
        }
        self.mend_due();
        for link in 0..=self.seats.len() {
            self.link(link).set(Mode::Pass);
        }
        self.ledger.closed.store(true, Ordering::Relaxed);
    }

    /// Waits until no pair is under way, ready or taken. `false` when nothing moves any more.
    async fn come_to_rest(&mut self) -> bool {
        eprintln!("chaos: nothing is broken any more; waiting for the last pairs");
        let (begun, mut moved, mut before) = (Instant::now(), Instant::now(), None);
        loop {
            self.mend_due();
            self.replay().await;
            if let Ok(stats) = self.queue.stats().await {
                if stats.open + stats.ready + stats.taken == 0 {
                    return true;
                }
                let now =
                    (stats.counters.get("committed").copied(), stats.counters.get("delivered").copied());
                if before != Some(now) {
                    (moved, before) = (Instant::now(), Some(now));
                }
                if begun.elapsed().as_secs() % 5 == 0 {
                    line(&self.tally, begun, &stats);
                }
            }
            if moved.elapsed() > STUCK_TIME {
                return false;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Ends the workers as an operator does. Says whether all of them ended in time.
    async fn drain(&mut self) -> bool {
        for seat in &mut self.seats {
            seat.drain();
        }
        let deadline = Instant::now() + END_TIME_MAX;
        while Instant::now() < deadline {
            if !self.seats.iter_mut().any(Seat::runs) {
                return true;
            }
            sleep(Duration::from_millis(100)).await;
        }
        false
    }

    async fn look(&mut self, begun: Instant) {
        self.replay().await;
        if let Ok(stats) = self.queue.stats().await {
            line(&self.tally, begun, &stats);
        }
    }

    /// Puts back what chance killed three times; any other dead letter is a fault of ours and stays.
    async fn replay(&mut self) {
        let filter = DeadFilter { class: Some(CRASHED.to_owned()), ..DeadFilter::default() };
        let Ok(letters) = self.queue.dead(&filter, 100).await else { return };
        for letter in letters {
            if matches!(self.queue.replay(&letter.job).await, Ok(Some(_))) {
                self.tally.crashed_letters += 1;
            }
        }
    }
}

fn line(tally: &Tally, begun: Instant, stats: &Stats) {
    let count = |name: &str| stats.counters.get(name).copied().unwrap_or(0);
    eprintln!(
        "chaos: {:>5} s  {} kills, {} stops, {} restarts; {} pairs open, {} delivered, {} reclaimed, {} dead",
        begun.elapsed().as_secs(),
        tally.kills,
        tally.stops,
        tally.redis_kills + tally.redis_shutdowns,
        stats.open,
        count("delivered"),
        count("reclaimed"),
        stats.dead,
    );
}

/// What a worker has whose environment says nothing.
fn default_lease() -> Duration {
    Config::from_env(Env::of([])).expect("defaults").lease
}

pub(crate) async fn connect(url: SecretString, lease: Duration) -> Queue {
    let config = QueueConfig {
        url,
        prefix: PREFIX.to_owned(),
        lease,
        shards: 1,
        retention: Retention::default(),
        bounds: Bounds::default(),
        replicas_min: 0,
        connect_time_max: Duration::from_mins(1),
    };
    Queue::connect(config).await.expect("a queue")
}

/// With `everysec`, Redis answers up to two seconds before it writes, when the disk is slow: a killed server would
/// forget what it had acknowledged, which is its promise and not ours to test. With `always` nothing is acknowledged
/// that a killed server forgets.
async fn fsync_always(url: &SecretString) {
    say(url, &["CONFIG", "SET", "appendfsync", "always"]).await;
}

async fn say(url: &SecretString, command: &[&str]) {
    let client = redis::Client::open(url.expose_secret()).expect("a valid URL");
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return };
    // SHUTDOWN has no answer.
    let _ = redis::cmd(command[0]).arg(&command[1..]).exec_async(&mut connection).await;
}

fn address(redis: &PrivateRedis) -> SocketAddr {
    let url = redis.url();
    let place = url.expose_secret().rsplit('@').next().unwrap_or_default().trim_end_matches('/');
    place.parse().expect("host and port")
}

/// The URL by which the server is reached through a proxy.
fn through(redis: &PrivateRedis, proxy: SocketAddr) -> String {
    redis.url().expose_secret().replace(&address(redis).to_string(), &proxy.to_string())
}

fn start_api(redis: &str, listen: SocketAddr, dir: &Path) -> Api {
    let settings = [("REDIS_URL", redis), ("MONDO_PREFIX", PREFIX), ("MONDO_LISTEN", &listen.to_string())];
    Api::start(&settings, &dir.join("api.log"))
}

/// Keeps so many pairs under way.
async fn fill(queue: Queue, ledger: Arc<Ledger>, target: u64) {
    let marks = Marks { low: target, high: target };
    while !ledger.closed.load(Ordering::Relaxed) {
        let pairs: Vec<_> =
            (0..target).map(|_| record::new_pair(rand::random(), now_ms()).expect("a pair")).collect();
        let ids: Vec<String> = pairs.iter().map(|pair| pair.id.to_string()).collect();
        match queue.refill(marks, &pairs).await {
            Ok(answers) => {
                let started =
                    ids.into_iter().zip(answers).filter(|(_, answer)| *answer == Admission::Accepted);
                ledger.started.lock().unwrap().extend(started.map(|(id, _)| id));
            }
            // Nobody knows how many were started.
            Err(_) => ledger.asked.lock().unwrap().extend(ids),
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Takes pairs as a consumer does, one after the other.
async fn consume(api: SocketAddr, ledger: Arc<Ledger>) {
    loop {
        match take(api).await {
            Some(pair) => ledger.delivered.lock().unwrap().push(pair),
            None => sleep(Duration::from_millis(200)).await,
        }
    }
}

/// One request on a connection of its own; the id of the pair that came.
async fn take(api: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(api).await.ok()?;
    let request = format!("GET /api/synthetic-gen HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.ok()?;
    let body = reply.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let body: serde_json::Value = serde_json::from_slice(&reply[body..]).ok()?;
    Some(body["body"]["metadata"]["pair_id"].as_str()?.to_owned())
}
