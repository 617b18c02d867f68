//! Why the queue could not do what it was asked.

use crate::disposition::Disposition;

/// Why the queue could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Redis is away, slow or refuses.
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// Redis did not answer before the deadline.
    #[error(
        "redis at `{address}` did not answer within {waited_secs} s; is it running, and is REDIS_URL right?"
    )]
    Unreachable {
        /// Host and port, without credentials.
        address: String,
        /// How long was tried.
        waited_secs: u64,
        /// What the last try met.
        source: redis::RedisError,
    },
    /// Redis would throw work away when its memory is full.
    #[error(
        "redis evicts keys when it is full (maxmemory-policy is `{policy}`), which would lose work; \
         set maxmemory-policy to noeviction"
    )]
    Evicts {
        /// Its `maxmemory-policy`.
        policy: String,
    },
    /// The queue was laid out for another number of shards.
    #[error(
        "the queue `{prefix}` has {stored} shards, and MONDO_SHARDS is `{wanted}`; set MONDO_SHARDS={stored}, or \
         another MONDO_PREFIX for a new queue"
    )]
    Shards {
        /// First part of its keys.
        prefix: String,
        /// Over how many its pairs are spread.
        stored: u32,
        /// How many were asked for.
        wanted: u32,
    },
    /// A newer release has laid the queue out.
    #[error(
        "the queue `{prefix}` has layout {stored}, and this release knows {known}; run the release that made it, \
         or a newer one"
    )]
    Layout {
        /// First part of its keys.
        prefix: String,
        /// The version that is stored.
        stored: u32,
        /// The version of this release.
        known: u32,
    },
    /// A value is larger than may be stored.
    #[error("{what} has {bytes} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// More items than one transaction may have.
    #[error("{what}: {count} items, more than the {limit} that one transaction may have")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A stream of the queue's holds something else.
    #[error("`{key}` holds something else than a stream")]
    Foreign {
        /// Its key.
        key: String,
    },
    /// A dead letter that this release cannot read.
    #[error("the dead letter of `{job}` cannot be read: {reason}")]
    Letter {
        /// Its job.
        job: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl QueueError {
    /// What becomes of the job that met this error: Redis away is a pause; a value that is too large, or of
    /// another type than ours, stays so.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Redis(error) if error.code() == Some("WRONGTYPE") => Disposition::Bury,
            Self::Redis(_) | Self::Unreachable { .. } | Self::Evicts { .. } => {
                Disposition::Wait { after: None }
            }
            Self::Shards { .. } | Self::Layout { .. } | Self::Foreign { .. } => Disposition::Halt,
            Self::TooLarge { .. } | Self::TooMany { .. } | Self::Letter { .. } => Disposition::Bury,
        }
    }

    /// Whether the same call may do better later: Redis is away, starting, full, overloaded, failing over or
    /// moving slots. Otherwise the call itself or the data it met is at fault.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Redis(error) => !matches!(error.code(), Some("WRONGTYPE" | "ERR" | "CROSSSLOT")),
            Self::Unreachable { .. } => true,
            Self::Evicts { .. }
            | Self::Shards { .. }
            | Self::Layout { .. }
            | Self::Foreign { .. }
            | Self::TooLarge { .. }
            | Self::TooMany { .. }
            | Self::Letter { .. } => false,
        }
    }

    /// Whether somebody emptied Redis: the groups that workers read from are gone, and are made again.
    pub fn is_group_missing(&self) -> bool {
        matches!(self, Self::Redis(error) if super::connection::is_group_missing(error))
    }

    /// What an operator can do about a Redis that is there and refuses.
    pub fn remedy(&self) -> Option<&'static str> {
        if let Self::Foreign { .. } = self {
            return Some(
                "find out who wrote it, for the prefix is mondo's alone; RENAME it out of the way, and run `mondo doctor --fix`",
            );
        }
        let Self::Redis(error) = self else { return None };
        Some(match error.code()? {
            "MISCONF" => {
                "free space on the disk of Redis, or make its directory writable; it tries again by itself"
            }
            "OOM" => "raise maxmemory of Redis, or take ready pairs; nothing new is started meanwhile",
            "BUSY" => "a script of somebody blocks Redis: end it with SCRIPT KILL",
            "WRONGTYPE" => "a key of the queue holds something else than ours: `mondo doctor` names it",
            "READONLY" => "this Redis is a replica: point REDIS_URL at the primary",
            "NOAUTH" | "WRONGPASS" | "NOPERM" => {
                "check the user and password of REDIS_URL, and what they may do"
            }
            _ => return None,
        })
    }

    /// The stored and printed name of the error's class.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Redis(_) | Self::Unreachable { .. } => "redis",
            Self::Evicts { .. } => "redis_evicts",
            Self::Shards { .. } => "shards",
            Self::Layout { .. } => "layout",
            Self::Foreign { .. } => "foreign",
            Self::TooLarge { .. } => "too_large",
            Self::TooMany { .. } => "too_many",
            Self::Letter { .. } => "letter",
        }
    }
}
