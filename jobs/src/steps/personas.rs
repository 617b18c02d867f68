//! Who asks questions. A persona colours a question, so that a thousand of them do not sound alike.

use std::{io::Read as _, path::Path, sync::LazyLock};

use serde::Deserialize;

/// The most bytes of a file of personas.
pub const PERSONAS_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The most characters of one persona.
pub const PERSONA_CHARS_MAX: usize = 2000;

/// How many personas each `who` of the built-in parts becomes.
const EACH: usize = 6;

/// A list of personas, one or two sentences each; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Personas {
    lines: Vec<String>,
}

/// Why a file of personas cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PersonasError {
    /// It cannot be read.
    #[error("cannot read the personas in `{path}`: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is larger than allowed.
    #[error("`{path}` has more than the {PERSONAS_FILE_BYTES_MAX} bytes that are allowed")]
    TooLarge {
        /// The file.
        path: String,
    },
    /// A line is not a persona.
    #[error(
        "line {line} of `{path}` is no persona: {problem}; accepted is a text file with one persona per line, or \
         JSONL with a text field `persona` in each object"
    )]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no persona in it.
    #[error("there is no persona in `{path}`")]
    Empty {
        /// The file.
        path: String,
    },
}

impl Personas {
    /// The built-in personas.
    pub fn embedded() -> Self {
        static EMBEDDED: LazyLock<Vec<String>> =
            LazyLock::new(|| combine(include_str!("../../data/personas.txt")));
        Self { lines: EMBEDDED.clone() }
    }

    /// The personas of a file: text with one per line, or JSONL with a field `persona` in each object. Empty lines
    /// are skipped, and in a text file lines that start with `#`.
    ///
    /// # Errors
    /// See [`PersonasError`].
    pub fn from_file(path: &Path) -> Result<Self, PersonasError> {
        let name = || path.display().to_string();
        let unreadable = |source| PersonasError::Unreadable { path: name(), source };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        file.take(PERSONAS_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > PERSONAS_FILE_BYTES_MAX {
            return Err(PersonasError::TooLarge { path: name() });
        }
        let lines =
            read(&text).map_err(|(line, problem)| PersonasError::Line { path: name(), line, problem })?;
        if lines.is_empty() {
            return Err(PersonasError::Empty { path: name() });
        }
        Ok(Self { lines })
    }

    /// The persona for a seed. Neighbouring seeds have personas far apart.
    pub fn pick(&self, seed: u64) -> &str {
        let count = u64::try_from(self.lines.len()).unwrap_or(u64::MAX).max(1);
        let index = usize::try_from(mix(seed) % count).unwrap_or_default();
        self.lines.get(index).map_or("", String::as_str)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lines.len()
    }
}

/// Spreads neighbouring numbers over all of them (the finalizer of `SplitMix64`).
fn mix(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

/// Personas, or the line that is none and why.
fn read(text: &str) -> Result<Vec<String>, (usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_jsonl = text.trim_start().starts_with('{');
    let mut personas = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || (!is_jsonl && line.starts_with('#')) {
            continue;
        }
        let persona = if is_jsonl { from_json(line) } else { Ok(line.to_owned()) };
        let persona = persona.and_then(check).map_err(|problem| (index + 1, problem))?;
        personas.push(persona);
    }
    Ok(personas)
}

fn from_json(line: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Line {
        persona: String,
    }
    serde_json::from_str(line).map(|line: Line| line.persona).map_err(|error| error.to_string())
}

fn check(persona: String) -> Result<String, String> {
    let chars = persona.chars().count();
    if persona.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    if chars > PERSONA_CHARS_MAX {
        return Err(format!("it has {chars} characters, more than {PERSONA_CHARS_MAX}"));
    }
    Ok(persona)
}

/// Combines the parts. The numbers of `does` and of `wants` share no factor, so counting through both at once
/// repeats no pair of them before all have come up.
fn combine(parts: &str) -> Vec<String> {
    let section = |name: &str| -> Vec<&str> {
        parts
            .lines()
            .skip_while(|line| *line != name)
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect()
    };
    let (who, does, wants) = (section("[who]"), section("[does]"), section("[wants]"));
    if does.is_empty() || wants.is_empty() {
        return who.iter().map(|who| format!("A {who}.")).collect();
    }
    let mut personas = Vec::with_capacity(who.len() * EACH);
    for round in 0..EACH {
        for (index, name) in who.iter().enumerate() {
            let number = round * who.len() + index;
            let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "An" } else { "A" };
            let (does, wants) = (does[number % does.len()], wants[number % wants.len()]);
            personas.push(format!("{article} {name} who {does} and {wants}."));
        }
    }
    personas
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, io::Write as _};

    use super::*;

    #[test]
    fn the_built_in_personas_are_many_and_differ() {
        let personas = Personas::embedded();
        assert!(personas.count() >= 300, "{}", personas.count());
        let part = |persona: &str, separator: &str, index: usize| {
            persona.split(separator).nth(index).unwrap().to_owned()
        };
        let mut seen = HashSet::new();
        let mut pairs = HashSet::new();
        let mut occupations = HashSet::new();
        for persona in &personas.lines {
            assert!(persona.ends_with('.') && (40..200).contains(&persona.len()), "{persona}");
            assert!(seen.insert(persona), "{persona}");
            assert!(pairs.insert(part(persona, " who ", persona.matches(" who ").count())), "{persona}");
            occupations.insert(part(persona, " who ", 0));
        }
        assert!(occupations.len() >= 60, "{}", occupations.len());
    }

    #[test]
    fn neighbouring_seeds_have_different_personas_and_all_come_up() {
        let personas = Personas::embedded();
        assert_eq!(personas.pick(7), personas.pick(7));
        let few: HashSet<_> = (0..10).map(|seed| personas.pick(seed)).collect();
        assert!(few.len() >= 9);
        let all: HashSet<_> = (0..10_000).map(|seed| personas.pick(seed)).collect();
        assert_eq!(all.len(), personas.count());
    }

    fn of(text: &[u8]) -> Result<Personas, PersonasError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        Personas::from_file(file.path())
    }

    #[test]
    fn files_of_text_and_of_jsonl_are_read() {
        let text = of("\u{feff}# ours\n\nA diver.\r\n  A \"baker\".  \n".as_bytes()).unwrap();
        assert_eq!(text.lines, ["A diver.", "A \"baker\"."]);
        let jsonl = of(b"{\"persona\": \"A diver.\", \"id\": 3}\n\n{\"persona\": \"A baker.\"}").unwrap();
        assert_eq!(jsonl.lines, ["A diver.", "A baker."]);
    }

    #[test]
    fn files_that_hold_no_personas_are_refused_with_the_line() {
        let long = "x".repeat(PERSONA_CHARS_MAX + 1);
        let cases: [(&[u8], &str); 6] = [
            (b"", "there is no persona in"),
            (b"# only\n\n", "there is no persona in"),
            (b"{\"persona\": \"A diver.\"}\nA baker.", "line 2 of"),
            (b"{\"name\": \"x\"}", "missing field `persona`"),
            (b"{\"persona\": \" \"}", "it is empty"),
            (long.as_bytes(), "more than 2000"),
        ];
        for (text, expected) in cases {
            let error = of(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(of(&[0xff, 0xfe]).unwrap_err().to_string().contains("cannot read the personas in"));
        let error = Personas::from_file(Path::new("/no/such/file")).unwrap_err().to_string();
        assert!(error.contains("`/no/such/file`"), "{error}");
    }
}
