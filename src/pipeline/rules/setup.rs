//! From the settings of a camera to what watches it.

use std::time::Duration;

use super::super::watch::Watch;
use crate::config;
use crate::domain::event::ZoneRef;
use crate::domain::geometry::{Point, Polygon};
use crate::domain::plate::reading::Interpreter;
use crate::domain::tracking::TrackerSettings;
use crate::domain::visit::zones::ZoneMap;

/// The plates of a camera.
pub(super) fn watch(camera: &config::Camera, config: &config::Config, interpreter: &Interpreter) -> Watch {
    let tracker = TrackerSettings { lost_after: config.plates.track_lost_after, ..TrackerSettings::default() };
    Watch::new(&camera.id, camera.role, zones(camera), tracker, interpreter.clone())
}

/// Its zones as the settings draw them.
pub(super) fn zones(camera: &config::Camera) -> ZoneMap {
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
