//! A running API over a real Redis, and a client that speaks HTTP/1.1 by hand: tests decide themselves when
//! it reads, pipelines or hangs up.

use std::{collections::HashMap, io, net::SocketAddr, time::Duration};

use mondo::http::{Api, ApiConfig, PollAge};
use mondo_jobs::queue::Queue;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::wait::within;

/// The API of one process.
pub(crate) struct TestApi {
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
}

impl TestApi {
    /// Serves `queue`; a consumer waits for `take_wait` when no pair is ready.
    pub(crate) fn start(queue: Queue, take_wait: Duration) -> Self {
        Self::start_with(queue, take_wait, None)
    }

    pub(crate) fn start_with(queue: Queue, take_wait: Duration, poll_age: Option<PollAge>) -> Self {
        let config = ApiConfig { listen: "127.0.0.1:0".parse().unwrap(), take_wait };
        let listener = mondo::http::bind(config.listen).unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let api = Api::new(queue, &config, poll_age);
        let tasks = TaskTracker::new();
        let served = tasks.spawn(mondo::http::serve(listener, api, shutdown.clone()));
        Self { address, shutdown, served }
    }

    /// Stops it and waits until it has ended.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        within("the API ends", self.served).await.unwrap();
    }

    pub(crate) async fn client(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), read: Vec::new() }
    }

    /// A client whose side of the connection holds next to nothing: what it does not read, the server keeps.
    pub(crate) async fn narrow_client(&self) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Client { stream: socket.connect(self.address).await.unwrap(), read: Vec::new() }
    }

    /// One GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        let mut client = self.client().await;
        client.ask("GET", path).await;
        client.reply().await
    }
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    /// A connection to a server that may not listen yet.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: TcpStream::connect(address).await?, read: Vec::new() })
    }

    pub(crate) async fn ask(&mut self, method: &str, path: &str) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: mondo\r\n\r\n");
        self.send(request.as_bytes()).await;
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads until this many bytes of the next reply are there.
    pub(crate) async fn read_some(&mut self, bytes: usize) {
        while self.read.len() < bytes {
            assert!(self.read_more().await, "the server hung up");
        }
    }

    async fn read_more(&mut self) -> bool {
        within("the server sends", self.stream.read_buf(&mut self.read)).await.unwrap_or(0) > 0
    }

    /// The next reply, to its end.
    pub(crate) async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("a whole reply")
    }

    /// The next reply; `None` if the server hangs up before its end.
    pub(crate) async fn try_reply(&mut self) -> Option<Reply> {
        let head_bytes = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read_more().await {
                return None;
            }
        };
        let head = String::from_utf8(self.read.drain(..head_bytes).collect()).unwrap();
        let (status, headers) = parse_head(&head);
        let length: usize = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
        while self.read.len() < length {
            if !self.read_more().await {
                return None;
            }
        }
        Some(Reply { status, headers, body: self.read.drain(..length).collect() })
    }

    /// Says nothing more and reads nothing more, as a process that ends properly.
    pub(crate) fn close(self) {
        drop(self);
    }

    /// Goes away as a machine that is switched off and answers with a reset when it is back.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

fn parse_head(head: &str) -> (u16, HashMap<String, String>) {
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    (status, headers)
}

/// A whole reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }
}
