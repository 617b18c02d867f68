//! What this process counts, and what the queue counts for all processes, as Prometheus text.

use std::{fmt::Write as _, sync::OnceLock};

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use mondo_jobs::queue::Stats;

/// Upper bounds of every histogram, seconds: from a ready pair (1 ms) to an LLM that thinks (15 min).
const BUCKETS_SECS: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
    900.0,
];

/// Starts counting; whatever was counted before is lost. Calling it again changes nothing.
pub fn install() {
    recorder();
}

/// Folds new samples into their histograms. Without it they pile up while nobody reads the metrics.
pub(crate) fn upkeep() {
    if let Some(recorder) = recorder() {
        recorder.run_upkeep();
    }
}

/// Everything as text. `stats` is absent when Redis does not answer; numbers of the queue are then left out
/// rather than repeated from earlier.
pub(crate) fn render(stats: Option<&Stats>, waiting: usize) -> String {
    let mut text = recorder().map(PrometheusHandle::render).unwrap_or_default();
    family(&mut text, "mondo_build_info", "gauge", "The running release.");
    let _ = writeln!(text, "mondo_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    family(&mut text, "mondo_http_waiting", "gauge", "Consumers that wait for a pair at this process.");
    let _ = writeln!(text, "mondo_http_waiting {waiting}");
    family(&mut text, "mondo_redis_up", "gauge", "Whether Redis answered just now.");
    let _ = writeln!(text, "mondo_redis_up {}", u8::from(stats.is_some()));
    if let Some(stats) = stats {
        of_queue(&mut text, stats);
    }
    text
}

fn recorder() -> Option<&'static PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    RECORDER
        .get_or_init(|| match start() {
            Ok(handle) => Some(handle),
            Err(error) => {
                tracing::error!(error = %error, "this process cannot count; /metrics has only the queue's numbers");
                None
            }
        })
        .as_ref()
}

fn start() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().set_buckets(&BUCKETS_SECS)?.install_recorder()?;
    metrics::describe_counter!("mondo_http_requests_total", "Requests by path and status.");
    metrics::describe_histogram!(
        "mondo_http_request_duration_seconds",
        "Time from a request's head to its response's head, waiting for a pair included."
    );
    metrics::describe_gauge!(
        "mondo_spool_records",
        "Paid replies that this process keeps until Redis takes them."
    );
    metrics::describe_gauge!("mondo_spool_bytes", "Bytes of the files in which this process keeps them.");
    metrics::describe_gauge!(
        "mondo_upstream_slowed",
        "Whether the workers of this process slow down because nobody takes the finished pairs."
    );
    metrics::describe_counter!("mondo_handovers_total", "Pairs given to consumers, by how that ended.");
    Ok(handle)
}

fn of_queue(text: &mut String, stats: &Stats) {
    family(text, "mondo_jobs", "gauge", "Jobs by step and state.");
    for step in &stats.steps {
        for (state, count) in
            [("waiting", step.waiting), ("running", step.running), ("delayed", step.delayed)]
        {
            let _ = writeln!(text, "mondo_jobs{{step=\"{}\",state=\"{state}\"}} {count}", step.step);
        }
    }
    let help = "Slots that would leave nothing waiting: jobs waiting, running, or delayed and due.";
    family(text, "mondo_slots_wanted", "gauge", help);
    for step in &stats.steps {
        let _ = writeln!(text, "mondo_slots_wanted{{step=\"{}\"}} {}", step.step, step.wanted);
    }
    family(text, "mondo_pairs", "gauge", "Pairs by state.");
    for (state, count) in [("open", stats.open), ("ready", stats.ready), ("taken", stats.taken)] {
        let _ = writeln!(text, "mondo_pairs{{state=\"{state}\"}} {count}");
    }
    family(text, "mondo_paused", "gauge", "Steps and responders that are paused.");
    for pause in &stats.pauses {
        // The name of a responder is an operator's; the format has no other special characters.
        let target = pause.target.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = writeln!(text, "mondo_paused{{target=\"{target}\"}} 1");
    }
    family(text, "mondo_dead_letters", "gauge", "Jobs that will not be run again by themselves.");
    let _ = writeln!(text, "mondo_dead_letters {}", stats.dead);

    let mut counters: Vec<_> = stats.counters.iter().collect();
    counters.sort();
    for (name, count) in counters {
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let name = format!("mondo_{name}_total");
        family(text, &name, "counter", "Counted in Redis since the queue was made, for all processes.");
        let _ = writeln!(text, "{name} {count}");
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}
