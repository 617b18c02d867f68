//! How long one execution may take. What counts is the processor time that its browser has used, as for the silence
//! of a page (`watch`): on a busy machine a page takes longer, and that is no fault of the page.

mod hang;
pub(super) mod memory;
pub(super) mod watch;

use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::system_info::{GetProcessInfoParams, GetProcessInfoReturns};
use tokio::time::{Instant, sleep_until};

use crate::sandbox::browser::cdp::{Cdp, Pending};

/// Processor seconds of the whole browser after which a page is too slow to be executed to its end.
pub(super) const CPU_SECS_MAX: f64 = 30.0;

/// Real time after which an execution is given up whatever it used: three times what such a page takes on a machine
/// that is not busy.
pub(super) const WALL_MAX: Duration = Duration::from_secs(90);

/// When the processor time is first read, and how often from then on. Most executions end before.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Who is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Exceeded {
    /// The page has used its processor time.
    Page,
    /// The page has not even had it.
    Machine,
}

/// The limit of one execution.
pub(super) struct Limit {
    cdp: Cdp,
    started: Instant,
    look_at: Instant,
    first: Option<f64>,
    reading: Option<Pending<GetProcessInfoReturns>>,
}

impl Limit {
    pub(super) fn new(cdp: Cdp) -> Self {
        let now = Instant::now();
        Self { cdp, started: now, look_at: now + LOOK_PERIOD, first: None, reading: None }
    }

    /// Ends when the execution has had its time.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(super) async fn exceeded(&mut self) -> Exceeded {
        loop {
            let Some(reading) = &mut self.reading else {
                sleep_until(self.look_at).await;
                self.reading = Some(self.cdp.send(None, &GetProcessInfoParams::default()));
                continue;
            };
            let reply = reading.reply().await;
            self.reading = None;
            self.look_at = Instant::now() + LOOK_PERIOD;
            if let Ok(reply) = reply {
                let used = reply.process_info.iter().map(|process| process.cpu_time).sum();
                if used - *self.first.get_or_insert(used) >= CPU_SECS_MAX {
                    return Exceeded::Page;
                }
            }
            if self.started.elapsed() >= WALL_MAX {
                return Exceeded::Machine;
            }
        }
    }
}
