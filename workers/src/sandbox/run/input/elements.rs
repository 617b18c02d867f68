//! The elements that a person could use, and their use: found by `probe.js`, placed by `place.js`.

use chromiumoxide::cdp::js_protocol::runtime::{
    CallArgument, CallFunctionOnParams, EvaluateParams, RemoteObjectId,
};
use rand::{RngExt, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use serde_json::Value;

use super::{Point, keys};
use crate::sandbox::{
    browser::cdp::CdpError,
    run::{Draw, Run, Stop, drive::IDLE_FRAME_MS},
};

/// The most elements that are used in one pass.
const USES_MAX: usize = 20;

/// The most that are used because they have appeared since.
const FRESH_USES_MAX: usize = 8;

/// The most places to drop something that are looked at for one that a person could reach.
const TARGETS_MAX: usize = 8;

/// The most buttons that are pressed several times in a row, and how often: a list may end at the third press in all.
const REPEATED_MAX: usize = 6;
const REPEATS: usize = 2;

/// The most further choices of a list that are made after the first.
const CHOICES_MAX: usize = 3;

/// What a field is given first, to what it says already, and what it is given later, in its place: little of what pages
/// forget to think of looks like a name or a sum.
const TEXT: &str = "Moss 7";
const TEXTS: [&str; 2] = ["", "O'Hara (2 < 3"];
const DIGITS: [&str; 2] = ["7", "777"];
const NUMBERS: [&str; 3] = ["", "0", "-5"];

/// Where something large is clicked, as shares of its width and height: what is in the middle, around it, and at the
/// edges, where a board has other neighbours.
const AREA_POINTS: [(f64, f64); 7] =
    [(0.5, 0.5), (0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8), (0.06, 0.06), (0.94, 0.94)];

const PROBE: &str = include_str!("probe.js");
const PLACE: &str = include_str!("place.js");

/// Called on what `probe.js` found, with what it had found before. Gives what is said of each element; fresh are
/// those that nobody could have seen then.
const TELL: &str = "function (before) {
  const seen = new Set((before ?? []).filter((entry) => entry.visible).map((entry) => entry.element));
  return this.map(({ element, kind, words, extras, choices, visible }) => {
    return { kind, words, extras, choices, visible, fresh: !seen.has(element) };
  });
}";

/// Called on what `probe.js` found, with an index: gives the picker there another value, as picking one does.
const PICK: &str = "function (index) {
  const { element } = this[index];
  const values = { color: '#336699', date: '2024-02-29', 'datetime-local': '2024-02-29T13:37', month: '2024-02', time: '13:37', week: '2024-W09' };
  if (!(element.type in values)) return;
  element.value = values[element.type];
  for (const kind of ['input', 'change']) {
    const event = document.createEvent('Event');
    event.initEvent(kind, true, false);
    element.dispatchEvent(event);
  }
}";

/// What `probe.js` found, by its index there.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::sandbox::run) struct Usable {
    pub(in crate::sandbox::run) kind: String,
    pub(in crate::sandbox::run) words: String,
    /// The rarer inputs that it listens to: `dblclick`, `contextmenu`, `wheel`, `touchmove`; `held`, and `left` for a field.
    extras: Vec<String>,
    /// How many there are to choose from.
    choices: usize,
    visible: bool,
    fresh: bool,
}

impl Usable {
    pub(in crate::sandbox::run) fn swipes(&self) -> bool {
        self.wants("touchmove")
    }

    fn is_field(&self) -> bool {
        self.kind == "text" || self.kind == "number"
    }

    fn wants(&self, extra: &str) -> bool {
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
    words: Option<String>,
}

/// Where an element is: left, top, width and height in CSS pixels.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(in crate::sandbox::run) struct Area(f64, f64, f64, f64);

impl Area {
    /// The point at these shares of width and height.
    pub(in crate::sandbox::run) fn at(self, across: f64, down: f64) -> Point {
        Point { x: self.0 + self.2 * across, y: self.1 + self.3 * down }
    }
}

impl Run<'_> {
    /// Uses each element once; `again` in another order, because what came first may have changed what the others
    /// do. Gives what was there.
    pub(in crate::sandbox::run) async fn use_everything(
        &mut self,
        random: &mut ChaCha8Rng,
        again: bool,
    ) -> Result<Elements, Stop> {
        let mut elements = self.elements(None).await?;
        let mut order: Vec<usize> = (0..elements.list.len()).collect();
        if again {
            order.shuffle(random);
        }
        order.retain(|index| elements.list.get(*index).is_some_and(|usable| usable.visible));
        if again {
            // What is written in fields is meant for the buttons, and must not crowd them out.
            let is_field = |index: &usize| elements.list.get(*index).is_some_and(Usable::is_field);
            let (mut fields, others): (Vec<usize>, Vec<usize>) = order.into_iter().partition(is_field);
            fields.truncate(USES_MAX / 2);
            order = [fields, others].concat();
        }
        order.truncate(USES_MAX);
        let mut repeated = 0;
        for index in order {
            let pressed = elements.list.get(index).is_some_and(|usable| usable.kind == "button");
            let repeats = again && pressed && repeated < REPEATED_MAX;
            repeated += usize::from(repeats);
            for _ in 0..if repeats { REPEATS } else { 1 } {
                self.use_one(&mut elements, index, again, random).await?;
            }
        }
        for _ in 0..3 {
            self.pass(IDLE_FRAME_MS).await?;
            self.frame(IDLE_FRAME_MS, Draw::No).await?;
        }
        self.use_what_is_fresh(elements, random).await
    }

    /// Uses what has appeared since `before`: a menu's entries, the button of a game that is over. Gives what is
    /// there now.
    pub(in crate::sandbox::run) async fn use_what_is_fresh(
        &mut self,
        before: Elements,
        random: &mut ChaCha8Rng,
    ) -> Result<Elements, Stop> {
        let mut elements = self.elements(Some(&before)).await?;
        let fresh = |usable: &Usable| usable.fresh && usable.visible && usable.words != "page";
        let mut order: Vec<usize> = (0..elements.list.len()).collect();
        order.retain(|index| elements.list.get(*index).is_some_and(fresh));
        order.truncate(FRESH_USES_MAX);
        for index in order {
            self.use_one(&mut elements, index, false, random).await?;
        }
        Ok(elements)
    }

    async fn use_one(
        &mut self,
        elements: &mut Elements,
        index: usize,
        again: bool,
        random: &mut ChaCha8Rng,
    ) -> Result<(), Stop> {
        let Some((usable, area)) = self.place(elements, index).await? else { return Ok(()) };
        match usable.kind.as_str() {
            "draggable" => {
                self.click(&usable.words, area.at(0.5, 0.5)).await?;
                let target = self.target(elements, random).await?;
                self.carry(&usable.words, area.at(0.5, 0.5), target).await?;
            }
            "picker" => self.pick(elements, index, &usable.words).await?,
            _ if again && usable.is_field() => self.overwrite(elements, index, &usable, random).await?,
            _ if usable.is_field() => self.fill(elements, index, &usable, area).await?,
            _ => self.use_element(&usable, area, random).await?,
        }
        for extra in &usable.extras {
            let (words, middle) = (usable.words.as_str(), area.at(0.5, 0.5));
            match extra.as_str() {
                "dblclick" => self.double_click(words, middle).await?,
                "contextmenu" => self.right_click(words, middle).await?,
                "wheel" => self.wheel(words, middle).await?,
                "held" => self.hold(words, middle).await?,
                // Fingers are for the phone.
                _ => {}
            }
        }
        Ok(())
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
            if let Some((usable, area)) = self.place(elements, index).await? {
                return Ok(Some((usable.words, area.at(0.5, 0.5))));
            }
        }
        Ok(None)
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
                for (across, down) in AREA_POINTS {
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
                self.press_named(&keys::ARROW_DOWN).await?;
                self.press_named(&keys::ENTER).await?;
                for _ in 0..usable.choices.saturating_sub(2).min(CHOICES_MAX) {
                    self.press_named(&keys::ARROW_DOWN).await?;
                }
                Ok(())
            }
            // The page as a whole, for its rarer inputs only.
            "surface" | "target" => Ok(()),
            _ => self.click(words, area.at(0.5, 0.5)).await,
        }
    }

    /// Writes into a field; one that wants to know is left empty before.
    async fn fill(
        &mut self,
        elements: &mut Elements,
        index: usize,
        usable: &Usable,
        area: Area,
    ) -> Result<(), Stop> {
        let words = usable.words.as_str();
        self.click(words, area.at(0.5, 0.5)).await?;
        if usable.wants("left") {
            self.press_named(&keys::TAB).await?;
            // What the page says to that may have moved it.
            let Some((_, area)) = self.place(elements, index).await? else { return Ok(()) };
            self.click(words, area.at(0.5, 0.5)).await?;
        }
        if usable.kind == "number" {
            for digits in DIGITS {
                self.write(words, digits).await?;
            }
            return Ok(());
        }
        self.write(words, TEXT).await?;
        self.press_named(&keys::ENTER).await
    }

    /// Writes other things into a field, in the place of what it says; the last is left there.
    async fn overwrite(
        &mut self,
        elements: &mut Elements,
        index: usize,
        usable: &Usable,
        random: &mut ChaCha8Rng,
    ) -> Result<(), Stop> {
        let is_number = usable.kind == "number";
        let mut texts = if is_number { NUMBERS.to_vec() } else { TEXTS.to_vec() };
        if is_number {
            texts.shuffle(random);
        }
        for text in texts {
            // The page may have moved it, or written it anew.
            let Some((Usable { words, .. }, area)) = self.place(elements, index).await? else {
                return Ok(());
            };
            self.write_over(&words, area.at(0.5, 0.5), text).await?;
            if !is_number {
                self.press_named(&keys::ENTER).await?;
            }
        }
        Ok(())
    }

    /// Looks at what there is to use; what is fresh is told by the look `before`.
    pub(in crate::sandbox::run) async fn elements(
        &mut self,
        before: Option<&Elements>,
    ) -> Result<Elements, Stop> {
        let mut look = EvaluateParams::new(PROBE);
        look.include_command_line_api = Some(true);
        look.silent = Some(true);
        let object = self.call(&look).await?.result.object_id;
        let Some(object) = object else { return Ok(Elements { list: Vec::new(), object: None }) };
        let mut tell = call_on(object.clone(), TELL);
        let before = before.and_then(|before| before.object.clone());
        tell.arguments = Some(vec![CallArgument { object_id: before, ..Default::default() }]);
        tell.return_by_value = Some(true);
        let told = self.told(&tell).await?;
        let list = serde_json::from_value(told).unwrap_or_default();
        Ok(Elements { list, object: Some(object) })
    }

    /// One of them and where it is now, if a person could use it.
    pub(in crate::sandbox::run) async fn place(
        &mut self,
        elements: &mut Elements,
        index: usize,
    ) -> Result<Option<(Usable, Area)>, Stop> {
        let (Some(object), Some(usable)) = (elements.object.clone(), elements.list.get_mut(index)) else {
            return Ok(None);
        };
        let mut place = call_on(object, PLACE);
        place.arguments = Some(vec![CallArgument { value: Some(index.into()), ..Default::default() }]);
        place.return_by_value = Some(true);
        let Ok(Placed { area, words }) = serde_json::from_value(self.told(&place).await?) else {
            return Ok(None);
        };
        if let Some(words) = words {
            usable.words = words;
        }
        Ok(Some((usable.clone(), area)))
    }

    /// What a call on something of the page's gives: null where the page has loaded itself anew since.
    async fn told(&mut self, call: &CallFunctionOnParams) -> Result<Value, Stop> {
        match self.call(call).await {
            Ok(told) => Ok(told.result.value.unwrap_or_default()),
            Err(Stop::Failed(CdpError::Refused { .. })) => Ok(Value::Null),
            Err(stop) => Err(stop),
        }
    }

    /// Gives a field for a colour, a date or a time another value. What opens there to pick it from is no part of
    /// the page, so this is the one input that is not trusted.
    async fn pick(&mut self, elements: &Elements, index: usize, words: &str) -> Result<(), Stop> {
        let Some(object) = elements.object.clone() else { return Ok(()) };
        self.begin_input(&format!("pick in {words}"));
        let mut pick = call_on(object, PICK);
        pick.arguments = Some(vec![CallArgument { value: Some(index.into()), ..Default::default() }]);
        self.told(&pick).await?;
        self.delivered(Vec::new(), Draw::No).await
    }
}

fn call_on(object: RemoteObjectId, function: &str) -> CallFunctionOnParams {
    let mut call = CallFunctionOnParams::new(function);
    call.object_id = Some(object);
    call.silent = Some(true);
    call
}
