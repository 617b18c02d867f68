//! Places in a page's source, counted as browsers count them.

/// A place in a text: line and column from 1, columns in UTF-16 units. Ordered as in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Place {
    /// Where every text begins.
    pub const START: Self = Self { line: 1, column: 1 };

    /// From a browser's own numbers, which count from 0 and may be negative for "nowhere".
    pub fn from_zero_based(line: i64, column: i64) -> Option<Self> {
        let line = u32::try_from(line).ok()?.checked_add(1)?;
        let column = u32::try_from(column).ok()?.checked_add(1)?;
        Some(Self { line, column })
    }

    /// The place right after a text that begins here.
    #[must_use]
    pub fn after(self, text: &str) -> Self {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let lines = count(text.matches('\n').count());
        let last = text.rsplit('\n').next().unwrap_or_default();
        let units = count(last.encode_utf16().count());
        let column = if lines == 0 { self.column } else { 1 };
        Self { line: self.line.saturating_add(lines), column: column.saturating_add(units) }
    }
}

/// How many bytes of a line stand before a column: all where the line ends before it, none where there is no such column.
pub fn bytes_before(line: &str, column: u32) -> Option<usize> {
    let mut units = usize::try_from(column).ok()?.checked_sub(1)?;
    for (at, symbol) in line.char_indices() {
        let Some(left) = units.checked_sub(symbol.len_utf16()) else { return Some(at) };
        units = left;
    }
    Some(line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_as_a_browser_counts_them() {
        let line = "é🙂<b>";
        for (text, column) in [("é", 1), ("🙂", 2), ("<b>", 4), ("b>", 5)] {
            let at = line.find(text).unwrap();
            assert_eq!(Place::START.after(&line[..at]), Place { line: 1, column }, "{text}");
            assert_eq!(bytes_before(line, column), Some(at), "{text}");
        }
        assert_eq!(bytes_before(line, 3), Some("é".len()), "in the middle of a sign");
        assert_eq!(bytes_before(line, 9000), Some(line.len()));
        assert_eq!(bytes_before(line, 0), None);
    }

    #[test]
    fn a_line_begins_after_a_newline() {
        let place = Place { line: 3, column: 7 };
        assert_eq!(place.after(""), place);
        assert_eq!(place.after("ab"), Place { line: 3, column: 9 });
        assert_eq!(place.after("ab\n\r\nc"), Place { line: 5, column: 2 });
    }
}
