//! The six steps. One file each; this one lists them.

mod personas;
pub mod replies;

pub use personas::Personas;

use crate::{
    job::Job,
    pair::Draft,
    step::{Outcome, StepContext, StepError},
};

/// Runs one job on its pair's draft.
///
/// # Errors
/// See [`StepError`]; its disposition says what becomes of the job.
pub async fn run(job: &Job, draft: Draft, ctx: &StepContext) -> Result<Outcome, StepError> {
    let _ = (job, draft, ctx);
    Err(StepError::Incomplete { what: "step" })
}
