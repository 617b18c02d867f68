//! Chance, decided by the seed.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Half of all work takes less than this.
const WORK_MEDIAN_SECS: f64 = 1.0;
/// How wide the times of work are spread: one in a hundred takes ten times the median.
const WORK_SIGMA: f64 = 1.0;
/// No work takes longer.
const WORK_SECS_MAX: f64 = 20.0;

pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound.max(1))
    }

    /// True in this share of all cases.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.0.random::<f64>() < share
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0.random()
    }

    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        least + most.saturating_sub(least).mul_f64(self.0.random())
    }

    /// The time until the next of events that come at random, so far apart on average.
    pub(crate) fn gap(&mut self, mean: Duration) -> Duration {
        let share: f64 = self.0.random();
        mean.mul_f64(-(1.0 - share).ln())
    }

    /// How long a piece of work takes: log-normal.
    pub(crate) fn work(&mut self) -> Duration {
        let (a, b): (f64, f64) = (self.0.random(), self.0.random());
        let normal = (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos();
        Duration::from_secs_f64((WORK_MEDIAN_SECS * (WORK_SIGMA * normal).exp()).min(WORK_SECS_MAX))
    }
}
