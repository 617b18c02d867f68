//! What a person gets who makes a mistake at the command line or in the settings.

use std::net::TcpListener;

use crate::support::program::{run, text};

/// Runs the program and expects that it could not do what it was asked, saying each of `said`.
fn refuses(arguments: &[&str], settings: &[(&str, &str)], said: &[&str]) {
    let output = run(arguments, settings);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed data: {}", text(&output.stdout));
    for part in said {
        assert!(stderr.contains(part), "{arguments:?} does not say `{part}`:\n{stderr}");
    }
}

#[test]
fn a_wrong_command_gets_a_hint() {
    refuses(&["mkae", "3"], &[], &["unrecognized subcommand 'mkae'", "make"]);
    refuses(&["make", "3", "--sed", "1"], &[], &["--seed"]);
    refuses(&["make", "0"], &[], &["0 is not in 1..=1000000"]);
    refuses(&["worker", "--steps", "objects,judge"], &[], &["steps are objects, question"]);
}

#[test]
fn a_wrong_setting_is_refused_by_name_with_what_is_accepted() {
    refuses(
        &["stats"],
        &[("MONDO_READY_LOW", "many")],
        &["MONDO_READY_LOW is `many`", "a whole number from 0 to"],
    );
    refuses(&["stats"], &[("MONDO_REDY_LOW", "3")], &["did you mean MONDO_READY_LOW?"]);
    refuses(&["up"], &[("MONDO_SANDBOX", "jail")], &["MONDO_SANDBOX is `jail`", "auto"]);
    refuses(&["up"], &[("MONDO_RESPONDER", "parrot")], &["MONDO_RESPONDER is `parrot`", "offline"]);
}

#[test]
fn without_redis_settings_the_remedy_is_named() {
    refuses(&["stats"], &[], &["no Redis is configured", "REDIS_URL"]);
    refuses(&["worker"], &[], &["REDIS_URL"]);
}

#[test]
fn an_absent_redis_is_said_and_ends_the_wait() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("redis://:hunter2@127.0.0.1:{port}/");
    let settings = [("REDIS_URL", url.as_str()), ("MONDO_REDIS_WAIT_SECS", "1")];
    refuses(&["stats"], &settings, &["redis"]);
    let output = run(&["stats"], &[settings[0], ("MONDO_REDIS_WAIT_SECS", "2")]);
    let said = text(&output.stderr);
    assert!(said.contains("trying again") && !said.contains('\u{1b}'), "colours are not for files: {said}");
    assert!(!text(&output.stderr).contains("hunter2"), "the password shows: {}", text(&output.stderr));
}

#[test]
fn a_taken_port_is_named_with_its_setting() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    refuses(
        &["up"],
        &[("MONDO_LISTEN", &address)],
        &[&address, "another program listens there", "MONDO_LISTEN"],
    );
}

#[test]
fn a_file_of_personas_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let settings = [("MONDO_PERSONAS", "/nowhere/personas.txt"), ("MONDO_DATA_DIR", data.as_str())];
    refuses(&["make", "1"], &settings, &["MONDO_PERSONAS", "/nowhere/personas.txt"]);
}

#[test]
fn help_of_every_command_has_examples() {
    for command in ["up", "make", "api", "worker", "check", "stats", "dead", "doctor", "bench"] {
        let output = run(&[command, "--help"], &[]);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("Examples:"), "{command} --help has no examples");
    }
}
