//! One running browser: its connection and the process or container behind it.

pub(super) mod cdp;
pub(super) mod docker;
pub(super) mod events;
mod fifos;
pub(super) mod guard;
pub(super) mod json;
pub(super) mod local;
mod owner;
pub(super) mod usage;

use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::browser::GetVersionParams;
use mondo_jobs::ports::SandboxError;
use tokio_util::task::TaskTracker;

use self::{cdp::Cdp, usage::Usage};

/// Where Debian's package `chromium-headless-shell` puts the browser, in the image as on the host.
pub(super) const BROWSER_PATH: &str = "/usr/lib/chromium/chromium-headless-shell";

/// How long a browser may take to start. On a busy machine two seconds have been seen.
const START_MAX: Duration = Duration::from_secs(30);

/// How long the tasks of a killed browser may take to see its end.
const END_MAX: Duration = Duration::from_secs(5);

/// The browser's own settings. The second block makes frames come only when the driver asks for them; left to itself,
/// the browser holds timers back after an input until it has drawn a frame, and when that is depends on the machine.
const FLAGS: [&str; 25] = [
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--hide-scrollbars",
    "--mute-audio",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-breakpad",
    "--metrics-recording-only",
    "--force-color-profile=srgb",
    "'--js-flags=--max-old-space-size=512 --random-seed=1'",
    "--enable-begin-frame-control",
    "--run-all-compositor-stages-before-draw",
    "--disable-threaded-animation",
    "--disable-threaded-scrolling",
    "--disable-checker-imaging",
    "--disable-new-content-rendering-timeout",
    "--disable-image-animation-resync",
    "--disable-features=DeferRendererTasksAfterInput,WaitForLateScrollEvents",
    "--user-data-dir=/tmp/profile",
    "about:blank",
];

/// The shell command that becomes the browser. It speaks on file descriptors 3 and 4; `pipes` are the redirections
/// that leave it these and no others. What it logs goes to standard error.
pub(super) fn command_line(pipes: &str) -> String {
    format!("exec {BROWSER_PATH} {} {pipes} 1>&2 </dev/null", FLAGS.join(" "))
}

/// What keeps the browser alive.
pub(super) enum Host {
    /// A process of ours.
    Process(Box<tokio::process::Child>),
    /// A container.
    Container {
        /// The daemon it runs under.
        docker: bollard::Docker,
        /// Its name.
        name: String,
    },
}

/// One running browser. Dropping it ends it, because its pipe closes; [`Browser::kill`] also waits for the end.
pub(super) struct Browser {
    pub(super) cdp: Cdp,
    /// How many pages it has had.
    pub(super) pages: u32,
    host: Host,
    tasks: TaskTracker,
}

impl Browser {
    pub(super) fn new(cdp: Cdp, host: Host, tasks: TaskTracker) -> Self {
        Self { cdp, pages: 0, host, tasks }
    }

    /// Waits until the browser answers.
    pub(super) async fn ready(&self) -> Result<(), String> {
        let answer = self.cdp.call(None, &GetVersionParams::default(), START_MAX).await;
        answer.map(drop).map_err(|error| error.to_string())
    }

    /// What the browser uses, all its processes together.
    pub(super) async fn usage(&self) -> Usage {
        let root = match &self.host {
            Host::Process(child) => child.id(),
            Host::Container { docker, name } => docker::process_of(docker, name).await,
        };
        let Some(root) = root else { return Usage::default() };
        tokio::task::spawn_blocking(move || usage::of_tree(root)).await.unwrap_or_default()
    }

    /// Ends when the browser has outgrown the memory it may use, after killing it; gives how much that was, in
    /// bytes. In a container the kernel does this.
    pub(super) async fn outgrown(&mut self) -> u64 {
        let Host::Process(child) = &mut self.host else { return std::future::pending().await };
        let Some(root) = child.id() else { return std::future::pending().await };
        let bytes = guard::outgrown(root).await;
        if let Err(error) = child.start_kill() {
            tracing::warn!(%error, "cannot kill a browser that uses too much memory");
        }
        bytes
    }

    /// Ends the browser at once and waits until it is gone.
    pub(super) async fn kill(self) {
        let Self { cdp, host, tasks, .. } = self;
        drop(cdp);
        match host {
            Host::Process(mut child) => {
                if let Err(error) = child.kill().await {
                    tracing::warn!(%error, "cannot kill a browser");
                }
            }
            Host::Container { docker, name } => docker::remove(&docker, &name).await,
        }
        tasks.close();
        if tokio::time::timeout(END_MAX, tasks.wait()).await.is_err() {
            tracing::warn!("the pipes of a killed browser stay open");
        }
    }
}

/// The error of a browser that did what it should not.
pub(super) fn failed(doing: &str, message: impl Into<String>) -> SandboxError {
    SandboxError::Browser { doing: doing.to_owned(), message: message.into() }
}
