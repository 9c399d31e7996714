//! Commits per second of the spool, beside a bare insert with the same pragmas in the same run.

#![allow(clippy::unwrap_used, missing_docs, reason = "a measurement")]

use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forecourt::domain::event::EventClass;
use forecourt::store::spool::{DropEvent, Identity, Limits, NewEvent, RowKey, Spool};
use jiff::Timestamp;

const PAYLOAD: &[u8] = &[b'x'; 600];

fn spool(folder: &Path) -> Spool {
    let limits = Limits { max_mib: 64, keep_visits: Duration::from_secs(86_400) };
    let compose = |_: &_, _: &_, _| DropEvent { topic: String::new(), kind: String::new(), payload: Vec::new() };
    Spool::open(folder, limits, Box::new(compose)).unwrap()
}

/// Stores `count` events in one transaction and returns their keys.
fn append(spool: &mut Spool, count: u64) -> Vec<RowKey> {
    let make = |_: &Identity| PAYLOAD.to_vec();
    let done = spool.transaction(|tx| {
        for _ in 0..count {
            tx.append(NewEvent {
                class: EventClass::P1,
                kind: "arrival",
                topic: "evt/arrival",
                happened_at: Timestamp::UNIX_EPOCH,
                expires_at: None,
                supersedes: None,
                make: &make,
            })?;
        }
        Ok(())
    });
    done.unwrap().events.iter().map(|event| RowKey { generation: 0, seq: event.identity.seq }).collect()
}

/// The reference: one insert, one commit, WAL and FULL, nothing else.
fn bare(folder: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(folder.join("bare.db")).unwrap();
    let pragmas = "pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 64;
                   create table bare (id integer primary key, payload blob not null)";
    connection.execute_batch(pragmas).unwrap();
    connection
}

fn commits(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let mut group = criterion.benchmark_group("outbox");
    group.measurement_time(Duration::from_secs(4)).sample_size(20);

    let connection = bare(folder.path());
    group.throughput(Throughput::Elements(1));
    group.bench_function("reference: bare insert and delete, a commit each", |bencher| {
        bencher.iter(|| {
            connection.execute("insert into bare (payload) values (?1)", [PAYLOAD]).unwrap();
            connection.execute("delete from bare where id = ?1", [connection.last_insert_rowid()]).unwrap();
        });
    });
    let mut spool = spool(&folder.path().join("spool"));
    group.bench_function("append and acknowledge, a commit each", |bencher| {
        bencher.iter(|| {
            let keys = append(&mut spool, 1);
            spool.acknowledged(&keys).unwrap();
        });
    });
    group.throughput(Throughput::Elements(10));
    group.bench_function("append ten and acknowledge ten, a commit each ten", |bencher| {
        bencher.iter(|| {
            let keys = append(&mut spool, 10);
            spool.acknowledged(&keys).unwrap();
        });
    });
    group.finish();
}

criterion_group!(benches, commits);
criterion_main!(benches);
