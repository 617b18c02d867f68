//! The plan of one execution: what is done with a page, and in which order.
//!
//! load → idle → click everything → keys → click again → late → what is fresh → long wait → play → phone → to the end →
//! real. Page time is virtual: it passes frame by frame, at 60 frames a second while something is done and more coarsely
//! while nothing is.

use chromiumoxide::cdp::browser_protocol::{
    emulation::{SetDeviceMetricsOverrideParams, SetTouchEmulationEnabledParams},
    input::SetInterceptDragsParams,
    page::{AddScriptToEvaluateOnNewDocumentParams, NavigateParams},
};
use mondo_jobs::ports::Execution;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    Draw, FRAME_MS, Run, Stop,
    input::{
        Point,
        elements::{Elements, Reachable, Usable},
        keys::keys_for,
        play::PLAY_MS,
    },
    look::{CANVASES_MAX, coverage::LISTENERS, is_still},
    page::PAGE_URL,
};

/// How often the page's own animation is called while it is loaded and used: nearly 60 times a second.
const FULL_PACE_MS: u32 = 16;

/// How long the load is watched, in milliseconds of page time.
const LOADED_MS: u64 = 480;

/// The longest step at full pace: with longer ones, a slow animation would look hung.
const FULL_PACE_STEP_MS: f64 = 65.0;

/// A frame while nothing is done: 20 frames a second.
pub(in crate::sandbox) const IDLE_FRAME_MS: f64 = 50.0;

/// The same as the pace of the page's own animation.
const IDLE_PACE_MS: u32 = 50;

/// Frames while nothing is done, half a second of page time.
const IDLE_FRAMES: u32 = 10;

/// The pace of the page's own animation in both waits: 10 times a second, so that it is called 300 times in all.
const LATE_PACE_MS: u32 = 100;

/// A step of both waits. Longer ones would make a page with slow timers look hung: with this one, it must need half
/// again as long as it has.
const LONG_STEP_MS: f64 = 500.0;

/// How many steps pass between two drawn frames of the long wait, and of the longest: frames are what costs.
const LATE_STEPS_PER_FRAME: u32 = 2;
const LONG_STEPS_PER_FRAME: u32 = 4;

/// When the page has been used and is looked at, in milliseconds of page time; the long wait follows.
const LATE_UNTIL_MS: u64 = 10_200;

/// Steps that a page has to draw anew once its size has changed: over a second.
const REDRAW_STEPS: u32 = 16;

/// The most that are tapped on the phone at first, and as many again where something was in front of them; and how many
/// are tried for that.
const TAPS_MAX: usize = 4;
const TRIES_MAX: usize = 12;

/// The most parts of a page that are turned to there.
const TABS_MAX: usize = 6;

/// A common phone, in CSS pixels.
const PHONE: (i32, i32) = (390, 844);

const INIT: &str = include_str!("init.js");
const GRAPHICS: &str = include_str!("graphics.js");

impl Run<'_> {
    /// Carries out the plan. Gives the desktop view at its end.
    pub(in crate::sandbox) async fn drive(&mut self, execution: &Execution) -> Result<Option<Vec<u8>>, Stop> {
        let mut random = ChaCha8Rng::seed_from_u64(execution.seed);
        let early = self.load(execution.seed).await?;
        self.idle(early).await?;
        self.watch_catches(false);
        self.findings.enter("click");
        self.use_everything(&mut random, false).await?;
        self.look_at_texts().await?;
        self.filmed(IDLE_FRAME_MS).await?;
        self.findings.enter("keys");
        for key in keys_for(self.source) {
            self.press(&key).await?;
        }
        self.filmed(IDLE_FRAME_MS).await?;
        // What use has brought up is looked at as well, once it has come.
        self.pass(LONG_STEP_MS).await?;
        self.look_at_controls(true).await?;
        self.findings.enter("click");
        let used = self.use_everything(&mut random, true).await?;
        self.look_at_texts().await?;
        self.set_back(&used).await?;
        self.start(&used).await?;
        self.filmed(IDLE_FRAME_MS).await?;
        let screenshot = self.late(execution.watch_ms.min(LATE_UNTIL_MS)).await?;
        self.look_at_restarted(&used).await?;
        let used = self.use_what_is_fresh(used, &mut random).await?;
        self.long(execution.watch_ms.saturating_sub(PLAY_MS.into())).await?;
        self.look_at_restarted(&used).await?;
        let used = self.play(used, execution.watch_ms, &mut random).await?;
        self.pace(FULL_PACE_MS).await?;
        self.look_at_texts().await?;
        self.set_back(&used).await?;
        self.phone(&mut random).await?;
        self.wear_out(&used).await?;
        self.findings.enter("play");
        self.ask_for_coverage().await?;
        self.real_time().await?;
        Ok(screenshot)
    }

    /// Navigates to the page and lets it run for half a second. Gives a view of its first tenth if it is animated.
    pub(in crate::sandbox) async fn load(&mut self, seed: u64) -> Result<Option<Vec<u8>>, Stop> {
        self.findings.enter("load");
        self.watch_catches(true);
        self.look_at_source();
        self.seed = u32::try_from(seed & u64::from(u32::MAX)).unwrap_or_default();
        let init = INIT.replace("GRAPHICS;", GRAPHICS).replace("SEED", &self.seed.to_string());
        let init = init.replace("FINGERLESS", &is_fingerless(self.source).to_string());
        let appends =
            ["innerHTML +=", "innerHTML+="].iter().any(|adds| self.source.contains(adds)).to_string();
        let init = format!("{init}\n{}", LISTENERS.replace("APPENDS", &appends));
        self.call(&AddScriptToEvaluateOnNewDocumentParams::new(init)).await?;
        self.call(&SetInterceptDragsParams::new(true)).await?;
        self.call(&NavigateParams::new(PAGE_URL)).await?;
        self.first_frame().await?;
        self.pass(FULL_PACE_STEP_MS).await?;
        let early = self.frame(FRAME_MS, if self.animates { Draw::Screenshot } else { Draw::No }).await?;
        while self.page_ms() < LOADED_MS {
            self.pass(FULL_PACE_STEP_MS).await?;
            self.frame(FULL_PACE_STEP_MS, Draw::No).await?;
        }
        self.filmed(FRAME_MS).await?;
        Ok(early)
    }

    /// From now on the page's own animation is called once in so many milliseconds.
    async fn pace(&mut self, pace_ms: u32) -> Result<(), Stop> {
        self.tell("__mondoPace", pace_ms).await
    }

    /// Notes whether the page is animated and yet looks as it did `early`.
    async fn idle(&mut self, early: Option<Vec<u8>>) -> Result<(), Stop> {
        self.findings.enter("idle");
        self.pace(IDLE_PACE_MS).await?;
        let before = self.cpu_secs().await?;
        for _ in 1..IDLE_FRAMES {
            self.frame(IDLE_FRAME_MS, Draw::No).await?;
        }
        let used = self.cpu_secs().await? - before;
        self.look_at_speed(used / f64::from(IDLE_FRAMES - 1));
        let draw = if early.is_some() { Draw::Screenshot } else { Draw::No };
        let view = self.frame(IDLE_FRAME_MS, draw).await?;
        self.look_at_controls(false).await?;
        self.look_at_styles().await?;
        self.note_drawn().await?;
        self.drawn_at_first.clone_from(&self.drawn);
        self.pace(FULL_PACE_MS).await?;
        self.unmoved = is_still(early, view).await;
        self.note_still_draws(IDLE_FRAME_MS).await
    }

    /// Waits; gives the view at the end. A page that has not moved before may move now.
    async fn late(&mut self, until_ms: u64) -> Result<Option<Vec<u8>>, Stop> {
        self.findings.enter("late");
        self.pace(LATE_PACE_MS).await?;
        let before = if self.unmoved { self.frame(LONG_STEP_MS, Draw::Screenshot).await? } else { None };
        let heights = self.heights().await?;
        self.wait(until_ms, LATE_STEPS_PER_FRAME).await?;
        self.look_at_heights(heights).await?;
        let view = self.look_at_view().await?;
        self.film(view.as_ref());
        if self.unmoved {
            self.unmoved = is_still(before, view.clone()).await;
            self.note_still_draws(LONG_STEP_MS).await?;
        }
        Ok(view)
    }

    /// Waits longer, for what comes only after many seconds.
    async fn long(&mut self, until_ms: u64) -> Result<(), Stop> {
        let loops = self.loops().await?;
        self.wait(until_ms, LONG_STEPS_PER_FRAME).await?;
        self.look_at_loops(&loops).await?;
        if self.seems_to_grow() {
            self.pace(FULL_PACE_MS).await?;
            self.watch_growth().await?;
            self.pace(LATE_PACE_MS).await?;
        }
        Ok(())
    }

    /// Lets time pass up to a moment in page time, with few frames.
    async fn wait(&mut self, until_ms: u64, steps_per_frame: u32) -> Result<(), Stop> {
        while self.page_ms() < until_ms {
            for _ in 1..steps_per_frame {
                self.pass(LONG_STEP_MS).await?;
            }
            self.filmed(LONG_STEP_MS).await?;
        }
        Ok(())
    }

    async fn phone(&mut self, random: &mut ChaCha8Rng) -> Result<(), Stop> {
        let mut drawn = if self.source.contains("resize") { self.drawn().await? } else { Vec::new() };
        drawn.retain(|index| self.drawn_at_first.contains(index));
        self.findings.enter("phone");
        self.begin_input(&format!("resize to {}×{}", PHONE.0, PHONE.1)).await?;
        let metrics = SetDeviceMetricsOverrideParams::new(PHONE.0, PHONE.1, 2.0, false);
        let resized = vec![
            self.page.send(&metrics).untyped(),
            self.page.send(&SetTouchEmulationEnabledParams::new(true)).untyped(),
        ];
        self.delivered(resized, Draw::Yes).await?;
        for _ in 0..3 {
            self.frame(FRAME_MS, Draw::Yes).await?;
        }
        self.look_at_width().await?;
        if self.source.contains("resize") {
            // A canvas that gets another size is empty until it is drawn anew, which may take its time.
            for _ in 0..REDRAW_STEPS {
                self.pass(FULL_PACE_STEP_MS).await?;
            }
            // One that the page itself had drawn is drawn anew; what a person drew may be where the view no longer is.
            let excused: Vec<usize> = (0..CANVASES_MAX).filter(|index| !drawn.contains(index)).collect();
            self.look_at_canvases(PHONE.0, &excused).await?;
        }
        let mut elements = self.elements(None).await?;
        let mut order: Vec<usize> = (0..elements.list.len()).collect();
        order.shuffle(random);
        // What listens to fingers comes first, and then what has places to be tapped at.
        let rank = |usable: &Usable| (!usable.swipes(), usable.kind != "area");
        order.sort_by_key(|index| elements.list.get(*index).map_or((true, true), rank));
        let visible = |index: &usize| elements.list.get(*index).is_some_and(|usable| usable.visible);
        order.retain(visible);
        let covered = self.tap_some(&mut elements, order).await?;
        // What was in front of them may have been closed by that, and may fade.
        if !covered.is_empty() {
            self.pass(LONG_STEP_MS).await?;
        }
        self.tap_some(&mut elements, covered).await?;
        self.tap("page", Point { x: 195.0, y: 300.0 }).await?;
        self.turn_pages(&elements).await?;
        for _ in 0..3 {
            self.frame(IDLE_FRAME_MS, Draw::No).await?;
        }
        self.filmed(IDLE_FRAME_MS).await
    }

    /// Turns to each part of a page that shows one at a time: another may be wider than the phone.
    async fn turn_pages(&mut self, elements: &Elements) -> Result<(), Stop> {
        self.look_at_width().await?;
        let tabs = elements.list.iter().enumerate().filter(|(_, usable)| usable.turns_pages());
        for (index, usable) in tabs.take(TABS_MAX) {
            let what = format!("click {}", usable.words);
            if self.touch(&what, elements, index, Some(0.0), 1).await? {
                self.pass(FRAME_MS).await?;
                self.look_at_width().await?;
            }
        }
        self.watch_catches(false);
        Ok(())
    }

    /// Taps the first few that a person could, and swipes where that is listened to. Gives those ahead of the last of them
    /// that nobody could.
    async fn tap_some(&mut self, elements: &mut Elements, order: Vec<usize>) -> Result<Vec<usize>, Stop> {
        let mut taps = 0;
        let mut covered = Vec::new();
        for index in order.into_iter().take(TRIES_MAX) {
            if taps == TAPS_MAX {
                break;
            }
            let Some(Reachable { usable, area, .. }) = self.place(elements, index).await? else {
                covered.push(index);
                continue;
            };
            taps += 1;
            self.tap(&usable.words, area.at(0.5, 0.5)).await?;
            if usable.swipes() {
                self.swipe(&usable.words, area.at(0.3, 0.5), area.at(0.7, 0.5)).await?;
                if self.source.contains("touches") {
                    self.pinch(&usable.words, area.at(0.3, 0.3), area.at(0.7, 0.7)).await?;
                }
            }
        }
        Ok(covered)
    }
}

/// Whether a page listens to touches and never asks them for their fingers. It may ask whether they have a place.
fn is_fingerless(source: &str) -> bool {
    let listens = source.contains("touchstart") || source.contains("touchmove");
    let asked = ["X' in ", "X\" in ", "X ??", "X ||", "X ==", "X !=", "typeof "];
    listens && !source.contains("ouches") && !asked.iter().any(|asked| source.contains(asked))
}
