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
use mondo_jobs::finding::FindingClass;
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::{
    findings::Observation,
    input::Point,
    keys::keys_for,
    page::PAGE_URL,
    run::{Draw, FRAME_MS, Run, Stop},
    screen,
};

/// Frames at full rate after navigation, half a second of page time.
const LOAD_FRAMES: u32 = 30;

/// A frame while nothing is done: 20 frames a second.
const IDLE_FRAME_MS: f64 = 50.0;

/// A frame of the long wait: 10 frames a second.
const LATE_FRAME_MS: f64 = 100.0;

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
        self.load(seed).await?;
        self.idle().await?;
        self.findings.enter("click");
        self.use_everything(&mut random, false).await?;
        self.findings.enter("keys");
        for key in keys_for(self.source) {
            self.press(&key).await?;
        }
        self.findings.enter("click");
        self.use_everything(&mut random, true).await?;
        let screenshot = self.late().await?;
        self.phone(&mut random).await?;
        Ok(screenshot)
    }

    /// Navigates to the page and lets it run for half a second.
    pub(super) async fn load(&mut self, seed: u64) -> Result<(), Stop> {
        self.findings.enter("load");
        let seed = u32::try_from(seed & u64::from(u32::MAX)).unwrap_or_default();
        let init = INIT.replace("SEED", &seed.to_string());
        self.call(&AddScriptToEvaluateOnNewDocumentParams::new(init)).await?;
        self.call(&NavigateParams::new(PAGE_URL)).await?;
        self.first_frame().await?;
        for _ in 1..LOAD_FRAMES {
            self.frame(FRAME_MS, Draw::No).await?;
        }
        Ok(())
    }

    async fn idle(&mut self) -> Result<(), Stop> {
        self.findings.enter("idle");
        for _ in 0..10 {
            self.frame(IDLE_FRAME_MS, Draw::No).await?;
        }
        Ok(())
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
        }
        for _ in 0..6 {
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
                for key in keys_for("").iter().filter(|key| matches!(key.words(), "ArrowDown" | "Enter")) {
                    self.press(key).await?;
                }
                Ok(())
            }
            "text" | "number" => {
                self.click(words, area.at(0.5, 0.5)).await?;
                let text = if usable.kind == "number" { "7" } else { "Moss 7" };
                self.write(words, text).await
            }
            _ => self.click(words, area.at(0.5, 0.5)).await,
        }
    }

    async fn late(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        self.findings.enter("late");
        while self.page_ms() < LATE_UNTIL_MS {
            self.frame(LATE_FRAME_MS, Draw::No).await?;
        }
        let screenshot = self.frame(FRAME_MS, Draw::Screenshot).await?;
        if let Some(png) = screenshot.clone() {
            let blank = tokio::task::spawn_blocking(move || screen::has_one_colour(&png)).await;
            if matches!(blank, Ok(Ok(true))) {
                let message = "nothing is drawn: the whole view has one colour";
                self.found(Observation::blocking(FindingClass::Blank, message, None));
            }
        }
        Ok(screenshot)
    }

    async fn phone(&mut self, random: &mut ChaCha8Rng) -> Result<(), Stop> {
        self.findings.enter("phone");
        let metrics = SetDeviceMetricsOverrideParams::new(PHONE.0, PHONE.1, 2.0, true);
        let resized = vec![
            self.page.send(&metrics).untyped(),
            self.page.send(&SetTouchEmulationEnabledParams::new(true)).untyped(),
        ];
        self.delivered(resized, Draw::Yes).await?;
        for _ in 0..3 {
            self.frame(FRAME_MS, Draw::Yes).await?;
        }
        let elements = self.elements().await?;
        let mut order: Vec<usize> = (0..elements.list.len()).collect();
        order.shuffle(random);
        for index in order.into_iter().take(TAPS_MAX) {
            if let (Some(usable), Some(area)) =
                (elements.list.get(index).cloned(), self.place(&elements, index).await?)
            {
                self.tap(&usable.words, area.at(0.5, 0.5)).await?;
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
            "function () { return this.map(({ kind, words }) => ({ kind, words })) }",
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
