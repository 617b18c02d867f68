//! What consumers get of a finished pair: the `body` of Dojo's v1 answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    finding::{Finding, Report},
    job::Step,
    pair::{BODY_BYTES_MAX, Candidate, Draft, Kind, StepRecord, Topic},
    record::RecordError,
};

/// One finished pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairBody {
    /// The question.
    pub prompt: String,
    /// Its answers, best first; never empty.
    pub responses: Vec<Response>,
    /// The rank of each answer by its `cid`: 0 is best.
    pub ground_truth: BTreeMap<Uuid, u32>,
    /// Where it comes from.
    pub metadata: Metadata,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The model that wrote it.
    pub model: String,
    /// Its id.
    pub cid: Uuid,
    /// Its files.
    pub completion: Completion,
}

/// The files of an answer: exactly one self-contained `index.html`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// The files.
    pub files: Vec<CompletionFile>,
}

/// One file of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionFile {
    /// Its name.
    pub filename: String,
    /// Its whole text.
    pub content: String,
    /// Its language.
    pub language: String,
}

/// Where a pair comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Always `UNIFIED`: how the consumer names pairs whose answers were all made here.
    pub augment_type: String,
    /// The pair's id.
    pub pair_id: String,
    /// What sort of answer it asks for.
    pub kind: Kind,
    /// What it is about.
    pub topic: Option<Topic>,
    /// Who asks.
    pub persona: Option<String>,
    /// What the question had to be about.
    pub objects: Vec<String>,
    /// Makes the pair's choices repeatable.
    pub seed: u64,
    /// The model that wrote the question.
    pub question_model: Option<String>,
    /// How it was made.
    pub history: History,
}

/// How a pair was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// How often its answers went through fix, all together.
    pub rounds: u32,
    /// LLM calls that were paid for.
    pub llm_calls: u32,
    /// What they cost, US dollars.
    pub cost_usd: f64,
    /// What the first execution of the best answer saw.
    pub findings_before: Vec<Finding>,
    /// What its last execution saw.
    pub findings_after: Vec<Finding>,
    /// What each job did, in the order they finished.
    pub steps: Vec<StepRecord>,
    /// Milliseconds from the start of the pair to the end of its last job.
    pub wall_ms: u64,
}

/// The v1 body of a finished draft as JSON, at most 2 MiB. The history must already hold the record of the
/// job that finishes the pair.
///
/// # Errors
/// When the draft lacks a question or an executed, clean answer, when the ground truth does not name exactly
/// the answers, or when the body is too large.
pub fn v1_body(draft: &Draft) -> Result<Vec<u8>, RecordError> {
    let body = PairBody::of(draft)?;
    body.check()?;
    let json = serde_json::to_vec(&body).map_err(|error| unpublishable(error.to_string()))?;
    if json.len() > BODY_BYTES_MAX {
        return Err(RecordError::TooLarge { what: "body".to_owned(), bytes: json.len() });
    }
    Ok(json)
}

impl PairBody {
    fn of(draft: &Draft) -> Result<Self, RecordError> {
        let head = &draft.head;
        let prompt = head.question.clone().ok_or_else(|| unpublishable("it has no question"))?;
        for (name, candidate) in &draft.candidates {
            let clean = candidate.report.as_ref().is_some_and(Report::is_clean);
            if candidate.best.is_some() || !clean {
                return Err(unpublishable(format!("its candidate `{name}` has no clean execution")));
            }
        }
        let metadata = Metadata {
            augment_type: "UNIFIED".to_owned(),
            pair_id: draft.id.to_string(),
            kind: head.kind,
            topic: head.topic,
            persona: head.persona.clone(),
            objects: head.objects.clone(),
            seed: head.seed,
            question_model: head.question_model.clone(),
            history: History::of(draft),
        };
        let candidates = draft.candidates.iter();
        Ok(Self {
            prompt,
            responses: draft.candidates.values().map(Response::of).collect(),
            ground_truth: candidates.map(|(name, candidate)| (candidate.cid, name.rank())).collect(),
            metadata,
        })
    }

    /// Checks what consumers take for granted: one of them ends itself on an empty list.
    ///
    /// # Errors
    /// When there is no answer, an answer is not exactly one non-empty `index.html`, or the ground truth does
    /// not name exactly the answers.
    pub fn check(&self) -> Result<(), RecordError> {
        if self.responses.is_empty() {
            return Err(unpublishable("it has no answer"));
        }
        for response in &self.responses {
            let [file] = response.completion.files.as_slice() else {
                let count = response.completion.files.len();
                return Err(unpublishable(format!("answer `{}` has {count} files, not one", response.cid)));
            };
            if file.filename != "index.html" || file.content.trim().is_empty() {
                return Err(unpublishable(format!("answer `{}` has no `index.html`", response.cid)));
            }
        }
        let mut cids: Vec<Uuid> = self.responses.iter().map(|response| response.cid).collect();
        cids.sort_unstable();
        if !self.ground_truth.keys().eq(&cids) {
            return Err(unpublishable("its ground truth does not name exactly its answers"));
        }
        Ok(())
    }
}

impl Response {
    fn of(candidate: &Candidate) -> Self {
        let file = CompletionFile {
            filename: "index.html".to_owned(),
            content: candidate.page.clone(),
            language: "html".to_owned(),
        };
        Self {
            model: candidate.model.clone(),
            cid: candidate.cid,
            completion: Completion { files: vec![file] },
        }
    }
}

impl History {
    fn of(draft: &Draft) -> Self {
        let steps = &draft.history;
        let fixes = steps.iter().filter(|record| record.step == Step::Fix).count();
        let cost_micro_usd: u64 = steps.iter().map(|record| record.cost_micro_usd).sum();
        let ended_ms = steps.iter().map(|record| record.at_ms).max().unwrap_or(draft.head.created_ms);
        let best = draft.candidates.values().next();
        let findings =
            |report: Option<&Report>| report.map_or_else(Vec::new, |report| report.findings.clone());
        Self {
            rounds: u32::try_from(fixes).unwrap_or(u32::MAX),
            llm_calls: steps.iter().map(|record| record.llm_calls).sum(),
            cost_usd: dollars(cost_micro_usd),
            findings_before: findings(best.and_then(|candidate| candidate.first_report.as_ref())),
            findings_after: findings(best.and_then(|candidate| candidate.report.as_ref())),
            steps: steps.clone(),
            wall_ms: ended_ms.saturating_sub(draft.head.created_ms),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to nine thousand million dollars")]
fn dollars(micro_usd: u64) -> f64 {
    micro_usd as f64 / 1e6
}

fn unpublishable(reason: impl Into<String>) -> RecordError {
    RecordError::Unpublishable { reason: reason.into() }
}

#[cfg(test)]
mod tests;
