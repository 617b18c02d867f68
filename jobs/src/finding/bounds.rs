//! How much a report may hold. Who makes one keeps to it, and who is given one looks.

use super::{Finding, Report, StackFrame};

/// The most findings that are listed.
pub const FINDINGS_MAX: usize = 200;

/// The most characters of a message, an input or the name of a file.
pub const TEXT_CHARS_MAX: usize = 500;

/// The most characters of a phase.
pub const PHASE_CHARS_MAX: usize = 100;

/// The most calls of a stack.
pub const STACK_FRAMES_MAX: usize = 10;

/// The most characters of a function's name.
pub const FUNCTION_CHARS_MAX: usize = 100;

/// The most listeners that are named.
pub const UNREACHED_MAX: usize = 100;

/// The most characters of a listener's event, and of its target.
pub const LISTENER_CHARS_MAX: usize = 60;

impl Report {
    /// What of it is over its bound, in words; nothing in a report that a sandbox of this release makes.
    pub fn excess(&self) -> Option<&'static str> {
        if self.findings.len() > FINDINGS_MAX {
            return Some("findings");
        }
        let unreached = self.coverage.iter().flat_map(|coverage| &coverage.unreached);
        if unreached.clone().count() > UNREACHED_MAX {
            return Some("listeners");
        }
        if unreached.clone().any(|one| is_long(&one.event, LISTENER_CHARS_MAX)) {
            return Some("an event");
        }
        if unreached.clone().any(|one| is_long(&one.target, LISTENER_CHARS_MAX)) {
            return Some("a target");
        }
        self.findings.iter().find_map(Finding::excess)
    }
}

impl Finding {
    fn excess(&self) -> Option<&'static str> {
        let is_wrong = |text: &String| is_long(text, TEXT_CHARS_MAX) || has_lines(text);
        if is_wrong(&self.message) {
            return Some("a message");
        }
        if self.input.as_ref().is_some_and(is_wrong) {
            return Some("an input");
        }
        if self.file.as_ref().is_some_and(is_wrong) {
            return Some("a file");
        }
        if is_long(&self.phase, PHASE_CHARS_MAX) {
            return Some("a phase");
        }
        if self.stack.len() > STACK_FRAMES_MAX {
            return Some("a stack");
        }
        self.stack.iter().find_map(StackFrame::excess)
    }
}

impl StackFrame {
    fn excess(&self) -> Option<&'static str> {
        if self.function.as_ref().is_some_and(|name| is_long(name, FUNCTION_CHARS_MAX)) {
            return Some("a function");
        }
        self.file.as_ref().is_some_and(|name| is_long(name, TEXT_CHARS_MAX)).then_some("a file")
    }
}

fn is_long(text: &str, chars_max: usize) -> bool {
    text.chars().nth(chars_max).is_some()
}

/// Words are apart by single spaces where a report is made.
fn has_lines(text: &str) -> bool {
    text.chars().any(|symbol| symbol.is_whitespace() && symbol != ' ')
}
