//! Files that are written whole or not at all, also in a power cut.
//!
//! What is new goes to `NAME.part` beside the file, is on the disk before it takes the file's name, and has the name for
//! good when the call returns: file and folder are synced. A reader sees the former file or the new one, never a piece.
//! When something fails the former file stays as it was and the part is removed; a part that a power cut left behind is
//! replaced by the next writing. Not for two writers of one file: the second takes the first one's part away.
//!
//! A leaf: it imports nothing of the house (`docs/decisions/0016-files-are-written-whole.md`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown, lchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

/// The last bytes of a file, at most so many.
pub fn tail(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Who may do what with a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    mode: u32,
    of_folder: bool,
}

impl Rights {
    /// Permissions as of `chmod`, less what the umask takes; a secret is 0o600.
    pub const fn mode(mode: u32) -> Self {
        Self { mode, of_folder: false }
    }

    /// What root writes belongs to the owner of the folder: the service, which is not root, has to read it.
    pub const fn of_folder(self) -> Self {
        Self { of_folder: true, ..self }
    }
}

/// A file was not written; what was there before is there still, unless only the folder could not be synced.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}` ({step})", path.display())]
pub struct NotWritten {
    /// The file.
    pub path: PathBuf,
    /// What failed.
    pub step: &'static str,
    /// What the system said.
    pub source: io::Error,
}

/// A file on its way to the disk; [`Whole::finish`] puts it in place, dropping it leaves the former one.
#[derive(Debug)]
pub struct Whole {
    path: PathBuf,
    part: PathBuf,
    sink: BufWriter<File>,
    placed: bool,
}

impl Whole {
    /// Makes the part.
    ///
    /// # Errors
    /// When the folder is missing, full or may not be written.
    pub fn begin(path: &Path, rights: Rights) -> Result<Self, NotWritten> {
        let part = beside(path);
        let made = (|| {
            remove(&part)?;
            // `create_new` also refuses a link that somebody else put there.
            let file = OpenOptions::new().write(true).create_new(true).mode(rights.mode).open(&part)?;
            if rights.of_folder
                && let Some((owner, group)) = owner_for(path)?
            {
                fchown(&file, Some(owner), Some(group))?;
            }
            Ok(file)
        })();
        let file = made.map_err(|source| NotWritten { path: path.to_owned(), step: "making its part", source })?;
        Ok(Self { path: path.to_owned(), part, sink: BufWriter::new(file), placed: false })
    }

    /// Puts it in the place of the former file, if there is one.
    ///
    /// # Errors
    /// When the disk refuses a step.
    pub fn finish(self) -> Result<(), NotWritten> {
        self.place(|part, path| fs::rename(part, path))
    }

    /// Puts it in place where there is no file yet.
    ///
    /// # Errors
    /// As [`Whole::finish`]; of the kind `AlreadyExists` when there is one, which stays.
    pub fn finish_new(self) -> Result<(), NotWritten> {
        self.place(rename_new)
    }

    fn place(mut self, rename: impl FnOnce(&Path, &Path) -> io::Result<()>) -> Result<(), NotWritten> {
        self.sink.flush().map_err(|source| self.failed("writing", source))?;
        self.sink.get_ref().sync_all().map_err(|source| self.failed("syncing", source))?;
        rename(&self.part, &self.path).map_err(|source| self.failed("renaming its part", source))?;
        self.placed = true;
        sync_folder_of(&self.path).map_err(|source| self.failed("syncing its folder", source))
    }

    fn failed(&self, step: &'static str, source: io::Error) -> NotWritten {
        NotWritten { path: self.path.clone(), step, source }
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.placed {
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Writes a file in the place of the former one, if there is one.
///
/// # Errors
/// As [`Whole::begin`] and [`Whole::finish`].
pub fn write(path: &Path, bytes: &[u8], rights: Rights) -> Result<(), NotWritten> {
    filled(path, bytes, rights)?.finish()
}

/// Writes a file where there is none yet.
///
/// # Errors
/// As [`Whole::begin`] and [`Whole::finish_new`].
pub fn write_new(path: &Path, bytes: &[u8], rights: Rights) -> Result<(), NotWritten> {
    filled(path, bytes, rights)?.finish_new()
}

fn filled(path: &Path, bytes: &[u8], rights: Rights) -> Result<Whole, NotWritten> {
    let mut whole = Whole::begin(path, rights)?;
    // Past the buffer, so that no second copy of a secret is left in memory.
    whole.sink.get_mut().write_all(bytes).map_err(|source| whole.failed("writing", source))?;
    Ok(whole)
}

/// Makes sure that a file that was renamed or removed stays so after a power cut.
///
/// # Errors
/// When the folder that it lies in cannot be synced.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    sync_folder(folder_of(path))
}

/// Makes sure that the names in a folder outlive a power cut.
///
/// # Errors
/// When it cannot be synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that a path lies in; the working folder when it names none.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Gives what root made the owner and group of the folder that it lies in; for others it does nothing. A link itself is
/// given away, not what it leads to.
///
/// # Errors
/// When the system refuses.
pub fn inherit_owner(path: &Path) -> io::Result<()> {
    match owner_for(path)? {
        Some((owner, group)) => lchown(path, Some(owner), Some(group)),
        None => Ok(()),
    }
}

/// Owner and group of the folder, when the program may give them.
fn owner_for(path: &Path) -> io::Result<Option<(u32, u32)>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    let about = fs::metadata(folder_of(path))?;
    Ok(Some((about.uid(), about.gid())))
}

fn rename_new(part: &Path, path: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, part, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE) {
        // A file system that does not know the flag (NFS): a second name is refused where there is one, too.
        Err(Errno::EINVAL) => fs::hard_link(part, path).and_then(|()| fs::remove_file(part)),
        result => Ok(result?),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SECRET: Rights = Rights::mode(0o600);

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_and_has_the_rights_that_were_asked_for_from_its_first_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "former").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        // As a power cut leaves it, and readable by all.
        fs::write(beside(&path), "half a").unwrap();
        let mut whole = Whole::begin(&path, SECRET).unwrap();
        assert_eq!(fs::metadata(beside(&path)).unwrap().mode() & 0o777, 0o600);
        whole.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"former");
        whole.finish().unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().mode() & 0o777), (b"new".to_vec(), 0o600));
        assert_eq!(names(folder.path()), ["key"]);
    }

    #[test]
    fn a_writing_that_fails_or_is_given_up_leaves_the_former_file_and_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        write(&path, b"former", SECRET).unwrap();
        let mut given_up = Whole::begin(&path, SECRET).unwrap();
        given_up.write_all(&[7; 100_000]).unwrap();
        drop(given_up);
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"former".to_vec(), vec!["state.json".into()]));
        // The last step fails: a folder does not give way to a file.
        let taken = folder.path().join("taken");
        fs::create_dir_all(taken.join("inside")).unwrap();
        let error = write(&taken, b"new", SECRET).unwrap_err();
        assert_eq!(error.step, "renaming its part");
        assert_eq!(names(folder.path()), ["state.json", "taken"]);
        assert_eq!(names(&taken), ["inside"]);
    }

    #[test]
    fn a_disk_that_is_full_is_told_with_the_path_and_the_former_file_stays() {
        // The only writing that always fails for want of room: everything that is written to it.
        let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else { return };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last");
        write(&path, b"former", SECRET).unwrap();
        let mut whole = Whole::begin(&path, SECRET).unwrap();
        whole.sink = BufWriter::new(full);
        whole.write_all(b"new").unwrap();
        let error = whole.finish().unwrap_err();
        let words = format!("{:#}", anyhow::Error::from(error));
        assert!(words.starts_with(&format!("cannot write `{}` (writing): No space left", path.display())), "{words}");
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"former".to_vec(), vec!["last".into()]));
    }

    #[test]
    fn one_that_must_be_new_leaves_the_one_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key");
        write_new(&path, b"first", SECRET).unwrap();
        let error = write_new(&path, b"second", SECRET).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"first".to_vec(), vec!["device.key".into()]));
    }

    #[test]
    fn a_missing_folder_is_named_and_a_bare_name_lies_in_the_working_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone/x");
        let words = write(&path, b"", SECRET).unwrap_err().to_string();
        assert!(words.contains("gone/x` (making its part)"), "{words}");
        assert_eq!((folder_of(Path::new("x")), folder_of(&path)), (Path::new("."), path.parent().unwrap()));
        assert!(sync_folder_of(&path).is_err() && sync_folder_of(&folder.path().join("x")).is_ok());
    }

    #[test]
    fn what_root_makes_belongs_to_the_owner_of_the_folder_when_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        if !nix::unistd::geteuid().is_root() {
            assert_eq!(owner_for(&folder.path().join("x")).unwrap(), None);
            return;
        }
        std::os::unix::fs::chown(folder.path(), Some(4_711), Some(4_712)).unwrap();
        let owner =
            |name: &str| fs::metadata(folder.path().join(name)).map(|about| (about.uid(), about.gid())).unwrap();
        write(&folder.path().join("own"), b"", SECRET).unwrap();
        write(&folder.path().join("given"), b"", SECRET.of_folder()).unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        inherit_owner(&folder.path().join("inner")).unwrap();
        assert_eq!((owner("own").0, owner("given"), owner("inner")), (0, (4_711, 4_712), (4_711, 4_712)));
    }
}
