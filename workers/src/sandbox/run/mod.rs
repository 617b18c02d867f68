//! One execution of one page: keeps its time, answers its requests, and collects what it does wrong. What is done
//! with the page, and in which order, is in `drive`; `input` uses it as a person would, `look` sees what it shows,
//! `limit` ends it.

mod answer;
mod drive;
pub(super) mod input;
mod limit;
pub(super) mod look;
pub(super) mod page;
mod paused;
mod real;
mod time;
mod views;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use chromiumoxide::{
    Command,
    cdp::{
        browser_protocol::{
            headless_experimental::{
                BeginFrameParams, BeginFrameReturns, ScreenshotParams, ScreenshotParamsFormat,
            },
            page::HandleJavaScriptDialogParams,
        },
        js_protocol::runtime::{GetHeapUsageParams, ScriptId},
    },
};
use mondo_jobs::finding::{Coverage, FindingClass, View};
use serde_json::Value;

use self::{
    input::rounds::Starts,
    limit::{
        Exceeded, Limit,
        memory::Growth,
        watch::{Silence, Watch},
    },
    page::{PAGE_URL, Page},
};
use crate::sandbox::{
    browser::{
        cdp::{CdpError, Pending},
        events::{Event, Paused, SessionEvent},
    },
    findings::{
        Findings, Observation,
        classify::{self, Announcement},
    },
};

/// Page time between two looks at the page's memory, in milliseconds: fifteen frames of a page that is used.
const MEMORY_LOOK_MS: f64 = 250.0;

/// Page time before the first look at how many elements the page has, and between two, in milliseconds.
const GROWTH_LOOKS_MS: (f64, f64) = (950.0, 2000.0);

/// One frame at about 60 frames a second, in milliseconds of page time. Whole milliseconds, and so is every other step:
/// a page's clocks and its animations are rounded to tenths, up or down by a secret of each process.
pub(super) const FRAME_MS: f64 = 17.0;

/// Real time that a document may take to be parsed before the first frame is drawn all the same.
const PARSE_WAIT: Duration = Duration::from_secs(1);

/// How often a moment is drawn again whose picture did not come: on a busy machine the browser now and then draws
/// a frame and gives no picture of it.
const PICTURES_AGAIN_MAX: u32 = 8;

/// Scripts of the page that are remembered: it may make them without end.
const SCRIPTS_MAX: usize = 10_000;

/// Why an execution ended before its plan did.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// The page no longer answers.
    #[error("the page no longer answers")]
    Hang(Silence),
    /// The page is at its end, and a finding says why.
    #[error("the page is at its end")]
    Ended,
    /// Nothing is busy and nothing answers: the browser is broken, or the page broke it. Only a second browser
    /// tells.
    #[error("it has not answered for 15 s, though nothing keeps it busy")]
    Stalled,
    /// The machine has not let the page have its processor time.
    #[error("the machine is too busy: {} s were not enough; lower MONDO_SANDBOX_SLOTS", limit::WALL_MAX.as_secs())]
    Late,
    /// The browser was ended because it used so many bytes of memory.
    #[error("it has {0} bytes of memory")]
    Outgrown(u64),
    /// The browser failed.
    #[error(transparent)]
    Failed(CdpError),
}

impl Stop {
    /// Whether the browser cannot execute another page: it is gone or broken, or the process that draws, which pages
    /// share, is still at work.
    pub(super) fn outlives_the_page(&self) -> bool {
        !matches!(self, Self::Ended | Self::Hang(Silence::Hang))
    }
}

impl From<CdpError> for Stop {
    fn from(error: CdpError) -> Self {
        Self::Failed(error)
    }
}

/// Whether a frame is drawn or only computed, which is cheaper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Draw {
    No,
    Yes,
    Screenshot,
}

/// How far it is with a page that no longer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hung {
    /// It answers.
    No,
    /// It is being stopped. What it did before is told only now.
    Asked,
    /// It goes on, only to see which loop it leaves. What else comes of that depends on the machine: nothing is found.
    LetGo,
}

/// One execution of one page.
#[expect(clippy::struct_excessive_bools, reason = "each is one fact about the page")]
pub(super) struct Run<'a> {
    pub(super) page: &'a mut Page,
    pub(super) source: &'a str,
    pub(super) findings: Findings,
    pub(super) frames: u32,
    /// Frames drawn since time last passed.
    frames_of_moment: u32,
    pub(super) inputs: u32,
    pub(super) memory_bytes_peak: u64,
    pub(super) page_ms: f64,
    memory_looked_ms: f64,
    growth_look_due_ms: f64,
    pub(super) drawn_ms: f64,
    started: Instant,
    watch: Watch,
    limit: Limit,
    pub(super) budgets_spent: u32,
    pub(super) served: u32,
    parsed: bool,
    pub(super) own_scripts: HashSet<String>,
    pub(super) paused: Option<Paused>,
    end: Option<Observation>,
    pub(super) hung: Hung,
    /// The page has asked for something, or started a worker, since its time was last seen to pass.
    pub(super) has_asked: bool,
    /// Seeds what is random in the page, 32 bits of the execution's.
    pub(super) seed: u32,
    /// The sessions of its workers, and for how long they may keep it waiting yet.
    pub(super) workers: Vec<String>,
    /// What finds the elements, once it is compiled.
    pub(super) probe: Option<ScriptId>,
    pub(super) workers_wait: Duration,
    pub(super) had_workers: bool,
    pub(super) children: u32,
    /// The page asks for frame after frame.
    pub(super) animates: bool,
    /// It does, and yet has never been seen to move.
    pub(super) unmoved: bool,
    /// It draws, and nothing changes by that.
    draws_still: bool,
    /// How often it was looked at for that while it was used.
    movement_looks: u32,
    /// The themes that the page has worn while it was used.
    themes: HashSet<String>,
    /// What was said by the buttons that were clicked.
    pub(super) clicked: HashSet<String>,
    /// What its buttons have started.
    pub(super) starts: Starts,
    /// What was chosen of its lists.
    pub(super) chosen: HashSet<String>,
    /// What is being dragged.
    pub(super) dragged: Option<Value>,
    pub(super) coverage: Option<Coverage>,
    /// The views on the way, where they are wanted.
    pub(super) views: Option<Vec<View>>,
    growth: Growth,
    /// The canvases that people draw in or steer and that were not empty before.
    drawn: Vec<usize>,
    /// The same before anything was used.
    drawn_at_first: Vec<usize>,
    /// Those that were empty when all had been used, and what is said of that if they stay so.
    empty_boards: Vec<(usize, Observation)>,
    /// How often it has caught what it threw.
    caught: u32,
    /// It is stopped there.
    watches_catches: bool,
}

pub(super) enum Happened {
    Event(Box<SessionEvent>),
    Silence(Silence),
    Exceeded(Exceeded),
}

impl<'a> Run<'a> {
    pub(super) fn new(page: &'a mut Page, source: &'a str) -> Self {
        let watch = Watch::new(page.cdp.clone(), page.session.clone());
        let limit = Limit::new(page.cdp.clone());
        Self {
            page,
            source,
            findings: Findings::default(),
            frames: 0,
            frames_of_moment: 0,
            inputs: 0,
            memory_bytes_peak: 0,
            page_ms: 0.0,
            memory_looked_ms: 0.0,
            growth_look_due_ms: GROWTH_LOOKS_MS.0,
            drawn_ms: 0.0,
            started: Instant::now(),
            watch,
            limit,
            budgets_spent: 0,
            served: 0,
            parsed: false,
            own_scripts: HashSet::new(),
            paused: None,
            end: None,
            hung: Hung::No,
            has_asked: false,
            children: 0,
            seed: 0,
            workers: Vec::new(),
            probe: None,
            had_workers: false,
            workers_wait: real::WORKERS_WAIT_MAX,
            animates: false,
            unmoved: false,
            draws_still: false,
            movement_looks: 0,
            themes: HashSet::new(),
            clicked: HashSet::new(),
            starts: Starts::default(),
            chosen: HashSet::new(),
            dragged: None,
            coverage: None,
            views: None,
            growth: Growth::default(),
            drawn: Vec::new(),
            drawn_at_first: Vec::new(),
            empty_boards: Vec::new(),
            caught: 0,
            watches_catches: false,
        }
    }

    /// Page time since navigation, in milliseconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    pub(super) fn page_ms(&self) -> u64 {
        self.page_ms.round() as u64
    }

    /// Real time since the start, in milliseconds.
    pub(super) fn wall_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn found(&mut self, observation: Observation) {
        let page_ms = self.page_ms();
        self.findings.add(observation, page_ms);
    }

    /// Sends a command to the page and waits for its result while answering whatever the page asks meanwhile.
    pub(super) async fn call<C: Command>(&mut self, command: &C) -> Result<C::Response, Stop> {
        let mut pending = self.page.send(command);
        self.reply(&mut pending).await
    }

    /// What happens next.
    pub(super) async fn next(&mut self) -> Happened {
        tokio::select! {
            biased;
            // First, so that a page that floods us with events is noticed all the same; they end only when due.
            silence = self.watch.silence() => Happened::Silence(silence),
            exceeded = self.limit.exceeded() => Happened::Exceeded(exceeded),
            Some(event) = self.page.events.recv() => Happened::Event(Box::new(event)),
        }
    }

    /// The page has given a sign of life.
    pub(super) fn alive(&mut self) {
        self.watch.alive();
    }

    pub(super) async fn reply<R: serde::de::DeserializeOwned>(
        &mut self,
        pending: &mut Pending<R>,
    ) -> Result<R, Stop> {
        loop {
            tokio::select! {
                biased;
                happened = self.next() => self.handle(happened)?,
                reply = pending.reply() => {
                    self.watch.alive();
                    return Ok(reply?);
                }
            }
            self.check_end()?;
        }
    }

    /// The first frame: drawn when the document is parsed and its scripts have run, so that what it finds does not
    /// depend on how fast the document came.
    pub(super) async fn first_frame(&mut self) -> Result<(), Stop> {
        self.pass(FRAME_MS).await?;
        // A document that needs more time to be parsed gets it with the next frames.
        self.until(PARSE_WAIT, |run| run.parsed).await?;
        self.settle().await?;
        self.draw(FRAME_MS, Draw::No).await.map(drop)
    }

    /// Handles what happens until this is so, or for so long.
    pub(super) async fn until(&mut self, wait: Duration, so: impl Fn(&Self) -> bool) -> Result<(), Stop> {
        let deadline = tokio::time::Instant::now() + wait;
        while !so(self) {
            let happened = tokio::time::timeout_at(deadline, self.next()).await;
            let Ok(happened) = happened else { break };
            self.handle(happened)?;
            self.check_end()?;
        }
        Ok(())
    }

    /// Waits until the page has done what it was last told, so that its findings belong to this moment; looks at
    /// its memory on the way.
    pub(super) async fn settle(&mut self) -> Result<(), Stop> {
        let usage = self.call(&GetHeapUsageParams::default()).await?;
        self.findings.settle();
        self.look_at_memory(&usage)
    }

    /// Lets `step_ms` of page time pass and then draws one frame. Gives the screenshot if asked for one.
    pub(super) async fn frame(&mut self, step_ms: f64, draw: Draw) -> Result<Option<Vec<u8>>, Stop> {
        self.look_at_flood()?;
        self.pass(step_ms).await?;
        self.draw(step_ms, draw).await
    }

    async fn draw(&mut self, step_ms: f64, draw: Draw) -> Result<Option<Vec<u8>>, Stop> {
        if draw != Draw::No {
            self.close_list().await?;
        }
        self.frames += 1;
        self.drawn_ms = self.page_ms;
        let due = self.page_ms - self.memory_looked_ms >= MEMORY_LOOK_MS;
        let look = due.then(|| self.page.send(&GetHeapUsageParams::default()));
        let mut drawn = self.begin_frame(step_ms, draw).await?;
        let mut again = 0;
        while draw == Draw::Screenshot && drawn.screenshot_data.is_none() && again < PICTURES_AGAIN_MAX {
            again += 1;
            tracing::debug!(page_ms = self.page_ms(), again, "a picture did not come");
            drawn = self.begin_frame(step_ms, draw).await?;
        }
        if let Some(mut look) = look {
            let usage = self.reply(&mut look).await?;
            self.memory_looked_ms = self.page_ms;
            self.look_at_memory(&usage)?;
        }
        if self.page_ms >= self.growth_look_due_ms {
            self.growth_look_due_ms = self.page_ms + GROWTH_LOOKS_MS.1;
            self.look_at_growth().await?;
        }
        self.findings.settle();
        Ok(drawn.screenshot_data.and_then(|data| STANDARD.decode(String::from(data)).ok()))
    }

    /// Draws the last moment once more: to the page no time has passed, and the frame counts for nothing.
    pub(super) async fn draw_again(&mut self) -> Result<(), Stop> {
        self.close_list().await?;
        self.begin_frame(FRAME_MS, Draw::Yes).await.map(drop)
    }

    /// Frames of one moment differ by a microsecond.
    async fn begin_frame(&mut self, step_ms: f64, draw: Draw) -> Result<BeginFrameReturns, Stop> {
        // The browser cuts this to whole microseconds, and sums of fractions fall now below, now above one.
        let micros = (self.page.ticks * 1000.0).round() + 0.5 + f64::from(self.frames_of_moment);
        self.frames_of_moment += 1;
        let begin = BeginFrameParams {
            frame_time_ticks: Some(micros / 1000.0),
            interval: Some(step_ms),
            no_display_updates: Some(draw == Draw::No),
            screenshot: (draw == Draw::Screenshot).then(png),
        };
        self.call(&begin).await
    }

    pub(super) fn check_end(&mut self) -> Result<(), Stop> {
        let Some(end) = self.end.take() else { return Ok(()) };
        self.found(end);
        Err(Stop::Ended)
    }

    pub(super) fn handle(&mut self, happened: Happened) -> Result<(), Stop> {
        match happened {
            Happened::Event(event) => self.on_event(*event),
            _ if self.hung != Hung::No => Err(Stop::Ended),
            Happened::Silence(Silence::Dead) if self.page.cdp.is_gone() => Err(CdpError::Gone.into()),
            Happened::Silence(Silence::Dead) => Err(Stop::Stalled),
            Happened::Silence(Silence::Still) => {
                self.report_stall();
                Err(Stop::Ended)
            }
            Happened::Silence(silence) => Err(Stop::Hang(silence)),
            Happened::Exceeded(Exceeded::Page) => {
                self.report_slow();
                Err(Stop::Ended)
            }
            Happened::Exceeded(Exceeded::Machine) => Err(Stop::Late),
        }
    }

    pub(super) fn on_event(&mut self, SessionEvent { session, event }: SessionEvent) -> Result<(), Stop> {
        let own = session == self.page.session;
        if self.hung == Hung::LetGo && !matches!(event, Event::Paused(_) | Event::Crashed) {
            return Ok(());
        }
        match event {
            Event::RequestPaused(request) => self.on_request(&session, &request),
            Event::ExceptionThrown(details) => {
                let observation = classify::exception(&details, self.source);
                let page_ms = self.page_ms();
                if own {
                    self.findings.add_exception(details.exception_id, observation, page_ms);
                } else {
                    self.findings.add(observation, page_ms);
                }
            }
            Event::ExceptionRevoked { exception_id } if own => self.findings.revoke(exception_id),
            Event::ConsoleCalled(called) => self.found_some(classify::console(&called)),
            Event::LogAdded(entry) => self.found_some(classify::log(&entry, self.source)),
            Event::DialogOpening(dialog) => {
                drop(self.page.send(&HandleJavaScriptDialogParams::new(true)));
                self.found(classify::dialog(&dialog));
            }
            Event::Reported { payload } => {
                let page_ms = self.page_ms();
                match classify::announced(&payload, self.source) {
                    Some(Announcement::Suspect(observation)) => self.findings.suspect(observation, page_ms),
                    Some(Announcement::Found(observation)) => self.found(observation),
                    Some(Announcement::Animates) => self.animates |= own,
                    Some(Announcement::Covered(coverage)) if own => self.coverage = Some(coverage),
                    Some(Announcement::Covered(_)) | None => {}
                }
            }
            Event::Attached { session, kind } => self.on_child(&session, &kind)?,
            Event::ScriptParsed(script) => {
                if script.url.is_empty() {
                    self.found_some(classify::evaluated(script.stack_trace.as_ref()));
                } else if script.url == PAGE_URL && self.own_scripts.len() < SCRIPTS_MAX {
                    self.own_scripts.insert(script.id);
                }
            }
            Event::Paused(paused) => self.on_paused(paused),
            Event::DragIntercepted { data } => self.dragged = Some(data),
            Event::Parsed => self.parsed |= own,
            Event::BudgetExpired if own => self.budgets_spent += 1,
            // It hangs, and how far it comes until it is ended depends on the machine.
            Event::Crashed if own && self.hung != Hung::No => return Err(Stop::Ended),
            Event::Crashed if own => {
                let observation = Observation::blocking(FindingClass::Crash, "the page's process died", None);
                self.end = Some(observation);
                self.check_end()?;
            }
            // What ends in a child is the child's; quiet means nothing where time is ours.
            Event::ExceptionRevoked { .. } | Event::BudgetExpired | Event::Crashed | Event::Quiet { .. } => {}
        }
        Ok(())
    }

    pub(super) fn found_some(&mut self, observation: Option<Observation>) {
        if let Some(observation) = observation {
            self.found(observation);
        }
    }
}

fn png() -> ScreenshotParams {
    let format = Some(ScreenshotParamsFormat::Png);
    ScreenshotParams { format, quality: None, optimize_for_speed: Some(true) }
}
