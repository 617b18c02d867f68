//! Puts a page together of pieces, and knows of each place in it which file the author wrote it in.

use std::ops::Range;

use crate::place::Place;

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
    /// The author's file, and the place in it, of a place in the page. Columns are off by three after a `</script` or
    /// `<!--` in the same line of a script, which had to be written otherwise.
    pub fn locate(&self, place: Place) -> Option<(&str, Place)> {
        let after = self.marks.partition_point(|mark| mark.in_page <= place);
        let Mark { in_page, file, in_file } = self.marks.get(after.checked_sub(1)?)?;
        let lines = place.line.checked_sub(in_page.line)?;
        let column = match lines {
            0 => in_file.column + place.column.checked_sub(in_page.column)?,
            _ => place.column,
        };
        Some((file, Place { line: in_file.line + lines, column }))
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
    let mut source = Place::START;
    let mut done = 0;
    for (range, inserts) in edits {
        if range.start < done {
            continue;
        }
        let kept = index.get(done..range.start).unwrap_or_default();
        page.mark(name, source);
        page.push(kept);
        source = source.after(index.get(done..range.end).unwrap_or_default());
        done = range.end;
        for insert in inserts {
            page.push(&insert.before);
            page.mark(&insert.file, Place::START);
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
        Self { text: String::new(), at: Place::START, marks: Vec::new() }
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
        self.at = self.at.after(text);
        self.text.push_str(text);
    }
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
            let (file, Place { line, column }) = map.locate(Place::START.after(before)).unwrap();
            (file, line, column)
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
