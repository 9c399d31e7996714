//! Power is cut between any two calls (T4): whatever a disk may keep or lose of what was not synchronised, every accepted
//! event is there when the program opens what is left, and no number is given away twice.
//!
//! A producer is recorded by `strace`; [`crate::recording`] makes the folders that a cut could leave, and the program's own
//! spool opens them. It stands for LazyFS, which needs FUSE. Not covered: a disk that claims to have synchronised and has not,
//! and sectors that come back damaged. The same producer with `synchronous=normal` and `off` must be seen to lose (167
//! and 275 times an accepted event in 51 cuts each, when it was written).

use std::collections::BTreeSet;
use std::path::Path;

use forecourt::domain::event::EventClass;
use forecourt::store::spool::{Condition, Spool};

use crate::checker::{Ledger, check};
use crate::harness::{PlantedBug, append, compose, limits, soak};
use crate::kill::strace_works;
use crate::lone::{Order, exit};
use crate::recording::{Act, CALLS, Disk, Left, parse};

/// What is left after all cuts.
#[derive(Debug, Default)]
struct Outcome {
    acts: usize,
    accepted: usize,
    cuts: usize,
    lost: usize,
    wrong: Vec<String>,
}

/// What a producer of `count` events did.
fn recorded(count: u64, synchronous: Option<&str>) -> (tempfile::TempDir, Vec<Act>) {
    let folder = tempfile::tempdir().unwrap();
    let order = Order { synchronous: synchronous.map(str::to_owned), ..Order::new(folder.path(), count) };
    let log = folder.path().join("calls");
    let trace = format!("trace={CALLS}");
    let words = ["-f", "--seccomp-bpf", "-qq", "-y", "-xx", "-s", "2000000", "-o", log.to_str().unwrap(), "-e", &trace];
    let (code, said) = order.run(Some(&words));
    assert_eq!(code, exit::DONE, "{said}");
    let acts = parse(&std::fs::read_to_string(log).unwrap(), folder.path());
    (folder, acts)
}

/// Cuts the power at every `step`-th place; there a disk may leave nothing, everything, or one of `parts` parts.
fn cut_everywhere(count: u64, synchronous: Option<&str>, step: usize, parts: u64) -> Outcome {
    let (folder, acts) = recorded(count, synchronous);
    let spool = Order::new(folder.path(), count).spool();
    let mut outcome = Outcome { acts: acts.len(), ..Outcome::default() };
    let (mut disk, mut notes) = (Disk::default(), Disk::default());
    for (place, act) in acts.iter().enumerate() {
        // What is written down lies on another disk, one that keeps everything.
        if act.path().starts_with(&spool) {
            disk.apply(act)
        } else {
            notes.apply(act)
        }
        if place % step != 0 {
            continue;
        }
        let seeds = (0..parts).map(|part| Left::Part(place as u64 * parts + part));
        for left in [Left::Nothing, Left::Everything].into_iter().chain(seeds) {
            outcome.cuts += 1;
            let what = disk.cut(left).into_iter().chain(notes.cut(Left::Everything));
            let wrong = survived(folder.path(), what, &mut outcome);
            outcome.wrong.extend(wrong.map(|wrong| format!("after {place} calls, left {left:?}: {wrong}")));
        }
    }
    outcome.accepted = Order::new(folder.path(), count).notes().0.len();
    outcome
}

/// Opens what is left; says what is wrong with it.
fn survived(
    folder: &Path,
    left: impl Iterator<Item = (std::path::PathBuf, Vec<u8>)>,
    outcome: &mut Outcome,
) -> Option<String> {
    // In memory where there is such a folder: a disk would spend its time on synchronising.
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let copy = tempfile::tempdir_in(place).unwrap();
    let order = Order::new(copy.path(), 0);
    std::fs::create_dir(order.spool()).unwrap();
    for (path, bytes) in left {
        std::fs::write(copy.path().join(path.strip_prefix(folder).unwrap()), bytes).unwrap();
    }
    let (mut ledger, mut came) = order.notes();
    let mut spool = match Spool::open(&order.spool(), limits(64), compose(PlantedBug::None)) {
        Ok(spool) => spool,
        Err(error) => return Some(format!("it does not open: {error}")),
    };
    if let Some(aside) = spool.take_set_aside() {
        outcome.lost += ledger.len();
        return Some(format!("it was set aside: {}", aside.why));
    }
    let mut stored = spool.queued(usize::MAX).unwrap();
    stored.sort_by_key(|event| event.key);
    came.extend(stored.into_iter().map(|event| event.payload));
    let mut verdict = check(&ledger, came.iter().map(Vec::as_slice));
    verdict.inversions.clear();
    outcome.lost += verdict.lost.len();
    if !verdict.holds() {
        return Some(format!("{verdict:?}"));
    }
    goes_on(&mut spool, &mut ledger, &came)
}

/// The next event is accepted, under a number that nobody has heard before.
fn goes_on(spool: &mut Spool, ledger: &mut Ledger, came: &[Vec<u8>]) -> Option<String> {
    let known: BTreeSet<String> =
        ledger.ids().cloned().chain(came.iter().filter_map(|payload| crate::checker::id(payload))).collect();
    match append(spool, EventClass::P1, ledger.next()) {
        Err(error) => Some(format!("it accepts nothing: {error}")),
        Ok(stored) if known.contains(&stored.identity.id) => Some(format!("{} was given twice", stored.identity.id)),
        Ok(_) if spool.health().condition != Condition::Ok => Some(format!("{:?}", spool.health())),
        Ok(_) => None,
    }
}

#[test]
fn t4_what_was_accepted_survives_a_power_cut_at_any_call() {
    if !strace_works() {
        return;
    }
    let (count, step, parts) = if soak() { (200, 1, 8) } else { (60, 7, 3) };
    let outcome = cut_everywhere(count, None, step, parts);
    let Outcome { acts, accepted, cuts, lost, wrong } = outcome;
    println!("T4: {cuts} cuts in {acts} calls, {accepted} accepted, {lost} lost");
    assert!(wrong.is_empty() && lost == 0, "{} wrong: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    assert!(cuts > 300 && accepted as u64 == count, "{cuts} cuts, {accepted} accepted");
}

#[test]
fn t4_sees_what_is_lost_without_synchronising_each_commit() {
    if !strace_works() {
        return;
    }
    for word in ["normal", "off"] {
        let outcome = cut_everywhere(30, Some(word), 20, 1);
        println!("T4 with synchronous={word}: {} lost in {} cuts", outcome.lost, outcome.cuts);
        assert!(outcome.lost > 0, "{word}: {outcome:?}");
    }
}
