//! The lanes of a step: one stream for each priority.

use serde::{Deserialize, Serialize};

use crate::job::Step;

/// One stream: the jobs of one step, of one priority, in one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// The shard, from 0.
    pub shard: u32,
    /// The step.
    pub step: Step,
    /// The priority.
    pub priority: Priority,
}

/// Which of two waiting jobs goes first. Most claims prefer high priority; some prefer normal, so that neither
/// starves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// What is made for the stock.
    #[default]
    Normal,
    /// What somebody waits for.
    High,
}

impl Priority {
    /// All priorities, the lower one first.
    pub const ALL: [Self; 2] = [Self::Normal, Self::High];

    /// The stored and printed name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// The priority that the claim of this number, counted from 0, looks at first: every fifth prefers normal,
    /// its least share while both wait.
    pub(super) fn preferred(claim: u64) -> Self {
        if claim % NORMAL_EVERY == NORMAL_EVERY - 1 { Self::Normal } else { Self::High }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Normal => Self::High,
            Self::High => Self::Normal,
        }
    }
}

/// Every so many claims prefer normal priority.
const NORMAL_EVERY: u64 = 5;
