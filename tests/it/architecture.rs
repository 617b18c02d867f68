//! The rules that Cargo cannot hold: who may name whom, how large a file may be, what a script must say.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder of the project, with their path from the root and their text.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Fails when a file below `folder` names `word`, unless its path starts with one of `except`.
fn nobody_names(folder: &str, word: &str, except: &[&str]) {
    for (name, text) in files(folder, "rs") {
        let allowed = except.iter().any(|prefix| name.starts_with(prefix));
        let named = text.match_indices(word).any(|(at, _)| !text[..at].ends_with('_'));
        assert!(allowed || !named, "{name} names `{word}`, which it must not know");
    }
}

#[test]
fn rooms_are_imported_one_way() {
    nobody_names("jobs/src", "mondo_workers", &[]);
    nobody_names("jobs/src", "mondo::", &[]);
    nobody_names("workers/src", "mondo::", &[]);
}

#[test]
fn only_what_starts_workers_names_their_room() {
    let except = ["src/config.rs", "src/engine.rs", "src/cli/"];
    nobody_names("src", "mondo_workers", &except);
}

#[test]
fn only_the_queue_speaks_redis() {
    nobody_names("jobs/src", "redis::", &["jobs/src/queue/", "jobs/src/ready"]);
    nobody_names("workers/src", "redis::", &[]);
    nobody_names("src", "redis::", &["src/private_redis.rs", "src/cli/bench_queue"]);
}

#[test]
fn inside_jobs_layers_look_down_only() {
    nobody_names("jobs/src/queue", "crate::steps", &[]);
    nobody_names("jobs/src/queue", "crate::step::", &[]);
    nobody_names("jobs/src/ports", "crate::queue", &[]);
    nobody_names("jobs/src/ports", "crate::step", &[]);
    nobody_names("jobs/src/steps", "crate::queue", &[]);
    nobody_names("jobs/src/steps", "crate::ready", &[]);
}

#[test]
fn f20_the_queue_takes_the_time_from_redis_alone() {
    for clock in ["clock::", "SystemTime", "jiff"] {
        nobody_names("jobs/src/queue", clock, &[]);
    }
    for (name, text) in files("jobs/src/queue/lua", "lua") {
        let is_timed = text.contains("local now") || text.contains("local due");
        assert!(!is_timed || text.contains("redis.call('TIME')"), "{name} has its time from elsewhere");
    }
}

#[test]
fn each_failure_of_the_field_has_a_test_that_is_there() {
    let readme = fs::read_to_string(root().join("jobs/README.md")).unwrap();
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| F")).collect();
    assert_eq!(rows.len(), 32);
    for (number, row) in (1..).zip(rows) {
        assert!(row.starts_with(&format!("| F{number} |")), "row {number} is `{row}`");
        let tests: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "F{number} names no test");
        for test in tests {
            let (module, name) = test.split_once("::").unwrap_or_else(|| panic!("`{test}` names no module"));
            let text = fs::read_to_string(root().join(format!("tests/it/{module}.rs"))).unwrap_or_default();
            assert!(text.contains(&format!("fn {name}(")), "F{number}: there is no test `{test}`");
        }
    }
}

#[test]
fn files_stay_small_enough_to_read() {
    for folder in ["jobs/src", "workers/src", "src", "tests/it", "tests/chaos"] {
        for (name, text) in files(folder, "rs") {
            let lines = text.lines().count();
            assert!(lines <= 500, "{name} has {lines} lines; over 500 it holds two topics");
        }
    }
}

#[test]
fn each_script_of_the_queue_documents_every_key_and_argument() {
    let scripts = files("jobs/src/queue/lua", "lua");
    assert!(!scripts.is_empty());
    for (name, text) in scripts {
        let start = text.find("--[[").unwrap_or_else(|| panic!("{name} has no header"));
        let end = text.find("]]").unwrap_or_else(|| panic!("{name} has no end of its header"));
        let (header, code) = (&text[start..end], &text[end..]);
        assert!(header.contains("Returns"), "{name} does not say what it returns");
        for used in numbered(code) {
            assert!(header.contains(&used), "{name} uses {used}, which its header does not explain");
        }
    }
}

/// Every `KEYS[n]` and `ARGV[n]` with a number in the code.
fn numbered(code: &str) -> BTreeSet<String> {
    ["KEYS[", "ARGV["]
        .iter()
        .flat_map(|word| code.match_indices(word))
        .filter_map(|(at, _)| {
            let name = &code[at..=at + code[at..].find(']')?];
            name[5..name.len() - 1].parse::<u32>().ok().map(|_| name.to_owned())
        })
        .collect()
}

#[test]
fn the_visible_top_level_holds_only_what_the_reader_needs() {
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "docker",
        "jobs",
        "scripts",
        "src",
        "tests",
        "workers",
    ];
    let listed = std::process::Command::new("git").args(["ls-files"]).current_dir(root()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let seen: BTreeSet<&str> = listed
        .lines()
        .filter_map(|path| path.split('/').next())
        .filter(|name| !name.starts_with('.'))
        .collect();
    assert_eq!(seen, BTreeSet::from(expected));
}

#[test]
fn every_room_has_a_readme() {
    for room in [".", "jobs", "workers", "src", "tests", "docker", "scripts"] {
        assert!(root().join(room).join("README.md").exists(), "{room} has no README.md");
    }
}
