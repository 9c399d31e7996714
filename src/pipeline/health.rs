//! Puts the health of the box together: what the service says of itself, what the machine tells, and what was usual at
//! this hour in earlier weeks.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use crate::camera::{CameraReport, CameraState, PictureHealth};
use crate::disk::{self, Rights};
use crate::domain::event::{
    CameraHealth, ConnectionQuality, DeviceHealth, GovernorHealth, Health, InferenceHealth, MembersHealth, OutboxHealth,
};
use crate::domain::time::TimeQuality;
use crate::health;

/// Name of the file in `storage.folder`.
const FILE_NAME: &str = "health-history.json";
/// Weeks that make "usual".
const WEEKS: usize = 4;
/// Hours of a week.
const HOURS: usize = 168;

/// Vehicles and faces by camera and hour of the week; what is counted has a name, see [`passed`].
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct History {
    cameras: BTreeMap<String, BTreeMap<usize, VecDeque<u64>>>,
    #[serde(skip)]
    path: PathBuf,
    /// Hour that is being counted: hours since 1970, and the counts when it began.
    #[serde(skip)]
    hour: Option<(i64, BTreeMap<String, u64>)>,
    /// Was the whole of it counted?
    #[serde(skip)]
    whole: bool,
    #[serde(skip)]
    last: BTreeMap<String, (u64, Option<f32>)>,
}

impl History {
    /// Reads what was kept; a file that cannot be read begins anew.
    pub fn open(folder: &Path) -> Self {
        let path = folder.join(FILE_NAME);
        let kept = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { path, ..kept.unwrap_or_default() }
    }

    /// Takes the counts since the start; an hour that is over is kept. Only with a clock that can be trusted.
    pub fn note(&mut self, counts: &BTreeMap<String, u64>, now: Timestamp, zone: &TimeZone) {
        let hour = now.as_second().div_euclid(3_600);
        let Some((current, began)) = &self.hour else {
            self.hour = Some((hour, counts.clone()));
            self.whole = false;
            return;
        };
        if *current == hour {
            return;
        }
        if self.whole && *current + 1 == hour {
            let of_week = hour_of_week(*current, zone);
            for (camera, count) in counts {
                let seen = count.saturating_sub(began.get(camera).copied().unwrap_or(0));
                let kept = self.cameras.entry(camera.clone()).or_default().entry(of_week).or_default();
                let usual = mean(kept);
                self.last.insert(camera.clone(), (seen, usual));
                kept.push_back(seen);
                if kept.len() > WEEKS {
                    kept.pop_front();
                }
            }
            self.save();
        }
        self.whole = *current + 1 == hour;
        self.hour = Some((hour, counts.clone()));
    }

    /// Vehicles of all cameras that usually pass in the hour of the week that it is `now`; `None`: not known yet.
    pub fn usual_vehicles(&self, now: Timestamp, zone: &TimeZone) -> Option<f32> {
        let of_week = hour_of_week(now.as_second().div_euclid(3_600), zone);
        let cameras = self.cameras.iter().filter(|(name, _)| !name.ends_with(FACES));
        let usual: Vec<f32> = cameras.filter_map(|(_, hours)| mean(hours.get(&of_week)?)).collect();
        (!usual.is_empty()).then(|| usual.iter().sum())
    }

    /// The last full hour of a camera, and what was usual.
    fn of(&self, camera: &str) -> (Option<u64>, Option<f32>) {
        self.last.get(camera).map_or((None, None), |(seen, usual)| (Some(*seen), *usual))
    }

    fn save(&self) {
        let bytes = serde_json::to_vec(self).expect("the history has string keys only");
        if let Err(error) = disk::write(&self.path, &bytes, Rights::mode(0o644)) {
            warn!("What is usual at this hour could not be kept: {:#}", anyhow::Error::from(error));
        }
    }
}

/// Monday 00:00 at the site is 0.
fn hour_of_week(hour: i64, zone: &TimeZone) -> usize {
    let at = Timestamp::from_second(hour * 3_600).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone());
    let day = usize::try_from(at.weekday().to_monday_zero_offset()).unwrap_or(0);
    (day * 24 + usize::try_from(at.hour()).unwrap_or(0)) % HOURS
}

fn mean(kept: &VecDeque<u64>) -> Option<f32> {
    (!kept.is_empty()).then(|| kept.iter().sum::<u64>() as f32 / kept.len() as f32)
}

/// What is known besides the answer to `status`.
pub struct Known<'a> {
    /// The machine.
    pub device: DeviceHealth,
    /// Times of recognition.
    pub inference: InferenceHealth,
    /// Frames that are given up.
    pub governor: GovernorHealth,
    /// The clock.
    pub clock: TimeQuality,
    /// What was usual.
    pub history: &'a History,
    /// Now.
    pub now: Timestamp,
}

/// The report, with its score.
pub fn compose(status: &Value, known: Known<'_>) -> Health {
    let reports: Vec<CameraReport> = serde_json::from_value(status["cameras"].clone()).unwrap_or_default();
    let counts = &status["recognition"]["cameras"];
    let cameras = reports.iter().map(|report| camera(report, &counts[&report.id], known.history)).collect();
    let list = &status["platform"]["members"]["list"];
    let age = |at: &Value| {
        let at: Timestamp = at.as_str()?.parse().ok()?;
        u64::try_from(known.now.duration_since(at).as_secs()).ok()
    };
    let waiting = status["outbox"]["waiting"].as_object();
    let classes = || waiting.into_iter().flat_map(|classes| classes.values());
    let facts = Health {
        cameras,
        inference: known.inference,
        outbox: OutboxHealth {
            condition: status["outbox"]["condition"].as_str().unwrap_or_default().to_owned(),
            waiting: classes().filter_map(|class| class["count"].as_u64()).sum(),
            oldest_s: classes().filter_map(|class| age(&class["oldest"])).max(),
        },
        members: MembersHealth {
            plates: status["recognition"]["listed_plates"].as_u64().unwrap_or(0),
            epoch: list["epoch"].as_str().map(str::to_owned),
            rev: list["rev"].as_u64(),
            age_s: age(&list["applied_at"]),
        },
        clock: known.clock,
        device: known.device,
        governor: known.governor,
        ..Health::default()
    };
    health::score(facts, list_trouble(&status["recognition"]["list_trouble"]))
}

/// Without a path: where things lie on the box is nobody's business.
fn list_trouble(trouble: &Value) -> Option<&'static str> {
    match &trouble["damaged"] {
        _ if trouble.is_null() => None,
        Value::Bool(true) => Some("the member list is damaged, or was and is empty now: a list is needed"),
        _ => Some("the member list cannot be read; the one in memory goes on"),
    }
}

/// What passed since the start: vehicles under the name of their camera, faces under [`faces_of`] it.
pub fn passed(status: &Value) -> BTreeMap<String, u64> {
    let recognition = &status["recognition"];
    let of = |table: &str| recognition[table].as_object().into_iter().flatten();
    let vehicles = of("cameras").filter_map(|(id, counts)| Some((id.clone(), counts["vehicles"].as_u64()?)));
    let faces = of("people").filter_map(|(id, counts)| Some((faces_of(id), counts["people"].as_u64()?)));
    vehicles.chain(faces).collect()
}

/// What makes a name one that no camera can have.
const FACES: &str = " faces";

fn faces_of(camera: &str) -> String {
    format!("{camera}{FACES}")
}

fn camera(report: &CameraReport, counts: &Value, history: &History) -> CameraHealth {
    let (vehicles_last_hour, vehicles_usual) = history.of(&report.id);
    let (faces_last_hour, faces_usual) = history.of(&faces_of(&report.id));
    let picture = match report.picture {
        PictureHealth::Good => "good",
        PictureHealth::Unknown => "unknown",
        PictureHealth::Black => "black",
        PictureHealth::Covered => "covered",
        PictureHealth::Blurred => "blurred",
        PictureHealth::Frozen => "frozen",
    };
    CameraHealth {
        camera: report.id.clone(),
        connection_quality: quality(report),
        fps_expected: report.expected_fps,
        fps: report.camera_fps,
        reconnects_last_hour: report.reconnects_last_hour,
        stalls_last_hour: report.stalls_last_hour,
        picture: picture.to_owned(),
        vehicles_last_hour,
        vehicles_usual,
        faces_last_hour,
        faces_usual,
        rejected: serde_json::from_value(counts["rejected"].clone()).unwrap_or_default(),
    }
}

fn quality(report: &CameraReport) -> ConnectionQuality {
    let breaks = report.reconnects_last_hour + report.stalls_last_hour;
    let share = report.expected_fps.filter(|fps| *fps > 0.0).map_or(1.0, |expected| report.camera_fps / expected);
    match (report.state, breaks) {
        // A recording at its end is no fault.
        (CameraState::Ended, _) => ConnectionQuality::Excellent,
        (CameraState::Streaming, 0) if share >= 0.9 => ConnectionQuality::Excellent,
        (CameraState::Streaming, 0..=3) if share >= 0.5 => ConnectionQuality::Fair,
        (CameraState::Streaming, _) => ConnectionQuality::Poor,
        _ => ConnectionQuality::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(vehicles: u64) -> BTreeMap<String, u64> {
        BTreeMap::from([("gate".to_owned(), vehicles)])
    }

    #[test]
    fn an_hour_is_held_against_the_same_hour_of_earlier_weeks() {
        let folder = tempfile::tempdir().unwrap();
        let monday: Timestamp = "2026-03-02T08:30:00Z".parse().unwrap();
        let mut total = 0;
        for (week, seen) in [(0, 40), (1, 60), (2, 10)] {
            // The service starts anew every week.
            let mut history = History::open(folder.path());
            let begin = monday + jiff::SignedDuration::from_hours(week * 168);
            total += 5;
            history.note(&count(total), begin, &TimeZone::UTC);
            assert_eq!(history.of("gate"), (None, None), "it began in the middle of an hour");
            history.note(&count(total), begin + jiff::SignedDuration::from_hours(1), &TimeZone::UTC);
            total += seen;
            history.note(&count(total), begin + jiff::SignedDuration::from_hours(2), &TimeZone::UTC);
            let usual = [None, Some(40.0), Some(50.0)][usize::try_from(week).unwrap()];
            assert_eq!(history.of("gate"), (Some(seen), usual));
        }
    }

    #[test]
    fn a_camera_that_sees_far_fewer_vehicles_and_faces_than_usual_is_told_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let reports = [CameraReport { id: "gate".into(), state: CameraState::Ended, ..CameraReport::default() }];
        let status = |vehicles: u64, faces: u64| {
            serde_json::json!({ "cameras": reports, "recognition": {
                "cameras": { "gate": { "vehicles": vehicles } }, "people": { "gate": { "people": faces } },
            } })
        };
        let monday: Timestamp = "2026-03-02T08:30:00Z".parse().unwrap();
        let at = |hours: i64| monday + jiff::SignedDuration::from_hours(hours);
        let mut history = History::open(folder.path());
        let (mut vehicles, mut faces) = (0, 0);
        for (week, (more, people)) in [(40, 60), (44, 56), (3, 4)].into_iter().enumerate() {
            let begin = i64::try_from(week).unwrap() * 168;
            history.note(&passed(&status(vehicles, faces)), at(begin), &TimeZone::UTC);
            history.note(&passed(&status(vehicles, faces)), at(begin + 1), &TimeZone::UTC);
            (vehicles, faces) = (vehicles + more, faces + people);
            history.note(&passed(&status(vehicles, faces)), at(begin + 2), &TimeZone::UTC);
        }
        let known = Known {
            device: DeviceHealth::default(),
            inference: InferenceHealth::default(),
            governor: GovernorHealth::default(),
            clock: TimeQuality::Synced,
            history: &history,
            now: at(2),
        };
        let health = compose(&status(vehicles, faces), known);
        let gate = &health.cameras[0];
        assert_eq!((gate.vehicles_last_hour, gate.vehicles_usual), (Some(3), Some(42.0)));
        assert_eq!((gate.faces_last_hour, gate.faces_usual), (Some(4), Some(58.0)));
        let codes: Vec<&str> = health.reasons.iter().map(|reason| reason.code.as_str()).collect();
        assert_eq!(codes, ["fewer-vehicles", "fewer-faces"]);
    }

    #[test]
    fn a_camera_is_judged_by_its_frames_and_breaks() {
        let report = |state, camera_fps, reconnects_last_hour| CameraReport {
            state,
            camera_fps,
            reconnects_last_hour,
            expected_fps: Some(25.0),
            ..CameraReport::default()
        };
        for (state, fps, breaks, expected) in [
            (CameraState::Streaming, 25.0, 0, ConnectionQuality::Excellent),
            (CameraState::Streaming, 15.0, 0, ConnectionQuality::Fair),
            (CameraState::Streaming, 25.0, 2, ConnectionQuality::Fair),
            (CameraState::Streaming, 5.0, 0, ConnectionQuality::Poor),
            (CameraState::Failed, 0.0, 9, ConnectionQuality::Unusable),
            (CameraState::Ended, 0.0, 0, ConnectionQuality::Excellent),
        ] {
            assert_eq!(quality(&report(state, fps, breaks)), expected, "{state:?} {fps} {breaks}");
        }
    }
}
