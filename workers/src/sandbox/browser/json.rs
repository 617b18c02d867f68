//! JSON as the browser writes it. A text of JavaScript may hold half a symbol, a surrogate without the other one, where
//! a page has cut an emoji in two; a text of ours may not. Such a half is read as U+FFFD, so that no message is lost.

use serde::de::DeserializeOwned;

/// How long the escape of half a symbol is: `\ud83d`.
const ESCAPE: usize = 6;

/// Reads JSON that stands in a text, as `init.js` sends it.
pub(in crate::sandbox) fn from_text<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    let mut json = text.as_bytes().to_vec();
    mend(&mut json);
    serde_json::from_slice(&json)
}

/// Replaces each half of a symbol that stands alone.
pub(in crate::sandbox) fn mend(json: &mut [u8]) {
    let mut from = 0;
    while let Some(length) = json.iter().skip(from).position(|byte| *byte == b'\\') {
        let at = from + length;
        from = match (half_at(json, at), half_at(json, at + ESCAPE)) {
            (Some(Half::First), Some(Half::Second)) => at + 2 * ESCAPE,
            (Some(_), _) => {
                if let Some(digits) = json.get_mut(at + 2..at + ESCAPE) {
                    digits.copy_from_slice(b"fffd");
                }
                at + ESCAPE
            }
            // Another escape, and what it escapes may be a backslash.
            (None, _) => at + 2,
        };
    }
}

#[derive(Clone, Copy)]
enum Half {
    First,
    Second,
}

fn half_at(json: &[u8], at: usize) -> Option<Half> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    let number = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    match number {
        0xd800..=0xdbff => Some(Half::First),
        0xdc00..=0xdfff => Some(Half::Second),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, text: &str) {
        assert_eq!(from_text::<String>(json).unwrap(), text, "{json}");
    }

    #[test]
    fn half_a_symbol_is_read_as_the_replacement() {
        check(r#""a \ud83d""#, "a \u{fffd}");
        check(r#""\uDC1D b""#, "\u{fffd} b");
        check(r#""\ud83d\ud83d\udc1d""#, "\u{fffd}🐝");
        check(r#""\ud83d\n\udc1d""#, "\u{fffd}\n\u{fffd}");
    }

    #[test]
    fn whole_symbols_and_escaped_backslashes_stay() {
        check(r#""\ud83d\udc1d é 🐝 \u00e9""#, "🐝 é 🐝 é");
        check(r#""\\ud83d""#, r"\ud83d");
        check(r#""\\\ud83d\"""#, "\\\u{fffd}\"");
        assert!(from_text::<String>(r#""\ud8"#).is_err());
    }
}
