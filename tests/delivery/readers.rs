//! Somebody reads the queue in a loop while it is written and emptied (T15): the log must not grow, and nothing tears.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use forecourt::domain::event::EventClass;
use forecourt::store::spool::FILE_NAME;

use crate::harness::{PlantedBug, append_many, open, soak};

/// Most bytes of the log.
const MOST: u64 = 16 << 20;

/// Writes and deletes for `length` while others read; `held`: one of them never ends its reading. The largest log.
fn largest_log(length: Duration, held: bool) -> (u64, u64, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 64, PlantedBug::None);
    let path = folder.path().join(FILE_NAME);
    let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let log = || std::fs::metadata(folder.path().join(format!("{FILE_NAME}-wal"))).map_or(0, |file| file.len());
    append_many(&mut spool, EventClass::P1, 1..100).unwrap();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (stop, reads) = (Arc::clone(&stop), Arc::clone(&reads));
            let mut reader = spool.reader().unwrap();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    reader.next(EventClass::P1, 0, 500).unwrap();
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let stuck = rusqlite::Connection::open(&path).unwrap();
    if held {
        stuck.execute_batch("begin; select count(*) from outbox;").unwrap();
    }
    let (began, mut n, mut largest) = (Instant::now(), 100, 0);
    while began.elapsed() < length {
        append_many(&mut spool, EventClass::P1, n..n + 50).unwrap();
        n += 50;
        let keys: Vec<_> = spool.queued(50).unwrap().iter().map(|event| event.key).collect();
        spool.acknowledged(&keys).unwrap();
        largest = log().max(largest);
        if largest > MOST {
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    drop(stuck);
    drop(spool);
    let check = rusqlite::Connection::open(&path).unwrap();
    let sound = check.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    println!("T15: {n} events, {} readings, log {} KiB at most", reads.load(Ordering::Relaxed), largest >> 10);
    (largest, reads.load(Ordering::Relaxed), sound)
}

#[test]
fn t15_the_log_stays_small_while_somebody_reads_all_the_time() {
    let length = Duration::from_secs(if soak() { 600 } else { 4 });
    let (largest, reads, sound) = largest_log(length, false);
    assert!(largest <= MOST && reads > 10, "{largest} bytes, {reads} readings");
    assert_eq!(sound, "ok");
}

#[test]
fn t15_sees_a_reading_that_never_ends() {
    let (largest, ..) = largest_log(Duration::from_secs(60), true);
    assert!(largest > MOST, "{largest} bytes");
}
