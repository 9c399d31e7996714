//! Is a pack of models that is on probation clearly worse than the one before it, on the same box and the same cameras?
//!
//! Slower, sees less, reads less, or is less sure of what it reads. What cannot be compared (too few vehicles passed, no
//! face came by) speaks for nobody. The bounds are wide on purpose: what is a little worse is for people to judge, with
//! the figures of both; what is taken back here would harm the site until somebody looked.

use serde::{Deserialize, Serialize};

use super::observation::FrameObservation;

/// So much longer than before may a stage take …
const SLOWER: f32 = 1.3;
/// … or this share of the time in which a frame must be done, whichever is more: a box with time to spare may use it.
const SHARE_OF_FRAME: f32 = 0.5;
/// So many fewer of 100 plates may be read; light and weather alone make ten.
const FEWER_READ: f32 = 0.25;
/// … and the difference must be so many of its own standard errors.
const STANDARD_ERRORS: f32 = 2.5;
/// Mean confidences of two readers are not on one scale; only a collapse says something.
const COLLAPSED: f32 = 0.5;
/// Plates that a mean confidence needs.
const ENOUGH_READ: u64 = 10;
/// Vehicles that must have been expected before too few of them count.
const ENOUGH_EXPECTED: f32 = 15.0;
/// Share of the expected vehicles below which a pack is taken for blind.
const BLIND: f32 = 0.25;

/// Milliseconds; of one frame, or so that 95 of 100 frames stay below. `None`: the stage did not run (often enough).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StageMs {
    /// Finding plates, a frame.
    pub detect: Option<f32>,
    /// Reading, a plate.
    pub read: Option<f32>,
    /// Finding and measuring faces, a frame and each face in it alike.
    pub faces: Option<f32>,
}

impl StageMs {
    /// Of one frame.
    pub fn of(seen: &FrameObservation) -> Self {
        let times = &seen.timing;
        let read = seen.plates.iter().filter(|plate| plate.evidence.is_some()).count();
        let ran = |ms: f32| (ms > 0.0).then_some(ms);
        Self {
            detect: ran(times.detect_pre_ms + times.detect_ms + times.detect_post_ms),
            read: ran(times.read_pre_ms + times.read_ms + times.read_post_ms)
                .filter(|_| read > 0)
                .map(|ms| ms / read as f32),
            faces: ran(times.face_work_ms + times.face_ms).map(|ms| ms / (1 + seen.faces.len()) as f32),
        }
    }
}

/// How a pack does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Performance {
    /// 95 of 100 frames.
    pub p95_ms: StageMs,
    /// Vehicles whose plate was found.
    pub vehicles: u64,
    /// Those of them whose plate the picture did not hide: large enough, whole, not washed out by light.
    pub readable: u64,
    /// Those whose plate was read.
    pub read: u64,
    /// Mean confidence of what was read, 0..1.
    pub confidence: Option<f32>,
}

/// What the site asks of a pack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// Milliseconds in which a frame must be done so that all cameras get the frames that the settings say.
    pub frame_ms: f32,
    /// Vehicles that usually pass in so long at this hour of the week; `None`: not known yet.
    pub expected: Option<f32>,
}

/// What speaks against the new pack, in words; nothing when it is as good, better, or cannot be judged.
pub fn worse(before: &Performance, now: &Performance, demand: Demand) -> Vec<String> {
    let slower = [
        slower("finding plates", before.p95_ms.detect, now.p95_ms.detect, demand),
        slower("reading a plate", before.p95_ms.read, now.p95_ms.read, demand),
        slower("faces", before.p95_ms.faces, now.p95_ms.faces, demand),
    ];
    let seen = [blind(now, demand), fewer_read(before, now), less_sure(before, now)];
    slower.into_iter().chain(seen).flatten().collect()
}

fn slower(what: &str, before: Option<f32>, now: Option<f32>, demand: Demand) -> Option<String> {
    let (before, now) = (before?, now?);
    let allowed = (before * SLOWER).max(demand.frame_ms * SHARE_OF_FRAME);
    (now > allowed).then(|| {
        format!(
            "{what} takes up to {now:.1} ms (95 of 100), before {before:.1} ms, and a frame must be done in {:.0} ms",
            demand.frame_ms
        )
    })
}

fn blind(now: &Performance, demand: Demand) -> Option<String> {
    let expected = demand.expected.filter(|expected| *expected >= ENOUGH_EXPECTED)?;
    let seen = now.vehicles;
    ((seen as f32) < expected * BLIND).then(|| format!("{seen} vehicles were seen, usual are {expected:.0}"))
}

/// Compares two shares by their difference and its standard error, two plates added to each side (Agresti and Caffo 2000),
/// which holds for small numbers, too.
fn fewer_read(before: &Performance, now: &Performance) -> Option<String> {
    let share = |of: &Performance| of.read as f32 / of.readable as f32;
    let careful = |of: &Performance| (of.read as f32 + 1.0) / (of.readable as f32 + 2.0);
    let variance = |of: &Performance| careful(of) * (1.0 - careful(of)) / (of.readable as f32 + 2.0);
    if before.readable == 0 || now.readable == 0 || share(before) - share(now) < FEWER_READ {
        return None;
    }
    let error = (variance(before) + variance(now)).sqrt();
    (careful(before) - careful(now) >= STANDARD_ERRORS * error).then(|| {
        format!("{} of {} plates were read, before {} of {}", now.read, now.readable, before.read, before.readable)
    })
}

fn less_sure(before: &Performance, now: &Performance) -> Option<String> {
    let enough = before.read >= ENOUGH_READ && now.read >= ENOUGH_READ;
    let (was, is) = (before.confidence.filter(|_| enough)?, now.confidence?);
    (is < was * COLLAPSED).then(|| format!("the readings are {is:.2} sure in the mean, before {was:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMAND: Demand = Demand { frame_ms: 100.0, expected: None };

    fn sound() -> Performance {
        Performance {
            p95_ms: StageMs { detect: Some(40.0), read: Some(10.0), faces: None },
            vehicles: 60,
            readable: 50,
            read: 46,
            confidence: Some(0.97),
        }
    }

    #[test]
    fn a_pack_that_does_as_well_or_better_has_nothing_against_it() {
        assert_eq!(worse(&sound(), &sound(), DEMAND), Vec::<String>::new());
        let better = Performance { read: 50, p95_ms: StageMs { detect: Some(20.0), ..sound().p95_ms }, ..sound() };
        assert_eq!(worse(&sound(), &better, DEMAND), Vec::<String>::new());
    }

    #[test]
    fn what_did_not_happen_speaks_for_nobody() {
        let nothing = Performance::default();
        assert_eq!(worse(&nothing, &sound(), DEMAND), Vec::<String>::new());
        assert_eq!(worse(&sound(), &nothing, DEMAND), Vec::<String>::new());
    }

    #[test]
    fn slower_by_a_third_counts_when_the_box_has_no_time_for_it() {
        let took = |ms| Performance { p95_ms: StageMs { detect: Some(ms), ..sound().p95_ms }, ..sound() };
        assert!(worse(&took(40.0), &took(51.9), DEMAND).is_empty());
        let words = worse(&took(40.0), &took(53.0), DEMAND);
        assert!(words.len() == 1 && words[0].contains("finding plates") && words[0].contains("53.0 ms"), "{words:?}");
        // Three times as slow, and still less than half of what a frame may take.
        assert!(worse(&took(15.0), &took(45.0), DEMAND).is_empty());
        // The box was too slow before, and is no slower now.
        assert!(worse(&took(180.0), &took(190.0), DEMAND).is_empty());
    }

    #[test]
    fn fewer_plates_read_count_when_chance_does_not_explain_it() {
        let read = |read, readable| Performance { read, readable, confidence: None, ..sound() };
        assert_eq!(worse(&read(5, 5), &read(0, 5), DEMAND), ["0 of 5 plates were read, before 5 of 5"]);
        assert!(worse(&read(3, 3), &read(1, 3), DEMAND).is_empty(), "too few to tell");
        assert!(worse(&read(480, 500), &read(400, 500), DEMAND).is_empty(), "sure, and not much");
        assert_eq!(worse(&read(480, 500), &read(300, 500), DEMAND).len(), 1);
    }

    #[test]
    fn a_blind_pack_is_known_by_what_is_usual_at_this_hour() {
        let none = Performance { vehicles: 3, readable: 0, read: 0, ..sound() };
        let expected = |expected| Demand { expected: Some(expected), ..DEMAND };
        assert_eq!(worse(&sound(), &none, expected(20.0)), ["3 vehicles were seen, usual are 20"]);
        assert!(worse(&sound(), &none, expected(10.0)).is_empty());
    }

    #[test]
    fn confidence_counts_when_it_collapses() {
        let sure = |confidence| Performance { confidence: Some(confidence), ..sound() };
        assert!(worse(&sure(0.97), &sure(0.6), DEMAND).is_empty());
        let words = worse(&sure(0.97), &sure(0.3), DEMAND);
        assert!(words.len() == 1 && words[0].contains("0.30 sure"), "{words:?}");
    }
}
