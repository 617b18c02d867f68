//! Reading scripts by their shape: lines, blocks, calls, names. It serves those who plant faults and those who
//! mend them, and knows no more of a script than its text.

use std::ops::Range;

/// Where the common pieces of a script end and the scene's own begin.
pub(super) const SCENE_MARK: &str = "// ---- The scene ----";

/// Functions that look an element up by the id in their first argument.
const LOOKUPS: [&str; 5] = ["byId(\"", "onClick(\"", "onSlide(\"", "show(\"", "getElementById(\""];

/// Methods of the web platform that scripts of pages use.
pub(super) const WEB_METHODS: [&str; 58] = [
    "addColorStop",
    "addEventListener",
    "appendChild",
    "arc",
    "beginPath",
    "bezierCurveTo",
    "clearRect",
    "clip",
    "closePath",
    "closest",
    "concat",
    "createElement",
    "createElementNS",
    "createImageData",
    "createLinearGradient",
    "createRadialGradient",
    "ellipse",
    "every",
    "fill",
    "fillRect",
    "fillText",
    "filter",
    "find",
    "findIndex",
    "focus",
    "forEach",
    "getBoundingClientRect",
    "getContext",
    "getElementById",
    "includes",
    "indexOf",
    "join",
    "lineTo",
    "moveTo",
    "preventDefault",
    "push",
    "putImageData",
    "quadraticCurveTo",
    "querySelector",
    "reduce",
    "removeChild",
    "replaceChildren",
    "restore",
    "rotate",
    "save",
    "scale",
    "setAttribute",
    "setLineDash",
    "setTransform",
    "slice",
    "some",
    "splice",
    "stroke",
    "strokeRect",
    "toFixed",
    "toggle",
    "translate",
    "toLowerCase",
];

/// The lines of a text, without their ends.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    text.split('\n').map(move |line| {
        let range = start..start + line.len();
        start = range.end + 1;
        range
    })
}

/// The line that holds a place.
pub(super) fn line_at(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    start..text[at..].find('\n').map_or(text.len(), |length| at + length)
}

/// How many spaces the line that holds a place begins with.
pub(super) fn indent_at(text: &str, at: usize) -> usize {
    let line = &text[line_at(text, at)];
    line.len() - line.trim_start_matches(' ').len()
}

/// The lines of every block whose first line starts with `head`, as far as they have this indent exactly.
pub(super) fn block(script: &str, head: &str, indent: usize) -> Vec<Range<usize>> {
    let outer = head.len() - head.trim_start_matches(' ').len();
    let mut inside = false;
    let mut found = Vec::new();
    for line in lines(script) {
        let text = &script[line.clone()];
        let depth = text.len() - text.trim_start_matches(' ').len();
        if text.starts_with(head) {
            inside = !text.trim_end().ends_with(';');
        } else if inside && depth == outer && text.trim_start().starts_with('}') {
            inside = false;
        } else if inside && depth == indent && !text.trim().is_empty() {
            found.push(line);
        }
    }
    found
}

/// Names of functions that these lines call and the script declares.
pub(super) fn calls(script: &str, lines: &[Range<usize>]) -> Vec<Range<usize>> {
    let declared = |name: &str| script.contains(&format!("function {name}("));
    words(script, lines).filter(|word| !is_member(script, word) && declared(&script[word.clone()])).collect()
}

/// Names of methods of the web platform that these lines call.
pub(super) fn web_methods(script: &str, lines: &[Range<usize>]) -> Vec<Range<usize>> {
    let known = |name: &str| name.len() > 3 && WEB_METHODS.contains(&name);
    words(script, lines).filter(|word| is_member(script, word) && known(&script[word.clone()])).collect()
}

/// Words before an opening bracket.
fn words<'a>(script: &'a str, lines: &'a [Range<usize>]) -> impl Iterator<Item = Range<usize>> + 'a {
    lines.iter().flat_map(move |line| {
        script[line.clone()].match_indices('(').filter_map(move |(at, _)| {
            let end = line.start + at;
            let word = word_before(script, end);
            (word.start < end).then_some(word)
        })
    })
}

/// The identifier that ends at a place; empty where none does.
pub(super) fn word_before(text: &str, end: usize) -> Range<usize> {
    let length: usize = text[..end].chars().rev().take_while(|&c| is_word(c)).map(char::len_utf8).sum();
    end - length..end
}

fn is_member(text: &str, word: &Range<usize>) -> bool {
    text[..word.start].ends_with('.')
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// Every place where `word` stands as a whole word.
pub(super) fn whole_words(text: &str, word: &str) -> Vec<Range<usize>> {
    let places = text.match_indices(word).map(|(at, _)| at..at + word.len());
    let whole = |place: &Range<usize>| {
        !text[..place.start].ends_with(is_word) && !text[place.end..].starts_with(is_word)
    };
    places.filter(whole).collect()
}

/// Names that a script declares.
pub(super) fn declared(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for keyword in ["function ", "const ", "let ", "var ", "class "] {
        for (at, _) in text.match_indices(keyword) {
            let rest = &text[at + keyword.len()..];
            names.push(&rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]);
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Ids in calls that look an element up.
pub(super) fn id_lookups(text: &str) -> Vec<Range<usize>> {
    let starts =
        LOOKUPS.iter().flat_map(|lookup| text.match_indices(lookup).map(|(at, _)| at + lookup.len()));
    let ids = starts.filter_map(|start| Some(start..start + text[start..].find('"')?));
    // `show("clock-value", …)` and the like name an id as a whole; `show(id + "-value", …)` starts with none.
    ids.filter(|id| text[id.end..].starts_with("\")") || text[id.end..].starts_with("\",")).collect()
}

/// How many round brackets of a line are opened and not closed.
pub(super) fn surplus(line: &str) -> i64 {
    line.chars().fold(0, |open, c| match c {
        '(' => open + 1,
        ')' => open - 1,
        _ => open,
    })
}

/// Whether the last closing bracket of a line that ends with `);` closes a call.
pub(super) fn opens_a_call(line: &str) -> bool {
    let Some(body) = line.strip_suffix(");") else { return false };
    let mut open = 1;
    for (at, c) in body.char_indices().rev() {
        match c {
            ')' => open += 1,
            '(' => open -= 1,
            _ => {}
        }
        if open == 0 {
            let name = &body[word_before(body, at)];
            return !["", "if", "for", "while", "switch", "return"].contains(&name);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "function draw() {\n  clear(ctx);\n  if (a) {\n    b();\n  }\n  ctx.fillRect(0);\n}\n\
                          function clear(c) {\n}\n";

    #[test]
    fn a_block_gives_its_own_lines_and_no_deeper_ones() {
        let lines = block(SCRIPT, "function draw(", 2);
        let texts: Vec<&str> = lines.iter().map(|line| &SCRIPT[line.clone()]).collect();
        assert_eq!(texts, ["  clear(ctx);", "  if (a) {", "  }", "  ctx.fillRect(0);"]);
        let calls: Vec<&str> = calls(SCRIPT, &lines).into_iter().map(|place| &SCRIPT[place]).collect();
        assert_eq!(calls, ["clear"]);
        let methods: Vec<&str> =
            web_methods(SCRIPT, &lines).into_iter().map(|place| &SCRIPT[place]).collect();
        assert_eq!(methods, ["fillRect"]);
    }

    #[test]
    fn only_calls_lose_their_bracket() {
        assert!(opens_a_call("  disc(ctx, Math.max(1, 2));"));
        assert!(!opens_a_call("  const x = (a + b);"));
        assert_eq!(surplus("  disc(ctx, Math.max(1, 2);"), 1);
    }

    #[test]
    fn whole_words_are_not_parts_of_words() {
        assert_eq!(whole_words("draw drawFish draw2 (draw)", "draw"), [0..4, 21..25]);
    }
}
