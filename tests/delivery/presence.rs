//! What a subscriber sees when nothing goes wrong: birth, events within milliseconds, farewell.

use std::time::{Duration, Instant};

use forecourt::domain::event::EventClass;
use serde_json::Value;

use crate::broker::{Subscriber, mosquitto};
use crate::harness::{PlantedBug, append, deliver, open};

/// The last word on `state/online`, as a subscriber learns it that comes now.
fn presence(port: u16) -> Option<Value> {
    let mut subscriber = Subscriber::listen(port);
    subscriber.until(Duration::from_secs(5), |heard| heard.presence.is_some());
    subscriber.presence
}

#[test]
fn a_late_subscriber_learns_whether_the_box_is_online_and_sessions_only_grow() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = mosquitto(folder.path(), false) else { return };
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let mut spool = open(&folder.path().join("spool"), 8, PlantedBug::None);
        let mut subscriber = Subscriber::listen(broker.port);
        let (delivery, mut acknowledgements) = deliver(&mut spool, broker.port, PlantedBug::None);
        append(&mut spool, EventClass::P1, 1).unwrap();
        delivery.wake();
        assert!(subscriber.until(Duration::from_secs(10), |heard| !heard.seen.is_empty()));
        let online = presence(broker.port).unwrap();
        assert_eq!(online["online"], true, "{online}");
        delivery.stop(Duration::from_secs(5));
        acknowledgements.apply(&mut spool).unwrap();
        assert!(spool.queued(9).unwrap().is_empty());
        let offline = presence(broker.port).unwrap();
        assert_eq!((&offline["online"], &offline["session"]), (&Value::Bool(false), &online["session"]));
        sessions.push(online["session"].as_u64().unwrap());
    }
    assert!(sessions[0] < sessions[1], "{sessions:?}");
}

#[test]
fn a_committed_event_reaches_a_subscriber_within_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = mosquitto(folder.path(), false) else { return };
    let mut spool = open(&folder.path().join("spool"), 8, PlantedBug::None);
    let mut subscriber = Subscriber::listen(broker.port);
    let (delivery, mut acknowledgements) = deliver(&mut spool, broker.port, PlantedBug::None);
    let mut times = Vec::new();
    for n in 1..=100 {
        let began = Instant::now();
        append(&mut spool, EventClass::P1, n).unwrap();
        delivery.wake();
        assert!(subscriber.until(Duration::from_secs(10), |heard| heard.seen.len() as u64 == n));
        // The first one waits for the connection.
        if n > 1 {
            times.push(began.elapsed());
        }
        acknowledgements.apply(&mut spool).unwrap();
    }
    delivery.stop(Duration::from_secs(5));
    times.sort();
    println!("From before the commit to the subscriber: median {:?}, p95 {:?}", times[49], times[94]);
    assert!(times[49] < Duration::from_millis(250), "{:?}: it was not woken by the commit", times[49]);
}
