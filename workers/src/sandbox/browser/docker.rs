//! Browsers in containers: no network, nothing writable but a small scratch space, no capability, a system call
//! filter of our own that leaves Chromium's inner sandbox working and knows no internet sockets. We speak with the
//! browser through two named pipes, so nothing listens anywhere; when we end, they close, the browser ends, and the
//! daemon removes the container.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bollard::{
    Docker as Daemon,
    errors::Error,
    models::{ContainerCreateBody, HostConfig, HostConfigLogConfig},
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
        RemoveContainerOptionsBuilder, StartContainerOptions,
    },
};
use mondo_jobs::ports::SandboxError;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{
    Browser, Host,
    cdp::Cdp,
    failed,
    fifos::{self, Fifos},
    owner::{is_dead, owner_of},
};

/// The system calls that the container may make.
const SECCOMP: &str = include_str!("../../../../docker/seccomp.json");

/// Names the process that owns a container, as `owner_of` does.
const OWNER_LABEL: &str = "mondo.sandbox.owner";

const USER: &str = "10001:10001";

/// Memory of a container, all its processes together. The kernel ends the page's process first, because Chromium
/// offers it as the first to go.
const MEMORY_BYTES: i64 = 1 << 30;

/// Processes and threads of a container; a browser with one page has about 120.
const PIDS_MAX: i64 = 512;

/// Processor time of a container, in billionths of a core.
const NANO_CPUS: i64 = 2_000_000_000;

/// Shared memory of a container.
const SHARED_MEMORY_BYTES: i64 = 512 << 20;

/// How long the daemon may take to say anything at all.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Counts the containers of this process, for their names.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// Starts browsers in containers.
#[derive(Clone)]
pub(in crate::sandbox) struct Docker {
    daemon: Daemon,
    image: String,
    owner: String,
}

impl Docker {
    /// Connects to the daemon, looks for the image, and removes what dead processes left behind.
    ///
    /// # Errors
    /// [`SandboxError::Unavailable`] names what is missing.
    pub(in crate::sandbox) async fn find(image: &str) -> Result<Self, SandboxError> {
        let daemon = connect().await.map_err(|message| no_daemon(&message))?;
        if let Err(error) = daemon.inspect_image(image).await {
            return Err(not_started(&error, image));
        }
        let owner = owner_of(std::process::id())
            .ok_or_else(|| failed("naming our containers", "/proc cannot be read"))?;
        let docker = Self { daemon, image: image.to_owned(), owner };
        docker.sweep().await;
        fifos::sweep();
        Ok(docker)
    }

    /// Starts a container, which keeps to this processor if there is one, and waits until its browser answers.
    pub(in crate::sandbox) async fn launch(&self, processor: Option<usize>) -> Result<Browser, SandboxError> {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        // No other process gives the same name, not even one with our number in another namespace: what has it is ours to
        // remove.
        let name = format!("mondo-sandbox-{}-{}", std::process::id(), Uuid::now_v7().simple());
        let (output, input) = match self.start(&name, number, processor).await {
            Ok(pipes) => pipes,
            Err(error) => {
                remove(&self.daemon, &name).await;
                return Err(error);
            }
        };
        let tasks = TaskTracker::new();
        let cdp = Cdp::start(output, input, &tasks);
        let browser = Browser::new(cdp, Host::Container { docker: self.daemon.clone(), name }, tasks);
        if let Err(message) = browser.ready().await {
            browser.kill().await;
            return Err(match self.daemon.ping().await {
                Ok(_) => failed("starting the browser in a container", message),
                Err(away) => no_daemon(&away.to_string()),
            });
        }
        Ok(browser)
    }

    async fn start(
        &self,
        name: &str,
        number: u32,
        processor: Option<usize>,
    ) -> Result<(Receiver, Sender), SandboxError> {
        let fifos = Fifos::make(&self.owner, number)
            .map_err(|error| failed("making the pipes of a container", error.to_string()))?;
        let refused = |error| not_started(&error, &self.image);
        let create = |processor| {
            let named = CreateContainerOptionsBuilder::default().name(name).build();
            self.daemon.create_container(Some(named), self.container(&fifos, processor))
        };
        match create(processor).await {
            // The daemon may use other processors than we.
            Err(Error::DockerResponseServerError { status_code: 400, message }) if processor.is_some() => {
                tracing::debug!(message, "a container cannot be kept to a processor");
                create(None).await
            }
            created => created,
        }
        .map_err(refused)?;
        self.daemon.start_container(name, None::<StartContainerOptions>).await.map_err(refused)?;
        fifos.opened().await.map_err(|message| failed("opening the pipes of a container", message))
    }

    fn container(&self, fifos: &Fifos, processor: Option<usize>) -> ContainerCreateBody {
        let cpuset_cpus = processor.map(|number| number.to_string());
        ContainerCreateBody {
            image: Some(self.image.clone()),
            cmd: Some(vec!["sh".to_owned(), "-c".to_owned(), fifos::command_line()]),
            user: Some(USER.to_owned()),
            env: Some(vec!["HOME=/tmp".to_owned(), "TZ=UTC".to_owned(), "LANG=C.UTF-8".to_owned()]),
            working_dir: Some("/tmp".to_owned()),
            network_disabled: Some(true),
            labels: Some(HashMap::from([(OWNER_LABEL.to_owned(), self.owner.clone())])),
            host_config: Some(HostConfig { mounts: Some(fifos.mounts()), cpuset_cpus, ..locked_down() }),
            ..ContainerCreateBody::default()
        }
    }

    /// Removes containers whose owner has died on this machine. Nearly all go by themselves when their owner's
    /// pipe closes; this is for a browser that was too stuck to notice.
    async fn sweep(&self) {
        let ours = HashMap::from([("label", vec![OWNER_LABEL])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&ours).build();
        let containers = match self.daemon.list_containers(Some(options)).await {
            Ok(containers) => containers,
            Err(error) => return tracing::warn!(%error, "cannot look for containers of dead processes"),
        };
        for container in containers {
            let owner = container.labels.as_ref().and_then(|labels| labels.get(OWNER_LABEL));
            if let (Some(id), Some(owner)) = (container.id, owner)
                && is_dead(owner)
            {
                tracing::info!(container = id, "removing the container of a dead process");
                remove(&self.daemon, &id).await;
            }
        }
    }
}

/// Removes a container, running or not. One that is gone already is what was wanted.
pub(in crate::sandbox) async fn remove(daemon: &Daemon, name: &str) {
    let force = RemoveContainerOptionsBuilder::default().force(true).build();
    match daemon.remove_container(name, Some(force)).await {
        // 404: gone. 409: the daemon is removing it at this moment.
        Ok(()) | Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => {}
        Err(error) => tracing::warn!(%error, container = name, "cannot remove a container"),
    }
}

/// The first process of a container, by the number that it has outside.
pub(in crate::sandbox) async fn process_of(daemon: &Daemon, name: &str) -> Option<u32> {
    let container = daemon.inspect_container(name, None::<InspectContainerOptions>).await.ok()?;
    u32::try_from(container.state?.pid?).ok()
}

/// Why there is no container: without a daemon or an image nothing can run, and that is not the page's fault.
fn not_started(error: &Error, image: &str) -> SandboxError {
    match error {
        Error::DockerResponseServerError { status_code: 404, .. } => SandboxError::Unavailable {
            problem: format!("the image `{image}` is not here: {error}"),
            remedy: "run scripts/sandbox-image".to_owned(),
        },
        Error::DockerResponseServerError { message, .. } if message.contains("bind source path") => {
            SandboxError::Unavailable {
                problem: format!(
                    "the Docker daemon does not see our directory for temporary files: {message}"
                ),
                remedy:
                    "use a daemon on this machine, with a TMPDIR that it sees too, or set MONDO_SANDBOX=local"
                        .to_owned(),
            }
        }
        Error::DockerResponseServerError { .. } => failed("starting a container", error.to_string()),
        away => no_daemon(&away.to_string()),
    }
}

fn no_daemon(message: &str) -> SandboxError {
    SandboxError::Unavailable {
        problem: format!("no Docker daemon answers: {message}"),
        remedy: "start one, or set MONDO_SANDBOX=local".to_owned(),
    }
}

async fn connect() -> Result<Daemon, String> {
    let daemon = Daemon::connect_with_local_defaults().map_err(|error| error.to_string())?;
    // The library's own version of the protocol is newer than many daemons'.
    match tokio::time::timeout(ANSWER_MAX, daemon.negotiate_version()).await {
        Ok(daemon) => daemon.map_err(|error| error.to_string()),
        Err(_) => Err(format!("silent for {} s", ANSWER_MAX.as_secs())),
    }
}

fn locked_down() -> HostConfig {
    let scratch = "rw,nosuid,nodev,noexec,size=512m,mode=1777";
    HostConfig {
        network_mode: Some("none".to_owned()),
        readonly_rootfs: Some(true),
        tmpfs: Some(HashMap::from([("/tmp".to_owned(), scratch.to_owned())])),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges:true".to_owned(), format!("seccomp={SECCOMP}")]),
        memory: Some(MEMORY_BYTES),
        memory_swap: Some(MEMORY_BYTES),
        pids_limit: Some(PIDS_MAX),
        shm_size: Some(SHARED_MEMORY_BYTES),
        nano_cpus: Some(NANO_CPUS),
        ipc_mode: Some("private".to_owned()),
        // What a page makes the browser say must not be written to the daemon's disk.
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        auto_remove: Some(true),
        init: Some(true),
        ..HostConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_call_filter_allows_no_internet_socket() {
        let filter: serde_json::Value = serde_json::from_str(SECCOMP).unwrap();
        let rules = filter["syscalls"].as_array().unwrap();
        let socket: Vec<_> = rules
            .iter()
            .filter(|rule| rule["names"].as_array().unwrap().contains(&"socket".into()))
            .collect();
        assert_eq!(filter["defaultAction"], "SCMP_ACT_ERRNO");
        assert_eq!(socket.len(), 1);
        assert_eq!(socket[0]["args"][0]["value"], 1, "only AF_UNIX");
    }
}
