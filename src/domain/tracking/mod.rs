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
mod face;
mod heading;
mod motion;
mod reading;
#[cfg(test)]
mod tests;

use std::time::Duration;

use assign::{Costs, cheapest};
pub use face::Look;
use heading::Heading;
use motion::Motion;
pub use reading::Text;
use reading::confident_text;

use super::Uptime;
use super::event::Direction;
use super::face::{Embedding, FaceObservation};
use super::geometry::Rect;
use super::observation::{FrameObservation, PlateObservation};

/// Number of a track on its camera, from 1, never given twice by one tracker.
pub type TrackId = u64;

/// A box is rather a new track than one that it fits at a higher cost.
const UNASSIGNED: f32 = 12.0;
/// The price of a pair that is out of the question.
const IMPOSSIBLE: f32 = 1e6;
/// Squared standard deviations of centre and size beyond which a pair is out of the question.
const CENTRE_GATE: f32 = 16.0;
const SIZE_GATE: f32 = 30.0;
/// What agreeing and differing plates are worth.
const SAMENESS: f32 = -6.0;
const AGREEMENT: f32 = -3.0;
const DOUBT: f32 = 2.0;
const DIFFERENCE: f32 = 8.0;
/// What full overlap with the expected box is worth.
const OVERLAP: f32 = -1.5;
/// Two boxes are one plate when they share this part of the smaller.
const DUPLICATE: f32 = 0.6;
/// A track does not end before it was missed in so many frames, unless `lost_after` has passed so many times: a camera
/// that looks once a second while nothing moves must not lose a parked car for one missed plate.
const MISSED_FRAMES: u32 = 3;
const LOST_TIMES: u32 = 5;
/// Boxes looked at in one frame; those of the lowest score beyond it are passed over.
const MOST_BOXES: usize = 128;

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

#[derive(Clone, Debug)]
struct Track<V> {
    id: TrackId,
    motion: Motion,
    heading: Heading,
    voice: V,
    first_seen: Uptime,
    last_seen: Uptime,
    frames: u32,
    /// Frames since `last_seen`.
    missed: u32,
}

/// A box that can be followed.
struct Seen<W> {
    observation: usize,
    rect: Rect,
    word: Option<W>,
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
        let dt = self.now.saturating_sub(track.last_seen).as_secs_f32();
        track.motion = track.motion.predicted(dt).corrected(&seen.rect);
        track.heading.seen(&seen.rect, self.now);
        track.last_seen = self.now;
        track.frames = track.frames.saturating_add(1);
        track.missed = 0;
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
        track.id = id;
        track.voice = track.voice.split_off();
        track.first_seen = self.now;
        track.frames = 1;
        TrackUpdate { is_new: true, split_from: Some(old), ..track.update(seen.observation) }
    }

    fn begin(&mut self, seen: &Seen<V::Word>) -> TrackUpdate {
        let mut voice = V::default();
        voice.hear(seen.word.as_ref());
        let track = Track {
            id: self.number(),
            motion: Motion::first(&seen.rect),
            heading: Heading::first(&seen.rect, self.now),
            voice,
            first_seen: self.now,
            last_seen: self.now,
            frames: 1,
            missed: 0,
        };
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

impl<V: Voice> Track<V> {
    /// How badly a box fits where and as what the track is expected; a negative log-likelihood up to a constant.
    fn cost(&self, expected: &Motion, seen: &Seen<V::Word>) -> f32 {
        let misfit = expected.misfit(&seen.rect);
        let near = misfit.centre <= CENTRE_GATE && misfit.size <= SIZE_GATE;
        // The same plate does not hang in two places: when it is read again, it may have moved as it liked.
        if !near && !self.voice.says(seen.word.as_ref()) {
            return IMPOSSIBLE;
        }
        let place = (misfit.centre.min(CENTRE_GATE) + misfit.size.min(SIZE_GATE) / 2.0) / 2.0 + misfit.vagueness;
        let overlap = OVERLAP * expected.rect().iou(&seen.rect);
        let said = match self.voice.compare(seen.word.as_ref()) {
            Verdict::Same => return place.min(UNASSIGNED) + overlap + SAMENESS,
            Verdict::Agrees => AGREEMENT,
            Verdict::Unknown => 0.0,
            Verdict::Unsure => DOUBT,
            Verdict::Differs => DIFFERENCE,
        };
        place + overlap + said
    }

    fn update(&self, observation: usize) -> TrackUpdate {
        TrackUpdate {
            track: self.id,
            observation,
            is_new: false,
            split_from: None,
            disputed: false,
            first_seen: self.first_seen,
            frames: self.frames,
            direction: self.heading.direction(),
            speed: self.motion.speed(),
        }
    }

    fn end(&self, cause: EndCause) -> TrackEnd {
        let Self { id, first_seen, last_seen, frames, .. } = *self;
        TrackEnd { track: id, first_seen, last_seen, frames, cause }
    }
}

/// Boxes that are boxes, each plate or face once, the surest first; `boxes` tells box and score of an observation.
fn usable<V: Voice, O>(
    all: &[O],
    boxes: impl Fn(&O) -> (Rect, f32),
    word: impl Fn(&O) -> Option<V::Word>,
) -> Vec<Seen<V::Word>> {
    let mut order: Vec<usize> = (0..all.len()).filter(|&place| is_box(&boxes(&all[place]).0)).collect();
    order.sort_by(|&a, &b| boxes(&all[b]).1.total_cmp(&boxes(&all[a]).1));
    let mut kept: Vec<Seen<V::Word>> = Vec::with_capacity(order.len().min(MOST_BOXES));
    for observation in order.into_iter().take(MOST_BOXES) {
        let seen = Seen { observation, rect: boxes(&all[observation]).0, word: word(&all[observation]) };
        if !kept.iter().any(|other| is_duplicate::<V>(other, &seen)) {
            kept.push(seen);
        }
    }
    kept
}

fn is_box(rect: &Rect) -> bool {
    let finite = [rect.x1, rect.y1, rect.x2, rect.y2].iter().all(|side| side.is_finite() && side.abs() < 1e5);
    finite && rect.width() >= 1.0 && rect.height() >= 1.0
}

/// Two boxes of one plate or face; two of which one hides the other look different.
fn is_duplicate<V: Voice>(kept: &Seen<V::Word>, seen: &Seen<V::Word>) -> bool {
    let shared = kept.rect.intersection(&seen.rect) / kept.rect.area().min(seen.rect.area());
    let differ = matches!((&kept.word, &seen.word), (Some(a), Some(b)) if V::differ(a, b));
    shared > DUPLICATE && !differ
}
