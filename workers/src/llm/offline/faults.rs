//! Faults that the responder plants in its own scripts, so that there is something to find and to mend.
//!
//! Each kind is a slip of the sort that models make. It is planted by changing the finished script: nothing
//! marks the place, and [`super::mend`] has to find it from what the browser says.

use std::ops::Range;

use super::{dice::Dice, source};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A closing bracket is lost.
    Syntax,
    /// A function is called by a misspelt name while the page loads.
    Reference,
    /// An element is looked up by a misspelt id, or a method is called by a misspelt name.
    Type,
    /// Some seconds after loading, a timer runs over the end of a list or calls a misspelt name.
    LateTimer,
    /// A click handler fails.
    Click,
    /// A key handler fails.
    Key,
    /// An asynchronous function fails and nobody handles it.
    Rejection,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::Syntax, Self::Reference, Self::Type, Self::LateTimer, Self::Click, Self::Key, Self::Rejection];
}

/// The faults of a pair: none in two of five, two in one of eight, else one.
pub(super) fn chosen(seed: u64) -> Vec<Fault> {
    let mut dice = Dice::new(seed, "faults");
    if !dice.percent(60) {
        return Vec::new();
    }
    let mut kinds = Fault::ALL.to_vec();
    dice.shuffle(&mut kinds);
    kinds.truncate(if dice.percent(20) { 2 } else { 1 });
    kinds
}

/// The script with a fault of this kind; `None` where it has no place for one.
pub(super) fn plant(script: &str, fault: Fault, seed: u64) -> Option<String> {
    let mut dice = Dice::new(seed, "fault");
    let places = match fault {
        Fault::Syntax => lost_brackets(script),
        Fault::Reference => source::calls(script, &at_load(script)),
        Fault::Type => {
            let methods = source::web_methods(script, &at_load(script));
            if methods.is_empty() || dice.percent(50) { misspelt_ids(script) } else { methods }
        }
        Fault::LateTimer if dice.percent(50) => return lose_modulo(script),
        Fault::LateTimer => calls_in(script, "  setInterval(() => {", 4),
        Fault::Click if dice.percent(30) => return freeze_variable(script),
        Fault::Click => calls_in(script, "onClick(\"", 2),
        Fault::Key if dice.percent(50) => words_at(script, "    event.", "preventDefault"),
        Fault::Key => arrow_key_calls(script),
        Fault::Rejection => words_at(script, "  await ", "nextFrame"),
    };
    if places.is_empty() {
        return None;
    }
    let place = dice.pick(&places).clone();
    let replacement = match fault {
        Fault::Syntax => String::new(),
        _ => misspelling(script, &script[place.clone()], &mut dice),
    };
    let mut planted = script.to_owned();
    planted.replace_range(place, &replacement);
    Some(planted)
}

/// Statements that certainly run while the page loads or in its first frame: those of `reset` and `draw`, and
/// those of the functions that these call.
fn at_load(script: &str) -> Vec<Range<usize>> {
    let mut lines = certain(script, "reset");
    lines.extend(certain(script, "draw"));
    for call in source::calls(script, &lines.clone()) {
        lines.extend(certain(script, &script[call]));
    }
    lines.sort_by_key(|line| line.start);
    lines.dedup();
    lines
}

/// The unconditional statements of a function, up to the first that may leave it.
fn certain(script: &str, function: &str) -> Vec<Range<usize>> {
    let lines = source::block(script, &format!("function {function}("), 2).into_iter();
    let lines = lines.take_while(|line| !script[line.clone()].contains("return"));
    let plain = |line: &Range<usize>| {
        let text = script[line.clone()].trim_start();
        !["if ", "for ", "while ", "}"].iter().any(|word| text.starts_with(word)) && !text.contains("=>")
    };
    lines.filter(plain).collect()
}

fn calls_in(script: &str, head: &str, indent: usize) -> Vec<Range<usize>> {
    source::calls(script, &source::block(script, head, indent))
}

fn arrow_key_calls(script: &str) -> Vec<Range<usize>> {
    let mut lines = source::block(script, "onKeys({", 2);
    lines.retain(|line| {
        let text = script[line.clone()].trim_start();
        text.starts_with("Arrow") || text.starts_with("\" \"")
    });
    source::calls(script, &lines)
}

fn words_at(script: &str, before: &str, word: &str) -> Vec<Range<usize>> {
    let start = script.find(&format!("{before}{word}(")).map(|at| at + before.len());
    start.map(|start| start..start + word.len()).into_iter().collect()
}

/// Closing brackets of calls at the end of a line whose loss the browser reports on that very line.
fn lost_brackets(script: &str) -> Vec<Range<usize>> {
    let lines = source::lines(script).filter(|line| {
        let text = &script[line.clone()];
        let plain = !text.contains(['"', '\'', '`', '/']) && !text.contains("=>");
        let call = text.ends_with(");") && source::opens_a_call(text);
        plain && call && source::surplus(text) == 0
    });
    lines.map(|line| line.end - 2..line.end - 1).collect()
}

/// Ids in lookups at the top level of the script.
fn misspelt_ids(script: &str) -> Vec<Range<usize>> {
    let scene = script.find(source::SCENE_MARK).unwrap_or(0);
    let mut places = source::id_lookups(script);
    places.retain(|place| place.start > scene && source::indent_at(script, place.start) == 0);
    places
}

fn lose_modulo(script: &str) -> Option<String> {
    script
        .contains("hints[hintTurn % hints.length]")
        .then(|| script.replacen("hints[hintTurn % hints.length]", "hints[hintTurn]", 1))
}

fn freeze_variable(script: &str) -> Option<String> {
    script.contains("let paused = ").then(|| script.replacen("let paused = ", "const paused = ", 1))
}

/// A slip of the fingers that gives a word which the script does not know and which resembles no other name.
fn misspelling(script: &str, word: &str, dice: &mut Dice) -> String {
    let letters: Vec<char> = word.chars().collect();
    for _ in 0..20 {
        let at = 1 + dice.below(letters.len().saturating_sub(2));
        let mut slip = letters.clone();
        match dice.below(3) {
            0 => drop(slip.remove(at)),
            1 => slip.insert(at, letters[at]),
            _ => slip.swap(at, (at + 1).min(letters.len() - 1)),
        }
        let slip: String = slip.into_iter().collect();
        let known = source::declared(script).into_iter().chain(source::WEB_METHODS);
        let mut others = known.filter(|name| *name != word);
        if slip != word && !script.contains(&slip) && others.all(|name| strsim::osa_distance(name, &slip) > 1)
        {
            return slip;
        }
    }
    format!("{word}s")
}
