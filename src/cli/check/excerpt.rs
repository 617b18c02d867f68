//! The source around a place, short enough to read.

use mondo_jobs::place::bytes_before;
use serde::Serialize;

/// The most characters of a source line that are shown.
const CHARS_MAX: usize = 100;

/// Lines shown before and after the one that is meant, where there is room.
const AROUND: usize = 2;

/// One line of an excerpt, whose long lines are cut around the column.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
    /// In the line that is meant: how many characters stand before the column.
    pub(super) caret: Option<usize>,
}

/// The line that is meant.
pub(super) fn line(source: &str, line: u32, column: u32) -> Option<Line> {
    let number = usize::try_from(line).ok()?;
    let line = source.lines().nth(number.checked_sub(1)?)?;
    let caret = line.get(..bytes_before(line, column)?)?.chars().count();
    let start = caret.saturating_sub(CHARS_MAX / 2);
    let shown = plain(line, start);
    let indent = shown.chars().take_while(|symbol| *symbol == ' ').count().min(caret - start);
    Some(Line { number, text: shown.chars().skip(indent).collect(), caret: Some(caret - start - indent) })
}

/// The line that is meant with its neighbours, as they are indented.
pub(super) fn around(source: &str, line: u32, column: u32) -> Vec<Line> {
    let Some(meant) = self::line(source, line, column) else { return Vec::new() };
    let first = meant.number.saturating_sub(AROUND).max(1);
    let neighbours = source.lines().enumerate().skip(first - 1).take(meant.number + AROUND + 1 - first);
    let mut lines: Vec<Line> = neighbours
        .map(|(index, text)| Line { number: index + 1, text: plain(text, 0), caret: None })
        .collect();
    if let Some(place) = lines.iter_mut().find(|other| other.number == meant.number) {
        // Cut at its start, it no longer lines up with the others, but the place is in sight.
        let indent = place.text.chars().take_while(|symbol| *symbol == ' ').count();
        let cut = usize::try_from(column).unwrap_or(usize::MAX) > CHARS_MAX / 2;
        let caret = meant.caret.map(|caret| if cut { caret } else { caret + indent });
        let text = if cut { meant.text } else { std::mem::take(&mut place.text) };
        *place = Line { number: meant.number, text, caret };
    }
    lines
}

/// One column per character, whatever a terminal or a page makes of tabs and control characters.
fn plain(line: &str, start: usize) -> String {
    let shown = line.chars().skip(start).take(CHARS_MAX);
    shown.map(|symbol| if symbol.is_control() { ' ' } else { symbol }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(source: &str, line: u32, column: u32) -> Option<(String, usize)> {
        super::line(source, line, column).map(|line| (line.text, line.caret.unwrap()))
    }

    #[test]
    fn the_caret_stands_under_the_column() {
        assert_eq!(meant("a\n  bcd", 2, 4), Some(("bcd".to_owned(), 1)));
        assert_eq!(meant("\u{1F41D} bee", 1, 4), Some(("\u{1F41D} bee".to_owned(), 2)));
    }

    #[test]
    fn a_long_line_is_cut_around_the_column() {
        let line = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let (excerpt, caret) = meant(&line, 1, 5001).unwrap();
        assert_eq!(excerpt.chars().count(), CHARS_MAX);
        assert_eq!(excerpt.chars().nth(caret), Some('X'));
    }

    #[test]
    fn a_place_outside_the_source_has_no_excerpt() {
        assert_eq!(meant("a", 7, 1), None);
        assert_eq!(meant("a", 1, 9), Some(("a".to_owned(), 1)));
        assert!(around("a", 7, 1).is_empty());
    }

    #[test]
    fn neighbours_keep_their_indent_and_the_caret_its_place() {
        let source = "one\n  two\n    three\n  four\nfive\nsix";
        let lines = around(source, 3, 7);
        let shown: Vec<_> = lines.iter().map(|line| (line.number, line.text.as_str())).collect();
        assert_eq!(shown, [(1, "one"), (2, "  two"), (3, "    three"), (4, "  four"), (5, "five")]);
        let at = lines[2].caret.unwrap();
        assert_eq!(lines[2].text.chars().nth(at), Some('r'));
        assert_eq!(around(source, 1, 1).len(), 3);
    }
}
