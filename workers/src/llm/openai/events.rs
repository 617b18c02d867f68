//! Reads a response body, whole or event by event, within bounds of size and silence.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use reqwest::Response;

/// A response body being read.
pub(super) struct Events {
    response: Response,
    idle: Duration,
    bytes_max: usize,
    buffer: BytesMut,
    /// So much of `buffer` is known to hold no line end.
    scanned: usize,
}

/// Why a body could not be read to its end.
#[derive(Debug)]
pub(super) enum ReadError {
    /// One event, or the whole, is over the limit.
    TooLarge,
    /// No byte came for too long.
    Silent,
    /// The connection ended before the body did.
    Broken(reqwest::Error),
}

impl Events {
    pub(super) fn new(response: Response, idle: Duration, bytes_max: usize) -> Self {
        Self { response, idle, bytes_max, buffer: BytesMut::new(), scanned: 0 }
    }

    /// The whole body.
    pub(super) async fn whole(&mut self) -> Result<Bytes, ReadError> {
        while self.fill().await? {}
        Ok(self.buffer.split().freeze())
    }

    /// As much of the body as comes and fits.
    pub(super) async fn beginning(&mut self) -> Bytes {
        while matches!(self.fill().await, Ok(true)) {}
        self.buffer.split().freeze()
    }

    /// The data of the next server-sent event, or nothing at the end. Events without data (comments that keep
    /// the connection alive) are passed over; data at the very end counts even if its blank line is missing.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        let mut data: Option<Vec<u8>> = None;
        while let Some(line) = self.line().await? {
            if line.is_empty() {
                if data.is_some() {
                    return Ok(data);
                }
                continue;
            }
            let Some(value) = line.strip_prefix(b"data:") else { continue };
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &mut data {
                None => data = Some(value.to_vec()),
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            }
            if data.as_ref().is_some_and(|data| data.len() > self.bytes_max) {
                return Err(ReadError::TooLarge);
            }
        }
        Ok(data)
    }

    async fn line(&mut self) -> Result<Option<Bytes>, ReadError> {
        loop {
            if let Some(at) = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(self.scanned + at).freeze();
                self.buffer.advance(1);
                self.scanned = 0;
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                return Ok(Some(line));
            }
            self.scanned = self.buffer.len();
            if !self.fill().await? {
                self.scanned = 0;
                let rest = self.buffer.split().freeze();
                return Ok(if rest.is_empty() { None } else { Some(rest) });
            }
        }
    }

    /// Waits for more bytes; says whether there were any.
    async fn fill(&mut self) -> Result<bool, ReadError> {
        let chunk = tokio::time::timeout(self.idle, self.response.chunk())
            .await
            .map_err(|_| ReadError::Silent)?
            .map_err(ReadError::Broken)?;
        let Some(chunk) = chunk else { return Ok(false) };
        self.buffer.extend_from_slice(&chunk);
        // The bound is on what is held, so that a stream of many small events may be longer.
        if self.buffer.len() > self.bytes_max { Err(ReadError::TooLarge) } else { Ok(true) }
    }
}
