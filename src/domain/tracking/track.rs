//! One track: where it is and where it is expected, what it said, and how well a box fits it.

use super::boxes::Seen;
use super::heading::Heading;
use super::motion::Motion;
use super::{EndCause, TrackEnd, TrackId, TrackUpdate, Verdict, Voice};
use crate::domain::Uptime;
use crate::domain::geometry::Rect;

/// A box is rather a new track than one that it fits at a higher cost.
pub(super) const UNASSIGNED: f32 = 12.0;
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

/// Something that is followed.
#[derive(Clone, Debug)]
pub(super) struct Track<V> {
    pub(super) id: TrackId,
    pub(super) motion: Motion,
    heading: Heading,
    pub(super) voice: V,
    first_seen: Uptime,
    pub(super) last_seen: Uptime,
    frames: u32,
    /// Frames since `last_seen`.
    pub(super) missed: u32,
}

impl<V: Voice> Track<V> {
    /// In its first frame.
    pub(super) fn first(id: TrackId, seen: &Seen<V::Word>, at: Uptime) -> Self {
        let mut voice = V::default();
        voice.hear(seen.word.as_ref());
        Self {
            id,
            motion: Motion::first(&seen.rect),
            heading: Heading::first(&seen.rect, at),
            voice,
            first_seen: at,
            last_seen: at,
            frames: 1,
            missed: 0,
        }
    }

    /// Takes its place in another frame.
    pub(super) fn seen(&mut self, rect: &Rect, at: Uptime) {
        let dt = at.saturating_sub(self.last_seen).as_secs_f32();
        self.motion = self.motion.predicted(dt).corrected(rect);
        self.heading.seen(rect, at);
        self.last_seen = at;
        self.frames = self.frames.saturating_add(1);
        self.missed = 0;
    }

    /// It has followed another one since some frames: place and movement stay, the rest is the other one's.
    pub(super) fn become_other(&mut self, id: TrackId, at: Uptime) {
        self.id = id;
        self.voice = self.voice.split_off();
        self.first_seen = at;
        self.frames = 1;
    }

    /// How badly a box fits where and as what the track is expected; a negative log-likelihood up to a constant.
    pub(super) fn cost(&self, expected: &Motion, seen: &Seen<V::Word>) -> f32 {
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

    pub(super) fn update(&self, observation: usize) -> TrackUpdate {
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

    pub(super) fn end(&self, cause: EndCause) -> TrackEnd {
        let Self { id, first_seen, last_seen, frames, .. } = *self;
        TrackEnd { track: id, first_seen, last_seen, frames, cause }
    }
}
