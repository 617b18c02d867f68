//! Changing what a dead job will find when it is put back, and the record of who did so.

use redis::AsyncCommands as _;

use super::{DeadLetter, unreadable};
use crate::{
    pair::PairId,
    queue::{
        Queue, QueueError,
        limits::{EVENTS_MAX, check_size},
    },
};

/// What the fields of a pair's record that tell of an edit begin with; the millisecond of the edit follows.
const EDIT_PREFIX: &str = "edit:";

/// One change to a dead letter's job, made all at once or not at all. What was read says what is changed: if it
/// is not so any more, nothing is.
#[derive(Debug, Clone)]
pub struct LetterEdit<'a> {
    /// The letter, as it was read.
    pub letter: &'a DeadLetter,
    /// The job's new envelope, where that is what changes.
    pub envelope: Option<&'a str>,
    /// A field of the pair's record, its value as it was read and its new one, where that is what changes.
    pub field: Option<(&'a str, &'a [u8], &'a [u8])>,
    /// Who, why, and what: kept with the pair for as long as the pair is. Opaque here.
    pub audit: &'a [u8],
}

/// What became of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// It is stored, since this millisecond of the Unix epoch by Redis's clock.
    At(u64),
    /// The job is not dead any more.
    NotDead,
    /// Somebody else changed the letter or the record since they were read.
    Changed,
}

impl Queue {
    /// Changes what a dead job will find when it is put back, and keeps the audit record.
    ///
    /// # Errors
    /// When Redis is away, something is larger than may be stored, or the letter has no pair.
    pub async fn edit_dead(&self, edit: &LetterEdit<'_>) -> Result<Edited, QueueError> {
        let LetterEdit { letter, envelope, field, audit } = *edit;
        let job = &letter.job;
        let pair =
            letter.pair.ok_or_else(|| unreadable(job, "it has no pair, so nothing in it can be edited"))?;
        check_size("audit record", audit.len())?;
        let Some((_, json)) = self.letter_json(job).await? else { return Ok(Edited::NotDead) };
        let stored = DeadLetter::read(job, &json, letter.at_ms)?;
        if stored != *letter {
            return Ok(Edited::Changed);
        }
        let new = DeadLetter { envelope: envelope.unwrap_or(&letter.envelope).to_owned(), ..stored };
        let (name, old_value, new_value) = field.unwrap_or_default();
        check_size(name, new_value.len())?;

        let keys = self.keys(pair);
        let mut call = self.scripts().edit.key(keys.dead_letters());
        // Plain data always serializes.
        call.key(keys.record(pair))
            .key(keys.counters())
            .key(keys.events())
            .arg(job)
            .arg(json)
            .arg(serde_json::to_string(&new).unwrap_or_default());
        call.arg(name).arg(old_value).arg(new_value).arg(audit).arg(EVENTS_MAX);
        Ok(match call.invoke_async::<i64>(&mut self.link(keys)).await? {
            0 => Edited::NotDead,
            -1 => Edited::Changed,
            at_ms => Edited::At(at_ms.unsigned_abs()),
        })
    }

    /// The audit records of a pair's edits, each with its millisecond of the Unix epoch, oldest first.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn edits(&self, pair: PairId) -> Result<Vec<(u64, Vec<u8>)>, QueueError> {
        let (record, mut link) = (self.keys(pair).record(pair), self.link(self.keys(pair)));
        let names: Vec<String> = link.hkeys(&record).await?;
        let mut times: Vec<u64> =
            names.iter().filter_map(|name| name.strip_prefix(EDIT_PREFIX)?.parse().ok()).collect();
        if times.is_empty() {
            return Ok(Vec::new());
        }
        times.sort_unstable();
        let names: Vec<String> = times.iter().map(|at_ms| format!("{EDIT_PREFIX}{at_ms}")).collect();
        let records: Vec<Option<Vec<u8>>> = link.hmget(record, &names[..]).await?;
        Ok(times.into_iter().zip(records).filter_map(|(at_ms, record)| Some((at_ms, record?))).collect())
    }
}
