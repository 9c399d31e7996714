//! How long something stays in a zone, and between which bounds that is known.

use serde::{Deserialize, Serialize};

use super::rules::{Tick, VisitRules};
use crate::domain::event::ZoneRef;

/// One stay in one zone, as it goes on.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Stay {
    pub camera: String,
    pub zone: ZoneRef,
    /// Place among the stays of the visit in this zone, from 1; given when it is first told.
    pub number: Option<u32>,
    /// First and last seen inside.
    pub first: Tick,
    pub last: Tick,
    /// Last seen outside before, and first seen outside since `last`.
    before: Option<Tick>,
    after: Option<Tick>,
    /// Marks that have been told.
    told: u32,
}

/// What a stay has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub min_ms: Tick,
    pub max_ms: Tick,
}

impl Stay {
    pub fn begun(camera: &str, zone: &ZoneRef, first: Tick, before: Option<Tick>) -> Self {
        let (camera, zone) = (camera.to_owned(), zone.clone());
        Self { camera, zone, number: None, first, last: first, before, after: None, told: 0 }
    }

    pub fn is_in(&self, camera: &str, zone: &ZoneRef) -> bool {
        self.camera == camera && self.zone.id == zone.id
    }

    pub fn seen_inside(&mut self, at: Tick) {
        self.last = self.last.max(at);
        self.after = None;
    }

    pub fn seen_outside(&mut self, at: Tick) {
        if at > self.last {
            self.after.get_or_insert(at);
        }
    }

    /// The highest mark that was reached and not told yet, from 1.
    pub fn next_mark(&mut self, rules: &VisitRules) -> Option<u32> {
        let reached = rules.marks_reached(self.last - self.first);
        (reached > self.told).then(|| {
            self.told = reached;
            reached
        })
    }

    /// When it is over unless seen inside again. Time in which the box saw nothing is not held against it.
    pub fn ends_at(&self, rules: &VisitRules, blind_until: Tick) -> Tick {
        self.last.max(blind_until) + rules.dwell_gap
    }

    /// So far: it was inside when last seen.
    pub fn so_far(&self) -> Bounds {
        self.bounds(self.last)
    }

    /// In the end; `end` is when it was given up.
    pub fn in_the_end(&self, end: Tick) -> Bounds {
        self.bounds(self.after.unwrap_or(end))
    }

    fn bounds(&self, end: Tick) -> Bounds {
        let min_ms = self.last - self.first;
        Bounds { min_ms, max_ms: (end - self.before.unwrap_or(self.first)).max(min_ms) }
    }

    /// The same with every instant moved.
    pub fn retime(&mut self, moved: &dyn Fn(Tick) -> Tick) {
        self.first = moved(self.first);
        self.last = moved(self.last);
        self.before = self.before.map(moved);
        self.after = self.after.map(moved);
    }
}
