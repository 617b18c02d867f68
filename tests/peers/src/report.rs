//! What people read: a table for each row, and what each queue promised for it.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    measure::Run,
    work::{CONCURRENCY, Mode, PAYLOAD_BYTES, Peer, RESULT_BYTES},
};

/// What was done, and how.
pub type Row = (&'static str, Mode);

#[derive(Default)]
pub struct Report {
    runs: BTreeMap<Row, BTreeMap<&'static str, Vec<Run>>>,
    memory: BTreeMap<&'static str, Vec<usize>>,
}

impl Report {
    pub fn note(&mut self, row: Row, peer: &'static str, run: Run) {
        self.runs.entry(row).or_default().entry(peer).or_default().push(run);
    }

    /// Bytes of Redis for each waiting job.
    pub fn note_memory(&mut self, peer: &'static str, bytes: usize) {
        self.memory.entry(peer).or_default().push(bytes);
    }

    /// Everything; the first peer is what the others are compared with.
    pub fn text(&self, peers: &[Box<dyn Peer>], jobs: usize, redis: &str, pinned: bool) -> String {
        let mut text = String::new();
        let ours = peers[0].name();
        for ((what, mode), runs) in &self.runs {
            let _ =
                writeln!(text, "\n{what}, {}", if *mode == Mode::Single { "one by one" } else { "batched" });
            let _ = writeln!(
                text,
                "{:<24}{:>9}  {:<18}{:>10}{:>10}{:>10}{:>14}",
                "", "jobs/s", "slowest–fastest", "Redis µs", "own µs", "commands", "mondo is"
            );
            for peer in peers {
                let Some(of_peer) = runs.get(peer.name()) else { continue };
                let ratio = match runs.get(ours) {
                    Some(of_ours) if peer.name() != ours => format!("{:.2} ×", ratio(of_ours, of_peer)),
                    _ => String::new(),
                };
                let speeds = sorted(of_peer, |run| run.jobs_per_s);
                let range = format!("{:.0}–{:.0}", speeds[0], speeds[speeds.len() - 1]);
                let _ = writeln!(
                    text,
                    "{:<24}{:>9.0}  {range:<18}{:>10.1}{:>10.1}{:>10.1}{ratio:>14}",
                    peer.name(),
                    median(&speeds),
                    median(&sorted(of_peer, |run| run.cpu_us)),
                    median(&sorted(of_peer, |run| run.own_us)),
                    median(&sorted(of_peer, |run| run.commands)),
                );
            }
        }

        let _ = writeln!(text, "\nbytes of Redis for a waiting job that carries {PAYLOAD_BYTES}");
        for peer in peers {
            let mut bytes = self.memory.get(peer.name()).cloned().unwrap_or_default();
            bytes.sort_unstable();
            let _ = writeln!(
                text,
                "{:<24}{:>9}",
                peer.name(),
                bytes.get(bytes.len() / 2).copied().unwrap_or_default()
            );
        }

        let _ = writeln!(
            text,
            "\n{jobs} jobs of {PAYLOAD_BYTES} bytes in each row, {} pairs in a chain, {CONCURRENCY} at once in a step; each \
             step of a chain stores {RESULT_BYTES} bytes.\n`process`: a job that \
             only ends. `own µs`: CPU time of everything but Redis.\nRedis {redis}, appendonly yes, appendfsync everysec; {}. Ratios are medians \
             of the rounds' own.",
            jobs / 2,
            if pinned { "the server on core 0, all else on core 1" } else { "not pinned to cores" },
        );
        for peer in peers {
            let _ = writeln!(
                text,
                "\n{}\n  set up    {}\n  promises  {}",
                peer.name(),
                peer.settings(),
                peer.promises()
            );
        }
        text
    }
}

/// How much faster `ours` was, in the middle of the rounds.
fn ratio(ours: &[Run], theirs: &[Run]) -> f64 {
    let mut ratios: Vec<f64> =
        ours.iter().zip(theirs).map(|(ours, theirs)| ours.jobs_per_s / theirs.jobs_per_s).collect();
    ratios.sort_by(f64::total_cmp);
    median(&ratios)
}

fn sorted(runs: &[Run], value: impl Fn(&Run) -> f64) -> Vec<f64> {
    let mut values: Vec<f64> = runs.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}
