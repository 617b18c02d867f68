//! `GET /api/synthetic-gen`: one pair per call, in the envelope that Dojo's first validator reads.

use std::{
    array,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::{Extension, State},
    http::{HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{
    Api,
    connection::Connection,
    handover::Handover,
    line::{NoPair, Offer},
    reply,
};

const ENVELOPE_START: &[u8] = br#"{"success":true,"error":null,"body":"#;
const ENVELOPE_END: &[u8] = b"}";

/// What a consumer is asked to wait before it calls again, seconds.
const RETRY_EMPTY_SECS: u16 = 5;
const RETRY_SOON_SECS: u16 = 1;

pub(super) async fn take(State(api): State<Api>, Extension(connection): Extension<Connection>) -> Response {
    match api.line.take(api.take_wait).await {
        Ok(offer) => PairBody::of(offer, connection).into_response(),
        Err(no_pair) => no_pair.into_response(),
    }
}

impl IntoResponse for NoPair {
    fn into_response(self) -> Response {
        match self {
            Self::Empty => reply::unavailable("no pair is ready yet", RETRY_EMPTY_SECS),
            Self::Crowded => {
                reply::unavailable("no pair is ready and too many clients wait", RETRY_EMPTY_SECS)
            }
            Self::Away => reply::unavailable("the store of finished pairs does not answer", RETRY_SOON_SECS),
            Self::Stopping => reply::unavailable("this server is being stopped", RETRY_SOON_SECS),
        }
    }
}

/// The stored body between the two halves of the envelope, uncopied.
struct PairBody {
    parts: array::IntoIter<Bytes, 3>,
    bytes_left: u64,
    /// Moves to the connection with the last part; dropped before that, it puts the pair back.
    handover: Option<Handover>,
    connection: Connection,
}

impl PairBody {
    fn of(offer: Offer, connection: Connection) -> Self {
        let parts = [Bytes::from_static(ENVELOPE_START), offer.body, Bytes::from_static(ENVELOPE_END)];
        let bytes_left = parts.iter().map(|part| part.len() as u64).sum();
        Self { parts: parts.into_iter(), bytes_left, handover: Some(offer.handover), connection }
    }
}

impl IntoResponse for PairBody {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::new(self));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

impl http_body::Body for PairBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(part) = self.parts.next() else { return Poll::Ready(None) };
        self.bytes_left -= part.len() as u64;
        if self.bytes_left == 0
            && let Some(handover) = self.handover.take()
        {
            self.connection.ends_with(handover);
        }
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes_left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes_left)
    }
}
