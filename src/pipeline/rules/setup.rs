//! From the settings to what watches the cameras and to the rules of visits.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::people::{FaceRules, PeopleWatch};
use super::super::watch::Watch;
use crate::config;
use crate::domain::event::ZoneRef;
use crate::domain::geometry::{Point, Polygon};
use crate::domain::plate::reading::Interpreter;
use crate::domain::tracking::TrackerSettings;
use crate::domain::visit::zones::ZoneMap;
use crate::domain::visit::{VisitRules, VisitSettings};

/// A crash costs no more of a visit's "last seen".
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// The plates of a camera.
pub(super) fn watch(camera: &config::Camera, config: &config::Config, interpreter: &Interpreter) -> Watch {
    let tracker = TrackerSettings { lost_after: config.plates.track_lost_after, ..TrackerSettings::default() };
    Watch::new(&camera.id, camera.role, zones(camera), tracker, interpreter.clone())
}

/// The faces of every camera that reads them; `space` is the embedding space of the pack.
pub(super) fn people(config: &config::Config, space: String) -> BTreeMap<String, PeopleWatch> {
    let rules = FaceRules {
        space,
        min_frames: config.faces.min_frames,
        best_frames: config.faces.best_frames,
        expression_window: config.faces.expression_window,
        lost_after: config.faces.track_lost_after,
    };
    let reads_faces = |camera: &&config::Camera| camera.read.contains(&config::Sense::Face);
    let watch = |camera: &config::Camera| PeopleWatch::new(&camera.id, camera.role, zones(camera), rules.clone());
    config.cameras.iter().filter(reads_faces).map(|camera| (camera.id.clone(), watch(camera))).collect()
}

/// When a visit ends and what is told of it.
pub(super) fn visit_rules(config: &config::Config) -> VisitRules {
    VisitRules::new(&VisitSettings {
        absent_after: config.visits.absent_after,
        exit_grace: config.visits.exit_grace,
        dwell_marks: config.visits.dwell_marks.clone(),
        dwell_min: config.visits.dwell_min,
        // A visit that is over holds no dwell.
        dwell_gap: config.visits.dwell_gap.min(config.visits.absent_after),
        plate_in_events: config.privacy.plate_in_events,
        save_every: SAVE_EVERY,
    })
}

/// Its zones as the settings draw them.
fn zones(camera: &config::Camera) -> ZoneMap {
    let zones = camera.zones.iter().filter_map(|zone| {
        let corners = zone.polygon.iter().map(|&[x, y]| Point::new(x, y)).collect();
        let named = ZoneRef { id: zone.id.clone(), kind: zone.kind, product: zone.product.clone() };
        Some((named, Polygon::new(corners)?))
    });
    ZoneMap::new(&camera.id, camera.role, zones.collect())
}

/// How far apart the presences of a parked vehicle may lie without a rule taking it for gone.
pub(super) fn longest_step(visits: &config::Visits) -> Duration {
    visits.dwell_gap.min(visits.absent_after).min(visits.exit_grace) / 4
}
