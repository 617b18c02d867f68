//! The passing of page time: it passes only as it is granted, a step at a time.

use std::time::Duration;

use chromiumoxide::cdp::{
    browser_protocol::emulation::{SetVirtualTimePolicyParams, VirtualTimePolicy},
    js_protocol::runtime::GetHeapUsageParams,
};
use tokio::time::timeout;

use super::{Run, Stop};

/// Tasks in a row before time passes all the same: it must not stand still for a page that posts itself messages.
const TASKS_PER_MOMENT_MAX: i64 = 1000;

/// By how much each step ends later in its millisecond than the step before, and for how many before that begins anew.
/// The page's timers are due whole milliseconds after they were set, but for some microseconds. One that is due at the
/// very end of a step runs before or after the next input, as the machine likes; so steps near each other do not end at
/// the same part of one, and none where it begins, as the page does. All are in its first third: the page's clock rounds.
const LATER_MS: f64 = 0.01;
const LATER_STEPS: u32 = 30;

/// Silence after which a page whose time stands still is asked whether it is idle.
const QUIET: Duration = Duration::from_millis(20);

/// The same for a page that has had workers: those load on threads of their own, beside an idle page.
const WORKERS_QUIET: Duration = Duration::from_millis(125);

/// Answers in a row, each after another silence, by which a page is known to be idle. A busy page answers late, and so
/// does one on a busy machine: how long it takes decides nothing.
pub(super) const IDLE_ANSWERS: u32 = 8;

impl Run<'_> {
    /// Lets page time pass: timers run, nothing is drawn. It stands still while the page waits for an answer of
    /// ours, so that it does not matter how fast we are.
    pub(super) async fn pass(&mut self, step_ms: f64) -> Result<(), Stop> {
        let awaited = self.budgets_spent + 1;
        let mut grant = passing(VirtualTimePolicy::PauseIfNetworkFetchesPending);
        grant.budget = Some(step_ms + end_of_step(awaited) - end_of_step(self.budgets_spent));
        drop(self.page.send(&grant));
        let mut answers = 0;
        while self.budgets_spent < awaited {
            let quiet = if self.has_asked { QUIET } else { WORKERS_QUIET };
            let may_wait = (self.has_asked || self.had_workers) && answers < IDLE_ANSWERS;
            let happened = if may_wait { timeout(quiet, self.next()).await } else { Ok(self.next().await) };
            if let Ok(happened) = happened {
                self.handle(happened)?;
                self.check_end()?;
                continue;
            }
            self.call(&GetHeapUsageParams::default()).await?;
            answers += 1;
            if answers == IDLE_ANSWERS {
                self.release(awaited).await?;
            }
        }
        self.has_asked = false;
        self.alive();
        // What the page did is reported before the end of its time, on the same way.
        self.findings.settle();
        self.page_ms += step_ms;
        self.page.ticks += step_ms;
        self.frames_of_moment = 0;
        self.pass_in_workers(step_ms).await
    }

    /// Lets the time that was granted pass though something that the page asked for is not delivered: asked for while
    /// time is paused, in the handler of an input, it is delivered only in time, and time waits for the delivery. What
    /// a worker asked for that was ended while it was loading is never answered.
    ///
    /// No second grant, for the first would go on beside it, and each would stop the time of the other; and only once
    /// time is known to stand still, for without a grant it would never be stopped.
    async fn release(&mut self, awaited: u32) -> Result<(), Stop> {
        self.call(&SetVirtualTimePolicyParams::new(VirtualTimePolicy::Pause)).await?;
        if self.budgets_spent < awaited {
            self.call(&passing(VirtualTimePolicy::Advance)).await?;
        }
        Ok(())
    }
}

/// How long after a whole millisecond a step ends, in milliseconds. The page begins at one, before any step.
fn end_of_step(number: u32) -> f64 {
    if number == 0 { 0.0 } else { f64::from(1 + number % LATER_STEPS) * LATER_MS }
}

fn passing(policy: VirtualTimePolicy) -> SetVirtualTimePolicyParams {
    let mut pass = SetVirtualTimePolicyParams::new(policy);
    pass.max_virtual_time_task_starvation_count = Some(TASKS_PER_MOMENT_MAX);
    pass
}
