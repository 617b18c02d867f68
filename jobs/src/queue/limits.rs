//! What one call may carry.

use super::QueueError;
use crate::pair::BODY_BYTES_MAX;

/// The most pairs, jobs or entries that one script handles.
pub(super) const BATCH_MAX: usize = 500;
/// The most pairs that one script starts: it does five things for each, and keeps everybody else waiting meanwhile.
pub(super) const START_MAX: usize = 200;
/// The most delayed jobs that one script promotes, for the same reason: 500 took 5.2 ms.
pub(super) const PROMOTE_MAX: usize = 250;
/// The most fields, next jobs, memories or counters of one commit.
pub(super) const ITEMS_MAX: usize = 100;
/// The share of its memory, in percent, at which Redis takes no more pairs: the rest is for those under way.
pub(super) const MEMORY_PERCENT_MAX: u32 = 80;
/// About how many events are kept: a few megabytes.
pub(super) const EVENTS_MAX: usize = 10_000;

pub(super) fn check_size(what: &str, bytes: usize) -> Result<(), QueueError> {
    if bytes > BODY_BYTES_MAX {
        return Err(QueueError::TooLarge { what: format!("`{what}`"), bytes, limit: BODY_BYTES_MAX });
    }
    Ok(())
}

pub(super) fn check_count(what: &'static str, count: usize) -> Result<(), QueueError> {
    if count > BATCH_MAX {
        return Err(QueueError::TooMany { what, count, limit: BATCH_MAX });
    }
    Ok(())
}
