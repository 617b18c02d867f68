//! Everything that can be set, read once and checked as a whole before the first connection.

use std::{
    net::Ipv6Addr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use mondo_jobs::{
    env::{Env, EnvError},
    job::Step,
    queue::{Bounds, Keep, Marks, Retention, is_redis_url},
    step::Limits,
};
use mondo_workers::{
    llm::{LlmConfig, spool::SpoolConfig},
    sandbox::{RemoteConfig, SandboxConfig},
};
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

use crate::http::ApiConfig;

/// One process's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Redis is; absent where a private one is to be started.
    pub redis: Option<SecretString>,
    /// How long to wait for Redis at the start.
    pub redis_wait: Duration,
    /// First part of every key's hash tag.
    pub prefix: String,
    /// Over how many shards the pairs are spread.
    pub shards: u32,
    /// How many replicas must have what is stored before it counts as stored.
    pub replicas_min: u32,
    /// A job whose lease was not renewed for so long may be taken over.
    pub lease: Duration,
    /// How much of the past is kept.
    pub retention: Retention,
    /// Where a private Redis and the spool of this process live.
    pub data_dir: PathBuf,
    /// The directory that belongs to this process's Redis; the spool is in it.
    pub redis_dir: PathBuf,
    /// Where paid replies wait while Redis does not take them.
    pub spool: SpoolConfig,
    /// The steps whose jobs this process runs.
    pub steps: Vec<Step>,
    /// How many jobs of each LLM step run at once.
    pub concurrency: usize,
    /// How long running jobs may go on after a stop was asked for.
    pub grace: Duration,
    /// After how long without a successful look at the queue the workers end.
    pub progress_max: Duration,
    /// Between which marks *ready + under way* is kept.
    pub marks: Marks,
    /// How much admission lets in.
    pub bounds: Bounds,
    /// Bounds of the repair loop.
    pub limits: Limits,
    /// A file of personas instead of the built-in ones.
    pub personas: Option<PathBuf>,
    /// The HTTP API.
    pub api: ApiConfig,
    /// The responder.
    pub llm: LlmConfig,
    /// The sandbox.
    pub sandbox: SandboxConfig,
    /// The sandbox of other processes: where it is, or, in one of them, what callers must know.
    pub remote: RemoteConfig,
    /// What is logged.
    pub log: LogConfig,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// In the syntax of `tracing-subscriber`: `info`, `mondo_workers=debug,info`. Without one, the command
    /// decides.
    pub filter: Option<String>,
    /// One JSON object a line instead of text.
    pub json: bool,
}

impl Config {
    /// Reads and checks all settings.
    ///
    /// # Errors
    /// Lists every variable that is wrong or unknown, with its value and what is accepted.
    pub fn from_env(mut env: Env) -> Result<Self, EnvError> {
        let config = Self::read(&mut env);
        env.finish()?;
        Ok(config)
    }

    /// The names of all settings, in the order in which they are read.
    pub fn names() -> Vec<&'static str> {
        let mut env = Env::default();
        Self::read(&mut env);
        env.asked().to_vec()
    }

    fn read(env: &mut Env) -> Self {
        let redis = redis_url(env);
        let redis_wait = seconds(env, "MONDO_REDIS_WAIT_SECS", 60, 0..=3600);
        let prefix =
            env.read("MONDO_PREFIX", "mondo".to_owned(), "1 to 32 letters, digits, `-` and `_`", prefix);
        let data_dir = env.text("MONDO_DATA_DIR").map_or_else(|| PathBuf::from(".mondo"), PathBuf::from);
        Self {
            spool: SpoolConfig {
                dir: spool_dir(&data_dir, &prefix),
                bytes_max: env.number("MONDO_SPOOL_MB", 64, 1..=1024) * 1024 * 1024,
            },
            redis,
            redis_wait,
            prefix,
            shards: u32_of(env.number("MONDO_SHARDS", 1, 1..=64)),
            replicas_min: u32_of(env.number("MONDO_REPLICAS_MIN", 0, 0..=5)),
            lease: seconds(env, "MONDO_LEASE_SECS", 12, 3..=3600),
            retention: retention(env),
            redis_dir: data_dir.clone(),
            data_dir,
            steps: env.read(
                "MONDO_STEPS",
                Step::ALL.to_vec(),
                "step names separated by commas: objects, question, answer, execute, fix, solve",
                steps,
            ),
            concurrency: usize_of(env.number("MONDO_CONCURRENCY", 8, 1..=256)),
            grace: seconds(env, "MONDO_GRACE_SECS", 20, 0..=3600),
            progress_max: seconds(env, "MONDO_STUCK_SECS", 300, 30..=86_400),
            marks: marks(env),
            bounds: bounds(env),
            limits: Limits { fix_rounds_max: u32_of(env.number("MONDO_FIX_ROUNDS", 3, 0..=20)) },
            personas: env.text("MONDO_PERSONAS").map(PathBuf::from),
            api: ApiConfig::from_env(env),
            llm: LlmConfig::from_env(env),
            sandbox: SandboxConfig::from_env(env),
            remote: RemoteConfig::from_env(env),
            log: log(env),
        }
    }

    /// Keeps the spool in `dir`, beside the data of the private Redis that its replies belong to: no process that
    /// uses another Redis may find them.
    #[must_use]
    pub fn with_private_redis_in(mut self, dir: &Path) -> Self {
        self.spool.dir = spool_dir(dir, &self.prefix);
        dir.clone_into(&mut self.redis_dir);
        self
    }

    /// How many slots a step gets: an LLM step waits for its provider, `execute` uses a browser each.
    pub fn slots(&self, step: Step) -> usize {
        match step {
            Step::Execute => self.sandbox.slots,
            Step::Objects | Step::Question | Step::Answer | Step::Fix | Step::Solve => self.concurrency,
        }
    }
}

/// Where the spool is below a directory that belongs to one Redis: pairs of another prefix are not known here.
fn spool_dir(dir: &Path, prefix: &str) -> PathBuf {
    dir.join("spool").join(prefix)
}

/// How many cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn seconds(
    env: &mut Env,
    name: &'static str,
    default: u64,
    bounds: std::ops::RangeInclusive<u64>,
) -> Duration {
    Duration::from_secs(env.number(name, default, bounds))
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn u32_of(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn prefix(text: &str) -> Option<String> {
    let fits = (1..=32).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    fits.then(|| text.to_owned())
}

/// Reads a list of step names; shared with `--steps`.
pub fn steps(text: &str) -> Option<Vec<Step>> {
    let mut steps: Vec<Step> =
        text.split(',').map(|name| name.trim().parse().ok()).collect::<Option<Vec<_>>>()?;
    steps.sort_unstable();
    steps.dedup();
    Some(steps)
}

fn marks(env: &mut Env) -> Marks {
    let low = env.number("MONDO_READY_LOW", 8, 0..=1_000_000);
    let high = env.number("MONDO_READY_HIGH", 16, 0..=1_000_000);
    if low > high {
        env.problem(format!(
            "MONDO_READY_LOW is `{low}`, above MONDO_READY_HIGH, which is `{high}`; accepted is low ≤ high"
        ));
    }
    Marks { low, high }
}

fn retention(env: &mut Env) -> Retention {
    let kept = Retention::default();
    let mut keep = |name, default| {
        let accepted = "an age in s, m, h or d and a size in KiB, MiB or GiB, as in `7d,512MiB`";
        env.read(name, default, accepted, |text| text.parse::<Keep>().ok())
    };
    Retention {
        events: keep("MONDO_KEEP_EVENTS", kept.events),
        journals: keep("MONDO_KEEP_JOURNALS", kept.journals),
        finished: keep("MONDO_KEEP_FINISHED", kept.finished),
        rejected: keep("MONDO_KEEP_REJECTED", kept.rejected),
        dead: keep("MONDO_KEEP_DEAD", kept.dead),
    }
}

fn bounds(env: &mut Env) -> Bounds {
    let default = Bounds::default();
    Bounds {
        pairs: env.number("MONDO_DEPTH_MAX", default.pairs, 1..=100_000_000),
        bytes: env.number("MONDO_BYTES_MAX", default.bytes, 1 << 20..=1 << 50),
    }
}

fn log(env: &mut Env) -> LogConfig {
    let accepted = "a tracing filter such as `info` or `mondo_workers=debug,info`";
    let filter = env.read("MONDO_LOG", None, accepted, |text| {
        EnvFilter::try_new(text).ok().map(|_| Some(text.to_owned()))
    });
    let json = env.read("MONDO_LOG_FORMAT", false, "text or json", |text| match text {
        "text" => Some(false),
        "json" => Some(true),
        _ => None,
    });
    LogConfig { filter, json }
}

/// `REDIS_URL`, or one put together from the parts that users of earlier services have.
fn redis_url(env: &mut Env) -> Option<SecretString> {
    use secrecy::ExposeSecret as _;

    let url = env.secret("REDIS_URL");
    let host = env.text("REDIS_HOST");
    let port = env.number("REDIS_PORT", 6379, 1..=65535);
    let username = env.text("REDIS_USERNAME").unwrap_or_default();
    let password = env.secret("REDIS_PASSWORD");
    if let Some(url) = url {
        // The value is not repeated: it may hold a password.
        if !is_redis_url(&url) {
            env.problem(
                "REDIS_URL cannot be read; accepted is redis://[user:password@]host[:port][/db], \
                 redis-sentinel://[user:password@]host[:port],…/service[/db] or \
                 redis-cluster://[user:password@]host[:port],…, each also with rediss for TLS",
            );
        }
        return Some(url);
    }
    let host = host?;
    let login = password.map_or_else(String::new, |password| {
        format!("{}:{}@", percent_encoded(&username), percent_encoded(password.expose_secret()))
    });
    let is_v6 = host.parse::<Ipv6Addr>().is_ok();
    let bracketed = if is_v6 { format!("[{host}]") } else { host.clone() };
    let url = SecretString::from(format!("redis://{login}{bracketed}:{port}/"));
    if host.contains(['@', '/']) || !is_redis_url(&url) {
        env.problem(
            "REDIS_HOST cannot be read; accepted is a host name or an IP address, without port or user",
        );
    }
    Some(url)
}

fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;

    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn config(values: &[(&str, &str)]) -> Result<Config, EnvError> {
        Config::from_env(Env::of(
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        ))
    }

    #[test]
    fn nothing_set_is_a_whole_configuration() {
        let config = config(&[]).unwrap();
        assert!(config.redis.is_none());
        assert_eq!(config.steps, Step::ALL);
        assert_eq!(config.marks, Marks { low: 8, high: 16 });
    }

    #[test]
    fn the_names_of_the_seeds_make_a_url() {
        let config = config(&[
            ("REDIS_HOST", "redis"),
            ("REDIS_PORT", "6380"),
            ("REDIS_USERNAME", "dojo"),
            ("REDIS_PASSWORD", "p@ss:w/rd"),
        ])
        .unwrap();
        assert_eq!(config.redis.unwrap().expose_secret(), "redis://dojo:p%40ss%3Aw%2Frd@redis:6380/");
    }

    #[test]
    fn a_host_may_be_an_ipv6_address() {
        let config = config(&[("REDIS_HOST", "::1")]).unwrap();
        assert_eq!(config.redis.unwrap().expose_secret(), "redis://[::1]:6379/");
    }

    #[test]
    fn a_place_of_redis_that_cannot_be_read_is_refused_without_its_password() {
        let cases = [
            ("REDIS_URL", "redis://:hunter2@127.0.0.1:99999"),
            ("REDIS_URL", "hunter2"),
            ("REDIS_URL", "redis-cluster://:hunter2@a,b/1"),
            ("REDIS_URL", "redis-sentinel://:hunter2@a,b"),
            ("REDIS_HOST", "user:hunter2@redis"),
            ("REDIS_HOST", "redis:6379"),
        ];
        for (name, value) in cases {
            let error = config(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("hunter2"), "{value}: {error}");
        }
    }

    #[test]
    fn each_wrong_value_is_refused_by_name() {
        let cases = [
            ("REDIS_PORT", "99999"),
            ("REDIS_URL", "http://redis"),
            ("MONDO_STEPS", "objects,judge"),
            ("MONDO_PREFIX", "a b"),
            ("MONDO_SHARDS", "0"),
            ("MONDO_REPLICAS_MIN", "6"),
            ("MONDO_READY_LOW", "-1"),
            ("MONDO_DEPTH_MAX", "0"),
            ("MONDO_BYTES_MAX", "1000"),
            ("MONDO_FIX_ROUNDS", "21"),
            ("MONDO_LEASE_SECS", "1"),
            ("MONDO_KEEP_DEAD", "for ever"),
            ("MONDO_SPOOL_MB", "0"),
            ("MONDO_LOG", "mondo=loud=quiet"),
            ("MONDO_LOG_FORMAT", "xml"),
            ("MONDO_LISTEN", "everywhere"),
            ("MONDO_RESPONDER", "parrot"),
            ("MONDO_SANDBOX", "none"),
        ];
        for (name, value) in cases {
            let error = config(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
            assert!(name == "REDIS_URL" || error.contains(value), "{name}: {error}");
            assert!(error.contains("accepted is"), "{name}: {error}");
        }
    }

    #[test]
    fn marks_that_cross_are_refused() {
        let error = config(&[("MONDO_READY_LOW", "9"), ("MONDO_READY_HIGH", "3")]).unwrap_err();
        assert!(error.to_string().contains("MONDO_READY_HIGH, which is `3`"));
    }

    #[test]
    fn steps_are_sorted_and_named_once() {
        let config = config(&[("MONDO_STEPS", "solve, objects,solve")]).unwrap();
        assert_eq!(config.steps, [Step::Objects, Step::Solve]);
    }

    #[test]
    fn no_secret_shows_in_debug() {
        let config =
            config(&[("REDIS_HOST", "redis"), ("REDIS_PASSWORD", "hunter2"), ("OPENAI_API_KEY", "sk-1")]);
        let shown = format!("{:?}", config.unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("sk-1"));
    }
}
