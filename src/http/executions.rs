//! The sandbox as a service: workers elsewhere send one page and get its report. `mondo sandbox` serves it, and
//! nothing else is at this address.
//!
//! `POST /executions?seed=N` with the page as its body answers the report as one line of JSON, and after it the bytes
//! of the screenshot, if there is one. A caller who hangs up ends its page.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Query, Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use mondo_jobs::ports::{
    Execution, Sandbox, SandboxError,
    sandbox::{PAGE_BYTES_MAX, WATCH_MS},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Pages that may wait for each slot; more are told to come back.
const WAITING_PER_SLOT: usize = 1;

/// When to come back, in seconds: about as long as a page takes.
const RETRY_AFTER_SECS: u16 = 1;

/// The longest page time for which a page is watched, in milliseconds.
const WATCH_MS_MAX: u64 = 120_000;

/// How long a request may take in all, its page's way here among it. An execution ends by itself long before.
const REQUEST_TIME_MAX: Duration = Duration::from_mins(2);

/// How long a caller may take to send a request's head, or keep a connection without asking anything.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// How long pages under way may take after the stop.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// Connections at once; more wait in the operating system's backlog.
const CONNECTIONS_MAX: usize = 256;

/// A sandbox that is offered to others; cheap to clone.
#[derive(Clone)]
pub struct Offer {
    sandbox: Arc<dyn Sandbox>,
    places: Arc<Semaphore>,
    token: Arc<[u8]>,
}

impl Offer {
    /// Offers `sandbox`, which executes `slots` pages at once, to whoever knows the token.
    pub fn new(sandbox: Arc<dyn Sandbox>, slots: usize, token: &SecretString) -> Self {
        let places = Arc::new(Semaphore::new(slots * (1 + WAITING_PER_SLOT)));
        Self { sandbox, places, token: digest(token.expose_secret()) }
    }
}

/// Tokens are compared by their digests: how far two of them agree tells nothing about the token.
fn digest(token: &str) -> Arc<[u8]> {
    Sha256::digest(token).as_slice().into()
}

/// Answers requests until `stop`; then lets pages under way end within ten seconds.
pub async fn serve_executions(listener: TcpListener, offer: Offer, stop: CancellationToken) {
    let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let router = router(offer);
    while let Some((stream, place)) = stop.run_until_cancelled(accept(&listener, &places)).await {
        let (router, stop, cut) = (router.clone(), stop.clone(), cut.clone());
        connections.spawn(async move {
            tokio::select! {
                () = converse(stream, router, stop) => {}
                () = cut.cancelled() => {}
            }
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if timeout(DRAIN_TIME_MAX, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "pages are ended with their connections");
        cut.cancel();
        connections.wait().await;
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(places).acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                // Out of files, most likely; waiting lets some be closed.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, router: Router, stop: CancellationToken) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
}

fn router(offer: Offer) -> Router {
    let admitted = middleware::from_fn_with_state(offer.clone(), admit);
    let guarded = middleware::from_fn_with_state(offer.clone(), authenticate);
    Router::new()
        .route("/executions", post(execute).layer(DefaultBodyLimit::max(PAGE_BYTES_MAX)))
        .route_layer(admitted)
        .route_layer(guarded)
        .route("/livez", get(|| async { StatusCode::OK }))
        .layer(middleware::from_fn(bound))
        .with_state(offer)
}

/// Before a byte of the page is read.
async fn authenticate(State(offer): State<Offer>, request: Request, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if digest(given) == offer.token {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, "the token is missing or another one").into_response()
    }
}

/// Before a byte of the page is read as well: pages for which there is no place are not kept either.
async fn admit(State(offer): State<Offer>, request: Request, next: Next) -> Response {
    let Ok(_place) = offer.places.try_acquire() else {
        let mut busy = (StatusCode::SERVICE_UNAVAILABLE, "all slots are taken").into_response();
        busy.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECS));
        return busy;
    };
    next.run(request).await
}

async fn bound(request: Request, next: Next) -> Response {
    timeout(REQUEST_TIME_MAX, next.run(request))
        .await
        .unwrap_or_else(|_| (StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response())
}

#[derive(Deserialize)]
struct Wanted {
    seed: u64,
    /// Absent from older releases.
    #[serde(default = "watch_ms")]
    watch_ms: u64,
}

fn watch_ms() -> u64 {
    WATCH_MS
}

async fn execute(State(offer): State<Offer>, Query(wanted): Query<Wanted>, page: String) -> Response {
    let watch_ms = wanted.watch_ms.min(WATCH_MS_MAX);
    match offer.sandbox.execute(&Execution { watch_ms, ..Execution::new(page, wanted.seed) }).await {
        Ok(report) => answer(&report),
        Err(error) => {
            tracing::warn!(%error, "cannot execute a page");
            (status(&error), error.to_string()).into_response()
        }
    }
}

fn answer(report: &mondo_jobs::finding::Report) -> Response {
    let mut body = match serde_json::to_vec(report) {
        Ok(json) => json,
        Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    };
    body.push(b'\n');
    body.extend_from_slice(report.screenshot.as_deref().unwrap_or_default());
    let kind = HeaderValue::from_static("application/octet-stream");
    ([(CONTENT_TYPE, kind)], Body::from(Bytes::from(body))).into_response()
}

fn status(error: &SandboxError) -> StatusCode {
    match error {
        SandboxError::PageTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        SandboxError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        SandboxError::Browser { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
