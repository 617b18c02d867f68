//! A `redis-server` of our own: what `mondo up` and `mondo make` run on when no Redis is configured, and
//! what every test runs on.
//!
//! It listens on loopback only, asks for a password that nobody else knows, keeps an append-only file in its
//! own directory and never evicts. It ends with its owner; if the owner was killed, the next start in the
//! same directory ends the server that was left behind before it starts its own.

use std::{
    fmt::Write as _,
    fs::{self, File, TryLockError},
    io,
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

/// How long a server may take to answer; a large append-only file takes a while to load.
const START_TIME_MAX: Duration = Duration::from_mins(2);
/// How long a server may take to write its file and end; then it is killed.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);
/// Pause between two looks at whether a server has started or ended.
const LOOK_PERIOD: Duration = Duration::from_millis(20);
/// How many ports are tried before giving up.
const PORTS_TRIED_MAX: u32 = 20;
/// Below the range that outgoing connections take their ports from, so that none of them is in the way.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A running `redis-server` that belongs to this process.
pub struct PrivateRedis {
    dir: PathBuf,
    address: Address,
    child: Child,
    /// Held while the server runs, so that no two servers share one directory.
    _lock: File,
}

/// Where a server listens and what it asks for.
#[derive(Clone)]
struct Address {
    port: u16,
    password: SecretString,
}

/// Why there is no private `redis-server`.
#[derive(Debug, thiserror::Error)]
pub enum PrivateRedisError {
    /// The program is not there.
    #[error(
        "no `redis-server` on this machine: install it (Debian, Ubuntu: `apt install redis-server`) \
         or set REDIS_URL to a Redis that is running"
    )]
    Missing,
    /// Another process has a server in this directory.
    #[error("`{}` is in use by another mondo; end it, or choose another directory", .0.display())]
    InUse(PathBuf),
    /// The directory or a file in it cannot be used.
    #[error("cannot use `{}` for a private redis-server", path.display())]
    Dir {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The server of a killed owner is still there.
    #[error(
        "an earlier redis-server in `{}` (port {port}) does not end: {reason}; end it, then start again",
        dir.display()
    )]
    LeftBehind {
        /// Its directory.
        dir: PathBuf,
        /// Its port on loopback.
        port: u16,
        /// What it answers.
        reason: String,
    },
    /// The program cannot be started.
    #[error("cannot start `redis-server`")]
    Spawn(#[source] io::Error),
    /// It ended, or gave no answer in time.
    #[error("redis-server in `{}` did not start: {log}", dir.display())]
    NotStarted {
        /// Its directory, with the whole log in `redis.log`.
        dir: PathBuf,
        /// The last lines of its log.
        log: String,
    },
}

impl PrivateRedis {
    /// Starts a server whose data and log live in `dir`, which is made if absent; data of an earlier server
    /// there is kept. Returns once it answers.
    ///
    /// # Errors
    /// See [`PrivateRedisError`].
    pub async fn start(dir: &Path) -> Result<Self, PrivateRedisError> {
        let at = |source| PrivateRedisError::Dir { path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(at)?;
        let dir = dir.canonicalize().map_err(at)?;
        let lock = lock(&dir)?;
        end_left_behind(&dir).await?;

        for _ in 0..PORTS_TRIED_MAX {
            let address = Address { port: free_port(), password: fresh_password() };
            let mut child = spawn(&dir, &address)?;
            match answers(&mut child, &address).await {
                Ok(()) => return Ok(Self { dir, address, child, _lock: lock }),
                Err(()) if end_of_log(&dir).contains("Address already in use") => {}
                Err(()) => return Err(not_started(&dir)),
            }
        }
        Err(not_started(&dir))
    }

    /// Where to connect, password included.
    pub fn url(&self) -> SecretString {
        let Address { port, password } = &self.address;
        SecretString::from(format!("redis://:{}@127.0.0.1:{port}/", password.expose_secret()))
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the server as `kill -9` would.
    pub fn kill(&mut self) {
        // Both fail only if it has already ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether the server is gone without having been told to.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Starts the server again where it was: same directory, same port, same password.
    ///
    /// # Errors
    /// See [`PrivateRedisError`].
    pub async fn revive(&mut self) -> Result<(), PrivateRedisError> {
        self.kill();
        self.child = spawn(&self.dir, &self.address)?;
        answers(&mut self.child, &self.address).await.map_err(|()| not_started(&self.dir))
    }

    /// Ends the server once it has written its data.
    pub async fn stop(mut self) {
        say(&self.address, "SHUTDOWN").await;
        let deadline = Instant::now() + STOP_TIME_MAX;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            sleep(LOOK_PERIOD).await;
        }
        self.kill();
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn lock(dir: &Path) -> Result<File, PrivateRedisError> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| PrivateRedisError::Dir { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PrivateRedisError::InUse(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(PrivateRedisError::Dir { path, source }),
    }
}

/// Ends the server of an owner that was killed. We hold the lock, so nobody else wants it; two servers on one
/// append-only file would spoil it.
async fn end_left_behind(dir: &Path) -> Result<(), PrivateRedisError> {
    let Some(address) = read_conf(dir) else { return Ok(()) };
    let deadline = Instant::now() + STOP_TIME_MAX;
    while let Some(reason) = say(&address, "SHUTDOWN").await {
        if Instant::now() >= deadline {
            return Err(PrivateRedisError::LeftBehind { dir: dir.to_owned(), port: address.port, reason });
        }
        sleep(LOOK_PERIOD).await;
    }
    Ok(())
}

fn conf_path(dir: &Path) -> PathBuf {
    dir.join("redis.conf")
}

fn read_conf(dir: &Path) -> Option<Address> {
    let text = fs::read_to_string(conf_path(dir)).ok()?;
    let value = |name| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Some(Address { port: value("port")?.parse().ok()?, password: SecretString::from(value("requirepass")?) })
}

/// The password goes through a file that only we may read: a command line is public.
fn write_conf(dir: &Path, address: &Address) -> io::Result<()> {
    let mut text = String::from(
        "bind 127.0.0.1\nappendonly yes\nappendfsync everysec\nsave \"\"\nmaxmemory-policy noeviction\n\
         daemonize no\nlogfile redis.log\n",
    );
    // No `dir`: the server starts in its directory, and no name of one can spoil this file.
    let password = address.password.expose_secret();
    let _ = write!(text, "port {}\nrequirepass {password}\n", address.port);
    // A file made by an earlier start keeps its mode, so it is made anew.
    let _ = fs::remove_file(conf_path(dir));
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(conf_path(dir))?;
    io::Write::write_all(&mut file, text.as_bytes())
}

fn spawn(dir: &Path, address: &Address) -> Result<Child, PrivateRedisError> {
    let path = conf_path(dir);
    write_conf(dir, address).map_err(|source| PrivateRedisError::Dir { path: path.clone(), source })?;
    Command::new("redis-server")
        .arg(path)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C in the terminal is for us: the server must outlive our drain.
        .process_group(0)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => PrivateRedisError::Missing,
            _ => PrivateRedisError::Spawn(error),
        })
}

/// Waits until the server answers. `Err` when it ended or took too long; it is gone then.
async fn answers(child: &mut Child, address: &Address) -> Result<(), ()> {
    let deadline = Instant::now() + START_TIME_MAX;
    while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
        if say(address, "PING").await.is_some_and(|reply| reply == "PONG") {
            return Ok(());
        }
        sleep(LOOK_PERIOD).await;
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(())
}

/// One command to the server; `None` when nobody with our password listens. An error reply, as while it loads
/// its file, is a reply, and so is silence.
async fn say(address: &Address, command: &str) -> Option<String> {
    let url = format!("redis://:{}@127.0.0.1:{}/", address.password.expose_secret(), address.port);
    let ask = async {
        let client = redis::Client::open(url).ok()?;
        match client.get_multiplexed_async_connection().await {
            Ok(mut connection) => match redis::cmd(command).query_async(&mut connection).await {
                Ok(reply) => Some(reply),
                Err(error) => Some(error.to_string()),
            },
            Err(error) if error.is_timeout() => Some("no answer".to_owned()),
            Err(error) if error.is_io_error() || error.kind() == redis::ErrorKind::AuthenticationFailed => {
                None
            }
            Err(error) => Some(error.to_string()),
        }
    };
    timeout(Duration::from_secs(2), ask).await.unwrap_or_else(|_| Some("no answer".to_owned()))
}

fn free_port() -> u16 {
    let span = u128::from(PORTS.end - PORTS.start);
    let candidates = std::iter::repeat_with(|| {
        PORTS.start + u16::try_from(Uuid::now_v7().as_u128() % span).unwrap_or_default()
    });
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    candidates.take(1_000).find(free).unwrap_or(PORTS.start)
}

fn fresh_password() -> SecretString {
    SecretString::from(format!("{}{}", Uuid::now_v7().simple(), Uuid::now_v7().simple()))
}

fn not_started(dir: &Path) -> PrivateRedisError {
    PrivateRedisError::NotStarted { dir: dir.to_owned(), log: end_of_log(dir) }
}

fn end_of_log(dir: &Path) -> String {
    let text = fs::read(dir.join("redis.log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}
