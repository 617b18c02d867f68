//! Live progress on stderr: pairs under way by step, ready, rejected, cost.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use mondo_jobs::queue::{Queue, Stats};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::stats::dollars;

/// How often the numbers are read anew.
const PERIOD: Duration = Duration::from_millis(500);

/// A line that follows the queue until it is stopped. Without a terminal it draws nothing.
pub(super) struct Progress {
    bar: ProgressBar,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Progress {
    pub(super) fn start(queue: &Queue) -> Self {
        let bar =
            if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(120));
            tasks.spawn(follow(queue.clone(), bar.clone(), stop.clone()));
        }
        tasks.close();
        Self { bar, stop, tasks }
    }

    /// Runs `print` while the line is off the screen.
    pub(super) fn hide_while<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Takes the line off the screen for good.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
        self.bar.finish_and_clear();
    }
}

async fn follow(queue: Queue, bar: ProgressBar, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        match queue.stats().await {
            Ok(stats) => bar.set_message(line(&stats)),
            Err(error) => bar.set_message(format!("{error}; waiting")),
        }
    }
}

fn line(stats: &Stats) -> String {
    let steps: Vec<String> = stats
        .steps
        .iter()
        .map(|step| (step.step, step.waiting + step.running + step.delayed))
        .filter(|(_, jobs)| *jobs > 0)
        .map(|(step, jobs)| format!("{step} {jobs}"))
        .collect();
    let count = |name: &str| stats.counters.get(name).copied().unwrap_or(0);
    let mut parts = vec![
        format!(
            "{} under way{}",
            stats.open,
            if steps.is_empty() { String::new() } else { format!(" ({})", steps.join(", ")) }
        ),
        format!("{} ready", stats.ready),
        format!("{} rejected", count("rejected")),
        format!("{} LLM calls, {}", count("llm_calls"), dollars(count("cost_micro_usd"))),
    ];
    if stats.dead > 0 {
        parts.push(format!("{} dead letters", stats.dead));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use mondo_jobs::{job::Step, queue::StepStats};

    use super::*;

    #[test]
    fn the_line_names_only_steps_that_have_jobs() {
        let step = |step, waiting| StepStats { step, waiting, running: 1, delayed: 0, wanted: 0 };
        let idle = StepStats { step: Step::Fix, waiting: 0, running: 0, delayed: 0, wanted: 0 };
        let stats = Stats {
            steps: vec![step(Step::Answer, 2), idle, step(Step::Execute, 0)],
            open: 4,
            ready: 7,
            counters: [("rejected".to_owned(), 1), ("llm_calls".to_owned(), 12)].into(),
            ..Stats::default()
        };
        assert_eq!(
            line(&stats),
            "4 under way (answer 3, execute 1) · 7 ready · 1 rejected · 12 LLM calls, $0.0000"
        );
    }
}
