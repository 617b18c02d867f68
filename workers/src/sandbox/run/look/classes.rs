//! Classes that a page gives its elements by another name than its style sheet has for them: told by the source alone.

/// By these a script gives a class.
const GIVING: [&str; 2] = ["classList.add(", "classList.toggle("];

/// What people put before the name of a state, or forget.
const STATES: [&str; 3] = ["is-", "has-", "js-"];

/// The longest text between quotes that may be a list of classes, in bytes.
const QUOTED_MAX: usize = 120;

/// A class that scripts give and no style sheet knows, and the one that is meant: it is known, and nothing wears it.
pub(super) fn unknown(source: &str) -> Option<(&str, &str)> {
    let (sheets, rest) = apart(source);
    let given = GIVING.iter().flat_map(|call| rest.iter().flat_map(move |part| part.split(call).skip(1)));
    let mut given = given.filter_map(|after| {
        let quote = after.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
        let (name, after) = after.get(1..)?.split_once(quote)?;
        (after.starts_with([')', ',']) && !name.is_empty() && name.chars().all(is_of_name)).then_some(name)
    });
    given.find_map(|worn| {
        let is_known = sheets.iter().any(|sheet| has_word(sheet, worn));
        let reads = [format!(".{worn}"), format!("contains('{worn}'"), format!("contains(\"{worn}\"")];
        let is_read = rest.iter().any(|part| reads.iter().any(|read| part.contains(read.as_str())));
        if is_known || is_read {
            return None;
        }
        let mut known = sheets.iter().flat_map(|sheet| classes(sheet));
        let known =
            known.find(|known| is_meant(worn, known) && !rest.iter().any(|part| quotes(part, known)))?;
        Some((worn, known))
    })
}

/// The style sheets of a page, and what is around them.
fn apart(source: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut sheets, mut rest) = (Vec::new(), Vec::new());
    let mut parts = source.split("<style");
    rest.extend(parts.next());
    for part in parts {
        let (sheet, after) = part.split_once("</style").unwrap_or((part, ""));
        sheets.push(sheet);
        rest.push(after);
    }
    (sheets, rest)
}

fn is_of_name(symbol: char) -> bool {
    symbol.is_ascii_alphanumeric() || symbol == '-' || symbol == '_'
}

/// The names behind each dot of a style sheet.
fn classes(sheet: &str) -> impl Iterator<Item = &str> {
    sheet.split('.').skip(1).filter_map(|after| {
        let end = after.find(|symbol| !is_of_name(symbol)).unwrap_or(after.len());
        after.get(..end).filter(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()))
    })
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let ends = |symbol: Option<char>| !symbol.is_some_and(is_of_name);
        ends(text[..at].chars().next_back()) && ends(text[at + word.len()..].chars().next())
    })
}

/// Whether a word is among what stands between quotes. What is between two of them that do not belong together counts as well,
/// where it may be a text; and what a tag wears.
fn quotes(text: &str, word: &str) -> bool {
    let is_quoted = |part: &str| {
        part.len() <= QUOTED_MAX && !part.contains(['\n', '<', '>', ';']) && has_word(part, word)
    };
    let is_worn = |markup: &str| has_word(markup.split('>').next().unwrap_or_default(), word);
    let quotes = ['\'', '"', '`'];
    quotes.into_iter().any(|quote| text.split(quote).any(is_quoted))
        || text.split("class=").skip(1).any(is_worn)
}

/// Whether one name is the other but for what names a state, or for hyphens and capitals.
fn is_meant(worn: &str, known: &str) -> bool {
    let bare =
        |name: &str| STATES.iter().find_map(|state| name.strip_prefix(state)).unwrap_or(name).to_owned();
    let plain = |name: &str| bare(name).replace(['-', '_'], "").to_lowercase();
    worn != known && plain(worn) == plain(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_no_style_sheet_knows_is_told_with_the_one_that_is_meant() {
        let page = "<style>.card.flipped .inner { opacity: 0.5 }</style><script>card.classList.add('is-flipped');</script>";
        assert_eq!(unknown(page), Some(("is-flipped", "flipped")));
        let page = "<style>.open { color: red }</style><p>Press it to open it.</p><script>const open = 1;\nit.classList.add('is-open');</script>";
        assert_eq!(unknown(page), Some(("is-open", "open")));
        let page = "<style>.game-over { color: red }</style><script>box.classList.toggle(\"gameOver\", done)</script>";
        assert_eq!(unknown(page), Some(("gameOver", "game-over")));
    }

    #[test]
    fn what_may_be_meant_is_let_be() {
        for page in [
            "<style>.is-flipped, .flipped { color: red }</style><script>card.classList.add('is-flipped');</script>",
            "<style>.flipped { color: red }</style><script>card.classList.add('is-flipped'); card.className += ' flipped';</script>",
            "<style>.flipped { color: red }</style><script>card.classList.add('is-flipped'); all('.is-flipped');</script>",
            "<style>.flipped { color: red }</style><p class=flipped></p><script>card.classList.add('is-flipped');</script>",
            "<style>.flipped { color: red }</style><script>card.classList.add('is-flipped'); card.classList.contains('is-flipped');</script>",
            "<style>.other { color: red }</style><script>card.classList.add('is-flipped');</script>",
            "<style>.flipped { color: red }</style><script>card.classList.add('is-' + 'flipped');</script>",
        ] {
            assert_eq!(unknown(page), None, "{page}");
        }
    }
}
