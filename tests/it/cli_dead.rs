//! Dead letters at the command line: seen by cause, put back a few at first, left alone when they die again.

use std::{
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use mondo_jobs::{
    disposition::Disposition,
    job::{Job, Step},
    pair::{Head, Kind},
    queue::{Commit, DeadFilter, DeadLetter, End, NewPair},
    record,
};
use mondo_workers::backend::Failure;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::{
    openai_server::{KEY, OpenAiServer, Turn},
    program::{Running, mondo, text},
    queue::{TestQueue, death, new_pair, next_job},
    wait::until,
    workers::Workers,
};

/// A queue with one dead letter, and its job's id.
async fn one_dead() -> (TestQueue, String) {
    let queue = TestQueue::start().await;
    queue.pairs(1).await;
    let delivery = queue.claim(Step::Objects, "worker").await;
    let how = death(1, "refused", &["`openai/x` refuses the request", "the model is gone"]);
    assert!(queue.queue.bury(&delivery, "worker", &how).await.unwrap());
    // The program puts back what died before it was started.
    tokio::time::sleep(Duration::from_millis(5)).await;
    (queue, delivery.job.to_string())
}

/// Dead jobs of step `answer` that never ran.
async fn dead_answers(test: &TestQueue, count: usize, class: &str) {
    let pairs: Vec<NewPair> = std::iter::repeat_with(new_pair)
        .take(count)
        .map(|pair| NewPair { first: next_job(pair.id, Step::Answer), ..pair })
        .collect();
    test.queue.start(&pairs).await.unwrap();
    for delivery in test.claims(Step::Answer, "worker", count).await {
        assert!(test.queue.bury(&delivery, "worker", &death(5, class, &["too fast"])).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// The exit code of a program, what it printed, and what it said.
async fn ends(mut command: Command) -> (i32, String, String) {
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// Runs `mondo dead` on that queue.
async fn on(queue: &TestQueue, arguments: &[&str]) -> (i32, String, String) {
    let url = queue.redis.url();
    let settings = [("REDIS_URL", url.expose_secret()), ("MONDO_PREFIX", "test")];
    ends(mondo(&[&["dead"], arguments].concat(), &settings)).await
}

/// Runs `scripts/replay` on that queue, with the program that is being tested.
async fn script(queue: &TestQueue, arguments: &[&str]) -> (i32, String, String) {
    let url = queue.redis.url();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join("scripts/replay"));
    command.args(arguments).env_clear().stdin(std::process::Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command.env("MONDO", env!("CARGO_BIN_EXE_mondo"));
    command.envs([("REDIS_URL", url.expose_secret()), ("MONDO_PREFIX", "test")]);
    ends(command).await
}

/// Workers that finish every pair, or bury every job while `failing`, after the first `good` jobs.
fn workers(test: &TestQueue, failing: &Arc<AtomicBool>, good: usize) -> Workers {
    let (failing, done) = (Arc::clone(failing), Arc::new(AtomicUsize::new(0)));
    Workers::start(&test.queue, 4, move |delivery| {
        let fails = failing.load(Ordering::SeqCst) && done.fetch_add(1, Ordering::SeqCst) >= good;
        async move {
            if fails {
                let chain = vec![format!("planted at {}", delivery.job)];
                return Err(Failure { disposition: Disposition::Bury, class: "planted".to_owned(), chain });
            }
            Ok(Commit { end: Some(End::Ready { body: b"{}".to_vec() }), ..Commit::default() })
        }
    })
}

async fn count(test: &TestQueue, class: &str) -> usize {
    let filter = DeadFilter { class: Some(class.to_owned()), ..DeadFilter::default() };
    test.queue.dead(&filter, usize::MAX).await.unwrap().len()
}

#[tokio::test]
async fn a_dead_letter_is_listed_shown_and_put_back() {
    let (queue, job) = one_dead().await;

    let (code, listed, _) = on(&queue, &["ls", "--json"]).await;
    let causes: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((code, causes[0]["count"].as_u64(), causes[0]["job"].as_str()), (0, Some(1), Some(&*job)));
    let (_, listed, _) = on(&queue, &["ls", "--all", "--json"]).await;
    let letter: DeadLetter = serde_json::from_str(listed.trim()).unwrap();
    assert_eq!(letter.job, job);
    let (_, shown, _) = on(&queue, &["show", &job]).await;
    assert!(shown.contains("caused by the model is gone"), "{shown}");

    let (code, would, said) = on(&queue, &["replay", "--class", "refused", "--dry-run"]).await;
    assert_eq!(code, 0);
    assert!(would.contains(&letter.fingerprint) && would.contains(&job), "{would}");
    assert!(said.contains("1 dead letter of 1 cause would be put back"), "{said}");
    assert_eq!(queue.queue.stats().await.unwrap().dead, 1, "a dry run changes nothing");

    let (code, put_back, _) = on(&queue, &["replay", "--step", "objects"]).await;
    assert_eq!(code, 0);
    assert!(put_back.contains("1 of 1 put back"), "{put_back}");
    let stats = queue.queue.stats().await.unwrap();
    assert_eq!((stats.dead, stats.steps[0].waiting), (0, 1));
}

#[tokio::test]
async fn giving_up_on_a_dead_letter_rejects_its_pair() {
    let (queue, job) = one_dead().await;
    assert_eq!(on(&queue, &["discard", &job]).await.0, 0);
    let stats = queue.queue.stats().await.unwrap();
    assert_eq!((stats.dead, stats.open, stats.counters["rejected"]), (0, 0, 1));
    let (code, _, said) = on(&queue, &["discard", &job]).await;
    assert_eq!(code, 2);
    assert!(said.contains("`mondo dead ls --all` lists them"), "{said}");
}

#[tokio::test]
async fn what_fits_nothing_or_is_not_named_says_so() {
    let (queue, _) = one_dead().await;
    for (arguments, code, says) in [
        (&["replay", "--class", "timeout"][..], 1, "no dead letter fits"),
        (&["replay", "--older-than", "1h"], 1, "no dead letter fits"),
        (&["replay"], 2, "say which letters"),
        (&["replay", "--all", "--rate", "0"], 2, "from 0.01 to 10000"),
        (&["replay", "--all", "--older-than", "1"], 2, "a number with s, m, h or d"),
        (
            &["edit", "x", "--set", "page=1", "--reason", "r", "--by", "b"],
            2,
            "what can is question, envelope",
        ),
        (&["edit", "x", "--set", "question=1", "--reason", "r"], 2, "--by"),
        (&["edit", "x", "--set", "question=1", "--reason", "r", "--by", "b"], 2, "no dead letter `x`"),
    ] {
        let (found, _, said) = on(&queue, arguments).await;
        assert!(found == code && said.contains(says), "{arguments:?}: {found} {said}");
    }
    let (code, _, said) = script(&queue, &[]).await;
    assert!(code == 2 && said.contains("--help"), "{said}");
}

#[tokio::test]
async fn ten_thousand_letters_are_a_handful_of_causes_and_all_go_back() {
    const COUNT: usize = 10_500;
    let test = TestQueue::start().await;
    let mut connection = test.redis.connection().await;
    let mut pipe = redis::pipe();
    for number in 0..COUNT {
        let pair = new_pair();
        let job = Job { pair: pair.id, step: Step::Answer, candidate: None, round: 0 };
        let chain = match number % 3 {
            0 => json!([format!("`openai/x` gave no usable reply: request req_{number:024x}"), "reset"]),
            1 => json!([format!("pair {} has {number} bytes in /tmp/{number}/x", pair.id)]),
            _ => json!([format!("took {number}.5 s at 12:{:02}:00", number % 60)]),
        };
        let letter = json!({"job": job.id(), "pair": job.pair, "step": "answer", "envelope": job.envelope(),
            "attempts": 5, "crashes": 0, "class": "unavailable", "chain": chain, "at_ms": 0});
        let id = job.id().to_string();
        pipe.hset("{test:0}:dead:letters", &id, letter.to_string()).ignore();
        pipe.zadd("{test:0}:dead", id, number / 7).ignore();
        if number % 1000 == 999 || number == COUNT - 1 {
            pipe.exec_async(&mut connection).await.unwrap();
            pipe.clear();
        }
    }

    let (_, listed, _) = on(&test, &["ls", "--json"]).await;
    let causes: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let counts: Vec<u64> = causes.iter().map(|cause| cause["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [3500; 3]);
    let (code, listed, _) = on(&test, &["ls", "--all"]).await;
    assert_eq!((code, listed.lines().count()), (0, COUNT));

    let cause = causes[0]["fingerprint"].as_str().unwrap();
    let quickly = ["--canary", "0", "--abort-share", "1", "--rate", "10000", "--json"];
    let (code, summary, _) = on(&test, &[&["replay", "--fingerprint", cause], &quickly[..]].concat()).await;
    assert_eq!(
        (code, serde_json::from_str::<Value>(&summary).unwrap()["put_back"].as_u64()),
        (0, Some(3500))
    );
    let (code, summary, _) = on(&test, &[&["replay", "--all"], &quickly[..]].concat()).await;
    assert_eq!(
        (code, serde_json::from_str::<Value>(&summary).unwrap()["put_back"].as_u64()),
        (0, Some(7000))
    );
    assert_eq!(test.queue.stats().await.unwrap().dead, 0, "no limit that nobody spoke of");
    assert_eq!(test.step(Step::Answer).await.0, COUNT as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_dies_keeps_the_rest_from_harm() {
    let test = TestQueue::start().await;
    dead_answers(&test, 30, "rate_limited").await;
    let chosen = ["--step", "answer", "--class", "rate_limited"];
    let failing = Arc::new(AtomicBool::new(true));
    let workers = workers(&test, &failing, 0);

    let (code, shown, said) = script(&test, &[&chosen[..], &["--dry-run"]].concat()).await;
    assert_eq!(code, 0, "{said}");
    assert!(shown.contains("rate_limited") && said.contains("30 dead letters"), "{shown}{said}");
    assert_eq!(workers.seen(), 0, "a dry run changes nothing");

    let (code, summary, said) = script(&test, &chosen).await;
    assert_eq!(code, 3, "{summary}{said}");
    assert!(said.contains("10 of 10 canaries died again"), "{said}");
    assert!(summary.contains("10 of 30 put back: 0 committed, 10 died again, 0 under way"), "{summary}");
    assert_eq!((count(&test, "rate_limited").await, count(&test, "planted").await), (20, 10));
    assert_eq!(workers.seen(), 10, "the rest was left alone");

    failing.store(false, Ordering::SeqCst);
    let (code, summary, said) = script(&test, &chosen).await;
    assert_eq!(code, 0, "{summary}{said}");
    assert!(said.contains("of 10 canaries 0 died again"), "{said}");
    assert!(summary.contains("20 of 20 put back"), "{summary}");
    let (code, summary, _) = script(&test, &["--class", "planted"]).await;
    assert!(code == 0 && summary.contains("10 of 10 put back"), "{summary}");
    until("all pairs are ready", || async { test.queue.stats().await.unwrap().ready == 30 }).await;
    workers.stop().await;
    test.healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_turns_bad_after_its_canary_stops() {
    let test = TestQueue::start().await;
    dead_answers(&test, 400, "rate_limited").await;
    let workers = workers(&test, &Arc::new(AtomicBool::new(true)), 20);
    let (code, summary, said) =
        on(&test, &["replay", "--class", "rate_limited", "--rate", "40", "--json"]).await;
    assert_eq!(code, 3, "{said}");
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert!(summary["stopped"].as_str().unwrap().contains("died again"), "{summary}");
    let put_back = summary["put_back"].as_u64().unwrap();
    assert!((20..400).contains(&put_back), "{summary}");
    assert_eq!(count(&test, "rate_limited").await as u64, 400 - put_back, "the rest was left alone");
    workers.stop().await;
}

#[tokio::test]
async fn a_canary_that_nobody_runs_ends_at_its_deadline() {
    let test = TestQueue::start().await;
    dead_answers(&test, 12, "timeout").await;
    let (code, summary, said) = on(&test, &["replay", "--all", "--deadline", "1s"]).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("10 were still under way at the deadline; are workers running"), "{said}");
    assert!(summary.contains("10 of 12 put back"), "{summary}");
    // Fewer than the canary: nothing is left to keep from harm, so nothing is waited for.
    let (code, summary, _) = on(&test, &["replay", "--all"]).await;
    assert!(code == 0 && summary.contains("2 of 2 put back"), "{summary}");
}

#[tokio::test]
async fn an_edit_is_shown_with_who_when_why_and_both_values() {
    let test = TestQueue::start().await;
    let pair = new_pair();
    let job = Job { pair: pair.id, step: Step::Question, candidate: None, round: 0 };
    let head = Head { question: Some("Draw a cat.".to_owned()), ..Head::new(Kind::Web, 1, 2) };
    let fields = vec![record::head_field(&head).unwrap()];
    test.queue.start(&[NewPair { fields, first: record::new_job(&job), ..pair }]).await.unwrap();
    let delivery = test.claim(Step::Question, "worker").await;
    test.queue.bury(&delivery, "worker", &death(1, "refused", &["unsafe"])).await.unwrap();

    let job = delivery.job.as_str();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "Draw a dog.").unwrap();
    let set = format!("question=@{}", file.path().display());
    let (code, _, said) =
        on(&test, &["edit", job, "--set", &set, "--by", "ann", "--reason", "the cat was refused"]).await;
    assert_eq!(code, 0, "{said}");
    let (_, shown, _) = on(&test, &["show", job]).await;
    for part in ["by ann", "the cat was refused", "was  Draw a cat.", "is   Draw a dog."] {
        assert!(shown.contains(part), "{shown}");
    }
    let (_, shown, _) = on(&test, &["show", job, "--json"]).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((shown["edits"][0]["by"].as_str(), shown["class"].as_str()), (Some("ann"), Some("refused")));
    assert!(shown["edits"][0]["at_ms"].as_u64().unwrap() > 1_600_000_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_a_real_worker_names_its_model_and_log_and_no_secret() {
    let test = TestQueue::start().await;
    let server = OpenAiServer::saying("{}").await;
    for _ in 0..8 {
        let body = json!({"error": {"message": format!("this model is not for you, {KEY}")}}).to_string();
        server.then(Turn::Status(400, Vec::new(), body));
    }
    let dir = tempfile::tempdir().unwrap();
    let (url, data, base) = (test.redis.url(), dir.path().display().to_string(), server.base_url());
    let settings = [
        ("REDIS_URL", url.expose_secret()),
        ("MONDO_PREFIX", "test"),
        ("MONDO_DATA_DIR", &*data),
        ("MONDO_RESPONDER", "openai"),
        ("MONDO_MODEL", "gpt-x"),
        ("MONDO_BASE_URL", &*base),
        ("MONDO_API_KEY", KEY),
    ];
    let log = dir.path().join("log");
    let _worker = Running::start(&["worker", "--steps", "objects"], &settings, &log);
    test.queue.start(&[record::new_pair(1, 0).unwrap()]).await.unwrap();
    until("the job is dead", || async { test.queue.stats().await.unwrap().dead == 1 }).await;

    let letter = test.queue.dead(&DeadFilter::default(), 1).await.unwrap().remove(0);
    assert_eq!((letter.class.as_str(), letter.model.as_deref()), ("refused", Some("openai/gpt-x")));
    assert!(
        letter.log.iter().any(|line| line.contains("DEBUG asking responder=openai/gpt-x")),
        "{:?}",
        letter.log
    );
    let stored = serde_json::to_string(&letter).unwrap();
    assert!(stored.contains("[key]") && !stored.contains(&KEY[..12]), "{stored}");
    let (_, shown, _) = on(&test, &["show", &letter.job]).await;
    assert!(shown.contains("model     openai/gpt-x") && shown.contains("log       +"), "{shown}");
}
