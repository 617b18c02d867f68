//! Which keys a page is given: those that every page gets, and those that its source names.

/// One key of a keyboard, as the browser wants to be told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Key {
    /// `KeyboardEvent.key`.
    pub(in crate::sandbox) name: String,
    /// `KeyboardEvent.code`.
    pub(in crate::sandbox) code: String,
    /// `KeyboardEvent.keyCode`.
    pub(in crate::sandbox) number: i64,
    /// What it writes, if anything.
    pub(in crate::sandbox) text: Option<String>,
    /// Whether Control is held with it.
    pub(in crate::sandbox) control: bool,
}

/// A key without a character: name, code, key code, text.
pub(in crate::sandbox) type Named = (&'static str, &'static str, i64, Option<&'static str>);

pub(in crate::sandbox) const ARROW_DOWN: Named = ("ArrowDown", "ArrowDown", 40, None);
pub(in crate::sandbox) const ENTER: Named = ("Enter", "Enter", 13, Some("\r"));
pub(in crate::sandbox) const ESCAPE: Named = ("Escape", "Escape", 27, None);
pub(in crate::sandbox) const DELETE: Named = ("Delete", "Delete", 46, None);
pub(in crate::sandbox) const HOME: Named = ("Home", "Home", 36, None);
pub(in crate::sandbox) const END: Named = ("End", "End", 35, None);
pub(in crate::sandbox) const TAB: Named = ("Tab", "Tab", 9, None);

const NAMED: [Named; 17] = [
    ("ArrowLeft", "ArrowLeft", 37, None),
    ("ArrowRight", "ArrowRight", 39, None),
    ("ArrowUp", "ArrowUp", 38, None),
    ARROW_DOWN,
    (" ", "Space", 32, Some(" ")),
    ENTER,
    ESCAPE,
    ("Backspace", "Backspace", 8, None),
    DELETE,
    TAB,
    ("Shift", "ShiftLeft", 16, None),
    ("Control", "ControlLeft", 17, None),
    ("Alt", "AltLeft", 18, None),
    HOME,
    END,
    ("PageUp", "PageUp", 33, None),
    ("PageDown", "PageDown", 34, None),
];

/// How many of [`NAMED`] every page gets.
const ALWAYS: usize = 7;

/// The most keys that a page's source can add.
const FROM_SOURCE_MAX: usize = 16;

/// The keys for a page with this source, each once, in a fixed order.
pub(in crate::sandbox) fn keys_for(source: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = NAMED.iter().take(ALWAYS).map(named).collect();
    if !mentions_keyboard(source) {
        return keys;
    }
    let extra =
        NAMED.iter().skip(ALWAYS).filter(|(name, code, ..)| names(source, name) || names(source, code));
    keys.extend(extra.map(named));
    let mut from_source = 0;
    for letter in ('a'..='z').chain('0'..='9') {
        if from_source < FROM_SOURCE_MAX && names_character(source, letter) {
            keys.push(character(letter));
            from_source += 1;
        }
    }
    if source.contains("ctrlKey") || source.contains("metaKey") {
        let named = ('a'..='z').filter(|letter| names_character(source, *letter)).take(CONTROLLED_MAX);
        keys.extend(named.map(with_control));
    }
    keys
}

/// Whether the source names this key: then it means to handle it.
pub(in crate::sandbox) fn handles(source: &str, name: &str, code: &str) -> bool {
    mentions_keyboard(source) && (names(source, name) || names(source, code))
}

/// Whether the source keeps this key from the browser, if only now and then or in one place: it says so just behind the key's
/// name.
pub(in crate::sandbox) fn prevents(source: &str, name: &str, code: &str) -> bool {
    [name, code].iter().flat_map(|key| source.match_indices(key)).any(|(at, key)| {
        let is_named =
            key != " " || source.get(..at).is_some_and(|before| before.ends_with(['"', '\'', '`']));
        let behind: String =
            source.get(at + key.len()..).unwrap_or_default().chars().take(PREVENT_CHARS).collect();
        is_named && behind.contains("preventDefault")
    })
}

/// How far behind the name of a key it is looked for what is done with the key.
const PREVENT_CHARS: usize = 200;

/// Whether the source says the name of this key: in quotes, or as what a table of keys has.
fn names(source: &str, key: &str) -> bool {
    let of_table = || [format!(".{key}"), format!("{key}:")].iter().any(|entry| source.contains(entry));
    if key == " " {
        return names_space(source);
    }
    quotes(source, key) || (key.starts_with("Arrow") || key.starts_with("Page")) && of_table()
}

/// Whether the source compares something with a space, or has it in a list or a table: elsewhere it stands between words.
fn names_space(source: &str) -> bool {
    let quoted = ['"', '\'', '`'].map(|quote| format!("{quote} {quote}"));
    quoted.iter().flat_map(|quoted| source.match_indices(quoted)).any(|(at, quoted)| {
        let before = source.get(..at).unwrap_or_default().trim_end();
        let after = source.get(at + quoted.len()..).unwrap_or_default().trim_start();
        let is_equal = before.ends_with("==") && !before.trim_end_matches('=').ends_with('!')
            || after.starts_with("==")
            || [".has(", ".get("].iter().any(|asked| before.ends_with(asked));
        let is_compared = is_equal || before.ends_with("case");
        let is_listed = before.ends_with('[') || before.ends_with(',') && after.starts_with([',', ']']);
        is_compared || is_listed || after.starts_with(':') && !before.ends_with('?')
    })
}

/// What people call a key, and what the browser calls it.
const OTHER_NAMES: [(&str, &str); 9] = [
    ("Esc", "Escape"),
    ("Spacebar", " "),
    ("Space", " "),
    ("Return", "Enter"),
    ("Del", "Delete"),
    ("Left", "ArrowLeft"),
    ("Right", "ArrowRight"),
    ("Up", "ArrowUp"),
    ("Down", "ArrowDown"),
];

/// What handlers call their event.
const EVENTS: [&str; 4] = ["e", "ev", "evt", "event"];

/// A comparison of `KeyboardEvent.key` with a name that no browser gives, where the source does not know the key by another
/// name or by a number: what is written there, and the right name.
pub(in crate::sandbox) fn misnamed(source: &str) -> Option<(String, &'static str)> {
    if !mentions_keyboard(source) || source.contains("keyCode") || source.contains("which") {
        return None;
    }
    if let Some(place) = place_for_letter(source) {
        return Some(place);
    }
    if let Some(code) = code_without_codes(source) {
        return Some(code);
    }
    let switches = EVENTS.iter().any(|event| source.contains(&format!("({event}.key)")));
    let ways = EVENTS
        .iter()
        .flat_map(|event| ["===", "=="].into_iter().map(move |equals| format!("{event}.key {equals} ")));
    let ways: Vec<String> = ways.chain(switches.then(|| "case ".to_owned())).collect();
    ways.iter()
        .flat_map(|way| ['"', '\''].map(|quote| (way, quote)))
        .flat_map(|(way, quote)| {
            OTHER_NAMES.map(|(taken, name)| (format!("{way}{quote}{taken}{quote}"), name))
        })
        .find(|(written, name)| has_whole(source, written) && !quotes(source, name))
}

/// The name of a letter's place on the keyboard, in a source that never asks an event for that: and the letter.
fn code_without_codes(source: &str) -> Option<(String, &'static str)> {
    const LETTERS: [(&str, &str); 8] = [
        ("KeyW", "w"),
        ("KeyA", "a"),
        ("KeyS", "s"),
        ("KeyD", "d"),
        ("KeyP", "p"),
        ("KeyR", "r"),
        ("KeyM", "m"),
        ("KeyN", "n"),
    ];
    let asks = source.match_indices("code").any(|(at, _)| {
        let is_part = |symbol: char| symbol.is_alphanumeric() || symbol == '_';
        let before = source.get(..at).unwrap_or_default();
        let after = source.get(at + "code".len()..).unwrap_or_default();
        !before.ends_with(is_part) && !after.starts_with(is_part)
    });
    // It may be put together: `'Key' + letter`.
    let is_made = quotes(source, "Key") || source.contains("`Key$");
    let is_named = |code: &str| quotes(source, code) || has_whole(source, &format!("{code}:"));
    let found = LETTERS.into_iter().find(|(code, _)| !asks && !is_made && is_named(code))?;
    Some((found.0.to_owned(), found.1))
}

/// Where the source compares the place of a key with something, though it has no name of a place and a table of letters.
fn place_for_letter(source: &str) -> Option<(String, &'static str)> {
    const PLACES: [&str; 8] = ["Key", "Digit", "Arrow", "Space", "Enter", "Escape", "Shift", "Numpad"];
    let starts = |name: &str| ['"', '\'', '`'].iter().any(|quote| source.contains(&format!("{quote}{name}")));
    let knows = PLACES.iter().any(|name| starts(name) || source.contains(&format!("{name}:")));
    let is_named = |letter: &char| {
        let ways = ["key: '", "key:'", "key: \"", "key:\""];
        ways.iter().any(|way| source.contains(&format!("{way}{letter}{}", &way[way.len() - 1..])))
    };
    let asks = |part: &str| EVENTS.iter().find(|event| has_whole(source, &format!("{event}.{part}")));
    let event = asks("code")
        .filter(|_| asks("key").is_none() && !knows && ('a'..='z').filter(is_named).count() >= 2)?;
    let compared = ["=== ", "== "].map(|equals| format!("{equals}{event}.code"));
    // What is asked for a part of it is another text.
    let is_whole = |written: &&String| {
        let after = source.split(written.as_str()).nth(1).unwrap_or(".");
        !after.starts_with(['.', '[', '?'])
    };
    compared.iter().find(is_whole).map(|written| (written.clone(), "KeyA"))
}

/// Whether the source waits for keys that write nothing with an event that only those send that do.
pub(in crate::sandbox) fn waits_for_no_character(source: &str) -> bool {
    let others = ["keydown", "keyup"].iter().any(|name| source.contains(name));
    let begins =
        |name: &&str| ['"', '\'', '`'].iter().any(|quote| source.contains(&format!("{quote}{name}")));
    source.contains("keypress") && !others && ["Arrow", "Escape"].iter().any(begins)
}

/// Whether the source has this, and not as the end of a longer name.
fn has_whole(source: &str, text: &str) -> bool {
    source.match_indices(text).any(|(at, _)| {
        let before = source.get(..at).unwrap_or_default();
        !before.ends_with(|symbol: char| symbol.is_alphanumeric() || ['_', '$', '.'].contains(&symbol))
    })
}

/// The most keys that are given with Control held.
const CONTROLLED_MAX: usize = 4;

/// Whether the source listens for keys at all; without that, its quoted letters mean something else.
fn mentions_keyboard(source: &str) -> bool {
    ["keydown", "keyup", "keypress"].iter().any(|name| source.contains(name))
}

fn quotes(source: &str, text: &str) -> bool {
    ['"', '\'', '`'].iter().any(|quote| source.contains(&format!("{quote}{text}{quote}")))
}

fn names_character(source: &str, symbol: char) -> bool {
    let upper = symbol.to_ascii_uppercase();
    let code = if symbol.is_ascii_digit() { format!("Digit{symbol}") } else { format!("Key{upper}") };
    quotes(source, &symbol.to_string())
        || quotes(source, &upper.to_string())
        || quotes(source, &code)
        || compares_code(source, u32::from(upper))
        || is_property(source, symbol)
}

/// Whether the source compares a key code with this number.
fn compares_code(source: &str, number: u32) -> bool {
    let number = number.to_string();
    let mut rest = source;
    while let Some((before, after)) = rest.split_once(&number) {
        let before = before.trim_end();
        let compared = before.ends_with("==") || before.ends_with("case");
        if compared && !after.starts_with(|symbol: char| symbol.is_ascii_digit()) {
            return source.contains("keyCode") || source.contains("which");
        }
        rest = after;
    }
    false
}

/// Whether a table of the source has an entry of this name: `{ a: 262, s: 294 }`.
fn is_property(source: &str, symbol: char) -> bool {
    [format!("{{ {symbol}: "), format!("{{{symbol}:"), format!(", {symbol}: "), format!(",{symbol}:")]
        .iter()
        .any(|entry| source.contains(entry))
}

pub(in crate::sandbox) fn named((name, code, number, text): &Named) -> Key {
    Key {
        name: (*name).to_owned(),
        code: (*code).to_owned(),
        number: *number,
        text: text.map(str::to_owned),
        control: false,
    }
}

/// A character's key with Control held.
pub(in crate::sandbox) fn with_control(symbol: char) -> Key {
    Key { text: None, control: true, ..character(symbol) }
}

fn character(symbol: char) -> Key {
    let upper = symbol.to_ascii_uppercase();
    Key {
        name: symbol.to_string(),
        code: if symbol.is_ascii_digit() { format!("Digit{symbol}") } else { format!("Key{upper}") },
        number: i64::from(u32::from(upper)),
        text: Some(symbol.to_string()),
        control: false,
    }
}

impl Key {
    /// The key as a person would call it.
    pub(in crate::sandbox) fn words(&self) -> String {
        let name = if self.name == " " { "Space" } else { &self.name };
        if self.control { format!("Control+{name}") } else { name.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(source: &str) -> Vec<String> {
        keys_for(source).iter().skip(ALWAYS).map(Key::words).collect()
    }

    #[test]
    fn keys_that_the_source_names_are_added() {
        let source =
            "onkeydown = e => { if (e.key === 'w' || e.code == \"KeyR\" || e.key == 'Shift') go('x1') }";
        assert_eq!(added(source), ["Shift", "r", "w"]);
    }

    #[test]
    fn keys_are_found_by_number_in_tables_and_with_control() {
        assert_eq!(added("onkeydown = e => { if (e.keyCode === 77) mute() }"), ["m"]);
        assert_eq!(added("keydown; const notes = { a: 262, s: 294 }"), ["a", "s"]);
        assert_eq!(added("keydown; if (e.ctrlKey && e.key === 'z') undo()"), ["z", "Control+z"]);
        assert!(added("keydown; e.keyCode; width = 770; depth == 7700").is_empty());
    }

    #[test]
    fn a_key_that_is_prevented_in_a_game_only_is_known() {
        let source = "if (!plays) return; if (e.key === 'ArrowUp') { up = true; e.preventDefault(); }";
        assert!(prevents(source, "ArrowUp", "ArrowUp"));
        let table = "const steps = { ArrowUp: -1 }; if (!steps[e.key]) return; e.preventDefault();";
        assert!(prevents(table, "ArrowUp", "ArrowUp"));
        assert!(!prevents(source, "ArrowDown", "ArrowDown") && !prevents(source, " ", "Space"));
    }

    #[test]
    fn arrows_send_no_keypress() {
        assert!(waits_for_no_character("onkeypress = e => { if (e.key === 'ArrowUp') go() }"));
        assert!(!waits_for_no_character("onkeypress = e => { if (e.key === 'w') go() }"));
        assert!(!waits_for_no_character("onkeydown = e => { if (e.key === 'ArrowUp') go() }; keypress"));
    }

    #[test]
    fn a_space_between_words_is_no_key() {
        for source in ["e.key === ' '", "case \" \":", "[' ', 'Enter'].includes(e.key)", "{ ' ': jump }"] {
            assert!(handles(&format!("keydown {source}"), " ", "Space"), "{source}");
        }
        for source in
            ["names.join(' ')", "text + ' ' + more", "wide ? ' ' : ''", "const gap = ' ';", "e.key !== ' '"]
        {
            assert!(!handles(&format!("keydown {source}"), " ", "Space"), "{source}");
        }
    }

    #[test]
    fn a_key_that_is_called_by_another_name_is_told() {
        let named = |source: &str| misnamed(source).map(|(_, name)| name);
        assert_eq!(named("onkeydown = e => { if (e.key === 'Esc') close() }"), Some("Escape"));
        assert_eq!(named("onkeydown = e => { if (e.key === 'Esc' || e.key === 'Escape') close() }"), None);
        assert_eq!(named("onkeydown = e => { switch (e.key) { case 'Esc': close() } }"), Some("Escape"));
        assert_eq!(named("onkeydown = e => { if (e.code === 'Space') jump() }"), None);
        assert_eq!(
            named("onkeydown = e => { if (tile.key === 'Left' || b.dataset.key === 'Del') go() }"),
            None
        );
        assert_eq!(named("onkeydown = e => { if (e.key === 'Esc' || e.keyCode === 27) close() }"), None);
        assert_eq!(named("keydown; switch (cap.label) { case 'Esc': close() }"), None);
    }

    #[test]
    fn a_letter_is_no_place_of_a_key() {
        let table =
            "onkeydown = (e) => find(({ key }) => key === e.code); const all = [{ key: 'a' }, { key:'s' }]";
        assert_eq!(misnamed(table).map(|(written, _)| written).as_deref(), Some("=== e.code"));
        assert_eq!(misnamed(&table.replace("e.code", "e.code.charAt(3)")), None);
        assert_eq!(misnamed(&table.replace("e.code", "e.key")), None);
        assert_eq!(misnamed(&format!("{table}; e.code === 'Space'")), None);
    }

    #[test]
    fn the_place_of_a_letter_is_no_name_of_a_key() {
        let named = |source: &str| misnamed(source).map(|(written, name)| format!("{written} {name}"));
        let table = "const steps = { KeyW: up }; onkeydown = (e) => steps[e.key]?.()";
        assert_eq!(named(table).as_deref(), Some("KeyW w"));
        assert_eq!(named(&table.replace("e.key]", "e.code]")), None);
        assert_eq!(named("onkeydown = ({ code }) => { if (code === 'KeyP') pause() }"), None);
        assert_eq!(named("onkeydown = (e) => { if (e.key === 'w') encode('MonkeyW') }"), None);
        assert_eq!(named("onkeydown = (e) => go(notes['Key' + e.key]); const notes = { KeyA: 1 }"), None);
        assert_eq!(named("onkeydown = (e) => go(e.key); const marks = { hotKeyA: 1 }"), None);
    }

    #[test]
    fn quoted_letters_of_a_page_without_keyboard_mean_nothing() {
        assert!(added("const grades = ['a', 'b']").is_empty());
    }

    #[test]
    fn the_source_adds_a_bounded_number() {
        let all: Vec<_> = ('a'..='z').map(|letter| format!("'{letter}'")).collect();
        assert_eq!(added(&format!("keydown {}", all.join(" "))).len(), FROM_SOURCE_MAX);
    }
}
