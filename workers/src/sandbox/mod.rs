//! The sandbox: everything behind the port [`Sandbox`](mondo_jobs::ports::Sandbox). A page that nobody has read is executed in a browser that
//! can reach nothing: no network, no file of the host, no other page.
//!
//! [`open`] finds a back-end and gives a [`BrowserPool`]. Below it, `local` and `docker` start browsers, `cdp`
//! talks to one, `page` makes a fresh page, `run` keeps a page's time and collects its findings, and `drive` is
//! the plan of what is done with it.

mod browser;
mod cdp;
mod classify;
mod docker;
mod drive;
mod events;
mod findings;
mod guard;
mod hang;
mod input;
mod keys;
mod local;
mod look;
mod memory;
mod none;
mod page;
mod pool;
mod run;
mod screen;
mod usage;
mod watch;

use std::sync::Arc;

use mondo_jobs::{env::Env, ports::SandboxError};

pub use none::NoSandbox;
pub use pool::BrowserPool;
pub use usage::{Usage, own_cpu_secs};

/// Which way browsers are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendChoice {
    /// Docker when a daemon answers and has the image, else local.
    Auto,
    /// One container per slot.
    Docker,
    /// Processes under bubblewrap.
    Local,
}

/// How the sandbox is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxConfig {
    /// Which way browsers are started.
    pub backend: BackendChoice,
    /// The image of the containers.
    pub image: String,
    /// How many pages may be executed at once, 1 to 64.
    pub slots: usize,
}

impl SandboxConfig {
    /// Reads `MONDO_SANDBOX`, `MONDO_SANDBOX_IMAGE` and `MONDO_SANDBOX_SLOTS`.
    pub fn from_env(env: &mut Env) -> Self {
        let backend =
            env.read("MONDO_SANDBOX", BackendChoice::Auto, "auto, docker or local", |text| match text {
                "auto" => Some(BackendChoice::Auto),
                "docker" => Some(BackendChoice::Docker),
                "local" => Some(BackendChoice::Local),
                _ => None,
            });
        let image = env.text("MONDO_SANDBOX_IMAGE").unwrap_or_else(|| "mondo/sandbox".to_owned());
        // More slots than cores only add waiting: one page already keeps several processes busy.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let slots = env.number("MONDO_SANDBOX_SLOTS", cores.min(64) as u64, 1..=64);
        Self { backend, image, slots: usize::try_from(slots).unwrap_or(1) }
    }
}

/// What starts browsers.
enum Backend {
    Docker(docker::Docker),
    Local(local::Local),
}

impl Backend {
    async fn find(config: &SandboxConfig) -> Result<Self, SandboxError> {
        match config.backend {
            BackendChoice::Docker => docker::Docker::find(&config.image).await.map(Self::Docker),
            BackendChoice::Local => local::Local::find().map(Self::Local),
            BackendChoice::Auto => match docker::Docker::find(&config.image).await {
                Ok(docker) => Ok(Self::Docker(docker)),
                Err(no_docker) => {
                    local::Local::find().map(Self::Local).map_err(|no_local| neither(&no_docker, &no_local))
                }
            },
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Docker(_) => "docker",
            Self::Local(_) => "local",
        }
    }

    async fn launch(&self) -> Result<browser::Browser, SandboxError> {
        match self {
            Self::Docker(docker) => docker.launch().await,
            Self::Local(local) => local.launch().await,
        }
    }
}

fn neither(no_docker: &SandboxError, no_local: &SandboxError) -> SandboxError {
    match (no_docker, no_local) {
        (
            SandboxError::Unavailable { problem: docker, .. },
            SandboxError::Unavailable { problem: local, remedy },
        ) => SandboxError::Unavailable {
            problem: format!("{local}, and {docker}"),
            remedy: format!("{remedy}, or start Docker and run scripts/sandbox-image"),
        },
        _ => SandboxError::Unavailable { problem: no_docker.to_string(), remedy: no_local.to_string() },
    }
}

/// Finds a back-end, starts one browser to see that it works, and gives the slots. The other slots start theirs
/// when they are first used.
///
/// # Errors
/// [`SandboxError::Unavailable`] when nothing on this machine can run a page, with what to install or start;
/// [`SandboxError::Browser`] when the browser does not start.
pub async fn open(config: SandboxConfig) -> Result<Arc<BrowserPool>, SandboxError> {
    let backend = Backend::find(&config).await?;
    let pool = Arc::new(BrowserPool::new(backend, config.slots));
    pool.warm_up().await?;
    Ok(pool)
}
