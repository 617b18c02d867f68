//! What a sandbox runs on is not there, or goes away: the error says what to do, and is never the page's fault.

use std::process::{Command, Output, Stdio};

use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    program,
    sandbox::{docker, page_path},
    wait::until,
};

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

/// The child of a process, once it has one.
async fn child_of(process: u32) -> String {
    let children = format!("/proc/{process}/task/{process}/children");
    let first = || std::fs::read_to_string(&children).unwrap().split_whitespace().next().map(str::to_owned);
    until("a child", || async { first().is_some() }).await;
    first().unwrap()
}

/// Executes pages in one container and takes the daemon away as soon as its browser is reached; then does `more`,
/// which is given the container's id.
async fn without_daemon_from_then_on(pages: &[&str], more: impl FnOnce(&str)) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let (socket, pipes) = (directory.path().join("daemon"), directory.path().join("pipes"));
    std::fs::create_dir(&pipes).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    let gone = CancellationToken::new();
    let socket = socket.display().to_string();
    let pages: Vec<String> = pages.iter().map(|page| page_path(page).display().to_string()).collect();
    let arguments: Vec<&str> = ["check"].into_iter().chain(pages.iter().map(String::as_str)).collect();
    let mut command = elsewhere(&["--bind", &socket, "/run/docker.sock"], &arguments, "docker");
    let checking =
        command.env("TMPDIR", &pipes).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let watch = async {
        let filter = format!("name=mondo-sandbox-{}-", child_of(checking.id()).await);
        let container = || docker(&["ps", "--quiet", "--filter", &filter]);
        // Its pipes go when both sides have opened them.
        let opened = || !container().is_empty() && std::fs::read_dir(&pipes).unwrap().next().is_none();
        until("a browser in a container", || async { opened() }).await;
        gone.cancel();
        more(container().trim());
    };
    let local = tokio::task::LocalSet::new();
    local.run_until(async { tokio::join!(stand_between(listener, gone.clone()), watch) }).await;
    // Ends the connections as well.
    drop(local);
    tokio::task::spawn_blocking(move || checking.wait_with_output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_docker_daemon_that_goes_away_is_named_and_no_page_is_blamed() {
    // It keeps its browser busy for a second at the least.
    let kill = |container: &str| drop(docker(&["kill", container]));
    let output = without_daemon_from_then_on(&["hang_at_load"; 5], kill).await;
    assert_says(&output, ["no Docker daemon answers", "start one"]);
}

#[tokio::test]
async fn a_browser_in_a_container_that_runs_needs_no_daemon() {
    let output = without_daemon_from_then_on(&["clean_canvas"; 5], |_| {}).await;
    assert_eq!(output.status.code(), Some(0), "{}", program::text(&output.stderr));
}

#[test]
fn a_daemon_that_does_not_see_our_files_is_told_from_a_broken_one() {
    let page = page_path("clean_canvas").display().to_string();
    let mut command = elsewhere(&["--tmpfs", "/mnt"], &["check", &page], "docker");
    let output = command.env("TMPDIR", "/mnt").output().unwrap();
    assert_says(&output, ["the Docker daemon does not see our directory", "TMPDIR"]);
}

#[test]
fn without_a_choice_a_daemon_that_is_of_no_use_is_done_without() {
    let page = page_path("clean_canvas").display().to_string();
    let mut command = elsewhere(&["--tmpfs", "/mnt"], &["check", &page], "auto");
    let output = command.env("TMPDIR", "/mnt").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", program::text(&output.stderr));
    assert!(program::text(&output.stderr).contains("pages are executed under bubblewrap"));
}
