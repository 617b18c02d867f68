//! The table of everything that the API answers, and what surrounds each answer.

use std::any::Any;

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{HeaderName, StatusCode},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use tokio::time::Instant;
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::CorsLayer,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    trace::{DefaultOnFailure, TraceLayer},
};
use uuid::Uuid;

use super::{Api, health, reply, synthetic_gen};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// All routes. HEAD is refused where GET takes a pair, because it could only put it back again.
pub(super) fn router(api: Api) -> Router {
    Router::new()
        .route("/api/synthetic-gen", get(synthetic_gen::take).head(wrong_method))
        .route("/synthetic-gen", get(synthetic_gen::take).head(wrong_method))
        .route("/health", get(health::health))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(middleware::from_fn(measure))
        .layer(CorsLayer::permissive())
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(trace())
        .layer(SetRequestIdLayer::new(REQUEST_ID, FreshId))
        .with_state(api)
}

async fn unknown_path() -> Response {
    reply::failure(StatusCode::NOT_FOUND, "there is nothing at this path")
}

async fn wrong_method() -> Response {
    reply::failure(StatusCode::METHOD_NOT_ALLOWED, "this path does not answer this method")
}

#[expect(clippy::needless_pass_by_value, reason = "the layer asks for this signature")]
fn after_panic(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = message, "a handler panicked");
    reply::failure(StatusCode::INTERNAL_SERVER_ERROR, "this server made a mistake; its log says more")
}

/// Counts and times requests by the path of the table, so that no client can make up labels.
async fn measure(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map_or("unknown", MatchedPath::as_str).to_owned();
    let started = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("mondo_http_requests_total", "path" => path.clone(), "status" => status).increment(1);
    metrics::histogram!("mondo_http_request_duration_seconds", "path" => path).record(started.elapsed());
    response
}

#[derive(Clone, Copy)]
struct FreshId;

impl MakeRequestId for FreshId {
    fn make_request_id<B>(&mut self, _request: &axum::http::Request<B>) -> Option<RequestId> {
        Uuid::now_v7().to_string().parse().ok().map(RequestId::new)
    }
}

type HttpTrace = TraceLayer<
    tower_http::classify::SharedClassifier<tower_http::classify::ServerErrorsAsFailures>,
    fn(&Request) -> tracing::Span,
>;

/// An empty list is a 503 many times an hour: failures are no news here, the counters have them.
fn trace() -> HttpTrace {
    let span: fn(&Request) -> tracing::Span = span;
    TraceLayer::new_for_http()
        .make_span_with(span)
        .on_failure(DefaultOnFailure::new().level(tracing::Level::DEBUG))
}

fn span(request: &Request) -> tracing::Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    tracing::debug_span!("request", request.id = id, method = %request.method(), path = request.uri().path())
}
