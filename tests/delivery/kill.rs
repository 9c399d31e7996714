//! The process dies: at random (T1), at each system call that makes data durable (T2), between PUBACK and delete (T13).

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::broker::{Arrival, Subscriber, mosquitto};
use crate::checker::{Ledger, Verdict, check};
use crate::harness::{Order, PlantedBug, open, producer, soak};

/// Most messages on the wire: the most that one fault may repeat.
const WINDOW: usize = 16;

fn order(folder: &Path, port: u16) -> Order {
    Order { folder: folder.join("spool"), ledger: folder.join("ledger"), port, ..Order::default() }
}

/// Kills a producer `kills` times at random, lets the last one finish, and judges what the subscriber has heard.
fn killed_at_random(kills: usize, bug: PlantedBug) -> Option<(Verdict, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let broker = mosquitto(folder.path(), false)?;
    let mut subscriber = Subscriber::listen(broker.port);
    let order = Order { count: u64::MAX, pause_ms: 20, bug, ..order(folder.path(), broker.port) };
    let mut dice = fastrand::Rng::with_seed(1);
    for _ in 0..kills {
        let mut process = producer(&order).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(60 + dice.u64(20..400)));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let made = Ledger::read(&order.ledger).tried.last().copied().unwrap_or(0);
    let last = producer(&Order { count: made + 5, pause_ms: 0, ..order.clone() }).status().unwrap();
    assert!(last.success(), "the last producer ends by itself");
    let ledger = Ledger::read(&order.ledger);
    subscriber.until(patience(bug), |heard| ledger.ids().all(|id| heard.ids.contains_key(id)));
    Some((check(&ledger, payloads(&subscriber.seen)), ledger.len()))
}

/// How long to wait for the last event: with a bug it never comes.
fn patience(bug: PlantedBug) -> Duration {
    Duration::from_secs(if bug == PlantedBug::None { 20 } else { 2 })
}

fn payloads(arrivals: &[Arrival]) -> impl Iterator<Item = &[u8]> {
    arrivals.iter().map(|arrival| arrival.payload.as_slice())
}

#[test]
fn t1_killed_at_random_nothing_accepted_is_lost() {
    let kills = if soak() { 1000 } else { 15 };
    let Some((verdict, accepted)) = killed_at_random(kills, PlantedBug::None) else { return };
    println!("T1: {kills} kills, {accepted} accepted, {} duplicates", verdict.duplicates);
    assert!(verdict.holds(), "{verdict:?}");
    assert!(verdict.duplicates <= kills * WINDOW && accepted > kills, "{verdict:?}, {accepted} accepted");
}

#[test]
fn t1_sees_an_acceptance_that_comes_before_the_commit() {
    let Some((verdict, _)) = killed_at_random(20, PlantedBug::AcceptBeforeCommit) else { return };
    assert!(!verdict.holds(), "{verdict:?}");
}

/// Runs a producer without a broker under `strace`, which kills it at the `when`-th call of `call`, and judges what then
/// stands in the spool. `None`: the call did not come so often. The spool is the same from run to run.
fn killed_at_call(order: &Order, call: &str, when: usize) -> Option<Verdict> {
    let plain = producer(order);
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    traced.args(["-e", &format!("inject={call}:signal=KILL:when={when}")]);
    traced.arg(plain.get_program()).args(plain.get_args());
    traced.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let status = traced.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    if status.success() {
        return None;
    }
    let mut spool = open(&order.folder, 64, PlantedBug::None);
    let queued = spool.queued(usize::MAX).unwrap();
    // Classes are read one after the other; the order of sending is not what is judged here.
    let mut stored: Vec<_> = queued.into_iter().map(|event| (event.key.seq, event.payload)).collect();
    stored.sort();
    Some(check(&Ledger::read(&order.ledger), stored.iter().map(|(_, payload)| payload.as_slice())))
}

/// May processes be traced here?
pub fn strace_works() -> bool {
    let mut probe = Command::new("strace");
    probe.args(["-qq", "-e", "inject=getcwd:signal=KILL:when=1", "pwd"]);
    let killed = probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| !status.success());
    if !killed {
        eprintln!("SKIPPED: strace is not installed, or processes may not be traced here");
    }
    killed
}

fn killed_at_each_call(bug: PlantedBug, calls: &[&str], most: usize) -> (usize, Vec<Verdict>) {
    let folder = tempfile::tempdir().unwrap();
    let (mut runs, mut wrong) = (0, Vec::new());
    let mut count = 0;
    for call in calls {
        for when in 1..=most {
            count += 6;
            let order = Order { count, bug, pause_ms: 1, ..order(folder.path(), 0) };
            let Some(verdict) = killed_at_call(&order, call, when) else { break };
            runs += 1;
            if !verdict.holds() {
                wrong.push(verdict);
            }
        }
    }
    (runs, wrong)
}

#[test]
fn t2_killed_at_each_call_that_makes_data_durable_nothing_accepted_is_lost() {
    if !strace_works() {
        return;
    }
    let most = if soak() { 200 } else { 8 };
    let calls = ["fdatasync", "fsync", "pwrite64", "rename", "unlink", "ftruncate"];
    let (runs, wrong) = killed_at_each_call(PlantedBug::None, &calls, most);
    println!("T2: {runs} kills at {calls:?}");
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(runs >= most, "the calls were met: {runs}");
}

#[test]
fn t2_sees_an_acceptance_that_comes_before_the_commit() {
    if !strace_works() {
        return;
    }
    // The first writes open the file; somewhere behind them one stands between acceptance and commit.
    let folder = tempfile::tempdir().unwrap();
    let seen = (1..=120).any(|when| {
        let order = Order {
            count: 6 * when as u64,
            bug: PlantedBug::AcceptBeforeCommit,
            pause_ms: 1,
            ..order(folder.path(), 0)
        };
        killed_at_call(&order, "pwrite64", when).is_some_and(|verdict| !verdict.lost.is_empty())
    });
    assert!(seen, "no kill at a write showed an accepted event that is gone");
}

/// A producer that dies `deaths` times at the moment of an acknowledgement.
fn dies_before_deleting(deaths: u64, bug: PlantedBug) -> Option<(Verdict, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let broker = mosquitto(folder.path(), false)?;
    let mut subscriber = Subscriber::listen(broker.port);
    let mut count = 0;
    let mut died = 0;
    for death in 0..deaths {
        count += 5;
        let order = Order { count, bug, die_at: 1 + death % 4, ..order(folder.path(), broker.port) };
        died += usize::from(!producer(&order).status().unwrap().success());
    }
    let order = Order { count: count + 1, bug, ..order(folder.path(), broker.port) };
    assert!(producer(&order).status().unwrap().success());
    let ledger = Ledger::read(&order.ledger);
    let all = |heard: &Subscriber| ledger.ids().all(|id| heard.ids.contains_key(id));
    subscriber.until(patience(bug), all);
    Some((check(&ledger, payloads(&subscriber.seen)), died))
}

#[test]
fn t13_killed_between_acknowledgement_and_deletion_an_event_is_repeated_and_not_lost() {
    let deaths = if soak() { 200 } else { 12 };
    let Some((verdict, died)) = dies_before_deleting(deaths, PlantedBug::None) else { return };
    println!("T13: {died} deaths, {} duplicates", verdict.duplicates);
    assert!(verdict.holds(), "{verdict:?}");
    assert_eq!(died as u64, deaths, "each producer died at its acknowledgement");
    assert!((1..=died * WINDOW).contains(&verdict.duplicates), "{verdict:?}");
}

#[test]
fn t13_sees_a_queue_that_is_forgotten_at_the_start() {
    // Lost by name, or as numbers that never came and that no record tells: depends on how far the dying one got, and
    // a lucky run has nothing waiting when it starts again.
    let mut verdicts = Vec::new();
    for _ in 0..8 {
        let Some((verdict, _)) = dies_before_deleting(4, PlantedBug::ForgetAtStart) else { return };
        if !verdict.holds() {
            return;
        }
        verdicts.push(verdict);
    }
    panic!("a queue that forgets at the start was never seen: {verdicts:?}");
}
