//! Puts a reply together from what the server sends, event by event or at once.

use std::time::Duration;

use mondo_jobs::ports::{Reply, Request, llm::REPLY_BYTES_MAX};
use serde::Deserialize;
use serde_json::Value;

use super::{OpenAiConfig, refusal::Refusal};

/// English text and code come to about so many bytes for each token; used where a server reports no usage.
const BYTES_PER_TOKEN: usize = 4;

/// A reply in the making.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    text: String,
    refusal: String,
    model: Option<String>,
    usage: Option<Usage>,
    finish_reason: Option<String>,
    done: bool,
}

/// Why there will be no reply.
#[derive(Debug)]
pub(super) enum AssemblyError {
    /// The text is over the limit.
    TooLarge,
    /// The server says why, in the place of a reply or in the middle of one.
    Refused(Refusal),
    /// What came is no reply, or none that can be used.
    Unusable(String),
}

/// One event of a stream, or the whole of a reply that is not streamed.
#[derive(Deserialize)]
struct Completion {
    model: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    /// In an event of a stream.
    delta: Option<Content>,
    /// In a whole reply.
    message: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    /// US dollars; `OpenRouter` reports it.
    cost: Option<f64>,
}

impl Assembly {
    /// Adds what the server sent.
    pub(super) fn take(&mut self, json: &[u8]) -> Result<(), AssemblyError> {
        let completion: Completion = serde_json::from_slice(json)
            .map_err(|error| AssemblyError::Unusable(format!("what it sent is no completion: {error}")))?;
        if let Some(error) = &completion.error {
            return Err(AssemblyError::Refused(Refusal::of_error(error)));
        }
        self.model = self.model.take().or(completion.model);
        self.usage = completion.usage.or(self.usage.take());
        let Some(choice) = completion.choices.into_iter().flatten().next() else { return Ok(()) };
        self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        let Some(content) = choice.delta.or(choice.message) else { return Ok(()) };
        add(&mut self.text, content.content.as_deref())?;
        add(&mut self.refusal, content.refusal.as_deref())
    }

    /// The server said that nothing follows.
    pub(super) fn done(&mut self) {
        self.done = true;
    }

    /// Whether the text is whole: the server said why it ends, or that it does.
    pub(super) fn is_finished(&self) -> bool {
        self.done || self.finish_reason.is_some()
    }

    /// The reply, if it is whole.
    pub(super) fn finish(
        self,
        request: &Request,
        config: &OpenAiConfig,
        latency: Duration,
    ) -> Result<Reply, AssemblyError> {
        let unusable = |message: String| Err(AssemblyError::Unusable(message));
        if !self.is_finished() {
            return unusable(format!("the reply was cut off after {} bytes", self.text.len()));
        }
        if self.text.is_empty() && !self.refusal.is_empty() {
            return unusable(format!("the model refuses: {}", self.refusal));
        }
        let complete = match self.finish_reason.as_deref() {
            Some("length" | "max_tokens") => false,
            Some(reason @ ("content_filter" | "error")) => {
                return unusable(format!("the provider ended the reply: `{reason}`"));
            }
            _ => true,
        };
        let (tokens_in, tokens_out) = self.tokens(request);
        Ok(Reply {
            complete,
            model: self.model.unwrap_or_else(|| config.model.clone()),
            tokens_in,
            tokens_out,
            cost_micro_usd: cost(self.usage.as_ref(), tokens_in, tokens_out, config),
            latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
            text: self.text,
        })
    }

    /// Tokens of request and reply as the server counts them; where it does not say, estimated from the
    /// bytes, because a call that seems free would escape every budget.
    fn tokens(&self, request: &Request) -> (u64, u64) {
        let estimate = |bytes: usize| u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX);
        let usage = self.usage.as_ref();
        let tokens_in = usage
            .and_then(|usage| usage.prompt_tokens)
            .unwrap_or_else(|| estimate(request.messages.iter().map(|message| message.content.len()).sum()));
        let tokens_out =
            usage.and_then(|usage| usage.completion_tokens).unwrap_or_else(|| estimate(self.text.len()));
        (tokens_in, tokens_out)
    }
}

fn add(text: &mut String, piece: Option<&str>) -> Result<(), AssemblyError> {
    let piece = piece.unwrap_or_default();
    if text.len() + piece.len() > REPLY_BYTES_MAX {
        return Err(AssemblyError::TooLarge);
    }
    text.push_str(piece);
    Ok(())
}

/// Millionths of a US dollar: what the provider reports, else by the prices of the settings. A price in
/// dollars per million tokens is one in millionths per token.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "amounts stay far below 2^52, and the cast saturates"
)]
fn cost(usage: Option<&Usage>, tokens_in: u64, tokens_out: u64, config: &OpenAiConfig) -> u64 {
    let micro_usd = match usage.and_then(|usage| usage.cost) {
        Some(cost) => cost * 1e6,
        None => tokens_in as f64 * config.price_in + tokens_out as f64 * config.price_out,
    };
    micro_usd.max(0.0).round() as u64
}
