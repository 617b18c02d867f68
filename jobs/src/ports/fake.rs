//! Stand-ins for the ports, for tests: each answers from a function and keeps what it was asked.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::{
    finding::{Finding, FindingClass, Report, Severity},
    ports::{
        Execution, Llm, LlmError, Memory, MemoryError, RecentList, Reply, Request, Sandbox, SandboxError,
    },
};

type Answer<Q, A> = Box<dyn FnMut(&Q) -> A + Send>;

/// An LLM that answers from a function.
pub struct FakeLlm {
    answer: Mutex<Answer<Request, Result<Reply, LlmError>>>,
    asked: Mutex<Vec<Request>>,
}

impl FakeLlm {
    /// Answers every request with what the function gives.
    pub fn new(answer: impl FnMut(&Request) -> Result<Reply, LlmError> + Send + 'static) -> Self {
        Self { answer: Mutex::new(Box::new(answer)), asked: Mutex::default() }
    }

    /// Gives these replies in order, then none.
    pub fn replies(replies: impl IntoIterator<Item = Reply>) -> Self {
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        Self::new(move |_| {
            replies.pop_front().ok_or_else(|| LlmError::Unavailable {
                responder: "fake".to_owned(),
                message: "no reply is left".to_owned(),
            })
        })
    }

    /// What it was asked so far, oldest first.
    pub fn asked(&self) -> Vec<Request> {
        lock(&self.asked).clone()
    }
}

#[async_trait]
impl Llm for FakeLlm {
    async fn complete(&self, request: &Request) -> Result<Reply, LlmError> {
        lock(&self.asked).push(request.clone());
        (*lock(&self.answer))(request)
    }
}

/// A sandbox that reports from a function.
pub struct FakeSandbox {
    answer: Mutex<Answer<Execution, Result<Report, SandboxError>>>,
    asked: Mutex<Vec<Execution>>,
}

impl FakeSandbox {
    /// Reports of every page what the function gives.
    pub fn new(answer: impl FnMut(&Execution) -> Result<Report, SandboxError> + Send + 'static) -> Self {
        Self { answer: Mutex::new(Box::new(answer)), asked: Mutex::default() }
    }

    /// Finds these findings on every page.
    pub fn finding(findings: Vec<Finding>) -> Self {
        Self::new(move |_| Ok(report(findings.clone())))
    }

    /// What it executed so far, oldest first.
    pub fn asked(&self) -> Vec<Execution> {
        lock(&self.asked).clone()
    }
}

#[async_trait]
impl Sandbox for FakeSandbox {
    async fn execute(&self, execution: &Execution) -> Result<Report, SandboxError> {
        lock(&self.asked).push(execution.clone());
        (*lock(&self.answer))(execution)
    }
}

/// A memory that was told what to remember, or one that cannot be read.
#[derive(Default)]
pub struct FakeMemory {
    lists: HashMap<RecentList, Vec<String>>,
    broken: bool,
}

impl FakeMemory {
    /// Remembers these entries, newest first.
    #[must_use]
    pub fn with(mut self, list: RecentList, entries: &[&str]) -> Self {
        self.lists.insert(list, entries.iter().map(|&entry| entry.to_owned()).collect());
        self
    }

    /// A memory that cannot be read.
    pub fn broken() -> Self {
        Self { broken: true, ..Self::default() }
    }
}

#[async_trait]
impl Memory for FakeMemory {
    async fn recent(&self, list: RecentList) -> Result<Vec<String>, MemoryError> {
        if self.broken {
            return Err(MemoryError::Away("the memory is away".into()));
        }
        Ok(self.lists.get(&list).cloned().unwrap_or_default())
    }
}

/// A complete reply of model `fake/model`.
pub fn reply(text: impl Into<String>) -> Reply {
    let text = text.into();
    Reply {
        tokens_out: u64::try_from(text.len() / 4).unwrap_or(u64::MAX),
        text,
        complete: true,
        model: "fake/model".to_owned(),
        tokens_in: 10,
        cost_micro_usd: 100,
        latency_ms: 5,
    }
}

/// A report with these findings.
pub fn report(findings: Vec<Finding>) -> Report {
    Report {
        findings,
        findings_left_out: 0,
        seed: 7,
        page_ms: 10_000,
        wall_ms: 400,
        frames: 60,
        inputs: 40,
        memory_bytes_peak: 1_000_000,
        ..Report::default()
    }
}

/// A blocking finding at a line.
pub fn blocking(class: FindingClass, message: &str, line: u32) -> Finding {
    Finding {
        class,
        severity: Severity::Blocking,
        message: message.to_owned(),
        file: None,
        line: Some(line),
        column: Some(1),
        phase: "load".to_owned(),
        page_ms: 1,
        input: None,
        stack: Vec::new(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
