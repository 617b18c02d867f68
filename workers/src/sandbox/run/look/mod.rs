//! What can be seen of a page without using it: dead controls, names and contrast, empty canvases, an animation that
//! does not move, a page wider than a phone.

mod classes;
pub(in crate::sandbox) mod coverage;
mod grown;
mod screen;
mod units;

use chromiumoxide::cdp::{
    browser_protocol::system_info::GetProcessInfoParams, js_protocol::runtime::EvaluateParams,
};
use mondo_jobs::finding::FindingClass;
use serde::{Deserialize, de::DeserializeOwned};

use self::screen::{Empty, Rectangle, alike, one_coloured};
use crate::sandbox::{
    browser::cdp::CdpError,
    findings::{Observation, classify},
    run::{
        Draw, FRAME_MS, Run, Stop,
        input::{elements::Usable, keys},
        limit::watch::page_cpu_secs,
        page::DESKTOP,
    },
};

/// Processor seconds for a frame, above which no page is smooth: three times what there is at 60 frames a second.
const FRAME_SECS_MAX: f64 = 0.05;

/// The page time before each of two views of a page that has not moved.
const MOVEMENT_MS: f64 = 400.0;

/// The most themes that are looked at, and half the page time until one has come.
const THEMES_MAX: usize = 5;
const THEME_MS: f64 = 500.0;

/// The frames for which a page asks at least while it is looked at for a loop that runs twice.
const LOOP_BEATS_MIN: u64 = 20;

/// The most canvases that are looked at.
pub(super) const CANVASES_MAX: usize = 20;

/// So many times larger is a canvas that something is drawn in than one beside it, which may be empty.
const BESIDE_MIN: f64 = 8.0;

const AUDIT: &str = include_str!("audit.js");
const CANVASES: &str = include_str!("canvases.js");
/// How the page's loops have run. Answered by `init.js`.
const LOOPS: &str = "(() => {
  const ask = document.createEvent('CustomEvent');
  ask.initCustomEvent('mondo:beats', false, false, {});
  window.dispatchEvent(ask);
  return { ...ask.detail, repeats: ask.detail.repeats?.() ?? '' };
})()";

const DRAWN: &str = include_str!("drawn.js");
const TEXTS: &str = include_str!("texts.js");
const SORTED: &str = include_str!("sorted.js");
const STYLES: &str = include_str!("styles.js");
const COVERED: &str = include_str!("covered.js");
const OVERFLOW: &str = include_str!("overflow.js");

/// What `audit.js` gives.
#[derive(Deserialize)]
struct Seen {
    kind: String,
    message: String,
    tag: String,
    /// Where it is to be seen, if it is.
    place: Option<Rectangle>,
}

/// What `texts.js` gives.
#[derive(Deserialize)]
struct Text {
    word: String,
    before: String,
    message: String,
    tag: String,
}

/// What `styles.js` gives.
#[derive(Deserialize)]
struct Misspelt {
    written: String,
    place: String,
    name: String,
}

/// What `covered.js` gives.
#[derive(Deserialize)]
struct Covered {
    message: String,
    tag: String,
}

/// What [`LOOPS`] gives: how many frames the page has asked for, how often it has drawn, how many of the frames it asked for
/// while it waited for one already, in which function, and what two timers repeat.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Loops {
    beats: u64,
    pub(super) draws: u64,
    doubled: u64,
    doubled_by: String,
    repeats: String,
}

/// What `canvases.js` gives.
#[derive(Deserialize)]
struct Canvas {
    index: usize,
    words: String,
    used: bool,
    #[serde(flatten)]
    place: Rectangle,
}

impl Run<'_> {
    /// Reports controls that nothing listens to, and what keeps people from using the page. Of a page that was `used`
    /// only that: a control may have done what it is for.
    pub(super) async fn look_at_controls(&mut self, used: bool) -> Result<(), Stop> {
        let mut unseen = Vec::new();
        for seen in self.read::<Vec<Seen>>(AUDIT).await?.unwrap_or_default() {
            if let Some(place) = seen.place {
                unseen.push((seen, place));
                continue;
            }
            let class = match seen.kind.as_str() {
                "control" | "drag" => FindingClass::Control,
                "blank" => FindingClass::Blank,
                _ => FindingClass::Accessibility,
            };
            if used && class == FindingClass::Control {
                continue;
            }
            let place = classify::find_tag(self.source, &seen.tag);
            self.found(Observation::advice(class, &seen.message, place));
        }
        self.look_at_unseen(unseen).await
    }

    /// Reports those texts of which nothing is to be seen in a picture.
    async fn look_at_unseen(&mut self, texts: Vec<(Seen, Rectangle)>) -> Result<(), Stop> {
        if texts.is_empty() {
            return Ok(());
        }
        let Some(png) = self.frame(FRAME_MS, Draw::Screenshot).await? else { return Ok(()) };
        let places: Vec<Rectangle> = texts.iter().map(|(_, place)| *place).collect();
        let looked = tokio::task::spawn_blocking(move || one_coloured(&png, &places, DESKTOP.0.into())).await;
        let Ok(Ok((_, empty))) = looked else { return Ok(()) };
        for ((seen, _), _) in texts.iter().zip(&empty).filter(|(_, empty)| **empty != Empty::No) {
            let place = classify::find_tag(self.source, &seen.tag);
            self.found(Observation::advice(FindingClass::Accessibility, &seen.message, place));
        }
        Ok(())
    }

    /// Looks at a page in a theme that it has not worn before, and gives whether it did: what can be read in one may be lost
    /// in another. The change is over then.
    pub(super) async fn look_at_theme(&mut self, worn: String) -> Result<bool, Stop> {
        let is_new = self.themes.len() < THEMES_MAX && self.themes.insert(worn) && self.themes.len() > 1;
        if is_new {
            self.frame(THEME_MS, Draw::No).await?;
            self.frame(THEME_MS, Draw::No).await?;
            self.look_at_controls(true).await?;
        }
        Ok(is_new)
    }

    /// Reports what the page's style sheets say in vain, and what its scripts set in vain of a style.
    pub(super) async fn look_at_styles(&mut self) -> Result<(), Stop> {
        for Misspelt { written, place, name } in self.read::<Vec<Misspelt>>(STYLES).await?.unwrap_or_default()
        {
            let place = classify::find(self.source, &place);
            let message = format!("no browser knows the property `{written}`: it is called `{name}`");
            self.found(Observation::advice(FindingClass::Graphics, &message, place));
        }
        Ok(())
    }

    /// Reports what the source alone says: a key that is waited for in vain, a length without a unit.
    pub(super) fn look_at_source(&mut self) {
        if let Some(written) = units::unitless(self.source) {
            let message = format!("`{written}` has no unit, and is ignored");
            let place = classify::find(self.source, written);
            self.found(Observation::advice(FindingClass::Graphics, &message, place));
        }
        if let Some((worn, known)) = classes::unknown(self.source) {
            let message = format!(
                "no style sheet knows the class `{worn}`: what is there is `{known}`, and nothing wears it"
            );
            let place = [format!("'{worn}'"), format!("\"{worn}\"")]
                .iter()
                .find_map(|name| classify::find(self.source, name));
            self.found(Observation::advice(FindingClass::Graphics, &message, place));
        }
        if keys::waits_for_no_character(self.source) {
            let message = "keys that write nothing, like arrows, send no \"keypress\": listen to \"keydown\"";
            let named = ["'keypress'", "\"keypress\"", "onkeypress"];
            let place = named.iter().find_map(|name| classify::find(self.source, name));
            self.found(Observation::advice(FindingClass::Control, message, place));
        }
        if let Some((written, name)) = keys::misnamed(self.source) {
            let message = format!("`{written}` is never so: the browser calls that key \"{name}\"");
            let place = classify::find(self.source, &written);
            self.found(Observation::advice(FindingClass::Control, &message, place));
        }
    }

    /// Reports a page that is wider than the view.
    pub(super) async fn look_at_width(&mut self) -> Result<(), Stop> {
        if let Some(message) = self.read::<String>(OVERFLOW).await? {
            self.found(Observation::advice(FindingClass::Overflow, &message, None));
        }
        Ok(())
    }

    /// Draws the view, and reports it when it is empty, or when a canvas in it is.
    pub(super) async fn look_at_view(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        for covered in self.read::<Vec<Covered>>(COVERED).await?.unwrap_or_default() {
            let place = classify::find_tag(self.source, &covered.tag);
            self.found(Observation::advice(FindingClass::Control, &covered.message, place));
        }
        // Once drawn, it shows what its use has led to.
        let excused = self.drawn.clone();
        self.look_at_canvases(DESKTOP.0, &excused).await
    }

    /// The same, in a view so many CSS pixels wide, without a look at what is covered. Of the canvases that people draw in
    /// or steer, those with these numbers may be empty.
    pub(super) async fn look_at_canvases(
        &mut self,
        width: i32,
        excused: &[usize],
    ) -> Result<Option<Vec<u8>>, Stop> {
        let canvases = self.read::<Vec<Canvas>>(CANVASES).await?.unwrap_or_default();
        let screenshot = self.frame(FRAME_MS, Draw::Screenshot).await?;
        let Some(png) = screenshot.clone() else { return Ok(None) };
        let places: Vec<Rectangle> = canvases.iter().map(|canvas| canvas.place).collect();
        let looked = tokio::task::spawn_blocking(move || one_coloured(&png, &places, width.into())).await;
        let Ok(Ok((whole, empty))) = looked else { return Ok(screenshot) };
        if whole {
            let message = "nothing is drawn: the whole view has one colour";
            self.found(Observation::blocking(FindingClass::Blank, message, None));
            return Ok(screenshot);
        }
        let shown = canvases.iter().zip(&empty).filter(|(_, empty)| **empty == Empty::No);
        let largest = shown.map(|(canvas, _)| canvas.place.area()).fold(0.0, f64::max);
        for (canvas, empty) in canvases.iter().zip(&empty).filter(|(_, empty)| **empty != Empty::No) {
            // The place for what comes next, for what is held.
            let is_beside = canvas.place.area() * BESIDE_MIN < largest;
            if is_beside || canvas.used && excused.contains(&canvas.index) {
                continue;
            }
            let message = format!("nothing is drawn in {}: it has one colour", canvas.words);
            let advice = Observation::advice(FindingClass::Blank, &message, None);
            if canvas.used && self.findings.phase() == "late" {
                self.empty_boards.push((canvas.index, advice));
            } else if canvas.used || *empty == Empty::Coloured {
                self.found(advice);
            } else {
                self.found(Observation::blocking(FindingClass::Blank, &message, None));
            }
        }
        Ok(screenshot)
    }

    /// Notes the canvases that people draw in or steer and that are not empty now.
    pub(super) async fn note_drawn(&mut self) -> Result<(), Stop> {
        let drawn = self.drawn().await?;
        self.drawn.extend(drawn);
        Ok(())
    }

    /// Reports the canvases that people draw in or steer and that were empty before, if nothing has been drawn in them since.
    pub(super) async fn look_at_empty_boards(&mut self) -> Result<(), Stop> {
        let empty = std::mem::take(&mut self.empty_boards);
        if !empty.is_empty() {
            self.note_drawn().await?;
        }
        for (index, advice) in empty {
            if !self.drawn.contains(&index) {
                self.found(advice);
            }
        }
        Ok(())
    }

    /// The numbers of the canvases that people draw in or steer, and that are not empty.
    pub(super) async fn drawn(&mut self) -> Result<Vec<usize>, Stop> {
        if !self.source.contains("canvas") {
            return Ok(Vec::new());
        }
        Ok(self.read(DRAWN).await?.unwrap_or_default())
    }

    /// Reports texts that say what comes of a mistake, unless the page itself has such a word for people.
    pub(super) async fn look_at_texts(&mut self) -> Result<(), Stop> {
        for Text { word, before, message, tag } in self.read::<Vec<Text>>(TEXTS).await?.unwrap_or_default() {
            // The page says all of it, or makes a text of it.
            let is_meant = !before.trim().is_empty() && self.source.contains(&format!("{before}{word}"));
            // Seven digits are also what a commit is called by.
            let is_other = word.starts_with('#')
                && !["padStart(2", "toString(16)"].iter().all(|part| self.source.contains(part));
            if !is_meant && !is_other && !is_for_people(self.source, &word) {
                let place = classify::find_tag(self.source, &tag);
                self.found(Observation::advice(FindingClass::Graphics, &message, place));
            }
        }
        Ok(())
    }

    /// Of a control that sorts something, the numbers on the page that stand in the order of texts.
    pub(super) async fn sorted_as_texts(&mut self, usable: &Usable) -> Result<Vec<String>, Stop> {
        if !usable.sorts() {
            return Ok(Vec::new());
        }
        Ok(self.read(SORTED).await?.unwrap_or_default())
    }

    /// Reports numbers that such a control has brought into the order of texts.
    pub(super) async fn look_at_order(&mut self, usable: &Usable, before: Vec<String>) -> Result<(), Stop> {
        let sorted = self.sorted_as_texts(usable).await?;
        if let Some(numbers) = sorted.iter().find(|numbers| !before.contains(numbers)) {
            let message = format!("{} sorts numbers as texts: {numbers}", usable.words);
            self.found(Observation::advice(FindingClass::Control, &message, None));
        }
        Ok(())
    }

    /// How the page's loops have run so far.
    pub(super) async fn loops(&mut self) -> Result<Loops, Stop> {
        Ok(self.read(LOOPS).await?.unwrap_or_default())
    }

    /// Reports a loop that has run more than once at a time while nothing was done: it was started again while it ran, and
    /// what it moves goes at twice the pace.
    pub(super) async fn look_at_loops(&mut self, before: &Loops) -> Result<(), Stop> {
        let Loops { beats, doubled, doubled_by, repeats, .. } = self.loops().await?;
        let asked = beats.saturating_sub(before.beats);
        let again = doubled.saturating_sub(before.doubled);
        if asked >= LOOP_BEATS_MIN && again * 5 >= asked * 2 {
            let place = classify::find(self.source, &format!("requestAnimationFrame({doubled_by}"));
            let message =
                format!("{doubled_by} waits twice for each frame: it was started again while it ran");
            self.found(Observation::advice(FindingClass::Graphics, &message, place));
        }
        if !repeats.is_empty() && repeats == before.repeats {
            let place = classify::find(self.source, &format!("setInterval({repeats}"));
            let message = format!("two timers repeat {repeats}: it was started again while it ran");
            self.found(Observation::advice(FindingClass::Graphics, &message, place));
        }
        Ok(())
    }

    /// Processor seconds of the page so far.
    pub(super) async fn cpu_secs(&mut self) -> Result<f64, Stop> {
        let mut pending = self.page.cdp.send(None, &GetProcessInfoParams::default());
        Ok(page_cpu_secs(&self.reply(&mut pending).await?))
    }

    /// Reports a page that needs more processor time for a frame than there is time for it.
    pub(super) fn look_at_speed(&mut self, frame_secs: f64) {
        if frame_secs > FRAME_SECS_MAX {
            let message = "a frame takes more than 50 ms of processor time: the page is not smooth";
            self.found(Observation::advice(FindingClass::Slow, message, None));
        }
    }

    /// Looks whether what was just pressed moves a page that has not moved yet, `most` times in all. What only shows that
    /// it was pressed, a colour that fades, is over then.
    pub(super) async fn look_for_movement(&mut self, most: u32) -> Result<(), Stop> {
        let before = self.picture_of_the_unmoved(MOVEMENT_MS, most).await?;
        self.compare_with(before, MOVEMENT_MS).await
    }

    /// A picture of a page that has not moved, after so many milliseconds, ahead of what may move it; `most` times in all.
    pub(super) async fn picture_of_the_unmoved(
        &mut self,
        step_ms: f64,
        most: u32,
    ) -> Result<Option<Vec<u8>>, Stop> {
        if !self.unmoved || self.movement_looks >= most {
            return Ok(None);
        }
        self.movement_looks += 1;
        self.frame(step_ms, Draw::Screenshot).await
    }

    /// Notes whether it has moved since, so many milliseconds from now.
    pub(super) async fn compare_with(&mut self, before: Option<Vec<u8>>, step_ms: f64) -> Result<(), Stop> {
        if before.is_some() {
            let after = self.frame(step_ms, Draw::Screenshot).await?;
            self.unmoved = is_still(before, after).await;
        }
        Ok(())
    }

    /// Notes whether a page that has not moved draws something all the same, in a frame of so many milliseconds.
    pub(super) async fn note_still_draws(&mut self, step_ms: f64) -> Result<(), Stop> {
        if self.unmoved && !self.draws_still {
            self.tell("mondo:watch", 0).await?;
            let before = self.loops().await?.draws;
            self.frame(step_ms, Draw::No).await?;
            self.draws_still = self.loops().await?.draws != before;
        }
        Ok(())
    }

    /// Reports an animation that has not moved, whatever was done with the page. A page that has drawn nothing in its
    /// frames was never started, where it `has_buttons` for that.
    pub(super) fn look_at_stillness(&mut self, has_buttons: bool) {
        if self.unmoved && (self.draws_still || !has_buttons) {
            let message = "the page asks for frame after frame, but nothing moves";
            self.found(Observation::advice(FindingClass::Still, message, None));
        }
    }

    /// Tells the scripts in the page something, with an event that does not depend on the page's globals: a class
    /// `Event` of its own would be another one.
    pub(super) async fn tell(&mut self, event: &str, detail: u32) -> Result<(), Stop> {
        let told = "const told = document.createEvent('CustomEvent')";
        let init = format!("told.initCustomEvent('{event}', false, false, {detail})");
        let mut tell = EvaluateParams::new(format!("{{ {told}; {init}; window.dispatchEvent(told); }}"));
        tell.silent = Some(true);
        self.call(&tell).await.map(drop)
    }

    /// Evaluates a script with the console's helpers; nothing where the page kept it from its answer.
    pub(super) async fn read<T: DeserializeOwned>(&mut self, script: &str) -> Result<Option<T>, Stop> {
        let mut look = EvaluateParams::new(script);
        look.include_command_line_api = Some(true);
        look.silent = Some(true);
        look.return_by_value = Some(true);
        let value = match self.call(&look).await {
            Ok(read) => read.result.value.unwrap_or_default(),
            // Nested too deeply, for one.
            Err(Stop::Failed(CdpError::Refused { .. })) => return Ok(None),
            Err(stop) => return Err(stop),
        };
        Ok(serde_json::from_value(value).ok())
    }
}

/// Whether two views show the same; without both, nobody knows.
pub(super) async fn is_still(before: Option<Vec<u8>>, after: Option<Vec<u8>>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    let looked = tokio::task::spawn_blocking(move || alike(&before, &after)).await;
    matches!(looked, Ok(Ok(true)))
}

/// Whether a source has this word somewhere else than in the code: in a text, or in quotes.
fn is_for_people(source: &str, word: &str) -> bool {
    source.match_indices(word).any(|(at, _)| {
        let before = source.get(..at).unwrap_or_default();
        // `isNaN`, `window.undefined`.
        let is_part =
            before.ends_with(|symbol: char| symbol.is_alphanumeric() || symbol == '.' || symbol == '_');
        let before = before.trim_end();
        let is_code = before.ends_with(['=', '(', ',', ':', '?', '[', '{', '&', '|', '!', ';'])
            || ["return", "case", "=>", "typeof", "void"].iter().any(|keyword| before.ends_with(keyword));
        !is_part && !is_code
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_for_people_in_quotes_and_in_texts() {
        for (source, expected) in [
            ("if (isNaN(x) || x === NaN) return NaN", false),
            ("<p>A slope may be undefined.</p>", true),
            ("say('undefined')", true),
            ("say(x ?? 'NaN')", true),
            ("const [a = undefined] = b", false),
        ] {
            let word = if source.contains("NaN") { "NaN" } else { "undefined" };
            assert_eq!(is_for_people(source, word), expected, "{source}");
        }
    }
}
