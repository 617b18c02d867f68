//! The shared connection to the server that holds a shard, wherever that is at the moment.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};

use super::{
    connection::CONNECT_TIME_MAX,
    place::{Place, open},
};

/// How often a command is sent to servers that do not hold its shard.
const TRIES: u32 = 2;

/// A connection that pipelines all its callers, and finds its way back: after it broke, after a failover, and
/// after the shard moved to another node. Cheap to clone.
#[derive(Clone)]
pub(super) struct Link(Arc<Inner>);

struct Inner {
    place: Arc<Place>,
    slot: u16,
    response_time_max: Duration,
    /// Where the shard was found, until that proves wrong.
    node: Mutex<Option<Node>>,
    /// One caller at a time looks for the shard; those who wait share what it met.
    turn: tokio::sync::Mutex<Option<(Instant, RedisError)>>,
}

#[derive(Clone)]
struct Node {
    /// Made anew for each connection, so it also tells this one from those before and after it.
    info: Arc<redis::ConnectionInfo>,
    connection: MultiplexedConnection,
}

impl Link {
    /// A link to whoever holds the slot; it connects when it is first used. A reply may take so long.
    pub(super) fn new(place: Arc<Place>, slot: u16, response_time_max: Duration) -> Self {
        let (node, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { place, slot, response_time_max, node, turn }))
    }

    /// A connection of its own to the same server, whose replies may take so long.
    pub(super) async fn dedicated(&self, response_time_max: Duration) -> RedisResult<MultiplexedConnection> {
        let info = self.node().await?.info;
        open((*info).clone(), CONNECT_TIME_MAX, response_time_max).await
    }

    async fn node(&self) -> RedisResult<Node> {
        if let Some(node) = self.known() {
            return Ok(node);
        }
        let since = Instant::now();
        let mut failed = self.0.turn.lock().await;
        if let Some(node) = self.known() {
            return Ok(node);
        }
        if let Some((at, error)) = &*failed
            && *at >= since
        {
            return Err(error.clone());
        }
        match self.find().await {
            Ok(node) => {
                *self.slot() = Some(node.clone());
                Ok(node)
            }
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn find(&self) -> RedisResult<Node> {
        let info = self.0.place.locate(self.0.slot).await?;
        let mut connection = open(info.clone(), self.0.response_time_max, self.0.response_time_max).await?;
        self.0.place.check(&mut connection).await?;
        Ok(Node { info: Arc::new(info), connection })
    }

    fn known(&self) -> Option<Node> {
        self.slot().clone()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Node>> {
        self.0.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, wrong: &Node) {
        self.slot().take_if(|node| Arc::ptr_eq(&node.info, &wrong.info));
    }

    /// Lets go of a connection that broke or led astray. Says whether the server did nothing, since it does not
    /// hold the shard: then the one that does is found, and asked in its place.
    fn is_astray(&self, node: &Node, error: Option<RedisError>) -> bool {
        let Some(error) = error else { return false };
        let astray =
            matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::ReadOnly));
        if astray || error.is_io_error() || error.is_unrecoverable_error() {
            self.forget(node);
        }
        astray
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let mut tries = TRIES;
            loop {
                let mut node = self.node().await?;
                let reply = node.connection.send_packed_command(cmd).await;
                let error = reply.as_ref().map_or_else(|error| Some(error.clone()), refusal);
                tries -= 1;
                if !self.is_astray(&node, error) || tries == 0 {
                    return reply;
                }
            }
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut tries = TRIES;
            loop {
                let mut node = self.node().await?;
                let reply = node.connection.send_packed_commands(pipeline, offset, count).await;
                let first = |values: &Vec<Value>| values.iter().find_map(refusal);
                let error = reply.as_ref().map_or_else(|error| Some(error.clone()), first);
                tries -= 1;
                if !self.is_astray(&node, error) || tries == 0 {
                    return reply;
                }
            }
        })
    }

    fn get_db(&self) -> i64 {
        self.0.place.db()
    }
}

fn refusal(value: &Value) -> Option<RedisError> {
    match value {
        Value::ServerError(error) => Some(error.clone().into()),
        _ => None,
    }
}
