//! Dragging and dropping as the browser does it itself, for elements that are `draggable`: the browser hands the
//! dragged data to us instead of to a window system, and takes it back where it is dropped.

use chromiumoxide::{Command, Method, cdp::browser_protocol::input::DispatchMouseEventType, types::MethodId};
use serde::Serialize;
use serde_json::Value;

use super::{Point, held, mouse};
use crate::sandbox::run::{Draw, Run, Stop};

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
