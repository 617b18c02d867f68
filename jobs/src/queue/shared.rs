//! The connection that all callers share.
//!
//! The client library makes it anew when it breaks, but not when it merely falls silent, as behind a host that went
//! away without a word: then every call would time out for as long as TCP hopes, a quarter of an hour. So a
//! connection on which a reply failed to come is given up, and the next call makes a new one.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{
    Client, Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
};

use super::connection::CONNECT_TIME_MAX;

/// How long any reply may take; the client library's own half second ends with every hiccup of a busy host.
const RESPONSE_TIME_MAX: Duration = Duration::from_secs(10);

/// A handle on the shared connection; cheap to clone.
#[derive(Clone)]
pub(super) struct SharedConnection(Arc<Inner>);

struct Inner {
    client: Client,
    config: ConnectionManagerConfig,
    current: Mutex<Generation>,
}

#[derive(Clone)]
struct Generation {
    number: u64,
    connection: ConnectionManager,
}

impl SharedConnection {
    /// Connects.
    pub(super) async fn connect(client: Client) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE_TIME_MAX))
            .set_connection_timeout(Some(CONNECT_TIME_MAX))
            .set_max_delay(Duration::from_secs(1))
            .set_number_of_retries(2);
        let connection = ConnectionManager::new_with_config(client.clone(), config.clone()).await?;
        let current = Mutex::new(Generation { number: 0, connection });
        Ok(Self(Arc::new(Inner { client, config, current })))
    }

    fn current(&self) -> MutexGuard<'_, Generation> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up a connection that fell silent, unless somebody already has.
    fn note(&self, number: u64, error: &RedisError) {
        let mut current = self.current();
        if error.is_timeout() && current.number == number {
            // Fails only for a configuration that would have failed before.
            if let Ok(connection) =
                ConnectionManager::new_lazy_with_config(self.0.client.clone(), self.0.config.clone())
            {
                *current = Generation { number: number + 1, connection };
            }
        }
    }
}

impl ConnectionLike for SharedConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let Generation { number, mut connection } = self.current().clone();
            let reply = connection.req_packed_command(command).await;
            reply.inspect_err(|error| self.note(number, error))
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let Generation { number, mut connection } = self.current().clone();
            let replies = connection.req_packed_commands(pipeline, offset, count).await;
            replies.inspect_err(|error| self.note(number, error))
        })
    }

    fn get_db(&self) -> i64 {
        self.current().connection.get_db()
    }
}
