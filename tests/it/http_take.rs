//! Promise 10: a consumer never loses a pair.

use std::{collections::HashSet, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    http::TestApi,
    queue::TestQueue,
    wait::{DEADLINE, until, within},
};

const PATH: &str = "/api/synthetic-gen";
/// For tests whose list never is empty while they ask.
const NO_WAIT: Duration = Duration::ZERO;
/// More than sockets take, less than the HTTP library keeps: it has asked for all when the client stops reading.
const MEDIUM: usize = 350_000;
/// More than the HTTP library keeps: it has not asked for the end when the client stops reading.
const LARGE: usize = 1_900_000;

/// A v1 body with this number in it and this many bytes of page.
fn body(number: usize, bytes: usize) -> Vec<u8> {
    let page = "x".repeat(bytes);
    serde_json::to_vec(&json!({ "prompt": number.to_string(), "page": page })).unwrap()
}

fn request() -> String {
    format!("GET {PATH} HTTP/1.1\r\nHost: mondo\r\n\r\n")
}

fn number(reply: &crate::support::http::Reply) -> usize {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["body"]["prompt"].as_str().unwrap().parse().unwrap()
}

async fn publish_numbered(test: &TestQueue, count: usize, bytes: usize) {
    let bodies: Vec<_> = (0..count).map(|number| body(number, bytes)).collect();
    test.make_all_ready(&bodies).await;
}

async fn ready(test: &TestQueue) -> (u64, u64) {
    let stats = test.queue.stats().await.unwrap();
    (stats.ready, stats.taken)
}

/// Waits until this many pairs are ready and nobody holds any.
async fn until_ready(test: &TestQueue, count: u64) {
    until("all other pairs are settled", async || ready(test).await == (count, 0)).await;
}

#[tokio::test]
async fn a_pair_comes_in_dojos_envelope_byte_for_byte() {
    let test = TestQueue::start().await;
    let stored = br#"{"prompt":"a \u00e9 <b>","responses":[],"n":1.0}"#.to_vec();
    test.make_all_ready(&[stored.clone(), stored.clone()]).await;
    let api = TestApi::start(test.queue.clone(), NO_WAIT);

    for path in [PATH, "/synthetic-gen"] {
        let reply = api.get(path).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.headers["content-type"], "application/json");
        assert_eq!(reply.headers["content-length"], reply.body.len().to_string());
        assert_eq!(reply.headers["access-control-allow-origin"], "*");
        let expected = [br#"{"success":true,"error":null,"body":"#, stored.as_slice(), b"}"].concat();
        assert_eq!(reply.text(), std::str::from_utf8(&expected).unwrap());
    }
    until_ready(&test, 0).await;
    assert_eq!(test.queue.stats().await.unwrap().counters["delivered"], 2);
    api.stop().await;
}

#[tokio::test]
async fn an_empty_list_is_a_503_after_the_wait() {
    let test = TestQueue::start().await;
    let api = TestApi::start(test.queue.clone(), Duration::from_secs(1));
    let started = Instant::now();
    let reply = api.get(PATH).await;
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(reply.status, 503);
    assert_eq!(reply.headers["retry-after"], "5");
    assert_eq!(reply.json(), json!({ "success": false, "body": {}, "error": "no pair is ready yet" }));
    api.stop().await;
}

#[tokio::test]
async fn without_redis_the_answer_is_a_503_in_plain_words() {
    let mut test = TestQueue::start().await;
    let api = TestApi::start(test.queue.clone(), Duration::from_secs(1));
    test.redis.server.kill();
    let reply = within("an answer without Redis", api.get(PATH)).await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.headers["retry-after"], "1");
    let error = "the store of finished pairs does not answer";
    assert_eq!(reply.json(), json!({ "success": false, "body": {}, "error": error }));

    test.redis.server.revive().await.unwrap();
    publish_numbered(&test, 1, 10).await;
    until("the API has its Redis again", async || api.get(PATH).await.status == 200).await;
    api.stop().await;
}

#[tokio::test]
async fn waiting_consumers_are_served_in_the_order_they_came() {
    let test = TestQueue::start().await;
    let api = TestApi::start(test.queue.clone(), DEADLINE);
    let mut clients = Vec::new();
    for waiting in 1..=5 {
        let mut client = api.client().await;
        client.ask("GET", PATH).await;
        clients.push(client);
        until_waiting(&api, waiting).await;
    }
    publish_numbered(&test, 5, 10).await;
    for (expected, client) in clients.iter_mut().enumerate() {
        assert_eq!(number(&client.reply().await), expected);
    }
    api.stop().await;
}

async fn until_waiting(api: &TestApi, count: usize) {
    let line = format!("mondo_http_waiting {count}\n");
    until("they wait", async || api.get("/metrics").await.text().contains(&line)).await;
}

#[tokio::test]
async fn many_waiting_consumers_cost_redis_as_much_as_one() {
    let test = TestQueue::start().await;
    let api = TestApi::start(test.queue.clone(), DEADLINE);
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = api.client().await;
        client.ask("GET", PATH).await;
        clients.push(client);
    }
    until_waiting(&api, 100).await;

    let mut connection = test.redis.connection().await;
    let before = commands(&mut connection).await;
    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let spent = commands(&mut connection).await - before;
    let allowed = 20 * started.elapsed().as_secs();
    assert!(spent <= allowed, "{spent} commands, more than {allowed}");

    drop(clients);
    until_waiting(&api, 0).await;
    let before = commands(&mut connection).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let spent = commands(&mut connection).await - before;
    assert!(spent <= 2, "nobody waits, and yet {spent} commands");
    api.stop().await;
}

#[tokio::test]
async fn a_consumer_too_many_is_turned_away_at_once() {
    const WAITERS_MAX: usize = 512;
    let test = TestQueue::start().await;
    let api = TestApi::start(test.queue.clone(), DEADLINE);
    let mut clients = Vec::new();
    for _ in 0..WAITERS_MAX {
        let mut client = api.client().await;
        client.ask("GET", PATH).await;
        clients.push(client);
    }
    until_waiting(&api, WAITERS_MAX).await;
    let started = Instant::now();
    let reply = api.get(PATH).await;
    assert!(started.elapsed() < DEADLINE);
    assert_eq!(reply.status, 503);
    assert_eq!(reply.headers["retry-after"], "5");
    assert_eq!(reply.json()["error"], "no pair is ready and too many clients wait");
    api.stop().await;
}

async fn commands(connection: &mut redis::aio::MultiplexedConnection) -> u64 {
    let info: String = redis::cmd("INFO").arg("stats").query_async(connection).await.unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).unwrap();
    line.trim().parse().unwrap()
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_waits_takes_no_pair() {
    let test = TestQueue::start().await;
    let api = TestApi::start(test.queue.clone(), DEADLINE);
    let mut gone = api.client().await;
    gone.ask("GET", PATH).await;
    until_waiting(&api, 1).await;
    gone.close();
    until_waiting(&api, 0).await;

    publish_numbered(&test, 1, 10).await;
    assert_eq!(number(&api.get(PATH).await), 0);
    api.stop().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_at_once_leaves_the_pair() {
    let test = TestQueue::start().await;
    publish_numbered(&test, 1, 10).await;
    let api = TestApi::start(test.queue.clone(), DEADLINE);
    // Redis holds its answers back, so that the client certainly is gone before there is one.
    let mut connection = test.redis.connection().await;
    // With a second request in its hands, the HTTP library does not see that nobody is there any more.
    for (requests, reset) in [(1, false), (1, true), (2, false), (2, true)] {
        let () = redis::cmd("CLIENT").arg("PAUSE").arg(500).query_async(&mut connection).await.unwrap();
        let mut client = api.client().await;
        client.send(request().repeat(requests).as_bytes()).await;
        if reset {
            client.reset();
        } else {
            client.close();
        }
        until_ready(&test, 1).await;
    }
    assert_eq!(number(&api.get(PATH).await), 0);
    api.stop().await;
}

#[tokio::test]
async fn a_client_that_stops_reading_and_leaves_gives_the_pair_back_to_the_head() {
    for bytes in [MEDIUM, LARGE] {
        let test = TestQueue::start().await;
        publish_numbered(&test, 2, bytes).await;
        let api = TestApi::start(test.queue.clone(), NO_WAIT);
        for reset in [false, true] {
            let mut client = api.narrow_client().await;
            client.ask("GET", PATH).await;
            client.read_some(1000).await;
            assert_eq!(ready(&test).await, (1, 1), "the response is under way, so the pair is not delivered");
            if reset {
                client.reset();
            } else {
                client.close();
            }
            until_ready(&test, 2).await;
        }
        assert_eq!(number(&api.get(PATH).await), 0, "it is the head again");
        assert_eq!(number(&api.get(PATH).await), 1);
        until_ready(&test, 0).await;
        api.stop().await;
    }
}

#[tokio::test]
async fn one_connection_gets_one_pair_per_request() {
    let test = TestQueue::start().await;
    publish_numbered(&test, 6, 30_000).await;
    let api = TestApi::start(test.queue.clone(), NO_WAIT);
    let mut client = api.client().await;
    for expected in 0..3 {
        client.ask("GET", PATH).await;
        assert_eq!(number(&client.reply().await), expected);
    }
    client.send(request().repeat(3).as_bytes()).await;
    for expected in 3..6 {
        assert_eq!(number(&client.reply().await), expected);
    }
    until_ready(&test, 0).await;
    api.stop().await;
}

#[tokio::test]
async fn a_pipelining_client_that_leaves_loses_only_what_it_was_sent() {
    let test = TestQueue::start().await;
    publish_numbered(&test, 4, LARGE).await;
    let api = TestApi::start(test.queue.clone(), NO_WAIT);
    let mut client = api.narrow_client().await;
    client.send(request().repeat(3).as_bytes()).await;
    assert_eq!(number(&client.reply().await), 0);
    client.read_some(1000).await;
    client.close();
    until_ready(&test, 3).await;
    for expected in 1..4 {
        assert_eq!(number(&api.get(PATH).await), expected);
    }
    api.stop().await;
}

#[tokio::test]
async fn eight_takers_get_every_pair_once() {
    const TAKERS: usize = 8;
    const PAIRS: usize = 500;
    let test = TestQueue::start().await;
    publish_numbered(&test, PAIRS, 2_000).await;
    let api = TestApi::start(test.queue.clone(), NO_WAIT);

    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..TAKERS {
        let mut client = api.client().await;
        takers.spawn(async move {
            let mut taken = Vec::new();
            loop {
                client.ask("GET", PATH).await;
                let reply = client.reply().await;
                if reply.status == 503 {
                    return taken;
                }
                taken.push(number(&reply));
            }
        });
    }
    let taken: Vec<usize> = within("all are taken", takers.join_all()).await.concat();
    let distinct: HashSet<usize> = taken.iter().copied().collect();
    assert_eq!((taken.len(), distinct.len()), (PAIRS, PAIRS));
    until_ready(&test, 0).await;
    api.stop().await;
}

#[tokio::test]
async fn an_api_that_is_stopped_gives_back_what_it_has_not_delivered() {
    let test = TestQueue::start().await;
    publish_numbered(&test, 8, LARGE).await;
    let api = TestApi::start(test.queue.clone(), NO_WAIT);
    assert_eq!(number(&api.get(PATH).await), 0);
    let mut halfway = Vec::new();
    for _ in 0..3 {
        let mut client = api.narrow_client().await;
        client.ask("GET", PATH).await;
        client.read_some(1000).await;
        halfway.push(client);
    }
    api.stop().await;
    assert_eq!(ready(&test).await, (7, 0));
    for client in &mut halfway {
        assert!(client.try_reply().await.is_none(), "its response was cut");
    }

    let api = TestApi::start(test.queue.clone(), NO_WAIT);
    let mut first: Vec<usize> = Vec::new();
    for _ in 0..3 {
        first.push(number(&api.get(PATH).await));
    }
    first.sort_unstable();
    assert_eq!(first, [1, 2, 3], "what was under way is at the head");
    for expected in 4..8 {
        assert_eq!(number(&api.get(PATH).await), expected);
    }
    api.stop().await;
}

#[tokio::test]
async fn a_stop_lets_waiting_consumers_go_at_once() {
    let test = TestQueue::start().await;
    let api = TestApi::start(test.queue.clone(), DEADLINE);
    let mut client = api.client().await;
    client.ask("GET", PATH).await;
    until_waiting(&api, 1).await;
    let started = Instant::now();
    api.stop().await;
    assert!(started.elapsed() < DEADLINE / 4);
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.headers["retry-after"].as_str()), (503, "1"));
}

#[tokio::test]
async fn a_stop_waits_until_redis_knows_how_the_last_hand_overs_ended() {
    const PAUSE: Duration = Duration::from_secs(2);
    let test = TestQueue::start().await;
    publish_numbered(&test, 1, LARGE).await;
    let api = TestApi::start(test.queue.clone(), NO_WAIT);
    let mut client = api.narrow_client().await;
    client.ask("GET", PATH).await;
    client.read_some(1000).await;
    let mut connection = test.redis.connection().await;
    let paused = Instant::now();
    let pause = u64::try_from(PAUSE.as_millis()).unwrap();
    let () = redis::cmd("CLIENT").arg("PAUSE").arg(pause).query_async(&mut connection).await.unwrap();
    assert_eq!(number(&client.reply().await), 0);
    api.stop().await;
    assert!(paused.elapsed() >= PAUSE, "Redis cannot have answered yet");
    assert_eq!(ready(&test).await, (0, 0));
}

#[tokio::test]
async fn a_delivery_that_redis_missed_is_told_when_it_is_back() {
    let mut test = TestQueue::start().await;
    publish_numbered(&test, 2, LARGE).await;
    let api = TestApi::start(test.queue.clone(), NO_WAIT);
    let mut client = api.narrow_client().await;
    client.ask("GET", PATH).await;
    client.read_some(1000).await;
    test.redis.server.kill();
    assert_eq!(number(&client.reply().await), 0);
    test.redis.server.revive().await.unwrap();
    until(
        "the delivery is noted",
        async || matches!(test.queue.stats().await, Ok(stats) if stats.taken == 0),
    )
    .await;
    let stats = test.queue.stats().await.unwrap();
    assert_eq!((stats.ready, stats.counters["delivered"]), (1, 1));
    api.stop().await;
}

#[tokio::test]
async fn head_takes_nothing() {
    let test = TestQueue::start().await;
    publish_numbered(&test, 1, 10).await;
    let api = TestApi::start(test.queue.clone(), NO_WAIT);
    let mut client = api.client().await;
    client.send(format!("HEAD {PATH} HTTP/1.1\r\nHost: mondo\r\nConnection: close\r\n\r\n").as_bytes()).await;
    client.read_some(12).await;
    client.close();
    assert_eq!(ready(&test).await, (1, 0));
    api.stop().await;
}
