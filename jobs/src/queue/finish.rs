//! How a delivery ends: committed, delayed, buried or handed back.

use std::time::Duration;

use redis::ScriptInvocation;

use super::{
    Commit, DeadLetter, Death, Delivery, End, Queue, QueueError,
    claim::millis,
    connection::is_group_missing,
    entry::{Entry, Undecodable},
    keys::{DONE_PREFIX, Ended, GROUP, Keys, delayed_member, number},
    limits::{BATCH_MAX, EVENTS_MAX, ITEMS_MAX, check_size},
    mark,
    replicas::Call,
};
use crate::ports::{RecentList, memory::RECENT_MAX};

/// The most deliveries that one call commits.
pub const COMMITS_MAX: usize = 100;

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is stored.
    Stored,
    /// The job had been committed before: by this worker, whose reply was lost, or by another.
    Already,
    /// The pair has ended meanwhile: nothing is stored, and the job is gone.
    Ended,
    /// The entry is neither pending nor in its stream any more, and the job has no commit: somebody else decided about
    /// it.
    Late,
}

impl Queue {
    /// Finishes one delivery: acknowledges it and stores everything it produced, or changes nothing.
    ///
    /// # Errors
    /// When Redis is away, or something is larger than may be stored.
    pub async fn commit(&self, delivery: &Delivery, commit: &Commit) -> Result<Committed, QueueError> {
        let results = self.commit_all(&[(delivery, commit)]).await?;
        Ok(results.first().copied().unwrap_or(Committed::Late))
    }

    /// Finishes deliveries, at most [`COMMITS_MAX`]; each stands or falls by itself, and as many as a bounded script
    /// may hold share a transaction. Safe to repeat when the reply was lost.
    ///
    /// # Errors
    /// When Redis is away, or something is larger than may be stored; nothing is stored in the latter case.
    pub async fn commit_all(&self, commits: &[(&Delivery, &Commit)]) -> Result<Vec<Committed>, QueueError> {
        if commits.is_empty() {
            return Ok(Vec::new());
        }
        if commits.len() > COMMITS_MAX {
            return Err(QueueError::TooMany { what: "commits", count: commits.len(), limit: COMMITS_MAX });
        }
        for (_, commit) in commits {
            check(commit)?;
        }
        let mut results = vec![Committed::Late; commits.len()];
        for (shard, keys) in (0..).zip(self.shards()) {
            let here = |place: &usize| self.shard_of(commits[*place].0.pair) == shard;
            let places: Vec<usize> = (0..commits.len()).filter(here).collect();
            if places.is_empty() {
                continue;
            }
            for places in bounded(&places, |place| items(commits[place].1)) {
                let found = self.commit_in(keys, places.iter().map(|place| commits[*place])).await?;
                for (place, result) in places.iter().zip(found) {
                    results[*place] = result;
                }
            }
        }
        Ok(results)
    }

    async fn commit_in<'a>(
        &self,
        keys: &Keys,
        commits: impl ExactSizeIterator<Item = (&'a Delivery, &'a Commit)> + Clone,
    ) -> Result<Vec<Committed>, QueueError> {
        let mut names = vec![keys.counters(), keys.open(), keys.ready(), keys.ready_bodies()];
        names.extend([RecentList::Objects, RecentList::Questions].map(|list| keys.recent(list)));
        names.extend([keys.events(), keys.journals(), keys.ended(Ended::Rejected)]);
        names.extend(keys.streams());
        names.extend(commits.clone().map(|(delivery, _)| keys.record(delivery.pair)));
        let ending = commits.clone().filter(|(_, commit)| commit.end.is_some());
        names.extend(ending.map(|(delivery, _)| keys.journal(delivery.pair)));
        let mut call = Call::new(&self.scripts().commit, &names);
        let marks = commits
            .clone()
            .map(|(delivery, commit)| mark::write(&commit.record, &commit.next, delivery.priority));
        let marks: Vec<Vec<u8>> = marks.collect();
        let shapes =
            commits.clone().zip(&marks).flat_map(|((delivery, commit), mark)| shape(delivery, commit, mark));
        call.arg(GROUP).arg(RECENT_MAX).arg(EVENTS_MAX).arg(shapes.collect::<Vec<u8>>());
        for ((delivery, commit), mark) in commits.zip(&marks) {
            add_commit(&mut call, delivery, commit, mark);
        }
        let results: Vec<i64> = self.store(keys, call).await?;
        let results = results.into_iter().map(|result| match result {
            1 => Committed::Stored,
            2 => Committed::Already,
            3 => Committed::Ended,
            _ => Committed::Late,
        });
        Ok(results.collect())
    }

    /// Runs the job again after `delay`; uses one attempt. `false` when the lease is lost.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn retry(
        &self,
        delivery: &Delivery,
        consumer: &str,
        delay: Duration,
    ) -> Result<bool, QueueError> {
        let entry = Entry { attempts: delivery.attempts.saturating_add(1), ..Entry::of(delivery) };
        self.delay(delivery, consumer, &entry, delay, "retried").await
    }

    /// Runs the job again after `delay`; uses no attempt. `false` when the lease is lost.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn wait(
        &self,
        delivery: &Delivery,
        consumer: &str,
        delay: Duration,
    ) -> Result<bool, QueueError> {
        self.delay(delivery, consumer, &Entry::of(delivery), delay, "waited").await
    }

    /// Runs the job again after `delay`, because the process it ran in ended; uses no attempt. `false` when the
    /// lease is lost.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn crashed(
        &self,
        delivery: &Delivery,
        consumer: &str,
        delay: Duration,
    ) -> Result<bool, QueueError> {
        let entry = Entry { crashes: delivery.crashes.saturating_add(1), ..Entry::of(delivery) };
        self.delay(delivery, consumer, &entry, delay, "crashed").await
    }

    async fn delay(
        &self,
        delivery: &Delivery,
        consumer: &str,
        entry: &Entry,
        delay: Duration,
        counter: &str,
    ) -> Result<bool, QueueError> {
        let Delivery { step, priority, .. } = *delivery;
        let (keys, job) = (self.keys(delivery.pair), delivery.job.as_str());
        let mut call = self.scripts().delay.key(keys.stream(step, priority));
        call.key(keys.delayed()).key(keys.delayed_entries(step)).key(keys.counters()).key(keys.events());
        call.arg(GROUP).arg(consumer).arg(&delivery.entry).arg(delayed_member(step, priority, job));
        call.arg(entry.to_json()).arg(millis(delay)).arg(counter).arg(EVENTS_MAX).arg(job);
        self.owned(keys, &call).await
    }

    /// Makes the job a dead letter. `false` when the lease is lost.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn bury(&self, delivery: &Delivery, consumer: &str, death: &Death) -> Result<bool, QueueError> {
        let letter = DeadLetter::of_job(delivery, death);
        self.bury_letter(self.keys(delivery.pair), &delivery.entry, consumer, &letter, "buried").await
    }

    /// Sets an entry aside that is no job, with its bytes. `false` when the lease is lost.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn set_aside(&self, entry: &Undecodable, consumer: &str) -> Result<bool, QueueError> {
        let letter = DeadLetter::of_entry(entry);
        self.bury_letter(self.shard(entry.shard), &entry.entry, consumer, &letter, "set_aside").await
    }

    async fn bury_letter(
        &self,
        keys: &Keys,
        entry: &str,
        consumer: &str,
        letter: &DeadLetter,
        counter: &str,
    ) -> Result<bool, QueueError> {
        // Plain data always serializes.
        let json = serde_json::to_string(letter).unwrap_or_default();
        let mut call = self.scripts().bury.key(keys.stream(letter.step, letter.priority));
        call.key(keys.dead()).key(keys.dead_letters()).key(keys.counters()).key(keys.events());
        call.arg(GROUP).arg(consumer).arg(entry).arg(&letter.job).arg(json).arg(counter).arg(EVENTS_MAX);
        self.owned(keys, &call).await
    }

    /// Hands the job back for another worker, with nothing counted. `false` when the lease is lost.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn release(&self, delivery: &Delivery, consumer: &str) -> Result<bool, QueueError> {
        let keys = self.keys(delivery.pair);
        let mut call = self.scripts().release.key(keys.stream(delivery.step, delivery.priority));
        call.key(keys.counters()).arg(GROUP).arg(consumer).arg(&delivery.entry);
        call.arg(Entry::of(delivery).to_json());
        self.owned(keys, &call).await
    }

    /// Calls a script that only the owner of a lease may call. Without a group nobody owns anything.
    pub(super) async fn owned(&self, keys: &Keys, call: &ScriptInvocation<'_>) -> Result<bool, QueueError> {
        match call.invoke_async::<i64>(&mut self.link(keys)).await {
            Ok(done) => Ok(done == 1),
            Err(error) if is_group_missing(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Pieces of these places, in order, none with more items than a script may handle unless it is one place alone.
fn bounded(places: &[usize], items: impl Fn(usize) -> usize) -> Vec<&[usize]> {
    let (mut pieces, mut from, mut sum) = (Vec::new(), 0, 0);
    for (at, place) in places.iter().enumerate() {
        let more = items(*place);
        if sum + more > BATCH_MAX && at > from {
            pieces.push(&places[from..at]);
            (from, sum) = (at, 0);
        }
        sum += more;
    }
    pieces.push(&places[from..]);
    pieces
}

/// How much a script has to do for a commit.
fn items(commit: &Commit) -> usize {
    let Commit { fields, next, remember, counters, .. } = commit;
    1 + fields.len() + next.len() + remember.len() + counters.len()
}

fn check(commit: &Commit) -> Result<(), QueueError> {
    check_size("record", commit.record.len())?;
    for (name, value) in &commit.fields {
        check_size(name, value.len())?;
    }
    if let Some(End::Ready { body }) = &commit.end {
        check_size("body", body.len())?;
    }
    for (what, count) in [
        ("fields of a commit", commit.fields.len()),
        ("next jobs of a commit", commit.next.len()),
        ("memories of a commit", commit.remember.len()),
        ("counters of a commit", commit.counters.len()),
    ] {
        if count > ITEMS_MAX {
            return Err(QueueError::TooMany { what, count, limit: ITEMS_MAX });
        }
    }
    Ok(())
}

/// What the script must know of a commit before it looks at its arguments, as nine bytes: numbers among the
/// arguments cost Redis several times as much.
fn shape(delivery: &Delivery, commit: &Commit, mark: &[u8]) -> impl Iterator<Item = u8> + use<> {
    let Commit { fields, next, remember, counters, end, .. } = commit;
    let lane = u8::try_from(number(delivery.step, delivery.priority)).unwrap_or(u8::MAX);
    let strings = 2 + 2 * fields.len() + if is_ready(commit) { 2 } else { 0 };
    let effects = next.len() + remember.len() + counters.len() + usize::from(end.is_some());
    // Neither bound is in reach.
    let short = |count: usize| u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
    let bytes = u32::try_from(held_bytes(commit, mark)).unwrap_or(u32::MAX).to_le_bytes();
    [lane].into_iter().chain(bytes).chain(short(strings)).chain(short(effects))
}

const _: () =
    assert!(4 + 2 * ITEMS_MAX < 1 << 16 && 3 * ITEMS_MAX + 1 < 1 << 16, "a shape has 16 bits for each");

fn add_commit(call: &mut Call<'_>, delivery: &Delivery, commit: &Commit, mark: &[u8]) {
    call.arg(&delivery.entry).arg(format!("{DONE_PREFIX}{}", delivery.job)).arg(mark);
    for (name, value) in &commit.fields {
        call.arg(name).arg(value);
    }
    if is_ready(commit) {
        call.arg("state").arg("ready");
    }
    for job in &commit.next {
        call.arg("next").arg(number(job.step, delivery.priority)).arg(Entry::fresh(job).to_json());
    }
    for (list, text) in &commit.remember {
        let key = match list {
            RecentList::Objects => 5,
            RecentList::Questions => 6,
        };
        call.arg("remember").arg(key).arg(text);
    }
    for (name, by) in &commit.counters {
        call.arg("count").arg(name).arg(by);
    }
    let pair = delivery.pair.to_string();
    match &commit.end {
        None => {}
        Some(End::Ready { body }) => _ = call.arg("ready").arg(pair).arg(body),
        Some(End::Rejected { reason }) => _ = call.arg("rejected").arg(pair).arg(reason),
    }
}

/// Whether the pair gets ready.
fn is_ready(commit: &Commit) -> bool {
    matches!(commit.end, Some(End::Ready { .. }))
}

/// What a commit adds to what its pair takes up.
fn held_bytes(commit: &Commit, mark: &[u8]) -> usize {
    let fields = commit.fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let end = match &commit.end {
        None => 0,
        Some(End::Ready { body }) => body.len(),
        Some(End::Rejected { reason }) => reason.len(),
    };
    mark.len() + fields + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_large_commits_is_cut_into_bounded_scripts() {
        for (sizes, pieces) in [
            (vec![1; 100], vec![100]),
            (vec![300, 200, 1], vec![2, 1]),
            (vec![501, 1, 499, 501], vec![1, 2, 1]),
            (vec![401; 3], vec![1, 1, 1]),
        ] {
            let places: Vec<usize> = (0..sizes.len()).collect();
            let cut: Vec<usize> =
                bounded(&places, |place| sizes[place]).iter().map(|piece| piece.len()).collect();
            assert_eq!(cut, pieces, "{sizes:?}");
        }
    }
}
