//! `mondo make N`: so many pairs, and an end.
//!
//! It runs on a private Redis of its own in `MONDO_DATA_DIR/make`, so it never touches a deployment. The
//! directory goes when all pairs are made; if a file `run` is in it, an earlier run was cut off, and this one
//! goes on with what that one had paid for. A run that could not even start leaves no such file.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Args;
use mondo_jobs::{
    body::PairBody,
    clock::now_ms,
    job::Step,
    queue::{Admission, Bound, DeadFilter, Queue, QueueError, Stats},
    record,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{COULD_NOT, output, progress::Progress, show, stop_signal};
use crate::{
    config::Config,
    engine::{Redis, Workers},
};

/// How often the ready list is looked at.
const PERIOD: Duration = Duration::from_millis(50);
/// How many pairs are under way at once, at the most.
const UNDER_WAY_MAX: u64 = 64;
/// More failed pairs than this for each wanted one, and something is wrong that more pairs will not mend.
const FAILED_PER_PAIR_MAX: u64 = 5;
/// How long Redis may be away before a run gives up, and the pause between two tries.
const REDIS_AWAY_MAX: Duration = Duration::from_mins(1);
const REDIS_PAUSE: Duration = Duration::from_millis(500);
/// In the directory of a run that has begun: what the run is.
const RUN_FILE: &str = "run";

/// Arguments of `mondo make`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mondo make 3
  mondo make 3 --json | jq -r .prompt
  mondo make 100 --out pairs.jsonl --seed 7

Each line of JSON is the `body` that the HTTP API gives for a pair. A run that was cut off goes on where it
was when it is started again.")]
pub(super) struct MakeArgs {
    /// How many pairs
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000), value_name = "N")]
    count: u64,
    /// One line of JSON for each pair on stdout
    #[arg(long)]
    json: bool,
    /// Write the lines of JSON to FILE
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The same seed makes the same pairs, with a responder that is as steady as `offline`
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

pub(super) async fn run(args: MakeArgs, mut config: Config) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    // Nobody else works on this Redis, so a setting for one of many workers must not leave steps undone.
    config.steps = Step::ALL.to_vec();
    let dir = config.data_dir.join("make");
    config = config.with_private_redis_in(&dir);
    let run = Run::of(&args)?;
    let resumed = run.is_cut_off_in(&dir)?;
    let redis = Redis::private(&dir).await?;
    let queue = redis.queue(&config).await?;
    let mut workers = Workers::start(&config, &queue, None).await?;
    // After all that may refuse: an earlier file is only replaced by a run that begins.
    let mut out = Lines::open(&args, resumed)?;
    run.begins_in(&dir)?;
    if resumed {
        output::note(&format!(
            "going on with a run that was cut off: {} lines are written ({} holds it; remove it to start over)",
            out.written,
            dir.display()
        ));
    }

    let progress = Progress::start(&queue);
    let result = tokio::select! {
        made = make(&args, &queue, &mut out, &progress, &stop) => made,
        ended = workers.ended() => ended.map(|()| false),
    };
    progress.stop().await;
    workers.stop().await;
    redis.stop().await;
    if !result? {
        output::note(&format!(
            "stopped with {} of {} pairs; the same command goes on",
            out.written, args.count
        ));
        return Ok(ExitCode::from(COULD_NOT));
    }
    fs::remove_dir_all(&dir).with_context(|| format!("removing `{}`", dir.display()))?;
    output::note(&out.summary());
    Ok(ExitCode::SUCCESS)
}

/// Starts pairs and writes them as they get ready. `false` when it was told to stop.
async fn make(
    args: &MakeArgs,
    queue: &Queue,
    out: &mut Lines,
    progress: &Progress,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    let mut full_until = None;
    let mut told = false;
    while out.written < args.count {
        if stop.is_cancelled() {
            return Ok(false);
        }
        if let Some(taken) = patiently(stop, || queue.take()).await? {
            let body: PairBody = serde_json::from_slice(&taken.body).context("reading a finished pair")?;
            progress.hide_while(|| out.write(&taken.body, &body))?;
            patiently(stop, || queue.delivered(taken.pair)).await?;
            // There is room again.
            full_until = None;
            continue;
        }
        let stats = patiently(stop, || queue.stats()).await?;
        give_up_if_hopeless(args, queue, &stats).await?;
        if full_until.is_none_or(|until| until <= Instant::now()) {
            let refused = start(args.seed, missing(args, &stats, out.written), queue, stop).await?;
            full_until = refused.map(|(_, retry_after)| Instant::now() + retry_after);
            if let Some((bound, _)) = refused.filter(|_| !told) {
                told = true;
                progress
                    .hide_while(|| output::note(&format!("the queue is full: {bound}; waiting for room")));
            }
        }
        stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await;
    }
    Ok(true)
}

/// Starts the pairs with these numbers until one is refused; gives why and when to try again.
async fn start(
    seed: u64,
    numbers: Range<u64>,
    queue: &Queue,
    stop: &CancellationToken,
) -> anyhow::Result<Option<(Bound, Duration)>> {
    for number in numbers {
        let pair = [record::new_pair(pair_seed(seed, number), now_ms())?];
        let admissions = patiently(stop, || queue.start(&pair)).await?;
        if let Some(Admission::Full { bound, retry_after }) = admissions.first() {
            return Ok(Some((*bound, *retry_after)));
        }
    }
    Ok(None)
}

/// Asks again while Redis is away, which a private one is while it is started again.
async fn patiently<T, F>(stop: &CancellationToken, ask: impl Fn() -> F) -> Result<T, QueueError>
where
    F: Future<Output = Result<T, QueueError>>,
{
    let gives_up_at = Instant::now() + REDIS_AWAY_MAX;
    loop {
        match ask().await {
            Err(error) if error.is_passing() && !stop.is_cancelled() && Instant::now() < gives_up_at => {
                stop.run_until_cancelled(tokio::time::sleep(REDIS_PAUSE)).await;
            }
            result => return result,
        }
    }
}

/// The numbers of the pairs that are to be started now.
fn missing(args: &MakeArgs, stats: &Stats, written: u64) -> Range<u64> {
    let wanted = (args.count - written).saturating_sub(stats.ready + stats.taken).min(UNDER_WAY_MAX);
    // A dead letter's pair stays open; it is not coming by itself.
    let coming = stats.open.saturating_sub(stats.dead);
    let started = stats.counters.get("started").copied().unwrap_or(0).unsigned_abs();
    started..started + wanted.saturating_sub(coming)
}

/// Spreads the run's seed over its pairs (the finaliser of `SplitMix64`), so that neighbours have nothing in
/// common.
fn pair_seed(seed: u64, number: u64) -> u64 {
    let mut mixed =
        seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(number.wrapping_mul(0xD1B5_4A32_D192_ED03));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

async fn give_up_if_hopeless(args: &MakeArgs, queue: &Queue, stats: &Stats) -> anyhow::Result<()> {
    let rejected = stats.counters.get("rejected").copied().unwrap_or(0).unsigned_abs();
    if rejected + stats.dead <= args.count * FAILED_PER_PAIR_MAX {
        return Ok(());
    }
    let letters = queue.dead(&DeadFilter::default(), 1).await?;
    let why = letters.first().and_then(|letter| letter.chain.first()).map_or_else(
        || "see the log with MONDO_LOG=debug".to_owned(),
        |error| format!("the first dead letter says: {error}"),
    );
    bail!("{rejected} pairs were rejected and {} jobs are dead letters; {why}", stats.dead)
}

/// What a run makes and where it goes: what the command must say again to go on with it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    seed: u64,
    out: Option<PathBuf>,
}

impl Run {
    fn of(args: &MakeArgs) -> anyhow::Result<Self> {
        let out = args.out.as_deref().map(std::path::absolute).transpose().context("finding the file")?;
        Ok(Self { seed: args.seed, out })
    }

    /// Whether this very run was cut off; another one that was is not to be mixed up with it.
    fn is_cut_off_in(&self, dir: &Path) -> anyhow::Result<bool> {
        let path = dir.join(RUN_FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error).with_context(|| format!("reading `{}`", path.display())),
        };
        let earlier: Self =
            serde_json::from_slice(&text).with_context(|| format!("reading `{}`", path.display()))?;
        if earlier == *self {
            return Ok(true);
        }
        let out = earlier.out.map_or_else(String::new, |out| format!(" --out {}", out.display()));
        bail!(
            "another run was cut off: go on with it by `--seed {}{out}`, or remove `{}` to forget it",
            earlier.seed,
            dir.display()
        )
    }

    fn begins_in(&self, dir: &Path) -> anyhow::Result<()> {
        let path = dir.join(RUN_FILE);
        // Renamed into its place, so that a run that is cut off here leaves it whole or not at all.
        let draft = dir.join(format!("{RUN_FILE}.new"));
        fs::write(&draft, serde_json::to_vec(self)?)
            .and_then(|()| fs::rename(&draft, &path))
            .with_context(|| format!("writing `{}`", path.display()))
    }
}

/// Where the finished pairs go.
struct Lines {
    file: Option<(PathBuf, File)>,
    stdout: bool,
    seen: HashSet<String>,
    written: u64,
    mended: u64,
}

impl Lines {
    fn open(args: &MakeArgs, resumed: bool) -> anyhow::Result<Self> {
        let (mut seen, mut mended) = (HashSet::new(), 0);
        let file = match &args.out {
            None => None,
            Some(path) => {
                if resumed {
                    (seen, mended) = pairs_written(path)?;
                }
                let mut options = OpenOptions::new();
                options.create(true).write(true).append(resumed).truncate(!resumed);
                let file = options.open(path).with_context(|| format!("opening `{}`", path.display()))?;
                Some((path.clone(), file))
            }
        };
        Ok(Self { file, stdout: args.json, written: seen.len() as u64, seen, mended })
    }

    /// Writes one pair and makes sure that it is on the disk: only then may the queue forget it.
    fn write(&mut self, line: &[u8], body: &PairBody) -> anyhow::Result<()> {
        // A run that was cut off between here and the acknowledgement gets the pair again.
        if !self.seen.insert(body.metadata.pair_id.clone()) {
            return Ok(());
        }
        if let Some((path, file)) = &mut self.file {
            let mut whole = line.to_vec();
            whole.push(b'\n');
            file.write_all(&whole)
                .and_then(|()| if file.metadata()?.is_file() { file.sync_data() } else { Ok(()) })
                .with_context(|| format!("writing to `{}`", path.display()))?;
        }
        if self.stdout {
            output::data(&String::from_utf8_lossy(line))?;
        } else if self.written == 0 {
            show::pair(body, None);
        } else {
            show::brief(body);
        }
        self.written += 1;
        self.mended += u64::from(is_mended(body));
        Ok(())
    }

    fn summary(&self) -> String {
        let Self { written, mended, .. } = self;
        let place =
            self.file.as_ref().map_or_else(String::new, |(path, _)| format!(" in {}", path.display()));
        format!("{written} verified pairs{place}; in {mended} of them execute found faults that fix mended")
    }
}

fn is_mended(body: &PairBody) -> bool {
    body.metadata.history.rounds > 0
}

/// The ids of the pairs in a file of an earlier run, and how many were mended. A last line without its end was cut off, and is taken
/// away: its pair was never acknowledged, so it comes again.
fn pairs_written(path: &Path) -> anyhow::Result<(HashSet<String>, u64)> {
    let Ok(file) = File::open(path) else { return Ok((HashSet::new(), 0)) };
    if !file.metadata().is_ok_and(|file| file.is_file()) {
        return Ok((HashSet::new(), 0));
    }
    let (mut reader, mut mended) = (BufReader::new(file), 0);
    let (mut pairs, mut bytes, mut line) = (HashSet::new(), 0, Vec::new());
    while reader.read_until(b'\n', &mut line).with_context(|| format!("reading `{}`", path.display()))? > 0 {
        if line.last() == Some(&b'\n') {
            let body: PairBody = serde_json::from_slice(&line)
                .with_context(|| format!("`{}` holds a line that is no pair", path.display()))?;
            mended += u64::from(is_mended(&body));
            pairs.insert(body.metadata.pair_id);
            bytes += line.len() as u64;
        }
        line.clear();
    }
    let file = OpenOptions::new().write(true).open(path);
    file.and_then(|file| file.set_len(bytes)).with_context(|| format!("mending `{}`", path.display()))?;
    Ok((pairs, mended))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str) -> String {
        let body = serde_json::json!({
            "prompt": "", "responses": [], "ground_truth": {},
            "metadata": {
                "augment_type": "UNIFIED", "pair_id": id, "kind": "web", "objects": [], "seed": 0,
                "history": {
                    "rounds": 0, "llm_calls": 0, "cost_usd": 0.0, "findings_before": [], "findings_after": [],
                    "steps": [], "wall_ms": 0
                }
            }
        });
        body.to_string()
    }

    #[test]
    fn a_line_that_was_cut_off_is_taken_away() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let whole = format!("{}\n{}\n", line("a"), line("b"));
        std::fs::write(file.path(), format!("{whole}{{\"prom")).unwrap();
        assert_eq!(pairs_written(file.path()).unwrap(), (["a".to_owned(), "b".to_owned()].into(), 0));
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), whole);
    }

    #[test]
    fn pairs_of_one_run_have_seeds_of_their_own() {
        let seeds: std::collections::HashSet<u64> =
            (0..3).flat_map(|seed| (0..100).map(move |number| pair_seed(seed, number))).collect();
        assert_eq!(seeds.len(), 300);
    }
}
