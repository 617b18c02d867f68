//! A client of the browser's own protocol (CDP) over two byte pipes: JSON messages that end with NUL, sessions
//! flattened. Commands are typed by `chromiumoxide`'s protocol module; its transport is not used because it
//! needs an open WebSocket port, and a port is something that a page could reach.

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chromiumoxide::Command;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot},
};
use tokio_util::task::TaskTracker;

use super::{
    events::{Event, SessionEvent},
    json,
};

/// A longer message is dropped unread. The largest honest one is a screenshot, about 8 MiB.
const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How much is read at once: what the kernel's pipe holds.
const CHUNK_BYTES: usize = 64 * 1024;

/// How many events may wait for their page. When it is full the pipe is no longer read, which holds back a page
/// that floods its console.
pub(in crate::sandbox) const EVENTS_WAITING_MAX: usize = 1024;

/// Why a command has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::sandbox) enum CdpError {
    /// The pipe is closed: the browser has ended.
    #[error("the browser has ended")]
    Gone,
    /// The browser refuses the command.
    #[error("`{method}` was refused: {message}")]
    Refused {
        /// The command.
        method: String,
        /// What the browser said.
        message: String,
    },
    /// The browser did not answer in time.
    #[error("`{method}` was not answered within {} ms", .limit.as_millis())]
    Silent {
        /// The command.
        method: String,
        /// How long we waited.
        limit: Duration,
    },
}

/// A connection to one browser. Dropping the last clone closes the pipe, at which the browser ends.
#[derive(Clone)]
pub(in crate::sandbox) struct Cdp {
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    next_id: Arc<AtomicU64>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    gone: bool,
    waiting: HashMap<u64, Waiting>,
    listeners: HashMap<String, mpsc::Sender<SessionEvent>>,
}

struct Waiting {
    session: Option<String>,
    method: String,
    reply: oneshot::Sender<Result<Value, CdpError>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reply to a command that has been sent. Dropping it forgets the reply, not the command.
pub(in crate::sandbox) struct Pending<R> {
    receiver: oneshot::Receiver<Result<Value, CdpError>>,
    method: String,
    result: PhantomData<fn() -> R>,
}

impl<R> Pending<R> {
    /// The same reply as plain JSON, so that replies of different commands can wait in one list.
    pub(in crate::sandbox) fn untyped(self) -> Pending<Value> {
        Pending { receiver: self.receiver, method: self.method, result: PhantomData }
    }
}

impl<R: serde::de::DeserializeOwned> Pending<R> {
    /// Waits for the reply, without a limit of its own.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(in crate::sandbox) async fn reply(&mut self) -> Result<R, CdpError> {
        let value = (&mut self.receiver).await.unwrap_or(Err(CdpError::Gone))?;
        serde_json::from_value(value)
            .map_err(|error| CdpError::Refused { method: self.method.clone(), message: error.to_string() })
    }
}

#[derive(Serialize)]
struct Call<'a, C> {
    id: u64,
    method: &'a str,
    #[serde(rename = "sessionId", skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    params: &'a C,
}

impl Cdp {
    /// Talks to a browser through its pipes; the two tasks that carry the messages run on `tasks`.
    pub(in crate::sandbox) fn start(
        output: impl AsyncRead + Send + Unpin + 'static,
        input: impl AsyncWrite + Send + Unpin + 'static,
        tasks: &TaskTracker,
    ) -> Self {
        let (outgoing, queue) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        tasks.spawn(write(queue, input));
        tasks.spawn(read(output, Arc::clone(&shared)));
        Self { outgoing, next_id: Arc::new(AtomicU64::new(1)), shared }
    }

    /// Whether the browser has ended.
    pub(in crate::sandbox) fn is_gone(&self) -> bool {
        self.shared.lock().gone
    }

    /// Sends a command without waiting, so that commands can follow each other closely.
    pub(in crate::sandbox) fn send<C: Command>(
        &self,
        session: Option<&str>,
        command: &C,
    ) -> Pending<C::Response> {
        let (reply, receiver) = oneshot::channel();
        let method = command.identifier().into_owned();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let call = Call { id, method: &method, session, params: command };
        match serde_json::to_vec(&call) {
            Ok(mut message) => {
                message.push(0);
                self.expect(id, session, &method, reply);
                // A closed queue means that the browser is gone, and then `read` answers what is waiting.
                let _ = self.outgoing.send(message);
            }
            Err(error) => {
                let refused = CdpError::Refused { method: method.clone(), message: error.to_string() };
                let _ = reply.send(Err(refused));
            }
        }
        Pending { receiver, method, result: PhantomData }
    }

    /// Sends a command and waits for its result at most `limit`.
    pub(in crate::sandbox) async fn call<C: Command>(
        &self,
        session: Option<&str>,
        command: &C,
        limit: Duration,
    ) -> Result<C::Response, CdpError> {
        let mut pending = self.send(session, command);
        let silent = || CdpError::Silent { method: command.identifier().into_owned(), limit };
        tokio::time::timeout(limit, pending.reply()).await.map_err(|_| silent())?
    }

    /// Delivers the events of `session` to `listener` from now on.
    pub(in crate::sandbox) fn listen(&self, session: &str, listener: mpsc::Sender<SessionEvent>) {
        self.shared.lock().listeners.insert(session.to_owned(), listener);
    }

    /// Drops what is known of `session` and its children: listeners, and replies that will not come any more.
    pub(in crate::sandbox) fn forget(&self, session: &str) {
        let mut state = self.shared.lock();
        state.listeners.remove(session);
        state.listeners.retain(|_, listener| !listener.is_closed());
        // Nobody waits for what was sent to its children, and many of those have ended without an answer.
        state
            .waiting
            .retain(|_, waiting| waiting.session.as_deref() != Some(session) && !waiting.reply.is_closed());
    }

    fn expect(
        &self,
        id: u64,
        session: Option<&str>,
        method: &str,
        reply: oneshot::Sender<Result<Value, CdpError>>,
    ) {
        let mut state = self.shared.lock();
        if state.gone {
            let _ = reply.send(Err(CdpError::Gone));
            return;
        }
        let waiting = Waiting { session: session.map(str::to_owned), method: method.to_owned(), reply };
        state.waiting.insert(id, waiting);
    }
}

async fn write(mut queue: mpsc::UnboundedReceiver<Vec<u8>>, mut input: impl AsyncWrite + Unpin) {
    while let Some(mut message) = queue.recv().await {
        while let Ok(next) = queue.try_recv() {
            message.extend_from_slice(&next);
        }
        if input.write_all(&message).await.is_err() || input.flush().await.is_err() {
            break;
        }
    }
}

async fn read(mut output: impl AsyncRead + Unpin, shared: Arc<Shared>) {
    let mut splitter = Splitter::default();
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = output.read(&mut buffer).await {
        for mut message in splitter.push(buffer.get(..length).unwrap_or_default()) {
            json::mend(&mut message);
            dispatch(&shared, &message).await;
        }
    }
    let waiting = {
        let mut state = shared.lock();
        state.gone = true;
        state.listeners.clear();
        std::mem::take(&mut state.waiting)
    };
    for (_, waiting) in waiting {
        let _ = waiting.reply.send(Err(CdpError::Gone));
    }
}

/// Cuts the byte stream at NUL and leaves out messages that are too long.
#[derive(Default)]
struct Splitter {
    message: Vec<u8>,
    too_long: bool,
}

impl Splitter {
    fn push(&mut self, chunk: &[u8]) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let mut parts = chunk.split(|byte| *byte == 0).peekable();
        while let Some(part) = parts.next() {
            if self.message.len() + part.len() > MESSAGE_BYTES_MAX {
                self.too_long = true;
                self.message = Vec::new();
            }
            if !self.too_long {
                self.message.extend_from_slice(part);
            }
            if parts.peek().is_some() {
                let message = std::mem::take(&mut self.message);
                if !std::mem::take(&mut self.too_long) {
                    messages.push(message);
                }
            }
        }
        messages
    }
}

#[derive(Deserialize)]
struct Envelope {
    id: Option<u64>,
    method: Option<String>,
    #[serde(rename = "sessionId", default)]
    session: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

async fn dispatch(shared: &Shared, message: &[u8]) {
    let Ok(envelope) = serde_json::from_slice::<Envelope>(message) else {
        tracing::warn!(bytes = message.len(), "the browser sent a message that is no JSON");
        return;
    };
    if let Some(id) = envelope.id {
        let waiting = shared.lock().waiting.remove(&id);
        if let Some(Waiting { method, reply, .. }) = waiting {
            let _ = reply.send(answer(message, method));
        }
        return;
    }
    let Some(method) = envelope.method else { return };
    let listener = shared.lock().listeners.get(&envelope.session).cloned();
    let Some(listener) = listener else { return };
    match Event::parse(&method, message) {
        Ok(Some(event)) => {
            // A closed listener means that the page was given up meanwhile.
            let _ = listener.send(SessionEvent { session: envelope.session, event }).await;
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(method, %error, "an event of the browser has an unknown shape"),
    }
}

fn answer(message: &[u8], method: String) -> Result<Value, CdpError> {
    match serde_json::from_slice::<Answer>(message) {
        Ok(Answer { error: Some(refusal), .. }) => {
            Err(CdpError::Refused { method, message: refusal.message })
        }
        Ok(Answer { result, .. }) => Ok(result),
        Err(error) => Err(CdpError::Refused { method, message: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_at_nul_across_chunks() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.push(b"ab\0c"), [b"ab".to_vec()]);
        assert_eq!(splitter.push(b"d\0\0e"), [b"cd".to_vec(), b"".to_vec()]);
        assert_eq!(splitter.push(b"\0"), [b"e".to_vec()]);
    }

    #[test]
    fn a_message_over_the_limit_is_left_out_and_the_next_one_is_read() {
        let mut splitter = Splitter::default();
        let part = vec![b'x'; MESSAGE_BYTES_MAX / 2 + 1];
        assert!(splitter.push(&part).is_empty());
        assert!(splitter.push(&part).is_empty());
        assert!(splitter.push(b"xx").is_empty());
        assert_eq!(splitter.push(b"x\0ok\0"), [b"ok".to_vec()]);
    }

    #[tokio::test]
    async fn what_waits_is_answered_when_the_browser_ends() {
        let tasks = TaskTracker::new();
        let (ours, theirs) = tokio::io::duplex(1024);
        let (output, browser) = tokio::io::duplex(1024);
        let cdp = Cdp::start(output, ours, &tasks);
        let mut pending = cdp
            .send(None, &chromiumoxide::cdp::browser_protocol::system_info::GetProcessInfoParams::default());
        drop(browser);
        assert_eq!(pending.reply().await.unwrap_err(), CdpError::Gone);
        assert!(cdp.is_gone());
        drop(theirs);
    }
}
