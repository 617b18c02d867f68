//! A real Redis for one test.

use std::{net::SocketAddr, path::Path};

use mondo::private_redis::PrivateRedis;
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

/// A private server with its own directory; both end with the value.
pub(crate) struct TestRedis {
    pub(crate) server: PrivateRedis,
    dir: TempDir,
}

impl TestRedis {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let server = PrivateRedis::start(dir.path()).await.expect("a private redis-server");
        Self { server, dir }
    }

    pub(crate) fn url(&self) -> SecretString {
        self.server.url()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        let url = self.url();
        let place = url.expose_secret().rsplit('@').next().unwrap_or_default();
        place.trim_end_matches('/').parse().expect("host and port")
    }

    /// The URL by which it is reached through a proxy.
    pub(crate) fn url_through(&self, proxy: SocketAddr) -> SecretString {
        let url = self.url().expose_secret().replace(&self.address().to_string(), &proxy.to_string());
        SecretString::from(url)
    }

    /// Where the server keeps its data.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A plain connection, to look at keys and to break things.
    pub(crate) async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url().expose_secret()).expect("a valid URL");
        client.get_multiplexed_async_connection().await.expect("a connection")
    }
}
