//! One file of the spool and the lock on it: whoever holds the lock is its owner, and a file whose owner died
//! is anybody's.

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    io,
    ops::Range,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::record::{ReplyId, decode, encode, scan};

/// What the name of a file ends with; another way to write records gets another one, so that no release takes
/// a file that it cannot read.
const ENDING: &str = ".1.log";
/// Damaged files are kept under this ending instead, for a person to look at.
const BAD_ENDING: &str = ".bad";
/// So much is written to a new file and taken away again, to see that there is room.
const PROBE_BYTES: usize = 64 * 1024;

/// A file that this process owns.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Where the next record goes.
    end: u64,
    /// Whether something in it is no record, so that it must not be removed.
    damaged: bool,
    /// Where the replies are that still wait.
    waiting: HashMap<ReplyId, Range<u64>>,
}

impl LogFile {
    /// A new, empty file, on the disk together with its name, after a test that there is room.
    pub(super) fn create(dir: &Path) -> io::Result<Self> {
        loop {
            let path = dir.join(format!("{}{ENDING}", Uuid::now_v7()));
            let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
            // Somebody may have found it abandoned before it was locked, and removed it.
            if !lock(&file)? {
                continue;
            }
            let created = Self { path, file, end: 0, damaged: false, waiting: HashMap::new() };
            if let Err(error) = created.probe().and_then(|()| File::open(dir)?.sync_all()) {
                // What is left behind is empty; the next start removes it if this does not.
                let _ = created.retire();
                return Err(error);
            }
            return Ok(created);
        }
    }

    fn probe(&self) -> io::Result<()> {
        self.file.write_all_at(&vec![0; PROBE_BYTES], 0)?;
        self.file.sync_data()?;
        self.file.set_len(0)
    }

    /// The file of an owner that is gone; nothing while its owner lives, or if it holds nothing.
    pub(super) fn adopt(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if !lock(&file)? {
            return Ok(None);
        }
        let bytes = fs::read(path)?;
        let found = scan(&bytes);
        let mut adopted = Self {
            path: path.to_owned(),
            file,
            end: found.end as u64,
            damaged: !found.damaged.is_empty(),
            waiting: HashMap::new(),
        };
        for place in found.records {
            match decode(&bytes[place.clone()]) {
                Some((id, _)) => {
                    adopted.waiting.entry(id).or_insert(place.start as u64..place.end as u64);
                }
                None => adopted.damaged = true,
            }
        }
        if adopted.damaged {
            tracing::error!(
                path = %path.display(),
                damaged = ?found.damaged,
                "a file of the spool is damaged at these bytes; the other replies in it are used, and it is kept \
                 with the ending `{BAD_ENDING}`"
            );
        }
        if bytes.len() > found.end {
            let bytes = bytes.len() - found.end;
            tracing::warn!(path = %path.display(), bytes, "a reply whose writing was cut off is dropped");
        }
        if adopted.waiting.is_empty() {
            adopted.retire()?;
            return Ok(None);
        }
        Ok(Some(adopted))
    }

    /// Adds a reply; once this returns it outlives a crash of the host. After an error it is not there.
    pub(super) fn append(&mut self, id: ReplyId, reply: &[u8]) -> io::Result<()> {
        let record = encode(&id, reply);
        if let Err(error) = self.file.write_all_at(&record, self.end).and_then(|()| self.file.sync_data()) {
            // If this fails too, the next record is written over the remains, and a reader passes over them.
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        let end = self.end + record.len() as u64;
        self.waiting.insert(id, self.end..end);
        self.end = end;
        Ok(())
    }

    /// A reply that waits here.
    pub(super) fn read(&self, id: &ReplyId) -> io::Result<Option<Vec<u8>>> {
        let Some(place) = self.waiting.get(id) else { return Ok(None) };
        let mut record = vec![0; usize::try_from(place.end - place.start).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut record, place.start)?;
        match decode(&record) {
            Some((found, reply)) if found == *id => Ok(Some(reply.to_vec())),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the record is damaged")),
        }
    }

    /// A reply does not wait any more. `bad` when it is not to be lost all the same: the file is then kept.
    pub(super) fn forget(&mut self, id: &ReplyId, bad: bool) {
        self.damaged |= self.waiting.remove(id).is_some() && bad;
    }

    /// Makes an empty file short again.
    pub(super) fn truncate(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.end = 0;
        self.file.sync_data()
    }

    /// Gives up a file in which nothing waits: removes it, or puts it aside when it is damaged.
    pub(super) fn retire(self) -> io::Result<()> {
        let done = if self.damaged {
            fs::rename(&self.path, self.path.with_added_extension(&BAD_ENDING[1..]))
        } else {
            fs::remove_file(&self.path)
        };
        match done {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &ReplyId> {
        self.waiting.keys()
    }

    pub(super) fn holds(&self, id: &ReplyId) -> bool {
        self.waiting.contains_key(id)
    }

    pub(super) fn records(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.end
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damaged
    }
}

/// A reply in a file that another process owns. It may be gone, which means that Redis has the reply.
pub(super) fn peek(path: &Path, id: &ReplyId) -> io::Result<Option<Vec<u8>>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut records = scan(&bytes).records.into_iter().filter_map(|place| decode(&bytes[place]));
    Ok(records.find(|(found, _)| found == id).map(|(_, reply)| reply.to_vec()))
}

/// Locks a file; `false` when it has an owner, or was removed before it could be locked.
fn lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(file.metadata()?.nlink() > 0),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The files of a spool, whoever owns them, and those put aside.
pub(super) fn list(dir: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut bad) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        match path.to_str() {
            Some(name) if name.ends_with(ENDING) => files.push(path),
            Some(name) if name.ends_with(BAD_ENDING) => bad.push(path),
            _ => {}
        }
    }
    files.sort();
    Ok((files, bad))
}

#[cfg(test)]
mod tests {
    use mondo_jobs::pair::PairId;

    use super::*;

    fn id(key: &str) -> ReplyId {
        (PairId::fresh(), key.to_owned())
    }

    /// `/dev/full` takes no byte, as a disk without room.
    #[test]
    fn a_reply_for_which_the_disk_has_no_room_is_refused_and_not_there() {
        let path = PathBuf::from("/dev/full");
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let mut full = LogFile { path, file, end: 0, damaged: false, waiting: HashMap::new() };
        let id = id("key");
        let error = full.append(id.clone(), b"reply").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!((full.records(), full.bytes(), full.holds(&id)), (0, 0, false));
        assert_eq!(full.probe().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_record_takes_the_place_of_one_that_could_not_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogFile::create(dir.path()).unwrap();
        let (first, second) = (id("first"), id("second"));
        log.append(first.clone(), b"one").unwrap();
        // What a failed append leaves when it cannot be taken back.
        log.file.write_all_at(&encode(&id("lost"), &[b'x'; 500])[..400], log.end).unwrap();
        log.append(second.clone(), b"two").unwrap();
        assert_eq!(log.read(&first).unwrap().unwrap(), b"one");

        let path = log.path.clone();
        drop(log);
        let again = LogFile::adopt(&path).unwrap().expect("two replies");
        assert_eq!(again.read(&first).unwrap().unwrap(), b"one");
        assert_eq!(again.read(&second).unwrap().unwrap(), b"two");
        assert_eq!(again.records(), 2);
    }

    #[test]
    fn a_damaged_record_is_never_given_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogFile::create(dir.path()).unwrap();
        let id = id("key");
        log.append(id.clone(), b"reply").unwrap();
        log.file.write_all_at(b"R", log.end - 5).unwrap();
        assert_eq!(log.read(&id).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
