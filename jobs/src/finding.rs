//! What an execution observed: single failures ([`Finding`]) and the whole of one run ([`Report`]).

use serde::{Deserialize, Serialize};

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
    /// A shader that does not compile, or a program that does not link.
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

/// One observed failure of a page.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of failure it is.
    pub class: FindingClass,
    /// Whether it keeps the candidate from being accepted.
    pub severity: Severity,
    /// What the browser said, one line of at most 500 characters.
    pub message: String,
    /// Line in the page's source, from 1; absent where the browser names none.
    pub line: Option<u32>,
    /// Column in that line, from 1.
    pub column: Option<u32>,
    /// What the driver was doing: `load`, `idle`, `click`, `keys`, `late`, `phone`.
    pub phase: String,
    /// Page time when it was seen, in milliseconds since navigation.
    pub page_ms: u64,
    /// The input that came right before it, in words (`click button "Start"`); absent where none had.
    pub input: Option<String>,
}

impl Finding {
    /// Whether this finding keeps a candidate from being accepted.
    pub fn is_blocking(&self) -> bool {
        self.severity == Severity::Blocking
    }
}

/// Everything one execution of one page observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The desktop view at the end, as PNG; kept apart from the JSON.
    #[serde(skip)]
    pub screenshot: Option<Vec<u8>>,
}

impl Report {
    /// The findings that keep the candidate from being accepted.
    pub fn blocking(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_blocking())
    }

    /// Whether nothing in it keeps the candidate from being accepted.
    pub fn is_clean(&self) -> bool {
        self.blocking().next().is_none()
    }
}
