//! Getting to Redis, and staying there.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use redis::{Client, ErrorKind, InfoDict, IntoConnectionInfo as _, RedisError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, sleep};

use super::{
    Inner, Queue, QueueConfig, QueueError,
    keys::{GROUP, Keys},
    scripts::Scripts,
    shared::SharedConnection,
};

/// How long a connection may take to be made.
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Pause between two tries at the start.
const RETRY_PERIOD: Duration = Duration::from_millis(500);

/// Whether a URL says where a Redis is, in a form that [`Queue::connect`] understands.
pub fn is_redis_url(url: &SecretString) -> bool {
    url.expose_secret().into_connection_info().is_ok()
}

impl Queue {
    /// Connects, loads the scripts and makes the groups. While Redis does not answer it tries again, with a
    /// line in the log, until the deadline of the configuration.
    ///
    /// # Errors
    /// When Redis does not answer in time, refuses the credentials, or evicts keys when it is full.
    pub async fn connect(config: QueueConfig) -> Result<Self, QueueError> {
        let info = config.url.expose_secret().into_connection_info()?;
        let (address, started) = (info.addr().to_string(), Instant::now());
        let (time_max, client) = (config.connect_time_max, Client::open(info)?);
        loop {
            let source = match Self::try_connect(&config, &client).await {
                Err(QueueError::Redis(error)) if is_worth_another_try(&error) => error,
                result => return result,
            };
            if started.elapsed() + RETRY_PERIOD >= time_max {
                return Err(QueueError::Unreachable { address, waited_secs: time_max.as_secs(), source });
            }
            tracing::warn!(%address, error = %source, "redis does not answer; trying again");
            sleep(RETRY_PERIOD).await;
        }
    }

    /// One try: a link may break after any of these calls.
    async fn try_connect(config: &QueueConfig, client: &Client) -> Result<Self, QueueError> {
        let connection = SharedConnection::connect(client.clone()).await?;
        let facts: InfoDict = redis::cmd("INFO").query_async(&mut connection.clone()).await?;
        refuse_eviction(&facts)?;

        let major =
            facts.get::<String>("redis_version").and_then(|v| v.split('.').next()?.parse::<u32>().ok());
        let scripts = Scripts::new(major.is_none_or(|major| major >= 7));
        let shards = (0..config.shards.max(1)).map(|shard| Keys::new(&config.prefix, shard)).collect();
        let queue = Self {
            inner: Arc::new(Inner {
                config: config.clone(),
                client: client.clone(),
                connection,
                shards,
                scripts,
                takes: AtomicUsize::default(),
            }),
        };
        queue.load_scripts().await?;
        queue.make_groups().await?;
        Ok(queue)
    }

    /// Loads all scripts, so that the first call of each finds it.
    async fn load_scripts(&self) -> Result<(), RedisError> {
        let mut pipe = redis::pipe();
        for script in self.scripts().all() {
            pipe.load_script(script).ignore();
        }
        pipe.exec_async(&mut self.connection()).await
    }

    /// Makes every lane's stream and group where they are missing: at the start, and after a FLUSHALL. A group
    /// reads from the beginning, so that nothing added before it is passed over.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn make_groups(&self) -> Result<(), QueueError> {
        for stream in self.shards().iter().flat_map(Keys::streams) {
            let made: Result<(), RedisError> = redis::cmd("XGROUP")
                .arg("CREATE")
                .arg(stream)
                .arg(GROUP)
                .arg("0")
                .arg("MKSTREAM")
                .query_async(&mut self.connection())
                .await;
            match made {
                // A full Redis says so of a group that exists as well, and whoever reads then must not be kept
                // from draining it; without the group, reading says so.
                Err(error) if !matches!(error.code(), Some("BUSYGROUP" | "OOM")) => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether the group is missing, as after a FLUSHALL.
pub(super) fn is_group_missing(error: &RedisError) -> bool {
    error.code() == Some("NOGROUP")
}

/// Whether Redis may be there soon; wrong credentials stay wrong.
fn is_worth_another_try(error: &RedisError) -> bool {
    error.kind() != ErrorKind::AuthenticationFailed
}

fn refuse_eviction(facts: &InfoDict) -> Result<(), QueueError> {
    let limit: u64 = facts.get("maxmemory").unwrap_or(0);
    let policy: String = facts.get("maxmemory_policy").unwrap_or_default();
    if limit > 0 && policy != "noeviction" { Err(QueueError::Evicts { policy }) } else { Ok(()) }
}
