//! How the packs in use do on this box, for a change of packs that has to prove itself.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Office;
use crate::config::Config;
use crate::domain::observation::RejectReason;
use crate::domain::pack_trial::{Demand, Performance, StageMs};
use crate::pipeline::control::Question;
use crate::pipeline::rules::time_zone;

/// What hides a plate from any pack.
const HIDDEN: [RejectReason; 3] = [RejectReason::TooSmall, RejectReason::CutOff, RejectReason::Glare];

impl Office {
    /// Since the service began.
    pub(super) fn performance(&self) -> Option<Performance> {
        let status = self.ask(Question::Status).ok()?;
        Some(performance(&status, self.times.stages()))
    }

    /// What the site asks of a pack that has run since the service began.
    pub(super) fn demand(&self) -> Demand {
        let zone = time_zone(&self.config).unwrap_or(jiff::tz::TimeZone::UTC);
        let usual = self.watchman.history().usual_vehicles(Timestamp::now(), &zone);
        Demand {
            frame_ms: frame_ms(&self.config),
            expected: usual.map(|an_hour| an_hour * self.config.commands.probation.as_secs_f32() / 3_600.0),
        }
    }
}

/// Does the patch change the packs?
pub(super) fn changes_packs(patch: &Map<String, Value>) -> bool {
    ["plates", "faces"].iter().any(|table| patch.get(*table).is_some_and(|table| table.get("packs").is_some()))
}

fn frame_ms(config: &Config) -> f32 {
    let frames: f32 = config.cameras.iter().map(|camera| camera.analysis_fps).sum();
    if frames > 0.0 { 1_000.0 / frames } else { 1_000.0 }
}

fn performance(status: &Value, p95_ms: StageMs) -> Performance {
    let cameras = || status["recognition"]["cameras"].as_object().into_iter().flatten().map(|(_, counts)| counts);
    let sum = |of: &dyn Fn(&Value) -> Option<u64>| cameras().filter_map(of).sum::<u64>();
    let vehicles = sum(&|counts| counts["vehicles"].as_u64());
    let unread = sum(&|counts| Some(counts["rejected"].as_object()?.values().filter_map(Value::as_u64).sum()));
    let of = |counts: &Value, reason: RejectReason| counts["rejected"][reason.word()].as_u64().unwrap_or(0);
    let hidden = sum(&|counts| Some(HIDDEN.iter().map(|reason| of(counts, *reason)).sum()));
    let read = vehicles.saturating_sub(unread);
    let sure: f64 = cameras().filter_map(|counts| counts["confidence_sum"].as_f64()).sum();
    Performance {
        p95_ms,
        vehicles,
        readable: vehicles.saturating_sub(hidden),
        read,
        confidence: (read > 0).then(|| (sure / read as f64) as f32),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_picture_hides_is_no_fault_of_a_pack() {
        let status = json!({ "recognition": { "cameras": {
            "gate": { "vehicles": 10, "confidence_sum": 5.4, "rejected": { "too-small": 2, "grammar": 1, "glare": 1 } },
            "lot": { "vehicles": 2, "confidence_sum": 0.0, "rejected": { "few-votes": 2 } },
        }}});
        let told = performance(&status, StageMs::default());
        assert_eq!((told.vehicles, told.readable, told.read), (12, 9, 6));
        assert!((told.confidence.unwrap() - 0.9).abs() < 1e-6, "{told:?}");
    }

    #[test]
    fn a_frame_must_be_done_before_the_next_of_all_cameras() {
        let mut config = Config::default();
        assert!((frame_ms(&config) - 1_000.0).abs() < 1e-3);
        config.cameras = vec![crate::config::Camera { analysis_fps: 5.0, ..crate::config::Camera::default() }; 2];
        assert!((frame_ms(&config) - 100.0).abs() < 1e-3);
    }

    #[test]
    fn only_a_patch_of_packs_is_judged_by_what_packs_do() {
        let patch = |value: Value| changes_packs(value.as_object().unwrap());
        assert!(patch(json!({ "plates": { "packs": ["plate-cn"] } })));
        assert!(!patch(json!({ "plates": { "min_frames": 3 }, "visits": {} })));
    }
}
