//! Writes the question, and asks again for one that is too short or too like a recent one.

use std::collections::HashSet;

use serde_json::json;

use super::{
    ask::{Ask, Refused, ask, request},
    follow,
    replies::QuestionReply,
};
use crate::{
    job::{Job, Step},
    pair::{CandidateName, Draft},
    ports::{Purpose, RecentList, Reply},
    step::{Outcome, StepContext, StepError},
};

/// The least tokens of a question, counted as a quarter of its characters: what providers count differs, and
/// includes what a model thinks before it replies.
const TOKENS_MIN: usize = 100;

/// The most characters of a question.
const CHARS_MAX: usize = 20_000;

/// From this share of common three-word shingles on, two questions count as the same.
const LIKENESS_MAX: f64 = 0.6;

/// What consumers' contestants must know about the form of an answer.
const NOTE: &str = "\n\nNote:\n- Answer with plain HTML, CSS and JavaScript in the files `index.html` and \
                    `index.js`, without any external file.";

pub(super) async fn run(job: &Job, mut draft: Draft, ctx: &StepContext) -> Result<Outcome, StepError> {
    let head = &draft.head;
    let topic = head.topic.ok_or(StepError::Incomplete { what: "topic" })?;
    let persona = head.persona.as_deref().ok_or(StepError::Incomplete { what: "persona" })?;
    if head.objects.is_empty() {
        return Err(StepError::Incomplete { what: "objects" });
    }
    let recent = ctx.memory.recent(RecentList::Questions).await?;
    let recent: Vec<HashSet<u64>> = recent.iter().map(|question| shingles(question)).collect();

    let inputs = json!({"topic": topic, "persona": persona, "objects": head.objects});
    let request = request::<QuestionReply>(Purpose::Question, &inputs, inputs.clone(), head.seed)?;
    let check = |reply: QuestionReply, from: &Reply| {
        check(&reply.question, &recent).map_err(Refused::outright)?;
        Ok((reply.question.trim().to_owned(), from.model.clone()))
    };
    let (question, model) = match ask(&*ctx.llm, request, check).await? {
        Ask::Usable(usable) => usable,
        Ask::Unusable { reason, .. } => {
            return Ok(Outcome::reject(draft, format!("no question: {reason}")));
        }
    };

    let note = if question.contains("index.html") { "" } else { NOTE };
    draft.head.question = Some(format!("{question}{note}"));
    draft.head.question_model = Some(model);
    let base = Job { candidate: Some(CandidateName::Base), ..job.clone() };
    let mut outcome = Outcome::new(draft, follow(&base, Step::Answer, 0));
    outcome.remember = vec![(RecentList::Questions, question)];
    Ok(outcome)
}

fn check(question: &str, recent: &[HashSet<u64>]) -> Result<(), String> {
    let chars = question.trim().chars().count();
    let tokens = chars / 4;
    if tokens < TOKENS_MIN {
        return Err(format!("the question has about {tokens} tokens; at least {TOKENS_MIN} are needed"));
    }
    if chars > CHARS_MAX {
        return Err(format!("the question has {chars} characters, more than {CHARS_MAX}"));
    }
    let own = shingles(question);
    if recent.iter().any(|recent| likeness(&own, recent) >= LIKENESS_MAX) {
        return Err(
            "the question is too like a recent one; write a different one about the same objects".to_owned()
        );
    }
    Ok(())
}

/// Hashes of all runs of three words, in lower case and without punctuation.
fn shingles(text: &str) -> HashSet<u64> {
    use std::hash::{DefaultHasher, Hash, Hasher};

    let text = text.to_lowercase();
    let words: Vec<&str> =
        text.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let hash = |words: &[&str]| {
        let mut hasher = DefaultHasher::new();
        words.hash(&mut hasher);
        hasher.finish()
    };
    words.windows(3).map(hash).collect()
}

/// Common shingles by all shingles (Jaccard): 0 for nothing in common, 1 for the same.
#[expect(clippy::cast_precision_loss, reason = "a question has a few thousand shingles at most")]
fn likeness(a: &HashSet<u64>, b: &HashSet<u64>) -> f64 {
    let common = a.intersection(b).count();
    let all = a.len() + b.len() - common;
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_is_about_runs_of_words() {
        let like = |a: &str, b: &str| likeness(&shingles(a), &shingles(b));
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(like("One two, three four!", "one TWO three four"), 1.0));
        assert!(close(like("one two three four", "one two three five"), 1.0 / 3.0));
        assert!(close(like("one two three", "three two one"), 0.0));
        assert!(close(like("", "one"), 0.0));
    }
}
