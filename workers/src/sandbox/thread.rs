//! The thread that drives a slot's browser, and the processor that both keep to.
//!
//! A check is hundreds of short messages between threads that wait for each other. Spread over processors, each of them
//! wakes another processor up; on one, the threads take turns. So where there is a slot for each processor, each keeps to
//! its own.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::JoinError,
};

/// The thread of one slot. It ends when the last of these clones is dropped.
#[derive(Clone)]
pub(super) struct SlotThread {
    runtime: Handle,
    processor: Option<usize>,
    _alive: Arc<oneshot::Sender<()>>,
}

impl SlotThread {
    /// Starts a thread for each of so many slots.
    pub(super) fn start(slots: usize) -> io::Result<Vec<Self>> {
        let processors = processors();
        let each = processors.len() == slots;
        (0..slots).map(|slot| Self::start_one(slot, processors.get(slot).copied().filter(|_| each))).collect()
    }

    fn start_one(slot: usize, processor: Option<usize>) -> io::Result<Self> {
        let (alive, ended) = oneshot::channel::<()>();
        let (started, runtime) = mpsc::channel();
        let drive = move || {
            // Processes and threads that are started from here keep to it too.
            if let Some(processor) = processor
                && let Err(error) = keep_to(processor)
            {
                tracing::debug!(%error, processor, "a slot cannot be kept to its processor");
            }
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    drop(started.send(Ok(runtime.handle().clone())));
                    // Nothing is ever sent: it ends when nobody is left who could.
                    drop(runtime.block_on(ended));
                }
                Err(error) => drop(started.send(Err(error))),
            }
        };
        thread::Builder::new().name(format!("slot-{slot}")).spawn(drive)?;
        let runtime = runtime.recv().map_err(io::Error::other)??;
        Ok(Self { runtime, processor, _alive: Arc::new(alive) })
    }

    /// The processor that the thread keeps to, by its number, if there is one for each slot.
    pub(super) fn processor(&self) -> Option<usize> {
        self.processor
    }

    /// Runs something on the thread, to its end even if nobody waits for it any more. An error means that it panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        what: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        self.runtime.spawn(what).await
    }
}

/// The processors that this thread may use; none where the kernel does not say.
fn processors() -> Vec<usize> {
    let allowed = sched_getaffinity(None).unwrap_or_else(|error| {
        tracing::debug!(%error, "the kernel does not say which processors there are");
        CpuSet::new()
    });
    (0..CpuSet::MAX_CPU).filter(|number| allowed.is_set(*number)).collect()
}

fn keep_to(processor: usize) -> rustix::io::Result<()> {
    let mut one = CpuSet::new();
    one.set(processor);
    sched_setaffinity(None, &one)
}
