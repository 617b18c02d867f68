//! The steps with the built-in responder, without queue and browser: its questions and answers pass every check,
//! and what its scripts get wrong by syntax is mended. Other faults take a browser to see.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mondo_jobs::{
    finding::FindingClass,
    job::{Job, Step},
    pair::{CandidateName, Draft, Head, Kind, PairId},
    ports::{
        Memory, MemoryError, RecentList,
        fake::{FakeSandbox, blocking, report},
        memory::RECENT_MAX,
    },
    script::check_scripts,
    step::{Limits, Next, Outcome, StepContext},
    steps::{self, Personas},
};
use mondo_workers::llm::offline::{MODEL, Offline};

/// Pairs made one after the other, each knowing what the ones before it used.
const PAIRS: u64 = 100;

/// Jobs of one pair at most: three for the question, then rounds of execute and fix.
const JOBS_MAX: usize = 20;

#[tokio::test]
async fn pairs_of_the_built_in_responder_pass_every_check() {
    let memory = Arc::new(Recent::default());
    let ctx = StepContext {
        llm: Arc::new(Offline),
        sandbox: Arc::new(FakeSandbox::new(|execution| {
            let errors = check_scripts(&execution.page).into_iter();
            let finding = |error: mondo_jobs::script::ScriptError| {
                blocking(FindingClass::Syntax, &format!("SyntaxError: {}", error.message), error.place.line)
            };
            Ok(report(errors.map(finding).collect()))
        })),
        memory: memory.clone(),
        personas: Arc::new(Personas::embedded()),
        limits: Limits { fix_rounds_max: 5 },
    };
    let mut mended = 0;
    for seed in 0..PAIRS {
        let draft = make(seed, &ctx, &memory).await;
        let candidate = &draft.candidates[&CandidateName::Base];
        assert_eq!(candidate.model, MODEL);
        assert_eq!(check_scripts(&candidate.page), []);
        mended += u32::from(candidate.first_report != candidate.report);
    }
    assert!(mended > 0, "no answer had a fault of syntax");
}

/// Runs one pair up to solve.
async fn make(seed: u64, ctx: &StepContext, memory: &Recent) -> Draft {
    let id = PairId::fresh();
    let mut draft =
        Draft { id, head: Head::new(Kind::Web, seed, 0), candidates: [].into(), history: Vec::new() };
    let mut job = Job::first(id);
    for _ in 0..JOBS_MAX {
        let outcome = steps::run(&job, draft, ctx).await.unwrap();
        memory.remember(&outcome);
        draft = outcome.draft;
        match outcome.next {
            Next::Run(jobs) => job = jobs.into_iter().next().unwrap(),
            Next::Ready | Next::Reject { .. } => panic!("seed {seed}: {job:?}: {:?}", outcome.next),
        }
        if job.step == Step::Solve {
            return draft;
        }
    }
    panic!("seed {seed}: still at {job:?} after {JOBS_MAX} jobs")
}

/// Remembers as a commit does.
#[derive(Default)]
struct Recent(Mutex<Vec<(RecentList, String)>>);

impl Recent {
    fn remember(&self, outcome: &Outcome) {
        self.0.lock().unwrap().extend(outcome.remember.iter().cloned());
    }
}

#[async_trait]
impl Memory for Recent {
    async fn recent(&self, list: RecentList) -> Result<Vec<String>, MemoryError> {
        let all = self.0.lock().unwrap();
        let entries = all.iter().rev().filter(|(of, _)| *of == list).map(|(_, entry)| entry.clone());
        Ok(entries.take(RECENT_MAX).collect())
    }
}
