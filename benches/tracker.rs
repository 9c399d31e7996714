//! What it costs to follow 1, 10 and 50 plates for one frame, against the usual reference: greedy assignment by overlap.
//!
//! Vehicles drive at different speeds in lanes of their own, seen six times a second, so that the boxes of most do not
//! overlap from frame to frame. How many tracks each method makes of them is printed first; fewest is best.

#![expect(clippy::print_stderr, reason = "a bench speaks to a person")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use forecourt::domain::geometry::{Point, Rect};
use forecourt::domain::observation::{CropQuality, FrameObservation, PlateObservation, Rows, StageTimes};
use forecourt::domain::plate::evidence::{Alignment, Charset, Evidence, Line};
use forecourt::domain::tracking::{Tracker, TrackerSettings};
use ndarray::Array2;

const FRAMES: u64 = 24;
const SYMBOLS: &str =
    "皖沪京0123456789ABCDEFGHJKLMNPQRSTUVWXYZ学警港澳挂使领津渝冀晋蒙辽吉黑苏浙闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新";

/// A clear reading in the shape of an eight-place reader.
fn evidence(charset: &Arc<Charset>, text: &str) -> Evidence {
    let width = charset.symbols().len() + 1;
    let places: Vec<usize> = text.chars().filter_map(|symbol| charset.index(symbol)).collect();
    let log_probs = Array2::from_shape_fn((8, width), |(row, column)| {
        let wanted = places.get(row).copied().unwrap_or(width - 1);
        if column == wanted { 0.98_f32.ln() } else { (0.02 / (width - 1) as f32).ln() }
    });
    Evidence::new(Arc::clone(charset), vec![Line { alignment: Alignment::Slots, log_probs }]).expect("a sound matrix")
}

fn plate(rect: Rect, evidence: Option<Evidence>) -> PlateObservation {
    PlateObservation {
        rect,
        corners: None,
        rows: Rows::Single,
        detection: 0.9,
        certain: true,
        evidence,
        colours: Vec::new(),
        quality: CropQuality::default(),
        rejected: None,
    }
}

/// The box of a car in a frame: lanes 40 pixels apart, neighbours in opposite directions, 0.5 to 2.2 widths a frame.
fn box_of(car: u16, frame: u64) -> Rect {
    let (step, width) = (frame as f32, 44.0);
    let speed = width * (0.5 + f32::from(car % 7) * 0.28);
    let x = if car.is_multiple_of(2) { 60.0 + speed * step } else { 2200.0 - speed * step };
    Rect::centred(Point::new(x, 20.0 + 40.0 * f32::from(car)), width, 14.0)
}

fn scene(cars: u16, read: bool) -> Vec<FrameObservation> {
    let charset = Arc::new(Charset::new(SYMBOLS.chars().collect()).expect("every symbol stands once"));
    let plates = |frame| {
        let seen = |car: u16| {
            let text = format!("皖A{:05}", u32::from(car) * 7919 % 100_000);
            plate(box_of(car, frame), read.then(|| evidence(&charset, &text)))
        };
        (0..cars).map(seen).collect()
    };
    let size = (2304, 2048);
    let at = |frame| Duration::from_millis(frame * 1000 / 6);
    let frame = |seq| FrameObservation {
        camera: "gate".into(),
        seq,
        at: at(seq),
        size,
        plates: plates(seq),
        faces: Vec::new(),
        timing: StageTimes::default(),
    };
    (0..FRAMES).map(frame).collect()
}

/// The reference: each box goes to the free track whose last box it overlaps most, at 0.3 or more.
#[derive(Clone, Default)]
struct GreedyIou {
    tracks: Vec<(u64, Rect, Duration)>,
    next: u64,
}

impl GreedyIou {
    fn step(&mut self, frame: &FrameObservation) -> Vec<u64> {
        self.tracks.retain(|(.., last)| frame.at.saturating_sub(*last) <= Duration::from_secs(2));
        let known = self.tracks.len();
        let mut pairs = Vec::new();
        for (place, plate) in frame.plates.iter().enumerate() {
            let overlaps = (0..known).map(|track| (self.tracks[track].1.iou(&plate.rect), track, place));
            pairs.extend(overlaps.filter(|(iou, ..)| *iou >= 0.3));
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut owner, mut taken) = (vec![None; frame.plates.len()], vec![false; known]);
        for (_, track, place) in pairs {
            if owner[place].is_none() && !taken[track] {
                (owner[place], taken[track]) = (Some(track), true);
            }
        }
        let given = owner.into_iter().zip(&frame.plates).map(|(owner, plate)| {
            let track = owner.unwrap_or_else(|| {
                self.next += 1;
                self.tracks.push((self.next, plate.rect, frame.at));
                self.tracks.len() - 1
            });
            (self.tracks[track].1, self.tracks[track].2) = (plate.rect, frame.at);
            self.tracks[track].0
        });
        given.collect()
    }
}

fn compare_tracks(cars: u16) {
    let (mut tracker, mut reference) = (Tracker::new(TrackerSettings::default()), GreedyIou::default());
    let mut most = 0;
    for frame in scene(cars, false) {
        most = tracker.step(&frame).iter().map(|update| update.track).fold(most, u64::max);
        reference.step(&frame);
    }
    eprintln!("{cars} unread vehicles over {FRAMES} frames: {most} tracks; greedy overlap makes {}", reference.next);
}

fn step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tracker step");
    for cars in [1_u16, 10, 50] {
        compare_tracks(cars);
        for (name, read) in [("unread", false), ("read", true)] {
            let frames = scene(cars, read);
            let (last, before) = frames.split_last().expect("a scene has frames");
            let mut warm = Tracker::new(TrackerSettings::default());
            before.iter().for_each(|frame| drop(warm.step(frame)));
            let step = |mut tracker: Tracker| (black_box(tracker.step(last)), tracker);
            group.bench_function(BenchmarkId::new(name, cars), |bench| {
                bench.iter_batched(|| warm.clone(), step, BatchSize::SmallInput);
            });
        }
        let frames = scene(cars, false);
        let (last, before) = frames.split_last().expect("a scene has frames");
        let mut warm = GreedyIou::default();
        before.iter().for_each(|frame| drop(warm.step(frame)));
        let step = |mut tracker: GreedyIou| (black_box(tracker.step(last)), tracker);
        group.bench_function(BenchmarkId::new("reference: greedy overlap", cars), |bench| {
            bench.iter_batched(|| warm.clone(), step, BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
