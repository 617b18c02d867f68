//! The whole line against a server that speaks the `OpenAI` protocol and has every kind of bad day.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use mondo_jobs::{
    body::PairBody,
    job::Step,
    queue::{DeadFilter, Queue},
    record,
    step::Limits,
    steps::Personas,
};
use mondo_workers::{
    backend::{self, WorkerOptions},
    llm::{journal::Journal, offline::Offline, openai::OpenAiConfig},
    runner::Runner,
    sandbox::{self, BackendChoice, SandboxConfig},
};
use serde_json::json;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::support::{
    openai_server::{Call, Manner, OpenAiServer, Piece, Turn, delta},
    queue::connect,
    redis::TestRedis,
};

const PAIRS: usize = 6;

/// Every way in which a server lets a caller down and may still be asked again.
fn bad_days() -> Vec<Turn> {
    let status =
        |code, headers| Turn::Status(code, headers, json!({ "error": { "message": "not now" } }).to_string());
    vec![
        status(429, vec![("retry-after", "1".to_owned())]),
        Turn::Answer(Manner::Cut),
        status(500, Vec::new()),
        Turn::Answer(Manner::Slow),
        Turn::Answer(Manner::Broken),
        Turn::Answer(Manner::Empty),
        Turn::Answer(Manner::Unfinished),
        Turn::Answer(Manner::Prose),
        status(503, Vec::new()),
        Turn::Answer(Manner::Whole),
        Turn::Answer(Manner::TooLarge),
        Turn::Answer(Manner::Length),
        Turn::Whole("text/html", "<html>captive portal</html>".to_owned()),
        Turn::Answer(Manner::NoUsage),
        status(429, vec![("retry-after-ms", "200".to_owned())]),
        Turn::Stream(vec![delta("half"), Piece::Hang]),
        Turn::Answer(Manner::Cost),
        Turn::Silence,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_are_made_whatever_the_server_does() {
    let redis = TestRedis::start().await;
    let queue = connect(redis.url(), Duration::from_secs(15)).await;
    let server = OpenAiServer::answering_like(Arc::new(Offline)).await;
    server.refuse_format("json_schema");
    for turn in bad_days() {
        server.then(turn);
    }
    let config =
        OpenAiConfig { idle: Duration::from_secs(8), price_in: 1.0, price_out: 1.0, ..server.config() };

    let slots = 2;
    let sandbox = SandboxConfig { backend: BackendChoice::Local, image: String::new(), slots };
    let pool = sandbox::open(sandbox).await.unwrap();
    let runner = Runner {
        queue: queue.clone(),
        journal: Journal::new(queue.clone(), None),
        responder: config.responder().into(),
        llm: Arc::new(server.introduced(&config)),
        sandbox: pool.clone(),
        personas: Arc::new(Personas::embedded()),
        limits: Limits { fix_rounds_max: 5 },
    };
    let options = WorkerOptions {
        steps: Step::ALL.into_iter().map(|step| (step, slots)).collect(),
        ..WorkerOptions::default()
    };
    let stop = CancellationToken::new();
    let workers = TaskTracker::new().spawn(backend::run_workers(
        queue.clone(),
        options,
        Arc::new(runner),
        stop.clone(),
    ));

    let pairs: Vec<_> = (0..PAIRS).map(|seed| record::new_pair(seed as u64, 0).unwrap()).collect();
    queue.start(&pairs).await.unwrap();
    let ready = finished(&queue).await;
    stop.cancel();
    workers.await.unwrap().unwrap();
    pool.close().await;

    assert_eq!(server.turns_left(), 0, "every kind of fault occurred");
    assert_eq!(ready, PAIRS as u64, "no pair was lost or rejected");
    assert_eq!(queue.doctor().await.unwrap(), []);
    for _ in 0..ready {
        let taken = queue.take().await.unwrap().expect("a ready pair");
        let body: PairBody = serde_json::from_slice(&taken.body).unwrap();
        body.check().unwrap();
        assert!(body.metadata.history.findings_after.iter().all(|finding| !finding.is_blocking()));
    }
    let paid_twice: Vec<_> = server.paid().into_iter().filter(|(_, times)| *times > 1).collect();
    assert!(paid_twice.is_empty(), "{paid_twice:?}");
    for (seed, prompts) in first_prompts(&server) {
        assert_eq!(prompts.len(), 1, "the first job of pair {seed} asked otherwise when it was run again");
    }
}

/// What the first step asked, by the seed of the pair; questions that quote a refused reply aside.
fn first_prompts(server: &OpenAiServer) -> HashMap<u64, HashSet<String>> {
    let calls = server.calls();
    let rules = &calls[0].body["messages"][0];
    let mut prompts: HashMap<u64, HashSet<String>> = HashMap::new();
    for Call { body, .. } in &calls {
        let messages = body["messages"].as_array().unwrap();
        if messages[0] == *rules && messages.len() == 2 {
            let prompt =
                messages[1]["content"].as_str().unwrap().split("\n\nReply with one JSON value").next();
            prompts.entry(body["seed"].as_u64().unwrap()).or_default().insert(prompt.unwrap().to_owned());
        }
    }
    prompts
}

/// Waits until no pair is under way; says how many are ready.
async fn finished(queue: &Queue) -> u64 {
    let deadline = Instant::now() + Duration::from_mins(3);
    loop {
        let stats = queue.stats().await.unwrap();
        let dead = queue.dead(&DeadFilter::default(), 10).await.unwrap();
        assert!(dead.is_empty(), "{dead:#?}");
        if stats.open == 0 {
            return stats.ready;
        }
        assert!(Instant::now() < deadline, "pairs are still under way: {stats:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
