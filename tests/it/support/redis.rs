//! A real Redis for one test.

use std::{net::SocketAddr, path::Path};

use mondo::private_redis::{PrivateRedis, PrivateRedisError};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

use super::{cluster::TestCluster, server::LOGIN};

/// A private server with its own directory; both end with the value.
pub(crate) struct TestRedis {
    pub(crate) server: TestServer,
    dir: TempDir,
}

/// One server, or with `MONDO_TEST_REDIS=cluster` a cluster of three masters.
pub(crate) enum TestServer {
    Private(PrivateRedis),
    Cluster(TestCluster),
}

impl TestRedis {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let server = if std::env::var_os("MONDO_TEST_REDIS").is_some_and(|kind| kind == "cluster") {
            TestServer::Cluster(TestCluster::start().await)
        } else {
            let server = PrivateRedis::start(dir.path()).await.expect("a private redis-server");
            TestServer::Private(server)
        };
        Self { server, dir }
    }

    pub(crate) fn url(&self) -> SecretString {
        match &self.server {
            TestServer::Private(server) => server.url(),
            TestServer::Cluster(cluster) => cluster.url(),
        }
    }

    /// Where the server listens that holds the first shard.
    pub(crate) fn address(&self) -> SocketAddr {
        match &self.server {
            TestServer::Private(server) => {
                let url = server.url();
                let place = url.expose_secret().rsplit('@').next().unwrap_or_default();
                place.trim_end_matches('/').parse().expect("host and port")
            }
            TestServer::Cluster(cluster) => SocketAddr::from(([127, 0, 0, 1], cluster.first().port)),
        }
    }

    /// The URL by which that server is reached through a proxy; of a cluster it is the only one that is.
    pub(crate) fn url_through(&self, proxy: SocketAddr) -> SecretString {
        match &self.server {
            TestServer::Private(server) => {
                let url = server.url();
                let url = url.expose_secret().replace(&self.address().to_string(), &proxy.to_string());
                SecretString::from(url)
            }
            TestServer::Cluster(_) => SecretString::from(format!("redis://{LOGIN}@{proxy}")),
        }
    }

    /// Where the server that holds the first shard keeps its data.
    pub(crate) fn dir(&self) -> &Path {
        match &self.server {
            TestServer::Private(_) => self.dir.path(),
            TestServer::Cluster(cluster) => cluster.first().dir(),
        }
    }

    /// A plain connection to the server that holds the first shard, to look at keys and to break things.
    pub(crate) async fn connection(&self) -> redis::aio::MultiplexedConnection {
        match &self.server {
            TestServer::Private(server) => {
                let client = redis::Client::open(server.url().expose_secret()).expect("a valid URL");
                client.get_multiplexed_async_connection().await.expect("a connection")
            }
            TestServer::Cluster(cluster) => cluster.connection().await,
        }
    }
}

impl TestServer {
    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        match self {
            Self::Private(server) => server.kill(),
            Self::Cluster(cluster) => cluster.kill(),
        }
    }

    /// The process id, of a cluster that of the server that holds the first shard.
    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Private(server) => server.pid(),
            Self::Cluster(cluster) => cluster.first().pid(),
        }
    }

    /// Starts it again, with what it had on its disk.
    pub(crate) async fn revive(&mut self) -> Result<(), PrivateRedisError> {
        match self {
            Self::Private(server) => server.revive().await,
            Self::Cluster(cluster) => {
                cluster.revive().await;
                Ok(())
            }
        }
    }
}
