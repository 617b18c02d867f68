//! Buttons that close what is open over the page.

use mondo_jobs::finding::FindingClass;
use serde_json::Value;

use super::{elements::Elements, rounds::says};
use crate::sandbox::{
    findings::Observation,
    run::{Draw, Run, Stop},
};

/// Words of a button that closes something, the most words that it has, and half the page time in which it has closed.
const CLOSING: [&str; 6] = ["close", "cancel", "dismiss", "×", "✕", "✖"];
const CLOSING_WORDS_MAX: usize = 3;
const CLOSED_MS: f64 = 500.0;

/// Called on what `probe.js` found: whether the dialog in which something was placed last is still there, and says what it said.
const STILL_OPEN: &str = "function () {
  const { dialog, text } = this.opened ?? {};
  const visible = { visibilityProperty: true, opacityProperty: true };
  return Boolean(dialog?.isConnected && dialog.checkVisibility(visible) && dialog.textContent === text);
}";

impl Run<'_> {
    /// Reports a button that was pressed in what is open over the page to close it, by its words, and did not.
    pub(super) async fn look_at_closed(&mut self, elements: &Elements, words: &str) -> Result<(), Stop> {
        if !closes(words) {
            return Ok(());
        }
        // What fades begins to with the first, and has done so with the second.
        self.frame(CLOSED_MS, Draw::No).await?;
        self.frame(CLOSED_MS, Draw::No).await?;
        if self.call_on(elements, STILL_OPEN, Vec::new()).await? == Value::Bool(true) {
            let message = format!("{words} closes nothing: what is open over the page stays there");
            self.found(Observation::advice(FindingClass::Control, &message, None));
        }
        Ok(())
    }
}

/// Whether a button is called so that it closes something.
fn closes(words: &str) -> bool {
    let label = words.split('"').nth(1).unwrap_or_default();
    label.split_whitespace().count() <= CLOSING_WORDS_MAX && says(label, &CLOSING)
}
