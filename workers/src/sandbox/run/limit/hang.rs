//! A page that no longer answers: where it is, and what is said of it.

use chromiumoxide::cdp::js_protocol::debugger;
use mondo_jobs::finding::FindingClass;

use super::{CPU_SECS_MAX, watch::Silence};
use crate::sandbox::{
    findings::{
        Observation,
        stack::{self, place_of},
    },
    run::{Happened, Run, Stop},
};

impl Run<'_> {
    /// Ends a page of which there is nothing more to learn.
    pub(in crate::sandbox::run) fn look_at_flood(&self) -> Result<(), Stop> {
        if self.findings.are_a_flood() { Err(Stop::Ended) } else { Ok(()) }
    }

    /// Reports a page that has used up its processor time.
    pub(in crate::sandbox::run) fn report_slow(&mut self) {
        let message =
            format!("the page is too slow: its use takes more than {CPU_SECS_MAX} s of processor time");
        self.found(Observation::blocking(FindingClass::Hang, &message, None));
    }

    /// Asks a hung page where it is and reports that.
    pub(in crate::sandbox) async fn locate_hang(&mut self, silence: Silence) {
        if silence == Silence::Drawing {
            let message = "drawing one frame takes longer than 4 s of processor time";
            self.found(Observation::blocking(FindingClass::Hang, message, None));
            return;
        }
        self.locating = true;
        drop(self.page.send(&debugger::PauseParams::default()));
        self.alive();
        while self.paused.is_none() {
            // One that does not stop within as long again is reported all the same, only with no place.
            let Happened::Event(event) = self.next().await else { break };
            if self.on_event(*event).is_err() {
                break;
            }
        }
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
    pub(in crate::sandbox::run) fn report_stall(&mut self) {
        let message = "the page's time stands still: it keeps loading something for ever";
        self.found(Observation::blocking(FindingClass::Hang, message, None));
    }

    /// Reports a page in which more than one browser broke down.
    pub(in crate::sandbox) fn report_breakdown(&mut self) {
        let message = "the page breaks the browser down";
        self.found(Observation::blocking(FindingClass::Crash, message, None));
    }
}
