//! How a worker comes by its jobs, and keeps them.

use std::{collections::BTreeSet, time::Duration};

use redis::{AsyncConnectionConfig, RedisError, Value, aio::MultiplexedConnection, from_redis_value};

use super::{
    Delivery, Priority, Queue, QueueError,
    connection::{CONNECT_TIME_MAX, is_group_missing},
    entry::{Arrival, Fields},
    keys::{GROUP, lanes, number},
    lane::Lane,
    limits::BATCH_MAX,
};
use crate::job::{JobId, Step};

/// How long beyond its own wait a blocking read may take before the connection counts as dead.
const READ_MARGIN: Duration = Duration::from_secs(5);

/// Reads the streams of one step in one shard as one consumer, on a connection of its own: a blocking read would
/// hold up everything that shares it.
pub struct Reader {
    queue: Queue,
    shard: u32,
    step: Step,
    consumer: String,
    connection: MultiplexedConnection,
    id: u64,
    /// Claims so far: they take turns in which priority they prefer.
    claims: u64,
    /// Whether the last look found something; then the next one need not wait.
    busy: bool,
}

/// A place in a walk through the pending entries of a step; the walk begins at the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    priority: Priority,
    at: String,
}

impl Default for Cursor {
    fn default() -> Self {
        Self::first(Priority::High)
    }
}

impl Cursor {
    fn first(priority: Priority) -> Self {
        Self { priority, at: "0-0".to_owned() }
    }

    /// The place after this one: further on in the stream, or else at the beginning of the next.
    fn next(&self, at: Option<String>) -> Option<Self> {
        match (at, self.priority) {
            (Some(at), priority) => Some(Self { priority, at }),
            (None, Priority::High) => Some(Self::first(Priority::Normal)),
            (None, Priority::Normal) => None,
        }
    }
}

/// Entry, deliveries so far, fields.
type Claimed = (String, u32, Fields);
/// New entries with their fields.
type Entries = Vec<(String, Fields)>;

impl Reader {
    /// Connects and makes the groups where they are missing. A read blocks for at most `block`.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn connect(
        queue: &Queue,
        shard: u32,
        step: Step,
        consumer: &str,
        block: Duration,
    ) -> Result<Self, QueueError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIME_MAX))
            .set_response_timeout(Some(block + READ_MARGIN));
        let mut connection = queue.client().get_multiplexed_async_connection_with_config(&config).await?;
        queue.make_groups().await?;
        let id = redis::cmd("CLIENT").arg("ID").query_async(&mut connection).await?;
        let (queue, consumer) = (queue.clone(), consumer.to_owned());
        Ok(Self { queue, shard, step, consumer, connection, id, claims: 0, busy: true })
    }

    /// The number of this connection, for [`Queue::unblock`].
    pub fn id(&self) -> u64 {
        self.id
    }

    /// New entries, about `count`: where both priorities fill up at the same moment it may be twice as many. None
    /// when none came within `block` or the read was unblocked.
    ///
    /// # Errors
    /// When Redis is away or the group is gone; the reader is of no use then.
    ///
    /// # Cancel safety
    /// Dropping the future may strand what it was about to deliver; [`Reader::own`] finds it again.
    pub async fn read(&mut self, count: usize, block: Duration) -> Result<Vec<Arrival>, QueueError> {
        let mut arrivals = Vec::new();
        if self.busy {
            arrivals = self.claim(count).await?;
        }
        if arrivals.is_empty() {
            arrivals = self.wait(count, block).await?;
        }
        self.busy = !arrivals.is_empty();
        Ok(arrivals)
    }

    /// What is there already, by the turn's preference.
    async fn claim(&mut self, count: usize) -> Result<Vec<Arrival>, QueueError> {
        let first = Priority::preferred(self.claims);
        self.claims += 1;
        let lanes = [first, first.other()];
        let mut call = self.queue.scripts().claim.key(self.stream(lanes[0]));
        call.key(self.stream(lanes[1])).arg(GROUP).arg(&self.consumer).arg(count.min(BATCH_MAX));
        let found: [Entries; 2] = call.invoke_async(&mut self.connection).await?;
        let found = lanes.into_iter().zip(found);
        Ok(found.flat_map(|(lane, entries)| self.fresh(lane, entries)).collect())
    }

    /// What comes first, of either priority.
    async fn wait(&mut self, count: usize, block: Duration) -> Result<Vec<Arrival>, QueueError> {
        let lanes = [Priority::High, Priority::Normal];
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(count);
        read.arg("BLOCK").arg(millis(block)).arg("STREAMS");
        read.arg(&lanes.map(|lane| self.stream(lane))).arg(">").arg(">");
        let value: Value = read.query_async(&mut self.connection).await?;
        let found: Option<Vec<(String, Entries)>> = from_redis_value(value).map_err(RedisError::from)?;
        let lane_of = |stream: &str| lanes.into_iter().find(|lane| self.stream(*lane) == stream);
        let found = found.into_iter().flatten();
        let found = found.filter_map(|(stream, entries)| Some((lane_of(&stream)?, entries)));
        Ok(found.flat_map(|(lane, entries)| self.fresh(lane, entries)).collect())
    }

    /// What is pending for this consumer already, at most `count` from a place on. Gives the next place as well,
    /// none when all were looked at.
    ///
    /// # Errors
    /// When Redis is away or the group is gone.
    pub async fn own(
        &mut self,
        from: &Cursor,
        count: usize,
    ) -> Result<(Option<Cursor>, Vec<Arrival>), QueueError> {
        let mut call = self.queue.scripts().own.key(self.stream(from.priority));
        call.arg(GROUP).arg(&self.consumer).arg(format!("({}", from.at)).arg(count.min(BATCH_MAX));
        let (last, found): (String, Vec<Claimed>) = call.invoke_async(&mut self.connection).await?;
        let next = from.next(Some(last).filter(|last| !last.is_empty()));
        Ok((next, self.arrivals(from.priority, found)))
    }

    fn stream(&self, priority: Priority) -> String {
        self.queue.shard(self.shard).stream(self.step, priority)
    }

    fn fresh(&self, priority: Priority, entries: Entries) -> Vec<Arrival> {
        let entries = entries.into_iter().map(|(entry, fields)| (entry, 1, fields)).collect();
        self.arrivals(priority, entries)
    }

    fn arrivals(&self, priority: Priority, found: Vec<Claimed>) -> Vec<Arrival> {
        arrivals(&self.queue, Lane { shard: self.shard, step: self.step, priority }, found)
    }
}

impl Queue {
    /// Over how many shards the pairs are spread.
    pub fn shard_count(&self) -> u32 {
        self.inner.config.shards.max(1)
    }

    /// Ends the blocking read of a [`Reader`], if it is in one.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn unblock(&self, reader: u64) -> Result<(), QueueError> {
        let _: i64 =
            redis::cmd("CLIENT").arg("UNBLOCK").arg(reader).query_async(&mut self.connection()).await?;
        Ok(())
    }

    /// Looks when the next lease can lapse, and where one has. A missing group has none.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn lapses(&self) -> Result<Lapses, QueueError> {
        let mut lapses = Lapses { lapsed: BTreeSet::new(), next_in: self.lease() };
        for (shard, keys) in (0..).zip(self.shards()) {
            let mut call = self.scripts().lapses.key(keys.streams());
            call.arg(GROUP).arg(millis(self.lease())).arg(BATCH_MAX);
            let times: Vec<u64> = call.invoke_async(&mut self.connection()).await?;
            for ((step, _), ms) in lanes().zip(times) {
                if ms == 0 {
                    lapses.lapsed.insert((shard, step));
                } else {
                    lapses.next_in = lapses.next_in.min(Duration::from_millis(ms));
                }
            }
        }
        Ok(lapses)
    }

    /// Takes over jobs of a step whose leases have lapsed, at most `count`. None of them counts as begun before
    /// [`Queue::begin`] says so.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn reclaim(
        &self,
        shard: u32,
        step: Step,
        consumer: &str,
        count: usize,
    ) -> Result<Vec<Arrival>, QueueError> {
        let (keys, lanes) = (self.shard(shard), [Priority::High, Priority::Normal]);
        let mut call = self.scripts().reclaim.key(keys.stream(step, lanes[0]));
        call.key(keys.stream(step, lanes[1])).key(keys.counters());
        call.arg(GROUP).arg(consumer).arg(millis(self.lease())).arg(count.min(BATCH_MAX));
        let found: [Vec<Claimed>; 2] = match call.invoke_async(&mut self.connection()).await {
            Err(error) if is_group_missing(&error) => return Ok(Vec::new()),
            found => found?,
        };
        let found = lanes.into_iter().zip(found);
        Ok(found
            .flat_map(|(priority, found)| arrivals(self, Lane { shard, step, priority }, found))
            .collect())
    }

    /// Notes that a claimed job is begun: should its worker end now, it counts as a crash. A fresh claim counts as
    /// begun from the first. `false` when the lease is lost.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn begin(&self, delivery: &Delivery, consumer: &str) -> Result<bool, QueueError> {
        self.mark(delivery, consumer, 1).await
    }

    /// Notes that a claimed job waits to be begun: should its worker end now, it is none of the job's doing.
    /// `false` when the lease is lost.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn wait_to_begin(&self, delivery: &Delivery, consumer: &str) -> Result<bool, QueueError> {
        self.mark(delivery, consumer, 0).await
    }

    async fn mark(&self, delivery: &Delivery, consumer: &str, begun: u32) -> Result<bool, QueueError> {
        let keys = self.keys(delivery.pair);
        let mut call = self.scripts().begin.key(keys.stream(delivery.step, delivery.priority));
        call.arg(GROUP).arg(consumer).arg(&delivery.entry).arg(begun);
        match call.invoke_async::<u32>(&mut self.connection()).await {
            Err(error) if is_group_missing(&error) => Ok(false),
            noted => Ok(noted? == 1),
        }
    }
}

/// When leases lapse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lapses {
    /// The shards and steps where one has lapsed.
    pub lapsed: BTreeSet<(u32, Step)>,
    /// No other lapses sooner than this; at most the lease.
    pub next_in: Duration,
}

/// Renews leases, on a connection of its own that whoever connects it drives: neither a busy runtime nor another
/// caller's reply holds a renewal up.
pub struct Leases {
    queue: Queue,
    connection: MultiplexedConnection,
}

impl Leases {
    /// Connects. A call fails when it takes longer than `response_max`.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn connect(queue: &Queue, response_max: Duration) -> Result<Self, QueueError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(response_max.min(CONNECT_TIME_MAX)))
            .set_response_timeout(Some(response_max));
        let connection = queue.client().get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Self { queue: queue.clone(), connection })
    }

    /// Renews the leases of a consumer's deliveries. Gives the jobs whose lease is lost: another consumer has
    /// them, they are finished, or their pair has ended.
    ///
    /// # Errors
    /// When Redis is away; the connection is of no use then.
    pub async fn renew(
        &mut self,
        consumer: &str,
        deliveries: &[&Delivery],
    ) -> Result<Vec<JobId>, QueueError> {
        let (queue, mut lost) = (&self.queue, Vec::new());
        for (shard, keys) in (0..).zip(queue.shards()) {
            let held: Vec<&Delivery> =
                deliveries.iter().copied().filter(|held| queue.shard_of(held.pair) == shard).collect();
            for chunk in held.chunks(BATCH_MAX) {
                let mut call = queue.scripts().renew.key(keys.open());
                call.key(keys.streams()).arg(GROUP).arg(consumer);
                for held in chunk {
                    call.arg(number(held.step, held.priority)).arg(&held.entry).arg(held.pair.to_string());
                }
                let places: Vec<usize> = call.invoke_async(&mut self.connection).await?;
                lost.extend(places.into_iter().filter_map(|place| Some(chunk.get(place - 1)?.job.clone())));
            }
        }
        Ok(lost)
    }
}

fn arrivals(queue: &Queue, lane: Lane, found: Vec<Claimed>) -> Vec<Arrival> {
    found.into_iter().map(|(entry, count, fields)| Arrival::new(queue, lane, entry, count, fields)).collect()
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
