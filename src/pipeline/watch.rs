//! One camera's plates over time: which box belongs to which vehicle, what its plate says, whose it is.
//!
//! Takes what inference saw of a frame, hands out what the visits must know. What it holds of strangers is their
//! evidence in memory, for as long as they are in the picture.

mod shadow;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::members::{Directory, Owner};
use crate::config;
use crate::domain::Uptime;
use crate::domain::event::{Evidence, Modality, Vehicle};
use crate::domain::geometry::Rect;
use crate::domain::member::Member;
use crate::domain::observation::{FrameObservation, PlateObservation, RejectReason};
use crate::domain::plate::calibration::Calibration;
use crate::domain::plate::decision::{Against, Standing, TrackReading};
use crate::domain::plate::known::Match;
use crate::domain::plate::list::PlateList;
use crate::domain::plate::reading::Interpreter;
use crate::domain::site::CameraRole;
use crate::domain::time::Moment;
use crate::domain::tracking::{TrackEnd, TrackId, TrackUpdate, Tracker, TrackerSettings};
use crate::domain::visit::zones::{Place, Whereabouts, ZoneMap};
use crate::domain::visit::{Input, MemberFacts, Sighting, TrackKey};
use shadow::Shadowed;

pub use shadow::{ShadowMatch, ShadowStatus};

/// Overlap from which a box is taken for the one of a track in the frame before.
const SAME_BOX: f32 = 0.3;

/// How strictly plates are matched.
#[derive(Clone, Debug)]
pub struct Matching {
    /// Thresholds of the reader at hand.
    pub calibration: Calibration,
    /// Accepted share of strangers over the whole list.
    pub false_accept_rate: f64,
    /// Frames that must agree unless one is beyond doubt.
    pub min_frames: u32,
}

impl Matching {
    /// As the settings say, with the thresholds of the reader at hand, or the program's own where it has none.
    pub fn new(plates: &config::Plates, calibration: Option<&Calibration>) -> Self {
        Self {
            calibration: calibration.cloned().unwrap_or_default(),
            false_accept_rate: plates.false_accept_rate,
            min_frames: plates.min_frames,
        }
    }
}

/// The plates of one camera.
pub struct Watch {
    camera: String,
    role: CameraRole,
    zones: ZoneMap,
    tracker: Tracker,
    interpreter: Interpreter,
    tracks: BTreeMap<TrackId, Followed>,
    counts: Counts,
    strangers: u32,
    shadow_matches: Vec<ShadowMatch>,
}

/// What was counted since the start.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Counts {
    /// Frames that were looked at.
    pub frames: u64,
    /// Tracks that ended or were decided, strangers among them.
    pub vehicles: u64,
    /// Decided as a member's.
    pub members: u64,
    /// Tracks that fit two members about equally, or a plate that several members share.
    pub ambiguous: u64,
    /// Tracks that ended unread, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Sum of the confidences of what was read on the others, each 0..1.
    pub confidence_sum: f64,
}

struct Followed {
    reading: TrackReading,
    shadow: Shadowed,
    whereabouts: Whereabouts,
    rect: Rect,
    member: Option<MemberFacts>,
    /// Was it counted that it could not be told whose it is?
    ambiguous: bool,
}

/// Where and until when another reading is not worth its cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settled {
    /// The plate's box in the frame before.
    pub rect: Rect,
    /// Time of the next look.
    pub due: Uptime,
}

impl Settled {
    /// Is a reading of this box at this time to be left out?
    pub fn covers(&self, rect: &Rect, at: Uptime) -> bool {
        at < self.due && self.rect.iou(rect) >= SAME_BOX
    }
}

impl Watch {
    /// For a camera and a reader.
    pub fn new(
        camera: &str,
        role: CameraRole,
        zones: ZoneMap,
        tracker: TrackerSettings,
        interpreter: Interpreter,
    ) -> Self {
        Self {
            camera: camera.to_owned(),
            role,
            zones,
            tracker: Tracker::new(tracker),
            interpreter,
            tracks: BTreeMap::new(),
            counts: Counts::default(),
            strangers: 0,
            shadow_matches: Vec::new(),
        }
    }

    /// Its camera.
    pub fn camera(&self) -> &str {
        &self.camera
    }

    /// What was counted since the start.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Vehicles that passed and were no member's, since the last call; a plate that could not be read is none.
    pub fn take_strangers(&mut self) -> u32 {
        std::mem::take(&mut self.strangers)
    }

    /// Who of the shadow list has passed since the last call.
    pub fn take_shadow(&mut self) -> Vec<ShadowMatch> {
        std::mem::take(&mut self.shadow_matches)
    }

    /// Vehicles in the picture.
    pub fn live(&self) -> usize {
        self.tracks.len()
    }

    /// Plates that need no reading for a while.
    pub fn settled(&self) -> Vec<Settled> {
        self.tracks.values().map(|each| Settled { rect: each.rect, due: each.reading.due() }).collect()
    }

    /// Takes a frame; `now` is the present by both clocks.
    pub fn frame(
        &mut self,
        mut frame: FrameObservation,
        now: Moment,
        directory: &Directory,
        matching: &Matching,
    ) -> Vec<Input> {
        self.counts.frames += 1;
        let size = frame.size;
        frame.plates.retain(|plate| self.zones.place(&plate.rect, size) != Place::Ignored);
        let mut inputs = Vec::new();
        for update in self.tracker.step(&frame) {
            let plate = &frame.plates[update.observation];
            self.follow(&update, plate, frame.at, size);
            self.read(&update, plate, now, directory, matching, &mut inputs);
            self.presence(update.track, frame.at, &mut inputs);
        }
        self.end(now, directory, matching, &mut inputs);
        inputs
    }

    /// Lets time pass without a frame.
    pub fn pass(&mut self, now: Moment, directory: &Directory, matching: &Matching) -> Vec<Input> {
        let mut inputs = Vec::new();
        self.end(now, directory, matching, &mut inputs);
        inputs
    }

    /// The list changed: plates in the picture may be members' now.
    pub fn list_changed(&mut self, now: Moment, directory: &Directory, matching: &Matching) -> Vec<Input> {
        let mut inputs = Vec::new();
        for track in self.tracks.keys().copied().collect::<Vec<_>>() {
            let Some(followed) = self.tracks.get_mut(&track) else { continue };
            let against = against(directory, matching);
            if let Some(standing) = followed.reading.list_changed(now.uptime, against).cloned() {
                let seen = Seen { track, at: now.uptime, first_seen: now.uptime, direction: None };
                self.decided(seen, &standing, now, directory, &mut inputs);
            }
        }
        inputs
    }

    fn follow(&mut self, update: &TrackUpdate, plate: &PlateObservation, at: Uptime, size: (u32, u32)) {
        let zone = match self.zones.place(&plate.rect, size) {
            Place::Zone(zone) => Some(zone),
            Place::Outside | Place::Ignored => None,
        };
        let followed = self.tracks.entry(update.track).or_insert_with(|| Followed {
            reading: TrackReading::default(),
            shadow: Shadowed::default(),
            whereabouts: Whereabouts::first(zone.clone(), at),
            rect: plate.rect,
            member: None,
            ambiguous: false,
        });
        followed.rect = plate.rect;
        followed.whereabouts.seen(zone, at);
    }

    fn read(
        &mut self,
        update: &TrackUpdate,
        plate: &PlateObservation,
        now: Moment,
        directory: &Directory,
        matching: &Matching,
        inputs: &mut Vec<Input>,
    ) {
        let Some(followed) = self.tracks.get_mut(&update.track) else { return };
        if let Some(reason) = plate.rejected {
            followed.reading.unreadable(reason);
        }
        // Without a crop, because none was wanted now, nothing is known about the light.
        if plate.evidence.is_some() || plate.rejected.is_some_and(RejectReason::was_looked_at) {
            followed.reading.looked(&plate.quality);
        }
        // A frame whose plate contradicts the track's is not pooled: the tracker will split them if it goes on.
        let Some(evidence) = plate.evidence.as_ref().filter(|_| !update.disputed) else { return };
        let against = against(directory, matching);
        let at = now.uptime;
        let news = followed.reading.add(at, evidence, &plate.colours, &mut self.interpreter, against).cloned();
        if !directory.shadow().is_empty() {
            let plate = (evidence, plate.colours.as_slice());
            followed.shadow.read(plate, &mut self.interpreter, now, directory, matching);
        }
        let Some(standing) = news else { return };
        let seen = Seen { track: update.track, at, first_seen: update.first_seen, direction: update.direction };
        self.decided(seen, &standing, now, directory, inputs);
    }

    fn decided(
        &mut self,
        seen: Seen,
        standing: &Standing,
        now: Moment,
        directory: &Directory,
        inputs: &mut Vec<Input>,
    ) {
        let Some(followed) = self.tracks.get_mut(&seen.track) else { return };
        let Standing::Listed(found) = standing else {
            self.counts.ambiguous += u64::from(!std::mem::replace(&mut followed.ambiguous, true));
            return;
        };
        match directory.owner(&found.plate, now.wall) {
            // What else was seen in this frame must not suffer from it.
            Err(error) => {
                tracing::error!("A member could not be looked up; asked again with the next frame: {error:#}");
                followed.reading.ask_again();
            }
            Ok(Owner::One(member)) => {
                self.counts.members += 1;
                followed.member = Some(MemberFacts::from(member.as_ref()));
                inputs.push(Input::Sighting(Box::new(self.sighting(seen, found, &member))));
            }
            // Asked again with every look at a parked car, since windows of time open and close; counted once.
            Ok(Owner::Several(_)) => {
                self.counts.ambiguous += u64::from(!std::mem::replace(&mut followed.ambiguous, true));
                followed.reading.forget();
            }
            Ok(Owner::Nobody(_)) => followed.reading.forget(),
        }
    }

    fn sighting(&self, seen: Seen, found: &Match, member: &Member) -> Sighting {
        let followed = &self.tracks[&seen.track];
        let reading = followed.reading.reading();
        let kind = reading.as_ref().filter(|reading| reading.text == found.plate);
        Sighting {
            member: MemberFacts::from(member),
            key: self.key(seen.track),
            role: self.role,
            at: seen.at,
            first_seen: seen.first_seen,
            whereabouts: followed.whereabouts.clone(),
            modality: Modality::Plate,
            confidence: found.confidence,
            evidence: Evidence {
                frames: found.frames,
                score: found.ratio,
                threshold: found.threshold,
                why: why(found),
            },
            vehicle: Some(Vehicle {
                plate: found.plate.clone(),
                plate_color: reading.as_ref().and_then(|reading| reading.colour).map(|colour| colour.word().to_owned()),
                plate_type: kind.map(|reading| reading.kind.clone()),
            }),
            direction: seen.direction,
        }
    }

    fn presence(&self, track: TrackId, at: Uptime, inputs: &mut Vec<Input>) {
        let Some(followed) = self.tracks.get(&track).filter(|followed| followed.member.is_some()) else { return };
        let zone = followed.whereabouts.zone().cloned();
        inputs.push(Input::Presence { key: self.key(track), at, zone });
    }

    fn end(&mut self, now: Moment, directory: &Directory, matching: &Matching, inputs: &mut Vec<Input>) {
        for TrackEnd { track, first_seen, last_seen, .. } in self.tracker.expired(now.uptime) {
            let Some(followed) = self.tracks.get_mut(&track) else { continue };
            if let Some(standing) = followed.reading.last_word(against(directory, matching)).cloned() {
                let seen = Seen { track, at: last_seen, first_seen, direction: None };
                self.decided(seen, &standing, now, directory, inputs);
            }
            let Some(followed) = self.tracks.remove(&track) else { continue };
            self.counts.vehicles += 1;
            self.shadow_matches.extend(followed.shadow.found(&self.camera, now));
            let unread = followed.reading.rejected();
            self.strangers += u32::from(followed.member.is_none() && unread.is_none());
            if let Some(reason) = unread {
                *self.counts.rejected.entry(RejectReason::word(reason)).or_default() += 1;
            } else if let Some(reading) = followed.reading.reading() {
                self.counts.confidence_sum += f64::from(reading.confidence);
            }
            if followed.member.is_some() {
                inputs.push(Input::TrackEnded { key: self.key(track) });
            }
        }
    }

    fn key(&self, track: TrackId) -> TrackKey {
        TrackKey { camera: self.camera.clone(), track }
    }
}

/// What is known of a track at a decision.
#[derive(Clone, Copy)]
struct Seen {
    track: TrackId,
    at: Uptime,
    first_seen: Uptime,
    direction: Option<crate::domain::event::Direction>,
}

fn against<'a>(directory: &'a Directory, matching: &'a Matching) -> Against<'a> {
    against_list(directory.list(), directory, matching)
}

fn against_list<'a>(list: &'a Arc<PlateList>, directory: &'a Directory, matching: &'a Matching) -> Against<'a> {
    Against {
        list,
        revision: directory.revision(),
        calibration: &matching.calibration,
        false_accept_rate: matching.false_accept_rate,
        min_frames: matching.min_frames,
    }
}

/// The reasons in words; never the plate.
fn why(found: &Match) -> String {
    let frames = if found.frames == 1 { "one frame".to_owned() } else { format!("{} frames", found.frames) };
    let unclear =
        if found.differs == 1 { "one character was".to_owned() } else { format!("{} characters were", found.differs) };
    match found.differs {
        0 => format!("the listed plate is what was read in {frames}"),
        _ if found.ratio >= 0.0 => format!("{unclear} unclear in {frames}; no unlisted plate explains them as well"),
        _ => format!(
            "{unclear} unclear in {frames}; an unlisted plate explains them slightly better, within the allowance"
        ),
    }
}
