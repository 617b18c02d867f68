//! Browsers under bubblewrap: every namespace of their own, no network, a read-only view of what the browser
//! needs and nothing else. Chromium's inner sandbox stays on inside.

use std::{
    collections::VecDeque,
    os::unix::fs::MetadataExt,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use mondo_jobs::ports::SandboxError;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::Command,
};
use tokio_util::task::TaskTracker;

use super::{BROWSER_PATH, Browser, Host, cdp::Cdp, command_line, failed};

/// The user and group that a browser runs as when we are root ourselves: nobody's.
const NOBODY: u32 = 65_534;

/// The user that the browser sees itself as. Chromium refuses to be user 0.
const INNER_USER: &str = "10001";

/// What of the file system the browser sees, read-only; what is not there is left out.
const VISIBLE: [&str; 9] = [
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/fonts",
    "/usr/share/fontconfig",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/var/cache/fontconfig",
    "/bin/sh",
];

/// Space of each of the two places where a browser may write: files, and shared memory.
const SCRATCH_BYTES: &str = "536870912";

/// Processes and threads; a browser with one page has about 120.
const PIDS_MAX: u32 = 512;

const ENVIRONMENT: [(&str, &str); 3] = [("HOME", "/tmp"), ("TZ", "UTC"), ("LANG", "C.UTF-8")];

/// How many last lines of the browser's log are kept for an error message.
const LOG_LINES_KEPT: usize = 5;

/// Starts browsers under bubblewrap.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Local {
    as_nobody: bool,
}

impl Local {
    /// Finds what is needed on this machine.
    ///
    /// # Errors
    /// [`SandboxError::Unavailable`] names what is missing.
    pub(in crate::sandbox) fn find() -> Result<Self, SandboxError> {
        if !Path::new("/proc/thread-self/children").exists() {
            return Err(SandboxError::Unavailable {
                problem: "this kernel does not list the children of a process, so memory cannot be watched"
                    .to_owned(),
                remedy: "use a kernel with CONFIG_PROC_CHILDREN".to_owned(),
            });
        }
        let bubblewrap = Path::new("/usr/bin/bwrap").exists();
        let browser = Path::new(BROWSER_PATH).exists();
        let missing = match (bubblewrap, browser) {
            (true, true) => return Ok(Self { as_nobody: is_root() }),
            (false, true) => "bubblewrap is not installed",
            (true, false) => "chromium-headless-shell is not installed",
            (false, false) => "bubblewrap and chromium-headless-shell are not installed",
        };
        Err(SandboxError::Unavailable {
            problem: missing.to_owned(),
            remedy: "run `apt-get install bubblewrap chromium-headless-shell`".to_owned(),
        })
    }

    /// Starts a browser and waits until it answers.
    pub(in crate::sandbox) async fn launch(&self) -> Result<Browser, SandboxError> {
        let mut child =
            self.command().spawn().map_err(|error| failed("starting bubblewrap", error.to_string()))?;
        let tasks = TaskTracker::new();
        let log = Log::default();
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed("starting bubblewrap", "its pipes are missing"));
        };
        tasks.spawn(log.clone().keep(errors));
        let cdp = Cdp::start(output, input, &tasks);
        let browser = Browser::new(cdp, Host::Process(Box::new(child)), tasks);
        if let Err(message) = browser.ready().await {
            browser.kill().await;
            return Err(failed("starting the browser", format!("{message}: {}", log.text())));
        }
        Ok(browser)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("/usr/bin/bwrap");
        command
            // Users are unshared explicitly: `--unshare-all` goes on without where the kernel refuses.
            .args(["--unshare-all", "--unshare-user", "--uid", INNER_USER, "--gid", INNER_USER])
            .args(["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "sandbox"])
            .args(["--clearenv", "--proc", "/proc", "--dev", "/dev", "--dir", "/run"])
            .args(["--size", SCRATCH_BYTES, "--tmpfs", "/tmp"])
            .args(["--size", SCRATCH_BYTES, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"])
            .args(["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--chdir", "/tmp"]);
        for (name, value) in ENVIRONMENT {
            command.args(["--setenv", name, value]);
        }
        for path in VISIBLE {
            command.args(["--ro-bind-try", path, path]);
        }
        // Counted in the user namespace of this browser alone. Shells differ in the letter.
        let limited = format!(
            "ulimit -p {PIDS_MAX} 2>&- || ulimit -u {PIDS_MAX} || exit; {}",
            command_line("3<&0 4>&1")
        );
        command.args(["--remount-ro", "/", "/bin/sh", "-c", &limited]);
        if self.as_nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.env_clear().current_dir("/").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Whether this process has all rights: then browsers are given those of nobody.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The last lines that a browser logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    async fn keep(self, errors: impl AsyncRead + Unpin) {
        // A line without an end must not fill our memory: each is read up to a limit.
        let mut reader = BufReader::new(errors);
        loop {
            let mut line = Vec::new();
            match (&mut reader).take(4096).read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = String::from_utf8_lossy(&line).trim().to_owned();
            tracing::trace!(line, "browser");
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == LOG_LINES_KEPT {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    }

    fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::browser::guard::MEMORY_BYTES_MAX;

    /// The number after `key` in the compose file.
    fn composed(key: &str) -> u64 {
        let text = include_str!("../../../../docker/compose.yaml");
        let value = text.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap();
        value.trim_matches([' ', '"', 'g']).parse().unwrap()
    }

    /// With less, the kernel would end one page for the memory of another.
    #[test]
    fn a_sandbox_in_a_container_has_the_memory_that_its_slots_may_use() {
        let scratch: u64 = SCRATCH_BYTES.parse().unwrap();
        let ours = 1 << 30;
        let needed = composed("MONDO_SANDBOX_SLOTS:") * (MEMORY_BYTES_MAX + 2 * scratch) + ours;
        assert_eq!(composed("mem_limit:") << 30, needed);
        assert_eq!(composed("memswap_limit:"), composed("mem_limit:"), "no swap on top of it");
    }
}
