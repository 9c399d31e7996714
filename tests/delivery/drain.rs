//! A backlog: how fast it goes when nothing holds it back, and that live arrivals overtake it when the rate does.

use std::time::{Duration, Instant};

use forecourt::config;
use forecourt::domain::event::EventClass;

use crate::broker::{Subscriber, mosquitto};
use crate::harness::{PlantedBug, append, append_many, deliver_with, mqtt, open, soak};

/// Room for a hundred thousand events.
const ROOM_MIB: u32 = 512;

/// Stores `backlog` events, in transactions of a thousand.
fn queued(spool: &mut forecourt::store::spool::Spool, backlog: u64) {
    for first in (0..backlog).step_by(1_000) {
        append_many(spool, EventClass::P1, first + 1..(first + 1_000).min(backlog) + 1).unwrap();
    }
}

#[test]
fn a_backlog_without_a_rate_reaches_the_subscriber_whole_and_fast() {
    let backlog = if soak() { 100_000 } else { 4_000 };
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = mosquitto(folder.path(), false) else { return };
    let mut subscriber = Subscriber::listen(broker.port);
    let mut spool = open(&folder.path().join("spool"), ROOM_MIB, PlantedBug::None);
    queued(&mut spool, backlog);
    let began = Instant::now();
    let (delivery, mut acknowledgements) =
        deliver_with(&mut spool, mqtt(broker.port, "box"), PlantedBug::None, u64::MAX);
    let whole = subscriber.until(Duration::from_secs(600), |heard| {
        acknowledgements.apply(&mut spool).unwrap();
        heard.ids.len() as u64 >= backlog
    });
    let took = began.elapsed();
    delivery.stop(Duration::from_secs(3));
    let rate = backlog as f64 / took.as_secs_f64();
    println!("Drain: {backlog} events in {took:?}, {rate:.0} a second, {} came", subscriber.seen.len());
    assert!(whole && subscriber.seen.len() as u64 == backlog, "each came, and once: {}", subscriber.seen.len());
    // The goal, where the program is built for it; a build for tests on a busy machine shows that nothing waits for turns.
    let least = if cfg!(debug_assertions) { 200.0 } else { 2_000.0 };
    assert!(rate >= least, "{rate:.0} a second");
}

/// The waits of live arrivals, shortest first, while a backlog goes at `per_second`.
fn overtaken(backlog: u64, per_second: u32, length: Duration) -> Option<Vec<Duration>> {
    let folder = tempfile::tempdir().unwrap();
    let broker = mosquitto(folder.path(), false)?;
    let mut subscriber = Subscriber::listen(broker.port);
    let mut spool = open(&folder.path().join("spool"), ROOM_MIB, PlantedBug::None);
    queued(&mut spool, backlog);
    let settings = config::Mqtt { drain_per_second: per_second, ..mqtt(broker.port, "box") };
    let (delivery, mut acknowledgements) = deliver_with(&mut spool, settings, PlantedBug::None, u64::MAX);
    subscriber.until(Duration::from_secs(20), |heard| heard.ids.len() > 20);
    let (mut waits, began, mut n) = (Vec::new(), Instant::now(), backlog);
    while began.elapsed() < length {
        n += 1;
        let accepted = Instant::now();
        let stored = append(&mut spool, EventClass::P1, n).unwrap();
        delivery.wake();
        let arrived = subscriber.until(Duration::from_secs(15), |heard| {
            acknowledgements.apply(&mut spool).unwrap();
            heard.ids.contains_key(&stored.identity.id)
        });
        waits.push(if arrived { accepted.elapsed() } else { Duration::MAX });
        subscriber.until(Duration::from_millis(100), |_| false);
    }
    let left: u64 = spool.waiting().unwrap().iter().map(|class| class.count).sum();
    delivery.stop(Duration::from_secs(3));
    assert!(left > 0, "the backlog was over before the end: nothing was shown");
    waits.sort();
    Some(waits)
}

#[test]
fn live_arrivals_overtake_a_backlog_that_the_rate_holds_back() {
    let (backlog, length) = if soak() { (100_000, Duration::from_secs(300)) } else { (2_000, Duration::from_secs(6)) };
    let Some(waits) = overtaken(backlog, 50, length) else { return };
    let at = |percent: usize| waits[(waits.len() * percent / 100).min(waits.len() - 1)];
    println!("Overtaking: {} live arrivals, median {:?}, p95 {:?}", waits.len(), at(50), at(95));
    assert!(waits.len() > 3 && at(95) < Duration::from_secs(5), "{waits:?}");
}
