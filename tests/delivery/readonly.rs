//! A disk that the system makes read-only under the running program (T6), as ext4 does after an error of the medium: the
//! spool says so, recognition's events are refused and not lost, and it goes on when the disk is there again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use forecourt::domain::event::EventClass;
use forecourt::store::spool::{Condition, Spool};

use crate::checker::{Ledger, Verdict, check};
use crate::disk::attempt;
use crate::harness::{PlantedBug, open, soak};

/// How long the disk stays read-only.
const AWAY: Duration = Duration::from_secs(2);

/// An ext4 in a file; unmounted when dropped.
struct Medium {
    image: PathBuf,
    place: PathBuf,
    /// The loop device under it.
    device: String,
}

fn ran(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Medium {
    fn mount(folder: &Path) -> Option<Self> {
        let (image, place) = (folder.join("image"), folder.join("disk"));
        std::fs::create_dir_all(&place).unwrap();
        std::fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        ran("mkfs.ext4", &["-q", "-F", image.to_str()?])?;
        let mut medium = Self { image, place, device: String::new() };
        medium.attach()?;
        medium.trigger().exists().then_some(medium)
    }

    fn attach(&mut self) -> Option<()> {
        self.device = ran("losetup", &["--find", "--show", self.image.to_str()?])?;
        ran("mount", &["-o", "errors=remount-ro", &self.device, self.place.to_str()?]).map(drop)
    }

    /// What makes ext4 believe that the medium failed.
    fn trigger(&self) -> PathBuf {
        let name = Path::new(&self.device).file_name().unwrap_or_default();
        Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error")
    }

    /// From now on the kernel refuses every write, also to files that are open.
    fn fail(&self) {
        std::fs::write(self.trigger(), "planned").unwrap();
    }

    /// The medium is put in again: the same bytes, writable.
    fn come_back(&mut self) {
        self.detach();
        self.attach().expect("it was mounted before");
    }

    fn detach(&self) {
        let _ = Command::new("umount").arg("-l").arg(&self.place).status();
        let _ = Command::new("losetup").args(["-d", &self.device]).status();
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        self.detach();
    }
}

struct Outcome {
    verdict: Verdict,
    refusals: usize,
    slowest: Duration,
    conditions: Vec<Condition>,
}

/// Takes the disk away `cycles` times under a spool that is being written.
fn made_read_only(cycles: usize, bug: PlantedBug) -> Option<Outcome> {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut medium) = Medium::mount(folder.path()) else {
        eprintln!("SKIPPED: an ext4 cannot be mounted on a loop device here (needs root and mkfs.ext4)");
        return None;
    };
    let mut spool = open(&medium.place.join("spool"), 8, PlantedBug::None);
    let mut ledger = Ledger::default();
    let mut outcome =
        Outcome { verdict: Verdict::default(), refusals: 0, slowest: Duration::ZERO, conditions: Vec::new() };
    for cycle in 0..cycles {
        (0..20).for_each(|_| assert!(attempt(&mut spool, &mut ledger, EventClass::P1, bug), "cycle {cycle}"));
        medium.fail();
        let failed = Instant::now();
        while failed.elapsed() < AWAY {
            outcome.refusals += usize::from(!attempt(&mut spool, &mut ledger, EventClass::P1, bug));
            std::thread::sleep(Duration::from_millis(20));
        }
        outcome.conditions.push(spool.health().condition);
        medium.come_back();
        outcome.slowest = outcome.slowest.max(recovered(&mut spool, &mut ledger, cycle));
    }
    let stored = spool.queued(usize::MAX).unwrap();
    let mut stored: Vec<_> = stored.into_iter().map(|event| (event.key.seq, event.payload)).collect();
    stored.sort();
    outcome.verdict = check(&ledger, stored.iter().map(|(_, payload)| payload.as_slice()));
    drop(spool);
    Some(outcome)
}

fn recovered(spool: &mut Spool, ledger: &mut Ledger, cycle: usize) -> Duration {
    let back = Instant::now();
    while !attempt(spool, ledger, EventClass::P1, PlantedBug::None) {
        assert!(back.elapsed() < Duration::from_secs(10), "cycle {cycle}: not recovered: {:?}", spool.health());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(spool.health().condition, Condition::Ok, "cycle {cycle}");
    back.elapsed()
}

#[test]
fn t6_a_disk_that_becomes_read_only_refuses_says_so_and_loses_nothing() {
    let cycles = if soak() { 50 } else { 2 };
    let Some(outcome) = made_read_only(cycles, PlantedBug::None) else { return };
    println!("T6: {cycles} times, {} refusals, recovered in {:?}", outcome.refusals, outcome.slowest);
    assert!(outcome.refusals >= cycles, "nothing was refused");
    let told = [Condition::ReadOnly, Condition::Failing];
    assert!(outcome.conditions.iter().all(|condition| told.contains(condition)), "{:?}", outcome.conditions);
    assert!(outcome.verdict.holds() && outcome.verdict.duplicates == 0, "{:?}", outcome.verdict);
}

#[test]
fn t6_sees_an_event_that_is_called_accepted_although_the_disk_refused_it() {
    let Some(outcome) = made_read_only(1, PlantedBug::AcceptBeforeCommit) else { return };
    assert!(!outcome.verdict.lost.is_empty(), "{:?}", outcome.verdict);
}
