//! One fresh page in one fresh browser context, ready to be navigated: nothing that an earlier page left behind
//! is visible in it.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chromiumoxide::{
    Command,
    cdp::{
        browser_protocol::{
            browser::BrowserContextId,
            emulation::{SetVirtualTimePolicyParams, VirtualTimePolicy},
            fetch::{self, FulfillRequestParams, HeaderEntry},
            headless_experimental::BeginFrameParams,
            inspector, log,
            network::TimeSinceEpoch,
            page,
            target::{
                AttachToTargetParams, CreateBrowserContextParams, CreateTargetParams,
                DisposeBrowserContextParams, SetAutoAttachParams,
            },
        },
        js_protocol::{
            debugger,
            runtime::{self, EvaluateParams, RunIfWaitingForDebuggerParams},
        },
    },
};
use tokio::sync::mpsc;

use crate::sandbox::browser::{
    cdp::{Cdp, CdpError, EVENTS_WAITING_MAX, Pending},
    events::SessionEvent,
};

/// Where every page is served. `.invalid` can never be a host, and `https` makes it a secure context.
pub(in crate::sandbox) const PAGE_URL: &str = "https://sandbox.invalid/";

/// The desktop viewport, in CSS pixels.
pub(in crate::sandbox) const DESKTOP: (i32, i32) = (1280, 720);

/// What the page takes the time to be when it starts, seconds since the Unix epoch: 2026-01-01 12:00 UTC.
pub(in crate::sandbox) const CLOCK_START_SECS: f64 = 1_767_268_800.0;

/// The name under which `init.js` finds its way to us.
const BINDING: &str = "__mondoReport";

/// How long any one command of the preparation may take.
const PREPARE_MAX: Duration = Duration::from_secs(15);

/// How long a browser may take to end a page. One that takes longer is replaced.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// Puts a line into an empty page.
const SOMETHING: &str = "document.body.append(document.createElement('hr'))";

/// How long it may take to draw that, which is a millisecond's work, and how many frames it may take.
const DRAW_MAX: Duration = Duration::from_secs(1);
const DRAWS_MAX: u32 = 50;

/// One fresh page.
pub(in crate::sandbox) struct Page {
    pub(in crate::sandbox) cdp: Cdp,
    pub(in crate::sandbox) session: String,
    pub(in crate::sandbox) events: mpsc::Receiver<SessionEvent>,
    /// Given to the sessions of workers and frames.
    pub(in crate::sandbox) listener: mpsc::Sender<SessionEvent>,
    /// The main frame.
    pub(in crate::sandbox) frame: String,
    /// The browser's clock when virtual time was stopped, in milliseconds.
    pub(in crate::sandbox) ticks: f64,
    context: BrowserContextId,
}

impl Page {
    /// Makes a page. Everything that must be in force before a script runs is in force when this returns.
    pub(in crate::sandbox) async fn prepare(cdp: &Cdp) -> Result<Self, CdpError> {
        let new_context = CreateBrowserContextParams { dispose_on_detach: Some(true), ..Default::default() };
        let context = cdp.call(None, &new_context, PREPARE_MAX).await?.browser_context_id;
        let mut new_target = CreateTargetParams::new("about:blank");
        new_target.browser_context_id = Some(context.clone());
        new_target.enable_begin_frame_control = Some(true);
        (new_target.width, new_target.height) = (Some(DESKTOP.0.into()), Some(DESKTOP.1.into()));
        let target = cdp.call(None, &new_target, PREPARE_MAX).await?.target_id;
        // The main frame has the id of its target.
        let frame = target.inner().clone();
        let attach = AttachToTargetParams { target_id: target, flatten: Some(true) };
        let session = cdp.call(None, &attach, PREPARE_MAX).await?.session_id.inner().clone();
        let (listener, events) = mpsc::channel(EVENTS_WAITING_MAX);
        cdp.listen(&session, listener.clone());
        let mut page = Self { cdp: cdp.clone(), session, events, listener, frame, ticks: 0.0, context };
        page.enable().await?;
        Ok(page)
    }

    /// The same in a browser that has had a page. Its process and its scripts have ended with it, but what draws is
    /// shared, and busy until it has drawn all that the last page has left there.
    ///
    /// # Errors
    /// Also when nothing is drawn in time; then the browser must be replaced.
    pub(in crate::sandbox) async fn prepare_after_another(cdp: &Cdp) -> Result<Self, CdpError> {
        let page = Self::prepare(cdp).await?;
        page.see_it_drawn().await?;
        Ok(page)
    }

    /// Puts something into the empty page and waits for a frame that shows it. What draws may be too busy even to be
    /// asked: such frames come at once and show nothing new.
    async fn see_it_drawn(&self) -> Result<(), CdpError> {
        self.cdp.call(Some(&self.session), &EvaluateParams::new(SOMETHING), DRAW_MAX).await?;
        for frame in 1..=DRAWS_MAX {
            // All in the moment in which the page's time stands still.
            let ticks = self.ticks + f64::from(frame) / 1000.0;
            let begin = BeginFrameParams { frame_time_ticks: Some(ticks), ..Default::default() };
            if self.cdp.call(Some(&self.session), &begin, DRAW_MAX).await?.has_damage {
                return Ok(());
            }
            tokio::time::sleep(DRAW_MAX / DRAWS_MAX).await;
        }
        Err(CdpError::Silent { method: BeginFrameParams::IDENTIFIER.to_owned(), limit: DRAW_MAX })
    }

    async fn enable(&mut self) -> Result<(), CdpError> {
        drop(self.send(&page::EnableParams::default()));
        drop(self.send(&runtime::EnableParams::default()));
        drop(self.send(&log::EnableParams::default()));
        drop(self.send(&inspector::EnableParams::default()));
        drop(self.send(&debugger::EnableParams::default()));
        drop(self.send(&intercept_everything()));
        drop(self.send(&attach_children()));
        drop(self.send(&runtime::AddBindingParams::new(BINDING)));
        let mut stop_time = SetVirtualTimePolicyParams::new(VirtualTimePolicy::Pause);
        stop_time.initial_virtual_time = Some(TimeSinceEpoch::new(CLOCK_START_SECS));
        self.ticks =
            self.cdp.call(Some(&self.session), &stop_time, PREPARE_MAX).await?.virtual_time_ticks_base;
        Ok(())
    }

    /// Sends a command to the page.
    pub(in crate::sandbox) fn send<C: Command>(&self, command: &C) -> Pending<C::Response> {
        self.cdp.send(Some(&self.session), command)
    }

    /// Listens to a worker or a frame with a process of its own, and lets it run.
    pub(in crate::sandbox) fn listen_to_child(&self, session: &str) {
        self.cdp.listen(session, self.listener.clone());
        drop(self.cdp.send(Some(session), &runtime::EnableParams::default()));
        drop(self.cdp.send(Some(session), &log::EnableParams::default()));
        drop(self.cdp.send(Some(session), &intercept_everything()));
        drop(self.cdp.send(Some(session), &attach_children()));
        drop(self.cdp.send(Some(session), &RunIfWaitingForDebuggerParams::default()));
    }

    /// Ends the page, even one that hangs, because its process is ended.
    ///
    /// # Errors
    /// When the browser does not manage in time; then it must be replaced.
    pub(in crate::sandbox) async fn close(self) -> Result<(), CdpError> {
        let Self { cdp, session, events, context, .. } = self;
        drop(events);
        cdp.forget(&session);
        cdp.call(None, &DisposeBrowserContextParams::new(context), CLOSE_MAX).await.map(drop)
    }
}

/// Every request is asked about before it is made.
pub(in crate::sandbox) fn intercept_everything() -> fetch::EnableParams {
    let every = fetch::RequestPattern { url_pattern: Some("*".to_owned()), ..Default::default() };
    fetch::EnableParams { patterns: Some(vec![every]), handle_auth_requests: None }
}

/// Workers and frames with a process of their own wait until they are listened to.
fn attach_children() -> SetAutoAttachParams {
    SetAutoAttachParams {
        auto_attach: true,
        wait_for_debugger_on_start: true,
        flatten: Some(true),
        filter: None,
    }
}

/// The answer to the request for the page itself.
pub(in crate::sandbox) fn document(request_id: &str, source: &str) -> FulfillRequestParams {
    let mut answer = FulfillRequestParams::new(request_id.to_owned(), 200);
    answer.response_headers = Some(vec![
        HeaderEntry::new("Content-Type", "text/html; charset=utf-8"),
        // What the consumer's `<iframe sandbox="allow-scripts">` allows, and no more.
        HeaderEntry::new("Content-Security-Policy", "sandbox allow-scripts"),
        HeaderEntry::new("Cache-Control", "no-store"),
    ]);
    answer.body = Some(STANDARD.encode(source).into());
    answer
}
