//! One camera's faces over time: which box belongs to which person, whether it is a member, how a member looked on
//! leaving.
//!
//! Takes what inference saw of a frame, hands out what the visits must know. Of strangers nothing is kept but their
//! vectors in memory while they are in the picture; these are wiped at most a second after they were last seen, and with
//! the end of their track. Which faces inference makes vectors of, and whose expression it looks at, is said here
//! ([`PeopleWatch::attention`]): expressions only of members who agreed, only at exits.

mod person;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use person::Person;

use super::members::{Directory, FaceOwner};
use crate::domain::Uptime;
use crate::domain::event::{Evidence, Modality};
use crate::domain::face::gallery::Verdict;
use crate::domain::face::pool::PooledFace;
use crate::domain::face::{Expression, FaceObservation};
use crate::domain::geometry::Rect;
use crate::domain::site::CameraRole;
use crate::domain::time::Moment;
use crate::domain::tracking::{self, TrackEnd, TrackId, TrackUpdate, Tracker, TrackerSettings};
use crate::domain::visit::zones::{Place, Whereabouts, ZoneMap};
use crate::domain::visit::{Input, MemberFacts, Sighting, TrackKey};

/// Overlap from which a box is taken for the one of a track in the frame before.
const SAME_BOX: f32 = 0.3;
/// How often it is asked whether a member may still be matched.
const STANDING_EVERY: Duration = Duration::from_secs(2);
/// A score so far above the threshold is beyond doubt in fewer frames than `faces.min_frames`.
const BEYOND_DOUBT: f32 = 0.10;
/// Frames of one person that agree less with their mean are two people's.
const ONE_PERSON: f32 = 0.3;
/// Tracks of fewer frames are no person that passed: most often a poster, a reflection, a mistake of the detector.
const PERSON: u32 = 3;

/// How strictly faces are matched.
#[derive(Clone, Debug)]
pub struct FaceRules {
    /// Embedding space of the pack; empty when no face is read.
    pub space: String,
    /// Frames of one face before a member is told, unless fewer are beyond doubt.
    pub min_frames: u32,
    /// Best frames that are pooled.
    pub best_frames: u32,
    /// Last part of a track over which the expression on leaving is pooled.
    pub expression_window: Duration,
    /// How long a face may be out of sight before its track ends.
    pub lost_after: Duration,
}

/// What inference is to do with a face that it finds where a track is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaceAttention {
    /// The face's box in the frame before.
    pub rect: Rect,
    /// Time from which a vector is wanted again.
    pub due: Uptime,
    /// Is the expression wanted?
    pub expression: bool,
}

impl FaceAttention {
    /// Is this box the track's?
    pub fn covers(&self, rect: &Rect) -> bool {
        self.rect.iou(rect) >= SAME_BOX
    }
}

/// What was counted since the start.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct PeopleCounts {
    /// Tracks of faces that ended.
    pub people: u64,
    /// Decided as a member's.
    pub members: u64,
    /// Undecided between two members.
    pub ambiguous: u64,
    /// Tracks that ended without a vector, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
}

/// The faces of one camera.
pub struct PeopleWatch {
    camera: String,
    role: CameraRole,
    zones: ZoneMap,
    rules: FaceRules,
    tracker: Tracker<tracking::Look>,
    tracks: BTreeMap<TrackId, Person>,
    counts: PeopleCounts,
    strangers: u32,
}

impl PeopleWatch {
    /// For a camera.
    pub fn new(camera: &str, role: CameraRole, zones: ZoneMap, rules: FaceRules) -> Self {
        let settings = TrackerSettings { lost_after: rules.lost_after, ..TrackerSettings::default() };
        Self {
            camera: camera.to_owned(),
            role,
            zones,
            rules,
            tracker: Tracker::new(settings),
            tracks: BTreeMap::new(),
            counts: PeopleCounts::default(),
            strangers: 0,
        }
    }

    /// What was counted since the start.
    pub fn counts(&self) -> &PeopleCounts {
        &self.counts
    }

    /// Faces in the picture.
    pub fn live(&self) -> usize {
        self.tracks.len()
    }

    /// People who passed and were no members, since the last call.
    pub fn take_strangers(&mut self) -> u32 {
        std::mem::take(&mut self.strangers)
    }

    /// What inference is to do with the faces that are followed.
    pub fn attention(&self) -> Vec<FaceAttention> {
        let at_exit = self.role == CameraRole::Exit;
        self.tracks.values().map(|person| person.attention(at_exit)).collect()
    }

    /// Takes the faces of a frame; `now` is the present by both clocks.
    pub fn frame(
        &mut self,
        faces: Vec<FaceObservation>,
        size: (u32, u32),
        now: Moment,
        directory: &Directory,
    ) -> Vec<Input> {
        let mut faces = faces;
        faces.retain(|face| self.zones.place(&face.rect, size) != Place::Ignored);
        let mut inputs = Vec::new();
        // First of all, so that not even one frame is used of a member who withdrew.
        self.ask_standing(now, directory, &mut inputs);
        for update in self.tracker.step_faces(now.uptime, &faces) {
            let face = &faces[update.observation];
            self.follow(&update, face, now.uptime, size);
            self.look(&update, face, now, directory, &mut inputs);
            self.presence(update.track, now.uptime, &mut inputs);
        }
        self.end(now.uptime, &mut inputs);
        self.wipe(now.uptime);
        inputs
    }

    /// Lets time pass without a frame.
    pub fn pass(&mut self, now: Moment, directory: &Directory) -> Vec<Input> {
        let mut inputs = Vec::new();
        self.end(now.uptime, &mut inputs);
        self.wipe(now.uptime);
        self.ask_standing(now, directory, &mut inputs);
        inputs
    }

    /// The list changed: people in the picture may be members now, or none any more.
    pub fn list_changed(&mut self, now: Moment, directory: &Directory) -> Vec<Input> {
        let mut inputs = Vec::new();
        self.tracks.values_mut().for_each(|person| person.asked = Uptime::ZERO);
        self.ask_standing(now, directory, &mut inputs);
        for track in self.tracks.keys().copied().collect::<Vec<_>>() {
            self.decide(track, now, directory, &mut inputs);
        }
        inputs
    }

    fn follow(&mut self, update: &TrackUpdate, face: &FaceObservation, at: Uptime, size: (u32, u32)) {
        let zone = match self.zones.place(&face.rect, size) {
            Place::Zone(zone) => Some(zone),
            Place::Outside | Place::Ignored => None,
        };
        let person = self.tracks.entry(update.track).or_insert_with(|| {
            let whereabouts = Whereabouts::first(zone.clone(), at);
            Person::first(&self.rules, face.rect, whereabouts, at, update.first_seen)
        });
        (person.rect, person.seen) = (face.rect, at);
        person.whereabouts.seen(zone, at);
    }

    fn look(
        &mut self,
        update: &TrackUpdate,
        face: &FaceObservation,
        now: Moment,
        directory: &Directory,
        inputs: &mut Vec<Input>,
    ) {
        let Some(person) = self.tracks.get_mut(&update.track) else { return };
        if let Some(reason) = face.rejected {
            person.rejected = Some(reason);
        }
        if let Some(expression) = face.expression.as_ref().filter(|_| !update.disputed) {
            self.express(update.track, expression, face, now.uptime, inputs);
        }
        // A face that looks like another person's is not pooled: the tracker will split them if it goes on.
        let Some(embedding) = face.embedding.as_ref().filter(|_| !update.disputed) else { return };
        let Some(person) = self.tracks.get_mut(&update.track) else { return };
        person.add(embedding.clone(), &face.quality, now.uptime);
        self.decide(update.track, now, directory, inputs);
    }

    fn express(
        &mut self,
        track: TrackId,
        expression: &Expression,
        face: &FaceObservation,
        at: Uptime,
        inputs: &mut Vec<Input>,
    ) {
        let (key, window) = (self.key(track), self.rules.expression_window);
        let Some(person) = self.tracks.get_mut(&track).filter(|_| self.role == CameraRole::Exit) else { return };
        if let Some(look) = person.express(expression, &face.quality, at, window) {
            inputs.push(Input::Expression { key, at, look });
        }
    }

    /// Asks the gallery once there is enough to ask with.
    fn decide(&mut self, track: TrackId, now: Moment, directory: &Directory, inputs: &mut Vec<Input>) {
        let Some(person) = self.tracks.get(&track).filter(|person| person.member.is_none()) else { return };
        let Some(pooled) = person.pool.pooled().filter(|pooled| pooled.agreement >= ONE_PERSON) else { return };
        let (looks, min_frames) = (person.looks, self.rules.min_frames);
        let verdict = directory.face(&self.rules.space, &pooled.embedding);
        match verdict {
            Verdict::Member { id, score, threshold, .. }
                if looks >= min_frames || score >= threshold + BEYOND_DOUBT =>
            {
                self.decided(track, id, &verdict, &pooled, now, directory, inputs);
            }
            Verdict::Ambiguous { .. } => {
                let Some(person) = self.tracks.get_mut(&track) else { return };
                self.counts.ambiguous += u64::from(!std::mem::replace(&mut person.was_ambiguous, true));
            }
            _ => {}
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one place, all of it needed")]
    fn decided(
        &mut self,
        track: TrackId,
        id: i64,
        verdict: &Verdict,
        pooled: &PooledFace,
        now: Moment,
        directory: &Directory,
        inputs: &mut Vec<Input>,
    ) {
        let Verdict::Member { score, threshold, .. } = *verdict else { return };
        let member = match directory.face_owner(id, now.wall) {
            Ok(FaceOwner::One(member)) => member,
            Ok(FaceOwner::Nobody(_)) => return,
            Err(error) => {
                tracing::error!("A member could not be looked up; asked again with the next frame: {error:#}");
                return;
            }
        };
        let Some(person) = self.tracks.get_mut(&track) else { return };
        let facts = MemberFacts::from(member.as_ref());
        person.found(facts.clone(), now.uptime);
        self.counts.members += 1;
        let (whereabouts, first_seen) = (person.whereabouts.clone(), person.first_seen);
        inputs.push(Input::Sighting(Box::new(Sighting {
            member: facts,
            key: self.key(track),
            role: self.role,
            at: now.uptime,
            first_seen,
            whereabouts,
            modality: Modality::Face,
            confidence: directory.face_confidence(score),
            evidence: Evidence { frames: pooled.frames, score, threshold, why: verdict.why() },
            vehicle: None,
            direction: None,
        })));
    }

    fn presence(&self, track: TrackId, at: Uptime, inputs: &mut Vec<Input>) {
        let Some(person) = self.tracks.get(&track).filter(|person| person.member.is_some()) else { return };
        inputs.push(Input::Presence { key: self.key(track), at, zone: person.whereabouts.zone().cloned() });
    }

    fn end(&mut self, at: Uptime, inputs: &mut Vec<Input>) {
        for TrackEnd { track, frames, .. } in self.tracker.expired(at) {
            let Some(person) = self.tracks.remove(&track) else { continue };
            self.counts.people += u64::from(frames >= PERSON);
            self.strangers += u32::from(frames >= PERSON && !person.was_member);
            if let Some(reason) = person.rejected.filter(|_| person.looks == 0) {
                *self.counts.rejected.entry(reason.word()).or_default() += 1;
            }
            if person.was_member {
                inputs.push(Input::TrackEnded { key: self.key(track) });
            }
        }
    }

    /// Vectors of faces that are out of sight go before their tracks do.
    fn wipe(&mut self, at: Uptime) {
        for (track, person) in &mut self.tracks {
            if person.wipe(at) {
                self.tracker.hush(*track);
            }
        }
    }

    /// A member who may not be matched any more, or not by expression, is noticed while still in the picture.
    fn ask_standing(&mut self, now: Moment, directory: &Directory, inputs: &mut Vec<Input>) {
        for (track, person) in &mut self.tracks {
            let Some(facts) = &person.member else { continue };
            if now.uptime.saturating_sub(person.asked) < STANDING_EVERY && person.asked > Uptime::ZERO {
                continue;
            }
            person.asked = now.uptime;
            // A list that cannot be read changes nothing; the rules complain of it.
            let Ok(standing) = directory.standing(&facts.member_ref, now.wall) else { continue };
            let facts = standing.filter(|standing| standing.face).map(|standing| standing.facts);
            if facts.is_none() {
                let key = TrackKey { camera: self.camera.clone(), track: *track };
                inputs.push(Input::TrackEnded { key });
            }
            person.stands(facts);
        }
    }

    fn key(&self, track: TrackId) -> TrackKey {
        TrackKey { camera: self.camera.clone(), track }
    }
}
