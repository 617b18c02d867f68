//! Collects what one execution observes: bounded, deduplicated, each with the moment and the input that led to it.

pub(super) mod classify;
pub(super) mod stack;

use std::collections::{HashMap, HashSet};

use mondo_jobs::{
    finding::{
        Finding, FindingClass, Severity, StackFrame,
        bounds::{FINDINGS_MAX, STACK_FRAMES_MAX, TEXT_CHARS_MAX},
    },
    place::Place,
};

/// Findings beyond the list after which a page has shown all that it can.
const LEFT_OUT_MAX: u32 = 2000;

/// The list takes no advice once it is this long, so that no page can hide a failure behind many small things.
const LENGTH_FOR_ADVICE_MAX: usize = 100;

/// What was observed, before it is known when.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Observation {
    pub(super) class: FindingClass,
    pub(super) severity: Severity,
    pub(super) message: String,
    pub(super) place: Option<Place>,
    /// The calls that led to it; no part of what it is, since many ways lead to one failure.
    pub(super) stack: Vec<StackFrame>,
}

impl Observation {
    /// An observation whose message is cut to one line of bounded length.
    pub(super) fn new(class: FindingClass, severity: Severity, message: &str, place: Option<Place>) -> Self {
        Self { class, severity, message: one_line(message), place, stack: Vec::new() }
    }

    /// Whether both are of the same failure, whatever led to it.
    fn is_same_as(&self, other: &Self) -> bool {
        (self.class, self.severity, &self.message, self.place)
            == (other.class, other.severity, &other.message, other.place)
    }

    pub(super) fn blocking(class: FindingClass, message: &str, place: Option<Place>) -> Self {
        Self::new(class, Severity::Blocking, message, place)
    }

    /// The same with where it was.
    pub(super) fn at(mut self, stack: Vec<StackFrame>) -> Self {
        self.place = stack.first().map(stack::place_of);
        self.with_stack(stack)
    }

    pub(super) fn with_stack(mut self, stack: Vec<StackFrame>) -> Self {
        self.stack = stack;
        self.stack.truncate(STACK_FRAMES_MAX);
        self
    }

    pub(super) fn advice(class: FindingClass, message: &str, place: Option<Place>) -> Self {
        Self::new(class, Severity::Advice, message, place)
    }
}

/// The findings of one execution so far.
#[derive(Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    seen: HashSet<Observation>,
    left_out: u32,
    phase: &'static str,
    input: Option<String>,
    /// When everything counts as found, where the real moment would be another one each time.
    timeless_ms: Option<u64>,
    /// Errors that the page's own listeners were told of. The browser reports each of them in the next moment,
    /// unless the page keeps it from doing so.
    suspects: Vec<(Observation, u64)>,
    /// Mistakes that the page caught itself, which it may tell of all the same.
    hidden: Vec<Finding>,
    /// What the browser reported under which exception id: a rejection may be taken back.
    by_exception: HashMap<i64, Observation>,
}

impl Findings {
    /// What follows belongs to `phase` and has no input yet.
    pub(super) fn enter(&mut self, phase: &'static str) {
        self.phase = phase;
        self.input = None;
    }

    /// What follows belongs to `phase`, whose moments depend on the machine: all of it counts as found at `page_ms`,
    /// and of each place only the first, since how often something fails there differs as well.
    pub(super) fn enter_timeless(&mut self, phase: &'static str, page_ms: u64) {
        self.enter(phase);
        self.timeless_ms = Some(page_ms);
    }

    /// What is being done.
    pub(super) fn phase(&self) -> &'static str {
        self.phase
    }

    /// What follows comes right after this input, given in words.
    pub(super) fn after(&mut self, input: &str) {
        self.input = Some(one_line(input));
    }

    /// Adds an observation made at `page_ms`, unless the same one is there.
    pub(super) fn add(&mut self, observation: Observation, page_ms: u64) {
        let page_ms = self.timeless_ms.unwrap_or(page_ms);
        let told = |finding: &Finding| {
            finding.class == observation.class && finding.line == observation.place.map(|place| place.line)
        };
        if self.timeless_ms.is_some() && self.list.iter().any(told) {
            return;
        }
        let bare = Observation { stack: Vec::new(), ..observation.clone() };
        if self.seen.contains(&bare) {
            return;
        }
        let length_max = match observation.severity {
            Severity::Blocking => FINDINGS_MAX,
            Severity::Advice => LENGTH_FOR_ADVICE_MAX,
        };
        if self.list.len() >= length_max {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.seen.insert(bare);
        self.list.push(self.finding(observation, page_ms));
    }

    fn finding(&self, observation: Observation, page_ms: u64) -> Finding {
        Finding {
            class: observation.class,
            severity: observation.severity,
            message: observation.message,
            file: None,
            line: observation.place.map(|place| place.line),
            column: observation.place.map(|place| place.column),
            phase: self.phase.to_owned(),
            page_ms,
            input: self.input.clone(),
            stack: observation.stack,
        }
    }

    /// Notes a mistake that the page made and caught at `page_ms`.
    pub(super) fn hidden(&mut self, observation: Observation, page_ms: u64) {
        if self.hidden.len() < FINDINGS_MAX {
            let page_ms = self.timeless_ms.unwrap_or(page_ms);
            self.hidden.push(self.finding(observation, page_ms));
        }
    }

    /// Adds the mistakes of which the page has told nobody: it may have written them to its console, or thrown them on.
    fn tell_hidden(&mut self) {
        for mut mistake in std::mem::take(&mut self.hidden) {
            let is_told = self.list.iter().any(|finding| finding.message.contains(&mistake.message));
            if !is_told && self.list.len() < LENGTH_FOR_ADVICE_MAX {
                mistake.message = one_line(&format!("{} (caught by the page)", mistake.message));
                self.list.push(mistake);
            }
        }
    }

    /// Whether there are so many that the page need not go on.
    pub(super) fn are_a_flood(&self) -> bool {
        self.left_out > LEFT_OUT_MAX
    }

    /// Notes an error that the page was told of at `page_ms`.
    pub(super) fn suspect(&mut self, observation: Observation, page_ms: u64) {
        if self.suspects.len() < FINDINGS_MAX {
            self.suspects.push((observation, page_ms));
        }
    }

    /// Adds an exception that the browser reported; the suspect that announced it is cleared.
    pub(super) fn add_exception(&mut self, exception_id: i64, observation: Observation, page_ms: u64) {
        let of_class = |suspect: &Observation| suspect.class == observation.class;
        let same_words =
            |(suspect, _): &(Observation, u64)| of_class(suspect) && suspect.message == observation.message;
        // Thrown values that are no errors have other words here than there, and rejected ones no place there.
        let same_place = |(suspect, _): &(Observation, u64)| {
            of_class(suspect) && (suspect.place.is_none() || suspect.place == observation.place)
        };
        let announced =
            self.suspects.iter().position(same_words).or_else(|| self.suspects.iter().rposition(same_place));
        if let Some(index) = announced {
            self.suspects.remove(index);
        }
        if self.by_exception.len() < FINDINGS_MAX {
            self.by_exception.insert(exception_id, observation.clone());
        }
        self.add(observation, page_ms);
    }

    /// Takes back a rejection that was handled after all.
    pub(super) fn revoke(&mut self, exception_id: i64) {
        let Some(mut observation) = self.by_exception.remove(&exception_id) else { return };
        observation.stack.clear();
        let still_stands = self.by_exception.values().any(|other| observation.is_same_as(other));
        if !still_stands && self.seen.remove(&observation) {
            self.list.retain(|finding| !is_of(finding, &observation));
        }
    }

    /// Adds the suspects that the browser was kept from reporting.
    pub(super) fn settle(&mut self) {
        for (suspect, page_ms) in std::mem::take(&mut self.suspects) {
            self.add(suspect, page_ms);
        }
    }

    /// The findings by their moments, and how many more there were. What a page asks for takes another way to us than what
    /// it says, now a longer, now a shorter one; in one moment it comes last.
    pub(super) fn finish(mut self) -> (Vec<Finding>, u32) {
        self.tell_hidden();
        let asked = |finding: &Finding| match finding.class {
            FindingClass::Resource | FindingClass::External | FindingClass::Navigation => {
                Some((finding.line, finding.column, finding.class, finding.message.clone()))
            }
            _ => None,
        };
        self.list.sort_by_cached_key(|finding| (finding.page_ms, asked(finding)));
        (self.list, self.left_out)
    }
}

fn is_of(finding: &Finding, observation: &Observation) -> bool {
    finding.class == observation.class
        && finding.message == observation.message
        && finding.line == observation.place.map(|place| place.line)
        && finding.column == observation.place.map(|place| place.column)
}

fn one_line(message: &str) -> String {
    let mut line = String::new();
    for word in message.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > 4 * TEXT_CHARS_MAX {
            break;
        }
    }
    if line.chars().count() > TEXT_CHARS_MAX {
        line = line.chars().take(TEXT_CHARS_MAX - 1).chain(['…']).collect();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: &str) -> Observation {
        Observation::blocking(FindingClass::Type, message, Some(Place { line: 1, column: 2 }))
    }

    #[test]
    fn the_same_observation_is_listed_once() {
        let mut findings = Findings::default();
        findings.add(error("x"), 1);
        findings.add(error("x"), 2);
        let (list, left_out) = findings.finish();
        assert_eq!((list.len(), list[0].page_ms, left_out), (1, 1, 0));
    }

    #[test]
    fn findings_over_the_limit_are_counted() {
        let mut findings = Findings::default();
        for number in 0..FINDINGS_MAX + 7 {
            findings.add(error(&number.to_string()), 1);
        }
        let (list, left_out) = findings.finish();
        assert_eq!((list.len(), left_out), (FINDINGS_MAX, 7));
    }

    #[test]
    fn no_amount_of_advice_hides_a_failure() {
        let mut findings = Findings::default();
        for number in 0..FINDINGS_MAX {
            let advice = Observation::advice(FindingClass::External, &number.to_string(), None);
            findings.add(advice, 1);
        }
        findings.add(error("x"), 2);
        let (list, left_out) = findings.finish();
        assert_eq!(list.last().map(|finding| finding.message.as_str()), Some("x"));
        assert_eq!(list.len() + left_out as usize, FINDINGS_MAX + 1);
    }

    #[test]
    fn messages_and_inputs_are_one_line_of_bounded_length() {
        assert_eq!(error("a\n  b\tc").message, "a b c");
        let long = "ä".repeat(10_000);
        let mut findings = Findings::default();
        findings.after(&long);
        findings.add(error(&long), 1);
        let (list, _) = findings.finish();
        for text in [&list[0].message, list[0].input.as_ref().unwrap()] {
            assert_eq!(text.chars().count(), TEXT_CHARS_MAX);
            assert!(text.ends_with('…'));
        }
    }

    #[test]
    fn what_is_asked_for_in_one_moment_has_one_place_among_what_is_said() {
        let asked = |line| {
            let place = Some(Place { line, column: 1 });
            Observation::blocking(FindingClass::Resource, "missing", place)
        };
        let order_of = |observations: [Observation; 4]| {
            let mut findings = Findings::default();
            for observation in observations {
                findings.add(observation, 1);
            }
            findings.add(asked(1), 2);
            findings
                .finish()
                .0
                .iter()
                .map(|finding| (finding.message.clone(), finding.line))
                .collect::<Vec<_>>()
        };
        let order = order_of([error("b"), error("a"), asked(8), asked(9)]);
        assert_eq!(order_of([asked(9), error("b"), asked(8), error("a")]), order);
        assert_eq!(order.last(), Some(&("missing".to_owned(), Some(1))), "a later moment stays later");
    }

    #[test]
    fn an_error_that_the_page_suppresses_is_found_once() {
        let mut findings = Findings::default();
        findings.suspect(error("reported"), 1);
        findings.suspect(error("suppressed"), 1);
        findings.add_exception(1, error("reported"), 1);
        findings.settle();
        let (list, _) = findings.finish();
        let messages: Vec<_> = list.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(messages, ["reported", "suppressed"]);
    }

    #[test]
    fn an_exception_that_was_not_announced_clears_no_other() {
        let elsewhere = Place { line: 7, column: 7 };
        let mut findings = Findings::default();
        findings.suspect(error("suppressed"), 1);
        findings.add_exception(1, Observation { place: Some(elsewhere), ..error("not announced") }, 1);
        findings.suspect(error("[object Object]"), 1);
        findings.add_exception(2, error("Object"), 1);
        findings.settle();
        let (list, _) = findings.finish();
        let messages: Vec<_> = list.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(messages, ["not announced", "Object", "suppressed"]);
    }

    #[test]
    fn a_mistake_that_was_caught_is_told_once_and_not_beside_what_the_page_says_of_it() {
        let mut findings = Findings::default();
        for message in ["TypeError: said", "TypeError: hidden", "TypeError: hidden"] {
            findings.hidden(Observation::advice(FindingClass::Type, message, None), 1);
        }
        findings.add(Observation::blocking(FindingClass::Console, "failed: TypeError: said", None), 1);
        let (list, _) = findings.finish();
        let messages: Vec<_> = list.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(messages, ["failed: TypeError: said", "TypeError: hidden (caught by the page)"]);
    }

    #[test]
    fn a_rejection_that_is_handled_later_is_taken_back() {
        let mut findings = Findings::default();
        findings.add_exception(1, error("late"), 1);
        findings.add_exception(2, error("never"), 1);
        findings.revoke(1);
        let (list, _) = findings.finish();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].message, "never");
    }
}
