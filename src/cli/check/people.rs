//! The report as a person reads it in a terminal. Colour only repeats what the words say; it is left out where nobody
//! sees it and where `NO_COLOR` asks for that.

use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Style};
use mondo_jobs::finding::{Coverage, Finding, Report, Severity};

use super::{excerpt, input::Page, moment, seconds, summary};

/// The most listeners that are named.
const UNREACHED_MAX: usize = 10;

/// All pages, and how many of them failed where there are several.
pub(super) fn of(checked: &[(Page, Report)]) -> String {
    let mut text: Vec<String> = checked.iter().map(|(page, report)| one(page, report)).collect();
    if checked.len() > 1 {
        let failed = checked.iter().filter(|(_, report)| !report.is_clean()).count();
        text.push(format!("{} pages: {} pass, {failed} fail", checked.len(), checked.len() - failed));
    }
    text.join("\n")
}

// Writing to a string cannot fail, so the results below say nothing.
fn one(page: &Page, report: &Report) -> String {
    let style = if report.is_clean() { bold(AnsiColor::Green) } else { bold(AnsiColor::Red) };
    let mut text = format!(
        "{}: {style}{}{style:#} ({} of page time in {}, {} inputs, seed {})",
        plain(&page.file),
        summary(report),
        seconds(report.page_ms),
        seconds(report.wall_ms),
        report.inputs,
        report.seed
    );
    for finding in &report.findings {
        describe(&mut text, finding, page);
    }
    if report.findings_left_out > 0 {
        let _ = write!(text, "\n\n  and {} more that are not listed", report.findings_left_out);
    }
    if let Some(coverage) = &report.coverage {
        cover(&mut text, coverage, !report.findings.is_empty());
    }
    if !report.findings.is_empty() {
        text.push('\n');
    }
    text
}

fn describe(text: &mut String, finding: &Finding, page: &Page) {
    let (severity, style) = match finding.severity {
        Severity::Blocking => ("blocking", bold(AnsiColor::Red)),
        Severity::Advice => ("advice", bold(AnsiColor::Yellow)),
    };
    let (class, message) = (finding.class.name(), plain(&finding.message));
    let _ = write!(text, "\n\n  {style}{severity}{style:#} {class}: {message}");
    let _ = write!(text, "\n    {}", plain(&moment(finding)));
    let Some(line) = finding.line else { return };
    let column = finding.column.unwrap_or(1);
    if let Some(file) = &finding.file {
        let _ = write!(text, "\n    {}:{line}:{column}", plain(file));
    }
    let source = page.text_of(finding.file.as_deref());
    if let Some(excerpt) = excerpt::line(source, line, column) {
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let caret = " ".repeat(excerpt.caret.unwrap_or_default());
        let _ = write!(
            text,
            "\n    {number} | {}\n    {margin} | {caret}{style}^{style:#} line {line}, column {column}",
            excerpt.text
        );
    }
    // The innermost call is the place itself.
    for frame in finding.stack.iter().skip(1) {
        let _ = write!(text, "\n    from {}", plain(&frame.to_string()));
    }
}

fn cover(text: &mut String, coverage: &Coverage, apart: bool) {
    if coverage.listeners == 0 {
        return;
    }
    let gap = if apart { "\n\n  " } else { "\n  " };
    let _ = write!(text, "{gap}{} of {} listeners reached", coverage.reached, coverage.listeners);
    let named = coverage.unreached.iter().take(UNREACHED_MAX);
    let named: Vec<_> =
        named.map(|listener| plain(&format!("{} on {}", listener.event, listener.target))).collect();
    let missed = usize::try_from(coverage.listeners - coverage.reached).unwrap_or(usize::MAX);
    let more = missed.saturating_sub(named.len());
    if !named.is_empty() {
        let _ = write!(text, "; not: {}", named.join(", "));
    }
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
}

fn bold(colour: AnsiColor) -> Style {
    colour.on_default().bold()
}

/// A text of the page's without what would steer a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|symbol| if symbol.is_control() { ' ' } else { symbol }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}]0;title\u{7}b\u{9b}31m"), "a ]0;title b 31m");
    }

    #[test]
    fn what_was_not_reached_is_named() {
        let unreached = (0..12).map(|number| mondo_jobs::finding::Listener {
            event: "click".to_owned(),
            target: format!("b#{number}"),
        });
        let coverage = Coverage { listeners: 20, reached: 8, unreached: unreached.collect() };
        let mut text = String::new();
        cover(&mut text, &coverage, false);
        assert!(text.starts_with("\n  8 of 20 listeners reached; not: click on b#0, "), "{text}");
        assert!(text.ends_with("click on b#9 and 2 more"), "{text}");
    }
}
