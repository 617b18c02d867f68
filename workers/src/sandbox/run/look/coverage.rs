//! How much of what a page listens to was reached: `listeners.js` keeps count, and is asked for it at the end.

use std::time::Duration;

use mondo_jobs::finding::{
    Coverage, Listener,
    bounds::{LISTENER_CHARS_MAX, UNREACHED_MAX},
};

use crate::sandbox::{
    browser::json,
    run::{Run, Stop},
};

/// The script that keeps count.
pub(in crate::sandbox) const LISTENERS: &str = include_str!("listeners.js");

/// The event at which it tells.
const ASK: &str = "mondo:coverage";

/// How long the page may take to tell. Its message is on its way when the question is answered.
const TELL_MAX: Duration = Duration::from_millis(500);

/// Reads what the script told: event, target in words, whether it was reached.
pub(in crate::sandbox) fn read(told: &str) -> Option<Coverage> {
    let pairs: Vec<(String, String, bool)> = json::from_text(told).ok()?;
    let reached = pairs.iter().filter(|(.., reached)| *reached).count();
    let short = |text: &str| text.chars().take(LISTENER_CHARS_MAX).collect();
    let unreached = pairs.iter().filter(|(.., reached)| !reached);
    Some(Coverage {
        listeners: u32::try_from(pairs.len()).ok()?,
        reached: u32::try_from(reached).ok()?,
        unreached: unreached
            .map(|(event, target, _)| Listener { event: short(event), target: short(target) })
            .take(UNREACHED_MAX)
            .collect(),
    })
}

impl Run<'_> {
    /// Asks the page what it listens to and what of that was reached.
    pub(in crate::sandbox) async fn ask_for_coverage(&mut self) -> Result<(), Stop> {
        self.tell(ASK, 0).await?;
        self.until(TELL_MAX, |run| run.coverage.is_some()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_reached_is_named() {
        let told = r#"[["click", "button#start", true], ["keydown", "window", false]]"#;
        let coverage = read(told).unwrap();
        assert_eq!((coverage.listeners, coverage.reached), (2, 1));
        let named = Listener { event: "keydown".to_owned(), target: "window".to_owned() };
        assert_eq!(coverage.unreached, [named]);
        assert_eq!(read("[1]"), None);
    }
}
