//! What becomes of a job that met an error. Every error type that touches a job answers with one of these.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What becomes of a job that met an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Disposition {
    /// Run it again after a backoff; uses one attempt.
    Retry,
    /// Run it again later; uses no attempt, because waiting is not failing.
    Wait {
        /// Not before this much time; the backoff's own delay where absent.
        after: Option<Duration>,
    },
    /// Make it a dead letter at once: running it again cannot help.
    Bury,
    /// Stop sending such jobs until somebody acts; the job itself waits.
    Halt,
}
