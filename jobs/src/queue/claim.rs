//! How a worker comes by its jobs, and keeps them.

use std::time::Duration;

use redis::{AsyncConnectionConfig, RedisError, Value, aio::MultiplexedConnection, from_redis_value};

use super::{
    Queue, QueueError,
    connection::{CONNECT_TIME_MAX, is_group_missing},
    entry::{Arrival, Fields},
    keys::GROUP,
    limits::BATCH_MAX,
};
use crate::job::Step;

/// How long beyond its own wait a blocking read may take before the connection counts as dead.
const READ_MARGIN: Duration = Duration::from_secs(5);

/// Reads one step's stream as one consumer, on a connection of its own: a blocking read would hold up
/// everything that shares it.
pub struct Reader {
    queue: Queue,
    step: Step,
    consumer: String,
    connection: MultiplexedConnection,
    id: u64,
}

/// Entry, deliveries so far, fields.
type Claimed = (String, u32, Fields);
/// Stream, then entries with their fields.
type Stream = (String, Vec<(String, Fields)>);

impl Reader {
    /// Connects and makes the group where it is missing. A read blocks for at most `block`.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn connect(
        queue: &Queue,
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
        Ok(Self { queue: queue.clone(), step, consumer: consumer.to_owned(), connection, id })
    }

    /// The number of this connection, for [`Queue::unblock`].
    pub fn id(&self) -> u64 {
        self.id
    }

    /// New entries, at most `count`; none when none came within `block` or the read was unblocked.
    ///
    /// # Errors
    /// When Redis is away or the group is gone; the reader is of no use then.
    ///
    /// # Cancel safety
    /// Dropping the future may strand what it was about to deliver; [`Reader::own`] finds it again.
    pub async fn read(&mut self, count: usize, block: Duration) -> Result<Vec<Arrival>, QueueError> {
        let value: Value = redis::cmd("XREADGROUP")
            .arg("GROUP")
            .arg(GROUP)
            .arg(&self.consumer)
            .arg("COUNT")
            .arg(count)
            .arg("BLOCK")
            .arg(millis(block))
            .arg("STREAMS")
            .arg(self.queue.keys().stream(self.step))
            .arg(">")
            .query_async(&mut self.connection)
            .await?;
        let streams: Option<Vec<Stream>> = from_redis_value(value).map_err(RedisError::from)?;
        let entries = streams.into_iter().flatten().flat_map(|(_, entries)| entries);
        Ok(entries.map(|(entry, fields)| Arrival::new(self.step, entry, 1, fields)).collect())
    }

    /// What is pending for this consumer already, in order of arrival, at most `count` after the entry `after`
    /// (`0-0` at first).
    ///
    /// # Errors
    /// When Redis is away or the group is gone.
    pub async fn own(&mut self, after: &str, count: usize) -> Result<Vec<Arrival>, QueueError> {
        let mut call = self.queue.scripts().own.key(self.queue.keys().stream(self.step));
        call.arg(GROUP).arg(&self.consumer).arg(format!("({after}")).arg(count.min(BATCH_MAX));
        let found: Vec<Claimed> = call.invoke_async(&mut self.connection).await?;
        Ok(self.arrivals(found))
    }

    /// Takes over entries whose lease has lapsed, at most `count`, from `cursor` on (`0-0` at first). Gives
    /// the next cursor as well; `0-0` means all were looked at.
    ///
    /// # Errors
    /// When Redis is away or the group is gone.
    pub async fn reclaim(
        &mut self,
        cursor: &str,
        count: usize,
    ) -> Result<(String, Vec<Arrival>), QueueError> {
        let keys = self.queue.keys();
        let mut call = self.queue.scripts().reclaim.key(keys.stream(self.step));
        call.key(keys.counters()).arg(GROUP).arg(&self.consumer);
        call.arg(millis(self.queue.lease())).arg(cursor).arg(count.min(BATCH_MAX));
        let (next, found): (String, Vec<Claimed>) = call.invoke_async(&mut self.connection).await?;
        Ok((next, self.arrivals(found)))
    }

    fn arrivals(&self, found: Vec<Claimed>) -> Vec<Arrival> {
        found
            .into_iter()
            .map(|(entry, count, fields)| Arrival::new(self.step, entry, count, fields))
            .collect()
    }
}

impl Queue {
    /// Ends the blocking read of a [`Reader`], if it is in one.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn unblock(&self, reader: u64) -> Result<(), QueueError> {
        let _: i64 =
            redis::cmd("CLIENT").arg("UNBLOCK").arg(reader).query_async(&mut self.connection()).await?;
        Ok(())
    }

    /// Renews the leases of these entries. Gives those that are not the consumer's any more.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn renew(
        &self,
        step: Step,
        consumer: &str,
        entries: &[String],
    ) -> Result<Vec<String>, QueueError> {
        let mut lost = Vec::new();
        for chunk in entries.chunks(BATCH_MAX) {
            let mut call = self.scripts().renew.key(self.keys().stream(step));
            call.arg(GROUP).arg(consumer).arg(chunk);
            match call.invoke_async::<Vec<String>>(&mut self.connection()).await {
                Ok(gone) => lost.extend(gone),
                Err(error) if is_group_missing(&error) => lost.extend_from_slice(chunk),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(lost)
    }

    /// For each of these steps, whether some entry's lease has lapsed. A missing group has none.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn lapsed(&self, steps: &[Step]) -> Result<Vec<bool>, QueueError> {
        let mut pipe = redis::pipe();
        pipe.ignore_errors();
        for step in steps {
            pipe.cmd("XPENDING").arg(self.keys().stream(*step)).arg(GROUP);
            pipe.arg("IDLE").arg(millis(self.lease())).arg("-").arg("+").arg(1);
        }
        let replies: Vec<Result<Value, RedisError>> = pipe.query_async(&mut self.connection()).await?;
        let lapsed = replies.into_iter().map(|reply| match reply {
            Ok(pending) => Ok(matches!(pending, Value::Array(found) if !found.is_empty())),
            Err(error) if is_group_missing(&error) => Ok(false),
            Err(error) => Err(error.into()),
        });
        lapsed.collect()
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
