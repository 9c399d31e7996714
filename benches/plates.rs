//! Reading and matching: what one frame costs after the network, against named references in the same run.
//!
//! `cargo bench --bench plates`. Figures and the machine they were measured on stand in `docs/benchmarks.md`.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use forecourt::domain::plate::calibration::Calibration;
use forecourt::domain::plate::confusion::Confusions;
use forecourt::domain::plate::evidence::{Alignment, Charset, Evidence, Line};
use forecourt::domain::plate::grammar::Grammar;
use forecourt::domain::plate::known;
use forecourt::domain::plate::list::PlateList;
use forecourt::domain::plate::reading::{Interpreter, Pool};

const SERIAL: &[u8] = b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const STEPS: usize = 88;

fn charset() -> Arc<Charset> {
    let symbols =
        "0123456789皖京渝闽甘粤桂贵琼冀黑豫港鄂湘蒙苏赣吉辽澳宁青陕鲁沪晋川津藏新云浙警ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    Arc::new(Charset::new(symbols.chars().collect()).expect("no symbol stands twice"))
}

/// A plate of one city, as most plates of a dealer's list are.
fn plate(random: &mut fastrand::Rng) -> String {
    let office = if random.f32() < 0.6 { 'A' } else { SERIAL[random.usize(10..SERIAL.len())] as char };
    let serial: String = (0..5)
        .map(|_| if random.f32() < 0.75 { random.usize(..10) } else { random.usize(..SERIAL.len()) })
        .map(|place| SERIAL[place] as char)
        .collect();
    format!("皖{office}{serial}")
}

/// Evidence as a reader gives it: 88 steps, most of them blank, a rival at every character.
fn evidence(text: &str, charset: &Arc<Charset>, random: &mut fastrand::Rng) -> Evidence {
    let blank = charset.symbols().len();
    let mut probs = ndarray::Array2::from_elem((STEPS, blank + 1), 1e-5_f32);
    probs.column_mut(blank).fill(1.0);
    for (place, symbol) in text.chars().enumerate() {
        let column = charset.index(symbol).expect("the charset holds every plate");
        for step in [6 + place * 11, 7 + place * 11] {
            probs[[step, blank]] = 0.02;
            probs[[step, column]] = 0.8 + 0.15 * random.f32();
            probs[[step, random.usize(..blank)]] += 0.1;
        }
    }
    for mut row in probs.rows_mut() {
        let sum = row.sum();
        row.mapv_inplace(|p| (p / sum).ln());
    }
    let line = Line { alignment: Alignment::Ctc, log_probs: probs };
    Evidence::new(charset.clone(), vec![line]).expect("the matrix has the charset's width")
}

fn interpreter() -> Interpreter {
    Interpreter::new(Grammar::built_in("cn").expect("a region that ships"), Confusions::default())
}

fn pooled(text: &str, frames: usize, random: &mut fastrand::Rng) -> Pool {
    let (charset, mut interpreter, mut pool) = (charset(), interpreter(), Pool::default());
    (0..frames).for_each(|_| pool.add(&mut interpreter, &evidence(text, &charset, random), &[]));
    pool
}

fn listed(count: usize) -> (Vec<String>, PlateList) {
    let mut random = fastrand::Rng::with_seed(7);
    let plates: Vec<String> = (0..count).map(|_| plate(&mut random)).collect();
    let (list, _) = PlateList::build(plates.iter().cloned().enumerate().map(|(owner, plate)| (plate, owner as i64)));
    (plates, list)
}

/// Adding a frame to a pool that is full already; reference: decoding the frame greedily, which pools nothing.
fn pooling(criterion: &mut Criterion) {
    let mut random = fastrand::Rng::with_seed(1);
    let (charset, mut interpreter) = (charset(), interpreter());
    let full = pooled("皖A12345", 12, &mut random);
    let frame = evidence("皖A12345", &charset, &mut random);
    let mut group = criterion.benchmark_group("pooling");
    group.bench_function("reference: greedy decoding of one frame", |b| b.iter(|| black_box(&frame).greedy()));
    group.bench_function("first frame of a track", |b| {
        b.iter(|| {
            let mut pool = Pool::default();
            pool.add(&mut interpreter, black_box(&frame), &[]);
            pool
        });
    });
    group.bench_function("thirteenth frame of a track", |b| {
        b.iter_batched(
            || full.clone(),
            |mut pool| {
                pool.add(&mut interpreter, black_box(&frame), &[]);
                pool
            },
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// The known-plate test and the look-up of near plates; reference: a hash map that finds exact strings only.
fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("matching");
    group.sample_size(30);
    for count in [10_000, 100_000, 1_000_000] {
        let (plates, list) = listed(count);
        let exact: HashMap<&str, usize> = plates.iter().enumerate().map(|(at, plate)| (plate.as_str(), at)).collect();
        let mut random = fastrand::Rng::with_seed(3);
        let readings: Vec<String> = (0..64).map(|_| plate(&mut random)).collect();
        let pools: Vec<Pool> = readings.iter().map(|text| pooled(text, 3, &mut random)).collect();
        let calibration = Calibration::default();
        let mut turn = 0;
        let mut next = move || {
            turn = (turn + 1) % 64;
            turn
        };
        group.bench_with_input(BenchmarkId::new("reference: exact string in a hash map", count), &count, |b, _| {
            b.iter(|| exact.get(readings[next()].as_str()));
        });
        group.bench_with_input(BenchmarkId::new("look-up of near plates", count), &count, |b, _| {
            b.iter(|| list.near(&readings[next()], 2, 24));
        });
        group.bench_with_input(BenchmarkId::new("known-plate test, three frames", count), &count, |b, _| {
            b.iter(|| known::test(&pools[next()], &list, &calibration, 0.001));
        });
    }
    group.finish();
}

criterion_group!(benches, pooling, matching);
criterion_main!(benches);
