//! What must be done from time to time, by whoever is there.

use std::time::Duration;

use super::{
    Queue, QueueError,
    claim::millis,
    keys::GROUP,
    limits::{BATCH_MAX, PROMOTE_MAX},
};
use crate::job::Step;

/// A consumer that was silent for so long is gone. One that was only paused makes itself known again.
const CONSUMER_SILENT_MAX: Duration = Duration::from_mins(10);

/// What a look at the delayed jobs found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promoted {
    /// How many were moved into their streams.
    pub moved: u64,
    /// When the next one is due; absent when none waits.
    pub next_in: Option<Duration>,
}

impl Queue {
    /// Moves jobs whose time has come into their streams, at most 250 of each shard.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn promote(&self) -> Result<Promoted, QueueError> {
        let mut promoted = Promoted { moved: 0, next_in: None };
        for keys in self.shards() {
            let mut call = self.scripts().promote.key(keys.delayed());
            call.key(keys.streams());
            for step in Step::ALL {
                call.key(keys.delayed_entries(step));
            }
            let (moved, next_ms): (u64, i64) =
                call.arg(PROMOTE_MAX).invoke_async(&mut self.link(keys)).await?;
            let next_in = u64::try_from(next_ms).ok().map(Duration::from_millis);
            promoted.moved += moved;
            promoted.next_in = promoted.next_in.into_iter().chain(next_in).min();
        }
        Ok(promoted)
    }

    /// Forgets consumers that are gone and own nothing. Says how many.
    ///
    /// # Errors
    /// When Redis is away or a group is gone.
    pub async fn sweep(&self) -> Result<u64, QueueError> {
        self.sweep_silent(CONSUMER_SILENT_MAX).await
    }

    /// As [`Queue::sweep`], for consumers that were silent for at least so long.
    ///
    /// # Errors
    /// When Redis is away or a group is gone.
    pub async fn sweep_silent(&self, silent: Duration) -> Result<u64, QueueError> {
        let mut swept = 0;
        for keys in self.shards() {
            for stream in keys.streams() {
                let mut call = self.scripts().sweep.key(stream);
                call.arg(GROUP).arg(millis(silent)).arg(BATCH_MAX);
                swept += call.invoke_async::<u64>(&mut self.link(keys)).await?;
            }
        }
        Ok(swept)
    }
}
