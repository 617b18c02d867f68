//! A canvas that grows by itself: fitted to what is around it, it makes that a little larger each time.

use mondo_jobs::finding::FindingClass;
use serde::Deserialize;

use crate::sandbox::{
    findings::Observation,
    run::{Run, Stop},
};

/// How much higher it is then after some seconds, in pixels of its own.
const GROWTH_MIN: f64 = 10.0;

const HEIGHTS: &str = "[...document.querySelectorAll('canvas')].slice(0, 20).map(({ id, height }) => ({ id: id.slice(0, 40), height }))";

/// What it gives of each.
#[derive(Deserialize)]
pub(in crate::sandbox::run) struct Height {
    id: String,
    height: f64,
}

impl Run<'_> {
    /// How high the canvases are of a page that fits something.
    pub(in crate::sandbox::run) async fn heights(&mut self) -> Result<Vec<Height>, Stop> {
        if !fits(self.source) {
            return Ok(Vec::new());
        }
        Ok(self.read(HEIGHTS).await?.unwrap_or_default())
    }

    /// Reports those that have grown while nothing was done.
    pub(in crate::sandbox::run) async fn look_at_heights(&mut self, before: Vec<Height>) -> Result<(), Stop> {
        let now = if before.is_empty() { Vec::new() } else { self.heights().await? };
        if before.len() != now.len() {
            return Ok(());
        }
        for (before, now) in before.iter().zip(&now) {
            if before.id == now.id && now.height - before.height >= GROWTH_MIN {
                let name =
                    if now.id.is_empty() { "a canvas".to_owned() } else { format!("canvas#{}", now.id) };
                let message = format!(
                    "{name} grows by itself: it was {} px high, and is {} now",
                    before.height, now.height
                );
                self.found(Observation::advice(FindingClass::Graphics, &message, None));
            }
        }
        Ok(())
    }
}

/// Whether a page makes something as high as something else is, whenever that changes.
fn fits(source: &str) -> bool {
    let mut set = source.split(".height = ").skip(1);
    let is_measured = |rest: &str| {
        rest.split([';', '\n'])
            .next()
            .is_some_and(|value| value.contains("height") || value.contains("Height"))
    };
    source.contains("ResizeObserver") && set.any(is_measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_made_as_high_as_something_else_fits() {
        let page = "new ResizeObserver(draw).observe(box); plot.height = box.clientHeight;";
        assert!(fits(page));
        assert!(!fits(&page.replace("box.clientHeight", "40 + rows * 20")));
        assert!(!fits(&page.replace("box.clientHeight", "weight * 20")));
        assert!(!fits(&page.replace("ResizeObserver", "Observer")));
    }
}
