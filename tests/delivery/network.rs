//! What a network does to a connection (T8), a packet id that comes up twice (T10), and a very slow line (T11). A proxy
//! stands between the box and a real Mosquitto, or a broker by hand does.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use forecourt::config::{self, Protocol};
use forecourt::domain::event::EventClass;
use forecourt::store::spool::Spool;

use crate::broker::{Subscriber, local, mosquitto};
use crate::checker::{Ledger, Verdict, check};
use crate::harness::{PlantedBug, append, append_many, deliver_with, mqtt, open, soak};
use crate::wire::{self, PUBACK, Packet};

/// What the proxy does to one connection, after a few messages went through.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// What the box sends vanishes.
    SwallowsUp,
    /// Acknowledgements vanish.
    SwallowsAcks,
    /// Nothing goes through in either direction any more, and nobody is told.
    HalfOpen,
    /// Cut in the middle of a packet.
    Cut,
    /// One byte at a time, slowly.
    Trickles,
    /// Everything takes a while.
    Delays,
    /// Accepts, and never answers.
    Silent,
}

const SCRIPT: [Fault; 6] =
    [Fault::SwallowsUp, Fault::SwallowsAcks, Fault::HalfOpen, Fault::Cut, Fault::Trickles, Fault::Delays];

/// Listens; the first connections meet `faults`, one each, the others none.
fn proxy(broker: u16, faults: Vec<Fault>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let met = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&met);
    std::thread::spawn(move || {
        let mut faults = faults.into_iter();
        for client in listener.incoming().flatten() {
            let fault = faults.next();
            counted.fetch_add(1, Ordering::Relaxed);
            std::thread::spawn(move || pass(client, broker, fault));
        }
    });
    (port, met)
}

fn pass(client: TcpStream, broker: u16, fault: Option<Fault>) {
    if fault == Some(Fault::Silent) {
        let mut sink = Vec::new();
        let _ = (&client).read_to_end(&mut sink);
        return;
    }
    let Ok(server) = TcpStream::connect(local(broker)) else { return };
    let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let other = std::thread::spawn(move || forward(down, up, fault, false));
    forward(client, server, fault, true);
    let _ = other.join();
}

/// One direction; the fault begins after the first dozen of packets.
fn forward(mut from: TcpStream, mut to: TcpStream, fault: Option<Fault>, upstream: bool) {
    let mut packets = 0;
    while let Ok(packet) = Packet::read(&mut from) {
        packets += 1;
        let bytes = packet.bytes();
        let faulty = packets > 12;
        let done = match fault.filter(|_| faulty) {
            Some(Fault::HalfOpen) => continue,
            Some(Fault::SwallowsUp) if upstream => continue,
            Some(Fault::SwallowsAcks) if !upstream && packet.kind == PUBACK => continue,
            Some(Fault::Cut) if upstream => {
                let _ = to.write_all(&bytes[..bytes.len() / 2]);
                break;
            }
            Some(Fault::Trickles) if upstream => {
                let slowly = |byte: &[u8]| {
                    std::thread::sleep(Duration::from_millis(20));
                    to.write_all(byte)
                };
                bytes.chunks(1).try_for_each(slowly)
            }
            // A box can live with that: it is ended here, so that the next fault has its turn.
            Some(Fault::Delays) if packets > 60 => break,
            Some(Fault::Delays) => {
                std::thread::sleep(Duration::from_millis(30));
                to.write_all(&bytes)
            }
            _ => to.write_all(&bytes),
        };
        if done.is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Pings as often as the library allows, so that a dead line is noticed in seven and a half seconds.
fn lively(port: u16) -> config::Mqtt {
    config::Mqtt { keep_alive: Duration::from_secs(5), ..mqtt(port, "box") }
}

/// Accepts events while the connection meets the faults; what came of them.
fn endured(faults: Vec<Fault>, bug: PlantedBug) -> Option<(Verdict, usize)> {
    endured_over(Protocol::Mqtt5, faults, bug)
}

fn endured_over(protocol: Protocol, faults: Vec<Fault>, bug: PlantedBug) -> Option<(Verdict, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let broker = mosquitto(folder.path(), true)?;
    let count = faults.len();
    let (port, met) = proxy(broker.port, faults);
    let mut subscriber = Subscriber::listen(broker.port);
    let mut spool = open(&folder.path().join("spool"), 16, PlantedBug::None);
    let (delivery, mut acknowledgements) =
        deliver_with(&mut spool, config::Mqtt { protocol, ..lively(port) }, bug, u64::MAX);
    let mut ledger = Ledger::default();
    let until = Instant::now() + Duration::from_secs(30 + 12 * count as u64);
    let mut quiet = false;
    while Instant::now() < until && !quiet {
        if met.load(Ordering::Relaxed) <= count {
            let n = ledger.next();
            let stored = append(&mut spool, EventClass::P1, n).unwrap();
            ledger.accept(n, stored.identity.id);
            delivery.wake();
        }
        acknowledgements.apply(&mut spool).unwrap();
        std::thread::sleep(Duration::from_millis(4));
        let waiting: u64 = spool.waiting().unwrap().iter().map(|class| class.count).sum();
        quiet = met.load(Ordering::Relaxed) > count && waiting == 0;
    }
    let ids: Vec<String> = ledger.ids().cloned().collect();
    subscriber.until(Duration::from_secs(5), |heard| ids.iter().all(|id| heard.ids.contains_key(id)));
    assert_eq!(subscriber.presence.as_ref().map(|word| &word["online"]), Some(&true.into()), "its birth was told");
    delivery.stop(Duration::from_secs(3));
    let verdict = check(&ledger, subscriber.seen.iter().map(|arrival| arrival.payload.as_slice()));
    println!(
        "T8: {} events over {} connections, {} twice",
        ledger.len(),
        met.load(Ordering::Relaxed),
        verdict.duplicates
    );
    Some((verdict, met.load(Ordering::Relaxed)))
}

#[test]
fn t8_a_bad_network_loses_nothing_and_repeats_little() {
    let cycles = if soak() { 200 / SCRIPT.len() } else { 1 };
    let faults: Vec<Fault> = SCRIPT.into_iter().cycle().take(cycles * SCRIPT.len()).collect();
    let count = faults.len();
    let Some((verdict, met)) = endured(faults, PlantedBug::None) else { return };
    assert!(met > count, "{met} connections: a fault was never left");
    assert!(verdict.holds(), "{verdict:?}");
    assert!(verdict.duplicates <= 20 * count, "{verdict:?}");
}

#[test]
fn t8_over_mqtt_3_1_1_a_bad_network_loses_nothing_either() {
    let cycles = if soak() { 10 } else { 1 };
    let faults = [Fault::SwallowsUp, Fault::SwallowsAcks, Fault::Cut];
    let faults: Vec<Fault> = faults.into_iter().cycle().take(cycles * faults.len()).collect();
    let count = faults.len();
    let Some((verdict, met)) = endured_over(Protocol::Mqtt311, faults, PlantedBug::None) else { return };
    assert!(met > count, "{met} connections: a fault was never left");
    assert!(verdict.holds() && verdict.duplicates <= 20 * count, "{verdict:?}");
}

#[test]
fn t8_sees_an_event_that_is_forgotten_when_it_is_sent() {
    let Some((verdict, _)) = endured(vec![Fault::SwallowsUp, Fault::HalfOpen], PlantedBug::ForgetOnSend) else {
        return;
    };
    assert!(!verdict.lost.is_empty(), "nothing was lost although the box forgets what it sends");
}

#[test]
fn t8_a_broker_that_accepts_and_says_nothing_is_left_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = mosquitto(folder.path(), true) else { return };
    let (port, met) = proxy(broker.port, vec![Fault::Silent]);
    let mut spool = open(&folder.path().join("spool"), 8, PlantedBug::None);
    let began = Instant::now();
    let (delivery, _acknowledgements) = deliver_with(&mut spool, lively(port), PlantedBug::None, u64::MAX);
    while met.load(Ordering::Relaxed) < 2 {
        assert!(began.elapsed() < Duration::from_secs(45), "{:?}", delivery.status());
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("T8: a broker that accepts and says nothing was left after {:?}", began.elapsed());
    delivery.stop(Duration::from_secs(3));
}

/// A broker by hand that never acknowledges the first message of its first connection, and all others at once; then the
/// connection is lost with its session, and the next one is sound. How long until a message went through again?
fn resumed(bug: PlantedBug, limit: Duration) -> Option<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let stuck = Arc::new(Mutex::new(None::<Instant>));
    let taken = Arc::new(AtomicU64::new(0));
    let (noted, counted) = (Arc::clone(&stuck), Arc::clone(&taken));
    std::thread::spawn(move || {
        for (number, mut client) in listener.incoming().flatten().enumerate() {
            let _ = Packet::read(&mut client);
            let _ = wire::connack(false, 0, u16::MAX).write(&mut client);
            let mut held = None;
            while let Ok(packet) = Packet::read(&mut client) {
                if wire::pong(&packet, &mut client) {
                    continue;
                }
                let Some((topic, id, _)) = packet.publish() else { break };
                if number == 0 && topic.contains("/evt/") && held.is_none() {
                    held = Some(id);
                    noted.lock().unwrap().get_or_insert(Instant::now());
                    continue;
                }
                if number > 0 && topic.contains("/evt/") {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                let _ = wire::puback(id, 0).write(&mut client);
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 16, PlantedBug::None);
    append_many(&mut spool, EventClass::P1, 1..600).unwrap();
    let (delivery, mut acknowledgements) = deliver_with(&mut spool, lively(port), bug, u64::MAX);
    let until = Instant::now() + limit;
    let found = loop {
        acknowledgements.apply(&mut spool).unwrap();
        if taken.load(Ordering::Relaxed) > 0 {
            break stuck.lock().unwrap().map(|at| at.elapsed());
        }
        if Instant::now() >= until {
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    delivery.stop(Duration::from_secs(3));
    found
}

#[test]
fn t10_a_message_that_is_never_acknowledged_stops_the_others_for_seconds_only() {
    let rounds = if soak() { 20 } else { 1 };
    for _ in 0..rounds {
        let took = resumed(PlantedBug::None, Duration::from_secs(30)).expect("publishing goes on");
        println!("T10: publishing went on after {took:?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

#[test]
fn t10_sees_a_box_that_does_not_notice_a_packet_id_in_use() {
    assert_eq!(resumed(PlantedBug::BlindToCollision, Duration::from_secs(6)), None, "it went on all the same");
}

/// Passes on at most `per_second` bytes of what the box sends.
fn throttle(broker: u16, per_second: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let Ok(mut server) = TcpStream::connect(local(broker)) else { continue };
            let (mut back, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut down, &mut back));
            std::thread::spawn(move || {
                let mut some = vec![0; per_second / 20];
                while let Ok(read @ 1..) = client.read(&mut some) {
                    std::thread::sleep(Duration::from_millis(50));
                    if server.write_all(&some[..read]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

/// Waits of live arrivals while a backlog is sent over a slow line, shortest first; and how the memory grew, in KiB.
fn over_a_slow_line(
    backlog: u64,
    length: Duration,
    settings: impl Fn(u16) -> config::Mqtt,
) -> Option<(Vec<Duration>, i64)> {
    let folder = tempfile::tempdir().unwrap();
    let broker = mosquitto(folder.path(), true)?;
    let mut subscriber = Subscriber::listen(broker.port);
    let mut spool = open(&folder.path().join("spool"), 64, PlantedBug::None);
    append_many(&mut spool, EventClass::P1, 1..backlog).unwrap();
    let port = throttle(broker.port, 8_000);
    let (delivery, mut acknowledgements) = deliver_with(&mut spool, settings(port), PlantedBug::None, u64::MAX);
    subscriber.until(Duration::from_secs(20), |heard| heard.ids.len() > 20);
    let before = resident();
    let (mut waits, began, mut n) = (Vec::new(), Instant::now(), backlog);
    while began.elapsed() < length {
        n += 1;
        let stored = append(&mut spool, EventClass::P1, n).unwrap();
        let accepted = Instant::now();
        delivery.wake();
        let arrived = subscriber.until(Duration::from_secs(15), |heard| {
            acknowledgements.apply(&mut spool).unwrap();
            heard.ids.contains_key(&stored.identity.id)
        });
        waits.push(if arrived { accepted.elapsed() } else { Duration::MAX });
    }
    let left = waiting(&mut spool);
    delivery.stop(Duration::from_secs(3));
    assert!(left > 0, "the backlog was over before the end: nothing was shown");
    waits.sort();
    Some((waits, resident() - before))
}

fn waiting(spool: &mut Spool) -> u64 {
    spool.waiting().unwrap().iter().map(|class| class.count).sum()
}

fn resident() -> i64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn p95(waits: &[Duration]) -> Duration {
    waits[(waits.len() * 95 / 100).min(waits.len() - 1)]
}

#[test]
fn t11_live_arrivals_overtake_a_backlog_on_a_line_of_64_kbit() {
    let (backlog, length) =
        if soak() { (20_000, Duration::from_secs(1_800)) } else { (2_000, Duration::from_secs(12)) };
    let limited = |port| config::Mqtt { drain_per_second: 50, ..patient(port) };
    let Some((waits, grown)) = over_a_slow_line(backlog, length, limited) else { return };
    println!("T11: {} live arrivals, p95 {:?}; memory {grown:+} KiB", waits.len(), p95(&waits));
    assert!(waits.len() > 3 && p95(&waits) <= Duration::from_secs(5), "{waits:?}");
    assert!(grown.abs() <= 10 * 1024, "{grown} KiB");
}

#[test]
fn t11_sees_a_box_whose_live_arrivals_wait_for_the_backlog() {
    // Without a rate everything goes in the order of its numbers.
    let unlimited = |port| config::Mqtt { drain_per_second: 0, ..patient(port) };
    let Some((waits, _)) = over_a_slow_line(2_000, Duration::from_secs(1), unlimited) else { return };
    assert!(p95(&waits) > Duration::from_secs(5), "{waits:?}");
}

/// A slow line is no dead one: the window is small enough for it.
fn patient(port: u16) -> config::Mqtt {
    config::Mqtt { max_inflight: 8, reconnect_max: Duration::from_secs(60), ..mqtt(port, "slow-box") }
}
