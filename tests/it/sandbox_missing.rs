//! What a sandbox runs on is not there, or goes away: the error says what to do, and is never the page's fault.

use std::process::{Command, Output};

use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
};
use tokio_util::sync::CancellationToken;

use crate::support::{program, sandbox::page_path};

/// A machine like this one, but for what these options of bubblewrap change.
fn elsewhere(options: &[&str], arguments: &[&str], backend: &str) -> Command {
    let mut command = Command::new("/usr/bin/bwrap");
    command.args(["--dev-bind", "/", "/", "--die-with-parent"]).args(options);
    command.arg(env!("CARGO_BIN_EXE_mondo")).args(arguments);
    command.env_clear().env("MONDO_SANDBOX", backend).env("MONDO_SANDBOX_SLOTS", "1");
    command
}

fn assert_says(output: &Output, words: [&str; 2]) {
    let message = program::text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(words.iter().all(|word| message.contains(word)), "{message}");
    assert!(output.stdout.is_empty());
}

#[test]
fn without_a_browser_it_says_what_to_install() {
    let page = page_path("clean_canvas").display().to_string();
    for backend in ["local", "auto"] {
        let hidden = ["--tmpfs", "/usr/lib/chromium", "--tmpfs", "/run"];
        let output = elsewhere(&hidden, &["check", &page], backend).output().unwrap();
        assert_says(&output, ["chromium-headless-shell is not installed", "apt-get install"]);
    }
}

#[test]
fn without_a_daemon_it_says_what_to_start() {
    let page = page_path("clean_canvas").display().to_string();
    let output = elsewhere(&["--tmpfs", "/run"], &["check", &page], "docker").output().unwrap();
    assert_says(&output, ["no Docker daemon answers", "start one, or set MONDO_SANDBOX=local"]);
}

/// Stands between a program and the daemon, until it is told to go.
async fn stand_between(listener: UnixListener, gone: CancellationToken) {
    loop {
        let Some(accepted) = gone.run_until_cancelled(listener.accept()).await else { return };
        let (mut near, _) = accepted.unwrap();
        let gone = gone.clone();
        tokio::task::spawn_local(async move {
            let mut far = UnixStream::connect("/run/docker.sock").await.unwrap();
            let _ = gone.run_until_cancelled(copy_bidirectional(&mut near, &mut far)).await;
        });
    }
}

#[tokio::test]
async fn a_docker_daemon_that_goes_away_under_pages_is_named_and_no_page_is_blamed() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("daemon");
    let listener = UnixListener::bind(&socket).unwrap();
    let gone = CancellationToken::new();
    let socket = socket.display().to_string();
    // Its hang takes most of a second, and there are many of them.
    let page = page_path("hang_on_click").display().to_string();
    let mut arguments = vec!["check"];
    arguments.extend(std::iter::repeat_n(page.as_str(), 30));
    let mut command = elsewhere(&["--bind", &socket, "/run/docker.sock"], &arguments, "docker");
    let checking = tokio::task::spawn_blocking(move || command.output().unwrap());
    let told = gone.clone();
    let watch = async move {
        let ours = || crate::support::sandbox::docker(&["ps", "--quiet", "--filter", "name=mondo-sandbox-"]);
        crate::support::workers::until("a container runs", || async { !ours().is_empty() }).await;
        told.cancel();
    };
    let local = tokio::task::LocalSet::new();
    local.run_until(async { tokio::join!(stand_between(listener, gone), watch) }).await;
    // Ends the connections as well.
    drop(local);
    let output = checking.await.unwrap();
    assert_says(&output, ["no Docker daemon answers", "start one"]);
}
