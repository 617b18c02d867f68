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
    thread::SlotThread,
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
    /// One permit for each idle slot.
    permits: Arc<Semaphore>,
    slot_count: usize,
    idle: Mutex<Vec<Slot>>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

struct Slot {
    thread: SlotThread,
    /// None before it is first used, and after its browser had to go.
    warm: Option<Warm>,
}

/// A browser with one fresh page.
struct Warm {
    browser: Browser,
    page: Page,
    /// The browser is broken or busy with something that outlives the page.
    spent: bool,
}

impl BrowserPool {
    pub(super) fn new(backend: Backend, slot_count: usize) -> Result<Self, SandboxError> {
        let threads = SlotThread::start(slot_count)
            .map_err(|error| failed("starting a thread for each slot", error.to_string()))?;
        let inner = Inner {
            backend,
            permits: Arc::new(Semaphore::new(slot_count)),
            slot_count,
            idle: Mutex::new(threads.into_iter().map(|thread| Slot { thread, warm: None }).collect()),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
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
        let inner = Arc::clone(&self.inner);
        // A task of its own: a caller who goes away must not take the slots along.
        let usage = self.inner.tasks.spawn(async move { inner.usage().await });
        usage.await.unwrap_or_else(|panic| {
            tracing::error!(%panic, "what the slots use is not known");
            Usage::default()
        })
    }

    /// Only loads a page, in a browser that is started for it and ended after it: what a check was before there
    /// were slots. For comparison.
    ///
    /// # Errors
    /// As [`Sandbox::execute`].
    pub async fn load_in_fresh_browser(&self, execution: &Execution) -> Result<(), SandboxError> {
        let browser = self.inner.backend.launch(None).await?;
        let loaded = tokio::time::timeout(OLD_LOAD_MAX, old::load(&browser.cdp, &execution.page)).await;
        browser.kill().await;
        match loaded {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed("loading a page", error.to_string())),
            Err(_) => Err(failed("loading a page", format!("not quiet within {} s", OLD_LOAD_MAX.as_secs()))),
        }
    }

    /// Starts the browser of one slot, so that a machine that cannot run any is noticed now.
    pub(super) async fn warm_up(&self) -> Result<(), SandboxError> {
        let Some(Slot { thread, .. }) = self.inner.take() else { return Err(self.inner.slot_failed()) };
        let (inner, here) = (Arc::clone(&self.inner), thread.clone());
        let started = thread.run(async move { inner.start(&here).await }).await;
        let (warm, outcome) = match started.unwrap_or_else(|_panic| Err(self.inner.slot_failed())) {
            Ok(warm) => (Some(warm), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.inner.give_back(Slot { thread, warm }).await;
        outcome
    }

    /// Ends all browsers. Executions that are under way end with an error.
    pub async fn close(&self) {
        self.inner.closing.cancel();
        self.inner.permits.close();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        // All threads last as long as the last browser: they share connections to the Docker daemon.
        let mut slots = self.inner.take_all();
        for warm in slots.iter_mut().filter_map(|slot| slot.warm.take()) {
            warm.kill().await;
        }
    }
}

impl Warm {
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
        let permit = Arc::clone(&self.inner.permits).acquire_owned().await;
        let permit = permit.map_err(|_| self.inner.slot_failed())?;
        let (sender, receiver) = oneshot::channel();
        // A task of its own, so that a caller who goes away leaves nobody behind who must clean the slot.
        self.inner.tasks.spawn(Arc::clone(&self.inner).serve(execution.clone(), sender, permit));
        receiver.await.unwrap_or_else(|_| Err(self.inner.slot_failed()))
    }
}

type Answer = oneshot::Sender<Result<Report, SandboxError>>;

impl Inner {
    /// Executes one page in an idle slot, answers, and makes the slot ready for the next before the permit is given
    /// back.
    async fn serve(self: Arc<Self>, execution: Execution, answer: Answer, permit: OwnedSemaphorePermit) {
        let Some(Slot { thread, warm }) = self.take() else { return };
        let (inner, here) = (Arc::clone(&self), thread.clone());
        let served = thread.run(async move { inner.serve_on(&here, warm, &execution, answer).await });
        // What panicked has taken its browser along.
        let warm = served.await.unwrap_or_else(|panic| {
            tracing::error!(%panic, "a slot failed; its browser is started anew");
            None
        });
        self.give_back(Slot { thread, warm }).await;
        drop(permit);
    }

    /// Why there is no answer.
    fn slot_failed(&self) -> SandboxError {
        let closed = self.closing.is_cancelled();
        failed("executing a page", if closed { "the sandbox is closed" } else { "its slot failed" })
    }

    /// The same on the slot's thread. Gives what is ready for the next page.
    async fn serve_on(
        &self,
        thread: &SlotThread,
        mut warm: Option<Warm>,
        execution: &Execution,
        mut answer: Answer,
    ) -> Option<Warm> {
        for again in [false, true] {
            let mut ready = match self.alive_or_started(thread, warm.take()).await {
                Ok(ready) => ready,
                Err(error) => {
                    let _ = answer.send(Err(error));
                    return None;
                }
            };
            let result = tokio::select! {
                result = execute(&mut ready, execution, again) => Some(result),
                () = answer.closed() => None,
                () = self.closing.cancelled() => None,
            };
            match result {
                Some(Err(stop)) => {
                    tracing::warn!(%stop, "a browser failed and is replaced");
                    ready.kill().await;
                    if again || matches!(stop, Stop::Late) {
                        let _ = answer.send(Err(failed("executing a page", stop.to_string())));
                        return None;
                    }
                }
                Some(Ok(report)) => {
                    let _ = answer.send(Ok(report));
                    return self.refresh(thread, ready).await;
                }
                None => return self.refresh(thread, ready).await,
            }
        }
        None
    }

    async fn alive_or_started(&self, thread: &SlotThread, warm: Option<Warm>) -> Result<Warm, SandboxError> {
        if let Some(warm) = warm {
            if !warm.browser.cdp.is_gone() {
                return Ok(warm);
            }
            tracing::warn!("an idle browser has ended and is replaced");
            warm.kill().await;
        }
        self.start(thread).await
    }

    async fn start(&self, thread: &SlotThread) -> Result<Warm, SandboxError> {
        let browser = self.backend.launch(thread.processor()).await?;
        match Page::prepare(&browser.cdp).await {
            Ok(page) => Ok(Warm { browser, page, spent: false }),
            Err(error) => {
                browser.kill().await;
                Err(failed("preparing a page", error.to_string()))
            }
        }
    }

    /// Ends the page and makes the next one; a browser that cannot is replaced, because it is still busy with the last
    /// one, and so is one that has had its pages.
    async fn refresh(&self, thread: &SlotThread, warm: Warm) -> Option<Warm> {
        if warm.spent {
            warm.kill().await;
            return None;
        }
        let Warm { mut browser, page, .. } = warm;
        browser.pages += 1;
        if browser.pages >= PAGES_PER_BROWSER_MAX {
            drop(page);
            browser.kill().await;
            return self.start_ahead(thread).await;
        }
        let next = match page.close().await {
            Ok(()) => Page::prepare_after_another(&browser.cdp).await,
            Err(error) => Err(error),
        };
        match next {
            Ok(page) => Some(Warm { browser, page, spent: false }),
            Err(error) => {
                tracing::warn!(%error, "a browser could not end its page and is replaced");
                browser.kill().await;
                None
            }
        }
    }

    /// Starts a browser ahead; where that fails, the next page starts one, or is told why not.
    async fn start_ahead(&self, thread: &SlotThread) -> Option<Warm> {
        let started = self.start(thread).await;
        started.inspect_err(|error| tracing::warn!(%error, "cannot start a browser ahead")).ok()
    }

    async fn give_back(&self, mut slot: Slot) {
        if self.closing.is_cancelled()
            && let Some(warm) = slot.warm.take()
        {
            warm.kill().await;
        }
        self.lock().push(slot);
    }

    /// An idle slot, rather one whose browser runs already. Whoever has a permit gets one, but for a closed pool.
    fn take(&self) -> Option<Slot> {
        let mut idle = self.lock();
        let place = idle.iter().rposition(|slot| slot.warm.is_some()).unwrap_or_default();
        (place < idle.len()).then(|| idle.remove(place))
    }

    async fn usage(&self) -> Usage {
        let all = u32::try_from(self.slot_count).unwrap_or(u32::MAX);
        // A closed pool has no browsers.
        let Ok(_idle) = self.permits.acquire_many(all).await else { return Usage::default() };
        let slots = self.take_all();
        let mut usage = Usage::default();
        for slot in slots {
            if let Some(warm) = &slot.warm {
                usage = usage + warm.browser.usage().await;
            }
            self.give_back(slot).await;
        }
        usage
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
async fn execute(warm: &mut Warm, execution: &Execution, again: bool) -> Result<Report, Stop> {
    let Warm { browser, page, spent } = warm;
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
