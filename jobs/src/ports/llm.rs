//! One question to one LLM, and its answer.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::disposition::Disposition;

/// The most bytes a reply may have.
pub const REPLY_BYTES_MAX: usize = 256 * 1024;

/// What a request is for. The router picks a responder by it, and costs are counted by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Common objects of a topic.
    Objects,
    /// A coding question.
    Question,
    /// Files that answer a question.
    Answer,
    /// Edits that mend a page.
    Fix,
    /// A verdict on a page.
    Solve,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The rules of the conversation.
    System,
    /// The one who asks.
    User,
    /// The model's own earlier reply, quoted when it is asked again.
    Assistant,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said, UTF-8 text.
    pub content: String,
}

/// One question to one LLM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What it is for.
    pub purpose: Purpose,
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// JSON schema of the reply; without one the reply is free text.
    pub schema: Option<Schema>,
    /// The values that the prompt was rendered from. A responder that reads prompts ignores them; the
    /// built-in `offline` one, which is no LLM, reads them instead.
    pub inputs: serde_json::Value,
    /// The most tokens the reply may have.
    pub tokens_max: u32,
    /// 0.0 (steady) to 2.0 (wild).
    pub temperature: f32,
    /// Makes a deterministic responder answer the same again.
    pub seed: u64,
}

/// A named JSON schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// Letters, digits and `_`; at most 64.
    pub name: String,
    /// The schema itself.
    pub schema: serde_json::Value,
}

/// What an LLM answered and what it cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The text, at most [`REPLY_BYTES_MAX`] bytes.
    pub text: String,
    /// Whether the model stopped by itself; `false` when it ran into the limit of tokens or bytes, or a filter
    /// ended it.
    pub complete: bool,
    /// The model that answered, as its provider names it.
    pub model: String,
    /// Tokens of the request; estimated where the provider does not say.
    pub tokens_in: u64,
    /// Tokens of the reply; estimated where the provider does not say.
    pub tokens_out: u64,
    /// Price in millionths of a US dollar.
    pub cost_micro_usd: u64,
    /// Milliseconds from request to last byte.
    pub latency_ms: u64,
}

/// Answers requests. Implementations own their time limits: a call always ends.
#[async_trait]
pub trait Llm: Send + Sync {
    /// Asks once.
    ///
    /// # Errors
    /// See [`LlmError`].
    ///
    /// # Cancel safety
    /// Dropping the future abandons the call; the provider may still charge for it.
    async fn complete(&self, request: &Request) -> Result<Reply, LlmError>;
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    /// The provider asks us to wait.
    #[error("`{responder}` limits its rate")]
    RateLimited {
        /// Provider and model.
        responder: String,
        /// The wait that the provider named.
        retry_after: Option<Duration>,
    },
    /// The provider does not take our key, or the account may not use the model.
    #[error("`{responder}` refuses the credentials: {message}; check the key and its credit")]
    Unauthorized {
        /// Provider and model.
        responder: String,
        /// What the provider said, without secrets.
        message: String,
    },
    /// The provider says that the request itself is wrong.
    #[error("`{responder}` refuses the request (HTTP {status}): {message}")]
    Refused {
        /// Provider and model.
        responder: String,
        /// HTTP status, 4xx.
        status: u16,
        /// What the provider said, without secrets.
        message: String,
    },
    /// No reply in time, a broken connection, or a fault on the provider's side.
    #[error("`{responder}` gave no usable reply: {message}")]
    Unavailable {
        /// Provider and model.
        responder: String,
        /// What happened.
        message: String,
    },
    /// What came is larger than any reply may be.
    #[error("reply of `{responder}` is over {limit} bytes")]
    TooLarge {
        /// Provider and model.
        responder: String,
        /// The limit that it broke.
        limit: usize,
    },
    /// Whether the reply has been paid for already could not be found out, and asking anyway might pay twice.
    #[error("cannot read the journal of paid replies: {message}")]
    Journal {
        /// What the store said.
        message: String,
    },
    /// What is stored in the place of the journal, or of the reply in it, cannot be read as what it should be,
    /// and asking anyway might pay twice.
    #[error(
        "the journal of paid replies cannot be used: {message}; remove that key or field from Redis to pay for \
         the reply again"
    )]
    JournalUnusable {
        /// What was found.
        message: String,
    },
}

impl LlmError {
    /// What becomes of the job that met this error.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::RateLimited { retry_after, .. } => Disposition::Wait { after: *retry_after },
            Self::Unauthorized { .. } => Disposition::Halt,
            // Asked the same, a server does the same, and what is too large is paid for each time.
            Self::Refused { .. } | Self::TooLarge { .. } | Self::JournalUnusable { .. } => Disposition::Bury,
            Self::Journal { .. } => Disposition::Wait { after: None },
            Self::Unavailable { .. } => Disposition::Retry,
        }
    }

    /// The stored and printed name of the error's class.
    pub fn class(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limited",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Refused { .. } => "refused",
            Self::Unavailable { .. } => "unavailable",
            Self::TooLarge { .. } => "reply_too_large",
            Self::Journal { .. } => "journal",
            Self::JournalUnusable { .. } => "journal_unusable",
        }
    }
}
