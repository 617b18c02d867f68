//! The elements that a person could use, and their use: found by `probe.js`, placed by `place.js`.

use std::{mem, sync::LazyLock};

use chromiumoxide::cdp::js_protocol::runtime::{
    CallArgument, CallFunctionOnParams, CompileScriptParams, RemoteObjectId, RunScriptParams, ScriptId,
};
use mondo_jobs::finding::FindingClass;
use rand::{RngExt, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use serde_json::Value;

use super::{Point, keys, rounds::says};
use crate::sandbox::{
    browser::cdp::CdpError,
    findings::Observation,
    run::{Draw, FRAME_MS, Run, Stop, page::DESKTOP},
};

/// The most places to drop something that are looked at for one that a person could reach.
const TARGETS_MAX: usize = 8;

/// The most further choices of a list that are made after the first.
const CHOICES_MAX: usize = 3;

/// Where something large is clicked, as shares of its width and height, more or less: what is in the middle and around it.
const AREA_POINTS: [(f64, f64); 5] = [(0.5, 0.5), (0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8)];

/// The same at its very edges, where a board has other neighbours.
const EDGE_POINTS: [(f64, f64); 2] = [(0.06, 0.003), (0.997, 0.94)];

/// Where it is dragged to, beyond each of its sides.
const OUTSIDE: [(f64, f64); 4] = [(0.5, -0.1), (-0.1, 0.5), (0.5, 1.1), (1.1, 0.5)];

/// How far the wheel is turned in the second round: to the end of most scales.
const NOTCHES: usize = 8;

/// Words of a control that sorts.
const SORTING: [&str; 6] = ["sort", "sorted", "sorting", "sortby", "order", "orderby"];

/// Words of the class of what turns to another part of the page, or of what is around it.
const TABS: [&str; 5] = ["tab", "tabs", "tablist", "nav", "views"];

/// The rarer inputs that are used one after the other. Fingers are for the phone.
const USED: [&str; 4] = ["dblclick", "contextmenu", "wheel", "held"];

const PROBE: &str = include_str!("probe.js");
const BEHIND: &str = include_str!("behind.js");
const PLACE: &str = include_str!("place.js");
const PLAY: &str = include_str!("play.js");
const SEARCH: &str = include_str!("search.js");
const STROKE: &str = include_str!("stroke.js");
const TURN: &str = include_str!("turn.js");

/// All in one.
static PROBE_ALL: LazyLock<String> = LazyLock::new(|| {
    let functions = [
        ("BEHIND", BEHIND),
        ("PLACE", PLACE),
        ("PLAY", PLAY),
        ("SEARCH", SEARCH),
        ("STROKE", STROKE),
        ("TURN", TURN),
    ];
    let put_in = |probe: String, (name, script): (&str, &str)| {
        let function = script.lines().filter(|line| !line.starts_with("//")).collect::<Vec<_>>().join("\n");
        probe.replace(&format!("= {name};"), &format!("= {function};"))
    };
    functions.into_iter().fold(PROBE.to_owned(), put_in)
});

/// Called on what `probe.js` found.
const PLACE_ONE: &str = "function (index) { return this.place(index); }";
const STROKE_ONE: &str = "function (from, to) { this.stroke(from, to); }";
const TURN_ONE: &str = "function (index, notches) { this.turn(index, notches); }";
const PLAY_ONE: &str = "function (index, share, times) { return this.play(index, share, times); }";

/// Called on what `probe.js` found, with what it had found before. Gives what is said of each element; fresh are
/// those that nobody could have seen then.
const TELL: &str = "function (before) {
  const seen = new Set((before ?? []).filter((entry) => entry.visible).map((entry) => entry.element));
  return this.map(({ element, kind, words, group, extras, choices, visible }) => {
    return { kind, words, group, extras, choices, visible, fresh: !seen.has(element) };
  });
}";

/// What `probe.js` found, by its index there.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::sandbox::run) struct Usable {
    pub(in crate::sandbox::run) kind: String,
    pub(in crate::sandbox::run) words: String,
    /// Those of one sort have the same.
    pub(super) group: String,
    /// The rarer inputs that it listens to: `dblclick`, `contextmenu`, `wheel`, `touchmove`; `held`; `left` and
    /// `search` for a field, and its type where only some texts are of it; `ticked` for what is, and `entered` where the mouse is waited for.
    pub(super) extras: Vec<String>,
    /// How many there are to choose from.
    pub(super) choices: usize,
    pub(in crate::sandbox::run) visible: bool,
    pub(super) fresh: bool,
}

impl Usable {
    pub(in crate::sandbox::run) fn swipes(&self) -> bool {
        self.wants("touchmove")
    }

    /// Whether it is set to something, and can be set back.
    pub(super) fn is_set(&self) -> bool {
        self.is_field() || self.kind == "range" || self.kind == "select" || self.wants("ticked")
    }

    /// Whether it is called so that it brings something into an order; the head of a column is.
    pub(in crate::sandbox::run) fn sorts(&self) -> bool {
        let is_of_texts = says(&self.words, &["text", "texts", "string", "strings", "name", "alphabet"]);
        let is_head = self.words.starts_with("th#") || self.words.starts_with("th \"");
        (is_head || says(&self.words, &SORTING)) && !is_of_texts
    }

    /// Whether it is called so that it turns to another part of the page.
    pub(in crate::sandbox::run) fn turns_pages(&self) -> bool {
        self.visible && self.kind == "button" && says(&self.group, &TABS)
    }

    pub(super) fn is_field(&self) -> bool {
        self.kind == "text" || self.kind == "number"
    }

    pub(super) fn wants(&self, extra: &str) -> bool {
        self.extras.iter().any(|other| other == extra)
    }
}

/// The elements of one look at the page, and the page's own list of them.
pub(in crate::sandbox::run) struct Elements {
    pub(in crate::sandbox::run) list: Vec<Usable>,
    object: Option<RemoteObjectId>,
}

/// What `place.js` gives.
#[derive(Deserialize)]
struct Placed {
    area: Area,
    words: String,
    beats: u64,
    worn: String,
    in_dialog: bool,
    behind: Option<String>,
    shapes: Vec<(f64, f64)>,
}

/// One of them that a person could use now.
pub(in crate::sandbox::run) struct Reachable {
    pub(in crate::sandbox::run) usable: Usable,
    pub(in crate::sandbox::run) area: Area,
    /// How many frames the page has asked for.
    pub(super) beats: u64,
    /// The theme of the page.
    worn: String,
    /// It is in something that is open over the page.
    in_dialog: bool,
    /// What is in it to aim at.
    pub(super) shapes: Vec<Point>,
}

/// Where an element is: left, top, width and height in CSS pixels.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(in crate::sandbox::run) struct Area(pub(super) f64, pub(super) f64, pub(super) f64, pub(super) f64);

impl Area {
    /// The point at these shares of width and height.
    pub(in crate::sandbox::run) fn at(self, across: f64, down: f64) -> Point {
        Point { x: self.0 + self.2 * across, y: self.1 + self.3 * down }
    }

    /// A point of it near to another.
    pub(super) fn beside(self, point: Point) -> Point {
        let near = |from: f64, start: f64, length: f64, by: f64| {
            if from + by < start + length { from + by } else { from - by }
        };
        Point { x: near(point.x, self.0, self.2, 9.0), y: near(point.y, self.1, self.3, 6.0) }
    }

    /// Where in it a point is, for people.
    pub(super) fn words_of(self, point: Point) -> String {
        format!("{:.0},{:.0}", point.x - self.0, point.y - self.1)
    }
}

impl Run<'_> {
    /// Uses one of them as a person would; `again` in another way. Gives how many frames the page had asked for before;
    /// nothing where a person could not use it.
    pub(super) async fn use_one(
        &mut self,
        elements: &mut Elements,
        index: usize,
        again: bool,
        random: &mut ChaCha8Rng,
    ) -> Result<Option<u64>, Stop> {
        let Some(mut there) = self.place(elements, index).await? else { return Ok(None) };
        if self.look_at_theme(mem::take(&mut there.worn)).await? {
            let Some(again) = self.place(elements, index).await? else { return Ok(None) };
            there = again;
        }
        let Reachable { usable, area, beats, in_dialog, .. } = there;
        match usable.kind.as_str() {
            "draggable" => {
                self.click(&usable.words, area.at(0.5, 0.5)).await?;
                let target = self.target(elements, random).await?;
                self.carry(&usable.words, area.at(0.5, 0.5), target).await?;
            }
            // What opens there to pick from is no part of the page.
            "picker" => {
                let words = format!("pick in {}", usable.words);
                self.touch(&words, elements, index, Some(0.0), 1).await?;
                self.watch_catches(false);
                self.delivered(Vec::new(), Draw::No).await?;
            }
            _ if again && usable.is_field() => self.overwrite(elements, index, &usable, random).await?,
            _ if usable.is_field() => self.fill(elements, index, &usable, area).await?,
            _ => {
                let before = self.sorted_as_texts(&usable).await?;
                self.use_element(&usable, area, again, random).await?;
                self.look_at_order(&usable, before).await?;
            }
        }
        // What is told of what the mouse is over is gone with the next.
        if !again && usable.wants("entered") {
            self.look_at_texts().await?;
        }
        if again && usable.wants("held") {
            self.look_at_drag(elements, index).await?;
        }
        if again && ["button", "select"].contains(&usable.kind.as_str()) {
            self.choose_each(elements).await?;
        }
        if in_dialog {
            self.look_at_closed(elements, &usable.words).await?;
        }
        for extra in usable.extras.iter().filter(|extra| USED.contains(&extra.as_str())) {
            // It may be elsewhere by now: dragged, for one.
            let Some(Reachable { area, .. }) = self.place(elements, index).await? else { break };
            let (words, middle) = (usable.words.as_str(), area.at(0.5, 0.5));
            match extra.as_str() {
                "dblclick" => self.double_click(words, middle).await?,
                "contextmenu" => self.right_click(words, middle).await?,
                "wheel" if again => self.turn(words, elements, index).await?,
                "wheel" => self.wheel(words, middle).await?,
                _ => self.hold(words, middle).await?,
            }
        }
        Ok(Some(beats))
    }

    /// Some place where things can be dropped.
    async fn target(
        &mut self,
        elements: &mut Elements,
        random: &mut ChaCha8Rng,
    ) -> Result<Option<(String, Point)>, Stop> {
        let mut targets: Vec<usize> = (0..elements.list.len()).collect();
        targets.retain(|index| elements.list.get(*index).is_some_and(|usable| usable.kind == "target"));
        targets.shuffle(random);
        targets.truncate(TARGETS_MAX);
        for index in targets {
            if let Some(Reachable { usable, area, .. }) = self.place(elements, index).await? {
                return Ok(Some((usable.words, area.at(0.5, 0.5))));
            }
        }
        Ok(None)
    }

    /// Drags out of something at each of its sides, as far as the view goes.
    async fn drag_out(&mut self, words: &str, area: Area) -> Result<(), Stop> {
        let (width, height) = (f64::from(DESKTOP.0), f64::from(DESKTOP.1));
        let out = OUTSIDE.map(|(across, down)| {
            let Point { x, y } = area.at(across, down);
            Point { x: x.clamp(1.0, width - 1.0), y: y.clamp(1.0, height - 1.0) }
        });
        self.drag(words, area.at(0.5, 0.5), &out).await
    }

    async fn use_element(
        &mut self,
        usable: &Usable,
        area: Area,
        again: bool,
        random: &mut ChaCha8Rng,
    ) -> Result<(), Stop> {
        let words = usable.words.as_str();
        match usable.kind.as_str() {
            "area" => {
                let inside = AREA_POINTS.map(|(across, down)| {
                    let jitter = random.random_range(-0.05..0.05);
                    (across + jitter, down + jitter)
                });
                for (across, down) in inside.into_iter().chain(EDGE_POINTS) {
                    let point = area.at(across, down);
                    self.click(&format!("{words} at {}", area.words_of(point)), point).await?;
                }
                if again {
                    self.drag_out(words, area).await?;
                } else {
                    let [from, to] = [area.at(0.3, 0.4), area.at(0.7, 0.6)];
                    self.drag(words, from, &[Point::halfway(from, to), to]).await?;
                }
                // Short, so that it stays within one cell of a board.
                let [from, to] = [area.at(0.48, 0.48), area.at(0.52, 0.52)];
                self.drag(words, from, &[Point::halfway(from, to), to]).await?;
                self.note_drawn().await
            }
            "range" if again => {
                self.click(words, area.at(0.5, 0.5)).await?;
                self.press_in(words, &keys::END).await?;
                self.look_at_texts().await?;
                self.press_in(words, &keys::HOME).await?;
                self.look_at_texts().await
            }
            "range" => {
                self.click(&format!("{words} at 25 %"), area.at(0.25, 0.5)).await?;
                self.click(&format!("{words} at 90 %"), area.at(0.9, 0.5)).await
            }
            "select" if again => {
                self.click(words, area.at(0.5, 0.5)).await?;
                self.press_in(words, &keys::HOME).await?;
                self.press_in(words, &keys::ENTER).await
            }
            "select" => {
                self.click(words, area.at(0.5, 0.5)).await?;
                self.press_in(words, &keys::ARROW_DOWN).await?;
                self.press_in(words, &keys::ENTER).await?;
                for _ in 0..usable.choices.saturating_sub(2).min(CHOICES_MAX) {
                    self.press_in(words, &keys::ARROW_DOWN).await?;
                }
                Ok(())
            }
            // The page as a whole, for its rarer inputs only.
            "surface" | "target" => Ok(()),
            _ => self.click(words, area.at(0.5, 0.5)).await,
        }
    }

    /// Looks at what there is to use; what is fresh is told by the look `before`.
    pub(in crate::sandbox::run) async fn elements(
        &mut self,
        before: Option<&Elements>,
    ) -> Result<Elements, Stop> {
        let Some(object) = self.probe().await? else {
            return Ok(Elements { list: Vec::new(), object: None });
        };
        let mut tell = call_on(object.clone(), TELL);
        let before = before.and_then(|before| before.object.clone());
        tell.arguments = Some(vec![CallArgument { object_id: before, ..Default::default() }]);
        let told = self.told(&tell).await?;
        let list = serde_json::from_value(told).unwrap_or_default();
        Ok(Elements { list, object: Some(object) })
    }

    /// Runs `probe.js`. It is compiled once for a document, for that is most of what it costs.
    async fn probe(&mut self) -> Result<Option<RemoteObjectId>, Stop> {
        if let Some(script) = self.probe.clone() {
            match self.run_probe(script).await {
                // The page has loaded itself anew since.
                Err(Stop::Failed(CdpError::Refused { .. })) => {}
                found => return found,
            }
        }
        let compile = CompileScriptParams::new(PROBE_ALL.as_str(), "", true);
        self.probe = self.call(&compile).await?.script_id;
        match self.probe.clone() {
            Some(script) => self.run_probe(script).await,
            None => Ok(None),
        }
    }

    async fn run_probe(&mut self, script: ScriptId) -> Result<Option<RemoteObjectId>, Stop> {
        let mut run = RunScriptParams::new(script);
        run.include_command_line_api = Some(true);
        run.silent = Some(true);
        Ok(self.call(&run).await?.result.object_id)
    }

    /// One of them and where it is now, if a person could use it.
    pub(in crate::sandbox::run) async fn place(
        &mut self,
        elements: &mut Elements,
        index: usize,
    ) -> Result<Option<Reachable>, Stop> {
        let told = self.call_on(elements, PLACE_ONE, vec![index.into()]).await?;
        let Ok(Placed { area, words, beats, worn, in_dialog, behind, shapes }) = serde_json::from_value(told)
        else {
            return Ok(None);
        };
        if let Some(behind) = behind {
            let message = format!("{behind}: nobody can see it");
            self.found(Observation::advice(FindingClass::Control, &message, None));
        }
        let Some(usable) = elements.list.get_mut(index) else { return Ok(None) };
        usable.words = words;
        let shapes = shapes.into_iter().map(|(x, y)| Point { x, y }).collect();
        Ok(Some(Reachable { usable: usable.clone(), area, beats, worn, in_dialog, shapes }))
    }

    /// Calls a function on what `probe.js` found, and gives what it gives: null where the page has loaded itself anew
    /// since.
    pub(super) async fn call_on(
        &mut self,
        elements: &Elements,
        function: &str,
        values: Vec<Value>,
    ) -> Result<Value, Stop> {
        let Some(object) = elements.object.clone() else { return Ok(Value::Null) };
        let argument = |value| CallArgument { value: Some(value), ..Default::default() };
        let mut call = call_on(object, function);
        call.arguments = Some(values.into_iter().map(argument).collect());
        // What it does to the page is done by a person.
        call.user_gesture = Some(true);
        // And its mistakes are its own.
        call.silent = Some(false);
        self.told(&call).await
    }

    /// What a call on something of the page's gives: null where the page has loaded itself anew since.
    async fn told(&mut self, call: &CallFunctionOnParams) -> Result<Value, Stop> {
        match self.call(call).await {
            Ok(told) => Ok(told.result.value.unwrap_or_default()),
            Err(Stop::Failed(CdpError::Refused { .. })) => Ok(Value::Null),
            Err(stop) => Err(stop),
        }
    }

    /// Uses one of them without a mouse: `play.js`. What is clicked more than once is clicked again as time passes. Gives
    /// whether a person could have used it; if not, nothing was used.
    pub(in crate::sandbox::run) async fn touch(
        &mut self,
        words: &str,
        elements: &Elements,
        index: usize,
        share: Option<f64>,
        times: u32,
    ) -> Result<bool, Stop> {
        let phase = self.findings.phase();
        self.name_input(words);
        self.watch_catches(true);
        let values = vec![index.into(), share.into(), times.into()];
        let touched = self.call_on(elements, PLAY_ONE, values).await? == Value::Bool(true);
        if !touched {
            self.inputs -= 1;
            self.findings.enter(phase);
        }
        Ok(touched)
    }

    /// Turns a wheel to the end of most scales, and back beyond where it was, without a mouse.
    async fn turn(&mut self, words: &str, elements: &Elements, index: usize) -> Result<(), Stop> {
        self.begin_input(&format!("wheel {words}, {NOTCHES} notches")).await?;
        self.call_on(elements, TURN_ONE, vec![index.into(), NOTCHES.into()]).await?;
        self.pass(FRAME_MS).await
    }

    /// Presses at one point and releases at another, without a mouse.
    pub(super) async fn stroke(&mut self, elements: &Elements, from: Point, to: Point) -> Result<(), Stop> {
        let ends = [from, to].map(|Point { x, y }| vec![x, y].into()).to_vec();
        self.watch_catches(true);
        self.call_on(elements, STROKE_ONE, ends).await.map(drop)
    }
}

fn call_on(object: RemoteObjectId, function: &str) -> CallFunctionOnParams {
    let mut call = CallFunctionOnParams::new(function);
    call.object_id = Some(object);
    call.silent = Some(true);
    call.return_by_value = Some(true);
    call
}
