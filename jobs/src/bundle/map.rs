//! Puts a page together of pieces, and knows of each place in it which file the author wrote it in.

use std::ops::Range;

/// What stands in place of a part of `index.html`.
#[derive(Debug, Default)]
pub(super) struct Insert {
    /// The tag before the content.
    pub(super) before: String,
    /// The name of the file that the content is from.
    pub(super) file: String,
    /// The content.
    pub(super) content: String,
    /// The tag after it.
    pub(super) after: String,
}

impl Insert {
    pub(super) fn len(&self) -> usize {
        self.before.len() + self.content.len() + self.after.len()
    }
}

/// A place in a text: line and column from 1, columns in UTF-16 units, as browsers count.
type Place = (u32, u32);

/// From this place of the page on, it is this file from that place on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    in_page: Place,
    file: String,
    in_file: Place,
}

/// Where each part of a page came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceMap {
    marks: Vec<Mark>,
}

impl SourceMap {
    /// The author's file, line and column of a place in the page. Columns are off by three after a `</script` or
    /// `<!--` in the same line of a script, which had to be written otherwise.
    pub fn locate(&self, line: u32, column: u32) -> Option<(&str, u32, u32)> {
        let after = self.marks.partition_point(|mark| mark.in_page <= (line, column));
        let mark = self.marks.get(after.checked_sub(1)?)?;
        let lines = line.checked_sub(mark.in_page.0)?;
        let column = if lines == 0 { mark.in_file.1 + column.checked_sub(mark.in_page.1)? } else { column };
        Some((&mark.file, mark.in_file.0 + lines, column))
    }
}

/// Replaces ranges of `index.html` by what is inserted there. Of two ranges that overlap the later one is left out.
pub(super) fn assemble(
    index: &str,
    name: &str,
    mut edits: Vec<(Range<usize>, Vec<Insert>)>,
) -> (String, SourceMap) {
    edits.sort_by_key(|(range, _)| range.start);
    let mut page = Page::default();
    let mut source = (1, 1);
    let mut done = 0;
    for (range, inserts) in edits {
        if range.start < done {
            continue;
        }
        let kept = index.get(done..range.start).unwrap_or_default();
        page.mark(name, source);
        page.push(kept);
        source = advance(source, index.get(done..range.end).unwrap_or_default());
        done = range.end;
        for insert in inserts {
            page.push(&insert.before);
            page.mark(&insert.file, (1, 1));
            page.push(&insert.content);
            page.mark(name, source);
            page.push(&insert.after);
        }
    }
    page.mark(name, source);
    page.push(index.get(done..).unwrap_or_default());
    (page.text, SourceMap { marks: page.marks })
}

struct Page {
    text: String,
    at: Place,
    marks: Vec<Mark>,
}

impl Default for Page {
    fn default() -> Self {
        Self { text: String::new(), at: (1, 1), marks: Vec::new() }
    }
}

impl Page {
    fn mark(&mut self, file: &str, in_file: Place) {
        let mark = Mark { in_page: self.at, file: file.to_owned(), in_file };
        // What is empty says nothing of where it is.
        self.marks.pop_if(|last| last.in_page == self.at);
        self.marks.push(mark);
    }

    fn push(&mut self, text: &str) {
        self.at = advance(self.at, text);
        self.text.push_str(text);
    }
}

/// The place right after a text that starts at `place`.
fn advance((line, column): Place, text: &str) -> Place {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let lines = count(text.matches('\n').count());
    let last = text.rsplit('\n').next().unwrap_or_default();
    let units = count(last.encode_utf16().count());
    if lines == 0 { (line, column + units) } else { (line + lines, 1 + units) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(file: &str, content: &str) -> Insert {
        Insert {
            before: "<script>".to_owned(),
            file: file.to_owned(),
            content: content.to_owned(),
            after: "</script>".to_owned(),
        }
    }

    #[test]
    fn every_place_is_found_in_the_file_that_it_came_from() {
        let index = "<p>\nä<x><b>\n<y>!";
        let at = |text: &str| index.find(text).unwrap();
        let edits = vec![
            (at("<y>")..at("<y>") + 3, vec![insert("b.js", "B")]),
            (at("<x>")..at("<x>") + 3, vec![insert("a.js", "one\n  two\nthree")]),
        ];
        let (page, map) = assemble(index, "index.html", edits);
        assert_eq!(page, "<p>\nä<script>one\n  two\nthree</script><b>\n<script>B</script>!");
        let find = |text: &str| {
            let before = &page[..page.find(text).unwrap()];
            let (line, column) = advance((1, 1), before);
            map.locate(line, column).unwrap()
        };
        assert_eq!(find("ä"), ("index.html", 2, 1));
        assert_eq!(find("one"), ("a.js", 1, 1));
        assert_eq!(find("two"), ("a.js", 2, 3));
        assert_eq!(find("three"), ("a.js", 3, 1));
        assert_eq!(find("<b>"), ("index.html", 2, 5));
        assert_eq!(find("B<"), ("b.js", 1, 1));
        assert_eq!(find("!"), ("index.html", 3, 4));
    }

    #[test]
    fn of_ranges_that_overlap_the_later_one_is_left_out() {
        let edits = vec![(4..5, vec![insert("e", "E")]), (0..1, Vec::new()), (0..2, vec![insert("f", "F")])];
        let (page, _) = assemble("abcdef", "index.html", edits);
        assert_eq!(page, "bcd<script>E</script>f");
    }
}
