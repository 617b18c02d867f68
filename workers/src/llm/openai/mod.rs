//! Any server that speaks the `OpenAI` chat-completions protocol: `OpenAI`, `OpenRouter`, Together, Ollama,
//! vLLM and the like.
//!
//! It speaks HTTP itself, without a client crate. The best kept one, `genai` 0.7.2, was tried first, against
//! the server of our tests. Custom base URLs, temperature, seed and usage work, and a stream without an end
//! can be told from a whole one. But of a refused stream neither status nor `Retry-After` can be asked for;
//! `usage.cost` is dropped; the usage of a server that ends without `[DONE]` is lost; and one event without
//! an end is buffered without bound and copied whole for each chunk, so that it kept a core busy for a
//! minute. It also forces feature choices and some thirty crates on the whole binary. What is needed here is
//! small: one request shape, one reader, one reply shape.

mod dialect;
mod events;
mod refusal;
mod reply;

use std::{
    error::Error as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mondo_jobs::ports::{Llm, LlmError, Reply, Request, llm::REPLY_BYTES_MAX};
use reqwest::{
    Client, Response, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};

use self::{
    dialect::Dialect,
    events::{Events, ReadError},
    refusal::Refusal,
    reply::{Assembly, AssemblyError, More},
};
use super::{BuildError, init_tls};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// About the most bytes that are read of a body that says why a request was refused.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// The most bytes of one event, or of a whole reply that is not streamed: the largest text that is accepted,
/// with every byte of it written as a JSON escape, and the rest of the envelope.
const EVENT_BYTES_MAX: usize = 6 * REPLY_BYTES_MAX + 256 * 1024;

/// The most characters of what a provider said that go into an error.
const MESSAGE_CHARS_MAX: usize = 300;

/// Where the server is and how it is asked.
#[derive(Debug, Clone)]
pub struct OpenAiConfig {
    /// The provider's name in logs, errors and costs.
    pub provider: String,
    /// The part of the URL before `/chat/completions`.
    pub base_url: String,
    /// Sent as a bearer token.
    pub key: Option<SecretString>,
    /// The model, as the provider names it.
    pub model: String,
    /// One call, from the request to the last byte, asked again in plainer words or not.
    pub timeout: Duration,
    /// A connection without a byte for so long is broken.
    pub idle: Duration,
    /// US dollars per million tokens of a request; used where the provider reports no cost.
    pub price_in: f64,
    /// US dollars per million tokens of a reply; used where the provider reports no cost.
    pub price_out: f64,
}

impl OpenAiConfig {
    /// Provider and model.
    pub fn responder(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }
}

/// One model of one server. It holds its connections and what it learnt of the server's dialect.
#[derive(Debug)]
pub struct OpenAi {
    config: OpenAiConfig,
    responder: String,
    endpoint: Url,
    client: Client,
    dialect: Mutex<Dialect>,
}

impl OpenAi {
    /// Prepares a client; connects to nothing.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn new(config: &OpenAiConfig) -> Result<Self, BuildError> {
        init_tls();
        let responder = config.responder();
        let endpoint = endpoint(&config.base_url)
            .map_err(|message| BuildError::BaseUrl { responder: responder.clone(), message })?;

        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
        if let Some(key) = &config.key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))
                .map_err(|_| BuildError::Key { responder: responder.clone() })?;
            // Keeps the key out of every `Debug` of the request and out of header compression tables.
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut client = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("mondo/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT.min(config.idle))
            // A redirected POST arrives as a GET somewhere else; better to say that the URL is wrong.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&endpoint) {
            // No proxy reaches a server on this machine.
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| BuildError::Client { message: chain(&error) })?;
        Ok(Self {
            config: config.clone(),
            responder,
            endpoint,
            client,
            dialect: Mutex::new(Dialect::default()),
        })
    }

    /// Asks in the richest dialect that the server is known to take, and in a plainer one each time it
    /// refuses.
    async fn negotiate(&self, request: &Request) -> Result<Reply, LlmError> {
        let known = *self.dialect();
        let mut dialect = known;
        loop {
            let refused = match self.ask(request, dialect).await {
                Ok(reply) => {
                    self.learn(known, dialect);
                    return Ok(reply);
                }
                Err(error) => error,
            };
            // Every plainer dialect is strictly plainer, so this ends.
            match &refused {
                LlmError::Refused { status: 400 | 422, message, .. } => {
                    match dialect.plainer(message, request.schema.is_some()) {
                        Some(plainer) => dialect = plainer,
                        None => return Err(refused),
                    }
                }
                _ => return Err(refused),
            }
        }
    }

    /// Remembers a dialect only once it has brought a reply: a request that is refused in every dialect must
    /// not make later ones plainer.
    fn learn(&self, known: Dialect, dialect: Dialect) {
        if dialect == known {
            return;
        }
        tracing::info!(responder = self.responder, ?dialect, "the server takes only a plainer dialect");
        *self.dialect() = dialect;
    }

    fn dialect(&self) -> MutexGuard<'_, Dialect> {
        self.dialect.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, request: &Request, dialect: Dialect) -> Result<Reply, LlmError> {
        let started = Instant::now();
        let body = dialect.body(&self.config.model, request);
        let call = self
            .client
            .post(self.endpoint.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send();
        let response = match tokio::time::timeout(self.config.idle, call).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.unavailable(&chain(&error.without_url()))),
            Err(_) => return Err(self.unavailable(&self.silence())),
        };

        let status = response.status();
        if !status.is_success() {
            return Err(self.refused(response).await);
        }
        let mut assembly = Assembly::default();
        self.read(response, &mut assembly).await?;
        let reply = assembly
            .finish(request, &self.config, started.elapsed())
            .map_err(|error| self.assembly_error(error))?;
        tracing::debug!(
            responder = self.responder,
            purpose = ?request.purpose,
            tokens_in = reply.tokens_in,
            tokens_out = reply.tokens_out,
            cost_micro_usd = reply.cost_micro_usd,
            duration_ms = reply.latency_ms,
            "reply"
        );
        Ok(reply)
    }

    /// Reads a reply, streamed or whole, into `assembly`.
    async fn read(&self, response: Response, assembly: &mut Assembly) -> Result<(), LlmError> {
        let streamed =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
                value.trim_start().to_ascii_lowercase().starts_with("text/event-stream")
            });
        let mut events = Events::new(response, self.config.idle, EVENT_BYTES_MAX);
        if !streamed {
            let body = events.whole().await.map_err(|error| self.read_error(error))?;
            return assembly.take(&body).map(|_| ()).map_err(|error| self.assembly_error(error));
        }
        loop {
            let event = match events.next().await {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(()),
                // The text is whole; only the usage, which comes after it, is lost.
                Err(_) if assembly.is_finished() => return Ok(()),
                Err(error) => return Err(self.read_error(error)),
            };
            if event == b"[DONE]" {
                assembly.done();
                return Ok(());
            }
            if assembly.take(&event).map_err(|error| self.assembly_error(error))? == More::Enough {
                return Ok(());
            }
        }
    }

    async fn refused(&self, response: Response) -> LlmError {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        // What went wrong is known; a body that cannot be read only leaves it with fewer words.
        let body = Events::new(response, self.config.idle, REFUSAL_BYTES_MAX).beginning().await;
        self.refusal(Refusal::of_response(status, &headers, &body))
    }

    fn refusal(&self, refusal: Refusal) -> LlmError {
        let message = self.presentable(&refusal.message);
        refusal.into_error(self.responder.clone(), message)
    }

    fn assembly_error(&self, error: AssemblyError) -> LlmError {
        match error {
            AssemblyError::Refused(refusal) => self.refusal(refusal),
            AssemblyError::Unusable(message) => self.unavailable(&message),
        }
    }

    fn read_error(&self, error: ReadError) -> LlmError {
        match error {
            ReadError::TooLarge => {
                LlmError::TooLarge { responder: self.responder.clone(), limit: EVENT_BYTES_MAX }
            }
            ReadError::Silent => self.unavailable(&self.silence()),
            ReadError::Broken(error) => {
                self.unavailable(&format!("the connection broke off: {}", chain(&error.without_url())))
            }
        }
    }

    fn silence(&self) -> String {
        format!("no byte for {:?}; MONDO_LLM_IDLE_SECS sets the limit", self.config.idle)
    }

    fn unavailable(&self, message: &str) -> LlmError {
        LlmError::Unavailable { responder: self.responder.clone(), message: self.presentable(message) }
    }

    /// One line of bounded length, and without our key, which some servers quote when they refuse it.
    fn presentable(&self, text: &str) -> String {
        let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(key) = &self.config.key {
            line = line.replace(key.expose_secret(), "[key]");
        }
        match line.char_indices().nth(MESSAGE_CHARS_MAX) {
            None => line,
            Some((end, _)) => format!("{}…", &line[..end]),
        }
    }
}

#[async_trait]
impl Llm for OpenAi {
    async fn complete(&self, request: &Request) -> Result<Reply, LlmError> {
        let limit = self.config.timeout;
        tokio::time::timeout(limit, self.negotiate(request)).await.unwrap_or_else(|_| {
            Err(self.unavailable(&format!(
                "no whole reply within {limit:?}; MONDO_LLM_TIMEOUT_SECS sets the limit"
            )))
        })
    }
}

fn endpoint(base_url: &str) -> Result<Url, String> {
    let mut url = Url::parse(base_url).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("its scheme is `{}`", url.scheme()));
    }
    let Ok(mut path) = url.path_segments_mut() else { return Err("it has no path".to_owned()) };
    path.pop_if_empty().extend(["chat", "completions"]);
    drop(path);
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

/// An error with its causes, outermost first.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
