//! Jobs that will not be run again by themselves, and how they come back.

mod edit;
mod fate;
mod fingerprint;
pub(super) mod hex;
mod page;

use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};

pub use self::{
    edit::{Edited, LetterEdit},
    fate::{Fate, Replayed},
    page::{DeadFilter, DeadPage, DeadPages},
};
use self::{fingerprint::fingerprint, hex::from_hex};
use super::{
    Delivery, Priority, Queue, QueueError, Undecodable,
    entry::{Entry, Fields},
    keys::{Ended, JOB_FIELD},
    lane::Lane,
    limits::EVENTS_MAX,
};
use crate::{
    job::{JobId, Step},
    pair::PairId,
};

/// The class of entries that were set aside.
const UNDECODABLE: &str = "undecodable";
/// The most errors of a chain that a letter keeps: the outermost ones, and the innermost.
const CHAIN_MAX: usize = 8;
/// The most bytes that a letter keeps of one error, one class or one line of the log.
const TEXT_BYTES_MAX: usize = 8 * 1024;
/// The most lines of the log that a letter keeps.
const LOG_LINES_MAX: usize = 100;

/// How a job came to die.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Death {
    /// Runs that ended with an error, the last one included.
    pub attempts: u32,
    /// Runs that ended with their process since the job was claimed.
    pub crashes: u32,
    /// The class of the last error.
    pub class: String,
    /// The last error and its causes, outermost first.
    pub chain: Vec<String>,
    /// Provider and model that the last run asked, if it asked one.
    pub model: Option<String>,
    /// The last lines that the last run logged, oldest first.
    pub log: Vec<String>,
}

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
    /// The class of the last error.
    pub class: String,
    /// Eight hex digits, the same for deaths of one cause. Letters of releases that wrote none get theirs when
    /// they are read.
    #[serde(default)]
    pub fingerprint: String,
    /// The last error and its causes, outermost first.
    pub chain: Vec<String>,
    /// Provider and model that the last run asked, if it asked one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The last lines that the last run logged, oldest first; none where the run ended with its worker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// When it died, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl DeadLetter {
    pub(super) fn of_job(delivery: &Delivery, death: &Death) -> Self {
        let class = cut(&death.class);
        let chain = short(&death.chain);
        let lines = death.log.iter().rev().take(LOG_LINES_MAX).rev();
        Self {
            job: delivery.job.as_str().to_owned(),
            pair: Some(delivery.pair),
            step: delivery.step,
            priority: delivery.priority,
            envelope: delivery.envelope.clone(),
            attempts: death.attempts,
            crashes: delivery.crashes.saturating_add(death.crashes),
            fingerprint: fingerprint(delivery.step, &class, &chain),
            class,
            chain,
            model: death.model.clone(),
            log: lines.map(|line| cut(line)).collect(),
            at_ms: 0,
        }
    }

    pub(super) fn of_entry(entry: &Undecodable) -> Self {
        let Undecodable { step, priority, entry, fields, reason, .. } = entry;
        let chain = vec![cut(&format!("undecodable entry: {reason}"))];
        Self {
            job: name_without_id(*step, *priority, entry),
            pair: None,
            step: *step,
            priority: *priority,
            envelope: hex::to_hex(fields),
            attempts: 0,
            crashes: 0,
            class: UNDECODABLE.to_owned(),
            fingerprint: fingerprint(*step, UNDECODABLE, &chain),
            chain,
            model: None,
            log: Vec::new(),
            at_ms: 0,
        }
    }

    /// `at_ms` is the score under which the letter was found.
    fn read(job: &str, json: &str, at_ms: u64) -> Result<Self, QueueError> {
        let mut letter: Self =
            serde_json::from_str(json).map_err(|error| unreadable(job, error.to_string()))?;
        if letter.fingerprint.is_empty() {
            letter.fingerprint = fingerprint(letter.step, &letter.class, &letter.chain);
        }
        Ok(Self { at_ms, ..letter })
    }

    /// The stream entry that the letter came from, with nothing counted.
    fn entry_fields(&self) -> Result<Fields, QueueError> {
        match self.pair {
            Some(pair) => {
                let entry = Entry {
                    id: JobId::from_stored(self.job.clone()),
                    pair,
                    envelope: self.envelope.clone(),
                    attempts: 0,
                    crashes: 0,
                };
                Ok(vec![(JOB_FIELD.into(), entry.to_json().into_bytes())])
            }
            None => from_hex(&self.envelope)
                .filter(|fields| !fields.is_empty())
                .ok_or_else(|| unreadable(&self.job, "its fields are not hex")),
        }
    }
}

/// What an entry is called that names no job.
fn name_without_id(step: Step, priority: Priority, entry: &str) -> String {
    match priority {
        Priority::Normal => format!("{step}@{entry}"),
        Priority::High => format!("{step}:{}@{entry}", priority.name()),
    }
}

impl Queue {
    /// One dead letter; `None` when there is none of that job.
    ///
    /// # Errors
    /// When Redis is away, or the letter cannot be read.
    pub async fn dead_letter(&self, job: &str) -> Result<Option<DeadLetter>, QueueError> {
        let filter = DeadFilter { jobs: vec![job.to_owned()], ..DeadFilter::default() };
        let mut pages = self.dead_pages(filter);
        while let Some(DeadPage { letters, unreadable }) = pages.next().await? {
            if let Some(error) = unreadable.into_iter().next() {
                return Err(error);
            }
            if let Some(letter) = letters.into_iter().next() {
                return Ok(Some(letter));
            }
        }
        Ok(None)
    }

    /// Puts one dead letter back into its stream with fresh attempts; its pair's journal stays, so nothing is
    /// paid again. `None` when it was not there: of any number of callers one gets it.
    ///
    /// # Errors
    /// When Redis is away, or the letter cannot be read.
    pub async fn replay(&self, job: &str) -> Result<Option<Replayed>, QueueError> {
        loop {
            let Some((shard, json)) = self.letter_json(job).await? else { return Ok(None) };
            let (keys, letter) = (self.shard(shard), DeadLetter::read(job, &json, 0)?);
            let stream = keys.stream(letter.step, letter.priority);
            let mut call = self.scripts().replay.key(keys.dead());
            call.key(keys.dead_letters()).key(stream).key(keys.counters()).key(keys.events());
            call.arg(job).arg(json).arg(EVENTS_MAX);
            for (name, value) in letter.entry_fields()? {
                call.arg(name).arg(value);
            }
            match call.invoke_async::<String>(&mut self.link(keys)).await?.as_str() {
                "" => return Ok(None),
                // Somebody edited it between the two calls.
                "changed" => {}
                entry => {
                    let lane = Lane { shard, step: letter.step, priority: letter.priority };
                    return Ok(Some(Replayed::new(&letter, lane, entry)));
                }
            }
        }
    }

    /// Gives a dead letter up: its pair ends as rejected, which frees the pair's place between the marks. Says
    /// whether it was there.
    ///
    /// # Errors
    /// When Redis is away, or the letter cannot be read.
    pub async fn discard(&self, job: &str) -> Result<bool, QueueError> {
        let Some((shard, json)) = self.letter_json(job).await? else { return Ok(false) };
        let (keys, letter) = (self.shard(shard), DeadLetter::read(job, &json, 0)?);
        let mut call = self.scripts().discard.key(keys.dead());
        call.key(keys.dead_letters()).key(keys.open()).key(keys.counters()).key(keys.events());
        call.key(keys.ended(Ended::Rejected)).key(keys.journals());
        if let Some(pair) = letter.pair {
            call.key(keys.record(pair)).key(keys.journal(pair));
        }
        let reason = format!("its job {job} was given up: {}: {}", letter.class, letter.chain.join(": "));
        let pair = letter.pair.map(|pair| pair.to_string()).unwrap_or_default();
        call.arg(job).arg(pair).arg(reason).arg(EVENTS_MAX);
        Ok(call.invoke_async::<i64>(&mut self.link(keys)).await? == 1)
    }

    /// A letter as it is stored, and its shard.
    async fn letter_json(&self, job: &str) -> Result<Option<(u32, String)>, QueueError> {
        for (shard, keys) in (0..).zip(self.shards()) {
            let json: Option<String> = self.link(keys).hget(keys.dead_letters(), job).await?;
            if let Some(json) = json {
                return Ok(Some((shard, json)));
            }
        }
        Ok(None)
    }
}

fn unreadable(job: &str, reason: impl Into<String>) -> QueueError {
    QueueError::Letter { job: job.to_owned(), reason: reason.into() }
}

fn short(chain: &[String]) -> Vec<String> {
    let outer = chain.len().min(CHAIN_MAX - 1);
    let root = chain[outer..].last();
    chain[..outer].iter().chain(root).map(|error| cut(error)).collect()
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}
