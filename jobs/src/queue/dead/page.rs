//! Which dead letters are meant, and going through all of them, however many there are, in bounded pieces.

use redis::AsyncCommands as _;

use super::DeadLetter;
use crate::{
    job::Step,
    queue::{Queue, QueueError, keys::Keys},
};

/// So many letters are read at once.
const PAGE_MAX: usize = 100;

/// Which dead letters are meant; a field that is absent or empty means any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Of these jobs.
    pub jobs: Vec<String>,
    /// Of this step.
    pub step: Option<Step>,
    /// Of this error class.
    pub class: Option<String>,
    /// With this fingerprint.
    pub fingerprint: Option<String>,
    /// Of runs that asked this provider and model.
    pub model: Option<String>,
    /// With this text in one of their errors, in capitals or small letters.
    pub text: Option<String>,
    /// Died at this millisecond of the Unix epoch, by Redis's clock, or later.
    pub died_from_ms: Option<u64>,
    /// Died before this millisecond of the Unix epoch, by Redis's clock.
    pub died_before_ms: Option<u64>,
}

impl DeadFilter {
    fn takes(&self, letter: &DeadLetter) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        is(self.step.as_ref(), Some(&letter.step))
            && is(self.class.as_ref(), Some(&letter.class))
            && is(self.fingerprint.as_ref(), Some(&letter.fingerprint))
            && is(self.model.as_ref(), letter.model.as_ref())
            && self.text.as_ref().is_none_or(|text| says(letter, text))
            && self.died_from_ms.is_none_or(|from| letter.at_ms >= from)
            && self.died_before_ms.is_none_or(|before| letter.at_ms < before)
    }
}

fn says(letter: &DeadLetter, text: &str) -> bool {
    let text = text.to_lowercase();
    letter.chain.iter().any(|error| error.to_lowercase().contains(&text))
}

/// Some dead letters.
#[derive(Debug, Default)]
pub struct DeadPage {
    /// Those that the filter takes, at most a hundred or as many as died within one millisecond.
    pub letters: Vec<DeadLetter>,
    /// Letters that this release cannot read; they stop nobody from reading the others.
    pub unreadable: Vec<QueueError>,
}

/// All dead letters that a filter takes, page by page, of each shard the oldest first. What dies, is replayed
/// or is given up meanwhile moves no other letter out of sight.
pub struct DeadPages {
    queue: Queue,
    filter: DeadFilter,
    /// The shard that is being read.
    shard: u32,
    at: Place,
}

/// How far a shard has been read.
#[derive(Clone, Copy)]
enum Place {
    /// All letters up to this millisecond were. Never within one: its letters have no order that survives the
    /// removal of some.
    Time(Option<u64>),
    /// So many of the filter's jobs were looked up.
    Jobs(usize),
}

/// Job and millisecond of its death.
type Died = (String, u64);

impl DeadPages {
    /// The next page, maybe an empty one; `None` when all letters were read.
    ///
    /// # Errors
    /// When Redis is away; calling again goes on.
    ///
    /// # Cancel safety
    /// Dropping the future reads the same page again.
    pub async fn next(&mut self) -> Result<Option<DeadPage>, QueueError> {
        while (self.shard as usize) < self.queue.shards().len() {
            let Some((died, at)) = self.died_next().await? else {
                self.shard += 1;
                self.at = Place::first(&self.filter);
                continue;
            };
            let page = self.read(&died).await?;
            self.at = at;
            return Ok(Some(page));
        }
        Ok(None)
    }

    fn keys(&self) -> &Keys {
        self.queue.shard(self.shard)
    }

    /// The next jobs of this shard and the place after them; `None` at its end.
    async fn died_next(&self) -> Result<Option<(Vec<Died>, Place)>, QueueError> {
        match self.at {
            Place::Time(after) => {
                let died = self.died_after(after).await?;
                let last = died.last().map(|(_, at_ms)| *at_ms);
                Ok(last.map(|at_ms| (died, Place::Time(Some(at_ms)))))
            }
            Place::Jobs(seen) => {
                let next = (seen + PAGE_MAX).min(self.filter.jobs.len());
                let jobs = &self.filter.jobs[seen..next];
                Ok(if jobs.is_empty() { None } else { Some((self.times_of(jobs).await?, Place::Jobs(next))) })
            }
        }
    }

    /// The first jobs that died after that millisecond, of the last millisecond among them all.
    async fn died_after(&self, after: Option<u64>) -> Result<Vec<Died>, QueueError> {
        let from = match (after, self.filter.died_from_ms) {
            (Some(after), _) => format!("({after}"),
            (None, Some(from)) => from.to_string(),
            (None, None) => "-inf".to_owned(),
        };
        let to = self.filter.died_before_ms.map_or("+inf".to_owned(), |before| format!("({before}"));
        let mut died = self.range(&from, &to, PAGE_MAX).await?;
        if died.len() == PAGE_MAX {
            let (first, last) = (died[0].1, died[PAGE_MAX - 1].1);
            if first < last {
                // Of the last millisecond there may be more.
                died.retain(|(_, at_ms)| *at_ms < last);
            } else {
                died = self.range(&first.to_string(), &first.to_string(), usize::MAX).await?;
            }
        }
        Ok(died)
    }

    async fn range(&self, from: &str, to: &str, count: usize) -> Result<Vec<Died>, QueueError> {
        let (dead, count) = (self.keys().dead(), isize::try_from(count).unwrap_or(-1));
        Ok(self.queue.link(self.keys()).zrangebyscore_limit_withscores(dead, from, to, 0, count).await?)
    }

    async fn times_of(&self, jobs: &[String]) -> Result<Vec<Died>, QueueError> {
        let mut call = redis::cmd("ZMSCORE");
        call.arg(self.keys().dead()).arg(jobs);
        let times: Vec<Option<u64>> = call.query_async(&mut self.queue.link(self.keys())).await?;
        Ok(jobs.iter().cloned().zip(times).filter_map(|(job, at_ms)| Some((job, at_ms?))).collect())
    }

    async fn read(&self, died: &[Died]) -> Result<DeadPage, QueueError> {
        let mut page = DeadPage::default();
        for died in died.chunks(PAGE_MAX) {
            let jobs: Vec<&str> = died.iter().map(|(job, _)| job.as_str()).collect();
            let letters: Vec<Option<String>> =
                self.queue.link(self.keys()).hmget(self.keys().dead_letters(), &jobs[..]).await?;
            for ((job, at_ms), json) in died.iter().zip(letters) {
                // A letter may be put back between the two reads.
                let Some(json) = json else { continue };
                match DeadLetter::read(job, &json, *at_ms) {
                    Ok(letter) if self.filter.takes(&letter) => page.letters.push(letter),
                    Ok(_) => {}
                    Err(error) => page.unreadable.push(error),
                }
            }
        }
        Ok(page)
    }
}

impl Place {
    fn first(filter: &DeadFilter) -> Self {
        if filter.jobs.is_empty() { Self::Time(None) } else { Self::Jobs(0) }
    }
}

impl Queue {
    /// All dead letters that the filter takes, of each shard the oldest first, or in the order of the jobs
    /// that it names.
    pub fn dead_pages(&self, filter: DeadFilter) -> DeadPages {
        DeadPages { queue: self.clone(), at: Place::first(&filter), filter, shard: 0 }
    }

    /// The first of these letters, at most `limit`; those that cannot be read are passed over.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn dead(&self, filter: &DeadFilter, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let mut found = Vec::new();
        let mut pages = self.dead_pages(filter.clone());
        while found.len() < limit
            && let Some(page) = pages.next().await?
        {
            found.extend(page.letters);
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Redis's clock, milliseconds since the Unix epoch: what the ages of dead letters are measured by.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn now_ms(&self) -> Result<u64, QueueError> {
        let (seconds, micros): (u64, u64) =
            redis::cmd("TIME").query_async(&mut self.link(self.shard(0))).await?;
        Ok(seconds * 1000 + micros / 1000)
    }
}
