//! Mending what the findings of an execution reveal: one mender for each thing that browsers say.
//!
//! A mender sees the page, the browser's message and the line. It never sees the script as it was before a
//! fault was planted, and a fault that no finding speaks of stays.

use std::ops::Range;

use mondo_jobs::{
    finding::{Finding, FindingClass},
    steps::replies::{Edit, FixReply},
};

use super::source;

/// How many slips of the fingers two spellings of one name may be apart.
const SLIPS_MAX: usize = 2;

/// One change of a page and why.
struct Change {
    place: Range<usize>,
    replacement: String,
    /// Whether a misspelt name of a function, a variable or a method is replaced.
    is_name: bool,
    why: String,
}

impl Change {
    /// Misspells the name that the change puts in place, unless that makes another name of the page.
    fn slip(&mut self, page: &str) {
        let slip = format!("{}s", self.replacement);
        if self.is_name && !page.contains(&slip) {
            self.replacement = slip;
        }
    }
}

/// How well a fix is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// Everything that the findings reveal is mended.
    Thorough,
    /// Only the first cause is.
    Hasty,
    /// The first name that is mended is misspelt again.
    Slipping,
}

/// Edits that mend what the findings reveal.
pub(super) fn mend(page: &str, findings: &[Finding], care: Care) -> FixReply {
    let causes_max = if care == Care::Hasty { 1 } else { usize::MAX };
    let mut mended = page.to_owned();
    let mut edits = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.is_blocking()) {
        while let Some(mut change) = diagnose(&mended, finding) {
            if !reasons.contains(&change.why) {
                if reasons.len() == causes_max {
                    break;
                }
                if care == Care::Slipping && reasons.is_empty() {
                    change.slip(&mended);
                }
                reasons.push(change.why);
            }
            edits.push(unique_edit(&mended, change.place.clone(), &change.replacement));
            mended.replace_range(change.place, &change.replacement);
        }
    }
    let explanation = match reasons.as_slice() {
        [] => "None of the findings shows a fault that this responder knows how to mend.".to_owned(),
        reasons => reasons.join(" "),
    };
    FixReply { explanation, edits }
}

fn diagnose(page: &str, finding: &Finding) -> Option<Change> {
    let message = finding.message.as_str();
    if finding.class == FindingClass::Syntax {
        return lost_bracket(page, finding.line);
    }
    if let Some(name) = word_ending_before(message, " is not defined") {
        return misspelt_name(page, name);
    }
    if let Some(name) = word_ending_before(message, " is not a function") {
        return misspelt_method(page, name);
    }
    if message.contains("properties of null") || message.contains("null (") {
        return misspelt_id(page);
    }
    if message.contains("properties of undefined") {
        return endless_index(page);
    }
    if message.contains("Assignment to constant variable") {
        return frozen_variable(page, finding.line);
    }
    None
}

fn word_ending_before<'a>(message: &'a str, end: &str) -> Option<&'a str> {
    let word = source::word_before(message, message.find(end)?);
    (!word.is_empty()).then(|| &message[word])
}

/// A call that lost its closing bracket: on the reported line if it looks so, else on the only line that does.
fn lost_bracket(page: &str, line: Option<u32>) -> Option<Change> {
    let broken = |line: &Range<usize>| {
        let text = page[line.clone()].trim_end();
        text.ends_with(';') && source::surplus(text) == 1
    };
    let index = usize::try_from(line?).ok()?.checked_sub(1)?;
    let reported = source::lines(page).nth(index).filter(broken);
    let line = reported.or_else(|| source::lines(page).find(broken))?;
    let end = line.start + page[line.clone()].trim_end().len() - 1;
    Some(Change {
        place: end..end,
        replacement: ")".to_owned(),
        is_name: false,
        why: format!("`{}` lacked the bracket that closes its call.", page[line].trim()),
    })
}

/// A name that nothing declares, close to one that something does.
fn misspelt_name(page: &str, name: &str) -> Option<Change> {
    let wanted = nearest(name, source::declared(page).into_iter())?;
    let place = source::whole_words(page, name).into_iter().next()?;
    let why = format!("`{name}` is declared nowhere; `{wanted}` is meant.");
    Some(Change { place, replacement: wanted.to_owned(), is_name: true, why })
}

/// A method that its object does not have, close to one that scripts of pages know.
fn misspelt_method(page: &str, name: &str) -> Option<Change> {
    let wanted = nearest(name, source::WEB_METHODS.into_iter())?;
    let called =
        |place: &Range<usize>| page[..place.start].ends_with('.') && page[place.end..].starts_with('(');
    let place = source::whole_words(page, name).into_iter().find(called)?;
    let why = format!("There is no method `{name}`; `{wanted}` is meant.");
    Some(Change { place, replacement: wanted.to_owned(), is_name: true, why })
}

/// A lookup of an id that no element has, close to one that an element has.
fn misspelt_id(page: &str) -> Option<Change> {
    let ids: Vec<&str> = page
        .match_indices(" id=\"")
        .filter_map(|(at, mark)| {
            let rest = &page[at + mark.len()..];
            Some(&rest[..rest.find('"')?])
        })
        .collect();
    let mut unknown = source::id_lookups(page).into_iter().filter(|id| !ids.contains(&&page[id.clone()]));
    unknown.find_map(|place| {
        let id = &page[place.clone()];
        let wanted = nearest(id, ids.iter().copied())?;
        let why = format!("No element has the id `{id}`; `{wanted}` is meant.");
        Some(Change { place, replacement: wanted.to_owned(), is_name: false, why })
    })
}

/// A list that is read at an index which only ever grows.
fn endless_index(page: &str) -> Option<Change> {
    page.match_indices(" += 1;").find_map(|(at, _)| {
        let index = &page[source::word_before(page, at)];
        let reading = format!("[{index}]");
        let bounded = [format!("{index} % "), format!("{index} < "), format!("{index} >= ")];
        if index.is_empty() || bounded.iter().any(|bound| page.contains(bound)) {
            return None;
        }
        let place = page.find(&reading)?;
        let list = &page[source::word_before(page, place)];
        Some(Change {
            place: place..place + reading.len(),
            replacement: format!("[{index} % {list}.length]"),
            is_name: false,
            why: format!("`{index}` runs over the end of `{list}`; it has to start again at 0."),
        })
    })
}

/// A `const` that the reported line assigns to.
fn frozen_variable(page: &str, line: Option<u32>) -> Option<Change> {
    let line = source::lines(page).nth(usize::try_from(line?).ok()?.checked_sub(1)?)?;
    let text = &page[line.clone()];
    [" = ", " += ", " -= ", "++", "--"].iter().find_map(|operator| {
        let name = &text[source::word_before(text, text.find(operator)?)];
        let declaration = format!("const {name} = ");
        let start = (!name.is_empty()).then(|| page.find(&declaration)).flatten()?;
        Some(Change {
            place: start..start + "const".len(),
            replacement: "let".to_owned(),
            is_name: false,
            why: format!("`{name}` changes, so it cannot be a constant."),
        })
    })
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = known.filter(|known| *known != name).map(|known| (strsim::osa_distance(name, known), known));
    close.filter(|(slips, _)| *slips <= SLIPS_MAX).min_by_key(|(slips, _)| *slips).map(|(_, known)| known)
}

/// An edit whose `find` occurs exactly once: the line of the place, and as many lines before it as that takes.
fn unique_edit(page: &str, place: Range<usize>, replacement: &str) -> Edit {
    let mut whole = source::line_at(page, place.start);
    while page.matches(&page[whole.clone()]).nth(1).is_some() && whole.start > 0 {
        whole.start = source::line_at(page, whole.start - 1).start;
    }
    let find = page[whole.clone()].to_owned();
    let mut replace = find.clone();
    replace.replace_range(place.start - whole.start..place.end - whole.start, replacement);
    Edit { find, replace }
}
