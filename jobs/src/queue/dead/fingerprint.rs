//! What makes two deaths the same: step, class, and the outermost and the innermost message without what
//! differs from job to job.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::job::Step;

/// So much of a normalised message counts: what comes later is mostly somebody else's prose.
const MESSAGE_CHARS_MAX: usize = 160;
/// Runs of hex digits, or of letters with digits among them, are ids from this length on.
const ID_CHARS_MIN: usize = 8;
/// … and from this length on already with a single digit.
const LONG_ID_CHARS_MIN: usize = 12;
/// Runs of capitals and small letters from this length on are ids without any digit.
const LETTERS_ID_CHARS_MIN: usize = 20;

const UUID_BYTES: usize = 36;

/// Eight hex digits, the same for deaths of the same cause whatever ids, numbers, paths and times they name.
pub(super) fn fingerprint(step: Step, class: &str, chain: &[String]) -> String {
    let first = chain.first().map_or("", String::as_str);
    let last = chain.last().map_or("", String::as_str);
    let text = format!("{step}\n{class}\n{}\n{}", normalise(first), normalise(last));
    Sha256::digest(text.as_bytes()).iter().take(4).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The message in small letters, with `#` for every id, number and time, and paths and addresses left out.
fn normalise(message: &str) -> String {
    let words: Vec<String> = message.split_whitespace().map(normalise_word).collect();
    words.join(" ").chars().take(MESSAGE_CHARS_MAX).collect()
}

fn normalise_word(word: &str) -> String {
    let core = word.trim_matches(|c: char| "`'\"()[]{}<>,;".contains(c));
    if core.contains("://") {
        return "<url>".to_owned();
    }
    if is_path(core) {
        return "<path>".to_owned();
    }
    let word = without_uuids(word);
    let mut text = String::with_capacity(word.len());
    for run in word.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let (run, mark) = run.split_at(run.trim_end_matches(|c: char| !c.is_alphanumeric()).len());
        text.push_str(&normalise_run(run));
        text.push_str(mark);
    }
    join(text)
}

fn without_uuids(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        let uuid = rest.get(..UUID_BYTES).filter(|text| is_uuid(text));
        text.push(if uuid.is_some() { '#' } else { c });
        rest = &rest[uuid.map_or(c.len_utf8(), str::len)..];
    }
    text
}

fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// Absolute, or relative to here or home; `openai/gpt` and `<pair>/base/answer/0` are none.
fn is_path(core: &str) -> bool {
    ["/", "./", "../", "~/"].iter().any(|start| core.len() > start.len() && core.starts_with(start))
}

/// `run` is letters and digits only.
fn normalise_run(run: &str) -> String {
    let has = |test: fn(&char) -> bool| run.chars().any(|c| test(&c));
    let (length, digits) = (run.chars().count(), run.chars().filter(char::is_ascii_digit).count());
    let is_id = length >= ID_CHARS_MIN && (digits >= 2 || run.chars().all(|c| c.is_ascii_hexdigit()))
        || length >= LONG_ID_CHARS_MIN && digits >= 1
        || length >= LETTERS_ID_CHARS_MIN && has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    if is_id {
        return "#".to_owned();
    }
    let mut text = String::with_capacity(run.len());
    for c in run.chars().flat_map(char::to_lowercase) {
        match c {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            _ => text.push(c),
        }
    }
    text
}

/// Makes one of what was one number, time or id: `1.5`, `12:34:56`, `2026-11-21`, a UUID.
fn join(mut text: String) -> String {
    for mark in ['.', ',', ':', '-', '+', '_'] {
        let two = format!("#{mark}#");
        while text.contains(&two) {
            text = text.replace(&two, "#");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn of(chain: &[&str]) -> String {
        let chain: Vec<String> = chain.iter().map(|text| (*text).to_owned()).collect();
        fingerprint(Step::Answer, "unavailable", &chain)
    }

    #[test]
    fn what_differs_from_job_to_job_does_not_count() {
        for (one, other) in [
            ("`openai/x` limits its rate", "`openai/x` limits its rate"),
            ("reply is over 262144 bytes", "reply is over 99 bytes"),
            ("took 1.5 s at 12:34:56", "took 300 s at 00:00:01.250"),
            ("at 2026-11-21T11:01:27Z", "at 2025-01-02T03:04:05.678Z"),
            ("cannot read `/var/lib/mondo/a b`", "cannot read `/tmp/x b`"),
            ("POST https://a.example/v1/x?id=7: refused", "POST http://127.0.0.1:8000/v1: refused"),
            ("request req_011CSHoEeqs5C35K2UUqR7Fy", "request req_7Qd0aaaaZ"),
            ("commit deadbeefcafe", "commit 0123456789"),
            ("connection 10.0.0.17:6379 reset", "connection 192.168.100.2:80 reset"),
            (
                "job 01a1fc50-4975-76f1-970e-825eb169fcaa/base/fix/3",
                "job 00000000-0000-7000-8000-000000000000/base/fix/12",
            ),
        ] {
            assert_eq!(of(&[one]), of(&[other]), "{:?} {:?}", normalise(one), normalise(other));
        }
    }

    #[test]
    fn what_went_wrong_counts() {
        let messages = [
            "`openai/x` limits its rate",
            "`openai/x` refuses the request (HTTP 400): context too long",
            "`openai/x` refuses the request (HTTP 400): unknown model",
            "the run took longer than the 300 s of step answer",
            "the pair's record has no field `head`",
            "the pair's record has no field `page`",
        ];
        let distinct: BTreeSet<String> = messages.iter().map(|message| of(&[message])).collect();
        assert_eq!(distinct.len(), messages.len());
        assert_ne!(of(&["outer", "middle", "root"]), of(&["outer", "middle", "other"]));
        assert_eq!(of(&["outer", "middle", "root"]), of(&["outer", "another", "root"]));
        let chain = ["outer".to_owned()];
        assert_ne!(fingerprint(Step::Fix, "timeout", &chain), fingerprint(Step::Answer, "timeout", &chain));
        assert_ne!(fingerprint(Step::Fix, "timeout", &chain), fingerprint(Step::Fix, "panic", &chain));
    }

    /// Runbooks and chats name fingerprints: a new way to make them would orphan those.
    #[test]
    fn a_fingerprint_stays_the_same_from_release_to_release() {
        assert_eq!(of(&["`openai/x` gave no usable reply: HTTP 502", "connection reset"]), "5b0f2adf");
    }

    proptest! {
        #[test]
        fn ten_thousand_deaths_of_one_cause_are_one_group(
            id in any::<u128>(), number in any::<u64>(), float in 0.0..1e6_f64, path in "/[a-z0-9_.-]{1,30}(/[A-Za-z0-9_.-]{1,20}){0,4}",
            hash in "[0-9a-f]{40}", token in "[0-9A-Za-z]{24}",
        ) {
            let message = |id: u128, number: u64, float: f64, path: &str, hash: &str, token: &str| format!(
                "job {}/base/answer/{number} died after {float:.3} s ({number} bytes, {path}, {hash}, chatcmpl-{token})",
                Uuid::from_u128(id),
            );
            let one = message(id, number, float, &path, &hash, &token);
            let other = message(7, 1, 0.5, "/x", &"a1".repeat(20), "abcdefghijklmnopqrstuvW1");
            prop_assert_eq!(normalise(&one), normalise(&other));
        }
    }
}
