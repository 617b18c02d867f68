//! Trusted input, as a person's mouse, keyboard and finger would give it.

mod carry;
mod closing;
mod deliver;
pub(super) mod elements;
mod fields;
pub(in crate::sandbox) mod keys;
pub(super) mod play;
pub(super) mod rounds;

use chromiumoxide::{
    Command, Method,
    cdp::browser_protocol::input::{
        DispatchKeyEventParams, DispatchKeyEventType, DispatchMouseEventParams, DispatchMouseEventType,
        DispatchTouchEventParams, DispatchTouchEventReturns, DispatchTouchEventType, InsertTextParams,
        MouseButton, TouchPoint,
    },
    types::MethodId,
};
use serde::Serialize;

use self::keys::{Key, Named};
use crate::sandbox::{
    browser::cdp::CdpError,
    run::{Draw, Run, Stop},
};

/// The browser's bit for the Control key.
const CONTROL: i64 = 2;

/// How long a press is held, in steps of page time.
const HELD_STEPS: u32 = 4;
const HELD_STEP_MS: f64 = 250.0;

/// How often a key that is held is pressed again by the keyboard.
const KEY_REPEATS: u32 = 5;

/// Whether a list of choices is open, in a shadow tree as well.
const OPEN_LIST: &str = "(() => {
  const open = (root) => root.querySelector('select:open') || [...root.querySelectorAll('*')].some(({ shadowRoot }) => shadowRoot && open(shadowRoot));
  return Boolean(open(document));
})()";

/// A point of the viewport, in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Point {
    /// The point in the middle between two.
    fn halfway(from: Self, to: Self) -> Self {
        Self { x: f64::midpoint(from.x, to.x), y: f64::midpoint(from.y, to.y) }
    }
}

impl Run<'_> {
    /// Moves the mouse to a point and clicks there.
    pub(super) async fn click(&mut self, words: &str, at: Point) -> Result<(), Stop> {
        self.begin_input(&format!("click {words}")).await?;
        let inputs = vec![
            self.page.send(&mouse(DispatchMouseEventType::MouseMoved, at)).untyped(),
            self.page.send(&mouse(DispatchMouseEventType::MousePressed, at)).untyped(),
            self.page.send(&mouse(DispatchMouseEventType::MouseReleased, at)).untyped(),
        ];
        self.delivered_in_a_row(inputs).await
    }

    /// Clicks a point twice, as fast as a double click is.
    pub(super) async fn double_click(&mut self, words: &str, at: Point) -> Result<(), Stop> {
        self.begin_input(&format!("double click {words}")).await?;
        let mut inputs = Vec::new();
        for count in [1, 2] {
            for kind in [DispatchMouseEventType::MousePressed, DispatchMouseEventType::MouseReleased] {
                let mut event = mouse(kind, at);
                event.click_count = Some(count);
                inputs.push(self.page.send(&event).untyped());
            }
        }
        self.delivered(inputs, Draw::No).await
    }

    /// Clicks a point with the right button.
    pub(super) async fn right_click(&mut self, words: &str, at: Point) -> Result<(), Stop> {
        self.begin_input(&format!("right click {words}")).await?;
        let mut inputs = Vec::new();
        for (kind, held) in
            [(DispatchMouseEventType::MousePressed, 2), (DispatchMouseEventType::MouseReleased, 0)]
        {
            let mut event = mouse(kind, at);
            event.button = Some(MouseButton::Right);
            event.buttons = Some(held);
            inputs.push(self.page.send(&event).untyped());
        }
        self.delivered(inputs, Draw::No).await
    }

    /// Turns the wheel over a point, once in each direction.
    pub(super) async fn wheel(&mut self, words: &str, at: Point) -> Result<(), Stop> {
        self.begin_input(&format!("wheel {words}")).await?;
        for turn in [100.0, -100.0] {
            let mut event = mouse(DispatchMouseEventType::MouseWheel, at);
            (event.button, event.buttons, event.click_count) = (None, None, None);
            (event.delta_x, event.delta_y) = (Some(0.0), Some(turn));
            let turned = self.page.send(&event).untyped();
            self.delivered_with_frame(vec![turned], Draw::Yes).await?;
        }
        self.settle().await
    }

    /// Presses the mouse at one point, moves it along a way, and releases it at the end.
    pub(super) async fn drag(&mut self, words: &str, from: Point, way: &[Point]) -> Result<(), Stop> {
        self.begin_input(&format!("drag {words}")).await?;
        let press = self.page.send(&mouse(DispatchMouseEventType::MousePressed, from)).untyped();
        self.delivered(vec![press], Draw::No).await?;
        for point in way {
            let mut step = mouse(DispatchMouseEventType::MouseMoved, *point);
            step.buttons = Some(1);
            let step = self.page.send(&step).untyped();
            self.delivered_with_frame(vec![step], Draw::No).await?;
        }
        let end = way.last().copied().unwrap_or(from);
        let release = self.page.send(&mouse(DispatchMouseEventType::MouseReleased, end)).untyped();
        self.delivered(vec![release], Draw::No).await
    }

    /// Presses a key as a person would.
    pub(super) async fn press(&mut self, key: &Key) -> Result<(), Stop> {
        self.begin_input(&format!("key {}", key.words())).await?;
        self.press_and_release(key).await
    }

    /// Holds a key for a frame, so that a game that polls sees it, and releases it. What comes of the release is drawn with
    /// the next frame.
    async fn press_and_release(&mut self, key: &Key) -> Result<(), Stop> {
        let down =
            if key.text.is_some() { DispatchKeyEventType::KeyDown } else { DispatchKeyEventType::RawKeyDown };
        let pressed = self.page.send(&keyboard(down, key)).untyped();
        self.delivered(vec![pressed], Draw::No).await?;
        let released = self.page.send(&keyboard(DispatchKeyEventType::KeyUp, key)).untyped();
        self.delivered_in_a_row(vec![released]).await
    }

    /// The same in a control that has the focus, where keys have a meaning of their own.
    pub(super) async fn press_in(&mut self, words: &str, key: &Named) -> Result<(), Stop> {
        self.press_key_in(words, &keys::named(key)).await
    }

    async fn press_key_in(&mut self, words: &str, key: &Key) -> Result<(), Stop> {
        self.begin_input(&format!("key {} in {words}", key.words())).await?;
        self.press_and_release(key).await
    }

    /// Holds a key down while a step of time passes, as long as the keyboard takes to repeat it a few times.
    async fn hold_key(&mut self, key: &Key, step_ms: f64) -> Result<(), Stop> {
        self.begin_input(&format!("hold key {}", key.words())).await?;
        let down =
            if key.text.is_some() { DispatchKeyEventType::KeyDown } else { DispatchKeyEventType::RawKeyDown };
        let pressed = (0..=KEY_REPEATS).map(|time| {
            let mut event = keyboard(down.clone(), key);
            event.auto_repeat = (time > 0).then_some(true);
            self.page.send(&event).untyped()
        });
        let pressed: Vec<_> = pressed.collect();
        self.acknowledged(pressed).await?;
        self.pass(step_ms).await?;
        let released = self.page.send(&keyboard(DispatchKeyEventType::KeyUp, key)).untyped();
        self.acknowledged(vec![released]).await
    }

    /// Closes a list of choices that was left open: it is a window of its own, and as long as it is there, no frame is
    /// drawn.
    pub(super) async fn close_list(&mut self) -> Result<(), Stop> {
        let names = ["<select", "\"select\"", "'select'", "`select`"];
        let has_lists = names.iter().any(|name| self.source.contains(name));
        if !has_lists || self.read::<bool>(OPEN_LIST).await? != Some(true) {
            return Ok(());
        }
        // The list takes it. Its release would reach the page.
        let escape = keyboard(DispatchKeyEventType::RawKeyDown, &keys::named(&keys::ESCAPE));
        match self.call(&escape).await {
            Err(Stop::Failed(CdpError::Refused { .. })) => Ok(()),
            done => done.map(drop),
        }
    }

    /// Writes text into what has the focus.
    pub(super) async fn write(&mut self, words: &str, text: &str) -> Result<(), Stop> {
        self.begin_input(&format!("type \"{text}\" into {words}")).await?;
        let input = self.page.send(&InsertTextParams::new(text)).untyped();
        self.delivered(vec![input], Draw::No).await
    }

    /// Clicks a field, marks all that it says, and writes something else in its place, or nothing.
    pub(super) async fn write_over(&mut self, words: &str, at: Point, text: &str) -> Result<(), Stop> {
        let what =
            if text.is_empty() { format!("clear {words}") } else { format!("type \"{text}\" over {words}") };
        self.click(words, at).await?;
        self.begin_input(&what).await?;
        self.press_and_release(&keys::with_control('a')).await?;
        if text.is_empty() {
            return self.press_and_release(&keys::named(&keys::DELETE)).await;
        }
        let input = self.page.send(&InsertTextParams::new(text)).untyped();
        self.delivered(vec![input], Draw::No).await
    }

    /// Presses the mouse and holds it for longer than a click, as for a menu or a charge.
    pub(super) async fn hold(&mut self, words: &str, at: Point) -> Result<(), Stop> {
        self.begin_input(&format!("hold {words}")).await?;
        let press = self.page.send(&mouse(DispatchMouseEventType::MousePressed, at)).untyped();
        self.delivered(vec![press], Draw::No).await?;
        for _ in 0..HELD_STEPS {
            self.pass(HELD_STEP_MS).await?;
        }
        let release = self.page.send(&mouse(DispatchMouseEventType::MouseReleased, at)).untyped();
        self.delivered(vec![release], Draw::No).await
    }

    /// Moves one finger over the page.
    pub(super) async fn swipe(&mut self, words: &str, from: Point, to: Point) -> Result<(), Stop> {
        self.begin_input(&format!("swipe {words}")).await?;
        for (kind, at) in [
            (DispatchTouchEventType::TouchStart, from),
            (DispatchTouchEventType::TouchMove, Point { x: f64::midpoint(from.x, to.x), y: from.y }),
            (DispatchTouchEventType::TouchMove, to),
        ] {
            let touched = DispatchTouchEventParams::new(kind, vec![TouchPoint::new(at.x, at.y)]);
            let touched = self.page.send(&touched).untyped();
            self.delivered_with_frame(vec![touched], Draw::Yes).await?;
        }
        let lifted = self.page.send(&LastFingerUp::default()).untyped();
        self.delivered_with_frame(vec![lifted], Draw::Yes).await?;
        self.settle().await
    }

    /// Spreads two fingers on the page.
    pub(super) async fn pinch(&mut self, words: &str, from: Point, to: Point) -> Result<(), Stop> {
        self.begin_input(&format!("pinch {words}")).await?;
        let middle = Point::halfway(from, to);
        let halfway = |end: Point| Point::halfway(middle, end);
        for (kind, [first, second]) in [
            (DispatchTouchEventType::TouchStart, [halfway(from), halfway(to)]),
            (DispatchTouchEventType::TouchMove, [from, to]),
        ] {
            let mut fingers = vec![TouchPoint::new(first.x, first.y), TouchPoint::new(second.x, second.y)];
            for (id, finger) in [0.0, 1.0].into_iter().zip(&mut fingers) {
                finger.id = Some(id);
            }
            let touched = self.page.send(&DispatchTouchEventParams::new(kind, fingers)).untyped();
            self.delivered_with_frame(vec![touched], Draw::Yes).await?;
        }
        let lifted = self.page.send(&LastFingerUp::default()).untyped();
        self.delivered_with_frame(vec![lifted], Draw::Yes).await?;
        self.settle().await
    }

    /// Touches a point with one finger.
    pub(super) async fn tap(&mut self, words: &str, at: Point) -> Result<(), Stop> {
        self.begin_input(&format!("tap {words}")).await?;
        let finger = TouchPoint::new(at.x, at.y);
        let inputs = vec![
            self.page
                .send(&DispatchTouchEventParams::new(DispatchTouchEventType::TouchStart, vec![finger]))
                .untyped(),
            self.page.send(&LastFingerUp::default()).untyped(),
        ];
        // After the viewport has changed, touches are answered only by frames that are drawn.
        self.delivered_with_frame(inputs, Draw::Yes).await?;
        self.settle().await
    }

    /// From here on comes what a mouse, a key or a finger sends: a page that is stopped where it throws would lose it.
    pub(super) async fn begin_input(&mut self, words: &str) -> Result<(), Stop> {
        if self.watches_catches {
            self.watch_catches(false);
            self.settle().await?;
        }
        self.name_input(words);
        Ok(())
    }

    /// The same for what comes from a script.
    fn name_input(&mut self, words: &str) {
        self.inputs += 1;
        self.findings.after(words);
    }
}

/// `Input.dispatchTouchEvent` for the end of a touch. The typed command leaves out the empty list of fingers, and
/// the browser insists on it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LastFingerUp {
    r#type: DispatchTouchEventType,
    touch_points: [TouchPoint; 0],
}

impl Default for LastFingerUp {
    fn default() -> Self {
        Self { r#type: DispatchTouchEventType::TouchEnd, touch_points: [] }
    }
}

impl Method for LastFingerUp {
    fn identifier(&self) -> MethodId {
        DispatchTouchEventParams::IDENTIFIER.into()
    }
}

impl Command for LastFingerUp {
    type Response = DispatchTouchEventReturns;
}

pub(super) fn mouse(kind: DispatchMouseEventType, at: Point) -> DispatchMouseEventParams {
    let moved = kind == DispatchMouseEventType::MouseMoved;
    let pressed = kind == DispatchMouseEventType::MousePressed;
    let mut event = DispatchMouseEventParams::new(kind, at.x, at.y);
    event.button = Some(if moved { MouseButton::None } else { MouseButton::Left });
    event.buttons = Some(i64::from(pressed));
    event.click_count = Some(i64::from(!moved));
    event
}

/// A move with the left button held, by which the browser begins to drag; without the name of the button it does not.
pub(super) fn held(at: Point) -> DispatchMouseEventParams {
    let mut event = mouse(DispatchMouseEventType::MouseMoved, at);
    (event.button, event.buttons) = (Some(MouseButton::Left), Some(1));
    event
}

fn keyboard(kind: DispatchKeyEventType, key: &Key) -> DispatchKeyEventParams {
    let writes = kind == DispatchKeyEventType::KeyDown;
    let mut event = DispatchKeyEventParams::new(kind);
    event.key = Some(key.name.clone());
    event.code = Some(key.code.clone());
    event.windows_virtual_key_code = Some(key.number);
    event.native_virtual_key_code = Some(key.number);
    event.modifiers = key.control.then_some(CONTROL);
    if writes {
        event.text.clone_from(&key.text);
    }
    event
}
