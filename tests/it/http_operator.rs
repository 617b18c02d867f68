//! What operators' machines ask of the API.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mondo_jobs::env::Env;
use serde_json::json;

use crate::support::{http::TestApi, queue::TestQueue, wait::until};

#[tokio::test]
async fn health_is_what_dojo_asks_for_word_for_word() {
    let mut test = TestQueue::start().await;
    let api = TestApi::start(test.queue.clone(), Duration::ZERO);
    test.redis.server.kill();
    let reply = api.get("/health").await;
    assert_eq!((reply.status, reply.text()), (200, r#"{"status":"OK"}"#));
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(api.get("/livez").await.status, 200);
    api.stop().await;
}

#[tokio::test]
async fn readiness_names_what_is_missing() {
    let mut test = TestQueue::start().await;
    let age_ms = Arc::new(AtomicU64::new(1_200));
    let age = Arc::clone(&age_ms);
    let poll_age = Arc::new(move || Some(Duration::from_millis(age.load(Ordering::SeqCst))));
    let api = TestApi::start_with(test.queue.clone(), Duration::ZERO, Some(poll_age));

    let reply = api.get("/readyz").await;
    assert_eq!(reply.status, 200);
    let workers = json!({ "ok": true, "last_poll_age_ms": 1200 });
    assert_eq!(
        reply.json(),
        json!({ "ready": true, "checks": { "redis": { "ok": true }, "workers": workers } })
    );

    age_ms.store(90_000, Ordering::SeqCst);
    let reply = api.get("/readyz").await;
    assert_eq!(reply.status, 503);
    let reason = "no worker has polled its stream for 90 s";
    assert_eq!(reply.json()["checks"]["workers"]["reason"], reason);

    test.redis.server.kill();
    let reply = api.get("/readyz").await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["checks"]["redis"], json!({ "ok": false, "reason": "redis does not answer" }));

    test.redis.server.revive().await.unwrap();
    age_ms.store(0, Ordering::SeqCst);
    until("it is ready again", async || api.get("/readyz").await.status == 200).await;
    api.stop().await;
}

#[tokio::test]
async fn metrics_count_requests_and_show_the_queue() {
    let mut test = TestQueue::start().await;
    test.make_all_ready(&[b"{}".to_vec(), b"{}".to_vec()]).await;
    let api = TestApi::start(test.queue.clone(), Duration::ZERO);
    assert_eq!(api.get("/api/synthetic-gen").await.status, 200);
    assert_eq!(api.get("/no/such/path").await.status, 404);
    until("the delivery is noted", async || test.queue.stats().await.unwrap().taken == 0).await;

    let reply = api.get("/metrics").await;
    assert!(reply.headers["content-type"].starts_with("text/plain"));
    for line in [
        "mondo_redis_up 1",
        r#"mondo_pairs{state="ready"} 1"#,
        r#"mondo_pairs{state="taken"} 0"#,
        r#"mondo_jobs{step="execute",state="waiting"} 0"#,
        "mondo_dead_letters 0",
        "mondo_delivered_total 1",
        "# TYPE mondo_http_request_duration_seconds histogram",
        concat!(r#"mondo_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
    ] {
        assert!(reply.text().lines().any(|found| found == line), "no {line} in\n{}", reply.text());
    }
    // Other tests may run in this process and count too, so these numbers are only known to be there.
    for start in [
        r#"mondo_http_requests_total{path="/api/synthetic-gen",status="200"} "#,
        r#"mondo_http_requests_total{path="unknown",status="404"} "#,
        r#"mondo_http_request_duration_seconds_bucket{path="/api/synthetic-gen",le="0.1"} "#,
        r#"mondo_handovers_total{ending="delivered"} "#,
    ] {
        assert!(
            reply.text().lines().any(|found| found.starts_with(start)),
            "no {start} in\n{}",
            reply.text()
        );
    }

    test.redis.server.kill();
    let reply = api.get("/metrics").await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("\nmondo_redis_up 0\n"));
    assert!(!reply.text().contains("mondo_pairs{"), "no number from earlier");
    api.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_answered_in_the_same_shape() {
    let test = TestQueue::start().await;
    let api = TestApi::start(test.queue.clone(), Duration::ZERO);
    let reply = api.get("/nowhere").await;
    assert_eq!(reply.status, 404);
    assert_eq!(
        reply.json(),
        json!({ "success": false, "body": {}, "error": "there is nothing at this path" })
    );

    let mut client = api.client().await;
    client.ask("POST", "/health").await;
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.headers["allow"].as_str()), (405, "GET,HEAD"));
    assert_eq!(reply.json()["success"], false);
    api.stop().await;
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing_of_the_inside() {
    let test = TestQueue::start().await;
    let poll_age = Arc::new(|| panic!("the inside"));
    let api = TestApi::start_with(test.queue.clone(), Duration::ZERO, Some(poll_age));
    let reply = api.get("/readyz").await;
    assert_eq!(reply.status, 500);
    assert!(reply.headers.contains_key("x-request-id"));
    let error = "this server made a mistake; its log says more";
    assert_eq!(reply.json(), json!({ "success": false, "body": {}, "error": error }));
    assert_eq!(api.get("/health").await.status, 200);
    api.stop().await;
}

#[tokio::test]
async fn every_answer_carries_the_id_of_its_request() {
    let test = TestQueue::start().await;
    let api = TestApi::start(test.queue.clone(), Duration::ZERO);
    let first = api.get("/health").await.headers["x-request-id"].clone();
    let second = api.get("/health").await.headers["x-request-id"].clone();
    assert_ne!(first, second);

    let mut client = api.client().await;
    client.send(b"GET /health HTTP/1.1\r\nHost: mondo\r\nX-Request-Id: mine-7\r\n\r\n").await;
    assert_eq!(client.reply().await.headers["x-request-id"], "mine-7");
    api.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_named_with_the_setting_that_changes_it() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = mondo::http::bind(address).unwrap_err();
    let expected = format!(
        "cannot listen on `{address}`: another program listens there; choose another address with MONDO_LISTEN"
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn settings_have_defaults_and_bounds() {
    let read = |values: &[(&str, &str)]| {
        let mut env = Env::of(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = mondo::http::ApiConfig::from_env(&mut env);
        env.finish().map(|()| (config.listen.to_string(), config.take_wait.as_secs()))
    };
    assert_eq!(read(&[]), Ok(("127.0.0.1:5003".to_owned(), 10)));
    let set = [("MONDO_LISTEN", "[::]:80"), ("MONDO_TAKE_WAIT_SECS", "0")];
    assert_eq!(read(&set), Ok(("[::]:80".to_owned(), 0)));
    let error = read(&[("MONDO_LISTEN", "5003"), ("MONDO_TAKE_WAIT_SECS", "111")]).unwrap_err();
    assert_eq!(
        error.0,
        [
            "MONDO_LISTEN is `5003`; accepted is an IP address and a port, such as 127.0.0.1:5003",
            "MONDO_TAKE_WAIT_SECS is `111`; accepted is a whole number from 0 to 110",
        ]
    );
}
