//! The passing of page time: it passes only as it is granted, a step at a time.

use std::time::Duration;

use chromiumoxide::cdp::{
    browser_protocol::emulation::{SetVirtualTimePolicyParams, VirtualTimePolicy},
    js_protocol::runtime::GetHeapUsageParams,
};
use tokio::time::timeout;

use super::{Run, Stop};

/// Tasks in a row before time passes all the same: it must not stand still for a page that posts itself messages.
const TASKS_PER_MOMENT_MAX: i64 = 500;

/// Each step ends a microsecond later in its millisecond than the step before; after so many that begins anew, which is
/// after more steps than most pages get.
///
/// The page's timers are due whole milliseconds after they were set. One that is due at the very end of a step runs before
/// or after the next input, as the machine likes; so no two of these steps end at the same part of a millisecond, and none
/// where it begins, as the page does. All are in its first third, for the page's clock is rounded.
const LATER_STEPS: u32 = 300;

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
        grant.budget = Some(budget(step_ms, awaited));
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

/// What the step of this number, counted from 1, is granted, in milliseconds. The browser cuts it to whole microseconds.
fn budget(step_ms: f64, number: u32) -> f64 {
    let micros = step_ms * 1000.0 + end_micros(number) - end_micros(number - 1);
    (micros.round() + 0.5) / 1000.0
}

/// How many microseconds after a whole millisecond a step ends. The page begins at one, before any step.
fn end_micros(number: u32) -> f64 {
    if number == 0 { 0.0 } else { f64::from(1 + number % LATER_STEPS) }
}

fn passing(policy: VirtualTimePolicy) -> SetVirtualTimePolicyParams {
    let mut pass = SetVirtualTimePolicyParams::new(policy);
    pass.max_virtual_time_task_starvation_count = Some(TASKS_PER_MOMENT_MAX);
    pass
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_end_where_no_timer_is_due() {
        for step_ms in [16.0, 17.0, 50.0, 65.0, 250.0, 500.0] {
            let cut = |number| (budget(step_ms, number) * 1000.0).trunc();
            let mut end_micros = 0.0;
            let mut parts = std::collections::HashSet::new();
            for number in 1..=2 * LATER_STEPS {
                end_micros += cut(number);
                let part = end_micros % 1000.0;
                assert!((1.0..=333.0).contains(&part), "step {number} of {step_ms} ms ends at {part}");
                parts.insert(part.to_bits());
            }
            assert_eq!(parts.len(), LATER_STEPS as usize);
        }
    }
}
