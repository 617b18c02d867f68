//! How a pair is stored: one Redis hash, whose fields this module writes and reads.
//!
//! | field | holds |
//! |---|---|
//! | `head` | JSON of [`Head`] |
//! | `candidate:<name>` | JSON of a candidate without its pages |
//! | `page:<name>` | the page that the next step works on, UTF-8 |
//! | `best:<name>` | the page that fix started from; counts only while the candidate's JSON has a `best` |
//! | `shot:<name>` | PNG of the last execution |
//! | `done:<job id>` | JSON of a [`StepRecord`] |
//!
//! Pages stand apart from the JSON, so that escaping cannot push two pages of 1 MiB over what one field may
//! hold. Each JSON object carries its version `v` (absent means 1); fields with other names are ignored.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    disposition::Disposition,
    finding::Report,
    job::Job,
    pair::{
        BODY_BYTES_MAX, Best, Candidate, CandidateName, DRAFT_VERSION, Draft, Head, Kind, PairId, StepRecord,
    },
    queue::{NewJob, NewPair, Priority},
};

/// One field of a pair's record: its name and its bytes, at most [`BODY_BYTES_MAX`].
pub type Field = (String, Vec<u8>);

/// All fields of a pair's record.
pub type Fields = HashMap<String, Vec<u8>>;

/// Why a record cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A field that every pair has is not there: the record is gone or was never written.
    #[error("the pair's record has no field `{field}`")]
    Missing {
        /// The field.
        field: String,
    },
    /// A field does not decode.
    #[error("the pair's field `{field}` does not decode: {message}")]
    Undecodable {
        /// The field.
        field: String,
        /// What the decoder said.
        message: String,
    },
    /// A newer release wrote the field.
    #[error("the pair's field `{field}` is of version {v}, newer than this worker's {DRAFT_VERSION}")]
    Newer {
        /// The field.
        field: String,
        /// The version it names.
        v: u32,
    },
    /// A field or body is larger than may be stored.
    #[error("`{what}` has {bytes} bytes, more than the {BODY_BYTES_MAX} that are allowed")]
    TooLarge {
        /// The field, or `body`.
        what: String,
        /// Its size.
        bytes: usize,
    },
    /// The draft is not a pair that consumers may get.
    #[error("the pair cannot be published: {reason}")]
    Unpublishable {
        /// What is wrong with it.
        reason: String,
    },
}

impl RecordError {
    /// What becomes of the job that met this error. A newer record waits for a newer worker.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Newer { .. } => Disposition::Wait { after: None },
            Self::Missing { .. }
            | Self::Undecodable { .. }
            | Self::TooLarge { .. }
            | Self::Unpublishable { .. } => Disposition::Bury,
        }
    }

    /// The stored and printed name of the error's class.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "record_missing",
            Self::Undecodable { .. } => "undecodable",
            Self::Newer { .. } => "newer",
            Self::TooLarge { .. } => "too_large",
            Self::Unpublishable { .. } => "unpublishable",
        }
    }
}

/// A fresh pair with its first job, ready to be started.
///
/// # Errors
/// When the record cannot be encoded; see [`RecordError`].
pub fn new_pair(seed: u64, now_ms: u64) -> Result<NewPair, RecordError> {
    pair_of(PairId::fresh(), Priority::default(), seed, now_ms)
}

/// As [`new_pair`], under an id that somebody can name again.
///
/// # Errors
/// When the record cannot be encoded; see [`RecordError`].
pub fn pair_of(id: PairId, priority: Priority, seed: u64, now_ms: u64) -> Result<NewPair, RecordError> {
    let head = head_field(&Head::new(Kind::Web, seed, now_ms))?;
    Ok(NewPair { id, priority, fields: vec![head], first: new_job(&Job::first(id)) })
}

/// A job as the queue takes it.
pub fn new_job(job: &Job) -> NewJob {
    NewJob { id: job.id(), pair: job.pair, step: job.step, envelope: job.envelope() }
}

/// The name of the field that keeps what a job did.
pub fn done_name(job: &Job) -> String {
    format!("{DONE}{}", job.id())
}

/// Every field that the draft's head and candidates make, except those that `stored` already holds as they
/// are. The history is not among them: each job's commit adds its own record.
///
/// # Errors
/// When a field is over [`BODY_BYTES_MAX`].
pub fn changed_fields(stored: &Fields, draft: &Draft) -> Result<Vec<Field>, RecordError> {
    let mut fields = vec![head_field(&draft.head)?];
    for (name, candidate) in &draft.candidates {
        fields.extend(candidate_fields(*name, candidate)?);
    }
    fields.retain(|(name, value)| stored.get(name) != Some(value));
    Ok(fields)
}

/// The field of a pair's head.
///
/// # Errors
/// When it is over [`BODY_BYTES_MAX`].
pub fn head_field(head: &Head) -> Result<Field, RecordError> {
    json_field(HEAD.to_owned(), head)
}

/// The fields of a candidate: its JSON, its pages, its screenshot.
///
/// # Errors
/// When one of them is over [`BODY_BYTES_MAX`].
pub fn candidate_fields(name: CandidateName, candidate: &Candidate) -> Result<Vec<Field>, RecordError> {
    let stored = StoredCandidate {
        v: DRAFT_VERSION,
        cid: candidate.cid,
        model: candidate.model.clone(),
        report: candidate.report.clone(),
        first_report: candidate.first_report.clone(),
        best: candidate.best.as_ref().map(|best| best.report.clone()),
        objections: candidate.objections.clone(),
    };
    let mut fields = vec![
        json_field(format!("{CANDIDATE}{name}"), &stored)?,
        field(format!("{PAGE}{name}"), candidate.page.clone().into_bytes())?,
    ];
    if let Some(best) = &candidate.best {
        fields.push(field(format!("{BEST}{name}"), best.page.clone().into_bytes())?);
    }
    if let Some(png) = candidate.report.as_ref().and_then(|report| report.screenshot.as_ref()) {
        fields.push(field(format!("{SHOT}{name}"), png.clone())?);
    }
    Ok(fields)
}

/// The value of the field [`done_name`]: what a finished job did.
///
/// # Errors
/// When it is over [`BODY_BYTES_MAX`].
pub fn done_value(record: &StepRecord) -> Result<Vec<u8>, RecordError> {
    json_field(DONE.to_owned(), record).map(|(_, value)| value)
}

/// Reads a pair's record back.
///
/// # Errors
/// When the head is missing, or a field does not decode or is of a newer version.
pub fn decode(id: PairId, mut fields: Fields) -> Result<Draft, RecordError> {
    let head = read(HEAD, fields.get(HEAD).ok_or_else(|| missing(HEAD))?)?;
    let mut candidates = BTreeMap::new();
    for name in CandidateName::ALL {
        if let Some(json) = fields.remove(&format!("{CANDIDATE}{name}")) {
            candidates.insert(name, candidate(name, &json, &mut fields)?);
        }
    }
    let mut history = Vec::new();
    for (name, value) in fields.iter().filter(|(name, _)| name.starts_with(DONE)) {
        history.push((read::<StepRecord>(name, value)?, name));
    }
    history.sort_by(|(a, a_name), (b, b_name)| (a.at_ms, a_name).cmp(&(b.at_ms, b_name)));
    let history = history.into_iter().map(|(record, _)| record).collect();
    Ok(Draft { id, head, candidates, history })
}

/// The name of the field that keeps the head.
pub const HEAD: &str = "head";
const CANDIDATE: &str = "candidate:";
const PAGE: &str = "page:";
const BEST: &str = "best:";
const SHOT: &str = "shot:";
const DONE: &str = "done:";

/// A candidate as its JSON field holds it.
#[derive(Serialize, Deserialize)]
struct StoredCandidate {
    v: u32,
    cid: Uuid,
    model: String,
    report: Option<Report>,
    first_report: Option<Report>,
    best: Option<Report>,
    objections: Vec<String>,
}

fn candidate(name: CandidateName, json: &[u8], fields: &mut Fields) -> Result<Candidate, RecordError> {
    let stored: StoredCandidate = read(&format!("{CANDIDATE}{name}"), json)?;
    let page = text(&format!("{PAGE}{name}"), fields)?;
    let best = match stored.best {
        Some(report) => Some(Best { page: text(&format!("{BEST}{name}"), fields)?, report }),
        None => None,
    };
    let screenshot = fields.remove(&format!("{SHOT}{name}"));
    Ok(Candidate {
        cid: stored.cid,
        model: stored.model,
        page,
        report: stored.report.map(|report| Report { screenshot, ..report }),
        first_report: stored.first_report,
        best,
        objections: stored.objections,
    })
}

fn json_field(name: String, value: &impl Serialize) -> Result<Field, RecordError> {
    match serde_json::to_vec(value) {
        Ok(json) => field(name, json),
        Err(error) => Err(RecordError::Undecodable { field: name, message: error.to_string() }),
    }
}

fn field(name: String, value: Vec<u8>) -> Result<Field, RecordError> {
    if value.len() > BODY_BYTES_MAX {
        return Err(RecordError::TooLarge { what: name, bytes: value.len() });
    }
    Ok((name, value))
}

fn text(name: &str, fields: &mut Fields) -> Result<String, RecordError> {
    let bytes = fields.remove(name).ok_or_else(|| missing(name))?;
    String::from_utf8(bytes).map_err(|error| undecodable(name, &error))
}

/// Reads a JSON field; its version is looked at first, since a newer shape need not fit ours.
fn read<T: DeserializeOwned>(name: &str, json: &[u8]) -> Result<T, RecordError> {
    #[derive(Deserialize)]
    struct Version {
        #[serde(default = "first")]
        v: u32,
    }
    fn first() -> u32 {
        1
    }

    let Version { v } = serde_json::from_slice(json).map_err(|error| undecodable(name, &error))?;
    if v > DRAFT_VERSION {
        return Err(RecordError::Newer { field: name.to_owned(), v });
    }
    serde_json::from_slice(json).map_err(|error| undecodable(name, &error))
}

fn missing(field: &str) -> RecordError {
    RecordError::Missing { field: field.to_owned() }
}

fn undecodable(field: &str, error: &dyn std::error::Error) -> RecordError {
    RecordError::Undecodable { field: field.to_owned(), message: error.to_string() }
}

#[cfg(test)]
mod tests;
