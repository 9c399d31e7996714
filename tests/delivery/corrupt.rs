//! Damaged, cut, lost and foreign files (T14): the box starts, sets aside what it cannot trust, and never gives the
//! same number to two events.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use forecourt::domain::event::EventClass;
use forecourt::store::spool::FILE_NAME;

use crate::harness::{PlantedBug, append, open, soak};

/// What is done to the files of a process that was killed.
#[derive(Clone, Copy, Debug)]
enum Damage {
    FlipBit,
    ZeroPage,
    CutLog,
    NoLog,
    NoIndex,
    CutDatabase,
    Foreign,
    Empty,
}

const DAMAGES: [Damage; 8] = [
    Damage::FlipBit,
    Damage::ZeroPage,
    Damage::CutLog,
    Damage::NoLog,
    Damage::NoIndex,
    Damage::CutDatabase,
    Damage::Foreign,
    Damage::Empty,
];

fn file(folder: &Path, suffix: &str) -> PathBuf {
    folder.join(format!("{FILE_NAME}{suffix}"))
}

fn change(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap_or_default();
    edit(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn damage(folder: &Path, how: Damage, dice: &mut fastrand::Rng) {
    let (database, log) = (file(folder, ""), file(folder, "-wal"));
    match how {
        Damage::FlipBit => change(&database, |bytes| {
            let at = dice.usize(..bytes.len());
            bytes[at] ^= 1 << dice.u8(..8);
        }),
        Damage::ZeroPage => change(&database, |bytes| {
            let page = dice.usize(..bytes.len() / 4096);
            bytes[page * 4096..(page + 1) * 4096].fill(0);
        }),
        Damage::CutLog => change(&log, |bytes| bytes.truncate(dice.usize(..bytes.len()))),
        Damage::NoLog => std::fs::remove_file(&log).unwrap(),
        Damage::NoIndex => drop(std::fs::remove_file(file(folder, "-shm"))),
        Damage::CutDatabase => change(&database, |bytes| bytes.truncate(dice.usize(1..bytes.len()))),
        Damage::Foreign => change(&database, |bytes| *bytes = b"PK\x03\x04 holiday pictures".repeat(300)),
        Damage::Empty => change(&database, Vec::clear),
    }
}

/// The folder as a killed process leaves it: the files are copied while the spool is open.
fn left_by_a_kill(folder: &Path, count: u64) -> BTreeMap<String, Vec<u8>> {
    let alive = tempfile::tempdir().unwrap();
    let mut spool = open(alive.path(), 8, PlantedBug::None);
    let mut given = BTreeMap::new();
    for n in 1..=count {
        let stored = append(&mut spool, EventClass::P1, n).unwrap();
        given.insert(stored.identity.id, stored.payload);
    }
    for suffix in ["", "-wal", "-shm", "-mark"] {
        std::fs::copy(file(alive.path(), suffix), file(folder, suffix)).unwrap();
    }
    given
}

/// Damages, starts, and starts again; returns the number of ids that were given twice.
fn survived(how: Damage, dice: &mut fastrand::Rng, without_mark: bool) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let given = left_by_a_kill(folder.path(), dice.u64(20..120));
    damage(folder.path(), how, dice);
    if without_mark {
        std::fs::remove_file(file(folder.path(), "-mark")).unwrap();
    }
    let mut twice = 0;
    let mut epochs = Vec::new();
    for start in 0..2 {
        let began = Instant::now();
        let mut spool = open(folder.path(), 8, PlantedBug::None);
        assert!(began.elapsed() < Duration::from_secs(10), "{how:?}: start {start} took {:?}", began.elapsed());
        let aside = spool.take_set_aside();
        assert!(start == 0 || aside.is_none(), "{how:?}: set aside again: {aside:?}");
        if let Some(aside) = aside {
            assert!(aside.path.exists() && !aside.why.is_empty());
            assert!(given.keys().all(|id| !id.starts_with(spool.epoch())), "{how:?}: the epoch is not new");
        }
        // Damage that only reading finds sets the file aside at run time; the caller tries again.
        let stored = (0..3).find_map(|_| {
            std::thread::sleep(if start == 0 { Duration::ZERO } else { Duration::from_millis(1) });
            append(&mut spool, EventClass::P1, 1000 + start).ok().or_else(|| {
                std::thread::sleep(Duration::from_millis(510));
                None
            })
        });
        let stored = stored.unwrap_or_else(|| panic!("{how:?}: nothing is accepted: {:?}", spool.health()));
        twice += usize::from(given.contains_key(&stored.identity.id));
        epochs.push(spool.epoch().to_owned());
    }
    assert_eq!(epochs[0], epochs[1], "{how:?}: the second start found a sound file");
    twice
}

#[test]
fn t14_whatever_is_done_to_the_files_the_box_starts_and_gives_no_number_twice() {
    let rounds = if soak() { 125 } else { 4 };
    let mut dice = fastrand::Rng::with_seed(14);
    for how in DAMAGES {
        let twice: usize = (0..rounds).map(|_| survived(how, &mut dice, false)).sum();
        assert_eq!(twice, 0, "{how:?}: ids were given twice");
    }
    println!("T14: {} damages", rounds * DAMAGES.len());
}

#[test]
fn t14_sees_numbers_given_twice_when_nothing_remembers_them() {
    let mut dice = fastrand::Rng::with_seed(14);
    assert!((0..4).map(|_| survived(Damage::NoLog, &mut dice, true)).sum::<usize>() > 0);
}
