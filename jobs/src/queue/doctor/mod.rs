//! Proves on the live queue that every job is in exactly one place and every pair in one state, and mends what
//! is not.

mod foreign;
pub mod invariants;
mod snapshot;

use std::{collections::BTreeSet, time::Duration};

use tokio::time::sleep;

use self::invariants::{Repair, Violation};
use super::{Queue, QueueError, keys::Ended, limits::EVENTS_MAX, mark};
use crate::pair::PairId;

/// How often a suspicion is looked at again: what is in motion is seen in two places or in none.
const LOOKS: u32 = 3;
/// Pause between two looks.
const LOOK_PERIOD: Duration = Duration::from_millis(200);

impl Queue {
    /// Checks the invariants on the live queue. What is reported was so at every one of several looks.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn doctor(&self) -> Result<Vec<Violation>, QueueError> {
        let mut standing = self.violations().await?;
        for _ in 1..LOOKS {
            if standing.is_empty() {
                break;
            }
            sleep(LOOK_PERIOD).await;
            let again = self.violations().await?;
            standing = standing.intersection(&again).cloned().collect();
        }
        Ok(standing.into_iter().collect())
    }

    /// What one look finds broken. On a queue where nothing moves all of it is; on any other ask
    /// [`Queue::doctor`].
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn violations(&self) -> Result<BTreeSet<Violation>, QueueError> {
        Ok(invariants::check(&self.snapshot().await?))
    }

    /// Mends what a violation found broken. Safe on a live queue: each repair looks again before it moves
    /// anything. Says whether there was something to do; some violations only explain.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn mend(&self, violation: &Violation) -> Result<bool, QueueError> {
        match &violation.repair {
            None => Ok(false),
            Some(Repair::Restore { pair, job }) => self.restore(*pair, job).await,
            Some(Repair::Settle { shard, step, member, job, in_stream }) => {
                let keys = self.shard(*shard);
                let mut call = self.scripts().settle.key(keys.delayed());
                call.key(keys.delayed_entries(*step)).key(keys.dead()).key(keys.dead_letters());
                call.arg(member).arg(job).arg(u8::from(*in_stream));
                Ok(call.invoke_async::<i64>(&mut self.link(keys)).await? == 1)
            }
            Some(Repair::Place { pair }) => {
                let keys = self.keys(*pair);
                let mut call = self.scripts().place.key(keys.open());
                call.key(keys.ready()).key(keys.taken()).key(keys.ready_bodies()).key(keys.record(*pair));
                call.key(keys.ended(Ended::Rejected)).key(keys.counters());
                call.arg(pair.to_string()).arg("its body was lost");
                Ok(call.invoke_async::<i64>(&mut self.link(keys)).await? == 1)
            }
            Some(Repair::Recount { shard, said, held }) => {
                let keys = self.shard(*shard);
                let mut call = self.scripts().recount.key(keys.counters());
                call.arg(said).arg(held);
                Ok(call.invoke_async::<i64>(&mut self.link(keys)).await? == 1)
            }
        }
    }

    /// Puts a lost job back, as the commit before it had added it, with nothing counted.
    async fn restore(&self, pair: PairId, job: &str) -> Result<bool, QueueError> {
        let fields = self.fields(pair).await?;
        let mut promised = fields.iter().flat_map(|(name, value)| mark::promised(name, value));
        let Some((step, priority, entry)) = promised.find(|(.., entry)| entry.id.as_str() == job) else {
            return Ok(false);
        };
        let keys = self.keys(pair);
        let mut call = self.scripts().restore.key(keys.record(pair));
        call.key(keys.stream(step, priority)).key(keys.counters()).key(keys.events());
        call.arg(job).arg(entry.to_json()).arg(EVENTS_MAX);
        Ok(call.invoke_async::<i64>(&mut self.link(keys)).await? == 1)
    }
}
