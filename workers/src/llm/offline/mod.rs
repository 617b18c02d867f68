//! `offline`: a responder without a network. It is no LLM and says so: it writes questions and answers from a
//! seeded grammar, plants faults in some of its answers, mends what an execution finds, and judges by looking.
//!
//! It reads [`Request::inputs`], never the prompt. The same seed and inputs always give the same reply.

mod dice;
mod families;
mod faults;
mod judge;
mod look;
mod mend;
mod page;
mod question;
mod source;
#[cfg(test)]
mod tests;
mod text;

use async_trait::async_trait;
use mondo_jobs::{
    finding::{Finding, Report},
    pair::Topic,
    ports::{Llm, LlmError, Purpose, Reply, Request},
    steps::replies::{AnswerReply, FixReply, ObjectsReply, QuestionReply, SolveReply, SourceFile},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use faults::Fault;

use self::{dice::Dice, mend::Care};

/// The name that every reply carries as its model.
pub const MODEL: &str = "mondo/offline";

/// Fewer objects than this are not offered, even if recent pairs used them.
const OBJECTS_MIN: usize = 5;

/// The share of pairs, in percent, whose fixes mend one cause at a time.
const HASTY_SHARE: usize = 10;

/// The share of first fixes, in percent, that misspell a name again.
const SLIPPING_SHARE: usize = 15;

/// Answers every request by itself, at once, for nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offline;

impl Offline {
    /// The kinds of faults that the answer of a seed carries; empty for a clean one.
    pub fn faults(seed: u64) -> Vec<Fault> {
        faults::chosen(seed)
    }
}

#[async_trait]
impl Llm for Offline {
    async fn complete(&self, request: &Request) -> Result<Reply, LlmError> {
        let text = reply(request)?;
        let prompt_bytes = request.messages.iter().map(|message| message.content.len()).sum();
        Ok(Reply {
            complete: true,
            model: MODEL.to_owned(),
            tokens_in: tokens(prompt_bytes),
            tokens_out: tokens(text.len()),
            cost_micro_usd: 0,
            latency_ms: 0,
            text,
        })
    }
}

fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}

fn reply(request: &Request) -> Result<String, LlmError> {
    let seed = request.seed;
    match request.purpose {
        Purpose::Objects => written(&objects(&inputs(request)?, seed)),
        Purpose::Question => written(&ask(&inputs(request)?, seed)),
        Purpose::Answer => written(&answer(&inputs(request)?, seed)),
        Purpose::Fix => written(&fix(&inputs(request)?, seed)),
        Purpose::Solve => written(&solve(&inputs(request)?, seed)),
    }
}

fn inputs<T: DeserializeOwned>(request: &Request) -> Result<T, LlmError> {
    T::deserialize(&request.inputs).map_err(|error| LlmError::Refused {
        responder: MODEL.to_owned(),
        status: 422,
        message: format!("its inputs are not those of this purpose: {error}"),
    })
}

fn written(reply: &impl Serialize) -> Result<String, LlmError> {
    serde_json::to_string(reply)
        .map_err(|error| LlmError::Unavailable { responder: MODEL.to_owned(), message: error.to_string() })
}

#[derive(Deserialize)]
struct ObjectsInputs {
    topic: Topic,
    #[serde(default)]
    avoid: Vec<String>,
}

fn objects(inputs: &ObjectsInputs, seed: u64) -> ObjectsReply {
    let plan = families::plan(inputs.topic, seed);
    let mut objects: Vec<String> = plan.family.objects.iter().map(|(name, _)| (*name).to_owned()).collect();
    Dice::new(seed, "objects").shuffle(&mut objects);
    // A stable sort: what recent pairs used goes to the end, where it is only taken to have enough.
    objects.sort_by_key(|object| inputs.avoid.contains(object));
    let fresh = objects.iter().filter(|object| !inputs.avoid.contains(object)).count();
    objects.truncate(fresh.max(OBJECTS_MIN));
    ObjectsReply { objects }
}

#[derive(Deserialize)]
struct QuestionInputs {
    topic: Topic,
    persona: String,
    objects: Vec<String>,
}

fn ask(inputs: &QuestionInputs, seed: u64) -> QuestionReply {
    let plan = families::plan(inputs.topic, seed);
    QuestionReply { question: question::write(&plan, &inputs.persona, &inputs.objects, seed) }
}

#[derive(Deserialize)]
struct AnswerInputs {
    topic: Topic,
    objects: Vec<String>,
}

fn answer(inputs: &AnswerInputs, seed: u64) -> AnswerReply {
    let plan = families::plan(inputs.topic, seed);
    let mut files = page::files(&plan, &inputs.objects, seed);
    plant(&mut files, &faults::chosen(seed), seed);
    AnswerReply { files }
}

fn plant(files: &mut [SourceFile], faults: &[Fault], seed: u64) {
    for script in files.iter_mut().filter(|file| file.filename == "index.js") {
        for fault in faults {
            if let Some(planted) = faults::plant(&script.content, *fault, seed) {
                script.content = planted;
            }
        }
    }
}

#[derive(Deserialize)]
struct FixInputs {
    page: String,
    findings: Vec<Finding>,
    #[serde(default)]
    objections: Vec<String>,
}

fn fix(inputs: &FixInputs, seed: u64) -> FixReply {
    mend::mend(&inputs.page, &inputs.findings, care(inputs, seed))
}

/// Some fixes are not made well, so that pairs with several rounds occur. After an objection each one is.
fn care(inputs: &FixInputs, seed: u64) -> Care {
    if !inputs.objections.is_empty() {
        return Care::Thorough;
    }
    // The page is part of the choice: a pair that slipped once does not do so for ever.
    let page = u64::try_from(inputs.page.len()).unwrap_or_default();
    if Dice::new(seed.wrapping_add(page), "slip").percent(SLIPPING_SHARE) {
        Care::Slipping
    } else if Dice::new(seed, "haste").percent(HASTY_SHARE) {
        Care::Hasty
    } else {
        Care::Thorough
    }
}

#[derive(Deserialize)]
struct SolveInputs {
    question: String,
    page: String,
    report: Report,
}

fn solve(inputs: &SolveInputs, seed: u64) -> SolveReply {
    judge::judge(&inputs.question, &inputs.page, &inputs.report, seed)
}
