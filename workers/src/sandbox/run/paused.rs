//! A page that is stopped in the middle of a script: by us, by itself, or where it throws what it catches.

use chromiumoxide::cdp::js_protocol::debugger::{
    self, SetPauseOnExceptionsParams, SetPauseOnExceptionsState,
};
use mondo_jobs::finding::FindingClass;

use super::{Hung, Run};
use crate::sandbox::{
    browser::events::{Paused, PausedFrame, RemoteObject},
    findings::{Observation, classify, stack},
};

/// How often a page may throw what it catches, until it is no longer watched for that: each time it is stopped for a moment.
const CAUGHT_MAX: u32 = 50;

impl Run<'_> {
    pub(super) fn on_paused(&mut self, paused: Paused) {
        if self.hung != Hung::No {
            self.paused = Some(paused);
        } else if paused.reason == "OOM" {
            let calls = stack::of_paused(&paused, &self.own_scripts);
            let stack: Vec<_> = calls.into_iter().map(|(_, frame)| frame).collect();
            let message = "the page's script has used up its memory";
            let place = stack.first().map(stack::place_of);
            self.end = Some(Observation::blocking(FindingClass::Memory, message, place).with_stack(stack));
        } else {
            if let Some(thrown) = &paused.data {
                self.on_caught(&paused, thrown);
            }
            // At a `debugger` statement as well.
            drop(self.page.send(&debugger::ResumeParams::default()));
        }
    }

    /// Has the page stopped where it throws what it catches, or no longer.
    pub(super) fn watch_catches(&mut self, on: bool) {
        let on = on && self.caught < CAUGHT_MAX;
        if on == self.watches_catches {
            return;
        }
        self.watches_catches = on;
        let state = if on { SetPauseOnExceptionsState::Caught } else { SetPauseOnExceptionsState::None };
        drop(self.page.send(&SetPauseOnExceptionsParams::new(state)));
    }

    /// Notes what the page threw and is about to catch.
    fn on_caught(&mut self, paused: &Paused, thrown: &RemoteObject) {
        self.caught += 1;
        if self.caught == CAUGHT_MAX {
            self.watch_catches(false);
        }
        let is_own = |frame: &PausedFrame| self.own_scripts.contains(&frame.location.script_id);
        if paused.call_frames.first().is_some_and(is_own)
            && let Some(mistake) = classify::mistake(&thrown.text(), self.source)
        {
            let stack: Vec<_> =
                stack::of_paused(paused, &self.own_scripts).into_iter().map(|(_, frame)| frame).collect();
            let page_ms = self.page_ms();
            self.findings.hidden(mistake.at(stack), page_ms);
        }
    }
}
