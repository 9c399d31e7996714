//! What a process did to the files of a folder, in order, as `strace` recorded it; and a disk that remembers which of it
//! was synchronised, so that it can say what may be left after a power cut.
//!
//! The disk keeps only what it must: bytes of a file from its `fsync` or `fdatasync` on, names from the `fsync` of their folder
//! on. Of the rest a cut leaves nothing, everything, or any part: each sector of each write by itself, each change of length,
//! each name. A sector is old or new, never a mixture, and a write harms no byte beside it, as SQLite assumes ("powersafe
//! overwrite"). File systems reorder in no worse ways; Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// What a disk writes in one piece.
const SECTOR: usize = 512;

/// Calls that change files.
pub const CALLS: &str =
    "openat,pwrite64,write,fdatasync,fsync,ftruncate,fallocate,?rename,renameat,?renameat2,?unlink,unlinkat";

/// One call that succeeded.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Opened with `O_CREAT`; made empty if `truncated`.
    Made {
        path: PathBuf,
        truncated: bool,
    },
    /// `at` is `None` for the end of the file.
    Wrote {
        path: PathBuf,
        at: Option<usize>,
        bytes: Vec<u8>,
    },
    Resized {
        path: PathBuf,
        length: usize,
    },
    /// As long as this at least.
    Allocated {
        path: PathBuf,
        length: usize,
    },
    Synced(PathBuf),
    Removed(PathBuf),
}

impl Act {
    pub fn path(&self) -> &Path {
        match self {
            Self::Synced(path) | Self::Removed(path) => path,
            Self::Made { path, .. }
            | Self::Wrote { path, .. }
            | Self::Resized { path, .. }
            | Self::Allocated { path, .. } => path,
        }
    }
}

/// Reads what `strace -f -y -xx -s …` wrote; only what is done below `folder` counts.
pub fn parse(log: &str, folder: &Path) -> Vec<Act> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut acts = Vec::new();
    for line in log.lines() {
        let Some((process, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let whole = if let Some(start) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(process, start);
            continue;
        } else if call.starts_with("<... ") {
            let start = begun.remove(process).unwrap();
            format!("{start}{}", call.split_once(" resumed>").unwrap().1)
        } else {
            call.to_owned()
        };
        acts.extend(act(&whole).filter(|act| act.path().starts_with(folder)));
    }
    acts
}

/// `None`: not a call, or it failed, or it changes nothing.
fn act(call: &str) -> Option<Act> {
    let (name, rest) = call.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(") = ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let arguments: Vec<&str> = arguments.split(", ").collect();
    let path = |number: usize| PathBuf::from(String::from_utf8(unhex(arguments[number])).unwrap());
    let number = |number: usize| arguments[number].parse::<usize>().unwrap();
    Some(match name {
        "openat" if arguments[2].contains("O_CREAT") => {
            Act::Made { path: path(1), truncated: arguments[2].contains("O_TRUNC") }
        }
        "pwrite64" => Act::Wrote { path: path(0), at: Some(number(3)), bytes: written(arguments[1], result) },
        "write" => Act::Wrote { path: path(0), at: None, bytes: written(arguments[1], result) },
        "ftruncate" => Act::Resized { path: path(0), length: number(1) },
        "fallocate" => Act::Allocated { path: path(0), length: number(2) + number(3) },
        "fsync" | "fdatasync" => Act::Synced(path(0)),
        "unlink" => Act::Removed(path(0)),
        "unlinkat" => Act::Removed(path(1)),
        "rename" | "renameat" | "renameat2" => panic!("the disk does not know how to rename: {call}"),
        _ => return None,
    })
}

fn written(bytes: &str, result: &str) -> Vec<u8> {
    let mut bytes = unhex(bytes);
    bytes.truncate(result.trim().parse().unwrap());
    bytes
}

/// The bytes of `"\x2f\x74"` or `3<\x2f\x74>`.
fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.split("\\x").skip(1);
    pairs.map(|pair| u8::from_str_radix(&pair[..2], 16).unwrap()).collect()
}

/// What a cut leaves of what was not synchronised.
#[derive(Clone, Copy, Debug)]
pub enum Left {
    Nothing,
    Everything,
    /// By chance, from this seed.
    Part(u64),
}

#[derive(Clone, Debug)]
enum Change {
    Wrote { at: usize, bytes: Vec<u8> },
    Resized(usize),
}

#[derive(Debug, Default)]
struct File {
    synced: Vec<u8>,
    /// As a reader sees it now.
    length: usize,
    pending: Vec<Change>,
}

impl File {
    fn after(&self, mut keep: impl FnMut() -> bool) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for change in &self.pending {
            match change {
                Change::Resized(length) if keep() => bytes.resize(*length, 0),
                Change::Resized(_) => {}
                Change::Wrote { at, bytes: new } => {
                    // The first piece ends where a sector of the disk ends.
                    let mut from = 0;
                    while from < new.len() {
                        let to = new.len().min(from + SECTOR - (at + from) % SECTOR);
                        if keep() {
                            bytes.resize(bytes.len().max(at + to), 0);
                            bytes[at + from..at + to].copy_from_slice(&new[from..to]);
                        }
                        from = to;
                    }
                }
            }
        }
        bytes
    }
}

/// Files of one folder.
#[derive(Debug, Default)]
pub struct Disk {
    files: Vec<File>,
    /// Names as they are now, and as they would be without what is not synchronised.
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
}

impl Disk {
    pub fn apply(&mut self, act: &Act) {
        match act {
            Act::Made { path, truncated } => {
                let number = *self.names.entry(path.clone()).or_insert_with(|| {
                    self.files.push(File::default());
                    self.files.len() - 1
                });
                if *truncated && self.files[number].length > 0 {
                    self.resize(number, 0);
                }
            }
            Act::Wrote { path, at, bytes } => {
                let Some(&number) = self.names.get(path) else { return };
                let file = &mut self.files[number];
                let at = at.unwrap_or(file.length);
                file.length = file.length.max(at + bytes.len());
                file.pending.push(Change::Wrote { at, bytes: bytes.clone() });
            }
            Act::Resized { path, length } => {
                let Some(&number) = self.names.get(path) else { return };
                self.resize(number, *length);
            }
            Act::Allocated { path, length } => {
                let Some(&number) = self.names.get(path) else { return };
                self.resize(number, self.files[number].length.max(*length));
            }
            Act::Synced(path) => match self.names.get(path) {
                Some(&number) => {
                    let synced = self.files[number].after(|| true);
                    self.files[number] = File { length: synced.len(), synced, pending: Vec::new() };
                }
                None => self.synced_names = self.names.clone(),
            },
            Act::Removed(path) => drop(self.names.remove(path)),
        }
    }

    fn resize(&mut self, number: usize, length: usize) {
        self.files[number].length = length;
        self.files[number].pending.push(Change::Resized(length));
    }

    /// The files after a power cut now.
    pub fn cut(&self, left: Left) -> BTreeMap<PathBuf, Vec<u8>> {
        let (seed, share) = match left {
            Left::Nothing => (0, 0.0),
            Left::Everything => (0, 2.0),
            Left::Part(seed) => (seed, [0.05, 0.5, 0.95][(seed % 3) as usize]),
        };
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut names = BTreeMap::new();
        for path in self.names.keys().chain(self.synced_names.keys()).collect::<BTreeSet<_>>() {
            let of = if dice.f64() < share { &self.names } else { &self.synced_names };
            names.extend(of.get(path).map(|number| (path.clone(), *number)));
        }
        names.into_iter().map(|(path, number)| (path, self.files[number].after(|| dice.f64() < share))).collect()
    }
}

#[test]
fn what_was_not_synchronised_may_be_gone_whole_or_in_part() {
    let folder = Path::new("/d");
    let hex = |text: &str| text.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let (file, dots) = (format!("5<{}>", hex("/d/f")), hex(&".".repeat(1500)));
    let log = format!(
        "7 openat(AT_FDCWD<{}>, \"{}\", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = {file}\n\
         7 pwrite64({file}, \"{dots}\", 1500, 0) = 1500\n\
         7 fdatasync( <unfinished ...>\n\
         8 write(6<{}>, \"{}\", 2) = 2\n\
         7 <... fdatasync resumed>{file}) = 0\n\
         7 pwrite64({file}, \"{}\", 1, 600) = -1 EIO (Input/output error) (INJECTED)\n\
         7 pwrite64({file}, \"{}\", 2, 1023) = 2\n",
        hex("/"),
        hex("/d/f"),
        hex("/elsewhere"),
        hex("no"),
        hex("x"),
        hex("ab"),
    );
    let acts = parse(&log, folder);
    assert_eq!(acts.len(), 4, "{acts:?}");
    let mut disk = Disk::default();
    acts[..3].iter().for_each(|act| disk.apply(act));
    assert_eq!(disk.cut(Left::Nothing), BTreeMap::new(), "its name is not synchronised");
    disk.apply(&Act::Synced("/d".into()));
    disk.apply(&acts[3]);
    let middle = |left: Left| disk.cut(left)[Path::new("/d/f")][1022..1026].to_vec();
    assert_eq!((middle(Left::Nothing), middle(Left::Everything)), (b"....".to_vec(), b".ab.".to_vec()));
    let seen: BTreeSet<_> = (0..60).map(|seed| middle(Left::Part(seed))).collect();
    // The two bytes lie in two sectors.
    assert_eq!(seen.len(), 4, "{seen:?}");
}
