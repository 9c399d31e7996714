//! Errors of the disk, call by call (T3): the k-th `openat`, `pwrite64`, `fdatasync` or `fsync` on a file of the spool
//! fails with EIO or ENOSPC, once or ten times in a row. No panic; a refusal is a refusal (nothing of it is stored, and the
//! spool says what is wrong); what was accepted is there; events are accepted again without a restart.
//!
//! It has failed: on a spool that closed a connection at once when it failed, 13 of 46 runs ended with events that were
//! refused, tried again, and stored twice, because the next connection read the log anew and found them.
//! `strace` makes the calls fail. That `status` of the running service tells it is tested in `tests/scarce.rs`.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::harness::{PlantedBug, soak};
use crate::kill::strace_works;
use crate::lone::{Order, exit};

const CALLS: [&str; 4] = ["openat", "pwrite64", "fdatasync", "fsync"];
const ERRORS: [&str; 2] = ["EIO", "ENOSPC"];
/// Events of a run.
const COUNT: u64 = 24;

/// The calls from the `first` to the `last` fail.
#[derive(Clone, Copy, Debug)]
struct Fault {
    call: &'static str,
    error: &'static str,
    first: usize,
    last: usize,
}

/// What came of all runs.
#[derive(Debug, Default)]
struct Outcome {
    runs: usize,
    /// Starts that were refused.
    not_opened: usize,
    /// Refused events by the condition that the spool told.
    refused: BTreeMap<String, usize>,
    wrong: Vec<String>,
    lost: usize,
}

/// Runs a producer with the fault. `false`: the calls did not come so often.
fn run(fault: Fault, bug: PlantedBug, outcome: &Mutex<Outcome>) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let order = Order { bug, ..Order::new(folder.path(), COUNT) };
    let log = folder.path().join("calls");
    let Fault { call, error, first, last } = fault;
    let mut words = ["-f", "--seccomp-bpf", "-qq", "-o", log.to_str().unwrap()].map(str::to_owned).to_vec();
    for file in order.files() {
        words.extend(["-P".to_owned(), file.to_str().unwrap().to_owned()]);
    }
    words.extend(["-e".to_owned(), format!("trace={call}")]);
    words.extend(["-e".to_owned(), format!("inject={call}:error={error}:when={first}..{last}")]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (code, said) = order.run(Some(&words));
    if !std::fs::read_to_string(&log).unwrap().contains("(INJECTED)") {
        return false;
    }
    let again = (code == exit::NOT_OPENED).then(|| order.run(None));
    let judged = order.judge();
    let mut outcome = outcome.lock().unwrap();
    let mut wrong = |what: String| outcome.wrong.push(format!("{fault:?}: {what}"));
    match &again {
        None if code == exit::DONE => {}
        None => wrong(format!("ended with {code}: {said}")),
        Some(_) if !said.contains("spool") => wrong(format!("not opened, and does not say what: {said}")),
        Some((exit::DONE, _)) => {}
        Some((code, said)) => wrong(format!("without the fault it ended with {code}: {said}")),
    }
    if !judged.verdict.holds() {
        wrong(format!("{:?}", judged.verdict));
    }
    if !judged.though_refused.is_empty() {
        wrong(format!("refused, and stored: {:?}", judged.though_refused));
    }
    let ledger = &judged.ledger;
    if ledger.len() + ledger.refused.len() != ledger.tried.len() {
        wrong(format!("neither accepted nor refused: {ledger:?}"));
    }
    for condition in ledger.refused.values() {
        if condition == "ok" {
            wrong("refused, and the spool says that all is well".to_owned());
        }
    }
    outcome.runs += 1;
    outcome.lost += judged.verdict.lost.len();
    outcome.not_opened += usize::from(again.is_some());
    ledger.refused.values().for_each(|condition| *outcome.refused.entry(condition.clone()).or_default() += 1);
    true
}

/// Each call and error in a thread of its own, from the first place to the last that is met; most of the time is waiting.
fn failed_at_each_call(places: impl Fn(usize) -> Vec<(usize, usize)>) -> Outcome {
    let outcome = Mutex::default();
    std::thread::scope(|scope| {
        for call in CALLS {
            for (number, error) in ERRORS.into_iter().enumerate() {
                let (places, outcome) = (places(number), &outcome);
                scope.spawn(move || {
                    for (first, last) in places {
                        if !run(Fault { call, error, first, last }, PlantedBug::None, outcome) {
                            break;
                        }
                    }
                });
            }
        }
    });
    outcome.into_inner().unwrap()
}

#[test]
fn t3_an_error_at_any_call_is_told_and_loses_nothing() {
    if !strace_works() {
        return;
    }
    let (most, step) = if soak() { (200, 1) } else { (40, 4) };
    let outcome = failed_at_each_call(|error| {
        let each = (1..=most).skip(error * step / 2).step_by(step);
        each.enumerate().map(|(i, k)| (k, if i % 4 == 3 { k + 9 } else { k })).collect()
    });
    let Outcome { runs, not_opened, refused, wrong, lost } = outcome;
    println!("T3: {runs} runs, {not_opened} starts refused, events refused by condition: {refused:?}");
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    assert!(lost == 0 && runs > most / step, "{runs} runs, {lost} lost");
    assert!(["failing", "full"].iter().all(|word| refused.contains_key(*word)), "{refused:?}");
    assert!(not_opened > 0, "no start met an error");
}

#[test]
fn t3_sees_an_event_that_is_called_accepted_although_the_disk_failed() {
    if !strace_works() {
        return;
    }
    let outcome = Mutex::default();
    // SQLite uses the one or the other, as it was built.
    let met = ["fdatasync", "fsync"]
        .into_iter()
        .any(|call| run(Fault { call, error: "EIO", first: 12, last: 21 }, PlantedBug::AcceptBeforeCommit, &outcome));
    assert!(met, "the calls were not met");
    let outcome = outcome.into_inner().unwrap();
    assert!(outcome.lost > 0, "{outcome:?}");
}
