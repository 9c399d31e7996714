//! Stories of the spool: what is accepted, what is given up, what survives.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::domain::event::{DropReason, EventClass};

fn limits(max_mib: u32) -> Limits {
    Limits { max_mib, keep_visits: Duration::from_secs(86_400) }
}

/// Stands for the envelope of `domain::event`: the record itself as JSON.
fn compose() -> ComposeDrop {
    Box::new(|dropped, _, _| DropEvent {
        topic: "evt/outbox-dropped".into(),
        kind: "outbox-dropped".into(),
        payload: serde_json::to_vec(dropped).unwrap(),
    })
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn open(folder: &Path, max_mib: u32) -> Spool {
    Spool::open(folder, limits(max_mib), compose()).unwrap()
}

fn event<'a>(class: EventClass, topic: &'a str, make: &'a dyn Fn(&Identity) -> Vec<u8>) -> NewEvent<'a> {
    let supersedes = (class == EventClass::P3).then_some("health");
    NewEvent { class, kind: "test", topic, happened_at: at(0), expires_at: Some(at(100)), supersedes, make }
}

fn append(spool: &mut Spool, class: EventClass, bytes: usize) -> Committed<StoredEvent> {
    let make = |identity: &Identity| identity.id.bytes().cycle().take(bytes).collect();
    spool.transaction(|tx| tx.append(event(class, "evt/test", &make))).unwrap()
}

fn records(spool: &mut Spool) -> Vec<Dropped> {
    let queued = spool.queued(usize::MAX).unwrap();
    let told = queued.iter().filter(|event| event.kind == "outbox-dropped");
    told.map(|event| serde_json::from_slice(&event.payload).unwrap()).collect()
}

#[test]
fn numbers_are_contiguous_and_never_used_twice_even_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 8);
    let first = append(&mut spool, EventClass::P1, 100).value;
    let second = append(&mut spool, EventClass::P2, 100).value;
    let keys = [1, 2].map(|seq| RowKey { generation: 0, seq });
    assert_eq!(spool.acknowledged(&keys).unwrap(), 2);
    drop(spool);
    let mut spool = open(folder.path(), 8);
    let third = append(&mut spool, EventClass::P1, 100).value;
    assert_eq!([first, second, third.clone()].map(|event| event.identity.seq), [1, 2, 3]);
    assert_eq!(third.identity.id, format!("{}-3", spool.epoch()));
}

#[test]
fn a_body_that_fails_leaves_neither_visit_nor_event_nor_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 8);
    let visit = VisitRow {
        visit_id: "v1".into(),
        member_ref: "m1".into(),
        opened_ms: 1,
        closed_ms: None,
        state: b"{}".to_vec(),
    };
    let refused = SpoolError::Refused { path: "x".into(), detail: "on purpose".into() };
    let make = |_: &Identity| b"{}".to_vec();
    let outcome = spool.transaction(|tx| {
        tx.put_visit(&visit)?;
        tx.append(event(EventClass::P1, "evt/arrival", &make))?;
        Err::<(), _>(refused.clone())
    });
    assert_eq!(outcome.unwrap_err(), refused);
    assert_eq!((spool.open_visits().unwrap(), spool.queued(9).unwrap()), (vec![], vec![]));
    assert_eq!(append(&mut spool, EventClass::P1, 10).value.identity.seq, 1);
    spool.transaction(|tx| tx.put_visit(&visit)).unwrap();
    assert_eq!(spool.open_visits().unwrap(), vec![visit]);
}

#[test]
fn the_oldest_of_the_lowest_class_goes_first_and_every_number_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1);
    for _ in 0..100 {
        append(&mut spool, EventClass::P1, 900);
    }
    let mut evicted = 0;
    for _ in 0..3000 {
        evicted += append(&mut spool, EventClass::P2, 900).events.len() - 1;
    }
    assert!(evicted > 0);
    let queued = spool.queued(usize::MAX).unwrap();
    assert_eq!(queued.iter().filter(|event| event.class == EventClass::P1).count(), 100, "dearer events stay");
    let told = records(&mut spool);
    let present: Vec<u64> = queued.iter().map(|event| event.key.seq).collect();
    let newest = *present.iter().max().unwrap();
    let missing: Vec<u64> = (1..=newest).filter(|seq| !present.contains(seq)).collect();
    let covered = |seq: &u64| told.iter().any(|record| (record.first_seq..=record.last_seq).contains(seq));
    assert!(missing.iter().all(covered), "a gap that nobody told");
    assert_eq!(told.iter().map(|record| record.count).sum::<u64>(), missing.len() as u64);
    let size = |suffix: &str| {
        std::fs::metadata(folder.path().join(format!("{FILE_NAME}{suffix}"))).map_or(0, |file| file.len())
    };
    assert!(size("") + size("-wal") <= 1024 * 1024, "{} + {}", size(""), size("-wal"));
}

#[test]
fn a_newcomer_of_the_lowest_class_yields_to_dearer_ones_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1);
    // Receipts fill nine tenths and more: what is left is theirs.
    let make = |_: &Identity| vec![b'x'; 3500];
    while spool.transaction(|tx| tx.append(event(EventClass::P0, "evt/receipt", &make))).is_ok() {}
    spool.acknowledged(&[1, 2].map(|seq| RowKey { generation: 0, seq })).unwrap();
    let newcomer = append(&mut spool, EventClass::P2, 3500);
    let seq = newcomer.value.identity.seq;
    assert!(spool.queued(usize::MAX).unwrap().iter().all(|event| event.key.seq != seq), "it was not stored");
    let expected = Dropped { class: EventClass::P2, first_seq: seq, last_seq: seq, count: 1, reason: DropReason::Full };
    assert_eq!(records(&mut spool), vec![expected]);
}

#[test]
fn a_spool_full_of_what_is_never_given_up_says_so_and_takes_acknowledgements() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1);
    let make = |_: &Identity| vec![b'x'; 3500];
    let error = loop {
        match spool.transaction(|tx| tx.append(event(EventClass::P0, "evt/receipt", &make))) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("outbox.max_mib"), "{error}");
    assert_eq!(spool.health().condition, Condition::Full);
    let keys: Vec<RowKey> = (1..=20).map(|seq| RowKey { generation: 0, seq }).collect();
    assert_eq!(spool.acknowledged(&keys).unwrap(), 20);
    append(&mut spool, EventClass::P0, 3500);
    assert_eq!(spool.health().condition, Condition::Ok);
}

#[test]
fn what_is_too_old_is_given_up_only_by_a_clock_that_can_be_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 8);
    append(&mut spool, EventClass::P2, 10);
    assert_eq!(spool.maintain(at(1000), TimeQuality::Unsynced).unwrap(), vec![]);
    let told = spool.maintain(at(1000), TimeQuality::Synced).unwrap();
    assert_eq!(told.len(), 1);
    let expected = Dropped { class: EventClass::P2, first_seq: 1, last_seq: 1, count: 1, reason: DropReason::Expired };
    assert_eq!(records(&mut spool), vec![expected]);
}

#[test]
fn of_health_only_the_newest_stays_and_the_records_stay_few() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 8);
    for _ in 0..500 {
        append(&mut spool, EventClass::P3, 10);
    }
    let queued = spool.queued(usize::MAX).unwrap();
    assert_eq!(queued.len(), 3, "one health message, one record of it, one of replaced records");
    let newest = spool.waiting().unwrap().iter().map(|waiting| waiting.count).sum::<u64>();
    assert_eq!(newest, 3);
    let counted: u64 = records(&mut spool).iter().map(|record| record.count).sum();
    let last = queued.iter().map(|event| event.key.seq).max().unwrap();
    assert_eq!(counted, last - 3);
    // The record is acknowledged: the next one begins anew.
    let keys: Vec<RowKey> = queued.iter().map(|event| event.key).collect();
    spool.acknowledged(&keys).unwrap();
    append(&mut spool, EventClass::P3, 10);
    append(&mut spool, EventClass::P3, 10);
    assert_eq!(records(&mut spool).iter().map(|record| record.count).collect::<Vec<_>>(), vec![1]);
}

#[test]
fn a_reader_sees_what_was_committed_and_follows_to_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 8);
    let mut reader = spool.reader().unwrap();
    append(&mut spool, EventClass::P1, 10);
    append(&mut spool, EventClass::P1, 10);
    let seqs = |events: Vec<QueuedEvent>| events.iter().map(|event| event.key.seq).collect::<Vec<_>>();
    assert_eq!(seqs(reader.next(EventClass::P1, 0, 9).unwrap()), vec![1, 2]);
    assert_eq!(seqs(reader.next(EventClass::P1, 1, 9).unwrap()), vec![2]);
    assert_eq!(reader.next(EventClass::P0, 0, 9).unwrap(), vec![]);
    // The file is damaged while in use: set aside, a new epoch, and late acknowledgements of the old one are void.
    let before = spool.epoch().to_owned();
    // All of it stands in the file itself, nothing in the log.
    let folded = spool.connection.take().unwrap();
    folded.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).unwrap();
    drop(folded);
    std::fs::write(folder.path().join(FILE_NAME), vec![7; 8192]).unwrap();
    append(&mut spool, EventClass::P1, 10);
    assert_ne!(spool.epoch(), before);
    assert!(spool.take_set_aside().unwrap().path.exists());
    assert_eq!(spool.acknowledged(&[RowKey { generation: 0, seq: 1 }]).unwrap(), 0);
    let fresh = reader.next(EventClass::P1, 0, 9).unwrap();
    assert_eq!(fresh[0].key, RowKey { generation: 1, seq: 1 });
}

#[test]
fn two_processes_may_not_own_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = open(folder.path(), 8);
    let words = Spool::open(folder.path(), limits(8), compose()).err().unwrap().to_string();
    assert!(words.contains("another forecourt"), "{words}");
    assert_eq!((first.count_start().unwrap(), first.count_start().unwrap()), (1, 2));
}

#[test]
fn only_the_owner_may_read_whom_a_member_visited() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 8);
    append(&mut spool, EventClass::P1, 10);
    for suffix in ["", "-wal", "-shm"] {
        let file = folder.path().join(format!("{FILE_NAME}{suffix}"));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn in_memory_the_same_events_give_the_same_bytes() {
    let run = || {
        let mut spool = Spool::in_memory("replay", limits(8), compose()).unwrap();
        (0..5).map(|_| append(&mut spool, EventClass::P1, 50).value).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
    assert_eq!(run()[4].identity.id, "replay-5");
}

#[test]
fn a_database_that_went_back_in_time_begins_a_new_epoch_and_keeps_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 8);
    append(&mut spool, EventClass::P1, 10);
    let before = spool.epoch().to_owned();
    drop(spool);
    let path = folder.path().join(FILE_NAME);
    let past = std::fs::read(&path).unwrap();
    let mut spool = open(folder.path(), 8);
    assert_eq!(spool.epoch(), before, "nothing was lost");
    append(&mut spool, EventClass::P1, 10);
    append(&mut spool, EventClass::P1, 10);
    drop(spool);
    std::fs::write(&path, past).unwrap();
    let mut spool = open(folder.path(), 8);
    assert_ne!(spool.epoch(), before);
    assert_eq!(append(&mut spool, EventClass::P1, 10).value.identity.seq, 4, "2 and 3 were given away before");
    assert_eq!(spool.queued(9).unwrap().iter().map(|event| event.key.seq).collect::<Vec<_>>(), [1, 4]);
}

#[test]
fn an_event_is_found_by_its_number_in_whatever_class() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 8);
    let stored = [EventClass::P2, EventClass::P0, EventClass::P1].map(|class| append(&mut spool, class, 50).value);
    for event in &stored {
        let found = spool.event(event.identity.seq).unwrap().unwrap();
        assert_eq!((found.class, found.payload), (event.class, event.payload.clone()));
    }
    spool.acknowledged(&[RowKey { generation: 0, seq: 2 }]).unwrap();
    assert_eq!((spool.event(2).unwrap(), spool.event(4).unwrap()), (None, None));
}

#[test]
fn departures_of_a_moment_ago_survive_a_restart_and_are_forgotten_with_the_visits() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 8);
    let row = |state: &[u8]| EchoRow { member_ref: "m1".into(), noted_ms: at(0).as_millisecond(), state: state.into() };
    spool.transaction(|tx| tx.put_echo(&row(b"first"))).unwrap();
    spool.transaction(|tx| tx.put_echo(&row(b"second"))).unwrap();
    drop(spool);
    let mut spool = open(folder.path(), 8);
    assert_eq!(spool.echoes().unwrap(), [row(b"second")]);
    spool.maintain(at(2 * 86_400), TimeQuality::Synced).unwrap();
    assert_eq!(spool.echoes().unwrap(), []);
}

#[test]
fn whoever_comes_second_is_told_who_was_first() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path(), 8);
    let words = Spool::open(folder.path(), limits(8), compose()).err().unwrap().to_string();
    assert!(words.contains(&format!("process {}", std::process::id())), "{words}");
}
