//! Stores how jobs ended, in batches, until Redis has taken them.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use mondo_jobs::queue::{COMMITS_MAX, Commit, Committed, Death, Queue, QueueError, Undecodable};
use tokio::{
    sync::{Mutex, Notify, OwnedSemaphorePermit, mpsc},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    claim::{Claim, Desk},
    outage::Outage,
    outcome::Outcome,
};
use crate::notes::Remains;

/// The most ends that one call stores, half of what it may: so Redis stores one batch while the replies to the other are
/// seen to. With calls of 100 and a step of 100 slots the two wait for each other, which costs up to a sixth of the speed.
pub const COMMITS_AT_ONCE: usize = COMMITS_MAX / 2;
/// A batch is sent when it has so many bytes, so that one script stays short.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Pause after a failed call, doubled up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// One end to store.
pub(super) enum Ending {
    Job(Claim, Outcome),
    /// Holds its slot like a job, until it is set aside.
    Undecodable(Arc<Desk>, Undecodable, OwnedSemaphorePermit),
}

/// Where ends are put. The channel needs no bound: there are never more ends than places.
pub(super) type Endings = mpsc::UnboundedSender<Ending>;

pub(super) struct Acker {
    pub(super) queue: Queue,
    pub(super) outage: Arc<Outage>,
    /// Told when a job was delayed, so that the keeper knows when it is due.
    pub(super) delayed: Arc<Notify>,
    /// Once cancelled, an end that Redis does not take is left to the lease.
    pub(super) give_up: CancellationToken,
}

impl Acker {
    /// Runs until every sender is gone and every end is stored.
    pub(super) async fn run(self, endings: mpsc::UnboundedReceiver<Ending>) {
        let endings = Mutex::new(endings);
        tokio::join!(self.take_turns(&endings), self.take_turns(&endings));
    }

    /// Stores one batch after the other. Two of these keep Redis busy: one has its next batch under way while the
    /// other sees to what became of its last.
    async fn take_turns(&self, endings: &Mutex<mpsc::UnboundedReceiver<Ending>>) {
        let mut batch = Vec::with_capacity(COMMITS_AT_ONCE);
        while endings.lock().await.recv_many(&mut batch, COMMITS_AT_ONCE).await > 0 {
            let mut commits = Vec::with_capacity(batch.len());
            let mut bytes = 0;
            for ending in batch.drain(..) {
                match ending {
                    Ending::Job(claim, Outcome::Commit(commit)) => {
                        let size = size(&commit);
                        if bytes + size > BATCH_BYTES_MAX {
                            self.commit(mem::take(&mut commits)).await;
                            bytes = 0;
                        }
                        bytes += size;
                        commits.push((claim, commit));
                    }
                    Ending::Job(claim, outcome) => self.end(&claim, &outcome).await,
                    Ending::Undecodable(desk, entry, _permit) => self.set_aside(&desk, &entry).await,
                }
            }
            self.commit(commits).await;
        }
    }

    async fn commit(&self, commits: Vec<(Claim, Box<Commit>)>) {
        if commits.is_empty() {
            return;
        }
        let items: Vec<_> = commits.iter().map(|(claim, commit)| (claim.delivery(), &**commit)).collect();
        match self.insist(|| self.queue.commit_all(&items)).await {
            Ok(results) => {
                for ((claim, _), result) in commits.iter().zip(results) {
                    note_commit(claim, result);
                }
            }
            Err(None) => commits.iter().for_each(|(claim, _)| self.leave(claim)),
            // One of them is at fault; the others must not suffer for it.
            Err(Some(_)) if commits.len() > 1 => {
                for commit in commits {
                    Box::pin(self.commit(vec![commit])).await;
                }
            }
            Err(Some(error)) => {
                for (claim, _) in &commits {
                    let attempts = claim.delivery().attempts.saturating_add(1);
                    let (class, chain) = (error.class().to_owned(), vec![error.to_string()]);
                    tracing::error!(job.id = %claim.delivery().job, %error, "result cannot be stored; the job is a dead letter");
                    self.end(claim, &Outcome::Bury { attempts, crashes: 0, class, chain }).await;
                }
            }
        }
    }

    async fn end(&self, claim: &Claim, outcome: &Outcome) {
        let (delivery, consumer) = (claim.delivery(), &claim.desk().consumer);
        let (name, stored) = match outcome {
            Outcome::Retry(delay) => {
                ("retried", self.insist(|| self.queue.retry(delivery, consumer, *delay)).await)
            }
            Outcome::Wait(delay) => {
                ("waited", self.insist(|| self.queue.wait(delivery, consumer, *delay)).await)
            }
            Outcome::Crash(delay) => {
                ("crashed", self.insist(|| self.queue.crashed(delivery, consumer, *delay)).await)
            }
            Outcome::Bury { attempts, crashes, class, chain } => {
                let Remains { lines: log, model } = claim.notes().remains();
                let death = Death {
                    attempts: *attempts,
                    crashes: *crashes,
                    class: class.clone(),
                    chain: chain.clone(),
                    model,
                    log,
                };
                ("buried", self.insist(|| self.queue.bury(delivery, consumer, &death)).await)
            }
            Outcome::Release => ("released", self.insist(|| self.queue.release(delivery, consumer)).await),
            // A commit goes through `commit`.
            Outcome::Commit(_) | Outcome::Forget => return,
        };
        count(claim, name);
        match stored {
            Ok(true) => self.delayed.notify_one(),
            Ok(false) => {
                tracing::warn!(job.id = %delivery.job, end = name, "lease was lost; somebody else decides");
            }
            Err(None) => self.leave(claim),
            Err(Some(error)) => {
                tracing::error!(job.id = %delivery.job, end = name, %error, "end cannot be stored; the lease will lapse");
            }
        }
    }

    /// Leaves a job whose end cannot be stored to whoever takes over its lease.
    fn leave(&self, claim: &Claim) {
        let lease_secs = self.queue.lease().as_secs();
        tracing::warn!(job.id = %claim.delivery().job, lease_secs, "redis is away; the job is left to its lease, and will be run again");
    }

    async fn set_aside(&self, desk: &Desk, entry: &Undecodable) {
        tracing::error!(step = %desk.step, entry = entry.entry, reason = entry.reason, "undecodable entry is set aside");
        if let Err(Some(error)) = self.insist(|| self.queue.set_aside(entry, &desk.consumer)).await {
            tracing::error!(entry = entry.entry, %error, "undecodable entry cannot be set aside");
        }
    }

    /// Calls until Redis has answered; every call is safe to repeat. `Err(None)` when there was no time left,
    /// `Err(Some(..))` when the call itself is at fault.
    async fn insist<T, F>(&self, call: impl Fn() -> F) -> Result<T, Option<QueueError>>
    where
        F: Future<Output = Result<T, QueueError>>,
    {
        let (mut pause, pause_max) = PAUSES;
        let work = async {
            loop {
                let begun = Instant::now();
                match call().await {
                    Ok(value) => {
                        self.outage.back(begun);
                        return Ok(value);
                    }
                    Err(error) if !error.is_passing() => return Err(Some(error)),
                    Err(error) => self.outage.away(&error),
                }
                sleep(pause).await;
                pause = (pause * 2).min(pause_max);
            }
        };
        self.give_up.run_until_cancelled(work).await.unwrap_or(Err(None))
    }
}

fn note_commit(claim: &Claim, result: Committed) {
    let job = &claim.delivery().job;
    match result {
        Committed::Stored => count(claim, "committed"),
        Committed::Already => {
            tracing::info!(job.id = %job, "job had been committed before");
            count(claim, "already_committed");
        }
        Committed::Ended => {
            tracing::info!(job.id = %job, "the pair has ended meanwhile; the result is dropped");
            count(claim, "ended");
        }
        Committed::Late => {
            tracing::warn!(job.id = %job, "result came too late and is dropped");
            count(claim, "late");
        }
    }
}

fn count(claim: &Claim, end: &'static str) {
    metrics::counter!("mondo_jobs_total", "step" => claim.desk().step.name(), "end" => end).increment(1);
}

fn size(commit: &Commit) -> usize {
    let body = match &commit.end {
        Some(mondo_jobs::queue::End::Ready { body }) => body.len(),
        _ => 0,
    };
    commit.fields.iter().map(|(_, value)| value.len()).sum::<usize>() + commit.record.len() + body
}
