//! A Redis Cluster of three masters.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use secrecy::SecretString;

use super::{
    server::{LOGIN, PASSWORD, Server, free_port},
    wait::until,
};

/// The slots of each master.
const RANGES: [(u16, u16); 3] = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];

/// Ends with the value.
pub(crate) struct TestCluster {
    pub(crate) nodes: Vec<Server>,
    /// The number of the master that the first shard was given to.
    first: usize,
}

impl TestCluster {
    pub(crate) async fn start() -> Self {
        let buses: Vec<u16> = RANGES.iter().map(|_| free_port()).collect();
        let nodes: Vec<Server> = buses.iter().map(|bus| node(*bus)).collect();
        for (epoch, (node, (first, last))) in nodes.iter().zip(RANGES).enumerate() {
            node.ask::<()>(&format!("CLUSTER ADDSLOTSRANGE {first} {last}")).await.unwrap();
            node.ask::<()>(&format!("CLUSTER SET-CONFIG-EPOCH {}", epoch + 1)).await.unwrap();
        }
        for (node, bus) in nodes.iter().zip(&buses).skip(1) {
            nodes[0].ask::<()>(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port)).await.unwrap();
        }
        let mut cluster = Self { nodes, first: 0 };
        cluster.until_whole().await;
        cluster.first = cluster.home(0).await;
        cluster
    }

    /// The first shard's master.
    pub(crate) fn first(&self) -> &Server {
        &self.nodes[self.first]
    }

    /// Waits until every node says that every slot is served.
    pub(crate) async fn until_whole(&self) {
        for node in &self.nodes {
            until("the cluster is whole", || async {
                let info: String = node.ask("CLUSTER INFO").await.unwrap_or_default();
                info.contains("cluster_state:ok") && info.contains("cluster_size:3")
            })
            .await;
        }
    }

    pub(crate) fn url(&self) -> SecretString {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        SecretString::from(format!("redis-cluster://{LOGIN}@{}", hosts.join(",")))
    }

    /// In which slot a shard of the queue of [`super::queue::connect`] is.
    pub(crate) async fn slot(&self, shard: u32) -> u16 {
        self.nodes[0].ask(&format!("CLUSTER KEYSLOT {{test:{shard}}}")).await.unwrap()
    }

    /// The number of the master that a shard was given to at first.
    pub(crate) async fn home(&self, shard: u32) -> usize {
        let slot = self.slot(shard).await;
        RANGES.iter().position(|(first, last)| (*first..=*last).contains(&slot)).unwrap()
    }

    /// A connection to the first shard's master.
    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        self.first().connection().await
    }

    /// Moves a slot as `redis-cli --cluster reshard` does, with a pause while the keys are half here, half there.
    pub(crate) async fn reshard(&self, slot: u16, from: usize, to: usize, pause: Duration) {
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let source_id: String = source.ask("CLUSTER MYID").await.unwrap();
        let target_id: String = target.ask("CLUSTER MYID").await.unwrap();
        target.ask::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {source_id}")).await.unwrap();
        source.ask::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {target_id}")).await.unwrap();
        let mut paused = false;
        loop {
            let keys: Vec<String> = source.ask(&format!("CLUSTER GETKEYSINSLOT {slot} 10")).await.unwrap();
            if keys.is_empty() {
                break;
            }
            let keys = keys.join(" ");
            let port = target.port;
            let moving = format!("MIGRATE 127.0.0.1 {port}  0 5000 AUTH {PASSWORD} KEYS {keys}");
            source.ask::<String>(&moving).await.unwrap();
            if !paused {
                tokio::time::sleep(pause).await;
            }
            paused = true;
        }
        for node in [target, source] {
            node.ask::<()>(&format!("CLUSTER SETSLOT {slot} NODE {target_id}")).await.unwrap();
        }
    }

    pub(crate) fn kill(&mut self) {
        self.nodes.iter_mut().for_each(Server::kill);
    }

    pub(crate) async fn revive(&mut self) {
        self.nodes.iter_mut().for_each(Server::revive);
        self.until_whole().await;
    }
}

fn node(bus: u16) -> Server {
    let config = format!(
        "cluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout 2000\nappendonly yes\n\
         requirepass {PASSWORD}\nmasterauth {PASSWORD}\n"
    );
    Server::start(&config, &[])
}
