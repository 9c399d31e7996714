//! Which area of a camera's picture a plate is in.

use crate::domain::Uptime;
use crate::domain::event::ZoneRef;
use crate::domain::geometry::{Point, Polygon, Rect};
use crate::domain::site::{CameraRole, ZoneKind};

/// The areas of one camera's picture.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneMap {
    /// Outlines in fractions 0..1 of the picture.
    zones: Vec<(ZoneRef, Polygon)>,
    /// What counts where no outline holds the point: the whole picture when the camera has no zones.
    elsewhere: Option<ZoneRef>,
}

/// Where in a picture something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a zone.
    Zone(ZoneRef),
    /// In no zone.
    Outside,
    /// Where nothing may be looked at; as if it had not been seen.
    Ignored,
}

impl ZoneMap {
    /// From the camera's settings. A camera without zones to look at has one: the whole picture, named after the camera.
    pub fn new(camera: &str, role: CameraRole, zones: Vec<(ZoneRef, Polygon)>) -> Self {
        let only_ignored = zones.iter().all(|(zone, _)| zone.kind == ZoneKind::Ignore);
        let kind = match role {
            CameraRole::Entrance | CameraRole::Exit => ZoneKind::Lane,
            CameraRole::Lot => ZoneKind::Bay,
            CameraRole::Showroom => ZoneKind::Display,
        };
        let whole = ZoneRef { id: camera.to_owned(), kind, product: None };
        Self { zones, elsewhere: only_ignored.then_some(whole) }
    }

    /// Where a plate is, by the middle of its lower edge; of overlapping zones the first, but `ignore` before all.
    pub fn place(&self, plate: &Rect, frame: (u32, u32)) -> Place {
        let foot = plate.foot();
        let point = Point::new(foot.x / frame.0.max(1) as f32, foot.y / frame.1.max(1) as f32);
        let holding = || self.zones.iter().filter(|(_, outline)| outline.contains(point)).map(|(zone, _)| zone);
        if holding().any(|zone| zone.kind == ZoneKind::Ignore) {
            return Place::Ignored;
        }
        holding().next().or(self.elsewhere.as_ref()).map_or(Place::Outside, |zone| Place::Zone(zone.clone()))
    }
}

/// Where a track has been, kept from its first frame until it is known whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    zone: Option<ZoneRef>,
    since: Uptime,
    elsewhere: Option<Uptime>,
    at: Uptime,
}

impl Whereabouts {
    /// Seen for the first time, in that zone or in none.
    pub fn first(zone: Option<ZoneRef>, at: Uptime) -> Self {
        Self { zone, since: at, elsewhere: None, at }
    }

    /// Seen again.
    pub fn seen(&mut self, zone: Option<ZoneRef>, at: Uptime) {
        if self.zone != zone {
            (self.elsewhere, self.since) = (Some(self.at), at);
            self.zone = zone;
        }
        self.at = at;
    }

    /// The zone it is in now.
    pub fn zone(&self) -> Option<&ZoneRef> {
        self.zone.as_ref()
    }

    /// Since when it is there.
    pub fn since(&self) -> Uptime {
        self.since
    }

    /// When it was last seen elsewhere before.
    pub fn elsewhere(&self) -> Option<Uptime> {
        self.elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(id: &str, kind: ZoneKind) -> ZoneRef {
        ZoneRef { id: id.into(), kind, product: None }
    }

    fn left_of(x: f32) -> Polygon {
        let corners = [(0.0, 0.0), (x, 0.0), (x, 1.0), (0.0, 1.0)];
        Polygon::new(corners.iter().map(|&(x, y)| Point::new(x, y)).collect()).unwrap()
    }

    fn plate(x: f32) -> Rect {
        Rect::centred(Point::new(x, 500.0), 80.0, 26.0)
    }

    #[test]
    fn a_camera_without_zones_has_one() {
        let map = ZoneMap::new("gate", CameraRole::Entrance, vec![]);
        assert_eq!(map.place(&plate(900.0), (1000, 1000)), Place::Zone(zone("gate", ZoneKind::Lane)));
    }

    #[test]
    fn a_street_is_cut_out_of_the_whole_picture() {
        let street = (zone("street", ZoneKind::Ignore), left_of(0.3));
        let map = ZoneMap::new("lot", CameraRole::Lot, vec![street]);
        assert_eq!(map.place(&plate(100.0), (1000, 1000)), Place::Ignored);
        assert_eq!(map.place(&plate(500.0), (1000, 1000)), Place::Zone(zone("lot", ZoneKind::Bay)));
    }

    #[test]
    fn the_first_zone_that_holds_the_plate_counts_and_none_may() {
        let zones = vec![(zone("a", ZoneKind::Bay), left_of(0.3)), (zone("b", ZoneKind::Bay), left_of(0.6))];
        let map = ZoneMap::new("lot", CameraRole::Lot, zones);
        assert_eq!(map.place(&plate(200.0), (1000, 1000)), Place::Zone(zone("a", ZoneKind::Bay)));
        assert_eq!(map.place(&plate(500.0), (1000, 1000)), Place::Zone(zone("b", ZoneKind::Bay)));
        assert_eq!(map.place(&plate(900.0), (1000, 1000)), Place::Outside);
    }

    #[test]
    fn whereabouts_remember_when_a_zone_was_entered_and_what_was_before() {
        let at = Uptime::from_secs;
        let mut path = Whereabouts::first(None, at(1));
        path.seen(None, at(2));
        path.seen(Some(zone("a", ZoneKind::Bay)), at(3));
        path.seen(Some(zone("a", ZoneKind::Bay)), at(4));
        assert_eq!((path.since(), path.elsewhere()), (at(3), Some(at(2))));
    }
}
