//! The report as one self-contained HTML page. Everything in it that a checked page has said is untrusted: the template
//! escapes every value, and its policy forbids scripts and everything from elsewhere.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, value::Serde};
use mondo_jobs::finding::{Coverage, Finding, Report, View};
use serde::Serialize;

use super::{excerpt, input::Page, moment, seconds, summary, verdict};

const TEMPLATE: &str = include_str!("report.html");

/// What the template gets of one page.
#[derive(Serialize)]
struct Shown<'a> {
    file: &'a str,
    verdict: &'static str,
    summary: String,
    page_time: String,
    real_time: String,
    frames: u32,
    inputs: u32,
    memory_mib: u64,
    seed: u64,
    hash: &'a str,
    main: Vec<Picture>,
    film: Vec<Picture>,
    findings: Vec<Card<'a>>,
    findings_left_out: u32,
    coverage: Option<&'a Coverage>,
    reached_percent: u32,
}

/// One view as a picture.
#[derive(Serialize)]
struct Picture {
    title: String,
    phone: bool,
    url: String,
}

/// One finding.
#[derive(Serialize)]
struct Card<'a> {
    blocking: bool,
    severity: &'static str,
    class: &'static str,
    message: &'a str,
    moment: String,
    place: Option<String>,
    excerpt: Vec<excerpt::Line>,
    stack: Vec<String>,
}

/// Renders the report.
///
/// # Errors
/// When the template does not fit: a mistake of ours.
pub(super) fn render(checked: &[(Page, Report)]) -> anyhow::Result<String> {
    #[derive(Serialize)]
    struct Values<'a> {
        pages: Vec<Shown<'a>>,
    }
    let pages = checked.iter().map(|(page, report)| shown(page, report)).collect();
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_template("report", TEMPLATE).context("cannot read the template of the report")?;
    let template = environment.get_template("report").context("cannot read the template of the report")?;
    template.render(Serde(Values { pages })).context("cannot render the report")
}

fn shown<'a>(page: &'a Page, report: &'a Report) -> Shown<'a> {
    let coverage = report.coverage.as_ref().filter(|coverage| coverage.listeners > 0);
    Shown {
        file: &page.file,
        verdict: verdict(report),
        summary: summary(report),
        page_time: seconds(report.page_ms),
        real_time: seconds(report.wall_ms),
        frames: report.frames,
        inputs: report.inputs,
        memory_mib: report.memory_bytes_peak >> 20,
        seed: report.seed,
        hash: &report.hash,
        main: main_views(report),
        film: report.views.iter().map(|view| picture(view, "")).collect(),
        findings: report.findings.iter().map(|finding| card(page, finding)).collect(),
        findings_left_out: report.findings_left_out,
        coverage,
        reached_percent: coverage.map_or(0, |coverage| 100 * coverage.reached / coverage.listeners),
    }
}

/// The first view, the last of the desktop, and the phone's.
fn main_views(report: &Report) -> Vec<Picture> {
    let views = &report.views;
    let first = views.first().map(|view| picture(view, "First: "));
    let desktop = views.iter().skip(1).rfind(|view| view.phase != PHONE);
    let last = desktop.map(|view| picture(view, "Last: "));
    let phone = views.iter().rfind(|view| view.phase == PHONE).map(|view| picture(view, "Last: "));
    [first, last, phone].into_iter().flatten().collect()
}

/// The phase of the driver in which the view is a phone's.
const PHONE: &str = "phone";

fn picture(view: &View, before: &str) -> Picture {
    Picture {
        title: format!("{before}{} at {}", view.phase, seconds(view.page_ms)),
        phone: view.phase == PHONE,
        url: format!("data:image/png;base64,{}", STANDARD.encode(&view.png)),
    }
}

fn card<'a>(page: &Page, finding: &'a Finding) -> Card<'a> {
    let (line, column) = (finding.line, finding.column.unwrap_or(1));
    let file = finding.file.as_deref().unwrap_or("line ");
    let colon = if finding.file.is_some() { ":" } else { "" };
    let source = page.text_of(finding.file.as_deref());
    Card {
        blocking: finding.is_blocking(),
        severity: if finding.is_blocking() { "blocking" } else { "advice" },
        class: finding.class.name(),
        message: &finding.message,
        moment: moment(finding),
        place: line.map(|line| format!("{file}{colon}{line}:{column}")),
        excerpt: line.map_or_else(Vec::new, |line| excerpt::around(source, line, column)),
        stack: finding.stack.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use mondo_jobs::finding::{FindingClass, Listener, Severity};

    use super::*;

    #[test]
    fn everything_of_a_page_is_escaped() {
        const EVIL: &str = "<img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}";
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("page.html");
        std::fs::write(&file, format!("{EVIL}\n{EVIL}")).unwrap();
        let page = super::super::input::read(&[file]).unwrap().remove(0);
        let finding = Finding {
            class: FindingClass::Type,
            severity: Severity::Blocking,
            message: EVIL.to_owned(),
            file: Some(EVIL.to_owned()),
            line: Some(1),
            column: Some(1),
            phase: EVIL.to_owned(),
            page_ms: 1,
            input: None,
            stack: vec![mondo_jobs::finding::StackFrame {
                function: Some(EVIL.to_owned()),
                file: None,
                line: 1,
                column: 1,
            }],
        };
        let listener = Listener { event: EVIL.to_owned(), target: EVIL.to_owned() };
        let coverage = Coverage { listeners: 1, reached: 0, unreached: vec![listener] };
        let view = View { phase: EVIL.to_owned(), page_ms: 1, png: vec![1] };
        let report = Report {
            findings: vec![finding],
            coverage: Some(coverage),
            views: vec![view],
            hash: EVIL.to_owned(),
            ..Report::default()
        };
        let html = render(&[(page, report)]).unwrap();
        assert!(!html.contains("<img src=x") && !html.contains("49"), "{html}");
        assert!(html.matches("&lt;img src=x onerror=alert(1)&gt;").count() >= 8, "{html}");
    }
}
