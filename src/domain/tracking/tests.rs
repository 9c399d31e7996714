//! Stories of a camera at a gate, and what must hold for any frames whatever.

use proptest::prelude::*;

use super::*;
use crate::domain::geometry::{Point, Rect};
use crate::domain::observation::{CropQuality, Rows, StageTimes};
use crate::domain::plate::evidence::fixtures;

fn plate(rect: Rect, text: Option<&str>) -> PlateObservation {
    PlateObservation {
        rect,
        corners: None,
        rows: Rows::Single,
        detection: 0.9,
        certain: true,
        evidence: text.map(fixtures::clear),
        colours: Vec::new(),
        quality: CropQuality::default(),
        rejected: None,
    }
}

/// A plate of the usual shape; centre and width in pixels.
fn at(x: f32, y: f32, width: f32) -> Rect {
    Rect::centred(Point::new(x, y), width, width * 0.32)
}

fn frame(ms: u64, plates: Vec<PlateObservation>) -> FrameObservation {
    let (size, timing) = ((1920, 1080), StageTimes::default());
    FrameObservation {
        camera: "gate".into(),
        seq: ms,
        at: Uptime::from_millis(ms),
        size,
        plates,
        faces: Vec::new(),
        timing,
    }
}

fn tracker() -> Tracker {
    Tracker::new(TrackerSettings::default())
}

/// The track of each observation of a frame, in order.
fn ids(tracker: &mut Tracker, ms: u64, plates: Vec<PlateObservation>) -> Vec<TrackId> {
    tracker.step(&frame(ms, plates)).iter().map(|update| update.track).collect()
}

#[test]
fn a_fast_car_whose_boxes_never_overlap_is_one_track() {
    let mut tracker = tracker();
    for step in 0..10_u16 {
        let rect = at(100.0 + 180.0 * f32::from(step), 600.0, 90.0);
        let updates = tracker.step(&frame(u64::from(step) * 160, vec![plate(rect, None)]));
        assert_eq!((updates[0].track, updates[0].is_new), (1, step == 0), "at step {step}");
        assert_eq!(updates[0].frames, u32::from(step) + 1);
    }
}

#[test]
fn two_unread_plates_that_cross_keep_their_tracks() {
    let mut tracker = tracker();
    for step in 0..20_u16 {
        let t = f32::from(step);
        let (right, left) = (at(200.0 + 60.0 * t, 500.0, 80.0), at(1400.0 - 60.0 * t, 530.0, 80.0));
        let found = ids(&mut tracker, u64::from(step) * 150, vec![plate(right, None), plate(left, None)]);
        assert_eq!(found, [1, 2], "at step {step}");
    }
}

#[test]
fn a_plate_hidden_while_another_passes_before_it_comes_back_as_itself() {
    let mut tracker = tracker();
    for step in 0..24_u16 {
        let t = f32::from(step);
        let mut plates = vec![plate(at(150.0 + 50.0 * t, 520.0, 80.0), Some("沪B24680"))];
        // Hidden from step 8 to 15, as the other drives past.
        if !(8..=15).contains(&step) {
            plates.push(plate(at(700.0, 500.0, 60.0), Some("皖A13579")));
        }
        let found = ids(&mut tracker, u64::from(step) * 125, plates);
        assert_eq!(found[0], 1, "at step {step}");
        assert!(found.len() < 2 || found[1] == 2, "at step {step}: {found:?}");
    }
    assert!(tracker.expired(Uptime::from_millis(2900)).is_empty());
}

#[test]
fn a_car_that_brakes_out_of_sight_is_found_again_by_its_plate() {
    let mut tracker = tracker();
    for step in 0..6_u16 {
        ids(
            &mut tracker,
            u64::from(step) * 150,
            vec![plate(at(100.0 + 150.0 * f32::from(step), 600.0, 80.0), Some("皖A13579"))],
        );
    }
    assert_eq!(ids(&mut tracker, 2500, vec![plate(at(950.0, 600.0, 80.0), Some("皖A13579"))]), [1]);
}

#[test]
fn out_of_sight_for_too_long_is_the_end_and_told_once() {
    let mut tracker = tracker();
    ids(&mut tracker, 0, vec![plate(at(500.0, 500.0, 80.0), None)]);
    ids(&mut tracker, 200, vec![plate(at(500.0, 500.0, 80.0), None)]);
    for ms in [700, 1200, 1700] {
        tracker.step(&frame(ms, vec![]));
    }
    assert!(tracker.expired(Uptime::from_millis(2200)).is_empty());
    let ended = tracker.expired(Uptime::from_millis(2201));
    let (first_seen, last_seen) = (Uptime::ZERO, Uptime::from_millis(200));
    assert_eq!(ended, [TrackEnd { track: 1, first_seen, last_seen, frames: 2, cause: EndCause::Lost }]);
    assert!(tracker.expired(Uptime::from_secs(9)).is_empty());
    assert_eq!(ids(&mut tracker, 9000, vec![plate(at(500.0, 500.0, 80.0), None)]), [2]);
}

#[test]
fn where_nobody_looks_nothing_is_lost_for_a_while() {
    let mut tracker = tracker();
    let car = || vec![plate(at(500.0, 500.0, 80.0), None)];
    ids(&mut tracker, 0, car());
    // One look a second, two of which find nothing.
    ids(&mut tracker, 1000, vec![]);
    ids(&mut tracker, 2050, vec![]);
    assert_eq!(ids(&mut tracker, 3100, car()), [1]);
    // No picture at all.
    assert!(tracker.expired(Uptime::from_millis(13_100)).is_empty());
    assert_eq!(tracker.expired(Uptime::from_millis(13_101)).len(), 1);
}

#[test]
fn a_car_parked_for_two_hours_is_one_track_of_bounded_size() {
    let mut tracker = tracker();
    for second in 0..7200_u64 {
        let wobble = if second % 3 == 0 { 1.5 } else { -0.5 };
        // The reader errs now and then; someone walks past every ten minutes.
        let text = if second % 7 == 0 { "皖A1357S" } else { "皖A13579" };
        let hidden = second % 600 == 1;
        let plates = if hidden { vec![] } else { vec![plate(at(800.0 + wobble, 700.0, 110.0), Some(text))] };
        let updates = tracker.step(&frame(second * 1000, plates));
        assert!(updates.iter().all(|update| update.track == 1), "at second {second}");
        assert!(second < 4 || updates.iter().all(|update| update.direction == Some(Direction::Stationary)));
    }
    assert_eq!(tracker.live(), 1);
    assert!(tracker.ended.is_empty());
}

#[test]
fn a_track_that_follows_another_car_is_split_when_the_plates_disagree() {
    let mut tracker = tracker();
    let rect = at(800.0, 700.0, 110.0);
    for step in 0..5 {
        assert_eq!(ids(&mut tracker, step * 200, vec![plate(rect, Some("皖A13579"))]), [1]);
    }
    // One car pulls out while the next pulls in within a frame: same place, other plate.
    let mut seen = Vec::new();
    for step in 5..10 {
        let update = tracker.step(&frame(step * 200, vec![plate(rect, Some("沪C86420"))])).remove(0);
        seen.push((update.track, update.split_from, update.disputed));
    }
    let settled = seen.iter().position(|(track, ..)| *track != 1).unwrap();
    assert!(settled <= 2, "split after {settled} frames");
    assert!(seen[..settled].iter().all(|(.., disputed)| *disputed), "disputed frames must not be pooled: {seen:?}");
    assert!(seen[settled..].iter().all(|&(track, _, disputed)| track == seen[settled].0 && !disputed));
    assert!(tracker.expired(Uptime::from_secs(20)).iter().any(|end| end.track == 1));
}

#[test]
fn one_wrong_reading_splits_nothing() {
    let mut tracker = tracker();
    let rect = at(800.0, 700.0, 110.0);
    for step in 0..30 {
        let text = if step % 5 == 4 { "京Q00887" } else { "皖A13579" };
        assert_eq!(ids(&mut tracker, step * 200, vec![plate(rect, Some(text))]), [1], "at step {step}");
    }
}

#[test]
fn a_forced_split_names_the_track_it_came_from() {
    // Far from any other place the box can go to, so that place alone outweighs the plate for a while.
    let mut tracker = Tracker::new(TrackerSettings { split_after: 3, ..TrackerSettings::default() });
    let rect = at(800.0, 700.0, 110.0);
    for step in 0..40 {
        tracker.step(&frame(step * 50, vec![plate(rect, Some("皖A13579"))]));
    }
    let mut split = None;
    for step in 40..44 {
        let update = tracker.step(&frame(step * 50, vec![plate(rect, Some("沪C86420"))])).remove(0);
        split = split.or(update.split_from.map(|from| (from, update.track, update.frames)));
    }
    assert_eq!(split, Some((1, 2, 1)));
    let ended = tracker.expired(Uptime::from_millis(2200));
    assert_eq!(ended.iter().map(|end| (end.track, end.cause)).collect::<Vec<_>>(), [(1, EndCause::Split)]);
}

#[test]
fn a_second_box_of_one_plate_is_no_second_car() {
    let mut tracker = tracker();
    for step in 0..5 {
        let twice = vec![plate(at(800.0, 700.0, 110.0), None), plate(at(806.0, 702.0, 100.0), None)];
        assert_eq!(ids(&mut tracker, step * 200, twice), [1]);
    }
    let hidden_behind =
        vec![plate(at(800.0, 700.0, 110.0), Some("皖A13579")), plate(at(810.0, 702.0, 100.0), Some("沪C86420"))];
    assert_eq!(ids(&mut tracker, 1000, hidden_behind).len(), 2);
}

#[test]
fn a_ghost_leaves_the_car_beside_it_alone() {
    let mut tracker = tracker();
    let car = |step: u16| plate(at(300.0 + 70.0 * f32::from(step), 600.0, 90.0), None);
    for step in 0..12_u16 {
        let mut plates = vec![car(step)];
        if step % 4 == 2 {
            plates.push(plate(at(300.0 + 70.0 * f32::from(step), 300.0, 140.0), None));
        }
        assert_eq!(ids(&mut tracker, u64::from(step) * 150, plates)[0], 1, "at step {step}");
    }
    let ended = tracker.expired(Uptime::from_secs(60));
    assert!(ended.iter().filter(|end| end.track != 1).all(|end| end.frames <= 3));
}

#[test]
fn a_plate_that_flickers_is_one_track() {
    let mut tracker = tracker();
    for step in 0..40_u16 {
        let plates =
            if step % 3 == 0 { vec![plate(at(100.0 + 30.0 * f32::from(step), 600.0, 80.0), None)] } else { vec![] };
        assert!(ids(&mut tracker, u64::from(step) * 125, plates).iter().all(|&id| id == 1), "at step {step}");
    }
}

#[test]
fn empty_frames_and_broken_boxes_are_nothing() {
    let mut tracker = tracker();
    assert!(tracker.step(&frame(0, vec![])).is_empty());
    let nan = Rect { x1: f32::NAN, y1: 0.0, x2: 10.0, y2: 10.0 };
    let endless = Rect { x1: 0.0, y1: 0.0, x2: f32::INFINITY, y2: 10.0 };
    let inside_out = Rect { x1: 10.0, y1: 10.0, x2: 0.0, y2: 0.0 };
    let broken = [nan, endless, inside_out, Rect::default()].map(|rect| plate(rect, None));
    let sound = plate(at(500.0, 500.0, 80.0), None);
    let updates = tracker.step(&frame(100, [broken.to_vec(), vec![sound]].concat()));
    assert_eq!(updates.iter().map(|update| (update.track, update.observation)).collect::<Vec<_>>(), [(1, 4)]);
}

#[test]
fn time_that_jumps_ends_tracks_or_stands_still() {
    let mut tracker = tracker();
    let car = || vec![plate(at(500.0, 500.0, 80.0), None)];
    ids(&mut tracker, 10_000, car());
    assert_eq!(ids(&mut tracker, 9_000, car()), [1], "backwards");
    assert_eq!(ids(&mut tracker, 10_200, car()), [1]);
    assert_eq!(ids(&mut tracker, 90_000_000, car()), [2], "a day ahead");
    assert_eq!(tracker.expired(Uptime::from_secs(90_000)).len(), 1);
}

#[test]
fn fifty_cars_at_once_keep_fifty_tracks() {
    let mut tracker = tracker();
    for step in 0..15_u16 {
        let cars = (0..50_u16).map(|car| {
            let (column, row) = (f32::from(car % 10), f32::from(car / 10));
            // Those that drive the other way are in a lane of their own, half a car lower.
            let (way, lane) = if car % 2 == 0 { (1.0, 0.0) } else { (-1.0, 60.0) };
            plate(at(150.0 + 180.0 * column + way * 12.0 * f32::from(step), 100.0 + 190.0 * row + lane, 60.0), None)
        });
        let found = ids(&mut tracker, u64::from(step) * 150, cars.collect());
        let first = if step == 0 { found.clone() } else { (1..=50).collect() };
        assert_eq!(found, first, "at step {step}");
    }
    assert_eq!(tracker.live(), 50);
}

#[test]
fn a_doubtful_plate_begins_no_track_and_goes_on_with_one() {
    let mut tracker = tracker();
    let doubtful =
        |x: f32, text| PlateObservation { detection: 0.4, certain: false, ..plate(at(x, 500.0, 70.0), text) };
    assert_eq!(tracker.step(&frame(0, vec![doubtful(100.0, None)])), [], "a grille");
    let begun = tracker.step(&frame(140, vec![doubtful(110.0, Some("皖A13579"))]));
    assert!(begun[0].is_new, "the reader bears it out: {begun:?}");
    let on = tracker.step(&frame(280, vec![doubtful(900.0, None), doubtful(120.0, None)]));
    assert_eq!(on.iter().map(|update| (update.track, update.observation)).collect::<Vec<_>>(), [(begun[0].track, 1)]);
}

#[test]
fn the_same_frames_give_the_same_tracks() {
    let run = || {
        let mut tracker = tracker();
        (0..30_u16)
            .flat_map(|step| {
                let x = 100.0 + 40.0 * f32::from(step);
                tracker.step(&frame(
                    u64::from(step) * 140,
                    vec![plate(at(x, 500.0, 70.0), None), plate(at(1500.0 - x, 520.0, 70.0), None)],
                ))
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

fn any_side() -> impl Strategy<Value = f32> {
    prop_oneof![8 => -50.0..2000.0_f32, 1 => Just(f32::NAN), 1 => Just(f32::INFINITY), 1 => Just(0.0), 1 => Just(f32::MAX)]
}

fn any_plate() -> impl Strategy<Value = PlateObservation> {
    let text = prop_oneof![2 => Just(None), 1 => Just(Some("皖A13579")), 1 => Just(Some("沪C86420"))];
    (any_side(), any_side(), any_side(), any_side(), any_side(), text).prop_map(|(x1, y1, x2, y2, detection, text)| {
        PlateObservation { detection, ..plate(Rect { x1, y1, x2, y2 }, text) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_observation_belongs_to_one_track_and_a_track_to_one_observation(
        frames in prop::collection::vec((0..5000_u64, prop::collection::vec(any_plate(), 0..12)), 1..12)
    ) {
        let mut tracker = tracker();
        let mut born = 0;
        for (ms, plates) in frames {
            let count = plates.len();
            let updates = tracker.step(&frame(ms, plates));
            let mut tracks: Vec<_> = updates.iter().map(|update| update.track).collect();
            tracks.sort_unstable();
            tracks.dedup();
            prop_assert_eq!(tracks.len(), updates.len());
            prop_assert!(updates.windows(2).all(|pair| pair[0].observation < pair[1].observation));
            prop_assert!(updates.iter().all(|update| update.observation < count && update.speed.is_finite()));
            for update in updates.iter().filter(|update| update.is_new) {
                prop_assert!(update.track > born, "number {} was given before", update.track);
            }
            born = updates.iter().filter(|update| update.is_new).map(|update| update.track).max().unwrap_or(born);
        }
        let live = tracker.live();
        prop_assert!(tracker.expired(Uptime::from_secs(1_000_000)).len() >= live);
        prop_assert_eq!(tracker.live(), 0);
    }
}
