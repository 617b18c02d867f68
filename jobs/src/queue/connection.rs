//! Getting to Redis, and staying there.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use redis::{ErrorKind, InfoDict, RedisError, RedisResult};
use tokio::time::{Instant, sleep};

use super::{
    Inner, Queue, QueueConfig, QueueError,
    keys::{GROUP, Keys, LAYOUT},
    link::Link,
    place::{Place, slot_of},
    scripts::Scripts,
};

/// How long any reply may take; the client library's own half second ends with every hiccup of a busy host.
const RESPONSE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a connection may take to be made.
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Pause between two tries at the start.
const RETRY_PERIOD: Duration = Duration::from_millis(500);

impl Queue {
    /// Connects, loads the scripts and makes the groups. While Redis does not answer it tries again, with a
    /// line in the log, until the deadline of the configuration.
    ///
    /// # Errors
    /// When Redis does not answer in time, refuses the credentials, or evicts keys when it is full; when the queue
    /// has another number of shards or was laid out by a newer release.
    pub async fn connect(config: QueueConfig) -> Result<Self, QueueError> {
        let place = Arc::new(Place::parse(&config.url)?);
        let shards: Vec<Keys> =
            (0..config.shards.max(1)).map(|shard| Keys::new(&config.prefix, shard)).collect();
        let (address, started) = (place.address(), Instant::now());
        loop {
            let source = match Self::open(&config, &place, &shards).await {
                Err(QueueError::Redis(error)) if may_pass(&error) => error,
                done => return done,
            };
            if started.elapsed() + RETRY_PERIOD >= config.connect_time_max {
                let waited_secs = config.connect_time_max.as_secs();
                return Err(QueueError::Unreachable { address, waited_secs, source });
            }
            tracing::warn!(%address, error = %source, "redis does not answer; trying again");
            sleep(RETRY_PERIOD).await;
        }
    }

    async fn open(config: &QueueConfig, place: &Arc<Place>, shards: &[Keys]) -> Result<Self, QueueError> {
        let links = links(place, shards, RESPONSE_TIME_MAX);
        let waiting = match config.replicas_min {
            0 => links.clone(),
            _ => self::links(place, shards, RESPONSE_TIME_MAX),
        };
        let mut modern = true;
        for link in &links {
            let facts: InfoDict = redis::cmd("INFO").query_async(&mut link.clone()).await?;
            refuse_eviction(&facts)?;
            modern &= understands_flags(&facts);
        }
        let inner = Inner {
            config: config.clone(),
            place: Arc::clone(place),
            links,
            waiting,
            shards: shards.to_vec(),
            scripts: Scripts::new(modern),
            takes: AtomicUsize::default(),
        };
        let queue = Self { inner: Arc::new(inner) };
        queue.load_scripts().await?;
        queue.check_layout().await?;
        queue.make_groups().await?;
        Ok(queue)
    }

    /// Loads all scripts, so that the first call of each finds it.
    async fn load_scripts(&self) -> Result<(), RedisError> {
        for mut link in self.inner.links.iter().cloned() {
            let mut pipe = redis::pipe();
            for script in self.scripts().all() {
                pipe.load_script(script).ignore();
            }
            pipe.exec_async(&mut link).await?;
        }
        Ok(())
    }

    /// Two processes that do not agree about where a pair is would each see half of the queue.
    async fn check_layout(&self) -> Result<(), QueueError> {
        let first = self.shard(0);
        let mut call = self.scripts().layout.key(first.layout());
        call.arg(LAYOUT).arg(self.shard_count());
        let (stored, shards): (u32, u32) = call.invoke_async(&mut self.link(first)).await?;
        let prefix = self.inner.config.prefix.clone();
        if stored > LAYOUT {
            return Err(QueueError::Layout { prefix, stored, known: LAYOUT });
        }
        let wanted = self.shard_count();
        if shards == wanted { Ok(()) } else { Err(QueueError::Shards { prefix, stored: shards, wanted }) }
    }

    /// Makes every lane's stream and group where they are missing: at the start, and after a FLUSHALL. A group
    /// reads from the beginning, so that nothing added before it is passed over.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn make_groups(&self) -> Result<(), QueueError> {
        for keys in self.shards() {
            self.make_groups_of(keys).await?;
        }
        Ok(())
    }

    /// As [`Queue::make_groups`], in one shard. All in one message: on a bad link each one more may be the one that is
    /// lost.
    pub(super) async fn make_groups_of(&self, keys: &Keys) -> Result<(), QueueError> {
        let mut pipe = redis::pipe();
        for stream in keys.streams() {
            pipe.cmd("XGROUP").arg("CREATE").arg(stream).arg(GROUP).arg("0").arg("MKSTREAM");
        }
        let made: Vec<RedisResult<()>> = pipe.ignore_errors().query_async(&mut self.link(keys)).await?;
        // A full Redis says so of a group that exists as well, and whoever reads then must not be kept from
        // draining it; without the group, reading says so.
        for (key, made) in keys.streams().into_iter().zip(made) {
            match made {
                Err(error) if error.code() == Some("WRONGTYPE") => return Err(QueueError::Foreign { key }),
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

/// One for each shard where they may be on several servers, else one for all.
pub(super) fn links(place: &Arc<Place>, shards: &[Keys], response_time_max: Duration) -> Vec<Link> {
    let apart = if place.is_spread() { shards } else { &shards[..1] };
    let link = |keys: &Keys| Link::new(Arc::clone(place), slot_of(keys.tag()), response_time_max);
    apart.iter().map(link).collect()
}

/// Whether a later try may be answered otherwise.
fn may_pass(error: &RedisError) -> bool {
    let refused =
        matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "WRONGTYPE" | "ERR" | "CROSSSLOT"));
    !refused && !matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig)
}

/// Redis 7 and later.
fn understands_flags(facts: &InfoDict) -> bool {
    let version = facts.get::<String>("redis_version");
    version.and_then(|version| version.split('.').next()?.parse::<u32>().ok()).is_none_or(|major| major >= 7)
}

fn refuse_eviction(facts: &InfoDict) -> Result<(), QueueError> {
    let limit: u64 = facts.get("maxmemory").unwrap_or(0);
    let policy: String = facts.get("maxmemory_policy").unwrap_or_default();
    if limit > 0 && policy != "noeviction" { Err(QueueError::Evicts { policy }) } else { Ok(()) }
}
