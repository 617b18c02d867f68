//! Inputs on their way: each is handled by the page before its time goes on.

use std::time::Duration;

use serde_json::Value;

use super::{
    cdp::Pending,
    run::{Draw, FRAME_MS, Run, Stop},
};

/// Page time between two drawn frames while inputs follow each other closely, in milliseconds.
const CLOSE_FRAMES_MS: f64 = 60.0;

/// Real time that an input may wait for its reply before the page gets one more frame. Replies take about a
/// millisecond; the rest is for busy machines, because one frame more would be another execution.
const DELIVERY_WAIT: Duration = Duration::from_millis(500);

/// Frames after which an input counts as delivered though the browser did not say so.
const DELIVERY_FRAMES_MAX: u32 = 8;

impl Run<'_> {
    /// Lets the page handle inputs and gives it one frame to show what came of them.
    ///
    /// The order is fixed: input, handlers, time. Left to race with the clock, a handler would run now before a
    /// frame and now after it, and the same page would do different things.
    pub(super) async fn delivered(&mut self, inputs: Vec<Pending<Value>>, draw: Draw) -> Result<(), Stop> {
        self.acknowledged(inputs).await?;
        self.frame(FRAME_MS, draw).await.map(drop)
    }

    /// The same for inputs that follow each other closely or change little that is seen: not every one is drawn.
    pub(super) async fn delivered_in_a_row(&mut self, inputs: Vec<Pending<Value>>) -> Result<(), Stop> {
        self.acknowledged(inputs).await?;
        if self.page_ms + FRAME_MS - self.drawn_ms < CLOSE_FRAMES_MS {
            return self.pass(FRAME_MS).await;
        }
        self.frame(FRAME_MS, Draw::No).await.map(drop)
    }

    /// The same for inputs that the page takes only with its next frame: touches, and moves of a held mouse.
    pub(super) async fn delivered_with_frame(
        &mut self,
        inputs: Vec<Pending<Value>>,
        draw: Draw,
    ) -> Result<(), Stop> {
        self.settle().await?;
        self.frame(FRAME_MS, draw).await?;
        self.acknowledged(inputs).await?;
        self.settle().await
    }

    /// Waits for the replies to inputs; a page that needs more frames than expected gets them.
    async fn acknowledged(&mut self, inputs: Vec<Pending<Value>>) -> Result<(), Stop> {
        let mut more_frames = 0;
        for mut input in inputs {
            while let Err(_elapsed) = tokio::time::timeout(DELIVERY_WAIT, self.reply(&mut input)).await {
                if more_frames == DELIVERY_FRAMES_MAX {
                    tracing::debug!(page_ms = self.page_ms(), "the browser did not acknowledge an input");
                    return Ok(());
                }
                more_frames += 1;
                self.frame(FRAME_MS, Draw::Yes).await?;
            }
        }
        Ok(())
    }
}
