//! How finished pairs leave.

use std::time::Duration;

use redis::AsyncCommands as _;

use crate::support::queue::TestQueue;

#[tokio::test]
async fn pairs_leave_in_the_order_they_became_ready() {
    let test = TestQueue::start().await;
    assert_eq!(test.queue.take().await.unwrap(), None);
    let first = test.make_ready(b"one").await;
    let second = test.make_ready(b"two").await;
    for (pair, body) in [(first, b"one"), (second, b"two")] {
        let taken = test.queue.take().await.unwrap().unwrap();
        assert_eq!((taken.pair, taken.body.as_slice()), (pair, body.as_slice()));
        test.healthy().await;
        test.queue.delivered(pair).await.unwrap();
    }
    assert_eq!(test.queue.take().await.unwrap(), None);
    let stats = test.queue.stats().await.unwrap();
    assert_eq!((stats.ready, stats.taken, stats.counters["delivered"]), (0, 0, 2));
    assert_eq!(test.queue.record(first).await.unwrap()["state"], b"delivered");
    let mut connection = test.redis.connection().await;
    assert_eq!(connection.hlen::<_, u64>("{test:0}:ready:bodies").await.unwrap(), 0);
    test.healthy().await;
}

#[tokio::test]
async fn a_pair_put_back_is_the_next_to_leave() {
    let test = TestQueue::start().await;
    let first = test.make_ready(b"one").await;
    test.make_ready(b"two").await;
    let taken = test.queue.take().await.unwrap().unwrap();
    assert_eq!(taken.pair, first);
    for _ in 0..2 {
        test.queue.put_back(first, taken.lapses_ms).await.unwrap();
    }
    assert_eq!(test.queue.stats().await.unwrap().ready, 2, "putting back twice changes nothing");
    assert_eq!(test.queue.take().await.unwrap().unwrap().pair, first);
    test.healthy().await;
}

#[tokio::test]
async fn pairs_whose_handover_lapsed_are_the_head_again_in_their_order() {
    let test = TestQueue::start().await;
    let mut pairs = Vec::new();
    for body in [b"1", b"2", b"3", b"4"] {
        pairs.push(test.make_ready(body).await);
    }
    for pair in &pairs[..3] {
        assert_eq!(test.queue.take().await.unwrap().unwrap().pair, *pair);
    }
    // As if the leases had been given long ago.
    let mut connection = test.redis.connection().await;
    for (at, pair) in pairs[..3].iter().enumerate() {
        let () = connection.zadd("{test:0}:taken", pair.to_string(), at).await.unwrap();
    }
    let mut again = Vec::new();
    while let Some(taken) = test.queue.take().await.unwrap() {
        again.push(taken.pair);
    }
    assert_eq!(again, pairs);
    test.healthy().await;
}

#[tokio::test]
async fn a_pair_written_out_after_its_handover_lapsed_does_not_leave_twice() {
    let test = TestQueue::start().await;
    let pair = test.make_ready(b"one").await;
    let taken = test.queue.take_for(Duration::ZERO).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    // Another consumer's take puts it back into the list first.
    assert_eq!(test.queue.take_for(Duration::ZERO).await.unwrap().unwrap().pair, pair);
    tokio::time::sleep(Duration::from_millis(10)).await;
    test.make_ready(b"two").await;
    test.queue.take().await.unwrap().unwrap();
    test.queue.put_back(pair, taken.lapses_ms).await.unwrap();

    test.queue.delivered(pair).await.unwrap();
    assert_ne!(test.queue.take().await.unwrap().map(|taken| taken.pair), Some(pair));
    test.healthy().await;
}

#[tokio::test]
async fn a_late_put_back_does_not_take_a_pair_from_its_next_consumer() {
    let test = TestQueue::start().await;
    let pair = test.make_ready(b"one").await;
    let stopped = test.queue.take_for(Duration::ZERO).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(test.queue.take().await.unwrap().unwrap().pair, pair, "its lease has lapsed");
    test.queue.put_back(pair, stopped.lapses_ms).await.unwrap();
    assert_eq!(test.queue.take().await.unwrap(), None, "the second consumer still has it");
    test.healthy().await;
}

#[tokio::test]
async fn an_id_without_a_body_does_not_block_the_list() {
    let test = TestQueue::start().await;
    let mut connection = test.redis.connection().await;
    let () = connection.rpush("{test:0}:ready", "nothing").await.unwrap();
    let pair = test.make_ready(b"one").await;
    assert!(!test.queue.doctor().await.unwrap().is_empty(), "the doctor sees it");
    assert_eq!(test.queue.take().await.unwrap().unwrap().pair, pair);
}
