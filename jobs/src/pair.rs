//! A pair in the making ([`Draft`]). What consumers get of it is in [`crate::body`], how it is stored in
//! [`crate::record`].

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use crate::{finding::Report, job::Step};

/// The most bytes any one stored body may have.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The version of the stored shapes that this release writes.
pub const DRAFT_VERSION: u32 = 1;

/// Names a pair. One that was not derived from a key sorts by the time it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PairId(Uuid);

impl PairId {
    /// A fresh id.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of the pair with this number of somebody's order: the same in each call with the same arguments, and
    /// different from that of any other.
    pub fn of_order(deployment: &str, key: &str, number: u64) -> Self {
        let mut hash = Sha256::new();
        for part in [deployment, key] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.update(number.to_be_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        Self(Builder::from_custom_bytes(id).into_uuid())
    }

    /// Which of `count` buckets the id falls into, 0 to `count - 1`; the same for ever.
    pub fn bucket(self, count: u32) -> u32 {
        // The low half of an id is random, whatever its version.
        let (_, low) = self.0.as_u64_pair();
        u32::try_from(low % u64::from(count.max(1))).unwrap_or(0)
    }
}

impl fmt::Display for PairId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PairId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// What sort of answer a pair has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One page of HTML, CSS and JavaScript.
    Web,
}

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Things that move.
    Animation,
    /// Phenomena and instruments.
    Science,
    /// Things to play.
    Games,
}

impl Topic {
    /// All topics with their share of pairs, in percent.
    pub const SHARES: [(Self, u32); 3] = [(Self::Animation, 40), (Self::Science, 30), (Self::Games, 30)];

    /// The stored and printed name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Animation => "animation",
            Self::Science => "science",
            Self::Games => "games",
        }
    }
}

/// Which of a pair's answers: the best one, or a variant that is worse by a known flaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CandidateName {
    /// Rank 0.
    Base,
}

impl CandidateName {
    /// All candidates, best first.
    pub const ALL: [Self; 1] = [Self::Base];

    /// The stored and printed name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
        }
    }

    /// Its place in the ground truth: 0 is best.
    pub fn rank(self) -> u32 {
        match self {
            Self::Base => 0,
        }
    }
}

impl fmt::Display for CandidateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the steps `objects` and `question` decide about a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Version of this shape.
    pub v: u32,
    /// What sort of answer it asks for.
    pub kind: Kind,
    /// Makes the pair's choices repeatable.
    pub seed: u64,
    /// When it was started, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Chosen by `objects`.
    pub topic: Option<Topic>,
    /// Who asks, one or two sentences; chosen by `objects`.
    pub persona: Option<String>,
    /// What the question must be about; chosen by `objects`.
    pub objects: Vec<String>,
    /// The whole question; written by `question`.
    pub question: Option<String>,
    /// The model that wrote the question.
    pub question_model: Option<String>,
}

impl Head {
    /// The head of a pair that is just being started.
    pub fn new(kind: Kind, seed: u64, created_ms: u64) -> Self {
        Self {
            v: DRAFT_VERSION,
            kind,
            seed,
            created_ms,
            topic: None,
            persona: None,
            objects: Vec::new(),
            question: None,
            question_model: None,
        }
    }
}

/// One answer in the making.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The id that consumers see.
    pub cid: Uuid,
    /// The model that wrote it.
    pub model: String,
    /// The page that the next step works on: one self-contained document of at most 1 MiB.
    pub page: String,
    /// What the last execution of `page` saw; absent until it ran.
    pub report: Option<Report>,
    /// What the candidate's very first execution saw, without its screenshot.
    pub first_report: Option<Report>,
    /// The version that fix started from; kept only until the execution of `page` says which is better.
    pub best: Option<Best>,
    /// Why solve sent it back to fix, newest last.
    pub objections: Vec<String>,
}

impl Candidate {
    /// A candidate that has just been written and not run yet.
    pub fn new(model: String, page: String) -> Self {
        Self {
            cid: Uuid::now_v7(),
            model,
            page,
            report: None,
            first_report: None,
            best: None,
            objections: Vec::new(),
        }
    }
}

/// A version of a candidate that no later one has bettered yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// The page, at most 1 MiB.
    pub page: String,
    /// What its execution saw, without its screenshot.
    pub report: Report,
}

/// What one finished job did; kept in the pair's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step.
    pub step: Step,
    /// The candidate, where the step has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<CandidateName>,
    /// How often the candidate had been through fix.
    pub round: u32,
    /// Runs that ended with an error before this one.
    pub attempt: u32,
    /// When it finished, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How long the run took.
    pub duration_ms: u64,
    /// LLM calls that the job used, whichever of its runs paid for them.
    pub llm_calls: u32,
    /// What they cost, millionths of a US dollar.
    pub cost_micro_usd: u64,
    /// Blocking findings, where the step executed something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocking: Option<u32>,
}

/// A pair in the making: everything that its finished steps stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The pair.
    pub id: PairId,
    /// Topic, persona, objects, question.
    pub head: Head,
    /// Its answers.
    pub candidates: BTreeMap<CandidateName, Candidate>,
    /// What its finished jobs did, in the order they finished.
    pub history: Vec<StepRecord>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_part_of_an_order_changes_the_ids_of_its_pairs() {
        let orders =
            [("mondo", "a", 0), ("mondo", "a", 1), ("mondo", "b", 0), ("mondoa", "", 0), ("other", "a", 0)];
        let ids: BTreeSet<PairId> = orders.iter().map(|(d, key, n)| PairId::of_order(d, key, *n)).collect();
        assert_eq!(ids.len(), orders.len());
    }

    /// Another way to derive ids would start the pairs of repeated orders twice.
    #[test]
    fn the_ids_of_an_order_stay_the_same_from_release_to_release() {
        let id = PairId::of_order("mondo", "a", 0).to_string();
        assert_eq!(id, "141c03ef-c854-8269-b1f6-41dbd6c18cef");
    }
}
