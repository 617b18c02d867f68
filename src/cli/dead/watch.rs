//! What becomes of jobs that were put back, while more are.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use mondo_jobs::queue::{Fate, Queue, QueueError, Replayed};

/// At most so many replayed jobs may be undecided at once: no more than that is ever put back on trust.
const UNDER_WAY_MAX: usize = 500;
/// The share of failures is that among so many decided last: a long good start must not hide a bad turn.
const RECENT_MAX: usize = 100;
/// Fewer decided jobs than this say nothing.
const RECENT_MIN: usize = 10;
/// How often is looked.
pub(super) const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// Jobs that were put back, and how they fare.
pub(super) struct Watch {
    under_way: Vec<Replayed>,
    /// Whether each of the jobs decided last died again.
    recent: VecDeque<bool>,
    pub(super) committed: u64,
    pub(super) died_again: u64,
    pub(super) gone: u64,
    looked: Instant,
    /// When a job was decided last, or the first one put back.
    news: Instant,
}

impl Watch {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let (under_way, recent) = (Vec::new(), VecDeque::with_capacity(RECENT_MAX));
        Self { under_way, recent, committed: 0, died_again: 0, gone: 0, looked: now, news: now }
    }

    pub(super) fn add(&mut self, job: Replayed) {
        if self.under_way.is_empty() {
            self.news = Instant::now();
        }
        self.under_way.push(job);
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.under_way.len() >= UNDER_WAY_MAX
    }

    /// For how long no job has been decided, with some under way.
    pub(super) fn silent_for(&self) -> Duration {
        if self.under_way.is_empty() { Duration::ZERO } else { self.news.elapsed() }
    }

    /// Looks if it is time to.
    pub(super) async fn look_now_and_then(&mut self, queue: &Queue) -> Result<(), QueueError> {
        if self.looked.elapsed() < LOOK_PERIOD { Ok(()) } else { self.look(queue).await }
    }

    /// Finds out what has been decided.
    pub(super) async fn look(&mut self, queue: &Queue) -> Result<(), QueueError> {
        let fates = queue.fates(&self.under_way).await?;
        let mut fates = fates.into_iter();
        let mut decided = Vec::new();
        self.under_way.retain(|_| match fates.next() {
            None | Some(Fate::UnderWay) => true,
            Some(fate) => {
                decided.push(fate);
                false
            }
        });
        for fate in decided {
            self.decide(fate);
        }
        self.looked = Instant::now();
        Ok(())
    }

    fn decide(&mut self, fate: Fate) {
        self.news = Instant::now();
        match fate {
            Fate::Committed => self.committed += 1,
            Fate::Dead => self.died_again += 1,
            Fate::Gone | Fate::UnderWay => {
                self.gone += 1;
                return;
            }
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(fate == Fate::Dead);
    }

    /// Of the jobs decided last, how many died again and how many there are, when that is more than the share.
    pub(super) fn failing(&self, share: f64) -> Option<(usize, usize)> {
        let (died, of) = (self.recent.iter().filter(|died| **died).count(), self.recent.len());
        (of >= RECENT_MIN && exceeds(died, of, share)).then_some((died, of))
    }
}

/// Whether `part` is more than that share of `whole`.
#[expect(clippy::cast_precision_loss, reason = "counts of at most some hundreds")]
pub(super) fn exceeds(part: usize, whole: usize, share: f64) -> bool {
    part as f64 > whole as f64 * share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(fates: impl IntoIterator<Item = Fate>) -> Watch {
        let mut watch = Watch::new();
        fates.into_iter().for_each(|fate| watch.decide(fate));
        watch
    }

    #[test]
    fn a_bad_turn_is_seen_after_any_number_of_good_ones() {
        let good = std::iter::repeat_n(Fate::Committed, 10_000);
        assert_eq!(after(good.clone()).failing(0.2), None);
        let turn = good.clone().chain(std::iter::repeat_n(Fate::Dead, 20));
        assert_eq!(after(turn).failing(0.2), None, "as many as are allowed");
        let turn = good.chain(std::iter::repeat_n(Fate::Dead, 21));
        assert_eq!(after(turn).failing(0.2), Some((21, 100)));
    }

    #[test]
    fn a_few_say_nothing_and_what_is_gone_does_not_count() {
        assert_eq!(after([Fate::Dead; 9]).failing(0.2), None);
        assert_eq!(after([Fate::Dead; 10]).failing(0.2), Some((10, 10)));
        assert_eq!(after([Fate::Gone; 100]).failing(0.0), None);
    }
}
