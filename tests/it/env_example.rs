//! `.env.example` names every setting that the code reads, and no other.

use std::collections::BTreeSet;

use mondo::config::Config;
use mondo_jobs::env::Env;

const EXAMPLE: &str = include_str!("../../.env.example");

/// Name and value of every line that sets one.
fn settings() -> Vec<(String, String)> {
    EXAMPLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn it_names_every_setting_and_no_other() {
    let listed: BTreeSet<String> = settings().into_iter().map(|(name, _)| name).collect();
    let read: BTreeSet<String> = Config::names().into_iter().map(str::to_owned).collect();
    let missing: Vec<_> = read.difference(&listed).collect();
    let unknown: Vec<_> = listed.difference(&read).collect();
    assert!(missing.is_empty(), "not in .env.example: {missing:?}");
    assert!(unknown.is_empty(), "in .env.example, but nothing reads it: {unknown:?}");
}

#[test]
fn no_setting_is_named_twice() {
    let names: Vec<String> = settings().into_iter().map(|(name, _)| name).collect();
    let distinct: BTreeSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
}

#[test]
fn each_setting_says_its_default() {
    let (mut comment, mut after_setting) = (String::new(), false);
    for line in EXAMPLE.lines() {
        let is_comment = line.starts_with('#');
        if is_comment && after_setting || line.is_empty() {
            comment.clear();
        }
        if is_comment {
            comment.push_str(line);
        } else if !line.is_empty() {
            assert!(comment.contains("Default"), "`{line}` follows no comment that says a default");
        }
        after_setting = !is_comment;
    }
}

#[test]
fn copied_as_it_is_it_is_a_whole_configuration() {
    assert!(Config::from_env(Env::of(settings())).is_ok());
}
