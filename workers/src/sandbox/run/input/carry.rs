//! Dragging and dropping as the browser does it itself, for elements that are `draggable`: the browser hands the
//! dragged data to us instead of to a window system, and takes it back where it is dropped. And as pages do it, by moving
//! an element to where the mouse is.

use chromiumoxide::{Command, Method, cdp::browser_protocol::input::DispatchMouseEventType, types::MethodId};
use mondo_jobs::finding::FindingClass;
use serde::Serialize;
use serde_json::Value;

use super::{
    Point,
    elements::{Area, Elements, Reachable},
    held, mouse,
};
use crate::sandbox::{
    findings::Observation,
    run::{Draw, Run, Stop},
};

/// How large something may be that is dragged by itself, in CSS pixels, and how far it is, twice.
const DRAGGED_PX_MAX: f64 = 300.0;
const DRAG: (f64, f64) = (14.0, 9.0);

/// Called on what `probe.js` found: where what something is placed in begins.
const ORIGIN: &str = "function (index) {
  const { left, top } = (this[index].element.offsetParent ?? document.documentElement).getBoundingClientRect();
  return [left, top];
}";

/// How far a jump is at least, and what counts as the same place.
const JUMP_PX_MIN: f64 = 24.0;
const NEAR_PX: f64 = 3.0;

impl Run<'_> {
    /// Drags a `draggable` element and drops it on a target, if there is one, or where it ends up.
    pub(in crate::sandbox::run) async fn carry(
        &mut self,
        words: &str,
        from: Point,
        target: Option<(String, Point)>,
    ) -> Result<(), Stop> {
        let (to, words) = match target {
            Some((target, point)) => (point, format!("drag {words} to {target}")),
            None => (Point { x: from.x + 60.0, y: from.y + 40.0 }, format!("drag {words}")),
        };
        self.begin_input(&words).await?;
        self.dragged = None;
        let press = self.page.send(&mouse(DispatchMouseEventType::MousePressed, from)).untyped();
        self.delivered(vec![press], Draw::No).await?;
        for step in [8.0, 16.0] {
            let moved = held(Point { x: from.x + step, y: from.y + step });
            let moved = self.page.send(&moved).untyped();
            self.delivered_with_frame(vec![moved], Draw::No).await?;
        }
        self.settle().await?;
        if let Some(data) = self.dragged.take() {
            for kind in ["dragEnter", "dragOver", "drop"] {
                let dragged =
                    self.page.send(&DragEvent { r#type: kind, x: to.x, y: to.y, data: data.clone() });
                self.delivered(vec![dragged.untyped()], Draw::No).await?;
            }
        }
        let release = self.page.send(&mouse(DispatchMouseEventType::MouseReleased, to)).untyped();
        self.delivered(vec![release], Draw::No).await
    }

    /// Reports what follows the mouse and is not where the mouse is.
    pub(super) async fn look_at_drag(&mut self, elements: &mut Elements, index: usize) -> Result<(), Stop> {
        let Some(Reachable { usable, area, .. }) = self.place(elements, index).await? else { return Ok(()) };
        let Area(.., width, height) = area;
        if width > DRAGGED_PX_MAX || height > DRAGGED_PX_MAX {
            return Ok(());
        }
        let words = usable.words.as_str();
        self.begin_input(&format!("drag {words}")).await?;
        let from = area.at(0.5, 0.5);
        let press = self.page.send(&mouse(DispatchMouseEventType::MousePressed, from)).untyped();
        self.delivered(vec![press], Draw::No).await?;
        let mut places = Vec::new();
        let mut at = from;
        for _ in 0..2 {
            at = Point { x: at.x + DRAG.0, y: at.y + DRAG.1 };
            let moved = self.page.send(&held(at)).untyped();
            self.delivered_with_frame(vec![moved], Draw::No).await?;
            self.settle().await?;
            places.extend(self.place(elements, index).await?.map(|there| there.area));
        }
        let release = self.page.send(&mouse(DispatchMouseEventType::MouseReleased, at)).untyped();
        self.delivered(vec![release], Draw::No).await?;
        let origin = self.call_on(elements, ORIGIN, vec![index.into()]).await?;
        let origin: Option<(f64, f64)> = serde_json::from_value(origin).unwrap_or_default();
        if let ([first, second], Some(origin)) = (&places[..], origin)
            && jumps([area, *first, *second], origin)
        {
            let message = format!("{words} jumps away from the mouse that drags it");
            self.found(Observation::advice(FindingClass::Control, &message, None));
        }
        Ok(())
    }
}

/// Whether something that followed the mouse, from where it was pressed over where it came to twice, has jumped as far as what it
/// is placed in is away from the view's corner: the page takes the mouse's place in the view for one in there.
fn jumps([pressed, first, second]: [Area; 3], origin: (f64, f64)) -> bool {
    let along = |pressed: f64, first: f64, second: f64, by: f64, origin: f64| {
        let follows = (second - first - by).abs() <= NEAR_PX;
        let jump = second - pressed - 2.0 * by;
        follows && jump.abs() >= JUMP_PX_MIN && (jump - origin).abs() <= 2.0 * NEAR_PX
    };
    along(pressed.0, first.0, second.0, DRAG.0, origin.0)
        || along(pressed.1, first.1, second.1, DRAG.1, origin.1)
}

/// `Input.dispatchDragEvent`, with the data just as the browser gave it: the typed command leaves empty lists out.
#[derive(Debug, Serialize)]
struct DragEvent {
    r#type: &'static str,
    x: f64,
    y: f64,
    data: Value,
}

impl Method for DragEvent {
    fn identifier(&self) -> MethodId {
        "Input.dispatchDragEvent".into()
    }
}

impl Command for DragEvent {
    type Response = Value;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether something 40 px wide jumps that lies at 300, 200 in a board which begins at 290, 160, and is at these places once
    /// the mouse has dragged it once and twice.
    fn jumped(first: (f64, f64), second: (f64, f64)) -> bool {
        let places = [(300.0, 200.0), first, second].map(|(left, top)| Area(left, top, 40.0, 40.0));
        jumps(places, (290.0, 160.0))
    }

    #[test]
    fn only_what_is_put_as_far_beside_the_mouse_as_its_board_is_jumps() {
        assert!(!jumped((314.0, 209.0), (328.0, 218.0)), "it follows the mouse");
        assert!(
            jumped((604.0, 369.0), (618.0, 378.0)),
            "it takes the mouse's place in the view for one in the board"
        );
        assert!(jumped((604.0, 440.0), (618.0, 440.0)), "the same, at the lower edge");
        assert!(!jumped((300.0, 209.0), (300.0, 218.0)), "it moves up and down only");
        assert!(!jumped((314.0, 129.0), (328.0, 138.0)), "it is lifted above the finger");
        assert!(!jumped((320.0, 200.0), (320.0, 200.0)), "it keeps to a grid");
    }
}
