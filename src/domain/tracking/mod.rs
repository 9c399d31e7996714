//! Follows many plates, or many faces, at once through the frames of one camera.
//!
//! A plate is small and fast: at five frames a second its box seldom overlaps the one before. So a box is given to the
//! track whose *expected* place and size it fits (constant velocity, see `motion`), all boxes of a frame at once and at
//! the least sum of costs (see `assign`); what the plates say decides where places alone do not. Faces are followed the
//! same way; what tells two of them apart is their vectors (see `face`).
//!
//! Promises: an observation belongs to one track at most; ids count from 1 and are never given twice; the same frames
//! give the same tracks; a track that lives for hours takes no more memory than a young one.
//!
//! Limits: two plates that cross unread with equal speed and size cannot be told apart. A vehicle that was out of sight
//! for longer than `lost_after` is a new track; the visit joins it again.

mod assign;
mod boxes;
mod face;
mod heading;
mod motion;
mod reading;
#[cfg(test)]
mod tests;
mod track;

use std::time::Duration;

use assign::{Costs, cheapest};
use boxes::{Seen, usable};
pub use face::Look;
pub use reading::Text;
use reading::confident_text;
use track::{Track, UNASSIGNED};

use super::Uptime;
use super::event::Direction;
use super::face::{Embedding, FaceObservation};
use super::observation::{FrameObservation, PlateObservation};

/// Number of a track on its camera, from 1, never given twice by one tracker.
pub type TrackId = u64;

/// A track does not end before it was missed in so many frames, unless `lost_after` has passed so many times: a camera
/// that looks once a second while nothing moves must not lose a parked car for one missed plate.
const MISSED_FRAMES: u32 = 3;
const LOST_TIMES: u32 = 5;

/// What a tracker can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackerSettings {
    /// How long something may be out of sight before its track ends (`track_lost_after` of plates or faces), see
    /// `MISSED_FRAMES`.
    pub lost_after: Duration,
    /// Frames in a row that must show one and the same other plate or face before a track is split.
    pub split_after: u32,
}

impl Default for TrackerSettings {
    fn default() -> Self {
        Self { lost_after: Duration::from_secs(2), split_after: 3 }
    }
}

/// How what is seen in a frame compares with what a track showed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One of them says nothing.
    Unknown,
    /// The very same.
    Same,
    /// The same with small differences, or one much like it.
    Agrees,
    /// Neither clearly the same nor clearly another.
    Unsure,
    /// Another one.
    Differs,
}

/// What tells two of a kind apart: the text of plates, the vector of faces. Cheap, bounded, compared every frame.
pub trait Voice: Clone + std::fmt::Debug + Default {
    /// What one frame shows of one of them.
    type Word: std::fmt::Debug;

    /// Compares without remembering.
    fn compare(&self, word: Option<&Self::Word>) -> Verdict;

    /// Is it the very same? A cheap part of `compare`.
    fn says(&self, word: Option<&Self::Word>) -> bool;

    /// Remembers a frame. The number of frames in a row that showed one and the same other; 0 when in peace.
    fn hear(&mut self, word: Option<&Self::Word>) -> u32;

    /// The voice of the other one, which leaves this one.
    fn split_off(&mut self) -> Self;

    /// Do two frames show two different ones?
    fn differ(one: &Self::Word, other: &Self::Word) -> bool;
}

/// An observation has been given to a track.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackUpdate {
    /// The track.
    pub track: TrackId,
    /// Index into `FrameObservation::plates` or `faces`.
    pub observation: usize,
    /// The first of this track.
    pub is_new: bool,
    /// The track that this one was split off, which has ended.
    pub split_from: Option<TrackId>,
    /// Plate or face is clearly another than before; do not pool this frame with the earlier ones.
    pub disputed: bool,
    /// When the track began.
    pub first_seen: Uptime,
    /// Frames in which it was seen.
    pub frames: u32,
    /// Coming, going or standing; `None` while it cannot be told.
    pub direction: Option<Direction>,
    /// Speed over the picture, in plate widths a second.
    pub speed: f32,
}

/// A track is over.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackEnd {
    /// The track.
    pub track: TrackId,
    /// When it began.
    pub first_seen: Uptime,
    /// When it was last seen.
    pub last_seen: Uptime,
    /// Frames in which it was seen; 1 is most often no plate.
    pub frames: u32,
    /// Why.
    pub cause: EndCause,
}

/// Why a track is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// Out of sight for too long.
    Lost,
    /// It turned out to follow another plate since some frames; a new track goes on.
    Split,
}

/// Follows the plates of one camera, or with [`Look`] its faces.
#[derive(Clone, Debug)]
pub struct Tracker<V = Text> {
    settings: TrackerSettings,
    tracks: Vec<Track<V>>,
    ended: Vec<TrackEnd>,
    next: TrackId,
    now: Uptime,
}

impl Tracker<Text> {
    /// Gives the plates of a frame to tracks, in order of their index in the frame.
    ///
    /// A plate that is none for sure ([`PlateObservation::stands`]) goes on with a track and begins none.
    /// Boxes without extent or with numbers that are none are passed over, and so are second boxes of one plate. Time
    /// that runs backwards is taken as standing still; after a jump ahead the lost tracks end first.
    pub fn step(&mut self, frame: &FrameObservation) -> Vec<TrackUpdate> {
        let boxes = |plate: &PlateObservation| (plate.rect, plate.detection);
        let stands = |place: usize| frame.plates[place].stands();
        self.give(frame.at, usable::<Text, _>(&frame.plates, boxes, confident_text), stands)
    }
}

impl Tracker<Look> {
    /// Gives the faces of a frame to tracks, as [`Tracker::step`] does with plates.
    pub fn step_faces(&mut self, at: Uptime, faces: &[FaceObservation]) -> Vec<TrackUpdate> {
        let boxes = |face: &FaceObservation| (face.rect, face.detection);
        let word = |face: &FaceObservation| -> Option<Embedding> { face.embedding.clone() };
        self.give(at, usable::<Look, _>(faces, boxes, word), |_| true)
    }
}

impl<V: Voice> Tracker<V> {
    /// Without tracks.
    pub fn new(settings: TrackerSettings) -> Self {
        Self { settings, tracks: Vec::new(), ended: Vec::new(), next: 1, now: Uptime::ZERO }
    }

    /// Tracks that are alive.
    pub fn live(&self) -> usize {
        self.tracks.len()
    }

    /// `begins` says of an observation whether it is enough to begin a track; what is not may only go on with one.
    fn give(&mut self, at: Uptime, seen: Vec<Seen<V::Word>>, begins: impl Fn(usize) -> bool) -> Vec<TrackUpdate> {
        self.end_lost(at);
        let mut owner: Vec<Option<usize>> = vec![None; seen.len()];
        for (track, place) in self.assignment(&seen) {
            owner[place] = Some(track);
        }
        self.tracks.iter_mut().for_each(|track| track.missed = track.missed.saturating_add(1));
        let mut updates: Vec<TrackUpdate> = seen
            .iter()
            .zip(owner)
            .filter_map(|(seen, owner)| match owner {
                Some(track) => Some(self.follow(track, seen)),
                None => begins(seen.observation).then(|| self.begin(seen)),
            })
            .collect();
        updates.sort_by_key(|update| update.observation);
        updates
    }

    /// Forgets what a track said or looked like; it is followed by place alone until it is seen again.
    pub fn hush(&mut self, id: TrackId) {
        if let Some(track) = self.tracks.iter_mut().find(|track| track.id == id) {
            track.voice = V::default();
        }
    }

    /// Tracks that ended up to now, each told once.
    pub fn expired(&mut self, at: Uptime) -> Vec<TrackEnd> {
        self.end_lost(at);
        std::mem::take(&mut self.ended)
    }

    fn end_lost(&mut self, at: Uptime) {
        self.now = self.now.max(at);
        let (now, lost_after) = (self.now, self.settings.lost_after);
        let ended = &mut self.ended;
        self.tracks.retain(|track| {
            let gone = now.saturating_sub(track.last_seen);
            let alive = gone <= lost_after || (track.missed < MISSED_FRAMES && gone <= lost_after * LOST_TIMES);
            if !alive {
                ended.push(track.end(EndCause::Lost));
            }
            alive
        });
    }

    /// Pairs of place in `tracks` and place in `seen`.
    fn assignment(&self, seen: &[Seen<V::Word>]) -> Vec<(usize, usize)> {
        let boxes = seen.len();
        // One column more for each track: "not seen in this frame".
        let mut costs = Costs::filled(self.tracks.len(), boxes + self.tracks.len(), UNASSIGNED);
        for (row, track) in self.tracks.iter().enumerate() {
            let expected = track.motion.predicted(self.now.saturating_sub(track.last_seen).as_secs_f32());
            for (column, seen) in seen.iter().enumerate() {
                costs.set(row, column, track.cost(&expected, seen));
            }
        }
        let chosen = cheapest(&costs).into_iter().enumerate();
        chosen.filter(|&(row, column)| column < boxes && costs.get(row, column) < UNASSIGNED).collect()
    }

    fn follow(&mut self, place: usize, seen: &Seen<V::Word>) -> TrackUpdate {
        let track = &mut self.tracks[place];
        track.seen(&seen.rect, self.now);
        let against = track.voice.hear(seen.word.as_ref());
        if against >= self.settings.split_after {
            return self.split(place, seen);
        }
        let disputed = against > 0 && seen.word.is_some();
        TrackUpdate { disputed, ..track.update(seen.observation) }
    }

    /// The track has followed another one: it ends, and a new one takes over its place and movement.
    fn split(&mut self, place: usize, seen: &Seen<V::Word>) -> TrackUpdate {
        let id = self.number();
        let track = &mut self.tracks[place];
        let old = track.id;
        self.ended.push(track.end(EndCause::Split));
        track.become_other(id, self.now);
        TrackUpdate { is_new: true, split_from: Some(old), ..track.update(seen.observation) }
    }

    fn begin(&mut self, seen: &Seen<V::Word>) -> TrackUpdate {
        let track = Track::first(self.number(), seen, self.now);
        let update = TrackUpdate { is_new: true, ..track.update(seen.observation) };
        self.tracks.push(track);
        update
    }

    fn number(&mut self) -> TrackId {
        let number = self.next;
        self.next += 1;
        number
    }
}
