use mondo::private_redis::{PrivateRedis, PrivateRedisError};
use redis::AsyncCommands as _;
use secrecy::ExposeSecret as _;

use crate::support::redis::TestRedis;

#[tokio::test]
async fn a_private_server_is_configured_not_to_lose_work() {
    let redis = TestRedis::start().await;
    let mut connection = redis.connection().await;
    for (name, value) in [
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("maxmemory-policy", "noeviction"),
        ("bind", "127.0.0.1"),
    ] {
        let got: Vec<String> =
            redis::cmd("CONFIG").arg("GET").arg(name).query_async(&mut connection).await.unwrap();
        assert_eq!(got, [name, value]);
    }
}

#[tokio::test]
async fn data_survives_a_kill_and_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = PrivateRedis::start(dir.path()).await.unwrap();
    let url = server.url();
    let client = redis::Client::open(url.expose_secret()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let () = connection.set("kept", 1).await.unwrap();

    server.kill();
    server.revive().await.unwrap();
    assert_eq!(url.expose_secret(), server.url().expose_secret(), "clients find it where it was");
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    assert_eq!(connection.get::<_, i32>("kept").await.unwrap(), 1);

    server.stop().await;
    let server = PrivateRedis::start(dir.path()).await.unwrap();
    let client = redis::Client::open(server.url().expose_secret()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    assert_eq!(connection.get::<_, i32>("kept").await.unwrap(), 1);
}

#[tokio::test]
async fn a_directory_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = PrivateRedis::start(dir.path()).await.unwrap();
    let second = PrivateRedis::start(dir.path()).await;
    assert!(matches!(second, Err(PrivateRedisError::InUse(_))));
}

#[tokio::test]
async fn a_server_whose_owner_was_killed_is_ended_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let first = PrivateRedis::start(dir.path()).await.unwrap();
    let pid = first.pid();
    let url = first.url();
    // A killed owner leaves its server running and its lock free.
    std::fs::remove_file(dir.path().join("lock")).unwrap();

    let second = PrivateRedis::start(dir.path()).await.unwrap();
    assert_ne!(second.pid(), pid);
    let client = redis::Client::open(url.expose_secret()).unwrap();
    assert!(client.get_multiplexed_async_connection().await.is_err(), "the first server is gone");
    drop(first);
}

#[tokio::test]
async fn a_directory_may_have_any_name() {
    let dir = tempfile::tempdir().unwrap();
    let server = PrivateRedis::start(&dir.path().join("a \"b\" \\c' #d")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn no_server_is_started_beside_one_that_does_not_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = PrivateRedis::start(dir.path()).await.unwrap();
    std::fs::remove_file(dir.path().join("lock")).unwrap();
    signal(first.pid(), "STOP");
    let second = PrivateRedis::start(dir.path()).await;
    assert!(matches!(second, Err(PrivateRedisError::LeftBehind { .. })));
    first.kill();
    PrivateRedis::start(dir.path()).await.unwrap();
}

fn signal(pid: u32, name: &str) {
    let sent =
        std::process::Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status().unwrap();
    assert!(sent.success());
}
