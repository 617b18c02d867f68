//! `mondo dead replay`: puts letters back a few at first, then at a rate, and stops when they die again.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use mondo_jobs::queue::{DeadFilter, DeadPages, Queue, QueueError};
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Filter, age, duration,
    groups::Groups,
    watch::{LOOK_PERIOD, Watch, exceeds},
};
use crate::cli::{BAD, output, stop_signal};

/// Exit code of a replay that ended before everything was put back.
const STOPPED: u8 = 3;
/// How often a person is told how far it is.
const TELL_PERIOD: Duration = Duration::from_secs(5);

/// Arguments of `mondo dead replay`.
#[derive(Debug, Args)]
#[command(
    after_help = "A job that is put back gets fresh attempts and keeps its pair's journal: no reply is paid
for again. What dies while the command runs is not put back again by it. Two people may
run it at once, and it may be run again after a failure: each letter is put back once.

First --canary letters go, and nothing more until each of them is committed or dead again;
those that are neither after --deadline count as failed. When more than --abort-share of
them failed, the rest stays dead. Else the rest goes at --rate, never with more than 500
undecided, and stops when of the last 100 decided more than --abort-share died again, or
when nothing was decided for --deadline. When all letters fit into the canary, nothing is
waited for.

Examples:
  mondo dead replay --class rate_limited --newer-than 1h --dry-run
  mondo dead replay --class rate_limited --newer-than 1h
  mondo dead replay --fingerprint 1f0c33a9 --rate 5 --abort-share 0.05
  mondo dead replay --all --canary 0 --abort-share 1      without looking back
  mondo dead replay 0191…/base/answer/0

Exit codes: 0 all were put back; 1 no letter fits; 2 could not do it; 3 stopped before the
end, because too many died again, nothing was decided in time, or somebody pressed Ctrl-C.
The rest is as it was then."
)]
pub(super) struct ReplayArgs {
    /// These jobs only, as `ls` prints them
    jobs: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// All dead letters; needed where neither a job nor a filter is given
    #[arg(long)]
    all: bool,
    /// Only show what would be put back, by cause
    #[arg(long)]
    dry_run: bool,
    /// Letters put back per second after the canary, 0.01 to 10000
    #[arg(long, default_value_t = 50.0, value_parser = within::<1, 1_000_000>)]
    rate: f64,
    /// Letters put back first and waited for, 0 to 500
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=500))]
    canary: u16,
    /// Stop when more than this share died again, 0 to 1; 1 never stops and waits for nothing
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = within::<0, 100>)]
    abort_share: f64,
    /// How long to wait for what becomes of replayed jobs: 90s, 10m, 1h
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    deadline: Duration,
    /// For programs: the summary as one JSON object, or with --dry-run an array of causes
    #[arg(long)]
    json: bool,
}

/// A number between two bounds that are given in hundredths.
fn within<const LOW: u32, const HIGH: u32>(text: &str) -> Result<f64, String> {
    let (low, high) = (f64::from(LOW) / 100.0, f64::from(HIGH) / 100.0);
    let number = text.parse().ok().filter(|number| (low..=high).contains(number));
    number.ok_or_else(|| format!("accepted is a number from {low} to {high}"))
}

impl ReplayArgs {
    fn is_named(&self) -> bool {
        let Filter { step, class, fingerprint, model, text, older_than, newer_than } = &self.filter;
        let texts = [class, fingerprint, model, text];
        self.all
            || !self.jobs.is_empty()
            || step.is_some()
            || texts.iter().any(|text| text.is_some())
            || older_than.is_some()
            || newer_than.is_some()
    }
}

pub(super) async fn run(queue: &Queue, args: ReplayArgs) -> anyhow::Result<ExitCode> {
    ensure!(
        args.is_named(),
        "say which letters: a job, --step, --class, --fingerprint, --model, --text, --older-than, --newer-than, or --all"
    );
    let now_ms = queue.now_ms().await?;
    let pace = Pace {
        rate: args.rate,
        canary: args.canary.into(),
        share: args.abort_share,
        deadline: args.deadline,
    };
    let mut filter = args.filter.at(now_ms, args.jobs);
    // What dies from here on has had its chance.
    filter.died_before_ms = Some(filter.died_before_ms.unwrap_or(now_ms).min(now_ms));

    let groups = Groups::of(queue, filter.clone()).await?;
    if args.dry_run {
        groups.print(now_ms, args.json)?;
    }
    if groups.count() == 0 {
        output::note("no dead letter fits");
        return Ok(ExitCode::from(BAD));
    }
    if args.dry_run {
        output::note(&format!("{} would be put back", groups.summary()));
        return Ok(ExitCode::SUCCESS);
    }
    output::note(&format!("{} fit", groups.summary()));
    go(queue, filter, pace, groups.count(), args.json).await
}

async fn go(
    queue: &Queue,
    filter: DeadFilter,
    pace: Pace,
    fits: u64,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut replay = Replay::new(queue, filter, pace, fits, stop_signal()?);
    let end = replay.run().await;
    let summary = replay.summary(end.as_ref().ok());
    if json {
        output::json(&summary)?;
    } else {
        output::data(&summary.line())?;
    }
    match end.context("the rest is as it was; the same command goes on with it")? {
        End::All => Ok(ExitCode::SUCCESS),
        end => {
            output::note(&format!("stopped: {}; the rest stays dead", end.reason()));
            Ok(ExitCode::from(STOPPED))
        }
    }
}

/// How fast letters are put back, and when that ends.
#[derive(Debug, Clone, Copy)]
struct Pace {
    rate: f64,
    canary: u64,
    share: f64,
    deadline: Duration,
}

impl Pace {
    /// Whether anything that may be seen could stop the replay.
    fn watches(&self) -> bool {
        self.share < 1.0
    }
}

/// How a replay ended.
enum End {
    All,
    Canary { failed: usize, undecided: usize, of: usize },
    Failing { died: usize, of: usize },
    Silent { under_way: usize, deadline: Duration },
    Interrupted,
}

impl End {
    fn reason(&self) -> String {
        match self {
            Self::All => "everything was put back".to_owned(),
            Self::Canary { failed, undecided: 0, of } => format!("{failed} of {of} canaries died again"),
            Self::Canary { failed, undecided, of } => format!(
                "{failed} of {of} canaries died again, and {undecided} were still under way at the deadline; are \
                 workers running (`mondo stats`)?"
            ),
            Self::Failing { died, of } => format!("of the last {of} jobs decided {died} died again"),
            Self::Silent { under_way, deadline } => format!(
                "{under_way} jobs are under way and none was decided for {}; are workers running (`mondo stats`)?",
                age(u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX))
            ),
            Self::Interrupted => "interrupted".to_owned(),
        }
    }
}

/// What a replay came to.
#[derive(Debug, Serialize)]
struct Summary {
    fits: u64,
    put_back: u64,
    /// Put back or given up by somebody else meanwhile.
    taken: u64,
    committed: u64,
    died_again: u64,
    /// Their pair ended otherwise.
    gone: u64,
    /// Put back, and not decided when the command ended or not watched.
    under_way: u64,
    stopped: Option<String>,
}

impl Summary {
    fn line(&self) -> String {
        let Self { fits, put_back, taken, committed, died_again, gone, under_way, .. } = self;
        let mut line = format!(
            "{put_back} of {fits} put back: {committed} committed, {died_again} died again, {under_way} under way"
        );
        for (count, what) in [(gone, "ended with their pair"), (taken, "taken by somebody else")] {
            if *count > 0 {
                let _ = write!(line, ", {count} {what}");
            }
        }
        line
    }
}

/// One replay under way.
struct Replay<'a> {
    queue: &'a Queue,
    pace: Pace,
    letters: Letters,
    watch: Watch,
    ticks: Interval,
    stop: CancellationToken,
    told: Instant,
    fits: u64,
    put_back: u64,
    taken: u64,
}

impl<'a> Replay<'a> {
    fn new(queue: &'a Queue, filter: DeadFilter, pace: Pace, fits: u64, stop: CancellationToken) -> Self {
        let mut ticks = interval(Duration::from_secs_f64(pace.rate.recip()));
        // Timers are no finer than a millisecond: what a tick comes late by is made up for.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let letters = Letters { pages: queue.dead_pages(filter), jobs: VecDeque::new() };
        let (watch, told) = (Watch::new(), Instant::now());
        Self { queue, pace, letters, watch, ticks, stop, told, fits, put_back: 0, taken: 0 }
    }

    async fn run(&mut self) -> anyhow::Result<End> {
        if let Some(end) = self.canary().await? {
            return Ok(end);
        }
        self.ticks.reset();
        while let Some(job) = self.letters.next().await? {
            if let Some(end) = self.hold().await? {
                return Ok(end);
            }
            if self.stop.run_until_cancelled(self.ticks.tick()).await.is_none() {
                return Ok(End::Interrupted);
            }
            self.put_back(&job).await?;
        }
        self.watch.look(self.queue).await?;
        Ok(End::All)
    }

    /// Puts the first few back and waits for what becomes of them; says how it ends if it ends here.
    async fn canary(&mut self) -> anyhow::Result<Option<End>> {
        while self.put_back < self.pace.canary
            && let Some(job) = self.letters.next().await?
        {
            self.put_back(&job).await?;
        }
        let of = self.watch.under_way();
        // Without more letters there is nothing to keep from harm.
        if of == 0 || !self.letters.has_more().await? {
            return Ok(None);
        }
        let wait = age(u64::try_from(self.pace.deadline.as_millis()).unwrap_or(u64::MAX));
        output::note(&format!("{of} put back as canaries; waiting up to {wait} for what becomes of them"));
        let started = Instant::now();
        while self.watch.under_way() > 0 && started.elapsed() < self.pace.deadline {
            if self.stop.run_until_cancelled(sleep(LOOK_PERIOD)).await.is_none() {
                return Ok(Some(End::Interrupted));
            }
            self.watch.look(self.queue).await?;
            self.tell();
        }
        let (failed, undecided) =
            (usize::try_from(self.watch.died_again).unwrap_or(usize::MAX), self.watch.under_way());
        if exceeds(failed + undecided, of, self.pace.share) {
            return Ok(Some(End::Canary { failed, undecided, of }));
        }
        output::note(&format!(
            "of {of} canaries {failed} died again; the rest goes at {} per second",
            self.pace.rate
        ));
        Ok(None)
    }

    /// Waits while too many are undecided; says how it ends if it may not go on.
    async fn hold(&mut self) -> anyhow::Result<Option<End>> {
        loop {
            self.tell();
            if self.stop.is_cancelled() {
                return Ok(Some(End::Interrupted));
            }
            self.watch.look_now_and_then(self.queue).await?;
            if let Some((died, of)) = self.watch.failing(self.pace.share) {
                return Ok(Some(End::Failing { died, of }));
            }
            if !self.watch.is_full() {
                return Ok(None);
            }
            if self.watch.silent_for() > self.pace.deadline {
                let (under_way, deadline) = (self.watch.under_way(), self.pace.deadline);
                return Ok(Some(End::Silent { under_way, deadline }));
            }
            // A stop is seen at the head of the loop.
            self.stop.run_until_cancelled(sleep(LOOK_PERIOD)).await;
            self.ticks.reset();
        }
    }

    async fn put_back(&mut self, job: &str) -> anyhow::Result<()> {
        match self.queue.replay(job).await.with_context(|| format!("putting `{job}` back"))? {
            Some(replayed) => {
                self.put_back += 1;
                if self.pace.watches() {
                    self.watch.add(replayed);
                }
            }
            None => self.taken += 1,
        }
        Ok(())
    }

    fn tell(&mut self) {
        if self.told.elapsed() >= TELL_PERIOD {
            self.told = Instant::now();
            output::note(&self.summary(None).line());
        }
    }

    fn summary(&self, end: Option<&End>) -> Summary {
        let Watch { committed, died_again, gone, .. } = self.watch;
        Summary {
            fits: self.fits,
            put_back: self.put_back,
            taken: self.taken,
            committed,
            died_again,
            gone,
            under_way: self.put_back - committed - died_again - gone,
            stopped: end.filter(|end| !matches!(end, End::All)).map(End::reason),
        }
    }
}

/// The jobs of the letters that fit, one after the other.
struct Letters {
    pages: DeadPages,
    jobs: VecDeque<String>,
}

impl Letters {
    async fn next(&mut self) -> Result<Option<String>, QueueError> {
        Ok(if self.has_more().await? { self.jobs.pop_front() } else { None })
    }

    async fn has_more(&mut self) -> Result<bool, QueueError> {
        while self.jobs.is_empty() {
            let Some(page) = self.pages.next().await? else { return Ok(false) };
            self.jobs.extend(page.letters.into_iter().map(|letter| letter.job));
        }
        Ok(true)
    }
}
