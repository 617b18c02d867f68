//! The slots: each is one browser with one fresh page made ahead, and executes one page at a time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use mondo_jobs::{
    finding::Report,
    ports::{Execution, Sandbox, SandboxError, sandbox::PAGE_BYTES_MAX},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Backend,
    browser::{Browser, cdp::CdpError, failed, usage::Usage},
    old,
    run::{Run, Stop, page::Page},
};

/// Pages after which a browser is replaced, so that what it leaks does not add up. A start costs what a check does.
const PAGES_PER_BROWSER_MAX: u32 = 100;

/// How long a load for comparison may take.
const OLD_LOAD_MAX: Duration = Duration::from_secs(30);

/// A fixed number of slots over one back-end.
pub struct BrowserPool {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    slots: Arc<Semaphore>,
    slot_count: usize,
    idle: Mutex<Vec<Slot>>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

struct Slot {
    browser: Browser,
    page: Page,
    /// Its browser is broken or busy with something that outlives the page.
    spent: bool,
}

impl BrowserPool {
    pub(super) fn new(backend: Backend, slot_count: usize) -> Self {
        let inner = Inner {
            backend,
            slots: Arc::new(Semaphore::new(slot_count)),
            slot_count,
            idle: Mutex::new(Vec::new()),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The name of the back-end that runs the browsers: `docker` or `local`.
    pub fn backend(&self) -> &'static str {
        self.inner.backend.name()
    }

    /// How many pages can be executed at once.
    pub fn slots(&self) -> usize {
        self.inner.slot_count
    }

    /// What the browsers of all slots use, once they are idle. For measurements: it takes milliseconds.
    pub async fn usage(&self) -> Usage {
        let all = u32::try_from(self.inner.slot_count).unwrap_or(u32::MAX);
        // A closed pool has no browsers.
        let Ok(_idle) = self.inner.slots.acquire_many(all).await else { return Usage::default() };
        let slots = self.inner.take_all();
        let mut usage = Usage::default();
        for slot in slots {
            usage = usage + slot.browser.usage().await;
            self.inner.give_back(slot).await;
        }
        usage
    }

    /// Only loads a page, in a browser that is started for it and ended after it: what a check was before there
    /// were slots. For comparison.
    ///
    /// # Errors
    /// As [`Sandbox::execute`].
    pub async fn load_in_fresh_browser(&self, execution: &Execution) -> Result<(), SandboxError> {
        let browser = self.inner.backend.launch().await?;
        let loaded = tokio::time::timeout(OLD_LOAD_MAX, old::load(&browser.cdp, &execution.page)).await;
        browser.kill().await;
        match loaded {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed("loading a page", error.to_string())),
            Err(_) => Err(failed("loading a page", format!("not quiet within {} s", OLD_LOAD_MAX.as_secs()))),
        }
    }

    /// Starts one browser and gives it back to the slots, so that a machine that cannot run any is noticed now.
    pub(super) async fn warm_up(&self) -> Result<(), SandboxError> {
        let slot = self.inner.start_slot().await?;
        self.inner.give_back(slot).await;
        Ok(())
    }

    /// Ends all browsers. Executions that are under way end with an error.
    pub async fn close(&self) {
        self.inner.closing.cancel();
        self.inner.slots.close();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        for slot in self.inner.take_all() {
            slot.kill().await;
        }
    }
}

impl Slot {
    async fn kill(self) {
        let Self { browser, page, .. } = self;
        // It holds the pipe open.
        drop(page);
        browser.kill().await;
    }
}

#[async_trait]
impl Sandbox for BrowserPool {
    async fn execute(&self, execution: &Execution) -> Result<Report, SandboxError> {
        if execution.page.len() > PAGE_BYTES_MAX {
            return Err(SandboxError::PageTooLarge { bytes: execution.page.len() });
        }
        let closed = || failed("waiting for a slot", "the sandbox is closed");
        let permit = Arc::clone(&self.inner.slots).acquire_owned().await.map_err(|_| closed())?;
        let (sender, receiver) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        let execution = execution.clone();
        // A task of its own, so that a caller who goes away leaves nobody behind who must clean the slot.
        self.inner.tasks.spawn(async move { inner.serve(execution, sender, permit).await });
        receiver.await.unwrap_or_else(|_| Err(closed()))
    }
}

type Answer = oneshot::Sender<Result<Report, SandboxError>>;

impl Inner {
    /// Executes one page, answers, and makes the slot ready for the next before the permit is given back.
    async fn serve(&self, execution: Execution, mut answer: Answer, permit: OwnedSemaphorePermit) {
        for again in [false, true] {
            let mut slot = match self.take_or_start().await {
                Ok(slot) => slot,
                Err(error) => {
                    let _ = answer.send(Err(error));
                    break;
                }
            };
            let result = tokio::select! {
                result = execute(&mut slot, &execution, again) => Some(result),
                () = answer.closed() => None,
                () = self.closing.cancelled() => None,
            };
            match result {
                Some(Err(stop)) => {
                    tracing::warn!(%stop, "a browser failed and is replaced");
                    slot.kill().await;
                    if !again && !matches!(stop, Stop::Late) {
                        continue;
                    }
                    let _ = answer.send(Err(failed("executing a page", stop.to_string())));
                }
                Some(Ok(report)) => {
                    let _ = answer.send(Ok(report));
                    self.refresh(slot).await;
                }
                None => self.refresh(slot).await,
            }
            break;
        }
        drop(permit);
    }

    async fn take_or_start(&self) -> Result<Slot, SandboxError> {
        while let Some(slot) = self.take_one() {
            if !slot.browser.cdp.is_gone() {
                return Ok(slot);
            }
            tracing::warn!("an idle browser has ended and is replaced");
            slot.kill().await;
        }
        self.start_slot().await
    }

    async fn start_slot(&self) -> Result<Slot, SandboxError> {
        let browser = self.backend.launch().await?;
        match Page::prepare(&browser.cdp).await {
            Ok(page) => Ok(Slot { browser, page, spent: false }),
            Err(error) => {
                browser.kill().await;
                Err(failed("preparing a page", error.to_string()))
            }
        }
    }

    /// Ends the page and makes the next one; a browser that cannot is replaced, because it is still busy with the last
    /// one, and so is one that has had its pages.
    async fn refresh(&self, slot: Slot) {
        if slot.spent {
            slot.kill().await;
            return;
        }
        let Slot { mut browser, page, .. } = slot;
        browser.pages += 1;
        if browser.pages >= PAGES_PER_BROWSER_MAX {
            drop(page);
            browser.kill().await;
            return self.warm_up().await;
        }
        let next = match page.close().await {
            Ok(()) => Page::prepare_after_another(&browser.cdp).await,
            Err(error) => Err(error),
        };
        match next {
            Ok(page) => self.give_back(Slot { browser, page, spent: false }).await,
            Err(error) => {
                tracing::warn!(%error, "a browser could not end its page and is replaced");
                browser.kill().await;
            }
        }
    }

    /// Starts a browser ahead; where that fails, the next page starts one, or is told why not.
    async fn warm_up(&self) {
        match self.start_slot().await {
            Ok(slot) => self.give_back(slot).await,
            Err(error) => tracing::warn!(%error, "cannot start a browser ahead"),
        }
    }

    async fn give_back(&self, slot: Slot) {
        if self.closing.is_cancelled() {
            slot.kill().await;
            return;
        }
        self.lock().push(slot);
    }

    fn take_one(&self) -> Option<Slot> {
        self.lock().pop()
    }

    fn take_all(&self) -> Vec<Slot> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Slot>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Executes one page to its end, which may be a hang or a crash: those are findings. A page in which the browser
/// breaks down `again`, a second one, is to blame for it.
async fn execute(slot: &mut Slot, execution: &Execution, again: bool) -> Result<Report, Stop> {
    let Slot { browser, page, spent } = slot;
    let mut run = Run::new(page, &execution.page);
    run.views = execution.views.then(Vec::new);
    let driven = tokio::select! {
        // First: a browser that was killed for its size is also one that failed.
        biased;
        bytes = browser.outgrown() => Err(Stop::Outgrown(bytes)),
        driven = run.drive(execution) => driven,
    };
    let screenshot = match driven {
        Ok(screenshot) => screenshot,
        Err(stop) => {
            *spent = stop.outlives_the_page();
            explain(&mut run, stop, again).await?;
            None
        }
    };
    let (page_ms, wall_ms) = (run.page_ms(), run.wall_ms());
    let (frames, inputs, memory_bytes_peak) = (run.frames, run.inputs, run.memory_bytes_peak);
    run.findings.settle();
    let (coverage, views) = (run.coverage.take(), run.views.take().unwrap_or_default());
    let (findings, findings_left_out) = run.findings.finish();
    let report = Report {
        findings,
        findings_left_out,
        seed: execution.seed,
        page_ms,
        wall_ms,
        frames,
        inputs,
        memory_bytes_peak,
        coverage,
        hash: String::new(),
        screenshot,
        views,
    };
    Ok(Report { hash: report.digest(), ..report })
}

/// Makes a finding of what ended a page before its plan did. A browser that refuses a command is another one than we
/// know, or the mistake is ours: no page is to blame for that.
async fn explain(run: &mut Run<'_>, stop: Stop, again: bool) -> Result<(), Stop> {
    match stop {
        Stop::Ended => {}
        Stop::Hang(silence) => run.locate_hang(silence).await,
        Stop::Outgrown(bytes) => run.report_outgrown(bytes),
        Stop::Stalled | Stop::Failed(CdpError::Gone) if again => run.report_breakdown(),
        Stop::Stalled | Stop::Late | Stop::Failed(_) => return Err(stop),
    }
    Ok(())
}
