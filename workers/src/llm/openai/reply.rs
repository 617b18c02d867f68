//! Puts a reply together from what the server sends, event by event or at once.

use std::time::Duration;

use mondo_jobs::ports::{Reply, Request, llm::REPLY_BYTES_MAX};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::{OpenAiConfig, refusal::Refusal};

/// English text and code come to about so many bytes for each token; used where a server reports no usage.
const BYTES_PER_TOKEN: usize = 4;

/// Our own reason for the end of a reply.
const TOO_LARGE: &str = "too_large";

/// A count of tokens above this is taken for none at all.
const TOKENS_MAX: u64 = 100_000_000;

/// A reported cost of one call above this, in US dollars, is taken for none at all: it would count for ever.
const COST_USD_MAX: f64 = 100.0;

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
    /// The server says why, in the place of a reply or in the middle of one.
    Refused(Refusal),
    /// What came is no reply, or none that can be used.
    Unusable(String),
}

/// Whether more of a reply is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Wanted,
    /// The text has all the bytes that a reply may have: what follows would be paid for and thrown away.
    Enough,
}

/// One event of a stream, or the whole of a reply that is not streamed.
#[derive(Deserialize)]
struct Completion<U> {
    model: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<U>,
    error: Option<Value>,
}

/// Reads what the server sent. A usage that makes no sense does not spoil a reply that has been paid for.
fn completion(json: &[u8]) -> Result<Completion<Usage>, serde_json::Error> {
    serde_json::from_slice(json).or_else(|error| {
        let Ok(read) = serde_json::from_slice::<Completion<IgnoredAny>>(json) else { return Err(error) };
        let Completion { model, choices, error, .. } = read;
        Ok(Completion { model, choices, error, usage: None })
    })
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
    pub(super) fn take(&mut self, json: &[u8]) -> Result<More, AssemblyError> {
        let completion = completion(json)
            .map_err(|error| AssemblyError::Unusable(format!("what it sent is no completion: {error}")))?;
        if let Some(error) = &completion.error {
            return Err(AssemblyError::Refused(Refusal::of_error(error)));
        }
        self.model = self.model.take().or(completion.model);
        self.usage = completion.usage.or(self.usage.take());
        let Some(choice) = completion.choices.into_iter().flatten().next() else { return Ok(More::Wanted) };
        self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        let Some(content) = choice.delta.or(choice.message) else { return Ok(More::Wanted) };
        let fits = [(&mut self.text, content.content), (&mut self.refusal, content.refusal)]
            .map(|(text, piece)| add(text, piece.as_deref().unwrap_or_default()));
        if fits == [true, true] {
            return Ok(More::Wanted);
        }
        self.finish_reason = Some(TOO_LARGE.to_owned());
        Ok(More::Enough)
    }

    /// The server said that nothing follows.
    pub(super) fn done(&mut self) {
        self.done = true;
    }

    /// Whether the text is whole: the server said why it ends, or that it does.
    pub(super) fn is_finished(&self) -> bool {
        self.done || self.finish_reason.is_some()
    }

    /// The reply, if it came to an end. One that the model did not end by itself is a reply all the same: cut at
    /// the limit of tokens or bytes, filtered, or a refusal. Each has been paid for, and asking the same again
    /// would mostly pay for the same again; the step asks otherwise.
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
        let complete = match self.finish_reason.as_deref() {
            Some("length" | "max_tokens" | "content_filter" | TOO_LARGE) => false,
            Some("error") => return unusable("the provider ended the reply with an error".to_owned()),
            _ => true,
        };
        let (tokens_in, tokens_out) = self.tokens(request);
        let cost_micro_usd = cost(self.usage.as_ref(), tokens_in, tokens_out, config);
        Ok(Reply {
            complete,
            model: self.model.unwrap_or_else(|| config.model.clone()),
            tokens_in,
            tokens_out,
            cost_micro_usd,
            latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
            text: if self.text.is_empty() { self.refusal } else { self.text },
        })
    }

    /// Tokens of request and reply as the server counts them; where it does not say, estimated from the
    /// bytes, because a call that seems free would escape every budget.
    fn tokens(&self, request: &Request) -> (u64, u64) {
        let estimate = |bytes: usize| u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX);
        let said = |tokens: fn(&Usage) -> Option<u64>| {
            self.usage.as_ref().and_then(tokens).filter(|tokens| *tokens <= TOKENS_MAX)
        };
        let tokens_in = said(|usage| usage.prompt_tokens)
            .unwrap_or_else(|| estimate(request.messages.iter().map(|message| message.content.len()).sum()));
        let tokens_out = said(|usage| usage.completion_tokens)
            .unwrap_or_else(|| estimate(self.text.len() + self.refusal.len()));
        (tokens_in, tokens_out)
    }
}

/// Adds as much as fits; says whether that was all.
fn add(text: &mut String, piece: &str) -> bool {
    let room = REPLY_BYTES_MAX - text.len();
    text.push_str(&piece[..piece.floor_char_boundary(room)]);
    piece.len() <= room
}

/// Millionths of a US dollar: what the provider reports if it makes sense, else by the prices of the settings.
/// A price in dollars per million tokens is one in millionths per token.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and prices are bounded, far below 2^52 and never negative"
)]
fn cost(usage: Option<&Usage>, tokens_in: u64, tokens_out: u64, config: &OpenAiConfig) -> u64 {
    let reported = usage.and_then(|usage| usage.cost);
    let micro_usd = match reported.filter(|cost| (0.0..=COST_USD_MAX).contains(cost)) {
        Some(cost) => cost * 1e6,
        None => tokens_in as f64 * config.price_in + tokens_out as f64 * config.price_out,
    };
    let micro_usd = micro_usd.round() as u64;
    if let Some(cost_usd) = reported.filter(|cost| !(0.0..=COST_USD_MAX).contains(cost)) {
        tracing::warn!(
            responder = config.responder(),
            cost_usd,
            counted_micro_usd = micro_usd,
            "a reported cost of one call makes no sense; it is counted by MONDO_PRICE_IN and MONDO_PRICE_OUT"
        );
    }
    micro_usd
}
