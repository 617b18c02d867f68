//! Paid replies that wait on the local disk, because Redis did not take them when they arrived.
//!
//! Each process appends to a file of its own and holds a lock on it. A file whose owner is gone is taken over
//! by whoever finds it first: at a start, or a process beside it that still runs. What waits is offered to the
//! journal until Redis has taken it; then the file is emptied, or removed if it was taken over.

mod file;
mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde::Serialize;

use self::{
    file::{LogFile, list, peek},
    record::{encode, scan},
};

pub(crate) use self::record::ReplyId;

/// Where the spool is and how large it may get.
#[derive(Debug, Clone)]
pub struct SpoolConfig {
    /// Its directory: on a local disk, and for one Redis and one prefix only.
    pub dir: PathBuf,
    /// The most bytes that the files of one process may have together.
    pub bytes_max: u64,
}

/// Why a reply is not in the spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// There can be no spool.
    #[error(
        "cannot keep paid replies in `{}`: {source}; set MONDO_DATA_DIR to a directory on a local disk with room, \
         which this user may write to",
        path.display()
    )]
    Dir {
        /// Its directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The limit is reached.
    #[error("the spool has its {bytes_max} bytes; MONDO_SPOOL_MB sets the limit")]
    Full {
        /// The limit.
        bytes_max: u64,
    },
    /// A file cannot be read or written.
    #[error("cannot use the spool in `{}`: {source}", path.display())]
    File {
        /// Its directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What waits in a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Usage {
    /// Replies.
    pub records: usize,
    /// Bytes of all files in which replies may wait.
    pub bytes: u64,
    /// Damaged files that were put aside for a person to look at.
    pub set_aside: usize,
}

/// The spool of a process; cheap to clone.
#[derive(Clone)]
pub struct Spool {
    config: Arc<SpoolConfig>,
    files: Arc<Mutex<Files>>,
    /// Kept beside the files, so that nobody waits for a disk to learn that nothing waits.
    records: Arc<AtomicUsize>,
}

/// The files that this process owns.
struct Files {
    /// What it appends to; absent once it had to be put aside.
    own: Option<LogFile>,
    /// What it took over.
    left: Vec<LogFile>,
    /// What could not be taken over, so that each is complained of once.
    unreadable: HashSet<PathBuf>,
}

impl Spool {
    /// Makes the directory and a file in it, and makes sure that it can be written.
    ///
    /// # Errors
    /// [`SpoolError::Dir`], with what to do about it.
    pub async fn open(config: SpoolConfig) -> Result<Self, SpoolError> {
        let dir = config.dir.clone();
        let created = tokio::task::spawn_blocking(move || make(&dir)).await;
        let own = created.unwrap_or_else(|error| Err(io::Error::other(error)));
        let own = own.map_err(|source| SpoolError::Dir { path: config.dir.clone(), source })?;
        let files = Files { own: Some(own), left: Vec::new(), unreadable: HashSet::new() };
        Ok(Self { config: Arc::new(config), files: Arc::new(Mutex::new(files)), records: Arc::default() })
    }

    /// Takes a reply in. Once this returns, it outlives this process and a crash of the host.
    ///
    /// # Errors
    /// When the spool is full or its disk is.
    ///
    /// # Cancel safety
    /// A reply whose future is dropped may be there or not.
    pub(crate) async fn append(&self, id: ReplyId, reply: Vec<u8>) -> Result<(), SpoolError> {
        let bytes_max = self.config.bytes_max;
        self.with(move |files, dir| {
            if files.all().any(|file| file.holds(&id)) {
                return Ok(());
            }
            let held: u64 = files.all().map(LogFile::bytes).sum();
            if held + encode(&id, &reply).len() as u64 > bytes_max {
                return Err(SpoolError::Full { bytes_max });
            }
            let own = match &mut files.own {
                Some(own) => own,
                absent => absent.insert(LogFile::create(dir).map_err(at(dir))?),
            };
            own.append(id, &reply).map_err(at(dir))
        })
        .await
    }

    /// A reply that waits on this machine: in a file of this process, of one that is gone, which is taken over, or
    /// of one that runs beside it.
    ///
    /// # Errors
    /// When the directory or the file cannot be read.
    pub(crate) async fn find(&self, id: &ReplyId) -> Result<Option<Vec<u8>>, SpoolError> {
        let id = id.clone();
        self.with(move |files, dir| files.find(&id, dir).map_err(at(dir))).await
    }

    /// Takes over the files of processes that are gone.
    ///
    /// # Errors
    /// When the directory cannot be read. A file that cannot be taken over is named in the log and left.
    pub(crate) async fn adopt(&self) -> Result<(), SpoolError> {
        self.with(|files, dir| files.adopt(dir).map_err(at(dir))).await
    }

    /// Everything that waits.
    ///
    /// # Errors
    /// When the process is ending.
    pub(crate) async fn waiting(&self) -> Result<Vec<ReplyId>, SpoolError> {
        if self.records.load(Ordering::Acquire) == 0 {
            return Ok(Vec::new());
        }
        self.with(|files, _| Ok(files.all().flat_map(LogFile::waiting).cloned().collect())).await
    }

    /// A reply need not wait any more; `bad` when it cannot be used, and a person should look at it. A file in
    /// which nothing waits is emptied, removed or put aside.
    ///
    /// # Errors
    /// When that fails; the reply is forgotten all the same.
    pub(crate) async fn forget(&self, id: ReplyId, bad: bool) -> Result<(), SpoolError> {
        self.with(move |files, dir| files.forget(&id, bad).map_err(at(dir))).await
    }

    /// What waits in the files of this process.
    pub async fn usage(&self) -> Usage {
        let counted = self.with(|files, _| {
            let bytes = files.all().map(LogFile::bytes).sum();
            Ok(Usage { records: files.all().map(LogFile::records).sum(), bytes, set_aside: 0 })
        });
        counted.await.unwrap_or_default()
    }

    /// Gives up a file in which nothing waits; what waits is left for the next process.
    pub(crate) async fn close(&self) {
        let closed = self.with(|files, dir| match files.own.take_if(|own| own.records() == 0) {
            Some(own) => own.retire().map_err(at(dir)),
            None => Ok(()),
        });
        if let Err(error) = closed.await {
            tracing::warn!(%error, "an empty file of the spool is left behind");
        }
    }

    async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Files, &Path) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut files = this.files.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut files, &this.config.dir);
            this.count(&files);
            result
        });
        done.await.unwrap_or_else(|error| Err(at(&self.config.dir)(io::Error::other(error))))
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge; 2^52 is far away")]
    fn count(&self, files: &Files) {
        let records = files.all().map(LogFile::records).sum();
        self.records.store(records, Ordering::Release);
        metrics::gauge!("mondo_spool_records").set(records as f64);
        metrics::gauge!("mondo_spool_bytes").set(files.all().map(LogFile::bytes).sum::<u64>() as f64);
    }
}

impl Files {
    fn find(&mut self, id: &ReplyId, dir: &Path) -> io::Result<Option<Vec<u8>>> {
        if !self.all().any(|file| file.holds(id)) {
            self.adopt(dir)?;
        }
        if let Some(file) = self.all().find(|file| file.holds(id)) {
            return file.read(id);
        }
        for path in list(dir)?.0 {
            if self.all().any(|file| file.path() == path) {
                continue;
            }
            let found = peek(&path, id)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn adopt(&mut self, dir: &Path) -> io::Result<()> {
        for path in list(dir)?.0 {
            match LogFile::adopt(&path) {
                Ok(Some(file)) => {
                    tracing::info!(
                        path = %path.display(),
                        replies = file.records(),
                        "taking over paid replies of a process that is gone"
                    );
                    self.left.push(file);
                }
                Err(error) if self.unreadable.insert(path.clone()) => {
                    tracing::error!(path = %path.display(), %error, "cannot read a file of the spool; it is left as it is");
                }
                Ok(None) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &LogFile> {
        self.left.iter().chain(&self.own)
    }

    fn forget(&mut self, id: &ReplyId, bad: bool) -> io::Result<()> {
        for file in self.left.iter_mut().chain(&mut self.own) {
            file.forget(id, bad);
        }
        for file in self.left.extract_if(.., |file| file.records() == 0) {
            file.retire()?;
        }
        match self.own.take_if(|own| own.records() == 0 && own.is_damaged()) {
            Some(damaged) => damaged.retire(),
            None => match &mut self.own {
                Some(own) if own.records() == 0 && own.bytes() > 0 => own.truncate(),
                _ => Ok(()),
            },
        }
    }
}

/// What waits in a directory, whoever owns the files; nothing where there is no directory.
///
/// # Errors
/// When it cannot be read.
pub fn usage(dir: &Path) -> io::Result<Usage> {
    let (files, bad) = match list(dir) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Usage::default()),
        Err(error) => return Err(error),
    };
    let mut usage = Usage { set_aside: bad.len(), ..Usage::default() };
    for path in files {
        match fs::read(path) {
            Ok(bytes) => {
                usage.records += scan(&bytes).records.len();
                usage.bytes += bytes.len() as u64;
            }
            // Drained and removed by its owner meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(usage)
}

/// Makes the directory, and this process's file in it.
fn make(dir: &Path) -> io::Result<LogFile> {
    make_dir(dir)?;
    LogFile::create(dir)
}

/// Makes a directory and those above it, each on the disk together with its name.
fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_dir(above)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::File::open(above)?.sync_all(),
    }
}

fn at(dir: &Path) -> impl Fn(io::Error) -> SpoolError + use<> {
    let path = dir.to_owned();
    move |source| SpoolError::File { path: path.clone(), source }
}
