//! Mutants: a clean page with one small mistake of the kind that language models make, and what must be found in
//! it. The same seed gives the same mutants.

use mondo_jobs::finding::{FindingClass, Severity};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

use super::{Expected, Fault, lines_with};

/// Mistakes that replace a text on one line, with what the line then throws.
const REPLACED: &[(&str, &str, FindingClass, &str)] = &[
    (".beginPath(", ".startPath(", FindingClass::Type, "startPath is not a function"),
    (".fillRect(", ".fillRectangle(", FindingClass::Type, "fillRectangle is not a function"),
    (".clearRect(", ".clear(", FindingClass::Type, "clear is not a function"),
    (".arc(", ".circle(", FindingClass::Type, "circle is not a function"),
    (".appendChild(", ".appendchild(", FindingClass::Type, "appendchild is not a function"),
    (".append(", ".appendAll(", FindingClass::Type, "appendAll is not a function"),
    (".addEventListener(", ".addListener(", FindingClass::Type, "addListener is not a function"),
    (".setAttribute(", ".setAttr(", FindingClass::Type, "setAttr is not a function"),
    (".push(", ".add(", FindingClass::Type, "add is not a function"),
    (".querySelector(", ".querySelctor(", FindingClass::Type, "querySelctor is not a function"),
    (".getContext('2d')", ".getContext('2D')", FindingClass::Type, "null"),
    (".style.", ".styles.", FindingClass::Type, "undefined"),
    (".classList.", ".classlist.", FindingClass::Type, "undefined"),
    ("Math.", "Maths.", FindingClass::Reference, "Maths is not defined"),
    ("document.", "documnt.", FindingClass::Reference, "documnt is not defined"),
    (
        "requestAnimationFrame(",
        "requestAnimFrame(",
        FindingClass::Reference,
        "requestAnimFrame is not defined",
    ),
    ("performance.now(", "performance.time(", FindingClass::Type, "time is not a function"),
];

/// One kind of mistake: gives the changed page, or nothing where the page has no place for it.
type Mistake = fn(&str, &mut StdRng) -> Option<(String, Expected)>;

const MISTAKES: &[(&str, Mistake)] = &[
    ("replaced name", replace_name),
    ("replaced name", replace_name),
    ("replaced name", replace_name),
    ("undefined function", rename_one_call),
    ("missing brace", drop_brace),
    ("missing element", drop_id),
    ("unhandled rejection", reject),
    ("endless loop", loop_forever),
    ("constant assigned", make_constant),
    ("one too far", step_too_far),
];

/// Mutants of these clean pages, as many as asked for.
pub(crate) fn mutants(clean: &[(String, String)], count: usize, seed: u64) -> Vec<Fault> {
    let mut random = StdRng::seed_from_u64(seed);
    // A worker's script is a text of the page's, and its errors have lines of that text.
    let clean: Vec<_> = clean.iter().filter(|(_, page)| !page.contains("new Worker(")).collect();
    let mut mutants = Vec::new();
    let tries = count * 20;
    for _ in 0..tries {
        if mutants.len() == count {
            break;
        }
        let (name, page) = clean[random.random_range(0..clean.len())];
        let (kind, mistake) = MISTAKES[random.random_range(0..MISTAKES.len())];
        if let Some((page, expected)) = mistake(page, &mut random) {
            let place = expected.lines.first().map_or_else(String::new, |line| format!(":{line}"));
            mutants.push(Fault { name: format!("{name}{place} {kind}"), page, expected });
        }
    }
    mutants
}

fn expected(row: u8, class: FindingClass, words: &str, lines: Vec<u32>) -> Expected {
    let words = (!words.is_empty()).then(|| words.to_owned());
    Expected { row, class, severity: Severity::Blocking, input: None, words, lines }
}

fn replace_name(page: &str, random: &mut StdRng) -> Option<(String, Expected)> {
    let mut order: Vec<_> = REPLACED.iter().collect();
    order.shuffle(random);
    order.into_iter().find_map(|(from, to, class, words)| {
        let at = pick(&occurrences(page, from), random)?;
        let mutant = splice(page, at, from.len(), to);
        // A wrong context type throws where the context is first used, which may be any line.
        let lines = if *words == "null" { lines_after(page, at) } else { vec![line_at(page, at)] };
        Some((mutant, expected(7, found_as(page, at, *class), words, lines)))
    })
}

/// What an exception is found as that is thrown at this place: in an asynchronous function it rejects its promise, and
/// nobody waits for those of the corpus.
fn found_as(page: &str, at: usize, thrown: FindingClass) -> FindingClass {
    let begins = |line: &&str| !line.is_empty() && !line.starts_with([' ', '}']);
    match page[..at].lines().rev().find(begins) {
        Some(outermost) if outermost.starts_with("async ") => FindingClass::Rejection,
        _ => thrown,
    }
}

fn rename_one_call(page: &str, random: &mut StdRng) -> Option<(String, Expected)> {
    let names: Vec<&str> = occurrences(page, "function ")
        .into_iter()
        .filter_map(|at| page[at + "function ".len()..].split('(').next())
        .filter(|name| name.len() > 3 && name.chars().all(char::is_alphanumeric))
        .collect();
    let name = names.get(random.random_range(0..names.len().max(1)))?;
    let call = format!("{name}(");
    let is_call = |at: &usize| {
        let before = page[..*at].chars().next_back().unwrap_or(' ');
        !page[..*at].ends_with("function ") && !before.is_alphanumeric() && !matches!(before, '.' | '_' | '$')
    };
    let calls: Vec<usize> = occurrences(page, &call).into_iter().filter(is_call).collect();
    let at = pick(&calls, random)?;
    let wrong = format!("{name}Now");
    let line = line_at(page, at);
    let words = format!("{wrong} is not defined");
    let class = found_as(page, at, FindingClass::Reference);
    Some((splice(page, at, name.len(), &wrong), expected(7, class, &words, vec![line])))
}

fn drop_brace(page: &str, random: &mut StdRng) -> Option<(String, Expected)> {
    let script = page.rfind("<script")?;
    let closing: Vec<usize> = occurrences(page, "\n}").into_iter().filter(|at| *at > script).collect();
    let at = pick(&closing, random)? + 1;
    // The parser notices at the end, or at the first word that cannot follow.
    let lines = lines_after(page, at);
    Some((splice(page, at, 1, ""), expected(1, FindingClass::Syntax, "", lines)))
}

fn drop_id(page: &str, random: &mut StdRng) -> Option<(String, Expected)> {
    let wanted: Vec<usize> = occurrences(page, "getElementById('");
    let at = pick(&wanted, random)?;
    let id = page[at + "getElementById('".len()..].split('\'').next()?;
    let attribute = format!(" id=\"{id}\"");
    let place = page.find(&attribute)?;
    let lines = lines_after(page, place);
    Some((splice(page, place, attribute.len(), ""), expected(6, FindingClass::Type, "null", lines)))
}

fn reject(page: &str, random: &mut StdRng) -> Option<(String, Expected)> {
    let (at, line) = pick_function(page, random)?;
    let mutant = splice(page, at, 0, " Promise.reject(new Error('the mutant'));");
    Some((mutant, expected(11, FindingClass::Rejection, "the mutant", vec![line])))
}

fn loop_forever(page: &str, random: &mut StdRng) -> Option<(String, Expected)> {
    let (at, line) = pick_function(page, random)?;
    let mutant = splice(page, at, 0, " for (let n = 0; n < 9; ) { document.title; }");
    Some((mutant, expected(31, FindingClass::Hang, "", vec![line])))
}

fn make_constant(page: &str, random: &mut StdRng) -> Option<(String, Expected)> {
    let lets: Vec<usize> = occurrences(page, "\nlet ");
    let at = pick(&lets, random)? + 1;
    let name = page[at + "let ".len()..].split(|symbol: char| !symbol.is_alphanumeric()).next()?;
    let initialised = page[at + "let ".len() + name.len()..].starts_with(" =");
    let lines: Vec<u32> = [" = ", " += ", " -= ", "++"]
        .iter()
        .flat_map(|operator| lines_with(page, &format!("{name}{operator}")))
        .filter(|line| *line != line_at(page, at))
        .collect();
    (initialised && !lines.is_empty()).then(|| {
        (
            splice(page, at, "let".len(), "const"),
            expected(6, FindingClass::Type, "Assignment to constant", lines),
        )
    })
}

fn step_too_far(page: &str, random: &mut StdRng) -> Option<(String, Expected)> {
    let loops: Vec<usize> = occurrences(page, " < ")
        .into_iter()
        .filter(|at| {
            let line = page[*at..].lines().next().unwrap_or_default();
            let condition = line.split(';').next().unwrap_or_default();
            // Beyond the pixels of a picture there is nothing to be missed, or nothing that may be written.
            condition.ends_with(".length") && !condition.ends_with(".data.length")
        })
        .collect();
    let at = pick(&loops, random)?;
    let lines = lines_after(page, at);
    Some((splice(page, at, 3, " <= "), expected(6, FindingClass::Type, "undefined", lines)))
}

/// A place right inside the body of a named function, and its line.
fn pick_function(page: &str, random: &mut StdRng) -> Option<(usize, u32)> {
    let bodies: Vec<usize> = occurrences(page, "\nfunction ")
        .into_iter()
        .filter_map(|at| {
            let line = page[at + 1..].lines().next()?;
            line.ends_with('{').then_some(at + 1 + line.len())
        })
        .collect();
    let at = pick(&bodies, random)?;
    Some((at, line_at(page, at)))
}

fn occurrences(page: &str, text: &str) -> Vec<usize> {
    // Only scripts are mutated; what stands before the first one is markup and style.
    let start = page.find("<script").unwrap_or(page.len());
    page[start..].match_indices(text).map(|(at, _)| start + at).collect()
}

fn pick(places: &[usize], random: &mut StdRng) -> Option<usize> {
    (!places.is_empty()).then(|| places[random.random_range(0..places.len())])
}

fn splice(page: &str, at: usize, length: usize, text: &str) -> String {
    format!("{}{text}{}", &page[..at], &page[at + length..])
}

fn line_at(page: &str, at: usize) -> u32 {
    u32::try_from(page[..at].matches('\n').count() + 1).expect("a small page")
}

/// All lines from this place to the end.
fn lines_after(page: &str, at: usize) -> Vec<u32> {
    let last = line_at(page, page.len());
    (line_at(page, at)..=last).collect()
}
