//! What an operator's machines ask: does it live, can it work, how much has it done.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use mondo_jobs::queue::Stats;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Api;
use crate::metrics;

/// How long Redis may take to say what is where.
const STATS_TIME_MAX: Duration = Duration::from_secs(2);

/// Workers that have not polled with success for so long cannot be counted on.
const POLL_AGE_MAX: Duration = Duration::from_secs(15);

/// Dojo's compose file asks this, word for word.
pub(super) async fn health() -> Json<Value> {
    Json(json!({ "status": "OK" }))
}

pub(super) async fn livez() -> StatusCode {
    StatusCode::OK
}

/// 200 or 503 with one entry per check: `ok`, and in words why not.
pub(super) async fn readyz(State(api): State<Api>) -> Response {
    let mut checks = serde_json::Map::new();
    checks.insert("redis".to_owned(), redis_check(stats(&api).await.is_some()));
    if let Some(poll_age) = &api.poll_age {
        checks.insert("workers".to_owned(), workers_check(poll_age()));
    }
    let ready = checks.values().all(|check| check["ok"] == true);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready, "checks": checks }))).into_response()
}

fn redis_check(answers: bool) -> Value {
    if answers { json!({ "ok": true }) } else { json!({ "ok": false, "reason": "redis does not answer" }) }
}

fn workers_check(age: Option<Duration>) -> Value {
    let Some(age) = age else {
        return json!({ "ok": false, "reason": "the workers have not polled their streams yet" });
    };
    let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    if age <= POLL_AGE_MAX {
        return json!({ "ok": true, "last_poll_age_ms": age_ms });
    }
    let reason = format!("no worker has polled its stream for {} s", age.as_secs());
    json!({ "ok": false, "reason": reason, "last_poll_age_ms": age_ms })
}

/// Prometheus text. It answers without Redis too, with `mondo_redis_up 0`.
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let stats = stats(&api).await;
    let text = metrics::render(stats.as_ref(), api.line.waiting());
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(CONTENT_TYPE, content_type)], text).into_response()
}

async fn stats(api: &Api) -> Option<Stats> {
    match timeout(STATS_TIME_MAX, api.queue.stats()).await {
        Ok(Ok(stats)) => Some(stats),
        Ok(Err(error)) => {
            tracing::debug!(error = %error, "cannot read what is where");
            None
        }
        Err(_elapsed) => None,
    }
}
