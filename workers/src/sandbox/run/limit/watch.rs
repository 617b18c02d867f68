//! Notices a page that no longer answers. What counts is the processor time that the page's own process has
//! used since its last sign of life, not the time on the wall: on a busy machine a clean page may be kept waiting
//! for long, and that is no fault of the page.

use std::time::Duration;

use chromiumoxide::cdp::{
    browser_protocol::system_info::{GetProcessInfoParams, GetProcessInfoReturns},
    js_protocol::runtime::{GetHeapUsageParams, GetHeapUsageReturns},
};
use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep_until};

use crate::sandbox::browser::cdp::{Cdp, Pending};

/// Silence after which the processor time is first read.
const QUIET: Duration = Duration::from_millis(200);

/// How often it is read from then on.
const INTERVAL: Duration = Duration::from_millis(100);

/// Processor seconds that a page's process may use without a sign of life. A picture that a page computes in one go has been
/// seen to take more than 1.4 of them on a slow machine; and a page that hangs is to be ended within 2.5 s.
const PAGE_CPU_SECS_MAX: f64 = 1.8;

/// The same for the process that draws: software rendering of heavy graphics is slow, but not stuck.
const DRAW_CPU_SECS_MAX: f64 = 4.0;

/// Processor seconds from which on the process that draws was busy all the while, and not only with the last frame.
const BUSY_CPU_SECS_MIN: f64 = 0.2;

/// Silence after which the browser itself is taken to be broken, whatever it used.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Questions that a page answers while its time stands still and nobody is busy, after which it never will go on.
/// They are counted, not timed: on a busy machine answers are late as well.
const IDLE_ANSWERS_MAX: u32 = 30;

/// Processor seconds up to which nobody is busy: what the questions themselves take. A page that has something to do
/// takes more whenever it gets a processor to answer with, however seldom that is.
const IDLE_CPU_SECS_MAX: f64 = 0.06;

/// Why there is no sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Silence {
    /// The page's process is busy with the page.
    Hang,
    /// The page's process is, and so is the process that draws: it may go on when the page has been ended.
    HangAndDrawing,
    /// The process that draws is busy with the page.
    Drawing,
    /// Nobody is busy, and the page answers questions, but its time stands still.
    Still,
    /// Nobody is busy with anything, and nobody answers.
    Dead,
}

#[derive(Clone, Copy)]
struct Usage {
    pages: f64,
    drawing: f64,
}

/// Watches one page.
pub(in crate::sandbox::run) struct Watch {
    cdp: Cdp,
    session: String,
    alive_at: Instant,
    read_at: Instant,
    first: Option<Usage>,
    reading: Option<Pending<GetProcessInfoReturns>>,
    question: Option<Pending<GetHeapUsageReturns>>,
    answers: u32,
}

impl Watch {
    pub(in crate::sandbox::run) fn new(cdp: Cdp, session: String) -> Self {
        let now = Instant::now();
        Self {
            cdp,
            session,
            alive_at: now,
            read_at: now + QUIET,
            first: None,
            reading: None,
            question: None,
            answers: 0,
        }
    }

    /// The page has given a sign of life.
    pub(in crate::sandbox::run) fn alive(&mut self) {
        self.alive_at = Instant::now();
        self.read_at = self.alive_at + QUIET;
        self.first = None;
        self.reading = None;
        self.question = None;
        self.answers = 0;
    }

    /// Ends when the page has been silent for too long.
    ///
    /// # Cancel safety
    /// May be dropped and called again; the silence goes on counting.
    pub(in crate::sandbox::run) async fn silence(&mut self) -> Silence {
        let end = self.alive_at + SILENCE_MAX;
        tokio::select! {
            silence = self.read() => silence,
            () = sleep_until(end) => Silence::Dead,
        }
    }

    async fn read(&mut self) -> Silence {
        loop {
            let Some(reading) = &mut self.reading else {
                sleep_until(self.read_at).await;
                self.reading = Some(self.cdp.send(None, &GetProcessInfoParams::default()));
                continue;
            };
            let reply = reading.reply().await;
            self.reading = None;
            self.read_at = Instant::now() + INTERVAL;
            let Ok(reply) = reply else { return Silence::Dead };
            let usage = usage(&reply);
            let Some(first) = self.first else {
                self.first = Some(usage);
                continue;
            };
            let (pages, drawing) = (usage.pages - first.pages, usage.drawing - first.drawing);
            if pages >= PAGE_CPU_SECS_MAX {
                return if drawing >= BUSY_CPU_SECS_MIN { Silence::HangAndDrawing } else { Silence::Hang };
            }
            if drawing >= DRAW_CPU_SECS_MAX {
                return Silence::Drawing;
            }
            self.question();
            if self.answers >= IDLE_ANSWERS_MAX && pages + drawing <= IDLE_CPU_SECS_MAX {
                return Silence::Still;
            }
        }
    }

    /// Asks the page the next question if it has answered the last one.
    fn question(&mut self) {
        if let Some(question) = &mut self.question {
            if question.reply().now_or_never().is_none() {
                return;
            }
            self.answers += 1;
        }
        self.question = Some(self.cdp.send(Some(&self.session), &GetHeapUsageParams::default()));
    }
}

/// The processor seconds that the pages' processes have used.
pub(in crate::sandbox::run) fn page_cpu_secs(info: &GetProcessInfoReturns) -> f64 {
    usage(info).pages
}

fn usage(info: &GetProcessInfoReturns) -> Usage {
    let of = |kind: &str| {
        info.process_info
            .iter()
            .filter(|process| process.r#type.eq_ignore_ascii_case(kind))
            .map(|process| process.cpu_time)
            .sum()
    };
    Usage { pages: of("renderer"), drawing: of("gpu") }
}
