//! A real HTTP server that speaks the `OpenAI` chat-completions protocol, well or badly, as a test tells it.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::post,
};
use futures_util::{StreamExt as _, stream};
use mondo_jobs::ports::{Llm, LlmError, Message, Purpose, Reply, Request, Role};
use mondo_workers::llm::openai::{OpenAi, OpenAiConfig};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

/// The key that [`OpenAiServer::config`] carries.
pub(crate) const KEY: &str = "sk-test-0123456789abcdef";

/// The model that the server says it is.
pub(crate) const SERVED_MODEL: &str = "served-model-1";

/// Frames of a body are this long, so that events begin and end in the middle of them.
const FRAME_BYTES: usize = 61;

/// What the server does with one call.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    /// The answer it has, sent in a certain manner.
    Answer(Manner),
    /// A status with headers and a body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Nothing at all: not even headers.
    Silence,
    /// A stream of exactly these pieces.
    Stream(Vec<Piece>),
    /// A body that is not streamed, with its content type.
    Whole(&'static str, String),
}

/// How an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As the protocol says, streamed.
    Streamed,
    /// As the protocol says, in one piece, whatever was asked for.
    Whole,
    /// With a pause before the headers and before each piece.
    Slow,
    /// The connection is cut in the middle of the stream.
    Cut,
    /// The stream ends in the middle, in good order.
    Unfinished,
    /// One event is no JSON.
    Broken,
    /// The text is empty.
    Empty,
    /// The text has prose around it, and a fence.
    Prose,
    /// The text is cut in half by the token limit.
    Length,
    /// The text is over every limit.
    TooLarge,
    /// Without usage.
    NoUsage,
    /// With a cost, as `OpenRouter` reports it.
    Cost,
}

/// A part of a stream.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// These bytes.
    Bytes(String),
    /// Nothing for a while.
    Pause(Duration),
    /// Nothing, for ever.
    Hang,
    /// The connection is closed without an end.
    Cut,
}

/// One call that the server received.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

/// Where the server's answers come from.
enum Source {
    Text(String),
    /// A responder that reads `inputs`, which do not travel over HTTP: [`Introduced`] tells the server what
    /// it is about to be asked, and the server finds it again by its messages.
    Llm(Arc<dyn Llm>),
}

struct Shared {
    source: Source,
    /// How often each request got a reply that has to be paid for.
    paid: Mutex<HashMap<String, usize>>,
    turns: Mutex<VecDeque<Turn>>,
    refused_formats: Mutex<Vec<&'static str>>,
    calls: Mutex<Vec<Call>>,
    introduced: Mutex<Vec<Request>>,
}

impl Shared {
    fn next_turn(&self, body: &Value) -> Turn {
        let mut paid = self.paid.lock().unwrap();
        let key = body["messages"].to_string();
        let quotes_a_reply =
            body["messages"].as_array().unwrap().iter().any(|message| message["role"] == "assistant");
        let is_new = !paid.contains_key(&key);
        let times = paid.entry(key).or_default();
        let turn = match self.source {
            Source::Llm(_) if !is_new => None,
            // The job that this fails has paid for the reply that is quoted, and must not pay again.
            Source::Llm(_) if quotes_a_reply => Some(Turn::Answer(Manner::Cut)),
            Source::Llm(_) | Source::Text(_) => self.turns.lock().unwrap().pop_front(),
        };
        let turn = turn.unwrap_or(Turn::Answer(Manner::Streamed));
        *times += usize::from(matches!(turn, Turn::Answer(manner) if manner.is_reply()));
        turn
    }
}

impl Manner {
    /// Whether the client gets a reply, good or bad, and not an error.
    fn is_reply(self) -> bool {
        !matches!(self, Self::Cut | Self::Unfinished | Self::Broken)
    }
}

/// The server; it ends with the value.
pub(crate) struct OpenAiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

impl OpenAiServer {
    /// A server that answers everything with `text`.
    pub(crate) async fn saying(text: &str) -> Self {
        Self::start(Source::Text(text.to_owned())).await
    }

    /// A server that answers what `llm` answers, if asked through [`Self::introduced`].
    pub(crate) async fn answering_like(llm: Arc<dyn Llm>) -> Self {
        Self::start(Source::Llm(llm)).await
    }

    async fn start(source: Source) -> Self {
        let shared = Arc::new(Shared {
            source,
            paid: Mutex::default(),
            turns: Mutex::default(),
            refused_formats: Mutex::default(),
            calls: Mutex::default(),
            introduced: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/v1/chat/completions", post(complete)).with_state(shared.clone());
        let mut tasks = JoinSet::new();
        tasks
            .spawn(async move { axum::serve(listener, router).await.expect("serving never ends by itself") });
        Self { address, shared, _tasks: tasks }
    }

    /// The next call that no earlier `then` spoke of gets this; calls beyond get [`Manner::Streamed`].
    ///
    /// A server that answers like a responder gives a turn only to a request that it has not had before, and
    /// cuts the first call that quotes an earlier reply: so no job meets more faults than it has attempts for,
    /// and a whole line can be run through any list of them.
    pub(crate) fn then(&self, turn: Turn) -> &Self {
        self.shared.turns.lock().unwrap().push_back(turn);
        self
    }

    /// How many turns have not been taken yet.
    pub(crate) fn turns_left(&self) -> usize {
        self.shared.turns.lock().unwrap().len()
    }

    /// How often each request got a reply that has to be paid for; the key is its messages.
    pub(crate) fn paid(&self) -> HashMap<String, usize> {
        self.shared.paid.lock().unwrap().clone()
    }

    /// Refuses every request whose `response_format` is of this type, with HTTP 400.
    pub(crate) fn refuse_format(&self, format: &'static str) -> &Self {
        self.shared.refused_formats.lock().unwrap().push(format);
        self
    }

    /// What was received so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// The base URL.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// How to ask this server: generous limits, a key, no prices.
    pub(crate) fn config(&self) -> OpenAiConfig {
        OpenAiConfig {
            provider: "test".to_owned(),
            base_url: self.base_url(),
            key: Some(SecretString::from(KEY)),
            model: "asked-model".to_owned(),
            timeout: Duration::from_mins(1),
            idle: Duration::from_secs(30),
            price_in: 0.0,
            price_out: 0.0,
        }
    }

    /// Asks this server.
    pub(crate) fn client(&self) -> OpenAi {
        OpenAi::new(&self.config()).expect("a client")
    }

    /// Asks this server, and tells it beforehand the inputs of each request.
    pub(crate) fn introduced(&self, config: &OpenAiConfig) -> Introduced {
        Introduced { shared: self.shared.clone(), client: OpenAi::new(config).expect("a client") }
    }
}

/// A client of the server that introduces its requests.
pub(crate) struct Introduced {
    shared: Arc<Shared>,
    client: OpenAi,
}

#[async_trait::async_trait]
impl Llm for Introduced {
    async fn complete(&self, request: &Request) -> Result<Reply, LlmError> {
        self.shared.introduced.lock().unwrap().push(request.clone());
        self.client.complete(request).await
    }
}

/// A request for free text.
pub(crate) fn request(prompt: &str) -> Request {
    Request {
        purpose: Purpose::Objects,
        messages: vec![Message { role: Role::User, content: prompt.to_owned() }],
        schema: None,
        inputs: Value::Null,
        tokens_max: 1000,
        temperature: 0.7,
        seed: 7,
    }
}

/// An event that carries `content`.
pub(crate) fn delta(content: &str) -> Piece {
    event(&json!({ "choices": [{ "index": 0, "delta": { "content": content }, "finish_reason": null }] }))
}

/// The event that says why the text ends.
pub(crate) fn finish(reason: &str) -> Piece {
    event(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] }))
}

/// An event with this JSON, and the fields that every event has.
pub(crate) fn event(json: &Value) -> Piece {
    let mut json = json.clone();
    json["object"] = json!("chat.completion.chunk");
    json["model"] = json!(SERVED_MODEL);
    Piece::Bytes(format!("data: {json}\n\n"))
}

/// The last event.
pub(crate) fn done() -> Piece {
    Piece::Bytes("data: [DONE]\n\n".to_owned())
}

async fn complete(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).expect("a request is JSON");
    let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    shared.calls.lock().unwrap().push(Call { authorization, body: body.clone() });

    let format = body.pointer("/response_format/type").and_then(Value::as_str).unwrap_or("none");
    if shared.refused_formats.lock().unwrap().contains(&format) {
        let error = json!({ "error": { "message": format!("`{format}` is not supported here") } });
        return status(400, &[], error.to_string());
    }
    match shared.next_turn(&body) {
        Turn::Status(code, headers, body) => status(code, &headers, body),
        Turn::Silence => std::future::pending().await,
        Turn::Stream(pieces) => event_stream(pieces),
        Turn::Whole(content_type, body) => whole(content_type, body),
        Turn::Answer(manner) => {
            let text = text_of(&shared, &body).await;
            if manner == Manner::Slow {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            answer(manner, &text)
        }
    }
}

async fn text_of(shared: &Shared, body: &Value) -> String {
    let llm = match &shared.source {
        Source::Text(text) => return text.clone(),
        Source::Llm(llm) => llm,
    };
    let known = {
        let introduced = shared.introduced.lock().unwrap();
        // The newest first: the same messages may have been introduced with other inputs before.
        introduced.iter().rev().find(|request| is_asked_by(request, body)).cloned()
    };
    let known = known.expect("every request is introduced before it is sent");
    llm.complete(&known).await.expect("the responder behind the server answers").text
}

/// Whether `body` carries the messages of `request`; in plain dialects the last one is followed by the
/// schema.
fn is_asked_by(request: &Request, body: &Value) -> bool {
    let messages = body["messages"].as_array().expect("messages");
    messages.len() == request.messages.len()
        && body["seed"].as_u64() == Some(request.seed & 0x7fff_ffff)
        && messages
            .iter()
            .zip(&request.messages)
            .all(|(sent, message)| sent["content"].as_str().unwrap().starts_with(&message.content))
}

fn answer(manner: Manner, text: &str) -> Response {
    let half = &text[..text.floor_char_boundary(text.len() / 2)];
    let usage = event(&json!({ "choices": [], "usage": { "prompt_tokens": 11, "completion_tokens": 5 } }));
    let pieces = match manner {
        Manner::Streamed => vec![delta(half), delta(&text[half.len()..]), finish("stop"), usage, done()],
        Manner::Whole => {
            let message = json!({ "role": "assistant", "content": text });
            let body = json!({
                "object": "chat.completion",
                "model": SERVED_MODEL,
                "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
                "usage": { "prompt_tokens": 11, "completion_tokens": 5 },
            });
            return whole("application/json", body.to_string());
        }
        Manner::Slow => {
            let pause = Piece::Pause(Duration::from_millis(20));
            let alive = Piece::Bytes(": still thinking\n\n".to_owned());
            vec![
                alive,
                pause.clone(),
                delta(half),
                pause.clone(),
                delta(&text[half.len()..]),
                pause,
                finish("stop"),
                usage,
                done(),
            ]
        }
        Manner::Cut => vec![delta(half), Piece::Cut],
        Manner::Unfinished => vec![delta(half)],
        Manner::Broken => {
            vec![delta(half), Piece::Bytes("data: {\"choices\": [{\n\n".to_owned()), finish("stop"), done()]
        }
        Manner::Empty => vec![finish("stop"), usage, done()],
        Manner::Prose => {
            let text = format!(
                "Of course! Here it is:\n\n```json\n{text}\n```\n\nTell me if you want anything changed."
            );
            vec![delta(&text), finish("stop"), usage, done()]
        }
        Manner::Length => vec![delta(half), finish("length"), usage, done()],
        Manner::TooLarge => {
            (0..40).map(|_| delta(&"x".repeat(8 * 1024))).chain([finish("stop"), done()]).collect()
        }
        Manner::NoUsage => vec![delta(text), finish("stop"), done()],
        Manner::Cost => {
            let usage = json!({ "prompt_tokens": 11, "completion_tokens": 5, "cost": 0.001_234 });
            vec![delta(text), finish("stop"), event(&json!({ "choices": [], "usage": usage })), done()]
        }
    };
    event_stream(pieces)
}

fn status(code: u16, headers: &[(&'static str, String)], body: String) -> Response {
    let mut response = Response::builder().status(StatusCode::from_u16(code).unwrap());
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(Body::from(body)).unwrap()
}

fn whole(content_type: &'static str, body: String) -> Response {
    Response::builder().header("content-type", content_type).body(Body::from(body)).unwrap()
}

fn event_stream(pieces: Vec<Piece>) -> Response {
    let frames = stream::iter(pieces).flat_map(|piece| match piece {
        Piece::Bytes(text) => stream::iter(frames(&text)).map(Ok).boxed(),
        Piece::Pause(pause) => stream::once(tokio::time::sleep(pause))
            .filter_map(|()| async { None::<Result<Bytes, io::Error>> })
            .boxed(),
        Piece::Hang => stream::pending().boxed(),
        // Only a body that pauses is flushed: without this, what came before the cut would never be sent.
        Piece::Cut => {
            stream::once(tokio::task::yield_now()).map(|()| Err(io::Error::other("cut on purpose"))).boxed()
        }
    });
    Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(frames)).unwrap()
}

fn frames(text: &str) -> Vec<Bytes> {
    text.as_bytes().chunks(FRAME_BYTES).map(Bytes::copy_from_slice).collect()
}
