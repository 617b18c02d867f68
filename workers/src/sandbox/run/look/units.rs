//! Lengths without a unit, which the browser ignores without a word: told by the source alone.

/// Properties of `style` that are lengths.
const LENGTHS: [&str; 8] = ["left", "top", "right", "bottom", "width", "height", "fontSize", "marginLeft"];

/// By one of these at its end, a text in the page's scripts may be the length that is meant.
const UNITS: [&str; 10] = ["px", "%", "em", "rem", "vw", "vh", "vmin", "vmax", "pt", "ch"];

const QUOTES: [char; 3] = ['\'', '"', '`'];

/// What is no number, or was a length elsewhere.
const LENGTHS_FROM_ELSEWHERE: [&str; 9] =
    ["'", "\"", "`", "dataset", "getAttribute", "value", "style", "CSS.", "null"];

/// Where a length of `style` is first set to something that can only be a number, if nothing that the source says has a unit.
pub(super) fn unitless(source: &str) -> Option<&str> {
    if UNITS.iter().any(|unit| QUOTES.iter().any(|quote| ends_a_length(source, &format!("{unit}{quote}")))) {
        return None;
    }
    LENGTHS.iter().find_map(|name| {
        let set = format!(".style.{name} = ");
        let mut found = source.match_indices(&set).map(|(at, _)| &source[at..]);
        found.find_map(|rest| {
            let (length, _) = rest.get(set.len()..)?.split_once([';', '\n', '}'])?;
            let is_number = !LENGTHS_FROM_ELSEWHERE.iter().any(|other| length.contains(other));
            (is_number && length.trim() != "0").then(|| rest.get(..set.len() + length.len())).flatten()
        })
    })
}

/// Whether this stands behind a number, behind what is put into a text, or by itself: `item"` is no `em`.
fn ends_a_length(source: &str, unit: &str) -> bool {
    source.match_indices(unit).any(|(at, _)| {
        let before = source.get(..at).unwrap_or_default();
        before.ends_with(|symbol: char| symbol.is_ascii_digit() || symbol == '}' || QUOTES.contains(&symbol))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_no_length() {
        assert_eq!(unitless("fish.style.left = x;\nfish.style.top = y;"), Some(".style.left = x"));
        assert_eq!(
            unitless("bar.style.height = Math.round(share * 100)\n"),
            Some(".style.height = Math.round(share * 100)")
        );
        assert!(unitless("<li class=\"item\"> fish.style.left = x;").is_some(), "that is no `em`");
    }

    #[test]
    fn what_may_have_a_unit_is_let_be() {
        for source in [
            "fish.style.left = x + 'px';",
            "const at = `${x}px`; fish.style.left = at;",
            "<svg width=\"100%\"> fish.style.left = x;",
            "fish.style.left = 0;",
            "fish.style.left = '';",
            "bar.style.width = bar.dataset.width;",
            "fish.style.opacity = share;",
        ] {
            assert_eq!(unitless(source), None, "{source}");
        }
    }
}
