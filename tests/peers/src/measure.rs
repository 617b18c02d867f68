//! What a run took, by the clock and by Redis's own account.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use redis::{InfoDict, aio::MultiplexedConnection};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::work::{Mode, Peer, Tally};

/// How long a run may take; a queue that has stopped is reported instead of waited for.
const RUN_TIME_MAX: Duration = Duration::from_secs(60);
/// Pause between two looks at whether the last acknowledgements are in.
const LOOK_PERIOD: Duration = Duration::from_millis(1);

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub jobs_per_s: f64,
    /// CPU time of Redis for each job, microseconds.
    pub cpu_us: f64,
    /// CPU time of this process, which holds producers, queue and handlers, for each job, microseconds.
    pub own_us: f64,
    /// Redis commands for each job, those inside scripts included.
    pub commands: f64,
}

/// The server that all of them share.
pub struct Server {
    connection: MultiplexedConnection,
}

struct Usage {
    commands: f64,
    cpu_secs: f64,
    own_secs: f64,
}

impl Server {
    pub async fn connect(url: &SecretString) -> anyhow::Result<Self> {
        let client = redis::Client::open(url.expose_secret())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        // A rewrite of the append-only file would fall to whoever happens to run.
        redis::cmd("CONFIG")
            .arg(&["SET", "auto-aof-rewrite-percentage", "0"])
            .exec_async(&mut connection)
            .await?;
        Ok(Self { connection })
    }

    pub async fn flush(&self) -> anyhow::Result<()> {
        Ok(redis::cmd("FLUSHALL").exec_async(&mut self.connection.clone()).await?)
    }

    pub async fn version(&self) -> anyhow::Result<String> {
        Ok(self.info().await?.get("redis_version").unwrap_or_default())
    }

    /// Bytes that Redis has allocated.
    pub async fn memory(&self) -> anyhow::Result<usize> {
        self.info().await?.get("used_memory").context("reading used_memory")
    }

    /// Adds jobs and sees what it took.
    pub async fn watch_adding(&self, peer: &dyn Peer, jobs: usize, mode: Mode) -> anyhow::Result<Run> {
        let (before, begun) = (self.usage().await?, Instant::now());
        peer.add(jobs, mode).await?;
        let secs = begun.elapsed().as_secs_f64();
        Ok(self.usage().await?.run(&before, jobs, secs))
    }

    /// Works off jobs that were added and sees what it took: from the first handler to the last acknowledgement.
    pub async fn watch_working(
        &self,
        peer: &dyn Peer,
        jobs: usize,
        steps: usize,
        mode: Mode,
    ) -> anyhow::Result<Run> {
        let tally = Arc::new(Tally::new(jobs * steps));
        let before = self.usage().await?;
        let shutdown = CancellationToken::new();
        let mut workers = peer.work(steps, mode, &tally, &shutdown).await?;
        let finish = async {
            let first = tally.all().await;
            while peer.finished(steps).await? < jobs * steps {
                sleep(LOOK_PERIOD).await;
            }
            Ok::<_, anyhow::Error>(first.elapsed().as_secs_f64())
        };
        let secs = tokio::select! {
            done = timeout(RUN_TIME_MAX, finish) => done,
            Some(ended) = workers.join_next() => bail!("a worker ended: {ended:?}"),
        };
        let Ok(secs) = secs else {
            bail!("{} of {} jobs were started in {RUN_TIME_MAX:?}", tally.started(), jobs * steps);
        };
        let run = self.usage().await?.run(&before, jobs * steps, secs?);
        shutdown.cancel();
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        Ok(run)
    }

    async fn usage(&self) -> anyhow::Result<Usage> {
        let info = self.info().await?;
        let get = |name: &str| info.get::<f64>(name).with_context(|| format!("reading {name}"));
        Ok(Usage {
            commands: get("total_commands_processed")?,
            cpu_secs: get("used_cpu_user")? + get("used_cpu_sys")?,
            own_secs: own_secs()?,
        })
    }

    async fn info(&self) -> anyhow::Result<InfoDict> {
        Ok(redis::cmd("INFO").query_async(&mut self.connection.clone()).await?)
    }
}

impl Usage {
    fn run(&self, before: &Self, jobs: usize, secs: f64) -> Run {
        let jobs = f64::from(u32::try_from(jobs).unwrap_or(u32::MAX));
        Run {
            jobs_per_s: jobs / secs,
            cpu_us: (self.cpu_secs - before.cpu_secs) * 1e6 / jobs,
            own_us: (self.own_secs - before.own_secs) * 1e6 / jobs,
            commands: (self.commands - before.commands) / jobs,
        }
    }
}

/// CPU time of this process's threads so far, by the kernel's account in nanoseconds.
fn own_secs() -> anyhow::Result<f64> {
    let mut secs = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        // One that has ended meanwhile did next to nothing.
        let Ok(facts) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let nanos: f64 = facts.split(' ').next().unwrap_or_default().parse()?;
        secs += nanos / 1e9;
    }
    Ok(secs)
}
