//! A master with two replicas and a sentinel that makes one of them the master when it is gone.

use secrecy::SecretString;

use super::{
    server::{LOGIN, PASSWORD, Server},
    wait::until,
};

const SERVICE: &str = "mondo-test";

/// Ends with the value.
pub(crate) struct TestSentinel {
    /// The first one is the master at first.
    pub(crate) servers: Vec<Server>,
    sentinel: Server,
}

impl TestSentinel {
    pub(crate) async fn start() -> Self {
        let login = format!("appendonly yes\nrequirepass {PASSWORD}\nmasterauth {PASSWORD}\n");
        let master = Server::start(&login, &[]);
        master.connection().await;
        let follow = format!("{login}replicaof 127.0.0.1 {}\nrepl-diskless-sync-delay 0\n", master.port);
        let servers = vec![Server::start(&follow, &[]), Server::start(&follow, &[])];
        let servers: Vec<Server> = std::iter::once(master).chain(servers).collect();
        let sentinel = format!(
            "sentinel monitor {SERVICE} 127.0.0.1 {} 1\nsentinel auth-pass {SERVICE} {PASSWORD}\n\
             sentinel down-after-milliseconds {SERVICE} 1000\nsentinel failover-timeout {SERVICE} 10000\n\
             requirepass {PASSWORD}\n",
            servers[0].port
        );
        let sentinel = Server::start(&sentinel, &["--sentinel"]);
        let test = Self { servers, sentinel };
        until("both replicas follow the master", || async {
            let info: String = test.servers[0].ask("INFO replication").await.unwrap_or_default();
            info.matches("state=online").count() == 2
        })
        .await;
        until("the sentinel knows both replicas", || async {
            let replicas: Result<Vec<redis::Value>, _> =
                test.sentinel.ask(&format!("SENTINEL REPLICAS {SERVICE}")).await;
            replicas.is_ok_and(|replicas| replicas.len() == 2)
        })
        .await;
        test
    }

    pub(crate) fn url(&self) -> SecretString {
        SecretString::from(format!(
            "redis-sentinel://{LOGIN}@127.0.0.1:1,127.0.0.1:{}/{SERVICE}",
            self.sentinel.port
        ))
    }

    /// The port of the server that the sentinel calls master.
    pub(crate) async fn master(&self) -> u16 {
        let found: (String, u16) =
            self.sentinel.ask(&format!("SENTINEL GET-MASTER-ADDR-BY-NAME {SERVICE}")).await.unwrap();
        found.1
    }

    /// Ends the first master as `kill -9` does, and waits until there is another.
    pub(crate) async fn fail_over(&mut self) {
        let old = self.servers[0].port;
        self.servers[0].kill();
        until("another server is the master", || async { self.master().await != old }).await;
    }
}
