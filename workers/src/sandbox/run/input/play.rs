//! Use at random, while a long wait passes: what only many presses lead to, or what was chosen together.

use std::collections::BTreeMap;

use rand::{
    RngExt,
    seq::{IndexedRandom, IteratorRandom, SliceRandom},
};
use rand_chacha::ChaCha8Rng;

use super::{
    elements::{Elements, Reachable, Usable},
    keys::{Key, handles, keys_for},
    rounds::says,
};
use crate::sandbox::run::{FRAME_MS, Run, Stop};

/// How often something is used, and the page time for each and for all, in milliseconds.
const MOVES: u32 = 20;
const MOVE_MS: u32 = 350;
pub(in crate::sandbox::run) const PLAY_MS: u32 = MOVES * MOVE_MS;

/// Moves between two frames, and between two looks at what there is.
const MOVES_PER_FRAME: u32 = 5;
const MOVES_PER_LOOK: u32 = 10;

/// How often a page that has not moved is looked at, in all.
const MOVEMENT_LOOKS_MAX: u32 = 12;

/// How often another element is tried that a person could use, where one cannot be.
const TRIES_MAX: u32 = 3;

/// The most controls that are set back.
const SET_BACK_MAX: usize = 8;

/// Chances that a key is held, that a button comes next which says what none has said before, that what was used last
/// decides what is next, and that something fresh is.
const KEY: f64 = 0.3;
const NEW: f64 = 0.4;
const AGAIN: f64 = 0.4;
const FRESH: f64 = 0.4;

/// The chance that a button is clicked many times in a row, and how many: to the end of a list, or beyond its beginning.
const IN_A_ROW: f64 = 0.25;
const CLICKS_IN_A_ROW: u32 = 8;

/// How many of them happen in one step of time.
const CLICKS_AT_ONCE: u32 = 4;

/// What a page may do only where a person has just done something: the clicks in a row after the first would not count.
const PERSONAL: [&str; 6] =
    ["showPicker", "requestFullscreen", "requestPointerLock", "window.open", "clipboard", ".share("];

/// Words of a button that takes something away, how many such buttons are clicked to the end, and how often: more than all
/// that has been put there. And of one that goes on to what is next, which may have to be made each time.
const TAKING: [&str; 8] = ["undo", "delete", "remove", "discard", "previous", "prev", "back", "−"];
const GOING_ON: [&str; 2] = ["next", "skip"];
const WORN_OUT_MAX: usize = 3;
const CLICKS_TO_THE_END: u32 = 50;
const CLICKS_ONWARD: u32 = 12;

/// Chances that a board is used after a button, that it is at one of its edges, and that the mouse stays where it was.
const BOARD: f64 = 0.6;
const EDGE: f64 = 0.25;
const STILL: f64 = 0.5;

/// Where its edges are, in shares of its width or height.
const EDGES: [f64; 2] = [0.003, 0.997];

/// What a slider is set to, in shares of what it can be.
const SHARES: [f64; 3] = [0.0, 0.5, 1.0];

impl Run<'_> {
    /// Uses at random what there is, until this moment in page time at the latest. Gives what there is then.
    pub(in crate::sandbox::run) async fn play(
        &mut self,
        before: Elements,
        until_ms: u64,
        random: &mut ChaCha8Rng,
    ) -> Result<Elements, Stop> {
        self.findings.enter("play");
        let source = self.source;
        let mut keys = keys_for(source);
        // Nobody holds what closes a window or goes to the next field.
        let is_held = |key: &Key| !key.control && key.name != "Escape" && key.name != "Tab";
        keys.retain(|key| is_held(key) && handles(source, &key.name, &key.code));
        keys.shuffle(random);
        // Each once, before one is held again; those that write, last.
        keys.sort_by_key(|key| key.name.len() == 1);
        let mut keys = keys.iter().cycle();
        let mut elements = before;
        let mut last = None;
        for number in 1..=MOVES {
            if self.page_ms() >= until_ms {
                break;
            }
            if number % MOVES_PER_LOOK == 1 {
                elements = self.elements(Some(&elements)).await?;
                last = None;
            }
            if random.random_bool(KEY)
                && let Some(key) = keys.next()
            {
                let before = self.picture_of_the_unmoved(FRAME_MS, MOVEMENT_LOOKS_MAX).await?;
                self.hold_key(key, MOVE_MS.into()).await?;
                self.compare_with(before, FRAME_MS).await?;
            } else {
                last = self.make_move(&mut elements, last, random).await?;
                if last.is_some() && random.random_bool(BOARD) {
                    self.pass(FRAME_MS).await?;
                    self.use_board(&mut elements, random).await?;
                }
                self.pass(MOVE_MS.into()).await?;
                self.look_for_movement(MOVEMENT_LOOKS_MAX).await?;
            }
            if number % MOVES_PER_FRAME == 0 {
                self.filmed(FRAME_MS).await?;
            }
        }
        self.watch_catches(false);
        let has_buttons = elements.list.iter().any(|usable| usable.visible && usable.kind == "button");
        self.note_still_draws(MOVE_MS.into()).await?;
        self.look_at_stillness(has_buttons);
        self.look_at_empty_boards().await?;
        Ok(elements)
    }

    /// Presses what comes to an end until it must have.
    pub(in crate::sandbox::run) async fn wear_out(&mut self, elements: &Elements) -> Result<(), Stop> {
        self.findings.enter("play");
        if self.is_personal() {
            return Ok(());
        }
        let wears_out = |usable: &Usable| {
            let is_button = usable.visible && usable.words.starts_with("button ");
            is_button && (says(&usable.words, &TAKING) || says(&usable.words, &GOING_ON))
        };
        let buttons = elements.list.iter().enumerate().filter(|(_, usable)| wears_out(usable));
        for (index, usable) in buttons.take(WORN_OUT_MAX) {
            if !says(&usable.words, &TAKING) {
                self.go_on(elements, index).await?;
                continue;
            }
            let what = format!("click {} {CLICKS_TO_THE_END} times", usable.words);
            if self.touch(&what, elements, index, Some(0.0), CLICKS_TO_THE_END).await? {
                self.pass_clicks(CLICKS_TO_THE_END).await?;
            }
        }
        self.watch_catches(false);
        Ok(())
    }

    /// Clicks what goes on to what is next, and reads what comes each time.
    async fn go_on(&mut self, elements: &Elements, index: usize) -> Result<(), Stop> {
        let Some(usable) = elements.list.get(index) else { return Ok(()) };
        for number in 1..=CLICKS_ONWARD {
            let what = format!("click {} {number} times", usable.words);
            if !self.touch(&what, elements, index, Some(0.0), 1).await? {
                break;
            }
            self.pass(FRAME_MS).await?;
            self.look_at_texts().await?;
        }
        Ok(())
    }

    /// Lets the time pass in which the page is clicked so often. No more than a few at once: what they cost must not look
    /// like a page that hangs.
    async fn pass_clicks(&mut self, clicks: u32) -> Result<(), Stop> {
        for _ in 0..clicks.div_ceil(CLICKS_AT_ONCE) {
            self.pass(FRAME_MS * f64::from(CLICKS_AT_ONCE)).await?;
        }
        Ok(())
    }

    fn is_personal(&self) -> bool {
        PERSONAL.iter().any(|name| self.source.contains(name))
    }

    /// Sets controls back to what they were at first: with what was tried there, many pages show nothing any more.
    pub(in crate::sandbox::run) async fn set_back(&mut self, elements: &Elements) -> Result<(), Stop> {
        let mut set: Vec<_> = elements
            .list
            .iter()
            .enumerate()
            .filter(|(_, usable)| usable.visible && usable.is_set())
            .collect();
        // What is written into a field may tick the choice beside it.
        set.sort_by_key(|(_, usable)| usable.kind == "button");
        for (index, usable) in set.into_iter().take(SET_BACK_MAX) {
            self.touch(&format!("set {} back", usable.words), elements, index, None, 1).await?;
            self.pass(FRAME_MS).await?;
        }
        self.watch_catches(false);
        Ok(())
    }

    /// Uses a board, where there is one: what a tool does is seen only there.
    async fn use_board(&mut self, elements: &mut Elements, random: &mut ChaCha8Rng) -> Result<(), Stop> {
        let boards =
            elements.list.iter().enumerate().filter(|(_, usable)| usable.visible && usable.kind == "area");
        let Some((index, _)) = boards.choose(random) else { return Ok(()) };
        self.draw_in(elements, index, random).await.map(drop)
    }

    /// Uses the same as last time, or something else. Gives what, by its index.
    async fn make_move(
        &mut self,
        elements: &mut Elements,
        last: Option<usize>,
        random: &mut ChaCha8Rng,
    ) -> Result<Option<usize>, Stop> {
        let is_button = |usable: &Usable| usable.kind == "button";
        if random.random_bool(NEW)
            && let Some(index) = self.says_something_new(elements, random).await?
            && self.play_with(elements, index, random).await?
        {
            return Ok(Some(index));
        }
        let mut next = last.filter(|_| random.random_bool(AGAIN));
        // What is set is set for a button.
        if next.is_some_and(|last| !elements.list.get(last).is_some_and(is_button)) {
            next = choose(&elements.list, random, is_button);
        }
        for _ in 0..TRIES_MAX {
            let Some(index) = next.take().or_else(|| choose(&elements.list, random, |_| true)) else { break };
            if self.play_with(elements, index, random).await? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// A button that says now what no button has said yet that was clicked: the next page of a story, an answer of a quiz.
    async fn says_something_new(
        &mut self,
        elements: &mut Elements,
        random: &mut ChaCha8Rng,
    ) -> Result<Option<usize>, Stop> {
        let words = self.words_now(elements).await?;
        for (usable, words) in elements.list.iter_mut().zip(words) {
            usable.words = words;
        }
        let is_new = |usable: &Usable| {
            usable.visible && usable.kind == "button" && !self.clicked.contains(&usable.words)
        };
        let new = elements.list.iter().enumerate().filter(|(_, usable)| is_new(usable));
        Ok(new.choose(random).map(|(index, _)| index))
    }

    /// Uses one of them. Gives whether a person could have.
    async fn play_with(
        &mut self,
        elements: &mut Elements,
        index: usize,
        random: &mut ChaCha8Rng,
    ) -> Result<bool, Stop> {
        let Some(usable) = elements.list.get(index).cloned() else { return Ok(false) };
        let words = usable.words.as_str();
        self.clicked.insert(words.to_owned());
        let share = match usable.kind.as_str() {
            "range" => SHARES.choose(random).copied().unwrap_or_default(),
            _ => random.random_range(0.0..1.0),
        };
        if usable.kind == "area" {
            return self.draw_in(elements, index, random).await;
        }
        let in_a_row = usable.kind == "button" && random.random_bool(IN_A_ROW) && !self.is_personal();
        let what = match usable.kind.as_str() {
            "button" if in_a_row => format!("click {words} {CLICKS_IN_A_ROW} times"),
            "range" => format!("set {words} to {:.0} %", share * 100.0),
            "select" => format!("choose in {words} at {:.0} %", share * 100.0),
            _ => format!("click {words}"),
        };
        let times = if in_a_row { CLICKS_IN_A_ROW } else { 1 };
        if !self.touch(&what, elements, index, Some(share), times).await? {
            return Ok(false);
        }
        if in_a_row {
            self.pass_clicks(CLICKS_IN_A_ROW).await?;
        }
        Ok(true)
    }

    /// Presses and releases somewhere in a board, at one of its shapes if there are some. Gives whether a person could have.
    async fn draw_in(
        &mut self,
        elements: &mut Elements,
        index: usize,
        random: &mut ChaCha8Rng,
    ) -> Result<bool, Stop> {
        let Some(Reachable { usable, area, shapes, .. }) = self.place(elements, index).await? else {
            return Ok(false);
        };
        let mut share = || {
            if random.random_bool(EDGE) {
                *EDGES.choose(random).unwrap_or(&0.5)
            } else {
                random.random_range(0.02..0.98)
            }
        };
        let anywhere = area.at(share(), share());
        let from = shapes.choose(random).copied().unwrap_or(anywhere);
        let to = if random.random_bool(STILL) { from } else { area.beside(from) };
        self.name_input(&format!("drag {} at {}", usable.words, area.words_of(from)));
        self.stroke(elements, from, to).await?;
        Ok(true)
    }
}

/// One of what can be used at random: any group is as likely as another.
fn choose(list: &[Usable], random: &mut ChaCha8Rng, wanted: impl Fn(&Usable) -> bool) -> Option<usize> {
    let kinds = ["button", "select", "range", "area"];
    let playable =
        |usable: &Usable| usable.visible && kinds.contains(&usable.kind.as_str()) && wanted(usable);
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let only_fresh = random.random_bool(FRESH) && list.iter().any(|usable| usable.fresh && playable(usable));
    for (index, usable) in list.iter().enumerate() {
        if playable(usable) && (usable.fresh || !only_fresh) {
            groups.entry(&usable.group).or_default().push(index);
        }
    }
    groups.values().choose(random)?.choose(random).copied()
}
