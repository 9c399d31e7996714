//! Importing a member list against what SQLite itself takes to insert the same rows.
//!
//! `cargo bench --bench members`. Both write 100,000 members with a plate each to a fresh file on the disk, in one
//! durable transaction. The difference is reading, checking and merging of the CSV.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench that cannot run has failed; criterion makes the functions"
)]

use std::fmt::Write;
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use forecourt::domain::plate::grammar::Grammar;
use forecourt::store::members::{ImportOptions, MemberStore, Outcome};
use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

const MEMBERS: u32 = 100_000;

/// Names in no particular order, as a platform's opaque ids are.
fn rows() -> Vec<(String, String)> {
    let mut random = fastrand::Rng::with_seed(7);
    let symbols: Vec<char> = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789".chars().collect();
    let plate = |number: u32, random: &mut fastrand::Rng| {
        let province = ['皖', '苏', '粤', '沪', '京'][number as usize % 5];
        let serial: String = (0..4).map(|_| symbols[random.usize(..symbols.len())]).collect();
        format!("{province}{}{serial}{}", symbols[random.usize(..24)], number % 10)
    };
    (0..MEMBERS).map(|n| (format!("{:016x}", random.u64(..) ^ u64::from(n)), plate(n, &mut random))).collect()
}

fn csv(rows: &[(String, String)]) -> String {
    let mut text = "member_ref,plate,tier,list,organisation,valid_from,valid_until,consents,external_ids\n".to_owned();
    for (name, plate) in rows {
        writeln!(text, "{name},{plate},gold,member,dealer-7,,,plate;dwell,oneid={name}").unwrap();
    }
    text
}

fn import(path: &Path, text: &str) {
    let mut store = MemberStore::open(path).unwrap();
    let options = ImportOptions { grammar: Grammar::built_in("cn"), ..ImportOptions::at(Timestamp::UNIX_EPOCH) };
    let report = store.import(text.as_bytes(), &options, &mut |_| {}).unwrap();
    assert_eq!((report.outcome, report.added), (Outcome::Applied, u64::from(MEMBERS)));
}

/// The same tables and settings without any of our code in between.
fn raw(path: &Path, rows: &[(String, String)]) {
    drop(MemberStore::open(path).unwrap());
    let mut connection = Connection::open(path).unwrap();
    connection
        .execute_batch("pragma synchronous = full; pragma cache_size = -32768; pragma foreign_keys = on")
        .unwrap();
    let transaction = connection.transaction().unwrap();
    {
        let mut member = transaction
            .prepare(
                "insert into member (member_ref, tier, list, organisation, consent_plate, consent_face, consent_dwell, \
                 consent_expression, external_ids, revision) values (?1, 'gold', 'member', 'dealer-7', 1, 0, 1, 0, ?2, 1)",
            )
            .unwrap();
        let mut plate = transaction.prepare("insert into plate (member, position, plate) values (?1, 0, ?2)").unwrap();
        for (name, text) in rows {
            let id = member.insert((name, format!("{{\"oneid\":\"{name}\"}}"))).unwrap();
            plate.execute((id, text)).unwrap();
        }
    }
    transaction.commit().unwrap();
    connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).unwrap();
}

fn members(criterion: &mut Criterion) {
    let rows = rows();
    let text = csv(&rows);
    let mut group = criterion.benchmark_group("members-import-100k");
    group.sample_size(10).throughput(Throughput::Elements(u64::from(MEMBERS)));
    let fresh = || TempDir::new().unwrap();
    group.bench_function("forecourt", |bencher| {
        bencher.iter_batched_ref(
            fresh,
            |folder| import(&folder.path().join("members.db"), &text),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("raw-sqlite", |bencher| {
        bencher.iter_batched_ref(
            fresh,
            |folder| raw(&folder.path().join("members.db"), &rows),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, members);
criterion_main!(benches);
