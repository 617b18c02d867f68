//! Changing a dead letter's job by hand before it is put back. What can be changed is a closed list; each change
//! is checked, made whole or not at all, and leaves an audit record with the pair.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    job::{EnvelopeError, Job},
    pair::{Head, PairId},
    queue::{DeadLetter, Edited, LetterEdit, Queue, QueueError},
    record::{self, RecordError},
};

/// The most bytes that a new value may have.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// The most bytes that a name or a reason may have.
const REMARK_BYTES_MAX: usize = 1024;
/// The most edits that one pair keeps.
pub const EDITS_MAX: usize = 100;

/// What can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Editable {
    /// The text of the pair's question. It keeps everything that was made for the old one.
    Question,
    /// The job's envelope, where the stored one does not decode. It must name the same job.
    Envelope,
}

impl Editable {
    /// The stored and printed name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Envelope => "envelope",
        }
    }
}

impl FromStr for Editable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "question" => Ok(Self::Question),
            "envelope" => Ok(Self::Envelope),
            other => Err(format!("`{other}` cannot be edited; what can is question, envelope")),
        }
    }
}

/// One change that was made, as the pair keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The job whose letter was edited.
    pub job: String,
    /// What was changed.
    pub what: Editable,
    /// The value before.
    pub old: String,
    /// The value after.
    pub new: String,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, milliseconds since the Unix epoch by Redis's clock.
    #[serde(default)]
    pub at_ms: u64,
}

/// What somebody asks to be changed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The job, as its dead letter names it.
    pub job: &'a str,
    /// What to change.
    pub what: Editable,
    /// The value that it is to have, at most [`VALUE_BYTES_MAX`].
    pub value: &'a str,
    /// Who asks, at most 1 KiB.
    pub by: &'a str,
    /// Why, at most 1 KiB.
    pub reason: &'a str,
}

/// Why a change was not made. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The queue could not do it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The pair's record cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No letter of that name.
    #[error("no dead letter `{0}`; `mondo dead ls --all` lists them")]
    NotDead(String),
    /// Somebody else changed it meanwhile.
    #[error("`{0}` was changed by somebody else meanwhile; look at it again with `mondo dead show`")]
    Changed(String),
    /// The letter has nothing to edit.
    #[error("`{0}` is no job of ours and can only be put back or given up")]
    Undecodable(String),
    /// The new envelope cannot be run.
    #[error("the new envelope is refused: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The new envelope is another job.
    #[error("the new envelope names the job `{found}`; it must name `{wanted}`")]
    OtherJob {
        /// What it names.
        found: String,
        /// What it must name.
        wanted: String,
    },
    /// There is nothing to change yet.
    #[error("the pair has no question yet: its step `question` writes it")]
    NoQuestion,
    /// The value is as good as none, or what is there already.
    #[error("the new {0} is empty or the same as the old one")]
    Nothing(&'static str),
    /// Something is larger than may be.
    #[error("the {what} has {bytes} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The pair has been edited too often.
    #[error("the pair has {EDITS_MAX} edits, and no more are kept; discard the letter instead")]
    TooMany,
}

/// Makes one change and keeps its audit record, which it returns.
///
/// # Errors
/// See [`EditError`].
pub async fn edit(queue: &Queue, request: Request<'_>) -> Result<Edit, EditError> {
    check(&request)?;
    let Request { job, what, value, by, reason } = request;
    let letter = queue.dead_letter(job).await?.ok_or_else(|| EditError::NotDead(job.to_owned()))?;
    let pair = letter.pair.ok_or_else(|| EditError::Undecodable(job.to_owned()))?;
    if queue.edits(pair).await?.len() >= EDITS_MAX {
        return Err(EditError::TooMany);
    }
    let field = match what {
        Editable::Envelope => None,
        Editable::Question => Some(question(queue, pair, value).await?),
    };
    let old = match &field {
        Some((old, ..)) => old.clone(),
        None => envelope(&letter, pair, value)?,
    };
    if value.trim().is_empty() || old == value {
        return Err(EditError::Nothing(what.name()));
    }
    let edit = Edit {
        job: job.to_owned(),
        what,
        old,
        new: value.to_owned(),
        by: by.to_owned(),
        reason: reason.to_owned(),
        at_ms: 0,
    };
    let done = queue
        .edit_dead(&LetterEdit {
            letter: &letter,
            envelope: field.is_none().then_some(value),
            field: field.as_ref().map(|(_, before, after)| (record::HEAD, &before[..], &after[..])),
            // Plain data always serializes.
            audit: &serde_json::to_vec(&edit).unwrap_or_default(),
        })
        .await?;
    match done {
        Edited::At(at_ms) => Ok(Edit { at_ms, ..edit }),
        Edited::NotDead => Err(EditError::NotDead(job.to_owned())),
        Edited::Changed => Err(EditError::Changed(job.to_owned())),
    }
}

/// The changes that were made to a pair, oldest first.
///
/// # Errors
/// When Redis is away.
pub async fn edits(queue: &Queue, pair: PairId) -> Result<Vec<Edit>, QueueError> {
    let stored = queue.edits(pair).await?;
    Ok(stored
        .into_iter()
        .filter_map(|(at_ms, json)| Some(Edit { at_ms, ..serde_json::from_slice(&json).ok()? }))
        .collect())
}

fn check(request: &Request<'_>) -> Result<(), EditError> {
    for (what, text, limit) in [
        ("new value", request.value, VALUE_BYTES_MAX),
        ("name of who edits", request.by, REMARK_BYTES_MAX),
        ("reason", request.reason, REMARK_BYTES_MAX),
    ] {
        if text.len() > limit {
            return Err(EditError::TooLarge { what, bytes: text.len(), limit });
        }
    }
    Ok(())
}

/// The envelope as it is; the new one must decode and name the same job.
fn envelope(letter: &DeadLetter, pair: PairId, value: &str) -> Result<String, EditError> {
    let found = Job::from_envelope(pair, value)?.id();
    if found.as_str() != letter.job {
        return Err(EditError::OtherJob { found: found.to_string(), wanted: letter.job.clone() });
    }
    Ok(letter.envelope.clone())
}

/// The question as it is, the pair's head as it is stored, and the head with the new question.
async fn question(queue: &Queue, pair: PairId, value: &str) -> Result<(String, Vec<u8>, Vec<u8>), EditError> {
    let fields = queue.record(pair).await?;
    let before = fields.get(record::HEAD).cloned().unwrap_or_default();
    let head = record::decode(pair, fields)?.head;
    let old = head.question.clone().ok_or(EditError::NoQuestion)?;
    let (_, after) = record::head_field(&Head { question: Some(value.to_owned()), ..head })?;
    Ok((old, before, after))
}
