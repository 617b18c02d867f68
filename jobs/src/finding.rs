//! What an execution observed: single failures ([`Finding`]) and the whole of one run ([`Report`]).

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub mod bounds;

/// What kind of failure a finding is. The names are stored, printed and matched on: they are never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingClass {
    /// A script that does not parse.
    Syntax,
    /// An uncaught `TypeError`.
    Type,
    /// An uncaught `ReferenceError`.
    Reference,
    /// Any other uncaught exception.
    Exception,
    /// A rejected promise that nobody handled.
    Rejection,
    /// `console.error` or a failed `console.assert`.
    Console,
    /// A warning that the browser itself logged (policy, deprecation, intervention).
    Browser,
    /// `alert`, `confirm`, `prompt` or a `beforeunload` question.
    Dialog,
    /// A request that could not be answered: the resource is not part of the page.
    Resource,
    /// A request that leaves the page for another host; blocked.
    External,
    /// The page tried to go somewhere else or to open a window.
    Navigation,
    /// The page stopped answering.
    Hang,
    /// The page's process died.
    Crash,
    /// The page used more memory than it may.
    Memory,
    /// Nothing is drawn.
    Blank,
    /// What is drawn or written is not what was meant: a shader that does not compile, a program that does not link, a
    /// shape or a text whose numbers are none.
    Graphics,
    /// Something that a sandboxed page may not do, and that it knows to live without: storage, devices, `eval`.
    Policy,
    /// The page is too busy to be smooth.
    Slow,
    /// An animation runs, but nothing moves.
    Still,
    /// The page is wider than a phone.
    Overflow,
    /// A key that the page handles scrolls the page as well.
    Scroll,
    /// A control that nothing listens to.
    Control,
    /// What keeps people from using the page: names, contrast, language.
    Accessibility,
}

impl FindingClass {
    /// The stored and printed name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Type => "type",
            Self::Reference => "reference",
            Self::Exception => "exception",
            Self::Rejection => "rejection",
            Self::Console => "console",
            Self::Browser => "browser",
            Self::Dialog => "dialog",
            Self::Resource => "resource",
            Self::External => "external",
            Self::Navigation => "navigation",
            Self::Hang => "hang",
            Self::Crash => "crash",
            Self::Memory => "memory",
            Self::Blank => "blank",
            Self::Graphics => "graphics",
            Self::Policy => "policy",
            Self::Slow => "slow",
            Self::Still => "still",
            Self::Overflow => "overflow",
            Self::Scroll => "scroll",
            Self::Control => "control",
            Self::Accessibility => "accessibility",
        }
    }
}

/// Whether a finding keeps a candidate from being accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The candidate cannot be accepted with it.
    Blocking,
    /// Worth knowing; does not decide.
    Advice,
}

/// One call in the stack of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StackFrame {
    /// The function, at most 100 characters; absent at the top of a script and in functions without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The file, as [`Finding::file`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in it, from 1.
    pub line: u32,
    /// Column in that line, from 1.
    pub column: u32,
}

impl fmt::Display for StackFrame {
    /// `index.js:12:5 draw`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_deref().unwrap_or("page");
        write!(f, "{file}:{}:{}", self.line, self.column)?;
        match &self.function {
            Some(function) => write!(f, " {function}"),
            None => Ok(()),
        }
    }
}

/// One observed failure of a page.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of failure it is.
    pub class: FindingClass,
    /// Whether it keeps the candidate from being accepted.
    pub severity: Severity,
    /// What the browser said, one line of at most 500 characters.
    pub message: String,
    /// The author's file that line and column are in, where the page was made of several; absent for the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in the page's source, from 1; absent where the browser names none.
    pub line: Option<u32>,
    /// Column in that line, from 1.
    pub column: Option<u32>,
    /// What the driver was doing: `load`, `idle`, `click`, `keys`, `late`, `play`, `phone`, `real`. What is fresh is used in the
    /// phase that it is found in, `click` or `late`.
    pub phase: String,
    /// Page time when it was seen, in milliseconds since navigation.
    pub page_ms: u64,
    /// The input that came right before it, in words (`click button "Start"`); absent where none had.
    pub input: Option<String>,
    /// The calls that led to it, the innermost first; at most 10, and only those in the page's own source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stack: Vec<StackFrame>,
}

impl Finding {
    /// Whether this finding keeps a candidate from being accepted.
    pub fn is_blocking(&self) -> bool {
        self.severity == Severity::Blocking
    }
}

/// One event that a page listens to. Targets that look alike, with the same tag, id and class, count as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listener {
    /// The event: `click`.
    pub event: String,
    /// The target in words: `button#start`, `window`.
    pub target: String,
}

/// How much of what a page listens to was reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Coverage {
    /// How many pairs of event and target the page listened to.
    pub listeners: u32,
    /// To how many of them the event came.
    pub reached: u32,
    /// Those to which it did not, in the order in which the page named them; at most 100.
    pub unreached: Vec<Listener>,
}

/// What the page looked like at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// What the driver was doing, as [`Finding::phase`].
    pub phase: String,
    /// Page time, in milliseconds since navigation.
    pub page_ms: u64,
    /// The view as PNG.
    pub png: Vec<u8>,
}

/// Everything one execution of one page observed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What was observed, in the order of page time; at most 200.
    pub findings: Vec<Finding>,
    /// How many more findings there were than are listed.
    pub findings_left_out: u32,
    /// The seed of the interaction plan and of the page's `Math.random`.
    pub seed: u64,
    /// Milliseconds of page time that the execution covered.
    pub page_ms: u64,
    /// Milliseconds of real time that it took.
    pub wall_ms: u64,
    /// Frames that were drawn.
    pub frames: u32,
    /// Inputs that were sent.
    pub inputs: u32,
    /// The highest memory seen in the page, in bytes.
    pub memory_bytes_peak: u64,
    /// What of it was reached; absent where the page did not live to tell, and in reports of old releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// [`Report::digest`] as of the execution; empty in reports of old releases.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// The desktop view at the end, as PNG; kept apart from the JSON.
    #[serde(skip)]
    pub screenshot: Option<Vec<u8>>,
    /// The views on the way, where they were asked for, in the order of page time; never stored.
    #[serde(skip)]
    pub views: Vec<View>,
}

impl Report {
    /// The findings that keep the candidate from being accepted.
    pub fn blocking(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_blocking())
    }

    /// What the same page with the same seed gives again, in the same release of the same browser: the SHA-256, in
    /// hex, of the seed, the findings, their number, page time, frames, inputs and coverage as JSON, and of the
    /// desktop view. Real time and memory are left out, and so is what is only slow: they differ from run to run.
    pub fn digest(&self) -> String {
        let steady = self.findings.iter().filter(|finding| finding.class != FindingClass::Slow);
        let same = serde_json::json!([
            self.seed,
            steady.collect::<Vec<_>>(),
            self.findings_left_out,
            self.page_ms,
            self.frames,
            self.inputs,
            self.coverage,
        ]);
        let mut hasher = Sha256::new();
        hasher.update(same.to_string());
        hasher.update(self.screenshot.as_deref().unwrap_or_default());
        hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Whether nothing in it keeps the candidate from being accepted.
    pub fn is_clean(&self) -> bool {
        self.blocking().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::fake::{blocking, report};

    #[test]
    fn a_digest_is_of_what_must_be_the_same_and_of_nothing_else() {
        let one = report(vec![blocking(FindingClass::Type, "x is null", 3)]);
        let slower = Report { wall_ms: 9_999, memory_bytes_peak: 1, hash: "x".to_owned(), ..one.clone() };
        assert_eq!(one.digest(), slower.digest());
        assert_eq!(one.digest().len(), 64);
        let mut not_smooth = one.clone();
        not_smooth.findings.push(blocking(FindingClass::Slow, "not smooth", 1));
        assert_eq!(one.digest(), not_smooth.digest());
        let coverage = Some(Coverage { listeners: 1, ..Coverage::default() });
        let others = [
            Report { findings: Vec::new(), ..one.clone() },
            Report { findings_left_out: 1, ..one.clone() },
            Report { seed: 8, ..one.clone() },
            Report { page_ms: 1, ..one.clone() },
            Report { frames: 1, ..one.clone() },
            Report { inputs: 1, ..one.clone() },
            Report { coverage, ..one.clone() },
            Report { screenshot: Some(vec![1]), ..one.clone() },
        ];
        for other in others {
            assert_ne!(one.digest(), other.digest(), "{other:?}");
        }
    }
}
