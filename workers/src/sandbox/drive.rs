//! The plan of one execution: what is done with a page, and in which order.
//!
//! load → idle → click everything → keys → click again → late → phone. Page time is virtual: it passes frame by
//! frame, at 60 frames a second while something is done and more coarsely while nothing is.

use chromiumoxide::cdp::{
    browser_protocol::{
        emulation::{SetDeviceMetricsOverrideParams, SetTouchEmulationEnabledParams},
        page::{AddScriptToEvaluateOnNewDocumentParams, NavigateParams},
    },
    js_protocol::runtime::{CallArgument, CallFunctionOnParams, EvaluateParams, RemoteObjectId},
};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::{
    input::Point,
    keys::keys_for,
    page::PAGE_URL,
    run::{Draw, FRAME_MS, Run, Stop},
};

/// How often the page's own animation is called while it is loaded and used: nearly 60 times a second.
const FULL_PACE_MS: u32 = 16;

/// How long the load is watched, in milliseconds of page time.
const LOADED_MS: u64 = 480;

/// The longest step at full pace: with longer ones, a slow animation would look hung.
const FULL_PACE_STEP_MS: f64 = 65.0;

/// A frame while nothing is done: 20 frames a second.
const IDLE_FRAME_MS: f64 = 50.0;

/// The same as the pace of the page's own animation.
const IDLE_PACE_MS: u32 = 50;

/// Frames while nothing is done, half a second of page time.
const IDLE_FRAMES: u32 = 10;

/// The pace of the page's own animation in the long wait: 10 times a second.
const LATE_PACE_MS: u32 = 100;

/// The same in the longest wait, which is for timers.
const LONG_PACE_MS: u32 = 1000;

/// A step of both waits. Longer ones would make a page with slow timers look hung: with this one, it must need half
/// again as long as it has.
const LONG_STEP_MS: f64 = 500.0;

/// How many steps pass between two drawn frames of the long wait, and of the longest: frames are what costs.
const LATE_STEPS_PER_FRAME: u32 = 1;
const LONG_STEPS_PER_FRAME: u32 = 4;

/// When the longest wait ends, in milliseconds of page time.
const LONG_UNTIL_MS: u64 = 21_000;

/// When the desktop view ends, in milliseconds of page time.
const LATE_UNTIL_MS: u64 = 10_200;

/// The most elements that are clicked in one pass.
const CLICKS_MAX: usize = 20;

/// The most that are tapped on the phone.
const TAPS_MAX: usize = 4;

/// A common phone, in CSS pixels.
const PHONE: (i64, i64) = (390, 844);

const INIT: &str = include_str!("init.js");
const PROBE: &str = include_str!("probe.js");
const PLACE: &str = include_str!("place.js");

/// What `probe.js` found, by its index there.
#[derive(Debug, Clone, Deserialize)]
struct Usable {
    kind: String,
    words: String,
    /// The rarer inputs that it listens to: `dblclick`, `contextmenu`, `wheel`, `touchmove`.
    extras: Vec<String>,
}

impl Usable {
    fn swipes(&self) -> bool {
        self.extras.iter().any(|extra| extra == "touchmove")
    }
}

/// The elements of one look at the page, and the page's own list of them.
struct Elements {
    list: Vec<Usable>,
    object: Option<RemoteObjectId>,
}

/// Where an element is: left, top, width and height in CSS pixels.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Area(f64, f64, f64, f64);

impl Area {
    /// The point at these shares of width and height.
    fn at(self, across: f64, down: f64) -> Point {
        Point { x: self.0 + self.2 * across, y: self.1 + self.3 * down }
    }
}

impl Run<'_> {
    /// Carries out the plan. Gives the desktop view at its end.
    pub(super) async fn drive(&mut self, seed: u64) -> Result<Option<Vec<u8>>, Stop> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let early = self.load(seed).await?;
        let unmoved = self.idle(early).await?;
        self.findings.enter("click");
        self.use_everything(&mut random, false).await?;
        self.findings.enter("keys");
        for key in keys_for(self.source) {
            self.press(&key).await?;
        }
        self.findings.enter("click");
        self.use_everything(&mut random, true).await?;
        let screenshot = self.late(unmoved).await?;
        self.long().await?;
        self.phone(&mut random).await?;
        Ok(screenshot)
    }

    /// Navigates to the page and lets it run for half a second. Gives a view of its first tenth if it is animated.
    pub(super) async fn load(&mut self, seed: u64) -> Result<Option<Vec<u8>>, Stop> {
        self.findings.enter("load");
        let seed = u32::try_from(seed & u64::from(u32::MAX)).unwrap_or_default();
        let init = INIT.replace("SEED", &seed.to_string());
        self.call(&AddScriptToEvaluateOnNewDocumentParams::new(init)).await?;
        self.call(&NavigateParams::new(PAGE_URL)).await?;
        self.first_frame().await?;
        self.pass(FULL_PACE_STEP_MS).await?;
        let early = self.frame(FRAME_MS, if self.animates { Draw::Screenshot } else { Draw::No }).await?;
        while self.page_ms() < LOADED_MS {
            self.pass(FULL_PACE_STEP_MS).await?;
            self.frame(FULL_PACE_STEP_MS, Draw::No).await?;
        }
        Ok(early)
    }

    /// From now on the page's own animation is called once in so many milliseconds. A page may be kept from its
    /// answer by what it did to its globals; then it goes on as before.
    async fn pace(&mut self, pace_ms: u32) -> Result<(), Stop> {
        let tell = format!("dispatchEvent(new CustomEvent('__mondoPace', {{ detail: {pace_ms} }}))");
        self.read::<bool>(&tell).await.map(drop)
    }

    /// Gives whether the page is animated and yet looks as it did `early`.
    async fn idle(&mut self, early: Option<Vec<u8>>) -> Result<bool, Stop> {
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
        self.look_at_controls().await?;
        self.pace(FULL_PACE_MS).await?;
        Ok(early.is_some() && early == view)
    }

    /// Uses each element once; the second time in another order, because what came first may have changed what
    /// the others do.
    async fn use_everything(&mut self, random: &mut ChaCha8Rng, again: bool) -> Result<(), Stop> {
        let elements = self.elements().await?;
        let mut order: Vec<usize> = (0..elements.list.len()).collect();
        if again {
            order.shuffle(random);
        }
        for index in order.into_iter().take(CLICKS_MAX) {
            let (Some(usable), Some(area)) =
                (elements.list.get(index).cloned(), self.place(&elements, index).await?)
            else {
                continue;
            };
            self.use_element(&usable, area, random).await?;
            for extra in &usable.extras {
                let (words, middle) = (usable.words.as_str(), area.at(0.5, 0.5));
                match extra.as_str() {
                    "dblclick" => self.double_click(words, middle).await?,
                    "contextmenu" => self.right_click(words, middle).await?,
                    "wheel" => self.wheel(words, middle).await?,
                    // Fingers are for the phone.
                    _ => {}
                }
            }
        }
        for _ in 0..3 {
            self.pass(IDLE_FRAME_MS).await?;
            self.frame(IDLE_FRAME_MS, Draw::No).await?;
        }
        Ok(())
    }

    async fn use_element(
        &mut self,
        usable: &Usable,
        area: Area,
        random: &mut ChaCha8Rng,
    ) -> Result<(), Stop> {
        let words = usable.words.as_str();
        match usable.kind.as_str() {
            "area" => {
                for (across, down) in [(0.5, 0.5), (0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8)] {
                    let jitter = random.random_range(-0.05..0.05);
                    let point = area.at(across + jitter, down + jitter);
                    self.click(&format!("{words} at {:.0},{:.0}", point.x - area.0, point.y - area.1), point)
                        .await?;
                }
                self.drag(words, area.at(0.3, 0.4), area.at(0.7, 0.6)).await?;
                // Short, so that it stays within one cell of a board.
                self.drag(words, area.at(0.48, 0.48), area.at(0.52, 0.52)).await
            }
            "range" => {
                self.click(&format!("{words} at 25 %"), area.at(0.25, 0.5)).await?;
                self.click(&format!("{words} at 90 %"), area.at(0.9, 0.5)).await
            }
            "select" => {
                self.click(words, area.at(0.5, 0.5)).await?;
                for key in
                    keys_for("").iter().filter(|key| matches!(key.name.as_str(), "ArrowDown" | "Enter"))
                {
                    self.press(key).await?;
                }
                Ok(())
            }
            "text" | "number" => {
                self.click(words, area.at(0.5, 0.5)).await?;
                if usable.kind == "number" {
                    self.write(words, "7").await?;
                    // More digits than the page may have thought of.
                    return self.write(words, "777").await;
                }
                self.write(words, "Moss 7").await?;
                let enter = keys_for("").into_iter().find(|key| key.name == "Enter");
                match enter {
                    Some(enter) => self.press(&enter).await,
                    None => Ok(()),
                }
            }
            // The page as a whole, for its rarer inputs only.
            "surface" => Ok(()),
            _ => self.click(words, area.at(0.5, 0.5)).await,
        }
    }

    /// Waits; gives the view at the end. A page that was `unmoved` before it was used may move now.
    async fn late(&mut self, unmoved: bool) -> Result<Option<Vec<u8>>, Stop> {
        self.findings.enter("late");
        self.pace(LATE_PACE_MS).await?;
        let before = if unmoved { self.frame(LONG_STEP_MS, Draw::Screenshot).await? } else { None };
        self.wait(LATE_UNTIL_MS, LATE_STEPS_PER_FRAME).await?;
        let view = self.look_at_view().await?;
        if unmoved && before == view {
            self.found_still();
        }
        Ok(view)
    }

    /// Waits longer, for what comes only after many seconds.
    async fn long(&mut self) -> Result<(), Stop> {
        self.pace(LONG_PACE_MS).await?;
        self.wait(LONG_UNTIL_MS, LONG_STEPS_PER_FRAME).await?;
        self.pace(FULL_PACE_MS).await
    }

    /// Lets time pass up to a moment in page time, with few frames.
    async fn wait(&mut self, until_ms: u64, steps_per_frame: u32) -> Result<(), Stop> {
        while self.page_ms() < until_ms {
            for _ in 1..steps_per_frame {
                self.pass(LONG_STEP_MS).await?;
            }
            self.frame(LONG_STEP_MS, Draw::No).await?;
        }
        Ok(())
    }

    async fn phone(&mut self, random: &mut ChaCha8Rng) -> Result<(), Stop> {
        self.findings.enter("phone");
        self.begin_input(&format!("resize to {}×{}", PHONE.0, PHONE.1));
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
        let elements = self.elements().await?;
        let mut order: Vec<usize> = (0..elements.list.len()).collect();
        order.shuffle(random);
        // What listens to fingers comes first.
        order.sort_by_key(|index| !elements.list.get(*index).is_some_and(Usable::swipes));
        for index in order.into_iter().take(TAPS_MAX) {
            if let (Some(usable), Some(area)) =
                (elements.list.get(index).cloned(), self.place(&elements, index).await?)
            {
                self.tap(&usable.words, area.at(0.5, 0.5)).await?;
                if usable.swipes() {
                    self.swipe(&usable.words, area.at(0.3, 0.5), area.at(0.7, 0.5)).await?;
                }
            }
        }
        self.tap("page", Point { x: 195.0, y: 300.0 }).await?;
        for _ in 0..4 {
            self.frame(IDLE_FRAME_MS, Draw::No).await?;
        }
        Ok(())
    }

    async fn elements(&mut self) -> Result<Elements, Stop> {
        let mut look = EvaluateParams::new(PROBE);
        look.include_command_line_api = Some(true);
        look.silent = Some(true);
        let object = self.call(&look).await?.result.object_id;
        let Some(object) = object else { return Ok(Elements { list: Vec::new(), object: None }) };
        let mut names = call_on(
            object.clone(),
            "function () { return this.map(({ kind, words, extras }) => ({ kind, words, extras })) }",
        );
        names.return_by_value = Some(true);
        let names = self.call(&names).await?.result.value.unwrap_or_default();
        let list = serde_json::from_value(names).unwrap_or_default();
        Ok(Elements { list, object: Some(object) })
    }

    async fn place(&mut self, elements: &Elements, index: usize) -> Result<Option<Area>, Stop> {
        let Some(object) = elements.object.clone() else { return Ok(None) };
        let mut place = call_on(object, PLACE);
        place.arguments = Some(vec![CallArgument { value: Some(index.into()), ..Default::default() }]);
        place.return_by_value = Some(true);
        let value = self.call(&place).await?.result.value.unwrap_or_default();
        Ok(serde_json::from_value(value).ok())
    }
}

fn call_on(object: RemoteObjectId, function: &str) -> CallFunctionOnParams {
    let mut call = CallFunctionOnParams::new(function);
    call.object_id = Some(object);
    call.silent = Some(true);
    call
}
