//! What is written into fields and chosen in lists: what most people write, what few pages think of, and what is there to be
//! found.

use mondo_jobs::finding::FindingClass;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use serde_json::Value;

use super::{
    elements::{Area, Elements, Reachable, Usable},
    keys::{self, Key, handles, keys_for},
};
use crate::sandbox::{
    findings::Observation,
    run::{FRAME_MS, Run, Stop},
};

/// What a field is given first, to what it says already, and what it is given later, in its place: little of what pages
/// forget to think of looks like a name or a sum.
const TEXT: &str = "Moss 7";
const TEXTS: [&str; 2] = ["", "O'Hara (2 < 3"];
/// The same in fields of a type, which many pages go on from only with a text of that sort.
const TEXTS_OF_TYPES: [(&str, &str); 3] =
    [("email", "moss@example.com"), ("tel", "5550177"), ("url", "https://example.com/moss")];
/// The same in a field of many lines, where a page may look for marks.
const LINES: &str = "#1\n- [a](\n|\n> 1.\n```\n**b _c `d";
const DIGITS: [&str; 2] = ["7", "777"];
const NUMBERS: [&str; 3] = ["", "0", "-5"];

/// The most that are chosen of one list, one after the other.
const CHOICES_MAX: u32 = 12;

/// The most in all.
const CHOSEN_MAX: usize = 100;

/// The most of the keys that the page handles that are typed into a field.
const KEYS_TYPED_MAX: usize = 3;

/// Called on what `probe.js` found.
const SEARCH_ONE: &str = "function (index, word) { return this.search(index, word); }";

/// Called on what `probe.js` found, with how many choices to tell of each list.
const LISTS: &str = "function (most) {
  const labelsOf = (options) => [].slice.call(options, 0, most).map(({ text }) => text.slice(0, 60));
  const times = new Map();
  // Those without a name of their own are counted.
  const nameOf = (words) => {
    times.set(words, (times.get(words) ?? 0) + 1);
    return `${words} ${times.get(words)}`;
  };
  return this.flatMap((entry, index) => {
    if (entry.kind !== 'select' || !entry.visible) return [];
    if (!entry.element.isConnected) this.renew(entry);
    const { options } = entry.element;
    const words = this.wordsOf(entry);
    return [{ index, words, name: nameOf(words), length: options.length, labels: labelsOf(options) }];
  });
}";

/// What it gives of each.
#[derive(Deserialize)]
struct List {
    index: usize,
    words: String,
    name: String,
    length: u32,
    labels: Vec<String>,
}

/// Page time in which a search has found something, and as often as that is waited for, in milliseconds.
const FOUND_MS: f64 = 500.0;
const FOUND_WAITS: u32 = 3;

impl Run<'_> {
    /// Writes into a field; one that wants to know is left empty before.
    pub(super) async fn fill(
        &mut self,
        elements: &mut Elements,
        index: usize,
        usable: &Usable,
        area: Area,
    ) -> Result<(), Stop> {
        let words = usable.words.as_str();
        self.click(words, area.at(0.5, 0.5)).await?;
        if usable.wants("left") {
            self.press_in(words, &keys::TAB).await?;
            // What the page says to that may have moved it.
            let Some(Reachable { area, .. }) = self.place(elements, index).await? else { return Ok(()) };
            self.click(words, area.at(0.5, 0.5)).await?;
        }
        if usable.kind == "number" {
            for digits in DIGITS {
                self.write(words, digits).await?;
            }
            return Ok(());
        }
        let of_type = TEXTS_OF_TYPES.iter().find(|(name, _)| usable.wants(name));
        self.write(words, of_type.map_or(TEXT, |(_, text)| text)).await?;
        for key in self.typed_keys() {
            self.press_key_in(words, &key).await?;
        }
        self.press_in(words, &keys::ENTER).await
    }

    /// Writes other things into a field, in the place of what it says; the last is left there.
    pub(super) async fn overwrite(
        &mut self,
        elements: &mut Elements,
        index: usize,
        usable: &Usable,
        random: &mut ChaCha8Rng,
    ) -> Result<(), Stop> {
        if usable.wants("search") {
            self.search(elements, index, &usable.words).await?;
        }
        let is_number = usable.kind == "number";
        let mut texts = if is_number { NUMBERS.to_vec() } else { TEXTS.to_vec() };
        if is_number {
            texts.shuffle(random);
            // Of an empty one a page may show nothing, whatever else is chosen.
            if texts.last().is_some_and(|text| text.is_empty()) {
                texts.swap(0, NUMBERS.len() - 1);
            }
        } else if usable.words.starts_with("textarea") {
            texts.insert(1, LINES);
        }
        for text in texts {
            // The page may have moved it, or written it anew.
            let Some(Reachable { usable: Usable { words, .. }, area, .. }) =
                self.place(elements, index).await?
            else {
                return Ok(());
            };
            self.write_over(&words, area.at(0.5, 0.5), text).await?;
            self.look_at_texts().await?;
            if !is_number {
                self.press_in(&words, &keys::ENTER).await?;
            }
        }
        Ok(())
    }

    /// Chooses each of every list that has not been chosen yet, without a mouse: what one of them leads to may be missing,
    /// and a list may have others since a button was pressed.
    pub(super) async fn choose_each(&mut self, elements: &Elements) -> Result<(), Stop> {
        if !elements.list.iter().any(|usable| usable.visible && usable.kind == "select") {
            return Ok(());
        }
        let lists = self.call_on(elements, LISTS, vec![CHOICES_MAX.into()]).await?;
        let lists: Vec<List> = serde_json::from_value(lists).unwrap_or_default();
        for list in lists {
            self.choose_new(elements, list).await?;
        }
        Ok(())
    }

    /// The same of one list.
    async fn choose_new(&mut self, elements: &Elements, list: List) -> Result<(), Stop> {
        let List { index, words, name, length, labels } = list;
        for (choice, label) in (1_u32..).zip(labels).collect::<Vec<_>>().into_iter().rev() {
            let label = format!("{label} of {name}");
            if self.chosen.len() >= CHOSEN_MAX || self.chosen.contains(&label) {
                continue;
            }
            let share = (f64::from(choice) - 0.5) / f64::from(length);
            let what = format!("choose {choice} of {length} in {words}");
            if !self.touch(&what, elements, index, Some(share), 1).await? {
                continue;
            }
            self.chosen.insert(label);
            self.pass(FRAME_MS).await?;
            self.look_at_texts().await?;
        }
        self.watch_catches(false);
        Ok(())
    }

    /// Those of the keys that the page handles that write something: a field must get them all the same.
    fn typed_keys(&self) -> Vec<Key> {
        let writes = |key: &Key| !key.control && key.name.chars().count() == 1;
        let keys = keys_for(self.source).into_iter();
        keys.filter(|key| writes(key) && handles(self.source, &key.name, &key.code))
            .take(KEYS_TYPED_MAX)
            .collect()
    }

    /// Searches for what stands in the list that is searched, and reports a field by which none of it is found.
    async fn search(&mut self, elements: &mut Elements, index: usize, field: &str) -> Result<(), Stop> {
        // What was written there before has left little of the list.
        self.write_and_look(elements, index, "", None).await?;
        let words = self.call_on(elements, SEARCH_ONE, vec![index.into(), Value::Null]).await?;
        let words: Vec<String> = serde_json::from_value(words).unwrap_or_default();
        let mut missed = Vec::new();
        for word in words {
            // The page may have written something else in its place by itself.
            if !self.write_and_look(elements, index, "", Some(&word)).await? {
                continue;
            }
            if self.write_and_look(elements, index, &word, Some(&word)).await? {
                return Ok(());
            }
            missed.push(word);
        }
        if !missed.is_empty() {
            let missed = missed.join(", ");
            let message = format!("{field} finds nothing: {missed} stood in the list, and went with it");
            self.found(Observation::advice(FindingClass::Control, &message, None));
        }
        Ok(())
    }

    /// Writes this into a field in the place of what it says, and gives whether a word can be read on the page then or soon
    /// after. A field that a person could no longer use hides nothing.
    async fn write_and_look(
        &mut self,
        elements: &mut Elements,
        index: usize,
        text: &str,
        word: Option<&str>,
    ) -> Result<bool, Stop> {
        let Some(Reachable { usable, area, .. }) = self.place(elements, index).await? else {
            return Ok(true);
        };
        self.write_over(&usable.words, area.at(0.5, 0.5), text).await?;
        for _ in 0..FOUND_WAITS {
            self.pass(FOUND_MS).await?;
            let shows = vec![index.into(), word.into()];
            if word.is_some() && self.call_on(elements, SEARCH_ONE, shows).await? != Value::Bool(false) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
