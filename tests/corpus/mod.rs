//! The corpus: pages with one planted fault each, clean pages, and what a report is worth against them.
//!
//! A page in `tests/fixtures/faults` says in its first comment what must be found,
//! `<!-- fault {"row": 36, "class": "type", "severity": "blocking", "input": "click button"} -->`, and marks the
//! faulty line with the word `FAULT` in a comment, so that an edit above it moves the expectation along. `row` is
//! the row of the list of failure classes in `tests/README.md`.

pub(crate) mod mutate;

use std::path::{Path, PathBuf};

use mondo_jobs::finding::{Finding, FindingClass, Report, Severity};
use serde::Deserialize;

/// How a page's first comment begins.
const HEADER: &str = "<!-- fault ";

/// The word that marks a faulty line.
const MARK: &str = "FAULT";

/// One page with one planted fault.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// The file without its ending, or what was changed in which clean page.
    pub(crate) name: String,
    pub(crate) page: String,
    pub(crate) expected: Expected,
}

/// What must be found in a page.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// The row of the list of failure classes, 1 to 51.
    pub(crate) row: u8,
    pub(crate) class: FindingClass,
    pub(crate) severity: Severity,
    /// What the input that leads to it begins with; absent where the page fails by itself.
    pub(crate) input: Option<String>,
    /// What its message contains, where the class alone could be something else.
    pub(crate) words: Option<String>,
    /// The lines it may name, from 1; empty where the browser names none.
    #[serde(skip)]
    pub(crate) lines: Vec<u32>,
}

/// What one report is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Found, with its line and its input.
    Caught,
    /// Found at another line or at none.
    WrongLine,
    /// Found at the right line, after another input than the one that provokes it.
    WrongInput,
    /// The page was refused for another reason.
    WrongClass,
    /// Not found.
    Missed,
}

impl Expected {
    /// The letter of the class: A parse and load, B async, C reported but not thrown, D resources and policy,
    /// E the machine, F interaction, G what is seen.
    pub(crate) fn letter(&self) -> char {
        match self.row {
            0..=10 => 'A',
            11..=17 => 'B',
            18..=21 => 'C',
            22..=30 => 'D',
            31..=35 => 'E',
            36..=45 => 'F',
            _ => 'G',
        }
    }

    /// What a report is worth.
    pub(crate) fn judge(&self, report: &Report) -> Verdict {
        let found: Vec<&Finding> =
            report.findings.iter().filter(|finding| self.is_found_in(finding)).collect();
        if found.is_empty() {
            let refused = self.severity == Severity::Blocking && !report.is_clean();
            return if refused { Verdict::WrongClass } else { Verdict::Missed };
        }
        let at_line = |finding: &&&Finding| match finding.line {
            Some(line) => self.lines.contains(&line),
            None => self.lines.is_empty(),
        };
        let after_input = |finding: &&&Finding| match (&self.input, &finding.input) {
            (Some(expected), Some(input)) => input.starts_with(expected.as_str()),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let mut in_place = found.iter().filter(at_line).peekable();
        if in_place.peek().is_none() {
            return Verdict::WrongLine;
        }
        if in_place.any(|finding| after_input(&finding)) {
            return Verdict::Caught;
        }
        Verdict::WrongInput
    }

    fn is_found_in(&self, finding: &Finding) -> bool {
        finding.class == self.class
            && finding.severity == self.severity
            && self.words.as_ref().is_none_or(|words| finding.message.contains(words.as_str()))
    }
}

/// Where the corpus of the repository is.
pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The pages with a planted fault in the folder `faults`, in the order of their names.
pub(crate) fn faults(fixtures: &Path) -> Vec<Fault> {
    pages(&fixtures.join("faults")).into_iter().map(|(name, page)| fault(name, page)).collect()
}

/// The pages in the folder `clean`: name and source, in the order of their names.
pub(crate) fn clean(fixtures: &Path) -> Vec<(String, String)> {
    pages(&fixtures.join("clean"))
}

fn pages(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).expect("a folder of fixtures");
    let mut pages: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "html"))
        .map(|path| {
            let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("a page"))
        })
        .collect();
    pages.sort();
    pages
}

fn fault(name: String, page: String) -> Fault {
    let first = page.lines().next().unwrap_or_default();
    let json = first.strip_prefix(HEADER).and_then(|rest| rest.strip_suffix(" -->"));
    let json = json.unwrap_or_else(|| panic!("`{name}` does not begin with `{HEADER}{{…}} -->`"));
    let mut expected: Expected =
        serde_json::from_str(json).unwrap_or_else(|error| panic!("`{name}`: {error} in {json}"));
    expected.lines = lines_with(&page, MARK);
    Fault { name, page, expected }
}

/// The numbers of the lines that contain a word, from 1.
fn lines_with(page: &str, word: &str) -> Vec<u32> {
    (1..).zip(page.lines()).filter(|(_, line)| line.contains(word)).map(|(number, _)| number).collect()
}
