//! Reads settings, once, from one place. Every problem is collected, so that a person sees all of them at
//! the first start, each with the variable's name, its value and what is accepted.

use std::{collections::BTreeMap, ffi::OsString, fmt::Write as _};

use secrecy::SecretString;

/// Names outside the prefix `MONDO_` that users of earlier services already have.
const INHERITED: [&str; 9] = [
    "REDIS_URL",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_USERNAME",
    "REDIS_PASSWORD",
    "OPENROUTER_API_KEY",
    "OPENAI_API_KEY",
    "TOGETHER_API_KEY",
    "ANTHROPIC_API_KEY",
];

/// A set of variables being read. It has no `Debug`: some of the values are secrets.
#[derive(Default)]
pub struct Env {
    values: BTreeMap<String, String>,
    asked: Vec<&'static str>,
    problems: Vec<String>,
}

/// Every problem of a configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("wrong configuration:{}", list(.0))]
pub struct EnvError(pub Vec<String>);

fn list(problems: &[String]) -> String {
    problems.iter().fold(String::new(), |mut text, problem| {
        let _ = write!(text, "\n  {problem}");
        text
    })
}

impl Env {
    /// The variables of this process. Empty values count as absent, as in `compose.yaml`.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn of_process() -> Self {
        Self::of_os(std::env::vars_os())
    }

    /// The given variables. What is not UTF-8 is somebody else's, or a wrong value that gets named like any other.
    fn of_os(values: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |text: OsString| text.to_string_lossy().into_owned();
        Self::of(values.into_iter().map(|(name, value)| (text(name), text(value))))
    }

    /// The given variables.
    pub fn of(values: impl IntoIterator<Item = (String, String)>) -> Self {
        let values = values
            .into_iter()
            .filter(|(name, value)| {
                !value.trim().is_empty() && (name.starts_with("MONDO_") || INHERITED.contains(&name.as_str()))
            })
            .collect();
        Self { values, ..Self::default() }
    }

    /// A text, or nothing.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.asked.push(name);
        self.values.get(name).map(|value| value.trim().to_owned())
    }

    /// A secret, or nothing. It never shows in `Debug`, logs or errors.
    pub fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    /// A value read by `parse`, or `default`. `accepted` completes the sentence "accepted is …".
    pub fn read<T>(
        &mut self,
        name: &'static str,
        default: T,
        accepted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let Some(text) = self.text(name) else { return default };
        parse(&text).unwrap_or_else(|| {
            self.problems.push(format!("{name} is `{text}`; accepted is {accepted}"));
            default
        })
    }

    /// A whole number within bounds, or `default`.
    pub fn number(&mut self, name: &'static str, default: u64, bounds: std::ops::RangeInclusive<u64>) -> u64 {
        let accepted = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        self.read(name, default, &accepted, |text| text.parse().ok().filter(|number| bounds.contains(number)))
    }

    /// Notes a problem that concerns several variables at once.
    pub fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// The names that were asked for so far, in that order.
    pub fn asked(&self) -> &[&'static str] {
        &self.asked
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When any value was not accepted, or a `MONDO_` variable is set that nothing asked for.
    pub fn finish(mut self) -> Result<(), EnvError> {
        for name in self.values.keys().filter(|name| name.starts_with("MONDO_")) {
            if !self.asked.contains(&name.as_str()) {
                self.problems.push(unknown(name, &self.asked));
            }
        }
        if self.problems.is_empty() { Ok(()) } else { Err(EnvError(self.problems)) }
    }
}

fn unknown(name: &str, asked: &[&str]) -> String {
    let nearest =
        asked.iter().max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    match nearest {
        Some(nearest) => format!("{name} is no setting; did you mean {nearest}?"),
        None => format!("{name} is no setting"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(values: &[(&str, &str)]) -> Env {
        Env::of(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_accepted() {
        let mut env = env(&[("MONDO_READY_LOW", "many")]);
        assert_eq!(env.number("MONDO_READY_LOW", 4, 0..=10), 4);
        let error = env.finish().unwrap_err();
        assert_eq!(error.0, ["MONDO_READY_LOW is `many`; accepted is a whole number from 0 to 10"]);
    }

    #[test]
    fn a_number_out_of_bounds_is_refused() {
        let mut env = env(&[("MONDO_READY_LOW", "11")]);
        env.number("MONDO_READY_LOW", 4, 0..=10);
        assert!(env.finish().is_err());
    }

    #[test]
    fn an_unknown_name_gets_a_hint() {
        let mut env = env(&[("MONDO_REDY_LOW", "3")]);
        env.number("MONDO_READY_LOW", 4, 0..=10);
        let error = env.finish().unwrap_err();
        assert_eq!(error.0, ["MONDO_REDY_LOW is no setting; did you mean MONDO_READY_LOW?"]);
    }

    #[test]
    fn empty_values_and_foreign_names_do_not_count() {
        let mut env = env(&[("MONDO_READY_LOW", " "), ("PATH", "/bin")]);
        assert_eq!(env.number("MONDO_READY_LOW", 4, 0..=10), 4);
        assert_eq!(env.finish(), Ok(()));
    }

    #[test]
    fn a_foreign_variable_that_is_not_utf8_is_no_problem() {
        use std::os::unix::ffi::OsStringExt as _;

        let broken = || OsString::from_vec(vec![0xFF]);
        let mut env = Env::of_os([("FOREIGN".into(), broken()), ("MONDO_A".into(), broken())]);
        env.number("MONDO_A", 1, 0..=2);
        let error = env.finish().unwrap_err();
        assert_eq!(error.0, ["MONDO_A is `\u{FFFD}`; accepted is a whole number from 0 to 2"]);
    }

    #[test]
    fn every_problem_is_listed_at_once() {
        let mut env = env(&[("MONDO_A", "x"), ("MONDO_B", "y")]);
        env.number("MONDO_A", 1, 0..=2);
        env.number("MONDO_B", 1, 0..=2);
        assert_eq!(env.finish().unwrap_err().0.len(), 2);
    }

    #[test]
    fn a_secret_does_not_show_in_debug() {
        let mut env = env(&[("OPENAI_API_KEY", "sk-very-secret")]);
        let secret = env.secret("OPENAI_API_KEY");
        assert!(!format!("{secret:?}").contains("very-secret"));
    }
}
