//! Commits: what each stores in one go, and when it stores nothing.

use std::time::Duration;

use mondo_jobs::{
    job::Step,
    pair::{BODY_BYTES_MAX, PairId},
    ports::{Memory as _, RecentList},
    queue::{COMMITS_MAX, Commit, Committed, End, QueueError},
};
use redis::AsyncCommands as _;

use crate::support::queue::{TestQueue, death, next_job};

#[tokio::test]
async fn a_commit_stores_everything_in_one_go() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0).id;
    let delivery = test.claim(Step::Objects, "one").await;
    let commit = Commit {
        record: b"did it".to_vec(),
        fields: vec![("head".to_owned(), b"new".to_vec()), ("more".to_owned(), vec![0, 255])],
        next: vec![next_job(pair, Step::Question)],
        end: None,
        remember: vec![
            (RecentList::Objects, "ball".to_owned()),
            (RecentList::Objects, "kite".to_owned()),
            (RecentList::Questions, "why".to_owned()),
        ],
        counters: vec![("llm_calls".to_owned(), 2), ("cost_micro_usd".to_owned(), 7)],
    };
    assert_eq!(test.queue.commit(&delivery, &commit).await.unwrap(), Committed::Stored);

    let record = test.queue.record(pair).await.unwrap();
    assert_eq!(record["head"], b"new");
    assert_eq!(record["more"], [0, 255]);
    assert_eq!(record["state"], b"open");
    assert_eq!(record[&format!("done:{}", delivery.job)], b"did it");
    assert_eq!(test.step(Step::Objects).await, (0, 0, 0));
    assert_eq!(test.step(Step::Question).await, (1, 0, 0));
    assert_eq!(test.queue.recent(RecentList::Objects).await.unwrap(), ["kite", "ball"]);
    assert_eq!(test.queue.recent(RecentList::Questions).await.unwrap(), ["why"]);
    assert_eq!(test.counter("committed").await, 1);
    assert_eq!(test.counter("llm_calls").await, 2);
    assert_eq!(test.counter("cost_micro_usd").await, 7);
    test.healthy().await;
}

#[tokio::test]
async fn a_commit_whose_reply_was_lost_is_safe_to_repeat() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0).id;
    let delivery = test.claim(Step::Objects, "one").await;
    let commit = Commit {
        next: vec![next_job(pair, Step::Question)],
        counters: vec![("llm_calls".to_owned(), 2)],
        ..Commit::default()
    };
    assert_eq!(test.queue.commit(&delivery, &commit).await.unwrap(), Committed::Stored);
    assert_eq!(test.queue.commit(&delivery, &commit).await.unwrap(), Committed::Already);
    assert_eq!(test.step(Step::Question).await, (1, 0, 0));
    assert_eq!(test.counter("llm_calls").await, 2);
    test.healthy().await;
}

#[tokio::test]
async fn an_entry_that_came_back_cannot_commit_twice() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0).id;
    let mut connection = test.redis.connection().await;
    let delivery = test.claim(Step::Objects, "one").await;
    let copy: Vec<(String, Vec<(String, String)>)> = redis::cmd("XRANGE")
        .arg(&["{test:0}:stream:objects", "-", "+"])
        .query_async(&mut connection)
        .await
        .unwrap();
    let commit = Commit { next: vec![next_job(pair, Step::Question)], ..Commit::default() };
    test.queue.commit(&delivery, &commit).await.unwrap();

    let () = connection.xadd("{test:0}:stream:objects", "*", &copy[0].1).await.unwrap();
    let again = test.claim(Step::Objects, "two").await;
    assert_eq!(again.job, delivery.job);
    assert_eq!(test.queue.commit(&again, &commit).await.unwrap(), Committed::Already);
    assert_eq!(test.step(Step::Question).await, (1, 0, 0));
    assert_eq!(test.step(Step::Objects).await, (0, 0, 0), "the entry is gone");
    test.healthy().await;
}

#[tokio::test]
async fn the_first_to_finish_wins_whoever_holds_the_lease() {
    let test = TestQueue::with_lease(Duration::from_millis(1)).await;
    let pair = test.pairs(1).await.remove(0).id;
    let slow = test.claim(Step::Objects, "slow").await;
    let quick = test.reclaim(Step::Objects, "quick").await.remove(0);
    let commit = Commit { next: vec![next_job(pair, Step::Question)], ..Commit::default() };

    assert_eq!(test.queue.commit(&slow, &commit).await.unwrap(), Committed::Stored);
    assert_eq!(test.queue.commit(&quick, &commit).await.unwrap(), Committed::Already);
    assert_eq!(test.step(Step::Question).await, (1, 0, 0));
}

#[tokio::test]
async fn a_commit_after_the_owner_decided_otherwise_is_late() {
    let test = TestQueue::start().await;
    test.pairs(1).await;
    let delivery = test.claim(Step::Objects, "one").await;
    test.queue.bury(&delivery, "one", &death(1, "type", &[])).await.unwrap();
    assert_eq!(test.queue.commit(&delivery, &Commit::default()).await.unwrap(), Committed::Late);
    let record = test.queue.record(delivery.pair).await.unwrap();
    assert!(!record.keys().any(|field| field.starts_with("done:")), "{record:?}");
    test.healthy().await;
}

#[tokio::test]
async fn a_batch_commits_each_delivery_by_itself() {
    let test = TestQueue::start().await;
    test.pairs(COMMITS_MAX).await;
    let deliveries = test.claims(Step::Objects, "one", COMMITS_MAX).await;
    test.queue.bury(&deliveries[3], "one", &death(1, "type", &[])).await.unwrap();
    let commits: Vec<Commit> = deliveries
        .iter()
        .map(|delivery| Commit {
            fields: vec![("head".to_owned(), delivery.pair.to_string().into_bytes())],
            next: vec![next_job(delivery.pair, Step::Question)],
            counters: vec![("llm_calls".to_owned(), 1)],
            ..Commit::default()
        })
        .collect();
    let batch: Vec<_> = deliveries.iter().zip(&commits).collect();
    let results = test.queue.commit_all(&batch).await.unwrap();

    for (index, result) in results.iter().enumerate() {
        assert_eq!(*result, if index == 3 { Committed::Late } else { Committed::Stored });
    }
    let stored = u64::try_from(COMMITS_MAX - 1).unwrap();
    assert_eq!(test.step(Step::Question).await, (stored, 0, 0));
    assert_eq!(test.counter("llm_calls").await, i64::try_from(stored).unwrap());
    let record = test.queue.record(deliveries[7].pair).await.unwrap();
    assert_eq!(record["head"], deliveries[7].pair.to_string().into_bytes());
    test.healthy().await;
}

#[tokio::test]
async fn the_same_delivery_twice_in_a_batch_counts_once() {
    let counted = Commit { counters: vec![("llm_calls".to_owned(), 1)], ..Commit::default() };
    for (ended, results) in [
        (false, [Committed::Stored, Committed::Already, Committed::Stored, Committed::Already]),
        (true, [Committed::Ended, Committed::Late, Committed::Ended, Committed::Late]),
    ] {
        let test = TestQueue::start().await;
        let pairs = test.pairs(2).await;
        let deliveries = test.claims(Step::Objects, "one", 2).await;
        if ended {
            for pair in &pairs {
                test.queue.cancel(pair.id, "enough").await.unwrap();
            }
        }
        let batch: Vec<_> = [0, 0, 1, 1].map(|which| (&deliveries[which], &counted)).to_vec();
        assert_eq!(test.queue.commit_all(&batch).await.unwrap(), results);
        assert_eq!(test.counter("llm_calls").await, 2);
        assert_eq!(test.step(Step::Objects).await, (0, 0, 0));
    }
}

#[tokio::test]
async fn a_result_counts_though_the_group_was_destroyed() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0).id;
    let delivery = test.claim(Step::Objects, "one").await;
    let mut connection = test.redis.connection().await;
    let stream = "{test:0}:stream:objects";
    redis::cmd("XGROUP").arg(&["DESTROY", stream, "workers"]).exec_async(&mut connection).await.unwrap();
    let commit = Commit { next: vec![next_job(pair, Step::Question)], ..Commit::default() };
    assert_eq!(test.queue.commit(&delivery, &commit).await.unwrap(), Committed::Stored);
    assert_eq!(test.queue.commit(&delivery, &commit).await.unwrap(), Committed::Already);
    test.queue.make_groups().await.unwrap();
    assert_eq!(test.step(Step::Objects).await, (0, 0, 0), "nobody runs it again");
    test.healthy().await;
}

#[tokio::test]
async fn a_batch_with_a_damaged_record_changes_nothing() {
    let damages: [&[&str]; 2] = [&["SET", "RECORD", "not a hash"], &["HSET", "RECORD", "bytes", "many"]];
    for damage in damages {
        let test = TestQueue::start().await;
        let pairs = test.pairs(3).await;
        let mut connection = test.redis.connection().await;
        let record = format!("{{test:0}}:pair:{}", pairs[1].id);
        let words = damage.iter().map(|word| if *word == "RECORD" { &record } else { *word });
        let words: Vec<&str> = words.collect();
        redis::cmd(words[0]).arg(&words[1..]).exec_async(&mut connection).await.unwrap();
        let deliveries = test.claims(Step::Objects, "one", 3).await;
        let commit = Commit { counters: vec![("llm_calls".to_owned(), 1)], ..Commit::default() };
        let batch: Vec<_> = deliveries.iter().map(|delivery| (delivery, &commit)).collect();

        let error = test.queue.commit_all(&batch).await.unwrap_err();
        assert!(!error.is_passing(), "{error}");
        assert_eq!(test.step(Step::Objects).await, (0, 3, 0), "{damage:?}");
        assert_eq!((test.counter("committed").await, test.counter("llm_calls").await), (0, 0), "{damage:?}");
        for whole in [0, 2] {
            let result = test.queue.commit(&deliveries[whole], &commit).await.unwrap();
            assert_eq!(result, Committed::Stored, "{damage:?} {whole}");
        }
    }
}

#[tokio::test]
async fn a_damaged_stream_spares_the_jobs_of_other_steps_in_its_batch() {
    let test = TestQueue::start().await;
    test.pairs(3).await;
    let mut deliveries = test.claims(Step::Objects, "one", 3).await;
    let first = deliveries.remove(0);
    let next = Commit { next: vec![next_job(first.pair, Step::Question)], ..Commit::default() };
    test.queue.commit(&first, &next).await.unwrap();
    deliveries.push(test.claim(Step::Question, "one").await);
    let () = test.redis.connection().await.set("{test:0}:stream:question", "damaged").await.unwrap();

    let commit = Commit::default();
    let batch: Vec<_> = deliveries.iter().map(|delivery| (delivery, &commit)).collect();
    assert!(!test.queue.commit_all(&batch).await.unwrap_err().is_passing());
    for (delivery, stored) in deliveries.iter().zip([true, true, false]) {
        let result = test.queue.commit(delivery, &commit).await;
        assert_eq!(result.is_ok_and(|result| result == Committed::Stored), stored, "{}", delivery.job);
    }
}

#[tokio::test]
async fn a_damaged_key_that_all_pairs_share_costs_no_job() {
    let next = |pair| Commit { next: vec![next_job(pair, Step::Question)], ..Commit::default() };
    let remember = |pair| Commit { remember: vec![(RecentList::Objects, "a fox".to_owned())], ..next(pair) };
    let ready = |_| Commit { end: Some(End::Ready { body: b"{}".to_vec() }), ..Commit::default() };
    let rejected = |_| Commit { end: Some(End::Rejected { reason: String::new() }), ..Commit::default() };
    let cases: [(&str, &dyn Fn(PairId) -> Commit); 10] = [
        ("counters", &next),
        ("stream:question", &next),
        ("recent:objects", &remember),
        ("open", &ready),
        ("ready", &ready),
        ("ready:bodies", &ready),
        ("events", &ready),
        ("ended:journals", &ready),
        ("ended:rejected", &rejected),
        ("events", &rejected),
    ];
    for (name, commit) in cases {
        let test = TestQueue::start().await;
        test.pairs(1).await;
        let delivery = test.claim(Step::Objects, "one").await;
        test.queue.journal_put(delivery.pair, "key", b"reply").await.unwrap();
        let (commit, key) = (commit(delivery.pair), format!("{{test:0}}:{name}"));
        let mut connection = test.redis.connection().await;
        let kept: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query_async(&mut connection).await.unwrap();
        let () = connection.set(&key, "damaged").await.unwrap();
        let error = test.queue.commit(&delivery, &commit).await.unwrap_err();
        assert!(!error.is_passing() && error.to_string().contains(&key), "{name}: {error}");

        let () = connection.del(&key).await.unwrap();
        if let Some(kept) = kept {
            redis::cmd("RESTORE").arg(&key).arg(0).arg(kept).exec_async(&mut connection).await.unwrap();
        }
        assert_eq!(test.step(Step::Objects).await, (0, 1, 0), "{name}");
        test.healthy().await;
        assert_eq!(test.queue.commit(&delivery, &commit).await.unwrap(), Committed::Stored, "{name}");
        test.healthy().await;
    }
}

#[tokio::test]
async fn an_end_that_comes_too_late_leaves_the_journals_of_others_alone() {
    let test = TestQueue::start().await;
    test.pairs(2).await;
    let deliveries = test.claims(Step::Objects, "one", 2).await;
    test.queue.journal_put(deliveries[1].pair, "key", b"reply").await.unwrap();
    test.queue.bury(&deliveries[0], "one", &death(1, "type", &[])).await.unwrap();
    let commit = Commit { end: Some(End::Rejected { reason: String::new() }), ..Commit::default() };
    let batch: Vec<_> = deliveries.iter().map(|delivery| (delivery, &commit)).collect();
    assert_eq!(test.queue.commit_all(&batch).await.unwrap(), [Committed::Late, Committed::Stored]);
    assert!(test.counter("journals_bytes").await > 0);
    assert!(test.queue.record(deliveries[1].pair).await.unwrap().contains_key("journal_bytes"));
    test.healthy().await;
}

#[tokio::test]
async fn a_commit_over_the_limit_is_refused() {
    let test = TestQueue::start().await;
    test.pairs(1).await;
    let delivery = test.claim(Step::Objects, "one").await;
    let body = vec![b' '; BODY_BYTES_MAX + 1];
    let commit = Commit { end: Some(End::Ready { body }), ..Commit::default() };
    let refused = test.queue.commit(&delivery, &commit).await;
    assert!(matches!(refused, Err(QueueError::TooLarge { .. })), "{refused:?}");
    let fields = vec![("x".to_owned(), vec![]); 101];
    let refused = test.queue.commit(&delivery, &Commit { fields, ..Commit::default() }).await;
    assert!(matches!(refused, Err(QueueError::TooMany { .. })), "{refused:?}");
    assert_eq!(test.step(Step::Objects).await, (0, 1, 0));
}

#[tokio::test]
async fn a_rejected_pair_is_kept_with_its_reason() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0).id;
    test.queue.journal_put(pair, "key", b"reply").await.unwrap();
    let delivery = test.claim(Step::Objects, "one").await;
    let end = Some(End::Rejected { reason: "too like another".to_owned() });
    test.queue.commit(&delivery, &Commit { end, ..Commit::default() }).await.unwrap();

    let record = test.queue.record(pair).await.unwrap();
    assert_eq!(record["state"], b"rejected");
    assert_eq!(record["reason"], b"too like another");
    let stats = test.queue.stats().await.unwrap();
    assert_eq!((stats.open, stats.ready, stats.counters["rejected"]), (0, 0, 1));
    test.healthy().await;
}
