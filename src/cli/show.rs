//! A finished pair in a form that a person enjoys reading.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use mondo_jobs::{body::PairBody, finding::Finding, job::Step, pair::StepRecord, queue::Queue};

use super::output;

/// How often the ready list is looked at for its first pair.
const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// Waits for the first finished pair and reads it, without taking it from consumers.
pub(super) async fn first_ready(queue: &Queue) -> Option<PairBody> {
    loop {
        if let Ok(Some(body)) = queue.peek().await {
            return serde_json::from_slice(&body).ok();
        }
        tokio::time::sleep(LOOK_PERIOD).await;
    }
}

/// Shows on stderr how a pair was made, without the pair.
pub(super) fn brief(body: &PairBody) {
    output::note(&format!("\n{}{}", title(body), how_it_was_made(body)));
}

/// Shows a pair on stderr. With a directory, its best page is put there, to be opened with a browser.
pub(super) fn pair(body: &PairBody, dir: Option<&Path>) {
    let page = dir.and_then(|dir| store_page(body, dir));
    output::note(&render(body, page.as_deref()));
}

fn store_page(body: &PairBody, dir: &Path) -> Option<String> {
    let content = &body.responses.first()?.completion.files.first()?.content;
    let path = dir.join(format!("{}.html", body.metadata.pair_id));
    match fs::create_dir_all(dir).and_then(|()| fs::write(&path, content)) {
        Ok(()) => Some(path.display().to_string()),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot store the page for reading");
            None
        }
    }
}

fn render(body: &PairBody, page: Option<&str>) -> String {
    let mut text = format!("\n{}\n", title(body));
    for line in body.prompt.lines() {
        let _ = writeln!(text, "  {line}");
    }
    let _ = write!(text, "\n{}", how_it_was_made(body));
    if let Some(page) = page {
        let _ = write!(text, "\n  open it: {page}");
    }
    text.push('\n');
    text
}

fn title(body: &PairBody) -> String {
    let metadata = &body.metadata;
    let topic = metadata.topic.map_or("", |topic| topic.name());
    format!("━━ pair {} · {topic} ━━━━━━━━━━\n", metadata.pair_id)
}

fn how_it_was_made(body: &PairBody) -> String {
    let history = &body.metadata.history;
    let file = body.responses.first().and_then(|response| response.completion.files.first());
    let kilobytes = file.map_or(0, |file| file.content.len()).div_ceil(1024);
    let mut text = format!(
        "  how it was made: {} LLM calls, ${:.4}, {} rounds of fix, {kilobytes} KB of HTML\n",
        history.llm_calls, history.cost_usd, history.rounds
    );
    for record in &history.steps {
        let _ = writeln!(text, "    {}", step(record, &history.findings_before));
    }
    text.truncate(text.trim_end().len());
    text
}

fn step(record: &StepRecord, before: &[Finding]) -> String {
    let mut line = format!("{:<9} {:>6} ms", record.step.name(), record.duration_ms);
    match (record.step, record.blocking) {
        (Step::Execute, Some(0)) => line.push_str("   nothing wrong"),
        (Step::Execute, Some(count)) => {
            let _ = write!(line, "   {count} blocking");
            if record.round == 0 {
                for finding in before.iter().filter(|finding| finding.is_blocking()).take(2) {
                    let _ = write!(line, "; {}", describe(finding));
                }
            }
        }
        _ => {}
    }
    line
}

/// A finding in one line: class, message, place, input.
fn describe(finding: &Finding) -> String {
    let mut text = format!("{}: {}", finding.class.name(), finding.message);
    if let Some(line) = finding.line {
        let _ = write!(text, " (line {line})");
    }
    if let Some(input) = &finding.input {
        let _ = write!(text, " after {input}");
    }
    text
}
