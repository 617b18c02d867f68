//! Everything that there is to use, once in a round, and again what a round has left stopped.

use std::collections::HashMap;

use mondo_jobs::finding::FindingClass;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::elements::{Elements, Reachable, Usable};
use crate::sandbox::{
    findings::Observation,
    run::{Draw, FRAME_MS, Run, Stop, drive::IDLE_FRAME_MS, look::is_still},
};

/// The most elements that are used in one round.
const USES_MAX: usize = 20;

/// How many of a group come before what is left of others.
const OF_GROUP_FIRST: usize = 6;

/// The most that are used because they have appeared since.
const FRESH_USES_MAX: usize = 8;

/// How often a page that has not moved is looked at after a button.
const MOVEMENT_LOOKS_MAX: u32 = 5;

/// The most buttons that are pressed to start what a round has stopped.
const STARTS_MAX: usize = 3;

/// Page time in which an animation that runs asks for several frames, in milliseconds, and how many.
const RUNNING_MS: f64 = 100.0;
const RUNNING_BEATS: u64 = 3;

/// Frames that a page asks for before it is used if it is animated from the beginning: there is time for 40.
const ANIMATED_BEATS: u64 = 30;

/// Words of a button that begins something, or begins it again.
const STARTING: [&str; 6] = ["start", "play", "resume", "continue", "run", "▶"];

/// Words of one that does so once more, and those that do with "again".
const ONCE_MORE: [&str; 3] = ["restart", "retry", "replay"];
const AGAIN: [&str; 4] = ["play", "start", "run", "try"];

/// Page time in which what runs draws something several times, and how many times; the same for a page that only writes, and
/// page time in which a clock counts.
const DRAWING: (f64, u64) = (300.0, 3);
const WRITING: (f64, u64) = (1300.0, 1);
const COUNTED_MS: f64 = 1200.0;

/// Words of a button that stops something for a while.
const PAUSING: [&str; 5] = ["pause", "stop", "halt", "freeze", "⏸"];

/// Called on what `probe.js` found: how many frames the page has asked for.
const BEATS: &str = "function () { return this.beats(); }";

/// Called on what `probe.js` found: that, and what each of them is called now.
const STATE: &str = "function () {
  for (const entry of this) if (!entry.element.isConnected) this.renew(entry);
  return { words: this.map((entry) => this.wordsOf(entry)), beats: this.beats() };
}";

/// What it gives.
#[derive(Default, Deserialize)]
struct State {
    words: Vec<String>,
    beats: u64,
}

/// What the buttons of a page have started.
#[derive(Default)]
pub(in crate::sandbox) struct Starts {
    /// One was pressed, and then the page drew or wrote without being used.
    draws: bool,
    /// How often that was looked for.
    looks: usize,
    /// The one pressed last that was to start it once more, if nothing came of it.
    in_vain: Option<String>,
}

/// An element that was used: what it was called then, and how many frames the page had asked for.
struct Use {
    index: usize,
    words: String,
    beats: u64,
}

impl Run<'_> {
    /// Uses each element once; `again` in another order, because what came first may have changed what the others
    /// do. Gives what was there.
    pub(in crate::sandbox::run) async fn use_everything(
        &mut self,
        random: &mut ChaCha8Rng,
        again: bool,
    ) -> Result<Elements, Stop> {
        let mut elements = self.elements(None).await?;
        let mut order: Vec<usize> = (0..elements.list.len()).collect();
        if again {
            order.shuffle(random);
        }
        order.retain(|index| elements.list.get(*index).is_some_and(|usable| usable.visible));
        if again {
            // What is written in fields is meant for the buttons, and must not crowd them out.
            let is_field = |index: &usize| elements.list.get(*index).is_some_and(Usable::is_field);
            let (mut fields, others): (Vec<usize>, Vec<usize>) = order.into_iter().partition(is_field);
            fields.truncate(USES_MAX / 2);
            order = [fields, others].concat();
        }
        let mut order = first_of_each_group(&elements.list, order);
        order.truncate(USES_MAX);
        let mut uses = Vec::new();
        for index in order {
            let Some(beats) = self.use_one(&mut elements, index, again, random).await? else { continue };
            let Some(usable) = elements.list.get(index) else { continue };
            let words = usable.words.clone();
            let is_button = usable.kind == "button";
            self.clicked.insert(words.clone());
            if is_button {
                self.note_start(&words).await?;
            }
            uses.push(Use { index, words, beats });
            if !again && is_button {
                self.look_for_movement(MOVEMENT_LOOKS_MAX).await?;
            }
        }
        for _ in 0..3 {
            self.pass(IDLE_FRAME_MS).await?;
            self.frame(IDLE_FRAME_MS, Draw::No).await?;
        }
        self.start_again(&mut elements, &uses, again).await?;
        self.use_what_is_fresh(elements, random).await
    }

    /// Uses what has appeared since `before`: a menu's entries, the button of a game that is over. Gives what is
    /// there now.
    pub(in crate::sandbox::run) async fn use_what_is_fresh(
        &mut self,
        before: Elements,
        random: &mut ChaCha8Rng,
    ) -> Result<Elements, Stop> {
        let mut elements = self.elements(Some(&before)).await?;
        let fresh = |usable: &Usable| usable.fresh && usable.visible && usable.words != "page";
        let mut order: Vec<usize> = (0..elements.list.len()).collect();
        order.retain(|index| elements.list.get(*index).is_some_and(fresh));
        order.truncate(FRESH_USES_MAX);
        for index in order {
            self.use_one(&mut elements, index, false, random).await?;
            if let Some(words) = elements.list.get(index).map(|usable| usable.words.clone()) {
                self.note_start(&words).await?;
            }
        }
        Ok(elements)
    }

    /// Presses what starts something, ahead of a wait: what comes only after many seconds may have been stopped meanwhile.
    pub(in crate::sandbox::run) async fn start(&mut self, elements: &Elements) -> Result<(), Stop> {
        let State { words, .. } = self.state(elements).await?;
        let is_start = |(index, words): &(usize, &String)| {
            let is_button = |usable: &Usable| usable.visible && usable.kind == "button";
            let is_one = elements.list.get(*index).is_some_and(is_button) && words.starts_with("button ");
            is_one && says(words, &STARTING) && !says(words, &PAUSING)
        };
        let starting: Vec<(usize, &String)> = words.iter().enumerate().filter(is_start).collect();
        for (index, words) in starting.into_iter().take(STARTS_MAX) {
            let pressed = self.touch(&format!("click {words}"), elements, index, Some(0.0), 1).await?;
            // Nobody presses two within a frame.
            self.pass(FRAME_MS).await?;
            if pressed {
                self.note_start(words).await?;
            }
        }
        self.watch_catches(false);
        Ok(())
    }

    /// Notes whether a button that was pressed has started something, by its words, and one that starts it once more has not.
    async fn note_start(&mut self, words: &str) -> Result<(), Stop> {
        let is_button = words.starts_with("button ");
        let is_again = is_button && self.starts.draws && starts_again(words);
        let may_be_first = !self.starts.draws && self.starts.looks < STARTS_MAX;
        let is_first = is_button && may_be_first && says(words, &STARTING);
        if is_again || is_first {
            self.starts.looks += 1;
            let draws = self.draws_by_itself().await?;
            self.starts.draws |= draws;
            self.starts.in_vain = (is_again && !draws).then(|| words.to_owned());
        }
        Ok(())
    }

    /// Whether something is drawn while nothing is done.
    async fn draws_by_itself(&mut self) -> Result<bool, Stop> {
        let (wait_ms, draws_min) = if self.source.contains("canvas") { DRAWING } else { WRITING };
        self.tell("mondo:watch", 0).await?;
        self.pass(FRAME_MS).await?;
        let before = self.loops().await?.draws;
        self.pass(wait_ms).await?;
        Ok(self.loops().await?.draws.saturating_sub(before) >= draws_min)
    }

    /// Reports a button that was to start once more what was over, if nothing is drawn and nothing moves, though all that
    /// there is to press was there `before`.
    pub(in crate::sandbox::run) async fn look_at_restarted(&mut self, before: &Elements) -> Result<(), Stop> {
        let Some(words) = self.starts.in_vain.take() else { return Ok(()) };
        if self.draws_by_itself().await? {
            return Ok(());
        }
        let one = self.frame(IDLE_FRAME_MS, Draw::Screenshot).await?;
        self.pass(COUNTED_MS).await?;
        let other = self.frame(IDLE_FRAME_MS, Draw::Screenshot).await?;
        let now = self.elements(Some(before)).await?;
        let starts = |usable: &Usable| usable.words != words && says(&usable.words, &STARTING);
        let is_more = |usable: &Usable| usable.kind == "button" && (usable.fresh || starts(usable));
        let has_more = now.list.iter().any(|usable| usable.visible && is_more(usable));
        if !has_more && is_still(one, other).await {
            let message =
                format!("{words} starts nothing: what moved when it was started first stands still");
            self.found(Observation::advice(FindingClass::Control, &message, None));
        }
        Ok(())
    }

    /// What each of them is called now.
    pub(super) async fn words_now(&mut self, elements: &Elements) -> Result<Vec<String>, Stop> {
        Ok(self.state(elements).await?.words)
    }

    async fn state(&mut self, elements: &Elements) -> Result<State, Stop> {
        Ok(serde_json::from_value(self.call_on(elements, STATE, Vec::new()).await?).unwrap_or_default())
    }

    /// Presses what a round has turned into "Resume", and where an animation has ended, what has ended it or what may start
    /// it: a page that is left paused shows little.
    async fn start_again(&mut self, elements: &mut Elements, uses: &[Use], again: bool) -> Result<(), Stop> {
        let is_button =
            |used: &&Use| elements.list.get(used.index).is_some_and(|usable| usable.kind == "button");
        let mut pressed: Vec<&Use> = uses.iter().filter(is_button).collect();
        if pressed.is_empty() {
            return Ok(());
        }
        pressed.sort_by_key(|used| used.index);
        let State { words, beats } = self.state(elements).await?;
        let other = |used: &Use| words.get(used.index).filter(|words| **words != used.words);
        let offers = |used: &&&Use| other(used).is_some_and(|words| starts(words));
        let offered: Vec<usize> =
            pressed.iter().filter(offers).take(STARTS_MAX).map(|used| used.index).collect();
        for index in &offered {
            self.press_once_more(elements, *index).await?;
        }
        if !self.animates || self.runs(elements, beats).await? {
            return Ok(());
        }
        if let Some(stopper) = stopper(uses, beats).filter(|used| other(used).is_some()) {
            if !offered.contains(&stopper.index) {
                let before = self.press_once_more(elements, stopper.index).await?;
                if self.runs(elements, before).await? {
                    return Ok(());
                }
            }
            if !again {
                self.look_at_stopper(elements, stopper).await?;
            }
        }
        for used in pressed.into_iter().take(STARTS_MAX) {
            let before = self.press_once_more(elements, used.index).await?;
            if self.runs(elements, before).await? {
                break;
            }
        }
        Ok(())
    }

    /// Reports a button that was pressed twice and says what it said while something moved, though nothing does.
    async fn look_at_stopper(&mut self, elements: &mut Elements, stopper: &Use) -> Result<(), Stop> {
        let now = self.place(elements, stopper.index).await?;
        let means_to = PAUSING.iter().any(|word| stopper.words.to_lowercase().contains(word));
        if means_to && now.is_some_and(|now| now.usable.words == stopper.words) {
            let message = format!("{} stops what moves, and does not start it again", stopper.words);
            self.found(Observation::advice(FindingClass::Control, &message, None));
        }
        Ok(())
    }

    /// Gives how many frames the page had asked for before; more than it ever will where nothing could be pressed.
    async fn press_once_more(&mut self, elements: &mut Elements, index: usize) -> Result<u64, Stop> {
        let Some(Reachable { usable, area, beats, .. }) = self.place(elements, index).await? else {
            return Ok(u64::MAX);
        };
        self.click(&usable.words, area.at(0.5, 0.5)).await?;
        Ok(beats)
    }

    /// Whether the page asks for frame after frame. It had asked for so many `before`, or for fewer.
    async fn runs(&mut self, elements: &Elements, before: u64) -> Result<bool, Stop> {
        self.pass(RUNNING_MS).await?;
        let now = self.call_on(elements, BEATS, Vec::new()).await?.as_u64().unwrap_or_default();
        Ok(now.saturating_sub(before) >= RUNNING_BEATS)
    }
}

/// The same with the first few of each group before the rest, so that no board crowds out what is beside it.
fn first_of_each_group(list: &[Usable], order: Vec<usize>) -> Vec<usize> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let is_first = |index: &usize| {
        let seen = seen.entry(list.get(*index).map_or("", |usable| &usable.group)).or_default();
        *seen += 1;
        *seen <= OF_GROUP_FIRST
    };
    let (first, rest): (Vec<usize>, Vec<usize>) = order.into_iter().partition(is_first);
    [first, rest].concat()
}

/// The use that an animation ended with, of a page that had been animated from its beginning until then; `beats` is how
/// many frames it had asked for when all were done.
fn stopper(uses: &[Use], beats: u64) -> Option<&Use> {
    let after = uses.iter().skip(1).map(|used| used.beats).chain([beats]);
    let went_on = |(used, after): (&Use, u64)| after > used.beats;
    let ran: Vec<bool> = uses.iter().zip(after).map(went_on).collect();
    let stopped = ran.iter().position(|ran| !ran)?;
    let for_good = ran.iter().skip(stopped).all(|ran| !ran);
    let from_the_beginning = uses.first()?.beats >= ANIMATED_BEATS;
    uses.get(stopped).filter(|_| for_good && from_the_beginning)
}

/// Whether one of these is among the words of a button.
pub(super) fn says(words: &str, names: &[&str]) -> bool {
    let words = words.to_lowercase();
    let is_symbol = |name: &str| !name.is_ascii() && words.contains(name);
    let mut each = words.split(|symbol: char| !symbol.is_alphanumeric());
    names.iter().any(|name| is_symbol(name)) || each.any(|word| names.contains(&word))
}

/// Whether a button that says this begins something.
fn starts(words: &str) -> bool {
    let words = words.to_lowercase();
    STARTING.iter().any(|word| words.contains(word))
}

/// Whether a button that says this begins something once more.
fn starts_again(words: &str) -> bool {
    let again = says(words, &["again"]) && says(words, &AGAIN);
    again || says(words, &ONCE_MORE) || words.to_lowercase().contains("\"new game")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ended it, by the beats before each use and after all of them.
    fn stopped_by(beats: &[u64]) -> Option<usize> {
        let (last, before) = beats.split_last()?;
        let uses: Vec<Use> = before
            .iter()
            .enumerate()
            .map(|(index, beats)| Use { index, words: String::new(), beats: *beats })
            .collect();
        stopper(&uses, *last).map(|used| used.index)
    }

    #[test]
    fn a_board_does_not_crowd_out_what_is_beside_it() {
        let usable = |group: &str| Usable { group: group.to_owned(), ..Usable::default() };
        let mut list = vec![usable("cell"); 30];
        list.push(usable("start"));
        let order = first_of_each_group(&list, (0..list.len()).collect());
        assert_eq!(order[..=OF_GROUP_FIRST], [0, 1, 2, 3, 4, 5, 30]);
        assert_eq!(order.len(), list.len());
    }

    #[test]
    fn what_stops_an_animation_is_the_first_use_without_a_frame_after_it() {
        assert_eq!(stopped_by(&[40, 41, 42, 42, 42]), Some(2));
        assert_eq!(stopped_by(&[40, 40]), Some(0));
        assert_eq!(stopped_by(&[40, 41]), None, "it goes on");
        assert_eq!(stopped_by(&[40, 40, 41, 41]), None, "it had only paused");
        assert_eq!(stopped_by(&[4, 5, 5]), None, "it draws once when it is used");
        assert_eq!(stopped_by(&[]), None);
    }

    #[test]
    fn what_a_button_says_is_told_by_whole_words() {
        assert!(says("button \"Start\"", &STARTING) && says("button \"▶\"", &STARTING));
        assert!(!says("button \"Restart\"", &STARTING) && !says("button \"Player 2\"", &STARTING));
        assert!(says("button \"Start/Stop\"", &PAUSING));
    }

    #[test]
    fn what_begins_once_more_is_told_from_what_is_done_again() {
        assert!(
            ["Play again", "Try Again!", "↻ Restart", "New game"]
                .iter()
                .all(|label| starts_again(&format!("button \"{label}\"")))
        );
        assert!(
            ["Play", "Cheer again for snail 3", "Roll again"]
                .iter()
                .all(|label| !starts_again(&format!("button \"{label}\"")))
        );
    }

    #[test]
    fn a_button_that_offers_to_go_on_is_known_by_its_words() {
        assert!(starts("button \"Resume\"") && starts("button \"▶ Play\""));
        assert!(!starts("button \"Pause\""));
    }
}
