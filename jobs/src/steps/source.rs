//! The parts of a page that a prompt shows: all of a small one, and of a large one what surrounds the findings,
//! so that a round of fix does not pay for the whole page again and again.

use std::{collections::BTreeSet, fmt::Write as _};

use serde::Serialize;

use crate::finding::Finding;

/// Lines shown before and after a finding's line.
const AROUND: usize = 20;

/// The most characters shown of one line.
const LINE_CHARS_MAX: usize = 600;

/// The most lines shown for orientation: where functions, variables and elements are declared.
const LANDMARKS_MAX: usize = 150;

/// The most bytes shown of a page in any case, line numbers apart.
const SHOWN_BYTES_MAX: usize = 96 * 1024;

/// A view of a page with line numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Source {
    /// Whether nothing is left out.
    whole: bool,
    /// Lines of the whole page.
    lines: usize,
    /// What is shown: `  12| text`, with `…` for what is left out.
    text: String,
}

impl Source {
    /// The whole page if it has at most `whole_bytes_max` bytes; otherwise what surrounds the findings, or both
    /// ends of the page if none of them has a line.
    pub(super) fn of(page: &str, findings: &[&Finding], whole_bytes_max: usize) -> Self {
        let lines: Vec<&str> = page.lines().collect();
        let marks: Vec<(usize, usize)> = findings
            .iter()
            .filter_map(|finding| Some((index(finding.line?), finding.column.map_or(0, index))))
            .filter(|(line, _)| *line < lines.len())
            .collect();
        let shown = if page.len() <= whole_bytes_max.min(SHOWN_BYTES_MAX) {
            (0..lines.len()).collect()
        } else if marks.is_empty() {
            ends(&lines)
        } else {
            windows(&lines, &marks)
        };
        let text = render(&lines, &marks, &shown);
        Self { whole: text.whole, lines: lines.len(), text: text.text }
    }
}

/// Counts from 1 become places in a slice.
fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1)
}

fn windows(lines: &[&str], marks: &[(usize, usize)]) -> BTreeSet<usize> {
    let landmarks = lines.iter().enumerate().filter(|(_, line)| is_landmark(line)).map(|(at, _)| at);
    let mut shown: BTreeSet<usize> = landmarks.take(LANDMARKS_MAX).collect();
    for (line, _) in marks {
        shown.extend(line.saturating_sub(AROUND)..(line + AROUND + 1).min(lines.len()));
    }
    shown
}

fn is_landmark(line: &str) -> bool {
    let code = line.trim_start();
    let declares = ["function ", "async function ", "class ", "const ", "let ", "var "];
    let shallow = line.len() - code.len() <= 8;
    (shallow && declares.iter().any(|word| code.starts_with(word))) || code.contains(" id=")
}

fn ends(lines: &[&str]) -> BTreeSet<usize> {
    let fits = |lines: &mut dyn Iterator<Item = (usize, &&str)>| {
        let mut bytes = 0;
        let taken: Vec<usize> = lines
            .take_while(|(_, line)| {
                bytes += line.len().min(LINE_CHARS_MAX) + 1;
                bytes <= SHOWN_BYTES_MAX / 2
            })
            .map(|(at, _)| at)
            .collect();
        taken
    };
    let mut shown: BTreeSet<usize> = fits(&mut lines.iter().enumerate()).into_iter().collect();
    shown.extend(fits(&mut lines.iter().enumerate().rev()));
    shown
}

struct Rendered {
    whole: bool,
    text: String,
}

fn render(lines: &[&str], marks: &[(usize, usize)], shown: &BTreeSet<usize>) -> Rendered {
    let mut rendered = Rendered { whole: shown.len() == lines.len(), text: String::new() };
    let mut before = None;
    let mut bytes = 0;
    for &at in shown {
        if at != before.map_or(0, |before| before + 1) {
            rendered.text.push_str("    …\n");
        }
        let column = marks.iter().find(|(line, _)| *line == at).map_or(0, |(_, column)| *column);
        let line = around_column(lines.get(at).copied().unwrap_or_default(), column);
        rendered.whole &= !line.contains('…') || lines.get(at).is_some_and(|whole| **whole == line);
        bytes += line.len() + 1;
        if bytes > SHOWN_BYTES_MAX {
            rendered.whole = false;
            break;
        }
        let _ = writeln!(rendered.text, "{:>5}| {line}", at + 1);
        before = Some(at);
    }
    if before.is_some_and(|before| before + 1 < lines.len()) {
        rendered.text.push_str("    …\n");
    }
    rendered
}

/// A long line is shown around the column that matters.
fn around_column(line: &str, column: usize) -> String {
    if line.chars().count() <= LINE_CHARS_MAX {
        return line.to_owned();
    }
    let from = column.saturating_sub(LINE_CHARS_MAX / 2);
    let shown: String = line.chars().skip(from).take(LINE_CHARS_MAX).collect();
    format!("{}{shown}…", if from > 0 { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{finding::FindingClass, ports::fake::blocking};

    fn page(lines: usize) -> String {
        (1..=lines).fold(String::new(), |page, line| page + &format!("line {line}\n"))
    }

    #[test]
    fn a_small_page_is_shown_whole() {
        let source = Source::of("<p>\n</p>", &[], 100);
        assert_eq!(source, Source { whole: true, lines: 2, text: "    1| <p>\n    2| </p>\n".to_owned() });
    }

    #[test]
    fn a_large_page_is_shown_around_its_findings() {
        let mut page = page(1000);
        page = page.replace("line 900\n", "  function draw() {\n");
        let finding = blocking(FindingClass::Type, "x", 500);
        let source = Source::of(&page, &[&finding], 100);
        assert!(!source.whole);
        let numbers: Vec<usize> =
            source.text.lines().filter_map(|line| line.split_once('|')?.0.trim().parse().ok()).collect();
        assert_eq!(numbers, (480..=520).chain([900]).collect::<Vec<_>>());
        assert!(source.text.starts_with("    …\n  480| line 480\n"));
        assert!(source.text.ends_with("    …\n  900|   function draw() {\n    …\n"));
    }

    #[test]
    fn without_lines_both_ends_are_shown() {
        let page = page(100_000);
        let mut finding = blocking(FindingClass::Blank, "x", 1);
        finding.line = None;
        let source = Source::of(&page, &[&finding], 100);
        assert!(source.text.starts_with("    1| line 1\n"));
        assert!(source.text.ends_with("100000| line 100000\n"));
        assert!(!source.whole && source.text.len() < 2 * SHOWN_BYTES_MAX);
    }

    #[test]
    fn a_long_line_is_shown_around_the_finding() {
        let page = format!("{}HERE{}", "a".repeat(50_000), "b".repeat(50_000));
        let mut finding = blocking(FindingClass::Type, "x", 1);
        finding.column = Some(50_001);
        let source = Source::of(&page, &[&finding], 100);
        assert!(source.text.contains("aHEREb") && source.text.len() < 2000, "{}", source.text);
        assert!(!source.whole);
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(page: String, line: u32, column: u32, whole in 0_usize..50) {
            let mut finding = blocking(FindingClass::Type, "x", line);
            finding.column = Some(column);
            let source = Source::of(&page, &[&finding], whole);
            prop_assert!(source.text.len() <= 2 * SHOWN_BYTES_MAX);
        }
    }
}
