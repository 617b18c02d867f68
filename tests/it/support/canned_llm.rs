//! A small HTTP server that speaks the `OpenAI` protocol and always knows what to say: enough for whole pairs
//! made by worker processes of their own, each with one fault that fix mends. It can hold its replies to one
//! purpose, so that a test can act while a step is in the middle.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Json, Router, extract::State, routing::post};
use mondo_jobs::ports::Purpose;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// A page that a person could have written, but for one misspelt name.
const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Counter</title></head>
<body><h1>Counter</h1><p id="count">0</p><button id="more">More</button>
<script>
let count = 0;
document.getElementById("more").addEventListener("click", () => { count += 1; show(); });
function show() { document.getElementById("count").textContent = String(cuont); }
show();
</script></body></html>"#;

struct Shared {
    held: watch::Sender<Option<Purpose>>,
    /// Purpose and messages of each call.
    asked: Mutex<Vec<(Purpose, String)>>,
    poison: Mutex<Poison>,
    questions: AtomicU64,
}

/// For whom the reply never comes, and how often it was asked for.
#[derive(Default)]
struct Poison {
    first: bool,
    persona: Option<String>,
    asked: usize,
}

impl Poison {
    fn is_asked(&mut self, body: &Value) -> bool {
        let text = body["messages"].to_string();
        let persona = text.split("for this person: ").nth(1).and_then(|rest| rest.split("\\n").next());
        if self.first && self.persona.is_none() {
            self.persona = persona.map(str::to_owned);
        }
        let is_asked = self.persona.is_some() && self.persona.as_deref() == persona;
        self.asked += usize::from(is_asked);
        is_asked
    }
}

/// The server; it ends with the value.
pub(crate) struct CannedLlm {
    base_url: String,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

impl CannedLlm {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared {
            held: watch::channel(None).0,
            asked: Mutex::default(),
            poison: Mutex::default(),
            questions: AtomicU64::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let router =
            Router::new().route("/v1/chat/completions", post(complete)).with_state(Arc::clone(&shared));
        let mut tasks = JoinSet::new();
        tasks
            .spawn(async move { axum::serve(listener, router).await.expect("serving never ends by itself") });
        Self { base_url, shared, _tasks: tasks }
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Holds every reply to this purpose until [`Self::release`].
    pub(crate) fn hold(&self, purpose: Purpose) {
        self.shared.held.send_replace(Some(purpose));
    }

    pub(crate) fn release(&self) {
        self.shared.held.send_replace(None);
    }

    /// Never answers the first persona that it is asked about.
    pub(crate) fn poison_the_first(&self) {
        self.shared.poison.lock().unwrap().first = true;
    }

    /// How often that was asked for.
    pub(crate) fn poison_was_asked(&self) -> usize {
        self.shared.poison.lock().unwrap().asked
    }

    /// Whether this was asked.
    pub(crate) fn was_asked(&self, purpose: Purpose) -> bool {
        self.asked(purpose) > 0
    }

    /// How often this was asked.
    pub(crate) fn asked(&self, purpose: Purpose) -> usize {
        self.shared.asked.lock().unwrap().iter().filter(|(asked, _)| *asked == purpose).count()
    }

    /// How often each request was asked; each time had to be paid for.
    pub(crate) fn paid(&self) -> HashMap<(Purpose, String), usize> {
        let mut paid = HashMap::new();
        for call in &*self.shared.asked.lock().unwrap() {
            *paid.entry(call.clone()).or_default() += 1;
        }
        paid
    }
}

async fn complete(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> Json<Value> {
    let purpose: Purpose = serde_json::from_value(body["response_format"]["json_schema"]["name"].clone())
        .expect("a schema that is named after its purpose");
    shared.asked.lock().unwrap().push((purpose, body["messages"].to_string()));
    if shared.poison.lock().unwrap().is_asked(&body) {
        return std::future::pending().await;
    }
    let mut held = shared.held.subscribe();
    held.wait_for(|held| *held != Some(purpose)).await.expect("the server lives");
    let text = reply(purpose, shared.questions.fetch_add(1, Ordering::Relaxed)).to_string();
    Json(json!({
        "model": "canned",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 200 }
    }))
}

/// What the server says; `number` tells questions apart.
pub(crate) fn reply(purpose: Purpose, number: u64) -> Value {
    match purpose {
        Purpose::Objects => json!({ "objects": ["kite", "lantern", "bridge", "drum", "kettle"] }),
        Purpose::Question => json!({ "question": question(number) }),
        Purpose::Answer => json!({ "files": [{ "filename": "index.html", "content": PAGE }] }),
        Purpose::Fix => json!({
            "explanation": "The name is misspelt.",
            "edits": [{ "find": "String(cuont)", "replace": "String(count)" }]
        }),
        Purpose::Solve => json!({
            "requirements": [{ "requirement": "counts", "met": true, "evidence": "a click adds one" }],
            "verdict": "accept", "reasons": []
        }),
    }
}

/// Questions of the right length that have no three words in a row in common.
fn question(number: u64) -> String {
    let words: Vec<String> = (0..120).map(|word| format!("word{}", number * 1000 + word)).collect();
    format!(
        "Build a counter page.\n\n{}\n\n**Features**\n- counts\n\n**User Actions**\n1. click",
        words.join(" ")
    )
}
