//! One client's connection, watched from below for the moment when a response has been written out.
//! The module [`super`] says why.

use std::{
    io,
    io::IoSlice,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::handover::Handover;

/// How long a client may take to read one response; well below the hand-over lease, so that a slow client
/// cannot hold a pair that others may already get.
pub(super) const WRITE_TIME_MAX: Duration = Duration::from_secs(40);

/// What a response body knows of its connection: where the pair goes with the last bytes.
#[derive(Clone, Default)]
pub(super) struct Connection(Arc<Mutex<Option<Handover>>>);

impl Connection {
    /// The last bytes of this pair's response are being handed to the HTTP library.
    pub(super) fn ends_with(&self, handover: Handover) {
        *self.slot() = Some(handover);
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Handover>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket of one connection. Dropping it puts back the pair whose response was not written out.
pub(super) struct Socket {
    stream: TcpStream,
    connection: Connection,
    /// Runs from the first write of a response that had to wait for the client, until the response is out.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, connection: Connection) -> Self {
        Self { stream, connection, stalled: None }
    }

    /// Runs one write unless the client is gone or too slow.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.refuse_if_gone(cx)?;
        if let Poll::Ready(result) = write(Pin::new(&mut self.stream), cx) {
            return Poll::Ready(result);
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(WRITE_TIME_MAX)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads too slowly")))
    }

    /// A socket whose client has closed it still accepts bytes, so the last write of a pair looks first. It
    /// must not look afterwards: a client that has everything may close at once.
    fn refuse_if_gone(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.connection.slot().is_none() {
            return Ok(());
        }
        let mut byte = [0];
        match self.stream.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Ok(0)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the client hung up")),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(_)) | Poll::Pending => Ok(()),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Other handles on the connection may live on in a request that is still being dropped.
        let undelivered = self.connection.slot().take();
        drop(undelivered);
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when the HTTP library has nothing left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.stalled = None;
        let delivered = self.connection.slot().take();
        if let Some(handover) = delivered {
            handover.delivered();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
