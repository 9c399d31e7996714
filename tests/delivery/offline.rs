//! A long time without a broker, into the cap (T12): what goes and what stays is exact, and every number is told.

use std::path::Path;
use std::time::{Duration, Instant};

use forecourt::domain::event::EventClass;
use forecourt::store::spool::FILE_NAME;

use crate::broker::{Subscriber, mosquitto};
use crate::checker::{Ledger, Verdict, check};
use crate::harness::{PlantedBug, append_many, deliver, open, soak};

/// Bytes of the database and its log.
fn size(folder: &Path) -> u64 {
    let of = |suffix: &str| std::fs::metadata(folder.join(format!("{FILE_NAME}{suffix}"))).map_or(0, |file| file.len());
    of("") + of("-wal")
}

struct Outcome {
    verdict: Verdict,
    /// What was left of P1 and P2 when the broker came.
    kept: [Vec<u64>; 2],
    accepted: u64,
    largest: u64,
    told: Duration,
}

/// `events` events of which every tenth is of class P1, then a broker.
fn returned(events: u64, max_mib: u32, bug: PlantedBug) -> Option<Outcome> {
    let folder = tempfile::tempdir().unwrap();
    let broker = mosquitto(folder.path(), false)?;
    let place = folder.path().join("spool");
    let mut spool = open(&place, max_mib, bug);
    let (mut ledger, mut largest) = (Ledger::default(), 0);
    let mut n = 0;
    while n < events {
        for (class, count) in [(EventClass::P1, 5), (EventClass::P2, 45)] {
            ledger.tried.extend(n..n + count);
            for (stored, n) in append_many(&mut spool, class, n..n + count).unwrap().into_iter().zip(n..) {
                ledger.accept(n, stored.identity.id);
            }
            n += count;
        }
        largest = size(&place).max(largest);
    }
    let queued = spool.queued(usize::MAX).unwrap();
    let of = |class| queued.iter().filter(|event| event.class == class).map(|event| event.key.seq).collect();
    let kept = [of(EventClass::P1), of(EventClass::P2)];
    let began = Instant::now();
    let mut subscriber = Subscriber::listen(broker.port);
    let (delivery, mut acknowledgements) = deliver(&mut spool, broker.port, PlantedBug::None);
    subscriber.until(Duration::from_secs(60), |_| {
        acknowledgements.apply(&mut spool).unwrap();
        spool.waiting().unwrap().iter().all(|class| class.count == 0)
    });
    let ids: Vec<_> = queued.iter().filter_map(|event| crate::checker::id(&event.payload)).collect();
    subscriber.until(Duration::from_secs(5), |heard| ids.iter().all(|id| heard.ids.contains_key(id)));
    delivery.stop(Duration::from_secs(3));
    let verdict = check(&ledger, subscriber.seen.iter().map(|arrival| arrival.payload.as_slice()));
    Some(Outcome { verdict, kept, accepted: n, largest, told: began.elapsed() })
}

#[test]
fn t12_after_a_long_time_offline_the_oldest_of_the_lowest_class_is_gone_and_told() {
    let (events, max_mib) = if soak() { (150_000, 16) } else { (12_000, 2) };
    let Some(outcome) = returned(events, max_mib, PlantedBug::None) else { return };
    let Outcome { verdict, kept: [p1, p2], accepted, largest, told } = outcome;
    println!(
        "T12: {accepted} events, kept {} P1 and {} P2, file and log {largest} bytes at most, delivered in {told:?}",
        p1.len(),
        p2.len()
    );
    assert!(verdict.holds() && verdict.duplicates == 0, "{verdict:?}");
    assert_eq!(verdict.overtold, 0, "the counts are exact");
    assert!(largest <= u64::from(max_mib) * 1024 * 1024, "{largest} bytes");
    assert!(p2.len() > 100 && p2.len() < accepted as usize / 2, "something was given up, and the newest stayed");
    assert!(p1.len() as u64 == accepted / 10, "of the dearer class nothing is given up while there is a cheaper one");
    // Eviction took the oldest: what is left of P2 is one run, broken only by numbers of P1 and of drop records.
    let oldest = p2[0];
    let missing = (oldest..*p2.last().unwrap()).filter(|seq| !p2.contains(seq) && !p1.contains(seq)).count();
    assert!(missing < 200, "{missing} holes behind the oldest P2 that is left");
}

#[test]
fn t12_sees_a_drop_record_that_tells_one_too_few() {
    let Some(outcome) = returned(8_000, 2, PlantedBug::DropRecordTooNarrow) else { return };
    assert!(!outcome.verdict.untold.is_empty() || !outcome.verdict.lost.is_empty(), "{:?}", outcome.verdict);
}
