//! Pages that are executed by another process: the same findings, and no way in without the token.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mondo::http::{Offer, serve_executions};
use mondo_jobs::{
    finding::Report,
    ports::{Execution, Sandbox, SandboxError, sandbox::PAGE_BYTES_MAX},
};
use mondo_workers::sandbox::{BackendChoice, Remote, RemoteConfig};
use reqwest::{Client, Response, StatusCode};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::support::{
    program::{self, Running},
    sandbox::{execute, execution, pool},
    server::free_port,
    wait::until,
};

const TOKEN: &str = "a heron by the lake";

/// A process that runs `mondo sandbox` with one slot.
struct Elsewhere {
    port: u16,
    program: Running,
    dir: TempDir,
}

impl Elsewhere {
    async fn start() -> Self {
        let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
        let settings = [
            ("MONDO_SANDBOX", "local"),
            ("MONDO_SANDBOX_SLOTS", "1"),
            ("MONDO_SANDBOX_TOKEN", TOKEN),
            ("MONDO_LISTEN", &format!("127.0.0.1:{port}")),
        ];
        let program = Running::start(&["sandbox"], &settings, &dir.path().join("log"));
        let elsewhere = Self { port, program, dir };
        let livez = format!("{}livez", elsewhere.url());
        until("the sandbox lives", || async {
            http().get(&livez).send().await.is_ok_and(|response| response.status() == StatusCode::OK)
        })
        .await;
        elsewhere
    }

    fn url(&self) -> String {
        url_of(self.port)
    }

    /// Waits until a page is on its way here.
    async fn until_asked(&self) {
        let address = format!(":{:04X} ", self.port);
        until("a caller is connected", || async {
            let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
            // Local address, remote address, state; 01 is an established connection.
            sockets.lines().any(|line| {
                line.split(' ').any(|word| format!("{word} ").ends_with(&address)) && line.contains(" 01 ")
            })
        })
        .await;
    }

    async fn post(&self, token: &str, page: String) -> Response {
        let request = http().post(format!("{}executions?seed=7", self.url()));
        request.bearer_auth(token).body(page).send().await.unwrap()
    }
}

fn url_of(port: u16) -> String {
    format!("http://127.0.0.1:{port}/")
}

/// A plain client. One of ours is made before, for that chooses the library for TLS, which this one leaves open.
fn http() -> Client {
    drop(remote_of(&[url_of(1)], TOKEN));
    Client::new()
}

fn remote_of(urls: &[String], token: &str) -> Remote {
    let endpoints = urls.iter().map(|url| url.parse().unwrap()).collect();
    Remote::new(RemoteConfig { endpoints, token: Some(token.to_owned().into()) }).unwrap()
}

#[tokio::test]
async fn a_page_elsewhere_gives_the_same_report() {
    let elsewhere = Elsewhere::start().await;
    let remote = remote_of(&[elsewhere.url()], TOKEN);
    let pool = pool(BackendChoice::Local, 1).await;
    for name in ["dice", "click_handler", "hang_at_load"] {
        let here = execute(&pool, name).await;
        let there = remote.execute(&execution(name)).await.unwrap();
        assert_eq!((here.findings, here.inputs), (there.findings, there.inputs), "{name}");
        assert!(here.screenshot == there.screenshot, "{name}");
    }
    pool.close().await;
}

#[tokio::test]
async fn nobody_comes_in_without_the_token() {
    let elsewhere = Elsewhere::start().await;
    for token in ["", "a heron", "a heron by the lakes"] {
        assert_eq!(
            elsewhere.post(token, "<p>".to_owned()).await.status(),
            StatusCode::UNAUTHORIZED,
            "`{token}`"
        );
    }
    let error = remote_of(&[elsewhere.url()], "another").execute(&execution("dice")).await.unwrap_err();
    assert!(matches!(error, SandboxError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("MONDO_SANDBOX_TOKEN"), "{error}");
    let log = std::fs::read_to_string(elsewhere.dir.path().join("log")).unwrap();
    assert!(log.contains("sandbox started") && !log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn what_is_too_large_or_no_text_is_refused_there_too() {
    let elsewhere = Elsewhere::start().await;
    let large = elsewhere.post(TOKEN, "x".repeat(PAGE_BYTES_MAX + 1)).await;
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let largest = elsewhere.post(TOKEN, "x".repeat(PAGE_BYTES_MAX)).await;
    assert_eq!(largest.status(), StatusCode::OK);
    let request = http().post(format!("{}executions?seed=7", elsewhere.url()));
    let binary = request.bearer_auth(TOKEN).body(vec![0xff, 0xfe]).send().await.unwrap();
    assert_eq!(binary.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn more_pages_than_slots_are_told_to_come_back_and_do() {
    let elsewhere = Elsewhere::start().await;
    let page = execution("hang_on_click").page;
    let answers = futures_util::future::join_all((0..4).map(|_| elsewhere.post(TOKEN, page.clone()))).await;
    let (busy, done): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE);
    assert!(!busy.is_empty() && !done.is_empty());
    assert!(busy.iter().all(|answer| answer.headers()["retry-after"] == "1"));
    assert!(done.iter().all(|answer| answer.status() == StatusCode::OK));
    let remote = remote_of(&[elsewhere.url()], TOKEN);
    let page = execution("click_handler");
    for report in futures_util::future::join_all((0..4).map(|_| remote.execute(&page))).await {
        assert_eq!(report.unwrap().findings.len(), 1);
    }
}

#[tokio::test]
async fn an_endpoint_that_is_away_is_passed_over_and_with_none_the_job_waits() {
    let elsewhere = Elsewhere::start().await;
    let remote = remote_of(&[url_of(free_port()), elsewhere.url()], TOKEN);
    for _ in 0..3 {
        assert_eq!(remote.execute(&execution("click_handler")).await.unwrap().findings.len(), 1);
    }
    let nowhere = remote_of(&[url_of(free_port())], TOKEN);
    for _ in 0..2 {
        let error = nowhere.execute(&execution("click_handler")).await.unwrap_err();
        assert!(matches!(error.disposition(), mondo_jobs::step::Disposition::Wait { .. }), "{error}");
        assert!(error.to_string().contains("MONDO_SANDBOX_ENDPOINTS"), "{error}");
    }
}

#[tokio::test]
async fn a_page_whose_sandbox_is_killed_is_executed_by_another() {
    let (mut first, second) = (Elsewhere::start().await, Elsewhere::start().await);
    let remote = remote_of(&[first.url(), second.url()], TOKEN);
    let page = execution("hang_at_load");
    let kill = async {
        first.until_asked().await;
        first.program.kill();
    };
    let (report, ()) = tokio::join!(remote.execute(&page), kill);
    assert_eq!(report.unwrap().findings.len(), 1);
}

/// A sandbox whose pages run until nobody wants them any more.
#[derive(Default)]
struct Endless {
    started: Notify,
    starts: AtomicUsize,
    ended: Arc<Notify>,
}

/// Tells when it is dropped.
struct Guard(Arc<Notify>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[async_trait]
impl Sandbox for Endless {
    async fn execute(&self, _: &Execution) -> Result<Report, SandboxError> {
        let _guard = Guard(Arc::clone(&self.ended));
        self.starts.fetch_add(1, Ordering::SeqCst);
        self.started.notify_one();
        std::future::pending().await
    }
}

/// Serves `endless` with one slot until the token is cancelled.
struct Served {
    port: u16,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Served {
    async fn start(endless: Arc<Endless>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, stop, tasks) =
            (listener.local_addr().unwrap().port(), CancellationToken::new(), TaskTracker::new());
        let offer = Offer::new(endless, 1, &TOKEN.to_owned().into());
        tasks.spawn(serve_executions(listener, offer, stop.clone()));
        Self { port, stop, tasks }
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        timeout(Duration::from_mins(1), self.tasks.wait()).await.expect("the server ends");
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_ends_the_page() {
    let endless = Arc::new(Endless::default());
    let served = Served::start(endless.clone()).await;
    let remote = remote_of(&[url_of(served.port)], TOKEN);
    let page = execution("dice");
    // One slot and one place to wait: a page that went on would be in the way of the third.
    for _ in 0..3 {
        tokio::select! {
            report = remote.execute(&page) => panic!("{report:?}"),
            () = endless.started.notified() => {}
        }
        timeout(Duration::from_mins(1), endless.ended.notified()).await.expect("the page ends");
    }
    served.end().await;
}

#[tokio::test]
async fn a_page_without_a_place_is_refused_before_it_is_read() {
    let endless = Arc::new(Endless::default());
    let served = Served::start(endless.clone()).await;
    let remote = remote_of(&[url_of(served.port)], TOKEN);
    let page = execution("dice");
    // One has the slot, one waits for it.
    let both = async { tokio::join!(remote.execute(&page), remote.execute(&page)) };
    let third = async {
        until("all places are taken", || async { endless.starts.load(Ordering::SeqCst) == 2 }).await;
        for (token, status) in [(TOKEN, "503"), ("another", "401")] {
            let head = format!(
                "POST /executions?seed=7 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
                 Content-Length: 1000000\r\n\r\n"
            );
            let mut stream = TcpStream::connect(("127.0.0.1", served.port)).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = [0; 12];
            let read = stream.read_exact(&mut answer);
            timeout(Duration::from_secs(30), read).await.expect("an answer without a page").unwrap();
            assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {status}"));
        }
        let client = http();
        // Those who send all of a large page before they look for an answer see it too.
        for (token, status) in [(TOKEN, StatusCode::SERVICE_UNAVAILABLE), ("x", StatusCode::UNAUTHORIZED)] {
            for _ in 0..20 {
                let request = client.post(format!("{}executions?seed=7", url_of(served.port)));
                let answer = request.bearer_auth(token).body("x".repeat(PAGE_BYTES_MAX)).send().await;
                assert_eq!(answer.unwrap().status(), status);
            }
        }
    };
    tokio::select! {
        reports = both => panic!("{reports:?}"),
        () = third => {}
    }
    served.end().await;
}

#[test]
fn without_a_token_it_does_not_start() {
    let output = program::run(&["sandbox"], &[("MONDO_SANDBOX", "local")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(program::text(&output.stderr).contains("MONDO_SANDBOX_TOKEN is not set"));
}

#[tokio::test]
async fn workers_make_pairs_with_a_sandbox_elsewhere() {
    let elsewhere = Elsewhere::start().await;
    let url = elsewhere.url();
    let data = tempfile::tempdir().unwrap();
    let data = data.path().display().to_string();
    let settings = [
        ("MONDO_SANDBOX", "remote"),
        ("MONDO_SANDBOX_ENDPOINTS", url.as_str()),
        ("MONDO_SANDBOX_TOKEN", TOKEN),
        ("MONDO_DATA_DIR", data.as_str()),
    ];
    let output = program::run(&["make", "1", "--json"], &settings);
    let message = program::text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{message}");
    assert_eq!(program::text(&output.stdout).lines().count(), 1, "{message}");
}
