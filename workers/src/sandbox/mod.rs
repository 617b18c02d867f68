//! The sandbox: everything behind the port [`Sandbox`]. A page that nobody has read is executed in a browser that
//! can reach nothing: no network, no file of the host, no other page.
//!
//! [`AnySandbox::of`] gives the sandbox that is configured: [`open`] finds a back-end and gives a [`BrowserPool`],
//! [`Remote`] sends pages to other processes that have one. Below it, `browser` starts browsers and talks to them,
//! `run` executes one page (its plan is `run/drive.rs`), and `findings` collects what goes wrong with it.

mod browser;
mod findings;
mod none;
mod old;
mod pool;
mod remote;
mod run;
mod thread;

use std::sync::Arc;

use mondo_jobs::{
    env::Env,
    ports::{Sandbox, SandboxError},
};

pub use browser::usage::{Usage, own_cpu_secs};
pub use none::NoSandbox;
pub use pool::BrowserPool;
pub use remote::{Remote, RemoteConfig};

use browser::{docker::Docker, local::Local};

/// Which way browsers are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendChoice {
    /// Docker when a daemon answers, has the image and can start it, else local.
    Auto,
    /// One container per slot.
    Docker,
    /// Processes under bubblewrap.
    Local,
    /// Other processes, which run `mondo sandbox`.
    Remote,
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
        let accepted = "auto, docker, local or remote";
        let backend = env.read("MONDO_SANDBOX", BackendChoice::Auto, accepted, |text| match text {
            "auto" => Some(BackendChoice::Auto),
            "docker" => Some(BackendChoice::Docker),
            "local" => Some(BackendChoice::Local),
            "remote" => Some(BackendChoice::Remote),
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
    Docker(Docker),
    Local(Local),
}

impl Backend {
    async fn find(config: &SandboxConfig) -> Result<Self, SandboxError> {
        match config.backend {
            BackendChoice::Docker => Docker::find(&config.image).await.map(Self::Docker),
            BackendChoice::Local => Local::find().map(Self::Local),
            BackendChoice::Remote => Err(SandboxError::Unavailable {
                problem: "MONDO_SANDBOX is `remote`, and this command needs browsers of its own".to_owned(),
                remedy: "set it to docker, local or auto".to_owned(),
            }),
            BackendChoice::Auto => match Docker::find(&config.image).await {
                Ok(docker) => Ok(Self::Docker(docker)),
                Err(no_docker) => {
                    Local::find().map(Self::Local).map_err(|no_local| neither(&no_docker, &no_local))
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

    /// Starts a browser that keeps to this processor, if there is one; the caller's thread does already.
    async fn launch(&self, processor: Option<usize>) -> Result<browser::Browser, SandboxError> {
        match self {
            Self::Docker(docker) => docker.launch(processor).await,
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
    let may_be_local = config.backend == BackendChoice::Auto && matches!(backend, Backend::Docker(_));
    match slots_of(backend, config.slots).await {
        // A daemon that answers need not be of use, as one that does not see our files.
        Err(no_docker @ SandboxError::Unavailable { .. }) if may_be_local => {
            let local = Local::find().map_err(|no_local| neither(&no_docker, &no_local))?;
            tracing::warn!(%no_docker, "pages are executed under bubblewrap");
            slots_of(Backend::Local(local), config.slots).await
        }
        opened => opened,
    }
}

async fn slots_of(backend: Backend, count: usize) -> Result<Arc<BrowserPool>, SandboxError> {
    let pool = Arc::new(BrowserPool::new(backend, count)?);
    pool.warm_up().await?;
    Ok(pool)
}

/// A sandbox, wherever it is.
pub enum AnySandbox {
    /// Browsers of this process.
    Here(Arc<BrowserPool>),
    /// Other processes.
    Elsewhere(Arc<Remote>),
}

impl AnySandbox {
    /// The sandbox that is configured. One elsewhere is not asked before there is a page.
    ///
    /// # Errors
    /// As [`open`].
    pub async fn of(config: SandboxConfig, remote: RemoteConfig) -> Result<Self, SandboxError> {
        match config.backend {
            BackendChoice::Remote => Remote::new(remote).map(|remote| Self::Elsewhere(Arc::new(remote))),
            _ => open(config).await.map(Self::Here),
        }
    }

    /// What executes pages.
    pub fn port(&self) -> Arc<dyn Sandbox> {
        match self {
            Self::Here(pool) => Arc::clone(pool) as Arc<dyn Sandbox>,
            Self::Elsewhere(remote) => Arc::clone(remote) as Arc<dyn Sandbox>,
        }
    }

    /// Ends the browsers of this process.
    pub async fn close(&self) {
        if let Self::Here(pool) = self {
            pool.close().await;
        }
    }
}
