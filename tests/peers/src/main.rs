//! mondo's queue beside other queues for Redis: the same jobs, the same server, one after the other in each round.
//!
//! Speeds swing with the machine, so only ratios within one run mean anything; Redis CPU and commands per job
//! swing less. The server has core 0 and this process core 1 where there are two.

mod apalis_redis;
mod bullmq;
mod measure;
mod mondo_queue;
mod omniqueue;
mod report;
mod work;

use std::{process::Command, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use mondo::private_redis::PrivateRedis;

use crate::{
    measure::Server,
    report::Report,
    work::{Mode, Peer, STEPS},
};

/// How long Redis is left alone before the memory of waiting jobs is read.
const SETTLE_TIME: Duration = Duration::from_millis(200);

/// Runs mondo's queue and its peers on one Redis in alternation, and prints what each did
#[derive(Debug, Parser)]
#[command(name = "scripts/peers")]
struct Options {
    /// Rounds; medians and the slowest and fastest of them are printed
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Jobs of each row; apalis-redis stops for good with more than 7,999
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(100..=7_900))]
    jobs: u32,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let pinned = pin(std::process::id(), 1);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&options, pinned))
}

async fn run(options: &Options, pinned: bool) -> anyhow::Result<()> {
    let dir = tempfile::tempdir().context("making a directory for a private redis-server")?;
    let redis = PrivateRedis::start(dir.path()).await?;
    let pinned = pinned && pin(redis.pid(), 0);
    let server = Server::connect(&redis.url()).await?;
    let peers: Vec<Box<dyn Peer>> = vec![
        Box::new(mondo_queue::Mondo::new(&redis.url())),
        Box::new(apalis_redis::ApalisRedis::new(&redis.url())),
        Box::new(bullmq::BullMq::new(&redis.url())),
        Box::new(omniqueue::OmniQueue::new(&redis.url())),
    ];

    let jobs = usize::try_from(options.jobs)?;
    let mut report = Report::default();
    for round in 1..=options.rounds {
        for peer in &peers {
            eprintln!("round {round} of {}: {}", options.rounds, peer.name());
            measure_peer(&server, peer.as_ref(), jobs, &mut report)
                .await
                .with_context(|| format!("running {}", peer.name()))?;
        }
    }
    print!("{}", report.text(&peers, jobs, &server.version().await?, pinned));
    redis.stop().await;
    Ok(())
}

async fn measure_peer(
    server: &Server,
    peer: &dyn Peer,
    jobs: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    for mode in [Mode::Single, Mode::Batched] {
        server.flush().await?;
        peer.prepare().await?;
        let before = server.memory().await?;
        let added = server.watch_adding(peer, jobs, mode).await?;
        report.note(("add", mode), peer.name(), added);
        tokio::time::sleep(SETTLE_TIME).await;
        report.note_memory(peer.name(), server.memory().await?.saturating_sub(before) / jobs);

        let worked = server.watch_working(peer, jobs, 1, mode).await?;
        report.note(("process", mode), peer.name(), worked);

        server.flush().await?;
        peer.prepare().await?;
        peer.add(jobs / 2, Mode::Batched).await?;
        let chained = server.watch_working(peer, jobs / 2, STEPS, mode).await?;
        report.note(("chain of six", mode), peer.name(), chained);
    }
    Ok(())
}

/// Keeps a process on one core. `false` where that is not possible.
fn pin(process: u32, core: usize) -> bool {
    let (core, process) = (core.to_string(), process.to_string());
    let done = Command::new("taskset").args(["-acp", &core, &process]).output();
    done.is_ok_and(|done| done.status.success())
}
