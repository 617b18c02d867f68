//! Jobs that will not be run again by themselves, and how they come back.

use std::fmt::Write as _;

use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};

use super::{
    Priority, Queue, QueueError,
    entry::{Entry, Fields},
    keys::{Ended, JOB_FIELD, Keys},
    limits::{BATCH_MAX, EVENTS_MAX},
};
use crate::{
    job::{JobId, Step},
    pair::PairId,
};

/// The class of entries that were set aside.
pub(super) const UNDECODABLE: &str = "undecodable";

/// A job that will not be run again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The job, or `<step>@<entry>` where no id could be read.
    pub job: String,
    /// Its pair, where one could be read.
    pub pair: Option<PairId>,
    /// Its step.
    pub step: Step,
    /// Its priority.
    #[serde(default)]
    pub priority: Priority,
    /// Its envelope, or the fields of an entry that could not be decoded: names and values in turn, in hex,
    /// with a space between.
    pub envelope: String,
    /// Runs that ended with an error.
    pub attempts: u32,
    /// Runs that ended with their worker.
    pub crashes: u32,
    /// The class of the last error: what `mondo dead` groups and filters by.
    pub class: String,
    /// The last error and its causes, outermost first.
    pub chain: Vec<String>,
    /// When it died, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// Which dead letters are meant; a field that is absent means any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Of this step.
    pub step: Option<Step>,
    /// Of this error class.
    pub class: Option<String>,
    /// Of this job.
    pub job: Option<String>,
}

impl DeadFilter {
    fn takes(&self, letter: &DeadLetter) -> bool {
        self.step.is_none_or(|step| step == letter.step)
            && self.class.as_ref().is_none_or(|class| *class == letter.class)
            && self.job.as_ref().is_none_or(|job| *job == letter.job)
    }
}

impl Queue {
    /// Dead letters, of each shard the oldest first, at most `limit`.
    ///
    /// # Errors
    /// When Redis is away, or a letter cannot be read.
    pub async fn dead(&self, filter: &DeadFilter, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let mut found = Vec::new();
        for keys in self.shards() {
            self.add_dead_of(keys, filter, limit, &mut found).await?;
        }
        Ok(found)
    }

    async fn add_dead_of(
        &self,
        keys: &Keys,
        filter: &DeadFilter,
        limit: usize,
        found: &mut Vec<DeadLetter>,
    ) -> Result<(), QueueError> {
        let mut from = 0_isize;
        while found.len() < limit {
            let jobs: Vec<(String, u64)> = self
                .connection()
                .zrange_withscores(keys.dead(), from, from + isize::try_from(BATCH_MAX).unwrap_or(1) - 1)
                .await?;
            if jobs.is_empty() {
                break;
            }
            from += isize::try_from(jobs.len()).unwrap_or(isize::MAX);
            let names: Vec<&str> = jobs.iter().map(|(job, _)| job.as_str()).collect();
            let letters: Vec<Option<String>> =
                self.connection().hmget(keys.dead_letters(), &names[..]).await?;
            for ((job, at_ms), letter) in jobs.iter().zip(letters) {
                // A letter may be put back between the two reads.
                let Some(json) = letter else { continue };
                let letter = DeadLetter { at_ms: *at_ms, ..read(job, &json)? };
                if filter.takes(&letter) {
                    found.push(letter);
                }
            }
        }
        found.truncate(limit);
        Ok(())
    }

    /// Puts one dead letter back into its stream with fresh attempts. Says whether it was there.
    ///
    /// # Errors
    /// When Redis is away, or the letter cannot be read.
    pub async fn replay(&self, job: &str) -> Result<bool, QueueError> {
        let Some((keys, letter)) = self.letter(job).await? else { return Ok(false) };
        let mut call = self.scripts().replay.key(keys.dead());
        call.key(keys.dead_letters()).key(keys.stream(letter.step, letter.priority)).key(keys.counters());
        call.key(keys.events()).arg(job).arg(EVENTS_MAX);
        for (name, value) in entry_fields(letter)? {
            call.arg(name).arg(value);
        }
        Ok(call.invoke_async::<i64>(&mut self.connection()).await? == 1)
    }

    /// Gives a dead letter up: its pair ends as rejected, which frees the pair's place between the marks. Says
    /// whether it was there.
    ///
    /// # Errors
    /// When Redis is away, or the letter cannot be read.
    pub async fn discard(&self, job: &str) -> Result<bool, QueueError> {
        let Some((keys, letter)) = self.letter(job).await? else { return Ok(false) };
        let mut call = self.scripts().discard.key(keys.dead());
        call.key(keys.dead_letters()).key(keys.open()).key(keys.counters()).key(keys.events());
        call.key(keys.ended(Ended::Rejected)).key(keys.journals());
        if let Some(pair) = letter.pair {
            call.key(keys.record(pair)).key(keys.journal(pair));
        }
        let reason = format!("its job {job} was given up: {}: {}", letter.class, letter.chain.join(": "));
        let pair = letter.pair.map(|pair| pair.to_string()).unwrap_or_default();
        call.arg(job).arg(pair).arg(reason).arg(EVENTS_MAX);
        Ok(call.invoke_async::<i64>(&mut self.connection()).await? == 1)
    }

    /// A letter and the keys of its shard.
    async fn letter(&self, job: &str) -> Result<Option<(&Keys, DeadLetter)>, QueueError> {
        for keys in self.shards() {
            let json: Option<String> = self.connection().hget(keys.dead_letters(), job).await?;
            if let Some(json) = json {
                return Ok(Some((keys, read(job, &json)?)));
            }
        }
        Ok(None)
    }
}

fn read(job: &str, json: &str) -> Result<DeadLetter, QueueError> {
    serde_json::from_str(json).map_err(|error| unreadable(job, error.to_string()))
}

fn unreadable(job: &str, reason: impl Into<String>) -> QueueError {
    QueueError::Letter { job: job.to_owned(), reason: reason.into() }
}

/// The stream entry that a letter came from, with nothing counted.
fn entry_fields(letter: DeadLetter) -> Result<Fields, QueueError> {
    match letter.pair {
        Some(pair) => {
            let entry = Entry {
                id: JobId::from_stored(letter.job),
                pair,
                envelope: letter.envelope,
                attempts: 0,
                crashes: 0,
            };
            Ok(vec![(JOB_FIELD.into(), entry.to_json().into_bytes())])
        }
        None => from_hex(&letter.envelope)
            .filter(|fields| !fields.is_empty())
            .ok_or_else(|| unreadable(&letter.job, "its fields are not hex")),
    }
}

pub(super) fn to_hex(fields: &Fields) -> String {
    let words = fields.iter().flat_map(|(name, value)| [name, value]).map(|bytes| {
        bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    });
    words.collect::<Vec<_>>().join(" ")
}

fn from_hex(text: &str) -> Option<Fields> {
    let words = text.split(' ').map(bytes_of).collect::<Option<Vec<_>>>()?;
    let (pairs, rest) = words.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[name, value]| (name.clone(), value.clone())).collect())
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16)?).ok();
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_any_bytes_survive_hex() {
        let fields = vec![(b"a".to_vec(), vec![0, 255, 10]), (Vec::new(), b"\xff{".to_vec())];
        assert_eq!(from_hex(&to_hex(&fields)), Some(fields));
    }

    #[test]
    fn text_that_is_not_hex_is_refused() {
        for text in ["zz 00", "0 00", "00", "+1 00"] {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }
}
