//! How fast each step may claim: not at all while it or its responder is paused, and slowly while nobody takes
//! the finished pairs.

use std::{sync::Arc, time::Duration};

use mondo_jobs::{
    job::Step,
    queue::{Queue, QueueError, Target},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;

/// How often the pauses and the ready list are looked at.
const LOOK_PERIOD: Duration = Duration::from_secs(2);
/// How often the responder is made known again.
const ANNOUNCE_PERIOD: Duration = Duration::from_mins(1);
/// The pause between two claims of a step that slows.
pub(super) const SLOW_PERIOD: Duration = Duration::from_secs(1);

/// What the flow of work is steered by.
#[derive(Debug, Clone, Default)]
pub struct FlowOptions {
    /// Provider and model that every step but `execute` asks.
    pub responder: Option<String>,
    /// While at least so many finished pairs wait for a consumer, `objects`, `question` and `answer` are claimed one
    /// by one, with a second between.
    pub ready_high: Option<u64>,
}

/// The flow of one process; each step has its pace.
pub(super) struct Flow {
    queue: Queue,
    options: FlowOptions,
    paces: watch::Sender<Paces>,
}

/// By step.
type Paces = [Pace; 6];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Nobody has looked yet; a pause may be in force.
    Unknown,
    Free,
    Slow,
    Paused,
}

impl Pace {
    fn is_open(self) -> bool {
        matches!(self, Self::Free | Self::Slow)
    }
}

impl Flow {
    pub(super) fn new(queue: Queue, options: FlowOptions) -> Self {
        Self { queue, options, paces: watch::Sender::new([Pace::Unknown; 6]) }
    }

    pub(super) fn is_paused(&self, step: Step) -> bool {
        self.pace(step) == Pace::Paused
    }

    /// Whether jobs of the step may be claimed.
    pub(super) fn is_open(&self, step: Step) -> bool {
        self.pace(step).is_open()
    }

    pub(super) fn is_slow(&self, step: Step) -> bool {
        self.pace(step) == Pace::Slow
    }

    /// Waits for the first look, without which nothing may be claimed.
    pub(super) async fn until_known(&self, step: Step) {
        self.until(|paces| paces[step as usize] != Pace::Unknown).await;
    }

    /// Waits until jobs of the step may be claimed.
    pub(super) async fn until_open(&self, step: Step) {
        self.until(|paces| paces[step as usize].is_open()).await;
    }

    /// Waits until jobs of the step may not be claimed.
    pub(super) async fn until_paused(&self, step: Step) {
        self.until(|paces| paces[step as usize] == Pace::Paused).await;
    }

    fn pace(&self, step: Step) -> Pace {
        self.paces.borrow()[step as usize]
    }

    async fn until(&self, holds: impl FnMut(&Paces) -> bool) {
        // Fails only when the sender is gone, and it is ours.
        let _ = self.paces.subscribe().wait_for(holds).await;
    }

    /// Looks every 2 s. While Redis is away everything stays as it was.
    pub(super) async fn watch(self: Arc<Self>, outage: Arc<Outage>, stop: CancellationToken) {
        let mut announced: Option<Instant> = None;
        loop {
            let due = announced.is_none_or(|at| at.elapsed() >= ANNOUNCE_PERIOD);
            match self.look(due).await {
                Ok(()) if due => announced = Some(Instant::now()),
                Ok(()) => {}
                Err(error) => outage.away(&error),
            }
            if stop.run_until_cancelled(sleep(LOOK_PERIOD)).await.is_none() {
                return;
            }
        }
    }

    async fn look(&self, announce: bool) -> Result<(), QueueError> {
        let responder = self.options.responder.as_ref();
        if let Some(name) = responder.filter(|_| announce) {
            self.queue.announce(name).await?;
        }
        let mut targets = Step::ALL.map(Target::Step).to_vec();
        targets.extend(responder.cloned().map(Target::Responder));
        let pauses = self.queue.paused(&targets).await?;
        let full = match self.options.ready_high {
            Some(high) => self.queue.ready_count().await? >= high,
            None => false,
        };
        let paces = Step::ALL.map(|step| pace(step, &pauses, full));
        let before = self.paces.send_replace(paces);
        tell(before, paces, &targets, &pauses);
        Ok(())
    }
}

/// `pauses` has the steps in their order, then the responder.
fn pace(step: Step, pauses: &[Option<String>], full: bool) -> Pace {
    let is_paused = |place: usize| pauses.get(place).is_some_and(Option::is_some);
    if is_paused(step as usize) || (step.asks_responder() && is_paused(Step::ALL.len())) {
        Pace::Paused
    } else if full && step.is_upstream() {
        Pace::Slow
    } else {
        Pace::Free
    }
}

/// Says once what changed.
fn tell(before: Paces, now: Paces, targets: &[Target], pauses: &[Option<String>]) {
    let steps = |from: Paces, to: Paces| {
        let is_paused = |paces: Paces, step: Step| paces[step as usize] == Pace::Paused;
        let changed = |step: &Step| is_paused(to, *step) && !is_paused(from, *step);
        Step::ALL.into_iter().filter(changed).map(Step::name).collect::<Vec<_>>()
    };
    let (stopped, resumed) = (steps(before, now), steps(now, before));
    if !stopped.is_empty() {
        let reasons = targets.iter().zip(pauses);
        let reasons = reasons.filter_map(|(target, reason)| Some(format!("{target}: {}", reason.as_ref()?)));
        let why = reasons.collect::<Vec<_>>().join("; ");
        tracing::warn!(steps = ?stopped, why, "steps are paused; `mondo resume` lets them go on");
    }
    if !resumed.is_empty() {
        tracing::info!(steps = ?resumed, "steps go on after a pause");
    }
    let slows = |paces: Paces| paces.contains(&Pace::Slow);
    if slows(now) && !slows(before) {
        tracing::info!("the ready list is at its high mark; objects, question and answer slow down");
    } else if slows(before) && !slows(now) {
        tracing::info!("there is room in the ready list; objects, question and answer go on as usual");
    }
    metrics::gauge!("mondo_upstream_slowed").set(u8::from(slows(now)));
}

#[cfg(test)]
mod tests {
    use super::*;

    use Pace::{Free, Paused, Slow};

    #[test]
    fn a_pause_goes_before_slowness_and_execute_needs_no_responder() {
        let paused = |place: Option<usize>| -> Vec<Option<String>> {
            (0..7).map(|at| (Some(at) == place).then(String::new)).collect()
        };
        let paces = |pauses: &[Option<String>], full| Step::ALL.map(|step| pace(step, pauses, full));
        assert_eq!(paces(&paused(None), false), [Free; 6]);
        assert_eq!(paces(&paused(None), true), [Slow, Slow, Slow, Free, Free, Free]);
        assert_eq!(paces(&paused(Some(1)), true), [Slow, Paused, Slow, Free, Free, Free]);
        assert_eq!(paces(&paused(Some(6)), true), [Paused, Paused, Paused, Free, Paused, Paused]);
        assert_eq!(paces(&paused(None)[..6], false), [Free; 6], "no responder is named");
    }
}
