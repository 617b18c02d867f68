//! Sentences with variants: `[a|b|c]` is one of several wordings, `{name}` a value, `{s:name}` its plural and
//! `{an:name}` the value with its article.

use std::collections::BTreeMap;

use super::dice::Dice;

/// The values that a sentence may name.
pub(super) type Values = BTreeMap<String, String>;

/// Picks a wording for each `[…|…]`.
pub(super) fn word(template: &str, dice: &mut Dice) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('[') {
        text.push_str(before);
        let Some((choices, after)) = after.split_once(']') else {
            rest = after;
            break;
        };
        let choices: Vec<&str> = choices.split('|').collect();
        text.push_str(choices[dice.below(choices.len())]);
        rest = after;
    }
    text.push_str(rest);
    text
}

/// Puts values where a worded sentence names them. A name without a value stays as it is; a test looks for
/// braces in what comes out.
pub(super) fn fill(worded: &str, values: &Values) -> String {
    let mut text = String::with_capacity(worded.len());
    for piece in pieces(worded) {
        match piece {
            Piece::Words(words) => text.push_str(words),
            Piece::Value(name) => text.push_str(&value(name, values)),
        }
    }
    text
}

/// Whether a line can have come from a worded sentence, whatever its values were.
pub(super) fn fits(worded: &str, line: &str) -> bool {
    let mut rest = line;
    for piece in pieces(worded) {
        if let Piece::Words(words) = piece {
            let Some((_, after)) = rest.split_once(words) else {
                return false;
            };
            rest = after;
        }
    }
    true
}

/// `apple` to `apples`.
pub(super) fn plural(noun: &str) -> String {
    if noun.ends_with("fish") || noun.ends_with("koi") {
        return noun.to_owned();
    }
    if let Some(stem) = noun.strip_suffix('y')
        && !stem.ends_with(['a', 'e', 'i', 'o', 'u'])
    {
        return format!("{stem}ies");
    }
    if let Some(stem) = noun.strip_suffix("leaf") {
        return format!("{stem}leaves");
    }
    if ["s", "x", "ch", "sh"].iter().any(|end| noun.ends_with(end)) {
        return format!("{noun}es");
    }
    format!("{noun}s")
}

/// `apple pie` to `Apple pie`.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `apple` to `an apple`.
pub(super) fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// `a, b and c`.
pub(super) fn list(nouns: &[String]) -> String {
    match nouns {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

enum Piece<'a> {
    Words(&'a str),
    Value(&'a str),
}

fn pieces(worded: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = worded;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        pieces.extend([Piece::Words(before), Piece::Value(name)]);
        rest = after;
    }
    pieces.push(Piece::Words(rest));
    pieces
}

fn value(name: &str, values: &Values) -> String {
    let (form, key) = name.split_once(':').unwrap_or(("", name));
    match (values.get(key), form) {
        (None, _) => format!("{{{name}}}"),
        (Some(noun), "s") => plural(noun),
        (Some(noun), "an") => with_article(noun),
        (Some(value), _) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_get_their_plural_and_their_article() {
        let cases = [
            ("apple", "apples", "an apple"),
            ("cherry", "cherries", "a cherry"),
            ("toy", "toys", "a toy"),
            ("fox", "foxes", "a fox"),
            ("goldfish", "goldfish", "a goldfish"),
            ("leaf", "leaves", "a leaf"),
        ];
        for (noun, many, one) in cases {
            assert_eq!((plural(noun).as_str(), with_article(noun).as_str()), (many, one));
        }
    }

    #[test]
    fn a_line_fits_the_sentence_it_came_from_and_no_other() {
        let values = Values::from([("a".to_owned(), "owl".to_owned())]);
        let worded = word("Draw [an|one] {a} in the {where}.", &mut Dice::new(1, "test"));
        assert!(fits(&worded, &fill(&worded, &values)));
        assert!(!fits(&worded, "Draw nothing."));
    }
}
