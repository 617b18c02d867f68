//! Inputs on their way: each is handled by the page before its time goes on.

use std::time::Duration;

use chromiumoxide::cdp::js_protocol::runtime::GetHeapUsageParams;
use serde_json::Value;
use tokio::time::timeout;

use crate::sandbox::{
    browser::cdp::{CdpError, Pending},
    run::{Draw, FRAME_MS, Run, Stop, time::IDLE_ANSWERS},
};

/// Page time between two drawn frames while inputs follow each other closely, in milliseconds.
const CLOSE_FRAMES_MS: f64 = 60.0;

/// Silence after which a page that has not taken an input is asked whether it is idle. It takes most within a
/// millisecond.
const QUIET: Duration = Duration::from_millis(20);

/// Frames after which an input counts as delivered though the browser did not say so.
const DELIVERY_FRAMES_MAX: u32 = 8;

impl Run<'_> {
    /// Lets the page handle inputs and gives it one frame to show what came of them.
    ///
    /// The order is fixed: input, handlers, time. Left to race with the clock, a handler would run now before a
    /// frame and now after it, and the same page would do different things.
    pub(in crate::sandbox::run) async fn delivered(
        &mut self,
        inputs: Vec<Pending<Value>>,
        draw: Draw,
    ) -> Result<(), Stop> {
        self.acknowledged(inputs).await?;
        self.frame(FRAME_MS, draw).await.map(drop)
    }

    /// The same for inputs that follow each other closely or change little that is seen: not every one is drawn.
    pub(in crate::sandbox::run) async fn delivered_in_a_row(
        &mut self,
        inputs: Vec<Pending<Value>>,
    ) -> Result<(), Stop> {
        self.acknowledged(inputs).await?;
        if self.page_ms + FRAME_MS - self.drawn_ms < CLOSE_FRAMES_MS {
            return self.pass(FRAME_MS).await;
        }
        self.frame(FRAME_MS, Draw::No).await.map(drop)
    }

    /// The same for inputs that the page takes only with its next frame: touches, and moves of a held mouse. After the last
    /// of them the page is to be settled.
    pub(in crate::sandbox::run) async fn delivered_with_frame(
        &mut self,
        inputs: Vec<Pending<Value>>,
        draw: Draw,
    ) -> Result<(), Stop> {
        self.settle().await?;
        self.frame(FRAME_MS, draw).await?;
        self.acknowledged(inputs).await
    }

    /// Waits for the replies to inputs; a page that needs another frame for one gets it in the same moment. Whether it
    /// does may depend on the machine, for an input may come too late for the frame that it was sent ahead of.
    pub(super) async fn acknowledged(&mut self, inputs: Vec<Pending<Value>>) -> Result<(), Stop> {
        let mut more_frames = 0;
        for mut input in inputs {
            while !self.is_taken(&mut input).await? {
                if more_frames == DELIVERY_FRAMES_MAX {
                    tracing::debug!(page_ms = self.page_ms(), "the browser did not acknowledge an input");
                    return Ok(());
                }
                more_frames += 1;
                self.draw_again().await?;
            }
        }
        Ok(())
    }

    /// Waits for the reply to an input. A page that has become idle without it waits for a frame.
    async fn is_taken(&mut self, input: &mut Pending<Value>) -> Result<bool, Stop> {
        for _ in 0..IDLE_ANSWERS {
            match timeout(QUIET, self.reply(input)).await {
                Ok(Ok(_)) => return Ok(true),
                Ok(Err(Stop::Failed(CdpError::Refused { method, message }))) => {
                    tracing::debug!(method, message, "an input was refused");
                    return Ok(true);
                }
                Ok(Err(stop)) => return Err(stop),
                Err(_elapsed) => {
                    self.call(&GetHeapUsageParams::default()).await?;
                }
            }
        }
        Ok(false)
    }
}
