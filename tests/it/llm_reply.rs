//! What a responder's replies become: whole, cut off, broken, too large, free or paid.

use std::time::Duration;

use mondo_jobs::{
    ports::{Llm as _, LlmError, llm::REPLY_BYTES_MAX},
    step::Disposition,
};
use mondo_workers::llm::openai::{OpenAi, OpenAiConfig};
use serde_json::json;

use crate::support::openai_server::{
    Manner, OpenAiServer, Piece, SERVED_MODEL, Turn, delta, done, event, finish, request,
};

const TEXT: &str = "{\"objects\": [\"a lighthouse\", \"gérbera 🌼\", \"a kite\"]}";

/// What becomes of one call that gets `turn`.
async fn ask(turn: Turn) -> Result<mondo_jobs::ports::Reply, LlmError> {
    let server = OpenAiServer::saying(TEXT).await;
    server.then(turn);
    server.client().complete(&request("objects, please")).await
}

/// The message of the error for a reply that cannot be used; the job is run again.
async fn unusable(turn: Turn) -> String {
    let error = ask(turn).await.unwrap_err();
    assert_eq!(error.class(), "unavailable", "{error}");
    assert_eq!(error.disposition(), Disposition::Retry);
    error.to_string()
}

#[tokio::test]
async fn a_streamed_reply_is_put_together_with_its_usage() {
    let reply = ask(Turn::Answer(Manner::Streamed)).await.unwrap();
    assert_eq!(reply.text, TEXT);
    assert!(reply.complete);
    assert_eq!((reply.tokens_in, reply.tokens_out, reply.cost_micro_usd), (11, 5, 0));
    assert_eq!(reply.model, SERVED_MODEL);
}

#[tokio::test]
async fn a_reply_that_is_not_streamed_is_taken_as_well() {
    let reply = ask(Turn::Answer(Manner::Whole)).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.tokens_in), (TEXT, 11));
}

#[tokio::test]
async fn a_slow_reply_is_waited_for() {
    let reply = ask(Turn::Answer(Manner::Slow)).await.unwrap();
    assert_eq!(reply.text, TEXT);
    assert!(reply.latency_ms >= 60, "three pauses of 20 ms and one before: {} ms", reply.latency_ms);
}

#[tokio::test]
async fn lines_may_end_in_carriage_returns_and_the_last_blank_line_may_be_missing() {
    let Piece::Bytes(first) = delta("one ") else { unreachable!() };
    let Piece::Bytes(last) =
        event(&json!({ "choices": [{ "delta": { "content": "two" }, "finish_reason": "stop" }] }))
    else {
        unreachable!()
    };
    let pieces = vec![Piece::Bytes(first.replace('\n', "\r\n")), Piece::Bytes(last.trim_end().to_owned())];
    assert_eq!(ask(Turn::Stream(pieces)).await.unwrap().text, "one two");
}

#[tokio::test]
async fn a_finished_text_without_a_last_event_is_whole() {
    let reply = ask(Turn::Stream(vec![delta("whole"), finish("stop")])).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.complete), ("whole", true));
    let reply = ask(Turn::Stream(vec![delta("whole"), finish("stop"), Piece::Cut])).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.complete), ("whole", true));
}

#[tokio::test]
async fn the_token_limit_makes_a_reply_incomplete() {
    let reply = ask(Turn::Answer(Manner::Length)).await.unwrap();
    assert!(!reply.complete);
    assert!(TEXT.starts_with(&reply.text) && reply.text.len() < TEXT.len());
}

#[tokio::test]
async fn an_empty_reply_is_a_reply() {
    let reply = ask(Turn::Answer(Manner::Empty)).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.complete), ("", true));
}

#[tokio::test]
async fn prose_around_json_is_left_to_the_step() {
    assert!(ask(Turn::Answer(Manner::Prose)).await.unwrap().text.contains(TEXT));
}

#[tokio::test]
async fn a_cut_connection_is_no_reply() {
    assert!(unusable(Turn::Answer(Manner::Cut)).await.contains("the connection broke off"));
}

#[tokio::test]
async fn a_stream_that_ends_early_is_no_reply() {
    assert!(unusable(Turn::Answer(Manner::Unfinished)).await.contains("cut off after"));
}

#[tokio::test]
async fn an_event_that_is_no_json_is_no_reply() {
    assert!(unusable(Turn::Answer(Manner::Broken)).await.contains("no completion"));
}

#[tokio::test]
async fn a_page_of_html_is_no_reply() {
    let page = "<html>captive portal</html>".to_owned();
    assert!(unusable(Turn::Whole("text/html", page)).await.contains("no completion"));
}

/// What was paid for is a reply: asked the same again, the model would mostly do the same again.
#[tokio::test]
async fn a_filtered_reply_is_an_incomplete_one() {
    let reply = ask(Turn::Stream(vec![delta("half"), finish("content_filter"), done()])).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.complete), ("half", false));
}

#[tokio::test]
async fn a_models_refusal_is_its_reply() {
    let refusal = event(&json!({ "choices": [{ "delta": { "refusal": "I would rather not." } }] }));
    let reply = ask(Turn::Stream(vec![refusal, finish("stop"), done()])).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.complete), ("I would rather not.", true));
}

#[tokio::test]
async fn a_reply_that_its_provider_ended_with_an_error_is_none() {
    let turn = Turn::Stream(vec![delta("half"), finish("error"), done()]);
    assert!(unusable(turn).await.contains("ended the reply with an error"));
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream_is_that_error() {
    let error = event(&json!({ "error": { "code": 502, "message": "upstream went away" } }));
    assert!(unusable(Turn::Stream(vec![delta("half"), error])).await.contains("upstream went away"));

    let busy = event(&json!({ "error": { "code": 429, "message": "upstream is busy" } }));
    assert_eq!(ask(Turn::Stream(vec![busy])).await.unwrap_err().class(), "rate_limited");
}

#[tokio::test]
async fn a_reply_over_the_limit_is_cut_off_while_it_streams() {
    // The stream goes on for ever after it is over the limit: only a reader that stops in time comes back.
    let pieces = (0..40).map(|_| delta(&"x".repeat(8 * 1024))).chain([Piece::Hang]).collect();
    for turn in [Turn::Answer(Manner::TooLarge), Turn::Stream(pieces)] {
        let reply = ask(turn).await.unwrap();
        assert_eq!((reply.text.len(), reply.complete), (REPLY_BYTES_MAX, false));
        assert_eq!(reply.tokens_out, REPLY_BYTES_MAX as u64 / 4, "what was read is counted");
    }
}

#[tokio::test]
async fn one_event_without_an_end_is_refused_in_time() {
    let pieces = std::iter::once(Piece::Bytes("data: ".to_owned()))
        .chain((0..40).map(|_| Piece::Bytes("x".repeat(64 * 1024))))
        .chain([Piece::Hang])
        .collect();
    assert_eq!(ask(Turn::Stream(pieces)).await.unwrap_err().class(), "reply_too_large");
}

/// The message of the error for a server that stops in the middle, under short limits.
async fn stuck(turn: Turn, limits: impl FnOnce(&mut OpenAiConfig)) -> String {
    let server = OpenAiServer::saying(TEXT).await;
    server.then(turn);
    let mut config = server.config();
    limits(&mut config);
    let client = OpenAi::new(&config).unwrap();
    client.complete(&request("objects, please")).await.unwrap_err().to_string()
}

#[tokio::test]
async fn silence_is_a_broken_connection() {
    for turn in [Turn::Silence, Turn::Stream(vec![delta("half"), Piece::Hang])] {
        let message = stuck(turn, |config| config.idle = Duration::from_millis(100)).await;
        assert!(message.contains("no byte for 100ms; MONDO_LLM_IDLE_SECS sets the limit"), "{message}");
    }
}

#[tokio::test]
async fn a_call_ends_even_if_the_server_never_does() {
    // Comments keep the connection alive for ever.
    let alive = [Piece::Bytes(": still thinking\n\n".to_owned()), Piece::Pause(Duration::from_millis(5))];
    let pieces = std::iter::repeat_n(alive, 2000).flatten().collect();
    let message = stuck(Turn::Stream(pieces), |config| config.timeout = Duration::from_millis(200)).await;
    assert!(
        message.contains("no whole reply within 200ms; MONDO_LLM_TIMEOUT_SECS sets the limit"),
        "{message}"
    );
}

#[tokio::test]
async fn nobody_at_the_address_is_said_with_its_cause() {
    let mut config = OpenAiServer::saying(TEXT).await.config();
    config.base_url = "http://127.0.0.1:1/v1".to_owned();
    let error = OpenAi::new(&config).unwrap().complete(&request("hello")).await.unwrap_err();
    assert_eq!(error.class(), "unavailable");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn a_reported_cost_is_taken_and_an_unreported_one_computed() {
    assert_eq!(ask(Turn::Answer(Manner::Cost)).await.unwrap().cost_micro_usd, 1234);

    let server = OpenAiServer::saying(TEXT).await;
    server.then(Turn::Answer(Manner::Streamed)).then(Turn::Answer(Manner::NoUsage));
    let config = OpenAiConfig { price_in: 3.0, price_out: 15.0, ..server.config() };
    let client = OpenAi::new(&config).unwrap();
    let counted = client.complete(&request("objects, please")).await.unwrap();
    assert_eq!(counted.cost_micro_usd, 11 * 3 + 5 * 15);

    // Without usage, four bytes are one token, rounded up.
    let estimated = client.complete(&request("objects, please")).await.unwrap();
    let tokens_out = u64::try_from(TEXT.len().div_ceil(4)).unwrap();
    assert_eq!((estimated.tokens_in, estimated.tokens_out), (4, tokens_out));
    assert_eq!(estimated.cost_micro_usd, 4 * 3 + tokens_out * 15);
}

#[tokio::test]
async fn a_usage_that_makes_no_sense_is_as_good_as_none() {
    let server = OpenAiServer::saying(TEXT).await;
    let config = OpenAiConfig { price_in: 3.0, price_out: 15.0, ..server.config() };
    let client = OpenAi::new(&config).unwrap();
    let estimated = 4 * 3 + 3 * 15;
    for (usage, cost_micro_usd) in [
        (r#"{"prompt_tokens": 11, "completion_tokens": 5, "cost": -1}"#, 11 * 3 + 5 * 15),
        (r#"{"prompt_tokens": 11, "completion_tokens": 5, "cost": 1e300}"#, 11 * 3 + 5 * 15),
        (r#"{"prompt_tokens": 11, "completion_tokens": 5, "cost": 100.1}"#, 11 * 3 + 5 * 15),
        (r#"{"prompt_tokens": 11, "completion_tokens": 5, "cost": 100}"#, 100_000_000),
        (r#"{"prompt_tokens": 18446744073709551615, "completion_tokens": 5}"#, 4 * 3 + 5 * 15),
        (r#"{"prompt_tokens": 11, "completion_tokens": -5}"#, estimated),
        (r#"{"prompt_tokens": 11, "completion_tokens": 5, "cost": "free"}"#, estimated),
        (r#"{"prompt_tokens": 11, "completion_tokens": 5, "cost": 1e999}"#, estimated),
        ("[]", estimated),
    ] {
        let last = Piece::Bytes(format!("data: {{\"choices\": [], \"usage\": {usage}}}\n\n"));
        server.then(Turn::Stream(vec![delta("twelve bytes"), finish("stop"), last, done()]));
        let reply = client.complete(&request("objects, please")).await.unwrap();
        assert_eq!((reply.text.as_str(), reply.cost_micro_usd), ("twelve bytes", cost_micro_usd), "{usage}");
    }
}
