//! Pages that are executed elsewhere, by processes that run `mondo sandbox`: for workers that must hold neither a
//! browser nor the socket of a Docker daemon. Load is spread over the endpoints in turn; one that is away is left
//! alone for a while, and a page whose endpoint breaks off in the middle is executed at another.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mondo_jobs::{
    env::Env,
    finding::Report,
    ports::{Execution, Sandbox, SandboxError, sandbox::PAGE_BYTES_MAX},
};
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, sleep};

use super::browser::failed;
use crate::llm::init_tls;

/// How long a connection may take to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// How long an answer may take: an endpoint answers or refuses within two minutes, whatever the page does.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(150);

/// The most bytes of an answer: a screenshot of a page full of noise has about 4 MiB.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long an endpoint that did not answer is left alone.
const AWAY: Duration = Duration::from_secs(10);

/// How long a busy endpoint is given before it is asked again, unless it asks for more.
const BUSY: Duration = Duration::from_secs(1);

/// The longest wait for a busy endpoint that we agree to.
const BUSY_MAX: Duration = Duration::from_secs(10);

/// In how many sandboxes in a row a page may end the connection before it counts as a failed attempt.
const BROKEN_MAX: u32 = 2;

/// How long a page may wait here before its job is given back to wait. It counts as part of the job's run, and so does the
/// page before it at a sandbox: neither may make a late one of a page that takes its time.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Where pages are executed, and the word that opens the door.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    /// The endpoints.
    pub endpoints: Vec<Url>,
    /// What both sides know, sent as a bearer token.
    pub token: Option<SecretString>,
}

impl RemoteConfig {
    /// Reads `MONDO_SANDBOX_ENDPOINTS` and `MONDO_SANDBOX_TOKEN`.
    pub fn from_env(env: &mut Env) -> Self {
        let accepted = "http URLs of a host and a port, separated by commas, such as `http://sandbox:5003`";
        let endpoints = env.read("MONDO_SANDBOX_ENDPOINTS", Vec::new(), accepted, endpoints);
        Self { endpoints, token: env.secret("MONDO_SANDBOX_TOKEN") }
    }
}

fn endpoints(text: &str) -> Option<Vec<Url>> {
    let fits = |url: &Url| {
        let is_bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        url.scheme() == "http" && url.has_host() && is_bare
    };
    text.split(',').map(|one| Url::parse(one.trim()).ok().filter(fits)).collect()
}

/// Executes pages at other processes.
pub struct Remote {
    http: Client,
    endpoints: Vec<Endpoint>,
    token: SecretString,
    next: AtomicUsize,
}

struct Endpoint {
    url: Url,
    /// Until when it is left alone, and why.
    away: Mutex<Option<(Instant, SandboxError)>>,
}

/// Why an endpoint did not execute a page.
enum Refusal {
    /// All its slots are taken.
    Busy { retry_after: Duration },
    /// It is of no use for a while: it cannot be reached, or says what no sandbox of ours says.
    Away(SandboxError),
    /// It broke off when it had the page.
    Broken(String),
    /// It answered, and another would say the same.
    Final(SandboxError),
}

impl Remote {
    /// Endpoints that are asked when a page is to be executed, not before.
    ///
    /// # Errors
    /// [`SandboxError::Unavailable`] when a setting is missing, or no client can be built.
    pub fn new(config: RemoteConfig) -> Result<Self, SandboxError> {
        let (false, Some(token)) = (config.endpoints.is_empty(), config.token) else {
            return Err(SandboxError::Unavailable {
                problem: "it is not said where pages are executed".to_owned(),
                remedy: "set MONDO_SANDBOX_ENDPOINTS and MONDO_SANDBOX_TOKEN".to_owned(),
            });
        };
        init_tls();
        let client = Client::builder()
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(ANSWER_TIME_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // A name may stand for several sandboxes; each page asks anew which one.
            .pool_max_idle_per_host(0)
            .build();
        let http = client.map_err(|error| unavailable(&error.to_string()))?;
        let endpoints = config.endpoints.into_iter().map(|url| Endpoint { url, away: Mutex::default() });
        Ok(Self { http, endpoints: endpoints.collect(), token, next: AtomicUsize::new(0) })
    }

    /// Asks each endpoint that is not away, in turn. A busy one is worth waiting for, whatever the others say.
    async fn ask_all(&self, execution: &Execution) -> Result<Report, Refusal> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut refusal = Refusal::Away(unavailable("no endpoint is named"));
        for index in 0..self.endpoints.len() {
            let Some(endpoint) = self.endpoints.get((first + index) % self.endpoints.len()) else { continue };
            let answer = match endpoint.why_away() {
                Some(error) => Err(Refusal::Away(error)),
                None => {
                    self.ask(&endpoint.url, execution).await.inspect_err(|refusal| endpoint.note(refusal))
                }
            };
            match answer {
                Err(Refusal::Away(_)) if matches!(refusal, Refusal::Busy { .. }) => {}
                Err(next @ (Refusal::Away(_) | Refusal::Busy { .. })) => refusal = next,
                done => return done,
            }
        }
        Err(refusal)
    }

    async fn ask(&self, endpoint: &Url, execution: &Execution) -> Result<Report, Refusal> {
        let mut url = endpoint.clone();
        url.set_path("/executions");
        // Views are for people at this machine: they are not sent.
        url.set_query(Some(&format!("seed={}&watch_ms={}", execution.seed, execution.watch_ms)));
        let request = self.http.post(url).bearer_auth(self.token.expose_secret());
        let request = request.header(CONTENT_TYPE, "text/html; charset=utf-8").body(execution.page.clone());
        let mut response = request.send().await.map_err(|error| broken(endpoint, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(endpoint, &mut response).await?;
        if status == StatusCode::OK {
            return report(&body, execution.seed)
                .map_err(|problem| away(endpoint, &format!("its answer is not believed: {problem}")));
        }
        let message = String::from_utf8_lossy(&body).chars().take(300).collect::<String>();
        Err(refused(endpoint, status, &headers, &message))
    }
}

impl Endpoint {
    fn why_away(&self) -> Option<SandboxError> {
        self.lock().as_ref().filter(|(until, _)| Instant::now() < *until).map(|(_, error)| error.clone())
    }

    fn note(&self, refusal: &Refusal) {
        let Refusal::Away(error) = refusal else { return };
        tracing::warn!(%error, "a sandbox is left alone for a while");
        *self.lock() = Some((Instant::now() + AWAY, error.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, SandboxError)>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Sandbox for Remote {
    async fn execute(&self, execution: &Execution) -> Result<Report, SandboxError> {
        if execution.page.len() > PAGE_BYTES_MAX {
            return Err(SandboxError::PageTooLarge { bytes: execution.page.len() });
        }
        let (mut waited, mut times_broken) = (Duration::ZERO, 0);
        loop {
            let (pause, error) = match self.ask_all(execution).await {
                Ok(report) => return Ok(report),
                Err(Refusal::Final(error)) => return Err(error),
                // Its name may stand for others too, and one that has gone is away when it is asked again. A page that
                // ends whoever takes it must not go round for ever.
                Err(Refusal::Broken(message)) => {
                    tracing::warn!(message, "a sandbox broke off while it had a page");
                    times_broken += 1;
                    if times_broken == BROKEN_MAX {
                        return Err(failed("executing a page elsewhere", message));
                    }
                    continue;
                }
                Err(Refusal::Away(error)) if times_broken == 0 => return Err(error),
                // The sandbox that it ended starts afresh: the page waits for it here, where that is counted.
                Err(Refusal::Away(error)) => (BUSY, error),
                Err(Refusal::Busy { retry_after }) => (retry_after, unavailable("all endpoints are busy")),
            };
            waited += pause;
            if waited > WAIT_MAX {
                return Err(error);
            }
            sleep(pause).await;
        }
    }
}

async fn read(endpoint: &Url, response: &mut Response) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(endpoint, &error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(away(endpoint, &format!("its answer has more than {ANSWER_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An answer is the report as one line of JSON, and after it the bytes of the screenshot, if there is one. It goes on
/// to Redis and into prompts, so it is held to what a sandbox promises.
fn report(body: &[u8], seed: u64) -> Result<Report, String> {
    let line = body.iter().position(|byte| *byte == b'\n').unwrap_or(body.len());
    let (json, rest) = body.split_at(line);
    let screenshot = rest.get(1..).filter(|png| !png.is_empty()).map(<[u8]>::to_vec);
    let report: Report = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let report = Report { screenshot, ..report };
    if report.seed != seed {
        return Err(format!("its seed is {}, not {seed}", report.seed));
    }
    if let Some(excess) = report.excess() {
        return Err(format!("{excess} over the bounds"));
    }
    if report.hash != report.digest() {
        return Err("its hash is not of its content; is that another release?".to_owned());
    }
    Ok(report)
}

fn refused(endpoint: &Url, status: StatusCode, headers: &HeaderMap, message: &str) -> Refusal {
    match status {
        StatusCode::UNAUTHORIZED => Refusal::Away(SandboxError::Unavailable {
            problem: format!("{endpoint} does not accept our token"),
            remedy: "set the same MONDO_SANDBOX_TOKEN on both sides".to_owned(),
        }),
        // Without a time to come back, the sandbox itself has no browser.
        StatusCode::SERVICE_UNAVAILABLE if headers.contains_key(RETRY_AFTER) => {
            let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Refusal::Busy { retry_after: asked.map_or(BUSY, Duration::from_secs).clamp(BUSY, BUSY_MAX) }
        }
        StatusCode::INTERNAL_SERVER_ERROR => Refusal::Final(failed("executing a page elsewhere", message)),
        // Also 413: the page is within the bounds that all sandboxes have, so it is a smaller one on the way.
        other => away(endpoint, &format!("it answered {other}: {message}")),
    }
}

fn broken(endpoint: &Url, error: &reqwest::Error) -> Refusal {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        message = format!("{message}: {next}");
        cause = next.source();
    }
    if error.is_connect() { away(endpoint, &message) } else { Refusal::Broken(message) }
}

fn away(endpoint: &Url, problem: &str) -> Refusal {
    Refusal::Away(unavailable(&format!("{endpoint}: {problem}")))
}

fn unavailable(problem: &str) -> SandboxError {
    SandboxError::Unavailable {
        problem: problem.to_owned(),
        remedy: "start `mondo sandbox` where MONDO_SANDBOX_ENDPOINTS points to".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mondo_jobs::job::Step;

    use super::*;

    #[test]
    fn endpoints_are_bare_http_urls() {
        let read = |text| endpoints(text).map(|urls| urls.iter().map(Url::to_string).collect::<Vec<_>>());
        let two = ["http://a:5003/".to_owned(), "http://10.0.0.1/".to_owned()];
        assert_eq!(read("http://a:5003, http://10.0.0.1/"), Some(two.to_vec()));
        for wrong in ["", "a:5003", "https://a", "http://me:word@a", "http://a/path", "http://a,"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn waiting_leaves_a_page_the_time_that_it_may_take() {
        let (page_before, own_in_two_browsers) = (Duration::from_secs(30), Duration::from_mins(1));
        let run_max = Step::Execute.time_max(Duration::ZERO);
        assert!(WAIT_MAX + page_before + own_in_two_browsers < run_max);
    }

    #[test]
    fn settings_never_show_the_token() {
        let config = RemoteConfig { endpoints: Vec::new(), token: Some("heron".to_owned().into()) };
        assert!(!format!("{config:?}").contains("heron"));
    }
}
