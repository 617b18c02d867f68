//! The clocks beside the page's. Workers are given the page's time, so that what they do does not depend on how fast
//! this machine is. What plays sound has a clock that nobody can give it: such a page gets a short while of real
//! time at the end, and what fails then is reported as of its beginning.

use std::time::Duration;

use chromiumoxide::cdp::js_protocol::runtime::{EvaluateParams, GetHeapUsageParams};
use tokio::time::{Instant, timeout};

use super::{Draw, FRAME_MS, Run, Stop, page::CLOCK_START_SECS};
use crate::sandbox::browser::cdp::CdpError;

/// Frames of real time: a quarter of a second.
const REAL_FRAMES: u32 = 15;

/// How long workers may keep a page waiting, all in all.
pub(super) const WORKERS_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long they may at once: less than what would be taken for a hang of the page.
const WORKER_WAIT_MAX: Duration = Duration::from_millis(500);

/// The event at which `init.js` tells the page what it has held back.
const BEGIN: &str = "mondo:real";

const WORKER: &str = include_str!("worker.js");

/// The script that gives a worker the page's time, which is `page_ms` now.
pub(super) fn worker_script(seed: u32, page_ms: u64) -> EvaluateParams {
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of seconds")]
    let start_ms = CLOCK_START_SECS as i64 * 1000 + i64::try_from(page_ms).unwrap_or_default();
    let script = WORKER.replace("SEED", &seed.to_string()).replace("START", &start_ms.to_string());
    EvaluateParams::new(script)
}

impl Run<'_> {
    /// Lets the same time pass in the page's workers, and waits until they have done what they had to.
    pub(super) async fn pass_in_workers(&mut self, step_ms: f64) -> Result<(), Stop> {
        for session in self.workers.clone() {
            let mut pass = EvaluateParams::new(format!("__mondoPass({step_ms})"));
            pass.await_promise = Some(true);
            let mut passed = self.page.cdp.send(Some(&session), &pass);
            loop {
                let wait = self.workers_wait.min(WORKER_WAIT_MAX);
                let started = Instant::now();
                match timeout(wait, self.reply(&mut passed)).await {
                    // The worker has ended.
                    Ok(Err(Stop::Failed(CdpError::Refused { .. }))) => {
                        self.workers.retain(|other| *other != session);
                        break;
                    }
                    Ok(passed) => {
                        passed?;
                        break;
                    }
                    Err(_elapsed) if self.workers_wait.is_zero() => break,
                    Err(_elapsed) => self.workers_wait = self.workers_wait.saturating_sub(started.elapsed()),
                }
                // The page itself is not busy, and says so.
                self.call(&GetHeapUsageParams::default()).await?;
            }
        }
        Ok(())
    }

    /// Lets a little real time pass, where the page has a clock that runs by it.
    pub(super) async fn real_time(&mut self) -> Result<(), Stop> {
        if !self.source.contains("AudioContext") {
            return Ok(());
        }
        self.findings.enter_timeless("real", self.page_ms());
        self.tell(BEGIN, 0).await?;
        let mut due = Instant::now();
        for _ in 0..REAL_FRAMES {
            due += Duration::from_secs_f64(FRAME_MS / 1000.0);
            self.until(due.saturating_duration_since(Instant::now()), |_| false).await?;
            self.frame(FRAME_MS, Draw::No).await?;
        }
        Ok(())
    }
}
