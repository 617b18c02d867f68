//! A `redis-server` set up in any way, for clusters and sentinels.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::time::Instant;

/// What every such server asks for.
pub(crate) const PASSWORD: &str = "p@ss:word";
/// The same in a URL.
pub(crate) const LOGIN: &str = ":p%40ss%3Aword";

/// Ends with the value.
pub(crate) struct Server {
    pub(crate) port: u16,
    config: String,
    arguments: &'static [&'static str],
    dir: TempDir,
    child: Child,
}

impl Server {
    /// Starts one with these lines of configuration on a free port. Does not wait until it answers.
    pub(crate) fn start(config: &str, arguments: &'static [&'static str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let config = format!("port {port}\nbind 127.0.0.1\nsave \"\"\nlogfile log\n{config}");
        std::fs::write(dir.path().join("redis.conf"), &config).expect("a file of configuration");
        let child = spawn(&dir, arguments);
        Self { port, config, arguments, dir, child }
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, as it was configured.
    pub(crate) fn revive(&mut self) {
        std::fs::write(self.dir.path().join("redis.conf"), &self.config).expect("a file of configuration");
        self.child = spawn(&self.dir, self.arguments);
    }

    /// Where it keeps its data.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A plain connection, as soon as it answers.
    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let url = format!("redis://{LOGIN}@127.0.0.1:{}", self.port);
            let client = redis::Client::open(url).expect("a valid URL");
            match client.get_multiplexed_async_connection().await {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < deadline, "no answer: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The answer to a command of words, when there is one.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, words: &str) -> redis::RedisResult<T> {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        for word in words {
            command.arg(word);
        }
        command.query_async(&mut self.connection().await).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(dir: &TempDir, arguments: &[&str]) -> Child {
    let mut command = Command::new("redis-server");
    command.arg("redis.conf").args(arguments).current_dir(dir.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("a redis-server")
}

/// Below the range that outgoing connections take their ports from.
pub(crate) fn free_port() -> u16 {
    let mut candidates = std::iter::repeat_with(|| 20_000 + rand::random::<u16>() % 12_000);
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    candidates.find(free).expect("endless")
}
