//! Asks an LLM for JSON of a known shape, reads the reply, and asks again with the error if it cannot be used.

use jsonfix::Repairs;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{clip, replies};
use crate::{
    job::ASKS_MAX,
    ports::{Llm, LlmError, Message, Purpose, Reply, Request, Role, llm::REPLY_BYTES_MAX},
    prompt,
    step::StepError,
};

/// How often a model is asked again before its last failure stands.
const AGAIN_MAX: u32 = ASKS_MAX - 1;

/// How much of a reply is quoted when the model is asked again, in characters.
const QUOTE_CHARS_MAX: usize = 60_000;

/// How many pieces of a reply are tried as the JSON that it should be.
const PIECES_MAX: usize = 16;

/// What asking came to.
#[derive(Debug)]
pub(super) enum Ask<U> {
    /// A reply that passed its check.
    Usable(U),
    /// No reply passed.
    Unusable {
        /// Why the last one did not.
        reason: String,
        /// The newest reply that could be used all the same, if the check named one.
        fallback: Option<U>,
    },
}

/// Why a reply that could be read did not pass its check.
#[derive(Debug)]
pub(super) struct Refused<U> {
    /// Why; the model is told.
    pub(super) reason: String,
    /// What can be made of it all the same, should nothing better come.
    pub(super) fallback: Option<U>,
}

impl<U> Refused<U> {
    /// A refusal of which nothing can be used.
    pub(super) fn outright(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), fallback: None }
    }
}

/// A request for JSON of shape `T`. `values` fill the prompt; `inputs` are what the built-in responder reads.
pub(super) fn request<T: JsonSchema>(
    purpose: Purpose,
    values: &impl Serialize,
    inputs: Value,
    seed: u64,
) -> Result<Request, StepError> {
    // Token limits leave room for models that think aloud before they reply.
    let (name, tokens_max, temperature) = match purpose {
        Purpose::Objects => ("objects", 4_000, 1.0),
        Purpose::Question => ("question", 6_000, 0.9),
        Purpose::Answer => ("answer", 16_000, 0.4),
        Purpose::Fix => ("fix", 12_000, 0.2),
        Purpose::Solve => ("solve", 8_000, 0.0),
    };
    Ok(Request {
        purpose,
        messages: prompt::messages(purpose, values)?,
        schema: Some(replies::schema::<T>(name)),
        inputs,
        tokens_max,
        temperature,
        seed,
    })
}

/// Asks until a reply passes `check`, at most three times.
///
/// # Errors
/// When the LLM gives no reply at all.
pub(super) async fn ask<T: DeserializeOwned, U>(
    llm: &dyn Llm,
    mut request: Request,
    mut check: impl FnMut(T, &Reply) -> Result<U, Refused<U>>,
) -> Result<Ask<U>, StepError> {
    let first = request.messages.len();
    let mut fallback = None;
    let mut again = 0;
    loop {
        let reply = llm.complete(&request).await?;
        if reply.text.len() > REPLY_BYTES_MAX {
            return Err(LlmError::TooLarge { responder: reply.model, limit: REPLY_BYTES_MAX }.into());
        }
        let checked = match read::<T>(&reply) {
            Ok(value) => check(value, &reply),
            Err(reason) => Err(Refused::outright(reason)),
        };
        let refused = match checked {
            Ok(value) => return Ok(Ask::Usable(value)),
            Err(refused) => refused,
        };
        fallback = refused.fallback.or(fallback);
        if again == AGAIN_MAX {
            return Ok(Ask::Unusable { reason: refused.reason, fallback });
        }
        again += 1;
        // Only the newest failure is quoted: older ones would cost tokens and teach nothing.
        request.messages.truncate(first);
        let quote = if reply.text.trim().is_empty() { "(nothing)" } else { &reply.text };
        request.messages.push(Message { role: Role::Assistant, content: clip(quote, QUOTE_CHARS_MAX) });
        // The number tells it from the request before, which may have had the same reply: a request that is
        // asked twice is answered from the journal, and no better than the first time.
        request.messages.push(prompt::again(&refused.reason, again)?);
    }
}

/// Reads the JSON of a reply: as it is, then out of fences and prose, then repaired. A reply without its end is
/// not repaired, whatever its provider says: what is missing would be taken for left out on purpose.
fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, String> {
    let text = reply.text.trim();
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    for piece in jsonfix::extract_all(text).into_iter().take(PIECES_MAX) {
        if let Ok(value) = serde_json::from_str(piece) {
            return Ok(value);
        }
    }
    if !reply.complete {
        return Err(format!("it was cut off after {} tokens, before its end; be briefer", reply.tokens_out));
    }
    let options = jsonfix::Options::all().with_repairs(Repairs::ALL.without(Repairs::TRUNCATION));
    let repaired = jsonfix::repair_with(jsonfix::extract(text).unwrap_or(text), options).ok();
    if let Some(value) = repaired.as_deref().and_then(|json| serde_json::from_str(json).ok()) {
        tracing::debug!(model = %reply.model, "a reply was repaired");
        return Ok(value);
    }
    Err(format!("it is not JSON of the shape that was asked for: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ports::fake::{FakeLlm, reply},
        steps::replies::ObjectsReply,
    };

    fn objects(reply: &Reply) -> Option<Vec<String>> {
        read::<ObjectsReply>(reply).ok().map(|reply| reply.objects)
    }

    #[test]
    fn json_is_found_in_what_models_put_around_it() {
        for text in [
            r#"{"objects": ["kite"]}"#,
            "\n```json\n{\"objects\": [\"kite\"]}\n```\n",
            "Sure! Here {as asked} it is: {\"objects\": [\"kite\"]} Enjoy {it}.",
            "<think>[1, {\"a\": 2}]</think>{\"objects\": [\"kite\"]}",
            r#"{"objects": ["kite"], "note": "one more field"}"#,
            "{objects: ['kite',],}",
            "{\"objects\": [\"ki\" + \"te\"]}",
        ] {
            assert_eq!(objects(&reply(text)), Some(vec!["kite".to_owned()]), "{text}");
        }
    }

    #[test]
    fn text_that_holds_no_such_json_is_refused() {
        for text in [
            "",
            "I cannot do that.",
            "[]",
            "null",
            "{\"objects\": 3}",
            "{\"files\": []}",
            "{\"objects\": [\"kite\", \"coi",
            &"[".repeat(5000),
        ] {
            assert_eq!(objects(&reply(text)), None, "{text}");
        }
    }

    #[test]
    fn a_reply_that_was_cut_off_is_not_repaired() {
        let cut = Reply { complete: false, ..reply(r#"{"objects": ["kite", "coi"#) };
        assert!(read::<ObjectsReply>(&cut).unwrap_err().contains("cut off"));
        let whole = Reply { complete: false, ..reply(r#"{"objects": ["kite"]}"#) };
        assert_eq!(objects(&whole), Some(vec!["kite".to_owned()]));
    }

    fn objects_request() -> Request {
        let values = serde_json::json!({"topic": "games", "persona": "A diver.", "avoid": []});
        request::<ObjectsReply>(Purpose::Objects, &values, values.clone(), 7).unwrap()
    }

    #[tokio::test]
    async fn a_model_is_asked_again_with_its_reply_and_the_error() {
        let llm =
            FakeLlm::replies([reply("no"), reply(r#"{"objects": []}"#), reply(r#"{"objects": ["kite"]}"#)]);
        let check = |reply: ObjectsReply, _: &Reply| match reply.objects.first() {
            Some(object) => Ok(object.clone()),
            None => Err(Refused::outright("there is no object")),
        };
        let asked = ask(&llm, objects_request(), check).await.unwrap();
        assert!(matches!(asked, Ask::Usable(object) if object == "kite"));
        let asked = llm.asked();
        assert_eq!(asked.len(), 3);
        assert_eq!(asked[1].messages[2].content, "no");
        assert!(asked[1].messages[3].content.contains("not JSON of the shape"));
        assert_eq!(asked[2].messages.len(), 4);
        assert_eq!(asked[2].messages[2].content, r#"{"objects": []}"#);
        assert!(asked[2].messages[3].content.contains("there is no object"));
        assert!(asked.iter().all(|request| request.seed == 7));
    }

    /// The same request would be answered from the journal, with the same reply.
    #[tokio::test]
    async fn no_request_is_asked_twice_whatever_the_model_repeats() {
        for text in ["no", "", r#"{"objects": []}"#] {
            let llm = FakeLlm::new(move |_| Ok(reply(text)));
            let check = |_: ObjectsReply, _: &Reply| Err::<(), _>(Refused::outright("there is no object"));
            let asked = ask(&llm, objects_request(), check).await.unwrap();
            assert!(matches!(asked, Ask::Unusable { .. }));
            let asked = llm.asked();
            assert_eq!(asked.len(), ASKS_MAX as usize);
            for (at, request) in asked.iter().enumerate() {
                assert!(!asked[..at].contains(request), "{request:?}");
            }
        }
    }

    #[tokio::test]
    async fn the_newest_fallback_outlives_a_worse_reply() {
        let llm =
            FakeLlm::replies([reply(r#"{"objects": ["a"]}"#), reply(r#"{"objects": ["b"]}"#), reply("no")]);
        let check = |reply: ObjectsReply, _: &Reply| {
            Err::<Vec<String>, _>(Refused { reason: "too few".to_owned(), fallback: Some(reply.objects) })
        };
        let Ask::Unusable { reason, fallback } = ask(&llm, objects_request(), check).await.unwrap() else {
            panic!("usable")
        };
        assert!(reason.contains("not JSON"), "{reason}");
        assert_eq!(fallback, Some(vec!["b".to_owned()]));
    }

    #[tokio::test]
    async fn a_reply_over_the_limit_is_an_error() {
        let llm = FakeLlm::replies([reply("x".repeat(REPLY_BYTES_MAX + 1))]);
        let check = |_: ObjectsReply, _: &Reply| Ok(());
        let error = ask(&llm, objects_request(), check).await.unwrap_err();
        assert_eq!(error.class(), "reply_too_large");
    }
}
