//! A page that no longer answers: where it is, and what is said of it.

use std::time::Duration;

use chromiumoxide::cdp::js_protocol::debugger;
use mondo_jobs::finding::FindingClass;

use super::{
    findings::Observation,
    run::{Run, Stop},
    stack,
    stack::place_of,
    watch::Silence,
};

/// How long a hung page may take to say where it is.
const LOCATE_MAX: Duration = Duration::from_millis(600);

/// Real time after which a page is too slow to be executed to its end.
const WALL_MS_MAX: u64 = 30_000;

impl Run<'_> {
    /// Ends a page that is too slow, or of which there is nothing more to learn.
    pub(super) fn look_at_pace(&mut self) -> Result<(), Stop> {
        if self.wall_ms() > WALL_MS_MAX {
            let (page_ms, secs) = (self.page_ms(), WALL_MS_MAX / 1000);
            let message = format!("the page is too slow: {page_ms} ms of its time took {secs} s");
            self.found(Observation::blocking(FindingClass::Hang, &message, None));
            return Err(Stop::Ended);
        }
        if self.findings.are_a_flood() { Err(Stop::Ended) } else { Ok(()) }
    }

    /// Asks a hung page where it is and reports that.
    pub(super) async fn locate_hang(&mut self, silence: Silence) {
        if silence == Silence::Drawing {
            let message = "drawing one frame takes longer than 4 s of processor time";
            self.found(Observation::blocking(FindingClass::Hang, message, None));
            return;
        }
        self.locating = true;
        drop(self.page.send(&debugger::PauseParams::default()));
        let paused = async {
            while self.paused.is_none() {
                let Some(event) = self.page.events.recv().await else { return };
                if self.on_event(event).is_err() {
                    return;
                }
            }
        };
        // Without an answer there is a finding all the same, only with no place.
        let _ = tokio::time::timeout(LOCATE_MAX, paused).await;
        let paused = self.paused.take();
        let stack =
            paused.as_ref().map_or_else(Vec::new, |paused| stack::of_paused(paused, &self.own_scripts));
        let place = stack.first().map(place_of);
        let function = paused
            .as_ref()
            .and_then(|paused| paused.call_frames.first())
            .map(|frame| frame.function_name.as_str())
            .filter(|name| !name.is_empty());
        let message = match function {
            Some(name) => format!("the page stopped answering in function `{name}`"),
            None => "the page stopped answering".to_owned(),
        };
        self.found(Observation::blocking(FindingClass::Hang, &message, place).with_stack(stack));
    }

    /// Reports that the page's time stands still though the page answers.
    pub(super) fn report_stall(&mut self) {
        let message = "the page's time stands still: it keeps loading something for ever";
        self.found(Observation::blocking(FindingClass::Hang, message, None));
    }

    /// Reports a page in which more than one browser broke down.
    pub(super) fn report_breakdown(&mut self) {
        let message = "the page breaks the browser down";
        self.found(Observation::blocking(FindingClass::Crash, message, None));
    }
}
