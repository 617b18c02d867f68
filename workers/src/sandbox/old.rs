//! What a check was before there were slots, for comparison: a page is loaded and nothing else, in real time.

use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::{
    fetch::FailRequestParams,
    network::ErrorReason,
    page::{EnableParams, NavigateParams, SetLifecycleEventsEnabledParams},
    target::{AttachToTargetParams, CreateTargetParams},
};
use tokio::sync::mpsc;

use super::{
    browser::{
        cdp::{Cdp, CdpError, EVENTS_WAITING_MAX},
        events::Event,
    },
    run::page::{PAGE_URL, document, intercept_everything},
};

/// How long any one command may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Loads a page and waits until nothing that it asked for has been on its way for half a second: `networkidle0` of
/// Puppeteer, which waits for the same event.
pub(super) async fn load(cdp: &Cdp, source: &str) -> Result<(), CdpError> {
    let target = cdp.call(None, &CreateTargetParams::new("about:blank"), ANSWER_MAX).await?.target_id;
    let attach = AttachToTargetParams { target_id: target, flatten: Some(true) };
    let session = cdp.call(None, &attach, ANSWER_MAX).await?.session_id.inner().clone();
    let (listener, mut events) = mpsc::channel(EVENTS_WAITING_MAX);
    cdp.listen(&session, listener);
    drop(cdp.send(Some(&session), &EnableParams::default()));
    drop(cdp.send(Some(&session), &SetLifecycleEventsEnabledParams::new(true)));
    drop(cdp.send(Some(&session), &intercept_everything()));
    let mut navigation = cdp.send(Some(&session), &NavigateParams::new(PAGE_URL));
    let mut ours = None;
    loop {
        tokio::select! {
            navigated = navigation.reply(), if ours.is_none() => {
                ours = Some(navigated?.loader_id.map(|id| id.inner().clone()).unwrap_or_default());
            }
            event = events.recv() => match event.ok_or(CdpError::Gone)?.event {
                Event::RequestPaused(request) if request.resource_type == "Document" => {
                    drop(cdp.send(Some(&session), &document(&request.request_id, source)));
                }
                Event::RequestPaused(request) => {
                    let refuse = FailRequestParams::new(request.request_id, ErrorReason::BlockedByClient);
                    drop(cdp.send(Some(&session), &refuse));
                }
                Event::Quiet { document } if ours.as_ref() == Some(&document) => return Ok(()),
                _ => {}
            },
        }
    }
}
