//! Where Redis is: one server, the one that sentinels call master, or the masters of a cluster.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue,
    IntoConnectionInfo, RedisError, RedisResult, Value, aio::MultiplexedConnection,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::connection::CONNECT_TIME_MAX;

/// The port of a sentinel that the URL gives none for.
const SENTINEL_PORT: u16 = 26_379;
/// How long a sentinel, or a node that is asked for the map of its cluster, may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// Whether a URL says where a Redis is, in a form that [`super::Queue::connect`] understands.
pub fn is_redis_url(url: &SecretString) -> bool {
    Place::parse(url).is_ok()
}

/// Where Redis is. It has no `Debug`: it holds the password.
pub(super) enum Place {
    /// `redis://[user:password@]host[:port][/db]`.
    Server(Box<ConnectionInfo>),
    /// `redis-sentinel://[user:password@]host[:port],…/service[/db]`.
    Sentinel { sentinels: Vec<ConnectionInfo>, service: String, db: i64 },
    /// `redis-cluster://[user:password@]host[:port],…`.
    Cluster { seeds: Vec<ConnectionInfo> },
}

impl Place {
    /// Reads a URL; `rediss` in place of `redis` means TLS in each of its forms.
    pub(super) fn parse(url: &SecretString) -> RedisResult<Self> {
        let url = url.expose_secret();
        let Some((scheme, rest)) = url.split_once("://") else { return Err(unreadable()) };
        let (tls, form) = scheme.split_once('-').unwrap_or((scheme, ""));
        if form.is_empty() || !matches!(tls, "redis" | "rediss") {
            return Ok(Self::Server(Box::new(url.into_connection_info()?)));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let login = if login.is_empty() { String::new() } else { format!("{login}@") };
        let nodes = |port: u16| -> RedisResult<Vec<ConnectionInfo>> {
            let node = |host: &str| {
                format!("{tls}://{login}{}", with_port(host.trim(), port)).into_connection_info()
            };
            hosts.split(',').map(node).collect()
        };
        match (form, path) {
            ("cluster", "") => Ok(Self::Cluster { seeds: nodes(6379)? }),
            ("sentinel", path) => {
                let (service, db) = path.split_once('/').unwrap_or((path, "0"));
                let db = db.parse().ok().filter(|db| *db >= 0).ok_or_else(unreadable)?;
                if service.is_empty() {
                    return Err(unreadable());
                }
                Ok(Self::Sentinel { sentinels: nodes(SENTINEL_PORT)?, service: service.to_owned(), db })
            }
            _ => Err(unreadable()),
        }
    }

    /// What people may see of it: hosts and ports.
    pub(super) fn address(&self) -> String {
        let list = |nodes: &[ConnectionInfo]| {
            nodes.iter().map(|node| node.addr().to_string()).collect::<Vec<_>>().join(",")
        };
        match self {
            Self::Server(info) => info.addr().to_string(),
            Self::Sentinel { sentinels, service, .. } => {
                format!("{} (sentinels of `{service}`)", list(sentinels))
            }
            Self::Cluster { seeds } => format!("{} (cluster)", list(seeds)),
        }
    }

    /// Whether the keys of one queue may be on several nodes.
    pub(super) fn is_spread(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }

    /// The number of the database in which the keys are.
    pub(super) fn db(&self) -> i64 {
        match self {
            Self::Server(info) => info.redis_settings().db(),
            Self::Sentinel { db, .. } => *db,
            Self::Cluster { .. } => 0,
        }
    }

    /// The server that holds a slot at this moment, as far as those know who can be asked.
    pub(super) async fn locate(&self, slot: u16) -> RedisResult<ConnectionInfo> {
        match self {
            Self::Server(info) => Ok((**info).clone()),
            Self::Sentinel { sentinels, service, db } => {
                let mut question = redis::cmd("SENTINEL");
                question.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
                let found = ask(sentinels, &question, |sentinel, found: Option<(String, u16)>| {
                    let (host, port) = found?;
                    let settings = sentinel.redis_settings().clone().set_db(*db);
                    Some(moved_to(sentinel, host, port).set_redis_settings(settings))
                });
                found.await
            }
            Self::Cluster { seeds } => {
                let mut question = redis::cmd("CLUSTER");
                question.arg("SLOTS");
                ask(seeds, &question, |seed, ranges: Vec<Vec<Value>>| {
                    ranges.into_iter().find_map(|range| holder(seed, slot, range))
                })
                .await
            }
        }
    }

    /// Refuses a server that sentinels still name but that is no master any more.
    pub(super) async fn check(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        if !matches!(self, Self::Sentinel { .. }) {
            return Ok(());
        }
        let role: Vec<Value> = redis::cmd("ROLE").query_async(connection).await?;
        let role = role.into_iter().next().map(String::from_redis_value).transpose()?;
        if role.as_deref() == Some("master") {
            Ok(())
        } else {
            Err(passing("the server that the sentinels name is no master (yet)"))
        }
    }
}

/// Asks one after the other until an answer says where to go.
async fn ask<T: FromRedisValue>(
    nodes: &[ConnectionInfo],
    question: &redis::Cmd,
    read: impl Fn(&ConnectionInfo, T) -> Option<ConnectionInfo>,
) -> RedisResult<ConnectionInfo> {
    let mut last = passing("nobody who was asked knows where the master is");
    for node in nodes {
        match answer(node, question).await {
            Ok(found) => {
                if let Some(found) = read(node, found) {
                    return Ok(found);
                }
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn answer<T: FromRedisValue>(node: &ConnectionInfo, question: &redis::Cmd) -> RedisResult<T> {
    let mut connection = match open(node.clone(), ANSWER_TIME_MAX, ANSWER_TIME_MAX).await {
        // Sentinels mostly ask for no password, though their masters do.
        Err(error) if error.kind() == ErrorKind::AuthenticationFailed => {
            let anonymous = node.clone().set_redis_settings(redis::RedisConnectionInfo::default());
            open(anonymous, ANSWER_TIME_MAX, ANSWER_TIME_MAX).await?
        }
        other => other?,
    };
    question.query_async(&mut connection).await
}

/// Opens a connection whose replies may take so long.
pub(super) async fn open(
    info: ConnectionInfo,
    connect_time_max: Duration,
    response_time_max: Duration,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(connect_time_max.min(CONNECT_TIME_MAX)))
        .set_response_timeout(Some(response_time_max));
    Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await
}

/// The master of a range of slots, if the slot is one of them. A node that has no name for itself is the one
/// that was asked.
fn holder(asked: &ConnectionInfo, slot: u16, range: Vec<Value>) -> Option<ConnectionInfo> {
    let mut parts = range.into_iter();
    let first = u16::from_redis_value(parts.next()?).ok()?;
    let last = u16::from_redis_value(parts.next()?).ok()?;
    let Value::Array(master) = parts.next()? else { return None };
    let mut master = master.into_iter();
    let host: Option<String> = FromRedisValue::from_redis_value(master.next()?).ok()?;
    let port = u16::from_redis_value(master.next()?).ok()?;
    let host = host.filter(|host| !host.is_empty() && host != "?").unwrap_or_else(|| host_of(asked));
    (first..=last).contains(&slot).then(|| moved_to(asked, host, port))
}

/// The same way of connecting, to another host.
fn moved_to(info: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
    let addr = match info.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(addr)
}

fn host_of(info: &ConnectionInfo) -> String {
    match info.addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        _ => String::new(),
    }
}

fn with_port(host: &str, port: u16) -> String {
    let after_v6 = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    if after_v6.contains(':') { host.to_owned() } else { format!("{host}:{port}") }
}

/// In which slot of a cluster the keys of a hash tag are: CRC-16/XMODEM of the tag, modulo 16384.
pub(super) fn slot_of(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % 16_384
}

fn unreadable() -> RedisError {
    (ErrorKind::InvalidClientConfig, "the URL of Redis cannot be read").into()
}

fn passing(what: &'static str) -> RedisError {
    std::io::Error::new(std::io::ErrorKind::NotConnected, what).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Option<Place> {
        Place::parse(&SecretString::from(url)).ok()
    }

    #[test]
    fn every_form_of_place_is_read_with_its_ports_and_login() {
        let Some(Place::Cluster { seeds }) = parse("rediss-cluster://me:p%40ss@a:1,b,[::1]") else {
            panic!()
        };
        let shown: Vec<String> = seeds.iter().map(|seed| seed.addr().to_string()).collect();
        assert_eq!(shown, ["a:1", "b:6379", "::1:6379"]);
        assert!(seeds.iter().all(|seed| matches!(seed.addr(), ConnectionAddr::TcpTls { .. })));
        assert_eq!(seeds[1].redis_settings().password(), Some("p@ss"));

        let Some(Place::Sentinel { sentinels, service, db }) = parse("redis-sentinel://:secret@a,b:2/mine/3")
        else {
            panic!()
        };
        let shown: Vec<String> = sentinels.iter().map(|node| node.addr().to_string()).collect();
        assert_eq!((shown, service.as_str(), db), (vec!["a:26379".into(), "b:2".into()], "mine", 3));
        assert_eq!(sentinels[0].redis_settings().db(), 0, "a sentinel has no databases");
        assert!(matches!(parse("redis://localhost/2"), Some(place) if place.db() == 2 && !place.is_spread()));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for url in [
            "",
            "redis",
            "http://a",
            "redis-cluster://",
            "redis-cluster://a/1",
            "redis-sentinel://a",
            "redis-sentinel://a/mine/x",
            "redis-sentinel://a:99999/mine",
            "redis-ring://a",
        ] {
            assert!(parse(url).is_none(), "{url}");
        }
    }

    #[test]
    fn what_people_see_of_a_place_holds_no_password() {
        for url in ["redis://:hunter2@a", "redis-cluster://:hunter2@a,b", "redis-sentinel://:hunter2@a/mine"]
        {
            let shown = parse(url).unwrap().address();
            assert!(shown.contains("a:") && !shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn slots_are_those_of_the_server() {
        // As CLUSTER KEYSLOT says.
        assert_eq!((slot_of("123456789"), slot_of("foo"), slot_of("")), (12_739, 12_182, 0));
    }
}
