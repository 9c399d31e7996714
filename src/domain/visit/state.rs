//! One open visit: what of it is kept, and how it is told.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Overview;
use super::dwell::Stay;
use super::input::{MemberFacts, Sighting, Standing, TrackKey};
use super::rules::{Tick, VisitRules, tick};
use super::telling::moment_of;
use crate::domain::Uptime;
use crate::domain::event::{ClosedBy, Evidence, Look, Modality, Vehicle, ZoneRef};
use crate::domain::site::CameraRole;
use crate::domain::time::{Moment, Stamp};

/// A member's presence on the site. Lives as long as the visit is open; serialised, it survives a restart.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Visit {
    pub(super) visit_id: String,
    pub(super) member: MemberFacts,
    pub(super) modality: Modality,
    pub(super) began: Began,
    pub(super) carriers: Vec<Carrier>,
    pub(super) zones: Vec<ZoneTotal>,
    /// When it was last handed out to be saved.
    pub(super) saved: Tick,
    /// How the member looked when last seen at an exit.
    #[serde(default)]
    pub(super) look: Option<LastLook>,
    /// Visits of other members that began at the same camera at about the same time.
    #[serde(default)]
    pub(super) companions: Vec<String>,
    /// The first time without power of unknown length, which counts as none until the clock is right.
    #[serde(default)]
    unaged: Option<Gap>,
}

/// Where time is missing on the time line: instants up to `at` were longer ago than it says.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
struct Gap {
    at: Tick,
    /// What the trusted wall clock showed then.
    wall: Timestamp,
}

/// An expression at an exit.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct LastLook {
    pub at: Tick,
    pub camera: String,
    pub look: Look,
}

/// How a visit began: what its `arrival` told.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Began {
    pub at: Tick,
    pub sure: Sure,
}

/// How sure the box is, by which camera, and why.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Sure {
    pub camera: String,
    pub confidence: f32,
    pub evidence: Evidence,
    pub vehicle: Option<Vehicle>,
}

/// A vehicle of the member, or the member on foot.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Carrier {
    /// The best sighting so far.
    pub best: Sure,
    /// When and by which camera it was last seen.
    pub last: Tick,
    pub camera: String,
    /// When it was seen at an exit, unless it came back since.
    pub leaving: Option<Tick>,
    /// Stays that go on.
    pub stays: Vec<Stay>,
    /// Last seen by each camera: where and when.
    spots: Vec<Spot>,
    /// Tracks that are this carrier now; they end with the process.
    #[serde(skip)]
    pub tracks: Vec<TrackKey>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
struct Spot {
    camera: String,
    zone: Option<String>,
    at: Tick,
}

/// Time in one zone over all stays that were told and ended.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct ZoneTotal {
    pub camera: String,
    pub zone: ZoneRef,
    /// Numbers given to stays.
    pub numbered: u32,
    pub stays: u32,
    pub min_ms: Tick,
    pub max_ms: Tick,
}

impl Sure {
    fn of(sighting: &Sighting) -> Self {
        Self {
            camera: sighting.key.camera.clone(),
            confidence: sighting.confidence,
            evidence: sighting.evidence.clone(),
            vehicle: sighting.vehicle.clone(),
        }
    }
}

impl Carrier {
    fn plate(&self) -> Option<&str> {
        self.best.vehicle.as_ref().map(|vehicle| vehicle.plate.as_str())
    }

    /// May it still be matched by its plate, or by face when it is on foot?
    pub fn is_allowed(&self, standing: &Standing) -> bool {
        self.plate().map_or(standing.face, |plate| standing.plates.iter().any(|each| each == plate))
    }

    fn sight(&mut self, sighting: &Sighting) {
        if sighting.confidence > self.best.confidence {
            self.best = Sure::of(sighting);
        }
        if !self.tracks.contains(&sighting.key) {
            self.tracks.push(sighting.key.clone());
        }
        self.seen(&sighting.key.camera, tick(sighting.at));
    }

    /// It was seen, by whatever camera.
    pub fn seen(&mut self, camera: &str, at: Tick) {
        if at >= self.last {
            self.last = at;
            camera.clone_into(&mut self.camera);
        }
    }

    /// Seen by a camera in a zone or in none; a stay begins, goes on, or is left. True when one began.
    pub fn step(
        &mut self,
        camera: &str,
        zone: Option<&ZoneRef>,
        since: Tick,
        elsewhere: Option<Tick>,
        at: Tick,
    ) -> bool {
        for stay in self.stays.iter_mut().filter(|stay| stay.camera == camera) {
            if zone.is_none_or(|zone| stay.zone.id != zone.id) {
                stay.seen_outside(since.min(at));
            }
        }
        let before = self.last_elsewhere(camera, zone).max(elsewhere);
        self.remember(camera, zone, at);
        let Some(zone) = zone else { return false };
        if let Some(stay) = self.stays.iter_mut().find(|stay| stay.is_in(camera, zone)) {
            stay.seen_inside(at);
            return false;
        }
        let mut stay = Stay::begun(camera, zone, since, before);
        stay.seen_inside(at);
        self.stays.push(stay);
        true
    }

    /// When this camera last saw it outside that zone, if that was the last it saw of it.
    fn last_elsewhere(&self, camera: &str, zone: Option<&ZoneRef>) -> Option<Tick> {
        let spot = self.spots.iter().find(|spot| spot.camera == camera)?;
        (spot.zone.as_ref() != zone.map(|zone| &zone.id)).then_some(spot.at)
    }

    fn remember(&mut self, camera: &str, zone: Option<&ZoneRef>, at: Tick) {
        let zone = zone.map(|zone| zone.id.clone());
        match self.spots.iter_mut().find(|spot| spot.camera == camera) {
            Some(spot) => (spot.zone, spot.at) = (zone, at),
            None => self.spots.push(Spot { camera: camera.to_owned(), zone, at }),
        }
    }

    fn retime(&mut self, moved: &dyn Fn(Tick) -> Tick) {
        self.last = moved(self.last);
        self.leaving = self.leaving.map(moved);
        self.stays.iter_mut().for_each(|stay| stay.retime(moved));
        self.spots.iter_mut().for_each(|spot| spot.at = moved(spot.at));
    }
}

impl Visit {
    /// Its name.
    pub fn visit_id(&self) -> &str {
        &self.visit_id
    }

    /// Whose it is.
    pub fn member_ref(&self) -> &str {
        &self.member.member_ref
    }

    /// When it began.
    pub fn arrived(&self, now: Moment) -> Moment {
        moment_of(self.began.at, now)
    }

    /// As it is kept on disk; `uptime` and `stamp` are the present.
    pub fn save(&self, uptime: Uptime, stamp: &Stamp) -> SavedVisit {
        SavedVisit { visit: self.clone(), uptime_ms: tick(uptime), stamp: stamp.clone() }
    }

    /// For a person's eyes.
    pub(super) fn overview(&self, now: Moment) -> Overview {
        let stays = self.carriers.iter().flat_map(|carrier| &carrier.stays);
        Overview {
            visit_id: self.visit_id.clone(),
            member: self.member.clone(),
            modality: self.modality,
            arrived: self.arrived(now),
            last_seen: moment_of(self.last_seen(), now),
            camera: self.last_camera().to_owned(),
            zones: stays.map(|stay| stay.zone.id.clone()).collect(),
        }
    }

    pub(super) fn last_camera(&self) -> &str {
        let latest = self.carriers.iter().max_by_key(|carrier| carrier.last);
        latest.map_or(&self.began.sure.camera, |carrier| &carrier.camera)
    }

    /// The first sighting.
    pub(super) fn opened(visit_id: String, sighting: &Sighting) -> Self {
        Self {
            visit_id,
            member: sighting.member.clone(),
            modality: sighting.modality,
            began: Began { at: tick(sighting.first_seen.min(sighting.at)), sure: Sure::of(sighting) },
            carriers: Vec::new(),
            zones: Vec::new(),
            saved: Tick::MIN,
            look: None,
            companions: Vec::new(),
            unaged: None,
        }
    }

    /// A sighting belongs to this visit; the place of its carrier.
    pub(super) fn join(&mut self, sighting: &Sighting) -> usize {
        self.member = sighting.member.clone();
        self.modality = self.modality.joined(sighting.modality);
        let plate = sighting.vehicle.as_ref().map(|vehicle| vehicle.plate.as_str());
        let place = self.carriers.iter().position(|carrier| carrier.plate() == plate).unwrap_or_else(|| {
            self.carriers.push(Carrier {
                best: Sure::of(sighting),
                last: tick(sighting.at),
                camera: sighting.key.camera.clone(),
                leaving: None,
                stays: Vec::new(),
                spots: Vec::new(),
                tracks: Vec::new(),
            });
            self.carriers.len() - 1
        });
        let carrier = &mut self.carriers[place];
        carrier.sight(sighting);
        if sighting.role == CameraRole::Exit {
            carrier.leaving = Some(tick(sighting.at));
        } else if carrier.leaving.is_some_and(|left| tick(sighting.first_seen) > left) && comes_back(sighting) {
            carrier.leaving = None;
            self.look = None;
        }
        place
    }

    /// Gives a stay its number when it is first told.
    pub(super) fn number(&mut self, stay: &mut Stay) -> u32 {
        if let Some(number) = stay.number {
            return number;
        }
        let total = self.total(&stay.camera, &stay.zone);
        total.numbered += 1;
        let number = total.numbered;
        stay.number = Some(number);
        number
    }

    /// The sum of a zone, begun when there is none.
    pub(super) fn total(&mut self, camera: &str, zone: &ZoneRef) -> &mut ZoneTotal {
        let found = self.zones.iter().position(|total| total.camera == camera && total.zone.id == zone.id);
        let place = found.unwrap_or_else(|| {
            let (camera, zone) = (camera.to_owned(), zone.clone());
            self.zones.push(ZoneTotal { camera, zone, numbered: 0, stays: 0, min_ms: 0, max_ms: 0 });
            self.zones.len() - 1
        });
        &mut self.zones[place]
    }

    /// When it was last seen by any camera.
    pub(super) fn last_seen(&self) -> Tick {
        self.carriers.iter().map(|carrier| carrier.last).max().unwrap_or(self.began.at)
    }

    /// When it ends unless something is seen, and how. Time in which the box saw nothing does not count as absence.
    pub(super) fn ends_at(&self, rules: &VisitRules, blind_until: Tick) -> (Tick, ClosedBy) {
        let left = self.carriers.iter().filter(|carrier| carrier.leaving.is_some()).map(|carrier| carrier.last).max();
        let here = self.carriers.iter().filter(|carrier| carrier.leaving.is_none()).map(|carrier| carrier.last).max();
        match (left, here) {
            // Whatever was last seen before the exit went out with it.
            (Some(left), here) if here.is_none_or(|here| here <= left) => {
                (left.max(blind_until) + rules.exit_grace, ClosedBy::Exit)
            }
            _ => (self.last_seen().max(blind_until) + rules.absent_after, ClosedBy::Absent),
        }
    }

    /// Takes the visit up on the time line of another process: it was saved `away` before `now`.
    pub(super) fn take_up(&mut self, saved: Tick, now: Tick, stamp: &Stamp, then: &Stamp) {
        let at = now.saturating_sub(tick(stamp.since(then)));
        let by = at.saturating_sub(saved);
        self.retime(&|instant| instant.saturating_add(by));
        self.saved = self.saved.saturating_add(by);
        self.unaged = self.unaged.take().map(|gap| Gap { at: gap.at.saturating_add(by), ..gap });
        if stamp.may_repair(then) {
            self.unaged.get_or_insert(Gap { at, wall: then.wall });
        }
    }

    /// The wall clock can be trusted again: a gap of unknown length gets its length.
    pub(super) fn repair(&mut self, now: Moment) {
        let Some(gap) = self.unaged.take() else { return };
        let true_age = now.wall.duration_since(gap.wall).as_millis();
        let missing = Tick::try_from(true_age).unwrap_or(0).saturating_sub(tick(now.uptime) - gap.at).max(0);
        self.retime(&|instant| if instant <= gap.at { instant.saturating_sub(missing) } else { instant });
    }

    fn retime(&mut self, moved: &dyn Fn(Tick) -> Tick) {
        self.began.at = moved(self.began.at);
        self.look.iter_mut().for_each(|last| last.at = moved(last.at));
        self.carriers.iter_mut().for_each(|carrier| carrier.retime(moved));
    }

    /// The member lost the `dwell` consent: what was measured is forgotten.
    pub(super) fn forget_dwell(&mut self) {
        self.zones.clear();
        for carrier in &mut self.carriers {
            carrier.stays.clear();
            carrier.spots.clear();
        }
    }
}

/// Does this sighting after one at an exit show that the vehicle has not left? Cameras at one gate see the same car, so
/// an entrance counts only when the car comes towards it.
fn comes_back(sighting: &Sighting) -> bool {
    use crate::domain::event::Direction::Approaching;
    match sighting.role {
        CameraRole::Lot | CameraRole::Showroom => true,
        CameraRole::Entrance => sighting.direction == Some(Approaching),
        CameraRole::Exit => false,
    }
}

/// An open visit as it is kept on disk.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct SavedVisit {
    /// The visit; its instants are on the time line of the process that saved it.
    pub(super) visit: Visit,
    /// When it was saved, on that time line.
    pub(super) uptime_ms: Tick,
    /// When it was saved, so that another process can tell how long ago that was.
    pub(super) stamp: Stamp,
}
