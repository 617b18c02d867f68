//! How much of what a page listens to was reached: `listeners.js` keeps count, and is asked for it at the end.

use std::time::Duration;

use mondo_jobs::finding::{
    Coverage, FindingClass, Listener,
    bounds::{LISTENER_CHARS_MAX, UNREACHED_MAX},
};

use crate::sandbox::{
    browser::json,
    findings::{Observation, classify},
    run::{Run, Stop},
};

/// The script that keeps count.
pub(in crate::sandbox) const LISTENERS: &str = include_str!("listeners.js");

/// The browser's events whose names of several words people write in another way, and those that they know by a property.
const OFTEN_MISSPELT: [&str; 40] = [
    "animationcancel",
    "animationend",
    "animationiteration",
    "animationstart",
    "beforeinput",
    "blur",
    "change",
    "click",
    "contextmenu",
    "dblclick",
    "drag",
    "dragend",
    "dragenter",
    "dragleave",
    "dragover",
    "dragstart",
    "drop",
    "focus",
    "focusin",
    "focusout",
    "input",
    "keydown",
    "keypress",
    "keyup",
    "mousedown",
    "mouseenter",
    "mouseleave",
    "mousemove",
    "mouseout",
    "mouseover",
    "mouseup",
    "pointerdown",
    "pointermove",
    "pointerup",
    "resize",
    "submit",
    "touchend",
    "touchmove",
    "touchstart",
    "transitionend",
];

/// What people take for an event of the browser's, and what it is called.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("rightclick", "contextmenu"),
    ("doubleclick", "dblclick"),
    ("mouseclick", "click"),
    ("hover", "mouseenter"),
    ("mousehover", "mouseenter"),
];

/// Events that the browser sends, but not to such targets, and what it sends there.
const SENT_ELSEWHERE: [(&str, &str, &str); 2] =
    [("select", "select", "change"), ("submit", "button", "click")];

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
        self.until(TELL_MAX, |run| run.coverage.is_some()).await?;
        let unreached = self.coverage.iter().flat_map(|coverage| &coverage.unreached);
        let misspelt: Vec<Observation> =
            unreached.filter_map(|listener| misspelt(listener, self.source)).collect();
        for observation in misspelt {
            self.found(observation);
        }
        Ok(())
    }
}

/// A listener for an event whose name only looks like one of the browser's, which nothing ever sends.
fn misspelt(Listener { event, target }: &Listener, source: &str) -> Option<Observation> {
    let lower = event.to_lowercase();
    let plain = lower.strip_prefix("on").unwrap_or(&lower);
    let tag = target.split(['#', '.']).next().unwrap_or_default();
    let elsewhere = SENT_ELSEWHERE.iter().find(|(name, of, _)| *name == plain && *of == tag);
    let other = OTHER_NAMES.iter().find(|(taken, _)| *taken == plain).map(|(_, name)| *name);
    let other = other.or(elsewhere.map(|(_, _, name)| *name));
    let name = other.unwrap_or(plain);
    // The page may send it itself.
    let sent = ['\'', '"', '`'].iter().any(|quote| source.contains(&format!("Event({quote}{event}{quote}")));
    if sent || name == event || (other.is_none() && !OFTEN_MISSPELT.contains(&name)) {
        return None;
    }
    let place =
        ['\'', '"'].iter().find_map(|quote| classify::find(source, &format!("{quote}{event}{quote}")));
    let message =
        format!("{target} listens to \"{event}\", which nothing sends it: the event is called \"{name}\"");
    Some(Observation::advice(FindingClass::Control, &message, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_only_looks_like_one_is_named() {
        let listener = |event: &str| Listener { event: event.to_owned(), target: "div.bubble".to_owned() };
        let source = "<script>\nb.addEventListener('animationEnd', () => b.remove())</script>";
        let found = misspelt(&listener("animationEnd"), source).unwrap();
        assert_eq!(found.place.map(|place| place.line), Some(2));
        assert!(found.message.contains("\"animationend\""), "{}", found.message);
        assert!(misspelt(&listener("onclick"), source).is_some());
        let of = |event: &str, target: &str| Listener { event: event.to_owned(), target: target.to_owned() };
        assert!(misspelt(&of("select", "select#ratio"), source).is_some());
        assert_eq!(misspelt(&of("select", "textarea"), source), None);
        assert!(misspelt(&of("submit", "button.go"), source).is_some());
        assert_eq!(misspelt(&of("submit", "form#order"), source), None);
        assert!(misspelt(&listener("rightclick"), source).unwrap().message.contains("\"contextmenu\""));
        assert_eq!(misspelt(&listener("animationend"), source), None);
        assert_eq!(misspelt(&listener("gameOver"), source), None);
    }

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
