//! No browser at all, for a process that runs no job of the step `execute`.

use async_trait::async_trait;
use mondo_jobs::{
    finding::Report,
    ports::{Execution, Sandbox, SandboxError},
};

/// Executes nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoSandbox;

#[async_trait]
impl Sandbox for NoSandbox {
    async fn execute(&self, _execution: &Execution) -> Result<Report, SandboxError> {
        Err(SandboxError::Unavailable {
            problem: "this worker was started without the step execute".to_owned(),
            remedy: "start one with `--steps execute`".to_owned(),
        })
    }
}
