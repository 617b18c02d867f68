//! The way to a browser in a container: two named pipes in a directory that nobody but us can enter, and that is gone
//! as soon as the container holds its ends. The kernel carries what is said from process to process; through the
//! daemon's own streams it would pass two more on its way.
//!
//! Either side may die at any moment and the other must see it, so nobody may ever wait for the other to open a pipe,
//! nor find an end closed that is only not open yet. Each side therefore opens both pipes for reading and writing
//! first, which waits for nobody, and gives that up when it has its own ends and knows that the other side has
//! opened them too.

use std::{
    fs::{DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use bollard::models::{Mount, MountType};
use rustix::fs::{CWD, Mode, mkfifoat};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::{OpenOptions, Receiver, Sender},
    time::timeout,
};

use super::owner::is_dead;

/// Where the container has the pipes.
const INSIDE: &str = "/run/mondo";

/// How our directories begin; the owner and a number follow.
const PREFIX: &str = "mondo-sandbox.";

/// How long a container may take to open the pipes once it is started.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// The two pipes of one container that is being started.
pub(super) struct Fifos {
    directory: Directory,
    output: Receiver,
    input: Sender,
    /// Both, for reading and writing: until the container has opened them, these are the other ends.
    others: [File; 2],
}

impl Fifos {
    /// Makes both and opens our ends.
    pub(super) fn make(owner: &str, number: u32) -> io::Result<Self> {
        let directory = Directory::make(&std::env::temp_dir(), owner, number)?;
        let other = |path: &Path| File::options().read(true).write(true).open(path);
        let (input, output) = (directory.fifo("in")?, directory.fifo("out")?);
        let others = [other(&input)?, other(&output)?];
        let (output, input) =
            (OpenOptions::new().open_receiver(output)?, OpenOptions::new().open_sender(input)?);
        Ok(Self { directory, output, input, others })
    }

    /// What the container is to see of them.
    pub(super) fn mounts(&self) -> Vec<Mount> {
        let mount = |name: &str| Mount {
            target: Some(format!("{INSIDE}/{name}")),
            source: Some(self.directory.0.join(name).display().to_string()),
            typ: Some(MountType::BIND),
            read_only: Some(true),
            ..Mount::default()
        };
        vec![mount("in"), mount("out")]
    }

    /// Our ends, once the container has its own.
    pub(super) async fn opened(self) -> Result<(Receiver, Sender), String> {
        let Self { directory, mut output, input, others } = self;
        match timeout(OPEN_MAX, output.read_u8()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("the container did not open them within {} s", OPEN_MAX.as_secs())),
        }
        drop((directory, others));
        Ok((output, input))
    }
}

/// The command of the container, which becomes the browser.
pub(super) fn command_line() -> String {
    with_pipes(INSIDE, super::command_line)
}

/// The command that opens the pipes in a directory, says with one byte that it holds both, and becomes the program,
/// which is given what it must close; it has the pipes as 3 and 4.
fn with_pipes(directory: &str, program: impl Fn(&str) -> String) -> String {
    let open = format!("exec 5<>{directory}/in 6<>{directory}/out 3<{directory}/in 4>{directory}/out");
    format!("{open}; printf + >&4; {}", program("5>&- 6>&-"))
}

/// Removes the directories of processes that were killed while a container of theirs was started.
pub(super) fn sweep() {
    sweep_in(&std::env::temp_dir());
}

fn sweep_in(parent: &Path) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        if name.to_str().and_then(owner_of_directory).is_some_and(|owner| is_dead(&owner)) {
            tracing::info!(directory = %entry.path().display(), "removing the pipes of a dead process");
            drop(Directory(entry.path()));
        }
    }
}

fn owner_of_directory(name: &str) -> Option<String> {
    let (owner, _number) = name.strip_prefix(PREFIX)?.rsplit_once('.')?;
    Some(owner.replace('.', "/"))
}

/// A directory that goes with this value.
struct Directory(PathBuf);

impl Directory {
    fn make(parent: &Path, owner: &str, number: u32) -> io::Result<Self> {
        let path = parent.join(format!("{PREFIX}{}.{number}", owner.replace('/', ".")));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Makes a named pipe in it that anybody may open who gets there: the container's user is none of this machine's.
    fn fifo(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o666))?;
        Ok(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, directory = %self.0.display(), "cannot remove the pipes of a container");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::browser::owner::owner_of;

    #[test]
    fn directories_of_the_dead_are_swept_and_those_of_the_living_are_left() {
        let parent = tempfile::tempdir().unwrap();
        let ours = owner_of(std::process::id()).unwrap();
        let living = Directory::make(parent.path(), &ours, 0).unwrap();
        let dead = Directory::make(parent.path(), &format!("{ours}0"), 1).unwrap();
        dead.fifo("in").unwrap();
        std::fs::create_dir(parent.path().join("mondo-sandbox.")).unwrap();
        sweep_in(parent.path());
        assert!(living.0.exists());
        assert!(!dead.0.exists());
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 2, "what is not ours is left");
        std::mem::forget(dead);
    }

    /// What a container does, on this machine; its program may use file descriptors 3 and 4.
    fn container(fifos: &Fifos, delay: &str, program: &str) -> std::process::Child {
        let directory = fifos.directory.0.display().to_string();
        let command = with_pipes(&directory, |pipes| format!("exec {program} {pipes} <&3 >&4"));
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("sleep {delay}; {command}")]).spawn().unwrap()
    }

    fn fifos(number: u32) -> Fifos {
        Fifos::make(&owner_of(std::process::id()).unwrap(), number).unwrap()
    }

    #[tokio::test]
    async fn the_end_of_a_container_is_seen_and_the_directory_is_gone() {
        let fifos = fifos(0);
        let directory = fifos.directory.0.clone();
        let mut other = container(&fifos, "0", "echo hi");
        let (mut output, _input) = fifos.opened().await.unwrap();
        assert!(!directory.exists());
        let mut said = String::new();
        timeout(Duration::from_secs(10), output.read_to_string(&mut said)).await.unwrap().unwrap();
        assert_eq!(said, "hi\n");
        assert!(other.wait().unwrap().success());
    }

    #[tokio::test]
    async fn a_container_that_starts_after_our_end_ends_as_well() {
        let fifos = fifos(1);
        let mut other = container(&fifos, "0.3", "cat");
        // As when we are killed: the directory stays, our ends do not.
        let Fifos { directory, output, input, others } = fifos;
        drop((output, input, others));
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while other.try_wait().unwrap().is_none() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let ended = other.try_wait().unwrap();
        let _ = other.kill();
        drop(directory);
        assert!(ended.is_some_and(|status| status.success()), "it waits for us: {ended:?}");
    }
}
