//! What a page asks of its browser: requests are answered, workers and frames are listened to.

use chromiumoxide::cdp::browser_protocol::{
    fetch::{FailRequestParams, FulfillRequestParams},
    network::ErrorReason,
};
use mondo_jobs::finding::FindingClass;

use super::{
    Run, Stop,
    page::{PAGE_URL, document},
    real,
};
use crate::sandbox::{
    browser::events::RequestPaused,
    findings::{Observation, classify},
};

/// How often a page may be served again in one execution before its reloading is refused.
const SERVED_MAX: u32 = 16;

/// Workers, and frames with a process of their own, that a page may start in all: each is a thread at the least.
const CHILDREN_MAX: u32 = 100;

impl Run<'_> {
    pub(super) fn on_request(&mut self, session: &str, request: &RequestPaused) {
        let is_document = request.resource_type == "Document";
        let main = request.frame_id == self.page.frame;
        if is_document && main && request.request.url == PAGE_URL && self.served < SERVED_MAX {
            self.served += 1;
            let answer = document(&request.request_id, self.source);
            drop(self.page.cdp.send(Some(session), &answer));
            return;
        }
        if is_document && main {
            // "No content" leaves the page where it is.
            drop(
                self.page
                    .cdp
                    .send(Some(session), &FulfillRequestParams::new(request.request_id.clone(), 204)),
            );
            self.found(classify::navigation(&request.request.url, self.source));
            return;
        }
        self.has_asked = true;
        let refuse = FailRequestParams::new(request.request_id.clone(), ErrorReason::BlockedByClient);
        drop(self.page.cdp.send(Some(session), &refuse));
        self.found_some(classify::request(request, self.source));
    }

    /// A worker, or a frame with a process of its own; it waits until it is told to run.
    pub(super) fn on_child(&mut self, session: &str, kind: &str) -> Result<(), Stop> {
        self.has_asked = true;
        self.children += 1;
        if self.children > CHILDREN_MAX {
            let message = format!("the page starts more than {CHILDREN_MAX} workers");
            self.found(Observation::blocking(FindingClass::Memory, &message, None));
            return Err(Stop::Ended);
        }
        if kind == "worker" {
            self.had_workers = true;
            let script = real::worker_script(self.seed, self.page_ms());
            drop(self.page.cdp.send(Some(session), &script));
            self.workers.push(session.to_owned());
        }
        self.page.listen_to_child(session);
        Ok(())
    }
}
