//! Dead letters: what they say, that all of them are seen, how they come back, how they are changed by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mondo_jobs::{
    disposition::Disposition,
    edit::{self, EditError, Editable, Request},
    job::{Job, Step},
    pair::{Head, Kind},
    queue::{Commit, DeadFilter, DeadLetter, Death, Edited, Fate, LetterEdit, NewPair, Queue},
    record,
};
use mondo_workers::{backend::Failure, notes};
use redis::AsyncCommands as _;
use serde_json::json;
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::support::{
    queue::{TestQueue, death, new_pair},
    wait::until,
    workers::{Workers, next_step},
};

const DEAD: &str = "{test:0}:dead";
const LETTERS: &str = "{test:0}:dead:letters";

/// Buries the first job of a fresh pair.
async fn one_dead(test: &TestQueue, death: &Death) -> DeadLetter {
    test.pairs(1).await;
    let delivery = test.claim(Step::Objects, "one").await;
    assert!(test.queue.bury(&delivery, "one", death).await.unwrap());
    test.queue.dead_letter(delivery.job.as_str()).await.unwrap().expect("it is dead")
}

/// Stores letters as they are, each dead since its millisecond.
async fn plant(test: &TestQueue, letters: &[(String, String, u64)]) {
    let mut connection = test.redis.connection().await;
    for letters in letters.chunks(1000) {
        let mut pipe = redis::pipe();
        for (job, json, at_ms) in letters {
            pipe.hset(LETTERS, job, json).ignore().zadd(DEAD, job, at_ms).ignore();
        }
        pipe.exec_async(&mut connection).await.unwrap();
    }
}

/// A letter as the first release wrote it.
fn old_letter(job: &Job, class: &str, chain: &[&str]) -> String {
    json!({"job": job.id(), "pair": job.pair, "step": job.step, "envelope": job.envelope(), "attempts": 5,
        "crashes": 0, "class": class, "chain": chain, "at_ms": 0})
    .to_string()
}

async fn all(queue: &Queue, filter: DeadFilter) -> Vec<DeadLetter> {
    queue.dead(&filter, usize::MAX).await.unwrap()
}

#[tokio::test]
async fn a_letter_says_everything_about_the_death() {
    let test = TestQueue::start().await;
    let how = Death {
        model: Some("openai/gpt-x".to_owned()),
        log: vec!["+0.1s WARN slow".to_owned(), "+0.2s WARN slower".to_owned()],
        ..death(5, "unavailable", &["no answer", "connection reset"])
    };
    let letter = one_dead(&test, &how).await;
    assert_eq!((&letter.model, &letter.log, letter.chain.len()), (&how.model, &how.log, 2));
    assert_eq!(letter.fingerprint.len(), 8);
    assert!(letter.pair.is_some() && letter.at_ms > 1_600_000_000_000, "{letter:?}");

    let long = vec!["é".repeat(10_000); 100];
    let letter = one_dead(&test, &Death { chain: long.clone(), log: long, ..how }).await;
    let bytes = serde_json::to_vec(&letter).unwrap().len();
    assert!(bytes < 1024 * 1024, "a letter has {bytes} bytes, whatever it is given");
    test.healthy().await;
}

#[tokio::test]
async fn letters_of_an_older_release_are_read_and_grouped() {
    let test = TestQueue::start().await;
    let pair = new_pair();
    let old = old_letter(&Job::first(pair.id), "timeout", &["took 3 s", "root"]);
    plant(&test, &[(pair.first.id.to_string(), old, 7)]).await;
    let new = one_dead(&test, &death(5, "timeout", &["took 40 s", "root"])).await;
    let old = test.queue.dead_letter(pair.first.id.as_str()).await.unwrap().unwrap();
    assert_eq!((old.at_ms, old.model, old.log.len()), (7, None, 0));
    assert_eq!(old.fingerprint, new.fingerprint);
}

#[tokio::test]
async fn a_letter_that_cannot_be_read_hides_no_other() {
    let test = TestQueue::start().await;
    plant(&test, &[("garbage".to_owned(), "{".to_owned(), 1)]).await;
    let letter = one_dead(&test, &death(1, "type", &["no"])).await;
    let page = test.queue.dead_pages(DeadFilter::default()).next().await.unwrap().unwrap();
    assert_eq!((page.letters.len(), page.unreadable.len()), (1, 1));
    assert_eq!(all(&test.queue, DeadFilter::default()).await, [letter]);
}

#[tokio::test]
async fn every_letter_is_seen_once_however_many_died_at_once_and_go_meanwhile() {
    let test = TestQueue::start().await;
    let letters: Vec<_> = (0..1500_u64)
        .map(|number| {
            let job = Job::first(new_pair().id);
            // 100 letters in the first millisecond, 350 in each of four, then one in each.
            let at_ms = if number < 1400 { number.div_ceil(350) } else { number };
            (job.id().to_string(), old_letter(&job, "type", &["no"]), at_ms)
        })
        .collect();
    plant(&test, &letters).await;

    let mut seen = Vec::new();
    let mut pages = test.queue.dead_pages(DeadFilter::default());
    while let Some(page) = pages.next().await.unwrap() {
        for letter in page.letters {
            // Every other one goes, which moves the ranks of all that follow.
            if seen.len() % 2 == 0 {
                assert!(test.queue.replay(&letter.job).await.unwrap().is_some());
            }
            seen.push(letter.job);
        }
    }
    assert_eq!(seen.len(), 1500);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 1500);
    assert_eq!(all(&test.queue, DeadFilter::default()).await.len(), 750);
}

#[tokio::test]
async fn filters_choose_by_everything_a_letter_says() {
    let test = TestQueue::start().await;
    let asked = Death {
        model: Some("openai/x".to_owned()),
        ..death(5, "unavailable", &["outer", "Connection RESET by peer"])
    };
    let wanted = one_dead(&test, &asked).await;
    let other = one_dead(&test, &death(1, "refused", &["no"])).await;
    let now_ms = test.queue.now_ms().await.unwrap();

    let filter = DeadFilter::default;
    for (what, filter) in [
        ("job", DeadFilter { jobs: vec!["nothing".to_owned(), wanted.job.clone()], ..filter() }),
        ("class", DeadFilter { class: Some("unavailable".to_owned()), ..filter() }),
        ("fingerprint", DeadFilter { fingerprint: Some(wanted.fingerprint.clone()), ..filter() }),
        ("model", DeadFilter { model: Some("openai/x".to_owned()), ..filter() }),
        ("text", DeadFilter { text: Some("reset BY".to_owned()), ..filter() }),
    ] {
        assert_eq!(all(&test.queue, filter).await, std::slice::from_ref(&wanted), "{what}");
    }
    for (what, filter, count) in [
        ("step", DeadFilter { step: Some(Step::Fix), ..filter() }, 0),
        ("both", DeadFilter { step: Some(Step::Objects), ..filter() }, 2),
        ("from", DeadFilter { died_from_ms: Some(now_ms + 1000), ..filter() }, 0),
        ("from on", DeadFilter { died_from_ms: Some(wanted.at_ms), ..filter() }, 2),
        ("before", DeadFilter { died_before_ms: Some(wanted.at_ms), ..filter() }, 0),
        ("up to", DeadFilter { died_before_ms: Some(other.at_ms + 1), ..filter() }, 2),
        ("jobs and class", DeadFilter { jobs: vec![wanted.job], class: Some("x".to_owned()), ..filter() }, 0),
    ] {
        assert_eq!(all(&test.queue, filter).await.len(), count, "{what}");
    }
}

#[tokio::test]
async fn two_operators_put_each_letter_back_once() {
    let test = TestQueue::start().await;
    test.pairs(200).await;
    for delivery in test.claims(Step::Objects, "one", 200).await {
        assert!(test.queue.bury(&delivery, "one", &death(1, "type", &["no"])).await.unwrap());
    }
    let replay_all = || async {
        let mut count = 0;
        for letter in all(&test.queue, DeadFilter::default()).await {
            count += usize::from(test.queue.replay(&letter.job).await.unwrap().is_some());
        }
        count
    };
    let (one, other) = tokio::join!(replay_all(), replay_all());
    assert_eq!(one + other, 200);
    assert_eq!(test.step(Step::Objects).await, (200, 0, 0));
    test.healthy().await;
}

#[tokio::test]
async fn what_becomes_of_a_replayed_job_can_be_seen() {
    let test = TestQueue::start().await;
    let mut replayed = BTreeMap::new();
    for name in ["waits", "committed", "dead", "gone"] {
        let letter = one_dead(&test, &death(1, name, &["no"])).await;
        let back = test.queue.replay(&letter.job).await.unwrap().unwrap();
        let delivery = test.claim(Step::Objects, "one").await;
        match name {
            "committed" => {
                test.queue.commit(&delivery, &Commit::default()).await.unwrap();
            }
            "waits" => {
                test.queue.retry(&delivery, "one", Duration::from_hours(1)).await.unwrap();
            }
            _ => {
                test.queue.bury(&delivery, "one", &death(1, name, &["no"])).await.unwrap();
            }
        }
        if name == "gone" {
            test.queue.discard(&letter.job).await.unwrap();
        }
        replayed.insert(name, back);
    }
    let jobs: Vec<_> = ["waits", "committed", "dead", "gone"].map(|name| replayed[name].clone()).to_vec();
    let fates = test.queue.fates(&jobs).await.unwrap();
    assert_eq!(fates, [Fate::UnderWay, Fate::Committed, Fate::Dead, Fate::Gone]);
}

#[tokio::test]
async fn a_replayed_entry_that_is_no_job_can_be_followed_too() {
    let test = TestQueue::start().await;
    let mut connection = test.redis.connection().await;
    let () = connection.xadd("{test:0}:stream:objects", "*", &[("job", "not json")]).await.unwrap();
    let workers = Workers::start(&test.queue, 1, |delivery| async move { Ok(next_step(&delivery)) });
    until("it is set aside", || async { test.queue.stats().await.unwrap().dead == 1 }).await;
    let letter = all(&test.queue, DeadFilter::default()).await.remove(0);
    let back = test.queue.replay(&letter.job).await.unwrap().unwrap();
    until("it is set aside again", || async {
        test.queue.fates(std::slice::from_ref(&back)).await.unwrap() == [Fate::Dead]
    })
    .await;
    assert!(test.queue.dead_letter(&back.job).await.unwrap().is_some());
    workers.stop().await;
}

#[tokio::test]
async fn the_last_lines_of_a_runs_log_are_in_its_letter() {
    let _ = tracing_subscriber::registry().with(notes::layer()).try_init();
    let test = TestQueue::start().await;
    let workers = Workers::start(&test.queue, 2, |delivery| async move {
        for number in 0..30 {
            tracing::warn!(number, job = %delivery.job, "a line\n");
            tokio::task::yield_now().await;
        }
        tracing::warn!("{}", "x".repeat(100_000));
        let chain = vec!["no".to_owned()];
        Err(Failure { disposition: Disposition::Bury, class: "type".to_owned(), chain })
    });
    test.pairs(2).await;
    until("both are dead", || async { test.queue.stats().await.unwrap().dead == 2 }).await;
    workers.stop().await;
    for letter in all(&test.queue, DeadFilter::default()).await {
        let (last, lines) = letter.log.split_last().unwrap();
        assert!(last.len() <= 1024 && last.contains("xxx"), "{last}");
        assert_eq!(lines.len(), 19, "{lines:?}");
        for (number, line) in (11..30).zip(lines) {
            assert!(line.contains(&format!("WARN a line  number={number} job={}", letter.job)), "{line}");
        }
    }
}

/// A pair with a question, whose answer job is dead.
async fn dead_answer(test: &TestQueue) -> DeadLetter {
    let pair = new_pair();
    let job = Job { pair: pair.id, step: Step::Question, candidate: None, round: 0 };
    let head = Head { question: Some("Draw a cat.".to_owned()), ..Head::new(Kind::Web, 1, 2) };
    let fields = vec![record::head_field(&head).unwrap()];
    test.queue.start(&[NewPair { fields, first: record::new_job(&job), ..pair }]).await.unwrap();
    let delivery = test.claim(Step::Question, "one").await;
    assert!(test.queue.bury(&delivery, "one", &death(1, "refused", &["unsafe"])).await.unwrap());
    test.queue.dead_letter(delivery.job.as_str()).await.unwrap().unwrap()
}

fn request<'a>(job: &'a str, what: Editable, value: &'a str) -> Request<'a> {
    Request { job, what, value, by: "ann", reason: "refused as unsafe" }
}

#[tokio::test]
async fn an_edit_is_kept_with_who_and_why_and_survives_replay_and_discard() {
    let test = TestQueue::start().await;
    let letter = dead_answer(&test).await;
    let (job, pair) = (letter.job.as_str(), letter.pair.unwrap());
    let held = test.counter("held_bytes").await;
    let edited = edit::edit(&test.queue, request(job, Editable::Question, "Draw a dog.")).await.unwrap();
    assert_eq!(
        (edited.old.as_str(), edited.new.as_str(), edited.by.as_str()),
        ("Draw a cat.", "Draw a dog.", "ann")
    );
    assert!(edited.at_ms >= letter.at_ms, "by Redis's clock");
    assert!(test.counter("held_bytes").await > held);
    let draft = record::decode(pair, test.queue.record(pair).await.unwrap()).unwrap();
    assert_eq!(draft.head.question.as_deref(), Some("Draw a dog."));

    assert!(test.queue.replay(job).await.unwrap().is_some());
    assert_eq!(edit::edits(&test.queue, pair).await.unwrap(), std::slice::from_ref(&edited));
    let delivery = test.claim(Step::Question, "one").await;
    test.queue.bury(&delivery, "one", &death(1, "refused", &["again"])).await.unwrap();
    let second = edit::edit(&test.queue, request(job, Editable::Question, "Draw a cow.")).await.unwrap();
    assert_eq!(second.old, "Draw a dog.");
    test.queue.discard(job).await.unwrap();
    assert_eq!(edit::edits(&test.queue, pair).await.unwrap(), [edited, second]);
    test.healthy().await;
}

#[tokio::test]
async fn an_edit_that_makes_no_sense_is_refused_and_changes_nothing() {
    let test = TestQueue::start().await;
    let letter = dead_answer(&test).await;
    let job = letter.job.as_str();
    let elsewhere = new_pair().first.envelope;
    let refused =
        async |request: Request<'_>| edit::edit(&test.queue, request).await.unwrap_err().to_string();
    for (what, value, says) in [
        (Editable::Envelope, "{", "the new envelope is refused"),
        (Editable::Envelope, r#"{"kind":"question","v":99}"#, "newer"),
        (Editable::Envelope, elsewhere.as_str(), "it must name"),
        (Editable::Envelope, letter.envelope.as_str(), "the same"),
        (Editable::Question, "Draw a cat.", "the same"),
        (Editable::Question, " ", "empty"),
        (Editable::Question, &"x".repeat(edit::VALUE_BYTES_MAX + 1), "more than the 65536"),
    ] {
        let said = refused(request(job, what, value)).await;
        assert!(said.contains(says), "{said}");
    }
    let said = refused(request("nothing", Editable::Question, "x")).await;
    assert!(said.contains("no dead letter `nothing`"), "{said}");
    let first = one_dead(&test, &death(1, "type", &["no"])).await;
    let said = refused(request(&first.job, Editable::Question, "x")).await;
    assert!(said.contains("`head`"), "a record that cannot be read is named: {said}");
    assert_eq!(test.queue.dead_letter(job).await.unwrap().unwrap(), letter);
    assert_eq!(edit::edits(&test.queue, letter.pair.unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn a_damaged_envelope_can_be_mended_and_is_run_as_mended() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0);
    let delivery = test.claim(Step::Objects, "one").await;
    let damaged = mondo_jobs::queue::Delivery { envelope: "{\"kind\":".to_owned(), ..delivery };
    test.queue.bury(&damaged, "one", &death(1, "undecodable", &["eof"])).await.unwrap();
    let job = damaged.job.as_str();
    edit::edit(&test.queue, request(job, Editable::Envelope, &pair.first.envelope)).await.unwrap();
    assert!(test.queue.replay(job).await.unwrap().is_some());
    assert_eq!(test.claim(Step::Objects, "one").await.envelope, pair.first.envelope);
}

#[tokio::test]
async fn of_two_edits_at_once_one_is_refused() {
    let test = TestQueue::start().await;
    let letter = dead_answer(&test).await;
    let (head, now) =
        (record::HEAD, test.queue.record(letter.pair.unwrap()).await.unwrap()[record::HEAD].clone());
    let edit = |value: &'static [u8]| LetterEdit {
        letter: &letter,
        envelope: None,
        field: Some((head, &now, value)),
        audit: b"{}",
    };
    assert!(matches!(test.queue.edit_dead(&edit(b"1")).await.unwrap(), Edited::At(_)));
    assert_eq!(test.queue.edit_dead(&edit(b"2")).await.unwrap(), Edited::Changed);
    assert!(test.queue.replay(&letter.job).await.unwrap().is_some());
    assert_eq!(test.queue.edit_dead(&edit(b"3")).await.unwrap(), Edited::NotDead);
    let gone = edit::edit(&test.queue, request(&letter.job, Editable::Question, "x")).await.unwrap_err();
    assert!(matches!(gone, EditError::NotDead(_)), "{gone}");
}
