//! Searching 100,000 templates of 256 numbers against reading the memory in which they stand, once.
//!
//! `cargo bench --bench gallery`. The reading sums the numbers, with the same vector unit, in the same process and on
//! one thread; it is what a search cannot be faster than. After the groups of criterion a line says the ratio of the
//! two for every way of searching, from pairs that were timed in turn, so that a machine that slows down slows both.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench that cannot run has failed; criterion makes the functions"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forecourt::domain::face::Embedding;
use forecourt::domain::face::gallery::{Gallery, Impostors, Kernel, MemberId, Policy};

const TEMPLATES: usize = 100_000;
const NUMBERS: usize = 256;
/// Pairs of a reading and a search of which the ratio is told.
const PAIRS: usize = 101;

fn face(random: &mut fastrand::Rng) -> Embedding {
    Embedding::new(&(0..NUMBERS).map(|_| random.f32() - 0.5).collect::<Vec<_>>()).unwrap()
}

fn gallery() -> Gallery {
    let mut random = fastrand::Rng::with_seed(1);
    let policy = Policy::new(Impostors::normal(0.0, 0.0625), 0.01);
    let mut gallery = Gallery::empty("bench", policy);
    gallery.reserve(TEMPLATES, NUMBERS);
    (0..TEMPLATES).for_each(|id| gallery.insert(id as MemberId, &face(&mut random)).unwrap());
    gallery
}

/// As much memory as the templates take, and nothing else.
fn same_memory() -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(2);
    (0..TEMPLATES * NUMBERS).map(|_| random.f32()).collect()
}

/// The sum of all numbers: one load and one addition for each vector. Compiled for the widest unit of the processor,
/// in sums that do not wait for each other, so that the memory is what it waits for.
fn read(memory: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 128];
    for part in memory.chunks_exact(128) {
        sums.iter_mut().zip(part).for_each(|(sum, number)| *sum += number);
    }
    sums.iter().sum()
}

fn timed<T>(mut work: impl FnMut() -> T) -> Duration {
    let began = Instant::now();
    black_box(work());
    began.elapsed()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn search(criterion: &mut Criterion) {
    let mut gallery = gallery();
    let memory = same_memory();
    let probe = face(&mut fastrand::Rng::with_seed(3));
    let mut group = criterion.benchmark_group("gallery-100k-x-256");
    group.sample_size(30).throughput(Throughput::Bytes(gallery.bytes() as u64));
    group.bench_function("reading-the-memory", |bencher| bencher.iter(|| read(black_box(&memory))));
    for (kernel, screened) in variants() {
        gallery.set_kernel(kernel);
        gallery.set_screened(screened);
        let name = format!("search-{}-{}", kernel.name(), how(screened));
        group.bench_function(name, |bencher| bencher.iter(|| gallery.search("bench", black_box(&probe))));
    }
    group.finish();
    for (kernel, screened) in variants() {
        gallery.set_kernel(kernel);
        gallery.set_screened(screened);
        ratio(&gallery, screened, &memory, &probe);
    }
}

/// Every instruction set of the processor, each with every template as it is and with the coarse copy first.
fn variants() -> impl Iterator<Item = (Kernel, bool)> {
    Kernel::all().into_iter().flat_map(|kernel| [(kernel, false), (kernel, true)])
}

fn how(screened: bool) -> &'static str {
    if screened { "int8-then-f32" } else { "f32" }
}

/// Tells the ratio of a search to a reading of the 32-bit numbers.
fn ratio(gallery: &Gallery, screened: bool, memory: &[f32], probe: &Embedding) {
    let (mut reading, mut searching) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        reading.push(timed(|| read(black_box(memory))).as_secs_f64() * 1e3);
        searching.push(timed(|| gallery.search("bench", black_box(probe))).as_secs_f64() * 1e3);
    }
    let ratio = median(reading.iter().zip(&searching).map(|(read, search)| search / read).collect());
    println!(
        "{:9} {:13} reading {:.2} ms, search {:.2} ms: ratio {ratio:.2} (medians of {PAIRS} pairs, {:.0} MB)",
        gallery.kernel().name(),
        how(screened),
        median(reading),
        median(searching),
        gallery.bytes() as f64 / 1e6,
    );
}

criterion_group!(benches, search);
criterion_main!(benches);
