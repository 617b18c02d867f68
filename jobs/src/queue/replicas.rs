//! What must outlive a failover is with the replicas before anybody relies on it.

use std::time::Duration;

use redis::{AsyncCommands as _, Cmd, FromRedisValue, RedisError, Script, ToRedisArgs};

use super::{Queue, QueueError, keys::Keys, link::Link};

/// How long replicas may take to have what was stored.
const REPLICATION_TIME_MAX: Duration = Duration::from_secs(1);

/// The call of a script, written down as it goes out: a batch has thousands of arguments, and
/// [`redis::ScriptInvocation`] would keep each in a vector of its own.
pub(super) struct Call<'a> {
    script: &'a Script,
    command: Cmd,
}

impl<'a> Call<'a> {
    pub(super) fn new(script: &'a Script, keys: &[String]) -> Self {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.get_hash()).arg(keys.len()).arg(keys);
        Self { script, command }
    }

    pub(super) fn arg(&mut self, value: impl ToRedisArgs) -> &mut Self {
        self.command.arg(value);
        self
    }

    async fn made_on<T: FromRedisValue>(&self, link: &mut Link) -> Result<T, RedisError> {
        let reply = self.command.query_async(link).await;
        if !reply.as_ref().is_err_and(is_script_missing) {
            return reply;
        }
        self.script.load_async(link).await?;
        self.command.query_async(link).await
    }
}

impl Queue {
    /// Calls a script and waits until the configured number of replicas has what it stored. Fewer are a line in the
    /// log and a count, `unreplicated`: it is stored all the same.
    ///
    /// # Errors
    /// When Redis is away, also between the call and the answer of the replicas: then it may have been lost, and
    /// must be repeated.
    pub(super) async fn store<T: FromRedisValue>(
        &self,
        keys: &Keys,
        call: Call<'_>,
    ) -> Result<T, QueueError> {
        let wanted = self.inner.config.replicas_min;
        if wanted == 0 {
            return Ok(call.made_on(&mut self.link(keys)).await?);
        }
        // In one pipeline: a WAIT that reached another server than the call would say nothing about it.
        let mut pipe = redis::pipe();
        pipe.add_command(call.command);
        pipe.cmd("WAIT").arg(wanted).arg(REPLICATION_TIME_MAX.as_millis());
        let mut link = self.waiting_link(keys);
        let mut reply: Result<(T, u32), RedisError> = pipe.query_async(&mut link).await;
        if reply.as_ref().is_err_and(is_script_missing) {
            call.script.load_async(&mut link).await?;
            reply = pipe.query_async(&mut link).await;
        }
        let (value, replicas) = reply?;
        if replicas < wanted {
            tracing::warn!(replicas, wanted, "too few replicas have what was stored; a failover may lose it");
            let _: i64 = self.link(keys).hincr(keys.counters(), "unreplicated", 1).await?;
        }
        Ok(value)
    }
}

/// Redis was restarted, or is another one.
fn is_script_missing(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}
