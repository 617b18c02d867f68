//! How a worker comes by its jobs, and keeps them.

use std::{collections::BTreeSet, time::Duration};

use redis::{Value, aio::MultiplexedConnection, streams::StreamInfoGroupsReply};

use super::{
    Delivery, Priority, Queue, QueueError,
    connection::{is_group_missing, links},
    entry::{Arrival, Fields},
    keys::{GROUP, Keys, lanes, number},
    lane::Lane,
    limits::BATCH_MAX,
    link::Link,
};
use crate::job::{JobId, Step};

/// How long beyond its own time a wait may take before the connection counts as dead.
const READ_MARGIN: Duration = Duration::from_secs(5);

/// Claims the jobs of one step in one shard as one consumer. Claiming never waits; what waits claims nothing, on a
/// connection of its own, and may be dropped at any time.
pub struct Reader {
    queue: Queue,
    shard: u32,
    step: Step,
    consumer: String,
    bell: MultiplexedConnection,
    /// Claims so far: they take turns in which priority they prefer.
    claims: u64,
    /// The last entries delivered of high and of normal priority, when nothing was left to claim.
    places: [String; 2],
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
    /// Connects and makes the groups where they are missing. A wait takes at most `block`.
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
        let keys = queue.shard(shard);
        // The shared connection finds the server that holds the shard now, since only that one makes groups.
        queue.make_groups_of(keys).await?;
        let bell = queue.link(keys).dedicated(block + READ_MARGIN).await?;
        let (queue, consumer) = (queue.clone(), consumer.to_owned());
        Ok(Self {
            queue,
            shard,
            step,
            consumer,
            bell,
            claims: 0,
            places: ["0-0".to_owned(), "0-0".to_owned()],
        })
    }

    /// New entries, at most `count`; none when none came within `block`.
    ///
    /// # Errors
    /// When Redis is away or the group is gone; the reader is of no use then.
    ///
    /// # Cancel safety
    /// Dropping the future may strand what it was about to deliver; [`Reader::own`] finds it again.
    pub async fn read(&mut self, count: usize, block: Duration) -> Result<Vec<Arrival>, QueueError> {
        let found = self.claim(count).await?;
        if found.is_empty() && self.rings(block).await? { self.claim(count).await } else { Ok(found) }
    }

    /// What is there already, at most `count`, by the turn's preference.
    ///
    /// # Errors
    /// When Redis is away or the group is gone; the reader is of no use then.
    ///
    /// # Cancel safety
    /// As for [`Reader::read`].
    pub async fn claim(&mut self, count: usize) -> Result<Vec<Arrival>, QueueError> {
        let first = Priority::preferred(self.claims);
        self.claims += 1;
        let (mut found, count) = (Vec::new(), count.min(BATCH_MAX));
        for lane in [first, first.other()] {
            if found.len() < count {
                let entries = self.read_new(lane, count - found.len()).await?;
                found.extend(self.fresh(lane, entries));
            }
        }
        if found.is_empty() {
            self.note_places().await?;
        }
        Ok(found)
    }

    /// A plain command for each lane, not a script for both: on their way through Lua the entries would cost Redis
    /// twice as much.
    async fn read_new(&self, lane: Priority, count: usize) -> Result<Entries, QueueError> {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(count);
        read.arg("STREAMS").arg(self.stream(lane)).arg(">");
        let found: Option<Vec<(String, Entries)>> = read.query_async(&mut self.link()).await?;
        Ok(found.into_iter().flatten().flat_map(|(_, entries)| entries).collect())
    }

    /// Notes the last entries that anybody was delivered. What came since the claim that found nothing comes after
    /// them, unless somebody else has claimed it already.
    async fn note_places(&mut self) -> Result<(), QueueError> {
        let mut pipe = redis::pipe();
        for lane in [Priority::High, Priority::Normal] {
            pipe.cmd("XINFO").arg("GROUPS").arg(self.stream(lane));
        }
        let lanes: (StreamInfoGroupsReply, StreamInfoGroupsReply) =
            pipe.query_async(&mut self.link()).await?;
        for (place, found) in self.places.iter_mut().zip([lanes.0, lanes.1]) {
            let ours = found.groups.into_iter().find(|group| group.name == GROUP);
            // Without the group the next claim says so.
            *place = ours.map_or_else(|| "0-0".to_owned(), |group| group.last_delivered_id);
        }
        Ok(())
    }

    fn link(&self) -> Link {
        self.queue.link(self.queue.shard(self.shard))
    }

    /// Waits until something came after the last claim that found nothing; `false` when nothing did within `block`.
    /// It claims nothing, so dropping it loses nothing; but the next wait of this reader comes after it.
    ///
    /// # Errors
    /// When Redis is away, or the shard has moved; the reader is of no use then.
    pub fn rings(&self, block: Duration) -> impl Future<Output = Result<bool, QueueError>> + Send + use<> {
        let streams = [Priority::High, Priority::Normal].map(|lane| self.stream(lane));
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(1).arg("BLOCK").arg(millis(block));
        read.arg("STREAMS").arg(&streams).arg(&self.places);
        let mut bell = self.bell.clone();
        async move {
            let found: Value = read.query_async(&mut bell).await?;
            Ok(found != Value::Nil)
        }
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
        let (last, found): (String, Vec<Claimed>) = call.invoke_async(&mut self.link()).await?;
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

    /// Looks when the next lease can lapse, and where one has. A missing group has none.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn lapses(&self) -> Result<Lapses, QueueError> {
        let mut lapses = Lapses { lapsed: BTreeSet::new(), next_in: self.lease() };
        for (shard, keys) in (0..).zip(self.shards()) {
            let mut call = self.scripts().lapses.key(keys.streams());
            call.arg(GROUP).arg(millis(self.lease())).arg(BATCH_MAX);
            let times: Vec<u64> = call.invoke_async(&mut self.link(keys)).await?;
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

    /// Takes over jobs of a step whose leases have lapsed, at most `count`. What ends their
    /// new worker is not put down to them.
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
        let found: [Vec<Claimed>; 2] = match call.invoke_async(&mut self.link(keys)).await {
            Err(error) if is_group_missing(&error) => return Ok(Vec::new()),
            found => found?,
        };
        let found = lanes.into_iter().zip(found);
        Ok(found
            .flat_map(|(priority, found)| arrivals(self, Lane { shard, step, priority }, found))
            .collect())
    }

    /// Notes that a claimed job runs in a process of its own: should its worker end, that is none of its doing.
    /// `false` when the lease is lost.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn apart(&self, delivery: &Delivery, consumer: &str) -> Result<bool, QueueError> {
        let keys = self.keys(delivery.pair);
        let mut call = self.scripts().apart.key(keys.stream(delivery.step, delivery.priority));
        call.arg(GROUP).arg(consumer).arg(&delivery.entry);
        self.owned(keys, &call).await
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
    links: Vec<Link>,
}

impl Leases {
    /// Connects when it is first used. A call fails when it takes longer than `response_max`.
    pub fn new(queue: &Queue, response_max: Duration) -> Self {
        let links = links(&queue.inner.place, queue.shards(), response_max);
        Self { queue: queue.clone(), links }
    }

    /// Renews the leases of a consumer's deliveries. Gives the jobs whose lease is lost: another consumer has
    /// them, they are finished, or their pair has ended.
    ///
    /// # Errors
    /// When a server is away. The leases of other shards are renewed all the same.
    pub async fn renew(
        &mut self,
        consumer: &str,
        deliveries: &[&Delivery],
    ) -> Result<Vec<JobId>, QueueError> {
        let (mut lost, mut failed) = (Vec::new(), Ok(()));
        for keys in self.queue.shards() {
            let here = |held: &&Delivery| self.queue.shard_of(held.pair) == keys.shard();
            let held: Vec<&Delivery> = deliveries.iter().copied().filter(here).collect();
            match self.renew_in(keys, consumer, &held).await {
                Ok(jobs) => lost.extend(jobs),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed.map(|()| lost)
    }

    async fn renew_in(
        &self,
        keys: &Keys,
        consumer: &str,
        deliveries: &[&Delivery],
    ) -> Result<Vec<JobId>, QueueError> {
        let mut lost = Vec::new();
        let mut link = self.links[keys.shard() as usize % self.links.len()].clone();
        for chunk in deliveries.chunks(BATCH_MAX) {
            let mut call = self.queue.scripts().renew.key(keys.open());
            call.key(keys.streams()).arg(GROUP).arg(consumer);
            for held in chunk {
                call.arg(number(held.step, held.priority)).arg(&held.entry).arg(held.pair.to_string());
            }
            let places: Vec<usize> = call.invoke_async(&mut link).await?;
            lost.extend(places.into_iter().filter_map(|place| Some(chunk.get(place - 1)?.job.clone())));
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
