//! Endpoints that execute pages badly: they refuse, break off, or answer what no sandbox would.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mondo_jobs::{
    disposition::Disposition,
    finding::{Coverage, FindingClass, Listener, Report, StackFrame},
    ports::{
        Execution, Sandbox as _, SandboxError,
        fake::{blocking, report},
    },
};
use mondo_workers::sandbox::{Remote, RemoteConfig};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

/// What an endpoint does with a page that it has read.
#[derive(Clone)]
enum Does {
    /// Answers with a status line, further headers and a body.
    Answer(&'static str, &'static str, Vec<u8>),
    /// Ends the connection.
    BreakOff,
    /// Ends the connection, and does not listen any more until it is started again.
    Die,
}

/// An endpoint that does one thing after the other, and the last one for ever. It ends with the value.
struct Endpoint {
    port: u16,
    asked: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Endpoint {
    async fn start(deeds: Vec<Does>) -> Self {
        Self::start_at(0, deeds).await
    }

    async fn start_at(port: u16, deeds: Vec<Does>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let mut task = JoinSet::new();
        task.spawn(serve(listener, deeds, Arc::clone(&asked)));
        Self { port, asked, _task: task }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, deeds: Vec<Does>, asked: Arc<AtomicUsize>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let index = asked.fetch_add(1, Ordering::SeqCst).min(deeds.len() - 1);
        let mut stream = BufReader::new(stream);
        read_request(&mut stream).await;
        match &deeds[index] {
            Does::Answer(status, headers, body) => {
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(body).await.unwrap();
                stream.shutdown().await.unwrap();
            }
            Does::BreakOff => {}
            Does::Die => return,
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).await.unwrap();
}

fn remote(endpoints: &[&Endpoint]) -> Remote {
    let urls = endpoints.iter().map(|one| format!("http://127.0.0.1:{}/", one.port).parse().unwrap());
    let token = Some("a heron by the lake".to_owned().into());
    Remote::new(RemoteConfig { endpoints: urls.collect(), token }).unwrap()
}

fn page() -> Execution {
    Execution::new("<p>page</p>", 7)
}

fn honest() -> Report {
    report(vec![blocking(FindingClass::Type, "x is null", 3)])
}

fn json_of(report: &Report) -> Vec<u8> {
    let mut json = serde_json::to_vec(report).unwrap();
    json.push(b'\n');
    json
}

/// Answers this report with the hash that belongs to it.
fn answers(report: Report) -> Does {
    let report = Report { hash: report.digest(), ..report };
    Does::Answer("200 OK", "", json_of(&report))
}

fn refuses(status: &'static str) -> Does {
    Does::Answer(status, "", b"no".to_vec())
}

/// The job waits and uses no attempt.
fn assert_waits(error: &SandboxError, words: &str) {
    assert!(matches!(error.disposition(), Disposition::Wait { .. }), "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test]
async fn a_report_out_of_bounds_is_not_believed() {
    let believed = Endpoint::start(vec![answers(honest())]).await;
    assert_eq!(remote(&[&believed]).execute(&page()).await.unwrap().findings.len(), 1);

    let finding = blocking(FindingClass::Type, "x", 1);
    let one = |change: fn(&mut mondo_jobs::finding::Finding)| {
        let mut finding = finding.clone();
        change(&mut finding);
        Report { findings: vec![finding], ..honest() }
    };
    let frame = StackFrame { function: None, file: None, line: 1, column: 1 };
    let listener = Listener { event: "click".to_owned(), target: "p".to_owned() };
    let unreached =
        |listener, count| Some(Coverage { unreached: vec![listener; count], ..Coverage::default() });
    let mut deep = one(|_| {});
    deep.findings[0].stack = vec![frame.clone(); 11];
    let mut wordy = one(|_| {});
    wordy.findings[0].stack = vec![StackFrame { function: Some("f".repeat(101)), ..frame }];
    let long = Listener { event: "e".repeat(61), ..listener.clone() };
    let wrong = [
        ("seed", Report { seed: 8, ..honest() }),
        ("findings", Report { findings: vec![finding.clone(); 201], ..honest() }),
        ("message", one(|finding| finding.message = "m".repeat(501))),
        ("message", one(|finding| finding.message = "one\ntwo".to_owned())),
        ("input", one(|finding| finding.input = Some("i".repeat(501)))),
        ("file", one(|finding| finding.file = Some("f".repeat(501)))),
        ("phase", one(|finding| finding.phase = "p".repeat(101))),
        ("stack", deep),
        ("function", wordy),
        ("listeners", Report { coverage: unreached(listener, 101), ..honest() }),
        ("event", Report { coverage: unreached(long, 1), ..honest() }),
    ];
    for (words, report) in wrong {
        let endpoint = Endpoint::start(vec![answers(report)]).await;
        let error = remote(&[&endpoint]).execute(&page()).await.expect_err(words);
        assert_waits(&error, words);
    }
    let forged = Report { hash: "0".repeat(64), ..honest() };
    let endpoint = Endpoint::start(vec![Does::Answer("200 OK", "", json_of(&forged))]).await;
    assert_waits(&remote(&[&endpoint]).execute(&page()).await.unwrap_err(), "hash");
}

#[tokio::test]
async fn a_busy_endpoint_is_not_asked_again_at_once_whatever_it_says() {
    let busy = Does::Answer("503 Service Unavailable", "Retry-After: 0\r\n", Vec::new());
    let endpoint = Endpoint::start(vec![busy]).await;
    let remote = remote(&[&endpoint]);
    assert!(timeout(Duration::from_millis(2500), remote.execute(&page())).await.is_err());
    assert!(endpoint.asked() <= 3, "asked {} times", endpoint.asked());
}

#[tokio::test]
async fn a_page_that_is_too_large_for_one_endpoint_is_executed_by_another() {
    let (small, good) = (
        Endpoint::start(vec![refuses("413 Payload Too Large")]).await,
        Endpoint::start(vec![answers(honest())]).await,
    );
    remote(&[&small, &good]).execute(&page()).await.unwrap();
    assert_waits(&remote(&[&small]).execute(&page()).await.unwrap_err(), "413");
}

#[tokio::test]
async fn one_endpoint_with_another_token_stops_nothing() {
    let (strange, good) = (
        Endpoint::start(vec![refuses("401 Unauthorized")]).await,
        Endpoint::start(vec![answers(honest())]).await,
    );
    let both = remote(&[&strange, &good]);
    for _ in 0..4 {
        both.execute(&page()).await.unwrap();
    }
    assert_eq!(strange.asked(), 1, "it is left alone");
    let alone = remote(&[&strange]);
    for _ in 0..2 {
        assert_waits(&alone.execute(&page()).await.unwrap_err(), "MONDO_SANDBOX_TOKEN");
    }
}

#[tokio::test]
async fn a_name_whose_connection_breaks_is_asked_once_more_at_once() {
    let endpoint = Endpoint::start(vec![Does::BreakOff, answers(honest())]).await;
    let remote = remote(&[&endpoint]);
    timeout(Duration::from_secs(5), remote.execute(&page())).await.expect("at once").unwrap();
    assert_eq!(endpoint.asked(), 2);
}

#[tokio::test]
async fn a_page_that_ends_two_sandboxes_uses_an_attempt() {
    let (one, two) =
        (Endpoint::start(vec![Does::BreakOff]).await, Endpoint::start(vec![Does::BreakOff]).await);
    for endpoints in [vec![&one, &two], vec![&one]] {
        let error = remote(&endpoints).execute(&page()).await.unwrap_err();
        assert!(matches!(error.disposition(), Disposition::Retry), "{error}");
    }
    assert_eq!((one.asked(), two.asked()), (3, 1));
}

#[tokio::test]
async fn a_page_that_ended_the_only_sandbox_waits_for_it_and_uses_an_attempt_if_it_ends_it_again() {
    let first = Endpoint::start(vec![Does::Die]).await;
    let remote = remote(&[&first]);
    let restart = async {
        crate::support::wait::until("the sandbox dies", || async { first.asked() == 1 }).await;
        // Somebody else asks meanwhile, and finds nobody.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Endpoint::start_at(first.port, vec![Does::BreakOff]).await
    };
    let page = page();
    let (result, again) = tokio::join!(remote.execute(&page), restart);
    let error = result.unwrap_err();
    assert!(matches!(error.disposition(), Disposition::Retry), "{error}");
    assert_eq!(again.asked(), 1);
}
