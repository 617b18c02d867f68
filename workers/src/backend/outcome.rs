//! What becomes of a job after a run, decided in one place.

use std::{any::Any, time::Duration};

use apalis_core::error::BoxDynError;
use mondo_jobs::{
    disposition::Disposition,
    queue::{Commit, Delivery},
};
use tokio::task::JoinError;

use super::{
    Failure, NEWER,
    alone::Crashed,
    backoff::{retry_delay, wait_delay},
};

/// After how many runs that ended with their worker a job is dead.
pub(super) const CRASHES_MAX: u32 = 3;
/// After how many workers that were lost while it ran in a process of its own: it may have taken them along.
pub(super) const LOSSES_MAX: u32 = 10;
/// How long a halted job waits before it is tried again, in case somebody acted.
const HALT_PERIOD: Duration = Duration::from_mins(1);

/// What the acker must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Commit(Box<Commit>),
    /// Uses an attempt.
    Retry(Duration),
    /// Uses none.
    Wait(Duration),
    Bury {
        attempts: u32,
        /// Since the job was claimed.
        crashes: u32,
        class: String,
        chain: Vec<String>,
    },
    /// The process it ran in ended: uses no attempt, and is counted apart.
    Crash(Duration),
    /// Hand back with nothing counted.
    Release,
    /// Somebody else has it: nothing to do.
    Forget,
}

/// Why a run ended without a word of its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Interrupted {
    #[error("the lease was lost")]
    LeaseLost,
    #[error("the worker had to end before the job did")]
    Drained,
    #[error("the job was handed back before it was started")]
    HandedBack,
    #[error("the run took longer than the {0:?} that its step allows")]
    TimedOut(Duration),
}

/// Decides by what the run returned; `random` is in 0..1.
pub(super) fn decide(delivery: &Delivery, result: Result<Commit, BoxDynError>, random: f64) -> Outcome {
    let error = match result {
        Ok(commit) => return Outcome::Commit(Box::new(commit)),
        Err(error) => error,
    };
    match error.downcast_ref::<Interrupted>() {
        Some(Interrupted::Drained) => return Outcome::Release,
        // Whoever has it now, or handed it back, takes care of it.
        Some(Interrupted::LeaseLost | Interrupted::HandedBack) => return Outcome::Forget,
        Some(Interrupted::TimedOut(_)) | None => {}
    }
    if let Some(Crashed(how)) = error.downcast_ref() {
        return of_crash(delivery, how, random);
    }
    of_failure(delivery, failure_of(error), random)
}

/// A job that was there too often when a worker ended.
pub(super) fn crashed_before(delivery: &Delivery) -> Option<Outcome> {
    let Delivery { crashes, losses, .. } = delivery;
    let why = if *crashes >= CRASHES_MAX {
        format!("its worker ended {crashes} times while running it")
    } else if *losses >= LOSSES_MAX {
        format!("its worker ended {losses} times while it ran in a process of its own")
    } else {
        return None;
    };
    Some(crashed(delivery, 0, vec![why]))
}

fn crashed(delivery: &Delivery, crashes: u32, chain: Vec<String>) -> Outcome {
    tracing::error!(job.id = %delivery.job, step = %delivery.step, ?chain, "job ended its worker too often; it is a dead letter");
    Outcome::Bury { attempts: delivery.attempts, crashes, class: "crashed".to_owned(), chain }
}

fn of_crash(delivery: &Delivery, how: &str, random: f64) -> Outcome {
    let Delivery { job, step, crashes: before, .. } = delivery;
    let crashes = before.saturating_add(1);
    if crashes >= CRASHES_MAX {
        let times = format!("its worker ended {crashes} times while running it");
        return crashed(delivery, 1, vec![times, format!("the last one ran nothing else: {how}")]);
    }
    let delay = retry_delay(*before, random);
    tracing::warn!(job.id = %job, %step, crashes, how, ?delay, "the process of a job ended; it will be run again");
    Outcome::Crash(delay)
}

fn of_failure(delivery: &Delivery, failure: Failure, random: f64) -> Outcome {
    let Failure { disposition, class, chain } = failure;
    let error = chain.join(": ");
    let Delivery { job, step, attempts, .. } = delivery;
    let failed = attempts.saturating_add(1);
    match disposition {
        Disposition::Retry if failed < step.attempts_max() => {
            let delay = retry_delay(*attempts, random);
            tracing::warn!(job.id = %job, %step, attempt = failed, class, error, ?delay, "job failed; it will be tried again");
            Outcome::Retry(delay)
        }
        Disposition::Retry | Disposition::Bury => {
            tracing::error!(job.id = %job, %step, attempt = failed, class, error, "job failed for good; it is a dead letter");
            Outcome::Bury { attempts: failed, crashes: 0, class, chain }
        }
        Disposition::Wait { after } => {
            let delay = wait_delay(after, random);
            if class != NEWER {
                tracing::info!(job.id = %job, %step, class, error, ?delay, "job waits");
            }
            Outcome::Wait(delay)
        }
        Disposition::Halt => {
            tracing::error!(job.id = %job, %step, class, error, "jobs like this one cannot go on until somebody acts");
            Outcome::Wait(wait_delay(Some(HALT_PERIOD), random))
        }
    }
}

fn failure_of(error: BoxDynError) -> Failure {
    let error = match error.downcast::<Failure>() {
        Ok(failure) => return *failure,
        Err(error) => error,
    };
    if let Some(late @ Interrupted::TimedOut(_)) = error.downcast_ref() {
        return retry("timeout", late.to_string());
    }
    match error.downcast::<JoinError>() {
        Ok(error) => match error.try_into_panic() {
            Ok(panic) => panicked(panic.as_ref()),
            Err(error) => retry("cancelled", error.to_string()),
        },
        Err(error) => retry("unknown", error.to_string()),
    }
}

/// A handler that panicked has failed.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Failure {
    retry("panic", format!("the handler panicked: {}", panic_text(panic)))
}

fn retry(class: &str, text: String) -> Failure {
    Failure { disposition: Disposition::Retry, class: class.to_owned(), chain: vec![text] }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use mondo_jobs::{job::Job, pair::PairId, queue::Priority};

    use super::*;

    fn delivery(attempts: u32) -> Delivery {
        let job = Job::first(PairId::fresh());
        Delivery {
            job: job.id(),
            pair: job.pair,
            step: job.step,
            priority: Priority::Normal,
            entry: "1-0".to_owned(),
            envelope: job.envelope(),
            attempts,
            crashes: 0,
            losses: 0,
        }
    }

    fn failure(disposition: Disposition) -> Failure {
        Failure { disposition, class: "type".to_owned(), chain: vec!["outer".to_owned(), "inner".to_owned()] }
    }

    fn buried(attempts: u32) -> Outcome {
        let chain = vec!["outer".to_owned(), "inner".to_owned()];
        Outcome::Bury { attempts, crashes: 0, class: "type".to_owned(), chain }
    }

    #[test]
    fn a_failure_ends_as_its_disposition_says() {
        let seconds = Duration::from_secs;
        for (attempts, disposition, outcome) in [
            (0, Disposition::Retry, Outcome::Retry(seconds(1))),
            (3, Disposition::Retry, Outcome::Retry(seconds(8))),
            (4, Disposition::Retry, buried(5)),
            (0, Disposition::Bury, buried(1)),
            (4, Disposition::Wait { after: Some(seconds(4)) }, Outcome::Wait(seconds(5))),
            (4, Disposition::Halt, Outcome::Wait(seconds(75))),
        ] {
            let decided = decide(&delivery(attempts), Err(failure(disposition).into()), 1.0);
            assert_eq!(decided, outcome, "{disposition:?} after {attempts} attempts");
        }
    }

    #[test]
    fn a_process_that_ended_uses_no_attempt_until_it_did_too_often() {
        for (before, buried) in [(0, false), (1, false), (2, true)] {
            let delivery = Delivery { crashes: before, ..delivery(4) };
            let outcome = decide(&delivery, Err(Crashed("killed by signal 9".to_owned()).into()), 1.0);
            match outcome {
                Outcome::Crash(_) => assert!(!buried, "after {before} crashes"),
                Outcome::Bury { attempts: 4, crashes: 1, chain, .. } => {
                    assert!(
                        buried && chain[0].contains("3 times") && chain[1].contains("signal 9"),
                        "{chain:?}"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_job_beside_which_workers_keep_ending_is_buried_in_the_end() {
        let lost = |losses| crashed_before(&Delivery { crashes: 1, losses, ..delivery(0) });
        assert_eq!(lost(LOSSES_MAX - 1), None);
        let Some(Outcome::Bury { crashes: 0, chain, .. }) = lost(LOSSES_MAX) else { panic!("not buried") };
        assert!(chain[0].contains("10 times while it ran in a process of its own"), "{chain:?}");
    }

    #[test]
    fn an_interruption_is_no_failure() {
        for (interrupted, outcome) in [
            (Interrupted::LeaseLost, Outcome::Forget),
            (Interrupted::HandedBack, Outcome::Forget),
            (Interrupted::Drained, Outcome::Release),
        ] {
            assert_eq!(decide(&delivery(4), Err(interrupted.into()), 1.0), outcome);
        }
    }

    #[tokio::test]
    async fn a_timeout_and_a_panic_are_failed_attempts() {
        let late = Interrupted::TimedOut(Duration::from_mins(5)).into();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async { panic!("at the disco") });
        let panic: BoxDynError = tasks.join_next().await.unwrap().unwrap_err().into();

        for (error, class, text) in [(late, "timeout", "300s"), (panic, "panic", "at the disco")] {
            let Outcome::Bury { attempts: 5, class: got, chain, .. } = decide(&delivery(4), Err(error), 1.0)
            else {
                panic!("{class} is not buried at its last attempt");
            };
            assert_eq!(got, class);
            assert!(chain[0].contains(text), "{chain:?}");
        }
    }
}
