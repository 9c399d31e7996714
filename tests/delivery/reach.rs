//! Several brokers in order of preference.

use std::time::{Duration, Instant};

use forecourt::config;
use forecourt::domain::event::EventClass;
use forecourt::pipeline::delivery::{Acknowledgements, Delivery};
use forecourt::store::spool::Spool;

use crate::broker::{Subscriber, mosquitto};
use crate::checker::{Ledger, check};
use crate::harness::{PlantedBug, append, deliver_with, mqtt, open};

/// Accepts events until `enough` says so; false when it does not in time.
fn accepted_until(
    spool: &mut Spool,
    (delivery, acknowledgements): (&Delivery, &mut Acknowledgements),
    ledger: &mut Ledger,
    mut enough: impl FnMut() -> bool,
) -> bool {
    let until = Instant::now() + Duration::from_secs(30);
    while !enough() && Instant::now() < until {
        let n = ledger.next();
        let stored = append(spool, EventClass::P1, n).unwrap();
        ledger.accept(n, stored.identity.id);
        delivery.wake();
        acknowledgements.apply(spool).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    enough()
}

/// Waits until nothing is left in the queue.
fn drained(spool: &mut Spool, acknowledgements: &mut Acknowledgements) -> bool {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        acknowledgements.apply(spool).unwrap();
        match spool.waiting().unwrap().iter().map(|class| class.count).sum::<u64>() {
            0 => return true,
            _ if Instant::now() >= until => return false,
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[test]
fn the_next_broker_serves_while_the_preferred_one_is_away_and_no_longer_than_its_connection() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let Some(mut first) = mosquitto(folders[0].path(), true) else { return };
    let Some(mut second) = mosquitto(folders[1].path(), true) else { return };
    first.kill();
    let mut spool = open(&folders[0].path().join("spool"), 8, PlantedBug::None);
    let fallback_urls = vec![format!("mqtt://127.0.0.1:{}", second.port)];
    let settings = config::Mqtt { fallback_urls, ..mqtt(first.port, "box") };
    let at_second = Subscriber::listen(second.port);
    let (delivery, mut acknowledgements) = deliver_with(&mut spool, settings, PlantedBug::None, u64::MAX);
    let mut ledger = Ledger::default();
    let status = || delivery.status();
    let at = |port: u16, acked: u64| status().acked >= acked && status().broker.ends_with(&format!(":{port}"));
    let on_second = accepted_until(&mut spool, (&delivery, &mut acknowledgements), &mut ledger, || at(second.port, 20));
    assert!(on_second, "{:?}", status());
    // The preferred one is back: a connection that works is not given up for it.
    first.start();
    let at_first = Subscriber::listen(first.port);
    let acked = status().acked;
    let stays =
        accepted_until(&mut spool, (&delivery, &mut acknowledgements), &mut ledger, || at(second.port, acked + 50));
    assert!(stays, "{:?}", status());
    let mut heard = at_second;
    heard.until(Duration::from_millis(500), |_| false);
    second.kill();
    let acked = status().acked;
    let back =
        accepted_until(&mut spool, (&delivery, &mut acknowledgements), &mut ledger, || at(first.port, acked + 20));
    assert!(back, "{:?}", status());
    assert!(drained(&mut spool, &mut acknowledgements));
    delivery.stop(Duration::from_secs(3));
    let mut rest = at_first;
    let known = heard.ids.clone();
    rest.until(Duration::from_secs(5), |rest| {
        ledger.ids().all(|id| known.contains_key(id) || rest.ids.contains_key(id))
    });
    let seen = heard.seen.iter().chain(&rest.seen).map(|arrival| arrival.payload.as_slice());
    let verdict = check(&ledger, seen);
    assert!(verdict.lost.is_empty() && verdict.phantom.is_empty() && verdict.untold.is_empty(), "{verdict:?}");
    assert!(!heard.seen.is_empty() && !rest.seen.is_empty());
}
