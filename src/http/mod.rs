//! The HTTP API: consumers take finished pairs, operators look.
//!
//! # When a pair is gone
//! A pair must not be lost when its consumer goes away in the middle, so it leaves the ready list when its
//! response *has been written out*, not when it is about to be. No HTTP library reports that moment; it is
//! seen here from below:
//!
//! 1. A handler takes a pair and holds it in a [`handover::Handover`]. Whoever drops one puts the pair
//!    back at the head: a handler whose client hung up, a response that never was sent, a panic.
//! 2. When the HTTP library asks for the response's last bytes, the body moves the handover into its
//!    [`connection::Connection`].
//! 3. The library flushes the socket only when nothing is left in its own buffer. The first successful
//!    flush after step 2 therefore means that the operating system has all bytes: the pair is delivered.
//! 4. A write error, a client that hung up before the last write, a write that stalls too long, and the end
//!    of the connection for any other reason come before that flush, and drop the handover.
//!
//! The argument holds for HTTP/1, where one response at a time is on its way; with HTTP/2 a flush says nothing
//! about one stream. That is why [`serve()`] drives hyper's HTTP/1 connection itself: `axum::serve` would speak
//! HTTP/2 to a client that starts with it, since another crate of this program turns that feature on.
//!
//! What the operating system has accepted may still be lost with the client. A consumer that must exclude
//! this needs an acknowledgement of its own, which this call of Dojo's does not have.

mod connection;
mod executions;
mod handover;
mod health;
mod line;
mod reply;
mod routes;
mod serve;
mod synthetic_gen;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use mondo_jobs::{env::Env, queue::Queue};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::metrics;

pub use self::{
    executions::{Offer, serve_executions},
    serve::{BindError, bind, serve},
};

/// Where the API listens unless `MONDO_LISTEN` says otherwise.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5003);

/// Settings of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// How long a consumer waits for a pair when none is ready, at most 110 s: Dojo's client gives up at 120.
    pub take_wait: Duration,
}

impl ApiConfig {
    /// Reads `MONDO_LISTEN` and `MONDO_TAKE_WAIT_SECS`.
    pub fn from_env(env: &mut Env) -> Self {
        let accepted = "an IP address and a port, such as 127.0.0.1:5003";
        Self {
            listen: env.read("MONDO_LISTEN", LISTEN_DEFAULT, accepted, |text| text.parse().ok()),
            take_wait: Duration::from_secs(env.number("MONDO_TAKE_WAIT_SECS", 10, 0..=110)),
        }
    }
}

/// Tells how long ago the workers of this process last polled their streams with success.
pub type PollAge = Arc<dyn Fn() -> Option<Duration> + Send + Sync>;

/// Everything that the routes share; cheap to clone.
#[derive(Clone)]
pub struct Api {
    queue: Queue,
    take_wait: Duration,
    poll_age: Option<PollAge>,
    line: Arc<line::Line>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Api {
    /// An API over `queue`. `poll_age` is given by a process that has workers too; its readiness then depends
    /// on them.
    pub fn new(queue: Queue, config: &ApiConfig, poll_age: Option<PollAge>) -> Self {
        let tasks = TaskTracker::new();
        let stopping = CancellationToken::new();
        metrics::install();
        let line = Arc::new(line::Line::new(queue.clone(), tasks.clone(), stopping.clone()));
        Self { queue, take_wait: config.take_wait, poll_age, line, tasks, stopping }
    }
}
