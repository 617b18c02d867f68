//! Every move of a job, and every refusal.

use std::time::Duration;

use mondo_jobs::{
    job::Step,
    pair::BODY_BYTES_MAX,
    ports::{Memory as _, RecentList},
    queue::{Admission, Arrival, Commit, DeadFilter, Marks, QueueError},
};
use redis::AsyncCommands as _;

use crate::support::queue::{TestQueue, death, job, new_pair};

#[tokio::test]
async fn a_pair_that_exists_is_not_started_again() {
    let test = TestQueue::start().await;
    let pair = new_pair();
    assert_eq!(test.queue.start(std::slice::from_ref(&pair)).await.unwrap(), [Admission::Accepted]);
    assert_eq!(test.queue.start(&[pair]).await.unwrap(), [Admission::Duplicate]);
    let twice = new_pair();
    let found = test.queue.start(&[twice.clone(), twice]).await.unwrap();
    assert_eq!(found, [Admission::Accepted, Admission::Duplicate], "in one batch");
    assert_eq!(test.step(Step::Objects).await, (2, 0, 0));
    assert_eq!(test.queue.stats().await.unwrap().open, 2);
    test.healthy().await;
}

#[tokio::test]
async fn a_field_over_the_limit_is_refused_before_anything_is_stored() {
    let test = TestQueue::start().await;
    let mut pair = new_pair();
    pair.fields.push(("page".to_owned(), vec![0; BODY_BYTES_MAX + 1]));
    let refused = test.queue.start(&[pair]).await;
    assert!(matches!(refused, Err(QueueError::TooLarge { .. })), "{refused:?}");
    assert_eq!(test.queue.stats().await.unwrap().open, 0);
}

#[tokio::test]
async fn a_start_that_meets_a_damaged_key_starts_nothing() {
    for name in [
        "open",
        "ready",
        "taken",
        "counters",
        "events",
        "stream:objects",
        "the record of the last",
        "started",
        "held_bytes",
    ] {
        let test = TestQueue::start().await;
        let pairs: Vec<_> = std::iter::repeat_with(new_pair).take(3).collect();
        let record = |place: usize| format!("{{test:0}}:pair:{}", pairs[place].id);
        let key = match name {
            "the record of the last" => record(2),
            "started" | "held_bytes" => "{test:0}:counters".to_owned(),
            _ => format!("{{test:0}}:{name}"),
        };
        let mut connection = test.redis.connection().await;
        let kept: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query_async(&mut connection).await.unwrap();
        let damaged = ["started", "held_bytes"].contains(&name);
        if damaged {
            let () = connection.hset(&key, name, "1.5").await.unwrap();
        } else {
            let () = connection.set(&key, "damaged").await.unwrap();
        }
        let error = test.queue.start(&pairs).await.unwrap_err();
        assert!(!error.is_passing() && error.to_string().contains(&key), "{name}: {error}");
        assert!(
            !damaged || error.to_string().contains(&format!("the field {name} is `1.5`")),
            "{name}: {error}"
        );
        for written in [record(0), record(1), "{test:0}:open".to_owned()] {
            assert!(
                written == key || !connection.exists::<_, bool>(&written).await.unwrap(),
                "{name}: {written}"
            );
        }
        for stream in ["{test:0}:stream:objects", "{test:0}:events"] {
            assert!(
                stream == key || connection.xlen::<_, u64>(stream).await.unwrap() == 0,
                "{name}: {stream}"
            );
        }

        let () = connection.del(&key).await.unwrap();
        if let Some(kept) = kept {
            redis::cmd("RESTORE").arg(&key).arg(0).arg(kept).exec_async(&mut connection).await.unwrap();
        }
        test.healthy().await;
        assert_eq!(test.queue.start(&pairs).await.unwrap(), [Admission::Accepted; 3], "{name}");
        test.healthy().await;
    }
}

#[tokio::test]
async fn refill_stays_between_its_marks_with_any_number_of_refillers() {
    let test = TestQueue::start().await;
    let marks = Marks { low: 5, high: 9 };
    let refill = || async {
        let pairs: Vec<_> = std::iter::repeat_with(new_pair).take(20).collect();
        test.queue.refill(marks, &pairs).await.unwrap().len()
    };
    let started = futures_util::future::join_all((0..8).map(|_| refill())).await;
    assert_eq!(started.iter().sum::<usize>(), 9);
    assert_eq!(test.queue.stats().await.unwrap().open, 9);
    assert_eq!(refill().await, 0, "not below the low mark");
    test.healthy().await;
}

#[tokio::test]
async fn a_refill_of_several_scripts_goes_on_to_the_high_mark() {
    let test = TestQueue::start().await;
    let pairs: Vec<_> = std::iter::repeat_with(new_pair).take(500).collect();
    assert_eq!(test.queue.refill(Marks { low: 5, high: 450 }, &pairs).await.unwrap().len(), 450);
    assert_eq!(test.queue.refill(Marks { low: 450, high: 500 }, &pairs).await.unwrap().len(), 0);
    test.healthy().await;
}

#[tokio::test]
async fn ready_and_taken_pairs_count_towards_the_marks() {
    let test = TestQueue::start().await;
    test.make_ready(b"1").await;
    test.make_ready(b"2").await;
    test.queue.take().await.unwrap().unwrap();
    let pairs: Vec<_> = std::iter::repeat_with(new_pair).take(20).collect();
    assert_eq!(test.queue.refill(Marks { low: 3, high: 5 }, &pairs).await.unwrap().len(), 3);
}

#[tokio::test]
async fn only_the_owner_may_retry_wait_bury_release_or_set_aside() {
    let test = TestQueue::with_lease(Duration::from_millis(1)).await;
    test.pairs(1).await;
    let late = test.claim(Step::Objects, "late").await;
    test.reclaim(Step::Objects, "owner").await;

    let delay = Duration::from_secs(1);
    assert!(!test.queue.retry(&late, "late", delay).await.unwrap());
    assert!(!test.queue.wait(&late, "late", delay).await.unwrap());
    assert!(!test.queue.bury(&late, "late", &death(1, "type", &[])).await.unwrap());
    assert!(!test.queue.release(&late, "late").await.unwrap());
    assert_eq!(test.step(Step::Objects).await, (0, 1, 0), "the owner's run is untouched");
    assert_eq!(test.queue.stats().await.unwrap().dead, 0);
}

#[tokio::test]
async fn a_retry_uses_an_attempt_and_a_wait_does_not() {
    let test = TestQueue::start().await;
    test.pairs(1).await;
    let first = test.claim(Step::Objects, "one").await;
    assert!(test.queue.retry(&first, "one", Duration::ZERO).await.unwrap());
    assert_eq!(test.step(Step::Objects).await, (0, 0, 1));
    test.healthy().await;
    assert_eq!(test.queue.promote().await.unwrap().moved, 1);

    let second = test.claim(Step::Objects, "one").await;
    assert_eq!((&second.job, second.attempts), (&first.job, 1));
    assert!(test.queue.wait(&second, "one", Duration::ZERO).await.unwrap());
    assert_eq!(test.queue.promote().await.unwrap().moved, 1);
    assert_eq!(test.claim(Step::Objects, "one").await.attempts, 1);
    assert_eq!((test.counter("retried").await, test.counter("waited").await), (1, 1));
    test.healthy().await;
}

#[tokio::test]
async fn a_delayed_job_is_not_promoted_before_its_time() {
    let test = TestQueue::start().await;
    test.pairs(1).await;
    let delivery = test.claim(Step::Objects, "one").await;
    test.queue.wait(&delivery, "one", Duration::from_mins(1)).await.unwrap();
    let promoted = test.queue.promote().await.unwrap();
    assert_eq!(promoted.moved, 0);
    let next_in = promoted.next_in.unwrap();
    assert!(next_in > Duration::from_secs(30) && next_in <= Duration::from_mins(1), "{next_in:?}");
    assert_eq!(test.step(Step::Objects).await, (0, 0, 1));
}

#[tokio::test]
async fn f19_fifty_thousand_jobs_due_at_once_are_promoted_in_bounded_batches() {
    let test = TestQueue::start().await;
    let mut connection = test.redis.connection().await;
    let mut pipe = redis::pipe();
    for n in 0..50_000 {
        let pair = new_pair();
        let member = format!("1:{}", pair.first.id);
        let entry = serde_json::json!({"id": pair.first.id, "pair": pair.id, "envelope": pair.first.envelope,
            "attempts": 0, "crashes": 0});
        pipe.hset("{test:0}:delayed:objects", &member, entry.to_string()).ignore();
        pipe.zadd("{test:0}:delayed", &member, n).ignore();
        if n % 5000 == 4999 {
            pipe.exec_async(&mut connection).await.unwrap();
            pipe.clear();
        }
    }

    let mut batches = Vec::new();
    loop {
        let moved = test.queue.promote().await.unwrap().moved;
        if moved == 0 {
            break;
        }
        batches.push(moved);
    }
    assert_eq!(batches.iter().sum::<u64>(), 50_000);
    assert!(batches.iter().all(|moved| *moved <= 250), "{batches:?}");
    assert_eq!(test.step(Step::Objects).await, (50_000, 0, 0));
}

#[tokio::test]
async fn a_delayed_member_that_nobody_can_read_does_not_stop_the_others() {
    let test = TestQueue::start().await;
    test.pairs(1).await;
    let delivery = test.claim(Step::Objects, "one").await;
    test.queue.wait(&delivery, "one", Duration::ZERO).await.unwrap();
    let mut connection = test.redis.connection().await;
    let () = connection.zadd("{test:0}:delayed", "nonsense", 1).await.unwrap();
    let () = connection.zadd("{test:0}:delayed", "2:nothing", 2).await.unwrap();
    test.queue.promote().await.unwrap();
    assert_eq!(test.step(Step::Objects).await, (1, 0, 0));
    assert_eq!(connection.zcard::<_, u64>("{test:0}:delayed").await.unwrap(), 0);
}

#[tokio::test]
async fn a_dead_letter_says_why_and_comes_back_fresh() {
    let test = TestQueue::start().await;
    test.pairs(2).await;
    let delivery = test.claim(Step::Objects, "one").await;
    let chain = ["no answer", "connection refused"];
    assert!(test.queue.bury(&delivery, "one", &death(5, "unavailable", &chain)).await.unwrap());
    let other = test.claim(Step::Objects, "one").await;
    assert!(test.queue.bury(&other, "one", &death(1, "refused", &chain)).await.unwrap());
    test.healthy().await;

    let filter = DeadFilter { class: Some("unavailable".to_owned()), ..DeadFilter::default() };
    let letters = test.queue.dead(&filter, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.job.as_str(), letter.attempts), (delivery.job.as_str(), 5));
    assert_eq!(letter.chain, chain);
    assert!(letter.at_ms > 1_600_000_000_000, "{}", letter.at_ms);
    assert_eq!(test.queue.dead(&DeadFilter::default(), 10).await.unwrap().len(), 2);
    assert_eq!(test.queue.dead(&DeadFilter::default(), 1).await.unwrap()[0].job, letter.job, "oldest first");

    assert!(test.queue.replay(&letter.job).await.unwrap().is_some());
    assert!(test.queue.replay(&letter.job).await.unwrap().is_none(), "it is not dead any more");
    let again = test.claim(Step::Objects, "one").await;
    assert_eq!((again.job, again.attempts, again.crashes), (delivery.job, 0, 0));
    assert_eq!(test.counter("replayed").await, 1);
    test.healthy().await;
}

#[tokio::test]
async fn a_dead_letter_given_up_frees_its_pairs_place() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0).id;
    let delivery = test.claim(Step::Objects, "one").await;
    test.queue.bury(&delivery, "one", &death(5, "refused", &["no"])).await.unwrap();
    assert!(test.queue.discard(delivery.job.as_str()).await.unwrap());
    assert!(!test.queue.discard(delivery.job.as_str()).await.unwrap());
    let stats = test.queue.stats().await.unwrap();
    assert_eq!((stats.open, stats.dead), (0, 0));
    assert_eq!(test.queue.record(pair).await.unwrap()["state"], b"rejected");
    test.healthy().await;
}

#[tokio::test]
async fn a_released_job_goes_to_the_next_worker_with_nothing_counted() {
    let test = TestQueue::start().await;
    test.pairs(1).await;
    let delivery = test.claim(Step::Objects, "one").await;
    assert!(test.queue.release(&delivery, "one").await.unwrap());
    let again = test.claim(Step::Objects, "two").await;
    assert_eq!((again.job, again.attempts, again.crashes), (delivery.job, 0, 0));
    test.healthy().await;
}

#[tokio::test]
async fn an_undecodable_entry_is_set_aside_with_its_bytes_and_can_be_replayed() {
    let test = TestQueue::start().await;
    let mut connection = test.redis.connection().await;
    let fields: [(&str, &[u8]); 2] = [("job", b"\xff{not json"), ("x", b"")];
    let () = connection.xadd("{test:0}:stream:objects", "*", &fields).await.unwrap();
    test.pairs(1).await;

    let mut reader = test.reader(Step::Objects, "one").await;
    let mut arrivals = reader.read(10, Duration::from_millis(100)).await.unwrap();
    assert_eq!(arrivals.len(), 2);
    job(arrivals.pop().unwrap());
    let Some(Arrival::Undecodable(entry)) = arrivals.pop() else { panic!("the first is no job") };
    assert!(!test.queue.set_aside(&entry, "two").await.unwrap(), "not the owner");
    assert!(test.queue.set_aside(&entry, "one").await.unwrap());
    test.healthy().await;

    let letter = test.queue.dead(&DeadFilter::default(), 1).await.unwrap().remove(0);
    assert_eq!(letter.class, "undecodable");
    assert_eq!(letter.envelope, "6a6f62 ff7b6e6f74206a736f6e 78 ");
    assert!(test.queue.replay(&letter.job).await.unwrap().is_some());
    let arrivals = reader.read(10, Duration::from_millis(100)).await.unwrap();
    let [Arrival::Undecodable(again)] = &arrivals[..] else { panic!("{arrivals:?}") };
    assert_eq!(again.fields, entry.fields);
}

#[tokio::test]
async fn the_first_journal_entry_under_a_key_stays() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0).id;
    assert_eq!(test.queue.journal_get(pair, "key").await.unwrap(), None);
    test.queue.journal_put(pair, "key", b"first").await.unwrap();
    test.queue.journal_put(pair, "key", b"second").await.unwrap();
    assert_eq!(test.queue.journal_get(pair, "key").await.unwrap().unwrap(), b"first");
    let refused = test.queue.journal_put(pair, "big", &vec![0; BODY_BYTES_MAX + 1]).await;
    assert!(matches!(refused, Err(QueueError::TooLarge { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_recent_list_keeps_the_newest_two_hundred() {
    let test = TestQueue::start().await;
    test.pairs(3).await;
    for (round, delivery) in test.claims(Step::Objects, "one", 3).await.iter().enumerate() {
        let remember = (0..90).map(|n| (RecentList::Objects, format!("{round}-{n}"))).collect();
        test.queue.commit(delivery, &Commit { remember, ..Commit::default() }).await.unwrap();
    }
    let recent = test.queue.recent(RecentList::Objects).await.unwrap();
    assert_eq!((recent.len(), recent[0].as_str()), (200, "2-89"));
}
