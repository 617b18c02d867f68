//! Seeded choices: every choice of the responder comes from the pair's seed and the name of what is chosen.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use sha2::{Digest, Sha256};

/// A stream of choices. Streams of different domains are independent, so that a new choice in one of them
/// leaves the others as they were.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of one domain (`question`, `fault`, …) of one seed.
    pub(super) fn new(seed: u64, domain: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(domain.as_bytes());
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// A number from 0 to `bound - 1`; 0 when `bound` is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.0.next_u64() % bound).unwrap_or(0)
    }

    /// One entry of a list that has at least one.
    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// True in `share` of 100 cases.
    pub(super) fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// Brings a list into another order.
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_domain_always_give_the_same_choices() {
        let throw = |seed, domain| {
            let mut dice = Dice::new(seed, domain);
            (0..8).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(throw(7, "question"), throw(7, "question"));
        assert_ne!(throw(7, "question"), throw(7, "answer"));
        assert_ne!(throw(7, "question"), throw(8, "question"));
    }
}
