//! What must outlive a failover is with the replicas before anybody relies on it.

use std::time::Duration;

use redis::{AsyncCommands as _, FromRedisValue, RedisError, Script, ScriptInvocation};

use super::{Queue, QueueError, keys::Keys};

/// How long replicas may take to have what was stored.
const REPLICATION_TIME_MAX: Duration = Duration::from_secs(1);

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
        script: &Script,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        let wanted = self.inner.config.replicas_min;
        if wanted == 0 {
            return Ok(call.invoke_async(&mut self.link(keys)).await?);
        }
        // In one pipeline: a WAIT that reached another server than the call would say nothing about it.
        let mut pipe = redis::pipe();
        pipe.invoke_script(call);
        pipe.cmd("WAIT").arg(wanted).arg(REPLICATION_TIME_MAX.as_millis());
        let mut link = self.waiting_link(keys);
        let mut reply: Result<(T, u32), RedisError> = pipe.query_async(&mut link).await;
        if reply.as_ref().is_err_and(|error| error.code() == Some("NOSCRIPT")) {
            script.load_async(&mut link).await?;
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
