//! Writes a candidate: asks for files, bundles them into one page, and parses its scripts before it runs.

use serde_json::json;

use super::{
    ask::{Ask, Refused, ask, request},
    candidate_name, follow, question_of,
    replies::AnswerReply,
};
use crate::{
    bundle::bundle,
    job::{Job, Step},
    pair::{Candidate, Draft},
    ports::{Purpose, Reply},
    script::{ScriptError, check_scripts},
    step::{Outcome, StepContext, StepError},
};

pub(super) async fn run(job: &Job, mut draft: Draft, ctx: &StepContext) -> Result<Outcome, StepError> {
    let name = candidate_name(job)?;
    let head = &draft.head;
    let question = question_of(&draft)?;
    let inputs = json!({
        "topic": head.topic, "persona": head.persona, "objects": head.objects, "question": question,
    });
    let request = request::<AnswerReply>(Purpose::Answer, &inputs, inputs.clone(), head.seed)?;
    let (page, model) = match ask(&*ctx.llm, request, check).await? {
        // A page whose scripts do not parse goes on: execute names what is wrong, and fix mends it.
        Ask::Usable(usable) | Ask::Unusable { fallback: Some(usable), .. } => usable,
        Ask::Unusable { reason, fallback: None } => {
            return Ok(Outcome::reject(draft, format!("no answer: {reason}")));
        }
    };
    draft.candidates.insert(name, Candidate::new(model, page));
    Ok(Outcome::new(draft, follow(job, Step::Execute, 0)))
}

type Written = (String, String);

fn check(reply: AnswerReply, from: &Reply) -> Result<Written, Refused<Written>> {
    let files = reply.files;
    let page = bundle(&files).map_err(|error| Refused::outright(error.to_string()))?;
    let errors = check_scripts(&page);
    let written = (page, from.model.clone());
    if errors.is_empty() {
        Ok(written)
    } else {
        Err(Refused { reason: say(&errors), fallback: Some(written) })
    }
}

/// What a model is told about scripts that do not parse.
pub(super) fn say(errors: &[ScriptError]) -> String {
    let listed: Vec<String> = errors.iter().take(5).map(ToString::to_string).collect();
    format!("with all files in one page, its scripts do not parse: {}", listed.join("; "))
}
