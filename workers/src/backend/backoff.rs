//! How long a job waits before it is run again.
//!
//! Full jitter: any time up to the bound is as likely as any other, so that jobs that failed together do not
//! come back together.

use std::time::Duration;

/// The bound of the first retry; it doubles with each further one.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The bound of the last ones.
const RETRY_MAX: Duration = Duration::from_mins(5);
/// The bound of a wait that names no time.
const WAIT_DEFAULT: Duration = Duration::from_secs(10);

/// The delay after a run that failed; `attempts` counts the failed runs before it, `random` is in 0..1.
pub(super) fn retry_delay(attempts: u32, random: f64) -> Duration {
    RETRY_FIRST.saturating_mul(1 << attempts.min(16)).min(RETRY_MAX).mul_f64(random)
}

/// The delay of a wait, never shorter than what was asked for; `random` is in 0..1.
pub(super) fn wait_delay(after: Option<Duration>, random: f64) -> Duration {
    match after {
        Some(after) => after.saturating_add((after / 4).clamp(RETRY_FIRST, RETRY_MAX).mul_f64(random)),
        None => RETRY_FIRST + WAIT_DEFAULT.mul_f64(random),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_double_up_to_their_bound() {
        let bounds: Vec<u64> = [0, 1, 2, 8, 9, 1000].map(|n| retry_delay(n, 1.0).as_secs()).to_vec();
        assert_eq!(bounds, [1, 2, 4, 256, 300, 300]);
        assert_eq!(retry_delay(5, 0.0), Duration::ZERO);
    }

    #[test]
    fn a_wait_is_never_shorter_than_what_was_asked_for() {
        let asked = Duration::from_secs(40);
        assert_eq!(wait_delay(Some(asked), 0.0), asked);
        assert_eq!(wait_delay(Some(asked), 1.0), Duration::from_secs(50));
        assert_eq!(wait_delay(Some(Duration::MAX), 1.0), Duration::MAX);
        assert!(wait_delay(None, 0.0) >= RETRY_FIRST);
    }
}
