//! A producer alone with its disk: no broker, no second connection. It goes on when the disk refuses, deletes some
//! events as if they were acknowledged, and writes down beside the spool what it was told. `strace` looks over its shoulder:
//! [`crate::io_error`] makes calls fail, [`crate::power`] records them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use forecourt::domain::event::EventClass;
use forecourt::store::spool::{Condition, FILE_NAME, RowKey, Spool};
use serde::{Deserialize, Serialize};

use crate::checker::{Ledger, Verdict, check};
use crate::harness::{PlantedBug, append, compose, limits, open};
use crate::synchronous;

/// How it ended.
pub mod exit {
    /// Everything was tried, and the spool is in order.
    pub const DONE: i32 = 0;
    /// The spool could not be opened; the words say why.
    pub const NOT_OPENED: i32 = 3;
    /// The spool refused for longer than the order allows.
    pub const NOT_RECOVERED: i32 = 4;
}

/// Name of the variable that makes a test process a lone producer.
const ORDER: &str = "FORECOURT_TEST_LONE";

/// What it is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Holds `spool/`, and what is written down: `ledger`, `gone`.
    pub folder: PathBuf,
    /// Number of the last event.
    pub count: u64,
    /// How long it waits for a disk that refuses.
    pub patience: Duration,
    pub bug: PlantedBug,
    /// A setting of SQLite in place of the program's own.
    pub synchronous: Option<String>,
}

impl Order {
    pub fn new(folder: &Path, count: u64) -> Self {
        let patience = Duration::from_secs(20);
        Self { folder: folder.to_owned(), count, patience, bug: PlantedBug::None, synchronous: None }
    }

    pub fn spool(&self) -> PathBuf {
        self.folder.join("spool")
    }

    /// Every file that the spool may touch.
    pub fn files(&self) -> Vec<PathBuf> {
        let beside = ["", "-wal", "-shm", "-journal", "-mark", "-ballast", "-lock"];
        let mut files: Vec<_> = beside.iter().map(|end| self.spool().join(format!("{FILE_NAME}{end}"))).collect();
        files.push(self.spool());
        files
    }

    /// Runs it, under `strace` with these arguments or without.
    pub fn run(&self, strace: Option<&[&str]>) -> (i32, String) {
        let program = std::env::current_exe().unwrap();
        let arguments = ["--exact", "lone::a_lone_producer_when_it_is_asked_for", "--nocapture"];
        let mut command = match strace {
            None => Command::new(program),
            Some(words) => {
                let mut traced = Command::new("strace");
                traced.args(words).arg(program);
                traced
            }
        };
        command.args(arguments).env(ORDER, serde_json::to_string(self).unwrap());
        let output = command.stdin(Stdio::null()).output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// What it wrote down, and the payloads that it deleted.
    pub fn notes(&self) -> (Ledger, Vec<Vec<u8>>) {
        let gone = std::fs::read(self.folder.join("gone")).unwrap_or_default();
        let whole = gone.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &gone[..end]);
        let gone = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
        (Ledger::read(&self.folder.join("ledger")), gone)
    }

    /// What stands in the spool and what was deleted, against what was written down.
    pub fn judge(&self) -> Judged {
        let (ledger, mut came) = self.notes();
        let mut spool = open(&self.spool(), 64, PlantedBug::None);
        let mut stored = spool.queued(usize::MAX).unwrap();
        stored.sort_by_key(|event| event.key);
        came.extend(stored.into_iter().map(|event| event.payload));
        let mut verdict = check(&ledger, came.iter().map(Vec::as_slice));
        // Deleted were the oldest of the dearest class: of those and the rest together the order says nothing.
        verdict.inversions.clear();
        let though_refused = ledger.came_though_refused(came.iter().map(Vec::as_slice));
        Judged { verdict, ledger, though_refused }
    }
}

/// What became of the events.
pub struct Judged {
    pub verdict: Verdict,
    pub ledger: Ledger,
    /// Refused, and there nevertheless.
    pub though_refused: BTreeSet<u64>,
}

#[test]
fn a_lone_producer_when_it_is_asked_for() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let code = work(&serde_json::from_str(&order).unwrap());
    std::process::exit(code);
}

/// Tries every number up to `count`, and on until one is accepted.
fn work(order: &Order) -> i32 {
    let mut notes = Notes::open(&order.folder);
    let pragma = order.synchronous.as_ref().map(|_| synchronous::Override::of_the_next_connection());
    let mut spool = match Spool::open(&order.spool(), limits(64), compose(order.bug)) {
        Ok(spool) => spool,
        Err(error) => {
            eprintln!("{error}");
            return exit::NOT_OPENED;
        }
    };
    if let (Some(pragma), Some(word)) = (&pragma, &order.synchronous) {
        pragma.set(word);
    }
    let mut n = Ledger::read(&order.folder.join("ledger")).next();
    let mut refused = false;
    // A process that ends at a refusal cannot know what of it is on the disk: the last one is accepted.
    while n <= order.count || refused {
        notes.ledger(&format!("try {n}"));
        let class = if n.is_multiple_of(3) { EventClass::P2 } else { EventClass::P1 };
        let tried = append(&mut spool, class, n);
        refused = tried.is_err();
        match tried {
            Ok(stored) => notes.ledger(&format!("ok {n} {}", stored.identity.id)),
            Err(_) if order.bug == PlantedBug::AcceptBeforeCommit => {
                notes.ledger(&format!("ok {n} {}-{}", spool.epoch(), 1_000_000 + n));
            }
            Err(_) => notes.ledger(&format!("no {n} {}", word(spool.health().condition))),
        }
        if n.is_multiple_of(4) {
            acknowledge(&mut spool, &mut notes);
        }
        if !ready(&mut spool, order.patience) {
            eprintln!("not recovered: {:?}", spool.health());
            return exit::NOT_RECOVERED;
        }
        n += 1;
    }
    exit::DONE
}

/// The oldest two are deleted, as if a broker had taken them over; a refusal leaves them there.
fn acknowledge(spool: &mut Spool, notes: &mut Notes) {
    let Ok(oldest) = spool.queued(2) else { return };
    oldest.iter().for_each(|event| notes.gone(&event.payload));
    let keys: Vec<RowKey> = oldest.iter().map(|event| event.key).collect();
    let _ = spool.acknowledged(&keys);
}

/// Waits until something could be accepted again.
fn ready(spool: &mut Spool, patience: Duration) -> bool {
    let since = Instant::now();
    while spool.ready().is_err() {
        if since.elapsed() > patience {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

fn word(condition: Condition) -> String {
    serde_json::to_value(condition).unwrap().as_str().unwrap().to_owned()
}

/// What is written down, a line a call.
struct Notes {
    ledger: File,
    gone: File,
}

impl Notes {
    fn open(folder: &Path) -> Self {
        let file = |name: &str| File::options().create(true).append(true).open(folder.join(name)).unwrap();
        Self { ledger: file("ledger"), gone: file("gone") }
    }

    fn ledger(&mut self, line: &str) {
        self.ledger.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn gone(&mut self, payload: &[u8]) {
        self.gone.write_all(&[payload, b"\n"].concat()).unwrap();
    }
}
