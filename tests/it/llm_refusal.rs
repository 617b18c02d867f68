//! What a responder's refusals become: which error, which fate, and never our key.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use mondo_jobs::{
    ports::{Llm as _, LlmError, Message, Role, llm::Schema},
    step::Disposition,
};
use mondo_workers::llm::openai::{OpenAi, OpenAiConfig};
use serde_json::{Value, json};

use crate::support::openai_server::{KEY, Manner, OpenAiServer, Turn, request};

fn error_body(message: &str) -> String {
    json!({ "error": { "message": message } }).to_string()
}

async fn refusal(status: u16, headers: Vec<(&'static str, String)>, body: String) -> LlmError {
    let server = OpenAiServer::saying("never said").await;
    server.then(Turn::Status(status, headers, body));
    server.client().complete(&request("hello")).await.unwrap_err()
}

#[tokio::test]
async fn each_status_has_its_fate() {
    for (status, class, fate) in [
        (400, "refused", Disposition::Bury),
        (401, "unauthorized", Disposition::Halt),
        (402, "unauthorized", Disposition::Halt),
        (403, "unauthorized", Disposition::Halt),
        (404, "refused", Disposition::Bury),
        (408, "unavailable", Disposition::Retry),
        (409, "unavailable", Disposition::Retry),
        (422, "refused", Disposition::Bury),
        (429, "rate_limited", Disposition::Wait { after: None }),
        (500, "unavailable", Disposition::Retry),
        (503, "unavailable", Disposition::Retry),
    ] {
        let error = refusal(status, Vec::new(), error_body("the reason")).await;
        assert_eq!((error.class(), error.disposition()), (class, fate), "{status}");
        assert!(error.to_string().contains("test/asked-model"), "{error}");
        assert!(status == 429 || error.to_string().contains("the reason"), "{error}");
    }
}

#[tokio::test]
async fn a_wait_in_seconds_or_until_a_date_is_kept() {
    let date = "Fri, 20 Nov 2026 10:00:00 GMT".to_owned();
    let until = "Fri, 20 Nov 2026 10:00:42 GMT".to_owned();
    for (headers, secs) in
        [(vec![("retry-after", "17".to_owned())], 17), (vec![("date", date), ("retry-after", until)], 42)]
    {
        let error = refusal(429, headers, error_body("slow down")).await;
        assert_eq!(error.disposition(), Disposition::Wait { after: Some(Duration::from_secs(secs)) });
    }
}

#[tokio::test]
async fn a_redirect_says_where_to() {
    let target = "https://elsewhere.example/v1".to_owned();
    let error = refusal(308, vec![("location", target)], String::new()).await;
    assert!(matches!(error, LlmError::Refused { status: 308, .. }));
    assert!(error.to_string().contains("https://elsewhere.example/v1; MONDO_BASE_URL"), "{error}");
}

#[tokio::test]
async fn long_words_become_one_short_line() {
    let error = refusal(500, Vec::new(), "é\n".repeat(100_000)).await;
    let LlmError::Unavailable { message, .. } = error else { panic!("{error:?}") };
    assert_eq!(message.chars().count(), 301);
    assert!(!message.contains('\n'));
}

fn asking_for_json() -> mondo_jobs::ports::Request {
    let objects = json!({ "type": "array", "items": { "type": "string" } });
    let schema = json!({ "type": "object", "properties": { "objects": objects } });
    mondo_jobs::ports::Request {
        schema: Some(Schema { name: "objects_reply".to_owned(), schema }),
        messages: vec![
            Message { role: Role::System, content: "You name things.".to_owned() },
            Message { role: Role::User, content: "Name three.".to_owned() },
        ],
        ..request("")
    }
}

fn formats(server: &OpenAiServer) -> Vec<Value> {
    server.calls().iter().map(|call| call.body["response_format"]["type"].clone()).collect()
}

#[tokio::test]
async fn a_request_carries_everything_that_the_port_promises() {
    let server = OpenAiServer::saying("{}").await;
    server.client().complete(&asking_for_json()).await.unwrap();
    let call = server.calls().remove(0);
    assert_eq!(call.authorization.as_deref(), Some(format!("Bearer {KEY}").as_str()));
    let expected = json!({
        "model": "asked-model",
        "messages": [
            { "role": "system", "content": "You name things." },
            { "role": "user", "content": "Name three." },
        ],
        "stream": true,
        "stream_options": { "include_usage": true },
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "objects_reply",
                "strict": true,
                "schema": {
                    "type": "object",
                    "properties": { "objects": { "type": "array", "items": { "type": "string" } } },
                    "required": ["objects"],
                    "additionalProperties": false,
                },
            },
        },
        "max_tokens": 1000,
        "temperature": 0.7,
        "seed": 7,
    });
    assert_eq!(call.body, expected);
}

#[tokio::test]
async fn a_server_without_schemas_is_asked_in_plainer_words_from_then_on() {
    let server = OpenAiServer::saying("{}").await;
    server.refuse_format("json_schema");
    let client = server.client();
    client.complete(&asking_for_json()).await.unwrap();
    client.complete(&asking_for_json()).await.unwrap();
    assert_eq!(formats(&server), ["json_schema", "json_object", "json_object"]);

    server.refuse_format("json_object");
    client.complete(&asking_for_json()).await.unwrap();
    assert_eq!(formats(&server)[3..], [json!("json_object"), Value::Null]);
    let last = server.calls().pop().unwrap().body;
    let prompt = last["messages"][1]["content"].as_str().unwrap();
    assert!(
        prompt.starts_with("Name three.") && prompt.contains("\"items\":{\"type\":\"string\"}"),
        "{prompt}"
    );
}

#[tokio::test]
async fn a_request_that_is_refused_in_every_way_teaches_nothing() {
    let server = OpenAiServer::saying("{}").await;
    for _ in 0..3 {
        server.then(Turn::Status(400, Vec::new(), error_body("the prompt is too long")));
    }
    let client = server.client();
    let error = client.complete(&asking_for_json()).await.unwrap_err();
    assert_eq!(error.class(), "refused");
    client.complete(&asking_for_json()).await.unwrap();
    assert_eq!(
        formats(&server),
        [json!("json_schema"), json!("json_object"), Value::Null, json!("json_schema")]
    );
}

#[tokio::test]
async fn a_model_that_takes_no_temperature_gets_none() {
    let server = OpenAiServer::saying("{}").await;
    let refuse = |message: &str| Turn::Status(400, Vec::new(), error_body(message));
    server
        .then(refuse("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."))
        .then(refuse("Unsupported value: 'temperature' does not support 0.7 with this model."));
    server.client().complete(&asking_for_json()).await.unwrap();
    let body = server.calls().pop().unwrap().body;
    assert_eq!(body["max_completion_tokens"], 1000);
    assert_eq!((&body["max_tokens"], &body["temperature"]), (&Value::Null, &Value::Null));
    assert_eq!(body["response_format"]["type"], "json_schema");
}

/// Collects everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_key_is_in_no_log_debug_or_message() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let server = OpenAiServer::saying("hello").await;
    let quoting = format!("Incorrect API key provided: {KEY}. {}", "See the manual. ".repeat(40));
    server
        .then(Turn::Answer(Manner::Streamed))
        .then(Turn::Status(400, Vec::new(), error_body(&format!("temperature? {KEY}"))))
        .then(Turn::Answer(Manner::Streamed))
        .then(Turn::Status(401, Vec::new(), error_body(&quoting)))
        .then(Turn::Status(500, Vec::new(), KEY.repeat(100)))
        .then(Turn::Answer(Manner::Cut));
    let client = server.client();
    let mut seen = vec![format!("{:?} {client:?} {client:#?}", server.config())];
    for _ in 0..5 {
        match client.complete(&request("hello")).await {
            Ok(reply) => seen.push(format!("{reply:?}")),
            Err(error) => seen.push(format!("{error} {error:?}")),
        }
    }
    let bad = OpenAiConfig { key: Some(format!("{KEY}\n").into()), ..server.config() };
    seen.push(format!("{} {0:?}", OpenAi::new(&bad).unwrap_err()));
    seen.push(String::from_utf8(log.0.lock().unwrap().clone()).unwrap());

    assert_eq!(server.turns_left(), 0);
    assert!(seen.iter().any(|text| text.contains("[key]")), "a quoted key is blanked: {seen:?}");
    assert!(seen.last().unwrap().contains("mondo_workers::llm"), "the log was read: {seen:?}");
    for text in seen {
        // Also no long part of it: a cut after 300 characters must not leave a half.
        assert!(!text.contains(&KEY[..12]), "{text}");
    }
}
