//! The broker is killed and started again (T7). A tap between box and broker notes what the broker has taken over: with
//! its memory gone, no subscriber could tell.

use std::collections::{BTreeSet, HashMap};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use forecourt::domain::event::EventClass;

use crate::broker::{local, mosquitto};
use crate::checker::{Ledger, Verdict, check, id};
use crate::harness::{self, PlantedBug, append, open, soak};
use crate::wire::{PUBLISH, Packet};

/// What the broker has acknowledged, in the order of its acknowledgements.
type Taken = Arc<Mutex<Vec<Vec<u8>>>>;

/// Listens, and passes every connection on to `broker`, watching both ways.
fn tap(broker: u16, taken: &Taken, swallow: &Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (taken, swallow) = (Arc::clone(taken), Arc::clone(swallow));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(local(broker)) else { continue };
            let waiting = Arc::new(Mutex::new(HashMap::new()));
            let (up, down) = (Arc::clone(&waiting), waiting);
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let swallow = Arc::clone(&swallow);
            std::thread::spawn(move || upstream(from, to, &up, &swallow));
            let taken = Arc::clone(&taken);
            std::thread::spawn(move || downstream(server, client, &down, &taken));
        }
    });
    port
}

type Waiting = Mutex<HashMap<u16, Vec<u8>>>;

fn upstream(mut from: TcpStream, mut to: TcpStream, waiting: &Waiting, swallow: &AtomicBool) {
    while let Ok(packet) = Packet::read(&mut from) {
        if let Some((topic, number, payload)) = packet.publish()
            && topic.contains("/evt/")
        {
            waiting.lock().unwrap().insert(number, payload);
        }
        if !(swallow.load(Ordering::Relaxed) && packet.kind == PUBLISH) && packet.write(&mut to).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn downstream(mut from: TcpStream, mut to: TcpStream, waiting: &Waiting, taken: &Taken) {
    while let Ok(packet) = Packet::read(&mut from) {
        if let Some((number, reason)) = packet.puback()
            && reason < 0x80
            && let Some(payload) = waiting.lock().unwrap().remove(&number)
        {
            taken.lock().unwrap().push(payload);
        }
        if packet.write(&mut to).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

struct Outcome {
    verdict: Verdict,
    accepted: usize,
}

/// Produces 50 events a second while the broker is killed `restarts` times.
fn restarted(folder: &Path, restarts: usize, persistence: bool, bug: PlantedBug) -> Option<Outcome> {
    let mut broker = mosquitto(folder, persistence)?;
    let taken = Taken::default();
    let swallow = Arc::new(AtomicBool::new(false));
    let port = tap(broker.port, &taken, &swallow);
    let mut spool = open(&folder.join("spool"), 8, PlantedBug::None);
    let (delivery, mut acknowledgements) = harness::deliver(&mut spool, port, bug);
    let mut ledger = Ledger::default();
    let mut dice = fastrand::Rng::with_seed(7);
    let mut produce = |ledger: &mut Ledger, length: Duration| {
        let until = Instant::now() + length;
        while Instant::now() < until {
            let n = ledger.next();
            let stored = append(&mut spool, EventClass::P1, n).unwrap();
            ledger.accept(n, stored.identity.id);
            delivery.wake();
            acknowledgements.apply(&mut spool).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
        spool.waiting().unwrap().iter().map(|class| class.count).sum::<u64>()
    };
    for round in 0..restarts {
        produce(&mut ledger, Duration::from_millis(dice.u64(200..400)));
        // Now and then the line takes what is sent and says nothing, before the broker dies.
        swallow.store(round % 2 == 0, Ordering::Relaxed);
        produce(&mut ledger, Duration::from_millis(60));
        broker.kill();
        swallow.store(false, Ordering::Relaxed);
        let gap = if soak() { 500..5000 } else { 100..500 };
        produce(&mut ledger, Duration::from_millis(dice.u64(gap)));
        broker.start();
    }
    let until = Instant::now() + Duration::from_secs(20);
    while produce(&mut ledger, Duration::from_millis(20)) > 2 && Instant::now() < until {}
    delivery.stop(Duration::from_secs(5));
    let taken = taken.lock().unwrap();
    let last: BTreeSet<_> = taken.iter().filter_map(|payload| id(payload)).collect();
    // The last events may still have been on their way when the delivery was stopped; they are in the spool.
    let waiting = spool.queued(usize::MAX).unwrap();
    let waiting: BTreeSet<_> = waiting.iter().filter_map(|event| id(&event.payload)).collect();
    ledger.forget(|name| waiting.contains(name) && !last.contains(name));
    let verdict = check(&ledger, taken.iter().map(Vec::as_slice));
    Some(Outcome { verdict, accepted: ledger.len() })
}

#[test]
fn t7_broker_killed_and_started_again_nothing_accepted_is_lost() {
    let restarts = if soak() { 100 } else { 6 };
    for persistence in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let Some(outcome) = restarted(folder.path(), restarts, persistence, PlantedBug::None) else { return };
        let Outcome { verdict, accepted } = outcome;
        println!("T7: {restarts} restarts, persistence {persistence}, {accepted} accepted, {verdict:?}");
        assert!(verdict.holds(), "{verdict:?}");
        assert!(verdict.duplicates <= restarts * 32 && accepted > 50, "{accepted} accepted, {verdict:?}");
    }
}

#[test]
fn t7_sees_an_event_that_is_forgotten_when_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let Some(outcome) = restarted(folder.path(), 3, false, PlantedBug::ForgetOnSend) else { return };
    assert!(!outcome.verdict.lost.is_empty(), "{:?}", outcome.verdict);
}
