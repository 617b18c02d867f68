//! One step of one pair: what a stream entry names.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::pair::{CandidateName, PairId};

/// The version of [`Job`]'s stored shape that this release writes.
pub const ENVELOPE_VERSION: u32 = 1;

/// How often one run asks a responder at most.
pub const ASKS_MAX: u32 = 3;

/// What a run may take beyond its calls, a browser's work included.
const WORK_TIME_MAX: Duration = Duration::from_mins(2);

/// The six steps, in the order a pair walks through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Picks topic, persona and objects.
    Objects,
    /// Writes the question.
    Question,
    /// Writes a candidate.
    Answer,
    /// Runs a candidate in the sandbox.
    Execute,
    /// Mends a candidate.
    Fix,
    /// Judges a candidate.
    Solve,
}

impl Step {
    /// All steps in order.
    pub const ALL: [Self; 6] =
        [Self::Objects, Self::Question, Self::Answer, Self::Execute, Self::Fix, Self::Solve];

    /// The stored and printed name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Question => "question",
            Self::Answer => "answer",
            Self::Execute => "execute",
            Self::Fix => "fix",
            Self::Solve => "solve",
        }
    }

    /// Whether its jobs ask a responder.
    pub fn asks_responder(self) -> bool {
        self != Self::Execute
    }

    /// Whether its jobs lead to pairs that do not exist yet, instead of finishing those that do: what slows when
    /// nobody takes the finished ones.
    pub fn is_upstream(self) -> bool {
        matches!(self, Self::Objects | Self::Question | Self::Answer)
    }

    /// How many runs may end with an error before the job becomes a dead letter.
    pub fn attempts_max(self) -> u32 {
        5
    }

    /// How long one run may take where one call of a responder takes at most `call_max`; a run over it is cancelled
    /// and counts as failed. It leaves time for every call that a step may make.
    pub fn time_max(self, call_max: Duration) -> Duration {
        let calls = if self.asks_responder() { ASKS_MAX * call_max } else { Duration::ZERO };
        calls + WORK_TIME_MAX
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is not the name of a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no step; steps are objects, question, answer, execute, fix, solve")]
pub struct UnknownStep(pub String);

impl FromStr for Step {
    type Err = UnknownStep;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|step| step.name() == text).ok_or_else(|| UnknownStep(text.to_owned()))
    }
}

/// Names a job: the same work always has the same id, so it cannot be stored twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// Takes an id as it was stored.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pair that the id begins with; none in an id of another form.
    pub fn pair(&self) -> Option<PairId> {
        self.0.split_once('/')?.0.parse().ok()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One step for one pair (objects, question) or for one of its candidates (the other four).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Job {
    /// The pair.
    pub pair: PairId,
    /// The step.
    pub step: Step,
    /// The candidate; absent for the steps that make the question.
    pub candidate: Option<CandidateName>,
    /// How often the candidate has been through fix.
    pub round: u32,
}

impl Job {
    /// The job that starts a pair.
    pub fn first(pair: PairId) -> Self {
        Self { pair, step: Step::Objects, candidate: None, round: 0 }
    }

    /// `<pair>/<step>` or `<pair>/<candidate>/<step>/<round>`.
    pub fn id(&self) -> JobId {
        match self.candidate {
            None => JobId(format!("{}/{}", self.pair, self.step)),
            Some(candidate) => JobId(format!("{}/{candidate}/{}/{}", self.pair, self.step, self.round)),
        }
    }

    /// The versioned envelope that a stream entry carries.
    pub fn envelope(&self) -> String {
        let envelope = Envelope {
            kind: self.step.name().to_owned(),
            v: ENVELOPE_VERSION,
            candidate: self.candidate,
            round: self.round,
        };
        serde_json::to_string(&envelope).unwrap_or_default()
    }

    /// Reads an envelope back.
    ///
    /// # Errors
    /// When it is not JSON of a shape this release knows, or is of a newer version.
    pub fn from_envelope(pair: PairId, text: &str) -> Result<Self, EnvelopeError> {
        let envelope: Envelope =
            serde_json::from_str(text).map_err(|error| EnvelopeError::Undecodable(error.to_string()))?;
        if envelope.v > ENVELOPE_VERSION {
            return Err(EnvelopeError::Newer { v: envelope.v });
        }
        let step = envelope
            .kind
            .parse()
            .map_err(|error: UnknownStep| EnvelopeError::Undecodable(error.to_string()))?;
        Ok(Self { pair, step, candidate: envelope.candidate, round: envelope.round })
    }
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    kind: String,
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    candidate: Option<CandidateName>,
    #[serde(default)]
    round: u32,
}

/// Why an envelope cannot be run by this release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It does not decode; the entry is set aside.
    #[error("undecodable envelope: {0}")]
    Undecodable(String),
    /// A newer release wrote it; the entry is left for a newer worker.
    #[error("envelope version {v} is newer than this worker's {ENVELOPE_VERSION}")]
    Newer {
        /// The version it names.
        v: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_time_for_all_its_calls() {
        let call = Duration::from_mins(10);
        for step in Step::ALL {
            let calls = if step == Step::Execute { 0 } else { ASKS_MAX };
            assert!(step.time_max(call) > calls * call, "{step}");
        }
    }
}
