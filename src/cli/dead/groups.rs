//! Dead letters by cause: what `ls` shows, and what `replay` shows before it goes.

use std::collections::HashMap;

use mondo_jobs::{
    job::Step,
    queue::{DeadFilter, DeadLetter, Queue, QueueError},
};
use serde::Serialize;

use super::age;
use crate::cli::output;

/// So many causes are told apart; letters of any others are counted together.
const GROUPS_MAX: usize = 1000;
/// So much of a message is shown in a table.
const MESSAGE_CHARS_MAX: usize = 80;

/// The letters of one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    fingerprint: String,
    count: u64,
    step: Step,
    class: String,
    /// The error of the oldest letter, and its innermost cause.
    message: String,
    oldest_ms: u64,
    newest_ms: u64,
    /// The newest letter's job.
    job: String,
}

/// All letters that a filter takes.
#[derive(Debug, Default)]
pub(super) struct Groups {
    causes: HashMap<String, Group>,
    /// Letters of causes beyond the thousandth.
    others: u64,
    unreadable: Vec<QueueError>,
    unreadable_count: u64,
}

impl Groups {
    /// Reads all letters, and keeps of each cause one line.
    pub(super) async fn of(queue: &Queue, filter: DeadFilter) -> Result<Self, QueueError> {
        let mut groups = Self::default();
        let mut pages = queue.dead_pages(filter);
        while let Some(page) = pages.next().await? {
            groups.unreadable_count += page.unreadable.len() as u64;
            if groups.unreadable.is_empty() {
                groups.unreadable.extend(page.unreadable.into_iter().take(1));
            }
            for letter in page.letters {
                groups.add(letter);
            }
        }
        Ok(groups)
    }

    fn add(&mut self, letter: DeadLetter) {
        if self.causes.len() >= GROUPS_MAX && !self.causes.contains_key(&letter.fingerprint) {
            self.others += 1;
            return;
        }
        let group = self.causes.entry(letter.fingerprint.clone()).or_insert_with(|| Group {
            fingerprint: letter.fingerprint.clone(),
            count: 0,
            step: letter.step,
            class: letter.class.clone(),
            message: message(&letter),
            oldest_ms: letter.at_ms,
            newest_ms: letter.at_ms,
            job: letter.job.clone(),
        });
        group.count += 1;
        group.oldest_ms = group.oldest_ms.min(letter.at_ms);
        if letter.at_ms >= group.newest_ms {
            group.newest_ms = letter.at_ms;
            group.job = letter.job;
        }
    }

    /// How many letters there are that can be read.
    pub(super) fn count(&self) -> u64 {
        self.causes.values().map(|group| group.count).sum::<u64>() + self.others
    }

    /// "12 dead letters of 2 causes".
    pub(super) fn summary(&self) -> String {
        let (count, causes) = (self.count(), self.causes.len());
        let more = if self.others > 0 { "more than " } else { "" };
        let letters = if count == 1 { "letter" } else { "letters" };
        let causes_word = if causes == 1 { "cause" } else { "causes" };
        format!("{count} dead {letters} of {more}{causes} {causes_word}")
    }

    /// Prints the causes to stdout, the most frequent first; what cannot be shown there goes to stderr.
    pub(super) fn print(&self, now_ms: u64, json: bool) -> anyhow::Result<()> {
        let mut groups: Vec<&Group> = self.causes.values().collect();
        groups.sort_by_key(|group| (std::cmp::Reverse(group.count), &group.fingerprint));
        if json {
            output::json(&groups)?;
        } else if !groups.is_empty() {
            let mut table =
                output::table(&["cause", "count", "step", "class", "oldest", "newest", "error", "such as"]);
            for group in groups {
                table.add_row([
                    group.fingerprint.clone(),
                    group.count.to_string(),
                    group.step.to_string(),
                    group.class.clone(),
                    age(now_ms.saturating_sub(group.oldest_ms)),
                    age(now_ms.saturating_sub(group.newest_ms)),
                    group.message.chars().take(MESSAGE_CHARS_MAX).collect(),
                    group.job.clone(),
                ]);
            }
            output::data(&table.to_string())?;
        }
        if self.others > 0 {
            output::note(&format!("and {} letters of further causes; filter to see them", self.others));
        }
        if let Some(error) = self.unreadable.first() {
            output::note(&format!("{} letters cannot be read: {error}", self.unreadable_count));
        }
        Ok(())
    }
}

/// The outermost error and, where it is another, the innermost.
pub(super) fn message(letter: &DeadLetter) -> String {
    match &letter.chain[..] {
        [] => String::new(),
        [only] => only.clone(),
        [first, .., last] if first.contains(last.as_str()) => first.clone(),
        [first, .., last] => format!("{first}: {last}"),
    }
}
