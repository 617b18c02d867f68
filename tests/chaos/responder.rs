//! The responder: an HTTP server that speaks the `OpenAI` protocol, takes its time, and writes down every call that it
//! was paid for.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::State, routing::post};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use mondo_jobs::ports::Purpose;
use redis::AsyncCommands as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tokio_util::task::TaskTracker;

use crate::{books::Books, dice::Dice, now_us};

/// How the message begins that names the job; it is no part of what was asked.
pub(crate) const JOB_MARK: &str = "the job: ";
/// A name that is spelt wrong in some pages, until fix mends it.
pub(crate) const FAULT: &str = "cuont";
/// How many pages in ten have that fault.
const FAULTS_IN_TEN: u64 = 3;
/// For so long a reply is looked for in its pair's journal.
const JOURNAL_TIME_MAX: Duration = Duration::from_mins(3);

struct Shared {
    books: Arc<Books>,
    dice: Mutex<Dice>,
    numbers: AtomicU64,
    journals: Journals,
    watchers: TaskTracker,
}

/// Looks into Redis itself, past every proxy.
#[derive(Clone)]
pub(crate) struct Journals {
    pub(crate) client: redis::Client,
    pub(crate) prefix: String,
}

/// The server; it ends with the value.
pub(crate) struct Responder {
    pub(crate) base_url: String,
    pub(crate) books: Arc<Books>,
    _tasks: JoinSet<()>,
}

impl Responder {
    pub(crate) async fn start(seed: u64, journals: Journals) -> Self {
        let books = Arc::<Books>::default();
        let shared = Arc::new(Shared {
            books: Arc::clone(&books),
            dice: Mutex::new(Dice::new(seed)),
            numbers: AtomicU64::new(0),
            journals,
            watchers: TaskTracker::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let router = Router::new().route("/v1/chat/completions", post(complete)).with_state(shared);
        let mut tasks = JoinSet::new();
        tasks
            .spawn(async move { axum::serve(listener, router).await.expect("serving never ends by itself") });
        Self { base_url, books, _tasks: tasks }
    }
}

async fn complete(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> Json<Value> {
    let purpose: Purpose = serde_json::from_value(body["response_format"]["json_schema"]["name"].clone())
        .expect("a schema that is named after its purpose");
    let messages = body["messages"].as_array().expect("messages");
    let job = messages[0]["content"].as_str().and_then(|text| text.strip_prefix(JOB_MARK)).expect("a job");
    let pair = job.split('/').next().unwrap_or_default().to_owned();
    let asked = json!([purpose, pair, body["seed"], messages[1..]]).to_string();
    let key = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(asked));

    let number = shared.numbers.fetch_add(1, Ordering::Relaxed);
    let asked_us = now_us();
    let time = shared.dice.lock().unwrap().work();
    tokio::time::sleep(time).await;
    // From here on it is paid for: the reply is on its way.
    let nonce = format!("books-{number:08}");
    let call = shared.books.paid(key, job.to_owned(), asked_us);
    shared.watchers.spawn(watch(Arc::clone(&shared), pair, nonce.clone(), call));
    let text = reply(purpose, number).to_string();
    Json(json!({
        "model": nonce,
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 200 }
    }))
}

/// Waits until the reply is in the journal of its pair, and writes down when it was first seen there.
async fn watch(shared: Arc<Shared>, pair: String, nonce: String, call: usize) {
    let (deadline, mut pause) = (Instant::now() + JOURNAL_TIME_MAX, Duration::from_millis(20));
    while Instant::now() < deadline {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
        if shared.journals.holds(&pair, &nonce).await {
            shared.books.journaled(call);
            return;
        }
    }
}

impl Journals {
    /// Whether the pair's journal has the reply with this number in it. Without Redis it has not, for now.
    async fn holds(&self, pair: &str, nonce: &str) -> bool {
        let Ok(mut connection) = self.client.get_multiplexed_async_connection().await else { return false };
        let key = format!("{{{}:0}}:pair:{pair}:journal", self.prefix);
        let replies: Vec<String> = connection.hvals(key).await.unwrap_or_default();
        replies.iter().any(|reply| reply.contains(nonce))
    }
}

fn reply(purpose: Purpose, number: u64) -> Value {
    match purpose {
        Purpose::Objects => {
            json!({ "objects": (0..5).map(|n| format!("thing {number}-{n}")).collect::<Vec<_>>() })
        }
        Purpose::Question => json!({ "question": question(number) }),
        Purpose::Answer => {
            let name = if number % 10 < FAULTS_IN_TEN { FAULT } else { "count" };
            json!({ "files": [{ "filename": "index.html", "content": page(name) }] })
        }
        Purpose::Fix => json!({
            "explanation": "The name is misspelt.",
            "edits": [{ "find": format!("String({FAULT})"), "replace": "String(count)" }]
        }),
        Purpose::Solve => json!({
            "requirements": [{ "requirement": "counts", "met": true, "evidence": "a click adds one" }],
            "verdict": "accept", "reasons": []
        }),
    }
}

fn page(name: &str) -> String {
    format!(
        r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Counter</title></head>
<body><h1>Counter</h1><p id="count">0</p><button id="more">More</button>
<script>
let count = 0;
document.getElementById("more").addEventListener("click", () => {{ count += 1; show(); }});
function show() {{ document.getElementById("count").textContent = String({name}); }}
show();
</script></body></html>"#
    )
}

/// Questions of the right length that have no three words in a row in common.
fn question(number: u64) -> String {
    let words: Vec<String> = (0..120).map(|word| format!("word{}", number * 1000 + word)).collect();
    format!(
        "Build a counter page.\n\n{}\n\n**Features**\n- counts\n\n**User Actions**\n1. click",
        words.join(" ")
    )
}
