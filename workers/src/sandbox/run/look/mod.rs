//! What can be seen of a page without using it: dead controls, names and contrast, empty canvases, an animation that
//! does not move, a page wider than a phone.

pub(in crate::sandbox) mod coverage;
mod screen;

use chromiumoxide::cdp::{
    browser_protocol::system_info::GetProcessInfoParams, js_protocol::runtime::EvaluateParams,
};
use mondo_jobs::finding::FindingClass;
use serde::{Deserialize, de::DeserializeOwned};

use self::screen::{Empty, Rectangle, one_coloured};
use crate::sandbox::{
    browser::cdp::CdpError,
    findings::{Observation, classify},
    run::{Draw, FRAME_MS, Run, Stop, limit::watch::page_cpu_secs, page::DESKTOP},
};

/// Processor seconds for a frame, above which no page is smooth: three times what there is at 60 frames a second.
const FRAME_SECS_MAX: f64 = 0.05;

const AUDIT: &str = include_str!("audit.js");
const CANVASES: &str = include_str!("canvases.js");
const COVERED: &str = include_str!("covered.js");
const OVERFLOW: &str = include_str!("overflow.js");

/// What `audit.js` gives.
#[derive(Deserialize)]
struct Seen {
    kind: String,
    message: String,
    tag: String,
}

/// What `covered.js` gives.
#[derive(Deserialize)]
struct Covered {
    message: String,
    tag: String,
}

/// What `canvases.js` gives.
#[derive(Deserialize)]
struct Canvas {
    words: String,
    used: bool,
    #[serde(flatten)]
    place: Rectangle,
}

impl Run<'_> {
    /// Reports controls that nothing listens to, and what keeps people from using the page. Of a page that was `used`
    /// only that: a control may have done what it is for.
    pub(super) async fn look_at_controls(&mut self, used: bool) -> Result<(), Stop> {
        for seen in self.read::<Vec<Seen>>(AUDIT).await?.unwrap_or_default() {
            let class =
                if seen.kind == "control" { FindingClass::Control } else { FindingClass::Accessibility };
            if used && class == FindingClass::Control {
                continue;
            }
            let place = classify::find(self.source, &seen.tag);
            self.found(Observation::advice(class, &seen.message, place));
        }
        Ok(())
    }

    /// Reports a page that is wider than the view.
    pub(super) async fn look_at_width(&mut self) -> Result<(), Stop> {
        if let Some(message) = self.read::<String>(OVERFLOW).await? {
            self.found(Observation::advice(FindingClass::Overflow, &message, None));
        }
        Ok(())
    }

    /// Draws the view, and reports it when it is empty, or when a canvas in it is.
    pub(super) async fn look_at_view(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        for covered in self.read::<Vec<Covered>>(COVERED).await?.unwrap_or_default() {
            let place = classify::find(self.source, &covered.tag);
            self.found(Observation::advice(FindingClass::Control, &covered.message, place));
        }
        self.look_at_canvases(DESKTOP.0).await
    }

    /// The same, in a view so many CSS pixels wide, without a look at what is covered.
    pub(super) async fn look_at_canvases(&mut self, width: i32) -> Result<Option<Vec<u8>>, Stop> {
        let canvases = self.read::<Vec<Canvas>>(CANVASES).await?.unwrap_or_default();
        let screenshot = self.frame(FRAME_MS, Draw::Screenshot).await?;
        let Some(png) = screenshot.clone() else { return Ok(None) };
        let places: Vec<Rectangle> = canvases.iter().map(|canvas| canvas.place).collect();
        let looked = tokio::task::spawn_blocking(move || one_coloured(&png, &places, width.into())).await;
        let Ok(Ok((whole, empty))) = looked else { return Ok(screenshot) };
        if whole {
            let message = "nothing is drawn: the whole view has one colour";
            self.found(Observation::blocking(FindingClass::Blank, message, None));
            return Ok(screenshot);
        }
        for (canvas, empty) in canvases.iter().zip(&empty).filter(|(_, empty)| **empty != Empty::No) {
            let message = format!("nothing is drawn in {}: it has one colour", canvas.words);
            self.found(if canvas.used || *empty == Empty::Coloured {
                Observation::advice(FindingClass::Blank, &message, None)
            } else {
                Observation::blocking(FindingClass::Blank, &message, None)
            });
        }
        Ok(screenshot)
    }

    /// Processor seconds of the page so far.
    pub(super) async fn cpu_secs(&mut self) -> Result<f64, Stop> {
        let mut pending = self.page.cdp.send(None, &GetProcessInfoParams::default());
        Ok(page_cpu_secs(&self.reply(&mut pending).await?))
    }

    /// Reports a page that needs more processor time for a frame than there is time for it.
    pub(super) fn look_at_speed(&mut self, frame_secs: f64) {
        if frame_secs > FRAME_SECS_MAX {
            let message = "a frame takes more than 50 ms of processor time: the page is not smooth";
            self.found(Observation::advice(FindingClass::Slow, message, None));
        }
    }

    /// Reports an animation that has not moved.
    pub(super) fn found_still(&mut self) {
        let message = "the page asks for frame after frame, but nothing moves";
        self.found(Observation::advice(FindingClass::Still, message, None));
    }

    /// Tells the scripts in the page something, with an event that does not depend on the page's globals: a class
    /// `Event` of its own would be another one.
    pub(super) async fn tell(&mut self, event: &str, detail: u32) -> Result<(), Stop> {
        let told = "const told = document.createEvent('CustomEvent')";
        let init = format!("told.initCustomEvent('{event}', false, false, {detail})");
        let mut tell = EvaluateParams::new(format!("{{ {told}; {init}; window.dispatchEvent(told); }}"));
        tell.silent = Some(true);
        self.call(&tell).await.map(drop)
    }

    /// Evaluates a script with the console's helpers; nothing where the page kept it from its answer.
    pub(super) async fn read<T: DeserializeOwned>(&mut self, script: &str) -> Result<Option<T>, Stop> {
        let mut look = EvaluateParams::new(script);
        look.include_command_line_api = Some(true);
        look.silent = Some(true);
        look.return_by_value = Some(true);
        let value = match self.call(&look).await {
            Ok(read) => read.result.value.unwrap_or_default(),
            // Nested too deeply, for one.
            Err(Stop::Failed(CdpError::Refused { .. })) => return Ok(None),
            Err(stop) => return Err(stop),
        };
        Ok(serde_json::from_value(value).ok())
    }
}
