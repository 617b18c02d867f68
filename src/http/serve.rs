//! Accepts connections, bounds them, and ends them without losing a pair.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Api,
    connection::{Connection, Socket},
    routes,
};
use crate::metrics;

/// Connections at once; more wait in the operating system's backlog. Below the usual limit of 1024 open files,
/// and above the number of consumers that may wait, so that `/health` still answers.
const CONNECTIONS_MAX: usize = 900;

/// How much of a response the operating system takes before the client reads; connections inherit it from the
/// listener. Left to itself, Linux takes 2 MB at once, and a pair would count as written out while its client
/// has read nothing. A client 100 ms away still gets the largest pair in a few seconds.
const SEND_BUFFER_BYTES: u32 = 64 * 1024;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// How long a client may take to send a request's head, or keep a connection without asking anything.
const HEAD_TIME_MAX: Duration = Duration::from_mins(1);

/// How long responses under way may take after the stop.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// How long Redis may be away before the server ends without having told it of the last hand-overs. Their
/// pairs return when their leases lapse.
const NOTES_TIME_MAX: Duration = Duration::from_secs(10);

/// Samples of the histograms are folded so often, whether anybody asks for them or not.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// The address is not to be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{address}`: {problem}; choose another address with MONDO_LISTEN")]
pub struct BindError {
    address: SocketAddr,
    problem: String,
    #[source]
    source: io::Error,
}

/// Opens the address to listen on, for [`serve`].
///
/// # Errors
/// When it is taken, not of this machine, or not allowed.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    listen(address).map_err(|source| {
        let problem = match source.kind() {
            io::ErrorKind::AddrInUse => "another program listens there".to_owned(),
            _ => source.to_string(),
        };
        BindError { address, problem, source }
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As `TcpListener::bind` does: a restart need not wait for old connections to time out.
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Answers requests until `shutdown`; then lets responses under way end, and returns when every pair that was
/// taken is delivered or back on the ready list.
pub async fn serve(listener: TcpListener, api: Api, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let router = routes::router(api.clone());
    let mut upkeep = interval(METRICS_UPKEEP);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = upkeep.tick() => metrics::upkeep(),
            (stream, place) = accept(&listener, &places) => {
                let (router, stopping, cut) = (router.clone(), api.stopping.clone(), cut.clone());
                connections.spawn(run(stream, place, router, stopping, cut));
            }
        }
    }
    drop(listener);
    api.stopping.cancel();
    connections.close();
    if timeout(DRAIN_TIME_MAX, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "cutting connections whose clients do not read");
        cut.cancel();
        connections.wait().await;
    }
    api.tasks.close();
    if timeout(NOTES_TIME_MAX, api.tasks.wait()).await.is_err() {
        tracing::warn!(pairs = api.tasks.len(), "redis does not answer; these pairs return by themselves");
    }
}

/// The next connection. Errors of single connections are not ours; having no file left is worth a pause.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => return (stream, place),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(error = %error, "cannot accept connections");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Serves one connection until its client leaves, the server stops, or it is cut.
async fn run(
    stream: TcpStream,
    _place: Option<OwnedSemaphorePermit>,
    router: Router,
    stopping: CancellationToken,
    cut: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "cannot set TCP_NODELAY");
    }
    let connection = Connection::default();
    let socket = TokioIo::new(Socket::new(stream, connection.clone()));
    let answers = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(connection.clone());
        answers.call(request.map(Body::new))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .serve_connection(socket, service);
    let mut served = std::pin::pin!(served);
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = stopping.cancelled() => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                result = served.as_mut() => result,
                () = cut.cancelled() => Ok(()),
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(error = %error, "connection ended");
    }
}
