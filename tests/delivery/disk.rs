//! A full disk (T5): recognition must go on, the spool must say so, take acknowledgements, and recover by itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use forecourt::domain::event::EventClass;
use forecourt::store::spool::{Condition, Spool};

use crate::checker::{Ledger, Verdict, check};
use crate::harness::{PlantedBug, append, open, soak};

/// A small file system in memory; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: &Path, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(path.to_owned()))
    }

    /// Takes every block that is left.
    fn fill(&self) {
        use std::io::Write;
        let mut filler = std::fs::File::options().create(true).append(true).open(self.0.join("filler")).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    fn empty(&self) {
        let _ = std::fs::remove_file(self.0.join("filler"));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

struct Outcome {
    verdict: Verdict,
    refusals: usize,
    slowest: Duration,
}

/// Fills the disk `cycles` times; each time events are tried, acknowledged, and accepted again when there is room.
fn filled(cycles: usize, bug: PlantedBug) -> Option<Outcome> {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk"), 8) else {
        eprintln!("SKIPPED: a tmpfs cannot be mounted here (needs root); the cap alone is tested beside the spool");
        return None;
    };
    let mut spool = open(&disk.0.join("spool"), 4, PlantedBug::None);
    let (mut ledger, mut gone) = (Ledger::default(), Vec::new());
    let mut outcome = Outcome { verdict: Verdict::default(), refusals: 0, slowest: Duration::ZERO };
    for cycle in 0..cycles {
        let class = if cycle % 2 == 0 { EventClass::P0 } else { EventClass::P1 };
        (0..20).for_each(|_| assert!(attempt(&mut spool, &mut ledger, class, bug)));
        disk.fill();
        let before = ledger.len();
        let refused = (0..300).filter(|_| !attempt(&mut spool, &mut ledger, class, bug)).count();
        outcome.refusals += refused;
        if bug == PlantedBug::None {
            assert!(refused > 0, "300 events went onto a full disk after {before}");
            assert_eq!(spool.health().condition, Condition::Full);
            assert!(spool.health().detail.as_ref().unwrap().contains("full"));
            // The broker takes ten of them over: they can be deleted although the disk is full.
            let some = spool.queued(10).unwrap();
            let keys: Vec<_> = some.iter().map(|event| event.key).collect();
            assert_eq!(spool.acknowledged(&keys).unwrap(), keys.len());
            gone.extend(some.into_iter().map(|event| (event.key.seq, event.payload)));
            spool = started_again(spool, &disk, cycle);
            assert!(!attempt(&mut spool, &mut ledger, class, bug));
        }
        disk.empty();
        let freed = Instant::now();
        while !attempt(&mut spool, &mut ledger, class, PlantedBug::None) {
            assert!(freed.elapsed() < Duration::from_secs(5), "not recovered: {:?}", spool.health());
        }
        outcome.slowest = outcome.slowest.max(freed.elapsed());
        assert_eq!(spool.health().condition, Condition::Ok);
    }
    drop(spool);
    let mut spool = open(&disk.0.join("spool"), 4, PlantedBug::None);
    gone.extend(spool.queued(usize::MAX).unwrap().into_iter().map(|event| (event.key.seq, event.payload)));
    gone.sort();
    outcome.verdict = check(&ledger, gone.iter().map(|(_, payload)| payload.as_slice()));
    Some(outcome)
}

/// Stops and starts on a disk without a free byte: it comes up, says so, and knows what it knew.
fn started_again(spool: Spool, disk: &SmallDisk, cycle: usize) -> Spool {
    let folder = disk.0.join("spool");
    let (epoch, waiting) = (spool.epoch().to_owned(), { spool }.queued(usize::MAX).unwrap());
    // The shared index of the log stays where it is over a stop; a power cut may leave none, and then the disk may
    // fill up while the box is off, with the ballast still lying there or without it.
    match cycle % 3 {
        0 => {}
        1 => std::fs::remove_file(folder.join("spool.db-shm")).unwrap(),
        _ => {
            std::fs::remove_file(folder.join("spool.db-shm")).unwrap();
            let _ = std::fs::remove_file(disk.0.join("filler"));
            std::fs::write(folder.join("spool.db-ballast"), vec![0; 1024 * 1024]).unwrap();
        }
    }
    disk.fill();
    let mut spool = open(&folder, 4, PlantedBug::None);
    assert_eq!(spool.health().condition, Condition::Full, "cycle {cycle}");
    assert_eq!(spool.epoch(), epoch);
    assert_eq!(spool.queued(usize::MAX).unwrap().len(), waiting.len());
    assert!(spool.count_start().unwrap() > 0 && spool.open_visits().unwrap().is_empty());
    disk.fill();
    spool
}

/// Tries the next number; with the bug a refusal counts as accepted.
pub fn attempt(spool: &mut Spool, ledger: &mut Ledger, class: EventClass, bug: PlantedBug) -> bool {
    let n = ledger.next();
    let accepted = match append(spool, class, n) {
        Ok(stored) => Some(stored.identity.id),
        Err(_) if bug == PlantedBug::AcceptBeforeCommit => Some(format!("{}-{}", spool.epoch(), 1_000_000 + n)),
        Err(_) => None,
    };
    accepted.map(|id| ledger.accept(n, id)).is_some()
}

#[test]
fn t5_a_full_disk_refuses_takes_acknowledgements_and_recovers_by_itself() {
    let cycles = if soak() { 50 } else { 6 };
    let Some(outcome) = filled(cycles, PlantedBug::None) else { return };
    println!("T5: {cycles} cycles, {} refusals, recovered in {:?}", outcome.refusals, outcome.slowest);
    assert!(outcome.verdict.holds() && outcome.verdict.duplicates == 0, "{:?}", outcome.verdict);
}

#[test]
fn t5_sees_an_event_that_is_called_accepted_although_the_disk_refused_it() {
    let Some(outcome) = filled(1, PlantedBug::AcceptBeforeCommit) else { return };
    assert!(!outcome.verdict.lost.is_empty(), "{:?}", outcome.verdict);
}
