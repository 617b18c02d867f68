//! The `offline` responder against a real browser: its clean pages are clean, its faults are found, and what it
//! mends is mended.

use std::{collections::BTreeSet, sync::Arc};

use mondo_jobs::{
    bundle::bundle,
    finding::{Finding, FindingClass, Report},
    job::Job,
    pair::{CandidateName, Draft, Head, Kind, PairId, Topic},
    ports::{Execution, Llm, Purpose, Request, Sandbox, fake::FakeMemory},
    step::{Limits, Next, StepContext},
    steps::{
        self, Personas,
        replies::{AnswerReply, FixReply, ObjectsReply, QuestionReply, SolveReply, Verdict},
    },
};
use mondo_workers::{
    llm::offline::{Fault, Offline},
    sandbox::{self, BackendChoice, BrowserPool, SandboxConfig},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const PERSONA: &str = "A night nurse who repairs clocks in her spare time.";
const FAMILIES: usize = 17;

async fn browsers() -> Arc<BrowserPool> {
    let config = SandboxConfig { backend: BackendChoice::Local, image: String::new(), slots: 1 };
    sandbox::open(config).await.unwrap()
}

async fn execute(browsers: &BrowserPool, page: &str) -> Report {
    browsers.execute(&Execution::new(page, 7)).await.unwrap()
}

async fn ask<T: DeserializeOwned>(purpose: Purpose, seed: u64, inputs: Value) -> T {
    let request = Request {
        purpose,
        messages: Vec::new(),
        schema: None,
        inputs,
        tokens_max: 0,
        temperature: 0.0,
        seed,
    };
    serde_json::from_str(&Offline.complete(&request).await.unwrap().text).unwrap()
}

struct Answered {
    question: String,
    page: String,
}

/// Walks a seed from the objects to the page.
async fn answered(topic: Topic, seed: u64) -> Answered {
    let objects: ObjectsReply =
        ask(Purpose::Objects, seed, json!({"topic": topic, "persona": PERSONA, "avoid": []})).await;
    let objects = &objects.objects[..2 + usize::from(seed.is_multiple_of(2))];
    let inputs = json!({"topic": topic, "persona": PERSONA, "objects": objects});
    let question: QuestionReply = ask(Purpose::Question, seed, inputs).await;
    let question = question.question;
    let inputs = json!({"topic": topic, "persona": PERSONA, "objects": objects, "question": question});
    let answer: AnswerReply = ask(Purpose::Answer, seed, inputs).await;
    Answered { question, page: bundle(&answer.files).unwrap() }
}

async fn mended(answered: &Answered, findings: &[Finding], seed: u64) -> String {
    let Answered { question, page } = answered;
    let inputs = json!({"question": question, "page": page, "findings": findings, "objections": []});
    let fix: FixReply = ask(Purpose::Fix, seed, inputs).await;
    fix.edits.iter().fold(page.clone(), |page, edit| {
        assert_eq!(page.matches(&edit.find).count(), 1, "`{}` is not unique", edit.find);
        page.replacen(&edit.find, &edit.replace, 1)
    })
}

fn family_of(page: &str) -> String {
    let (_, rest) = page.split_once("data-scene=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn every_family_runs_without_a_finding() {
    let browsers = browsers().await;
    let mut seen = BTreeSet::new();
    for seed in (0..400).filter(|seed| Offline::faults(*seed).is_empty()) {
        for (topic, _) in Topic::SHARES {
            let answered = answered(topic, seed).await;
            if !seen.insert(family_of(&answered.page)) {
                continue;
            }
            let report = execute(&browsers, &answered.page).await;
            assert!(
                report.findings.is_empty(),
                "{} {seed}: {:#?}",
                family_of(&answered.page),
                report.findings
            );
            assert!(report.inputs > 10 && report.frames > 30, "{report:?}");

            let inputs = json!({"question": answered.question, "page": answered.page, "report": report});
            let verdict: SolveReply = ask(Purpose::Solve, seed, inputs).await;
            assert_eq!(verdict.verdict, Verdict::Accept, "{verdict:#?}");
        }
    }
    assert_eq!(seen.len(), FAMILIES, "{seen:?}");
}

/// Whether a finding is what this kind of fault must lead to.
fn shows(fault: Fault, finding: &Finding) -> bool {
    let misspelt = matches!(finding.class, FindingClass::Reference | FindingClass::Type);
    match fault {
        Fault::Syntax => finding.class == FindingClass::Syntax,
        Fault::Reference => finding.class == FindingClass::Reference && finding.phase == "load",
        Fault::Type => finding.class == FindingClass::Type && finding.phase == "load",
        Fault::LateTimer => misspelt && (2000..=10_000).contains(&finding.page_ms),
        Fault::Click => misspelt && finding.phase == "click",
        Fault::Key => misspelt && finding.phase == "keys",
        Fault::Rejection => finding.class == FindingClass::Rejection,
    }
}

#[tokio::test]
async fn every_kind_of_fault_is_found_and_mended() {
    let browsers = browsers().await;
    for fault in Fault::ALL {
        let seeds = (0..400).filter(|seed| Offline::faults(*seed) == [fault]);
        for (seed, (topic, _)) in seeds.zip(Topic::SHARES) {
            let mut answered = answered(topic, seed).await;
            let report = execute(&browsers, &answered.page).await;
            let findings = &report.findings;
            assert!(findings.iter().any(|finding| shows(fault, finding)), "{fault:?} {seed}: {findings:#?}");

            // A fix may slip once, never for ever.
            let mut findings = report.findings;
            for _ in 0..3 {
                answered.page = mended(&answered, &findings, seed).await;
                findings = execute(&browsers, &answered.page).await.findings;
                if findings.is_empty() {
                    break;
                }
            }
            assert!(findings.is_empty(), "{fault:?} {seed}: {findings:#?}");
        }
    }
}

/// How a pair ended.
struct Walked {
    end: Next,
    rounds: u32,
    first_findings: usize,
}

/// Walks a seed through the steps as a worker does.
async fn walk(ctx: &StepContext, seed: u64) -> Walked {
    let head = Head::new(Kind::Web, seed, 0);
    let mut draft = Draft { id: PairId::fresh(), head, candidates: [].into(), history: Vec::new() };
    let mut job = Job::first(draft.id);
    loop {
        let outcome = steps::run(&job, draft, ctx).await.unwrap();
        draft = outcome.draft;
        match outcome.next {
            Next::Run(jobs) => job = jobs.into_iter().next().unwrap(),
            end => {
                let first =
                    draft.candidates.get(&CandidateName::Base).and_then(|base| base.first_report.as_ref());
                let first_findings = first.map_or(0, |report| report.findings.len());
                return Walked { end, rounds: job.round, first_findings };
            }
        }
    }
}

#[tokio::test]
async fn pairs_with_and_without_faults_become_ready() {
    let ctx = StepContext {
        llm: Arc::new(Offline),
        sandbox: browsers().await,
        memory: Arc::new(FakeMemory::default()),
        personas: Arc::new(Personas::embedded()),
        limits: Limits { fix_rounds_max: 4 },
    };
    let mut rounds_most = 0;
    for seed in 0..8 {
        let walked = walk(&ctx, seed).await;
        let faults = Offline::faults(seed);
        rounds_most = rounds_most.max(walked.rounds);
        assert_eq!(walked.end, Next::Ready, "seed {seed} {faults:?}");
        assert_eq!(walked.first_findings == 0, faults.is_empty(), "seed {seed} {faults:?}");
        assert_eq!(walked.rounds == 0, faults.is_empty(), "seed {seed} {faults:?}");
    }
    assert!(rounds_most >= 2, "no fix slipped, so nothing was mended twice");
}
