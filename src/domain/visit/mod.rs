//! Joins sightings of members into visits, and says what the platform is told of them.
//!
//! Promises: one `arrival` and one `departure` a visit; durations come from the uptime, so that a step of the wall clock
//! changes none; open visits survive a restart ([`Visit::save`](state::Visit), [`VisitBook::restore`]).
//!
//! **Nothing changes before it is committed.** [`VisitBook::propose`] changes nothing: it hands out a [`Change`] with the
//! events to append and the visits to save. The caller commits them in one transaction and then calls
//! [`VisitBook::apply`]. When the commit fails, it drops the change, keeps its sightings and proposes them again: the same
//! events come out, with the same visit ids.
//!
//! Left to others: which track is which member (`plate`), where a plate is (`zones`), when the site closes (the caller).

mod draft;
mod dwell;
mod echo;
mod input;
mod rules;
mod state;
mod telling;
#[cfg(test)]
mod tests;
pub mod zones;

use std::collections::BTreeMap;

pub use echo::SavedEcho;
pub use input::{Input, MemberFacts, Now, Sighting, Standing, TrackKey};
pub use rules::{VisitRules, VisitSettings};
pub use state::{SavedVisit, Visit};

use draft::Draft;
use rules::{Tick, tick};

use super::Uptime;
use super::event::{Event, Modality};
use super::time::{Moment, Stamp};

/// A member who left through an exit and is still seen there has not come back; for so long after the last look.
const ECHO: Tick = 120_000;

/// Members who were first seen by one camera within this time may have come together.
const TOGETHER: Tick = 20_000;

/// How long after a restart cameras may take to show again who is there.
const WARM_UP: Tick = 60_000;

/// The open visits of a site.
#[derive(Clone, Debug)]
pub struct VisitBook {
    rules: VisitRules,
    epoch: String,
    next: u64,
    visits: BTreeMap<String, Visit>,
    echoes: BTreeMap<String, Tick>,
    /// Up to then the box saw nothing, because it was not running.
    blind_until: Tick,
}

/// What must be committed, then applied.
#[derive(Clone, Debug)]
pub struct Change {
    /// Events to append, in order.
    pub events: Vec<Outgoing>,
    touched: BTreeMap<String, Touched>,
    echoes: BTreeMap<String, Tick>,
    next: u64,
    now: Uptime,
}

/// An event, and when it happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// What is told.
    pub event: Event,
    /// When it happened, by both clocks; never after the present.
    pub at: Moment,
}

#[derive(Clone, Debug)]
enum Touched {
    /// Only in memory: a newer "last seen".
    Kept(Visit),
    /// To be saved.
    Changed(Visit),
    /// To be removed.
    Closed,
}

/// One open visit, for a person's eyes.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// Its name.
    pub visit_id: String,
    /// Whose it is.
    pub member: MemberFacts,
    /// By what it was recognised.
    pub modality: Modality,
    /// When it began.
    pub arrived: Moment,
    /// When the member was last seen.
    pub last_seen: Moment,
    /// The camera that saw it then.
    pub camera: String,
    /// Zones it is in now.
    pub zones: Vec<String>,
}

impl VisitBook {
    /// Without visits. Ids are `EPOCH-NUMBER`; `next` is the first number that was never given in this epoch, see
    /// [`Change::next_number`].
    pub fn new(rules: VisitRules, epoch: &str, next: u64) -> Self {
        Self { rules, epoch: epoch.to_owned(), next, visits: BTreeMap::new(), echoes: BTreeMap::new(), blind_until: 0 }
    }

    /// Takes up the visits that another run of the program saved. No event comes of it: a visit that is over ends with the
    /// next proposal, one that goes on goes on. Time in which the box did not run counts for how long a stay was, not as
    /// absence. `uptime` and `stamp` are the present.
    ///
    /// The caller then tells how the list has each of [`VisitBook::members`] now; it may have changed meanwhile.
    pub fn restore(&mut self, saved: Vec<SavedVisit>, uptime: Uptime, stamp: &Stamp) {
        if saved.is_empty() {
            // Who comes after the start was not overlooked before it.
            return;
        }
        self.blind_until = tick(uptime) + WARM_UP.min(self.rules.absent_after);
        for SavedVisit { mut visit, uptime_ms, stamp: then } in saved {
            visit.take_up(uptime_ms, tick(uptime), stamp, &then);
            self.visits.insert(visit.visit_id.clone(), visit);
        }
    }

    /// The wall clock can be trusted: visits that were restored before it could get back the time without power. Cheap,
    /// and nothing the second time, so that it may be called with every tick. Needs no commit: until the next save the
    /// same comes out again.
    pub fn clock_is_right(&mut self, now: Moment) {
        self.visits.values_mut().for_each(|visit| visit.repair(now));
    }

    /// What follows from the inputs, in their order, and from the time that has passed. Changes nothing.
    ///
    /// Call it with the inputs of a frame as they come, and without any at least once a second.
    pub fn propose(&self, now: &Now, inputs: &[Input]) -> Change {
        let mut draft = Draft::new(self, *now);
        for input in inputs {
            draft.take(input);
        }
        draft.finish()
    }

    /// Makes a change true, once it was committed (or when it [has nothing to commit](Change::is_durable)).
    pub fn apply(&mut self, change: Change) {
        for (visit_id, touched) in change.touched {
            match touched {
                Touched::Kept(visit) | Touched::Changed(visit) => self.visits.insert(visit_id, visit),
                Touched::Closed => self.visits.remove(&visit_id),
            };
        }
        self.next = change.next;
        self.echoes.extend(change.echoes);
        self.echoes.retain(|_, until| *until > tick(change.now));
    }

    /// Is the track a member's? Then its presence should be told.
    pub fn follows(&self, key: &TrackKey) -> bool {
        self.visits.values().flat_map(|visit| &visit.carriers).any(|carrier| carrier.tracks.contains(key))
    }

    /// Members with an open visit, whose changes in the list should be told.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.visits.values().map(|visit| visit.member.member_ref.as_str())
    }

    /// The open visits in order of their ids.
    pub fn overview(&self, now: Moment) -> Vec<Overview> {
        self.visits.values().map(|visit| visit.overview(now)).collect()
    }
}

impl Change {
    /// Is there anything to commit? If not, it may be applied at once.
    pub fn is_durable(&self) -> bool {
        !self.events.is_empty()
            || !self.echoes.is_empty()
            || self.touched.values().any(|touched| !matches!(touched, Touched::Kept(_)))
    }

    /// Visits to save, by id.
    pub fn saved(&self) -> impl Iterator<Item = (&str, &Visit)> {
        self.touched.iter().filter_map(|(visit_id, touched)| match touched {
            Touched::Changed(visit) => Some((visit_id.as_str(), visit)),
            Touched::Kept(_) | Touched::Closed => None,
        })
    }

    /// Visits to remove, by id.
    pub fn closed(&self) -> impl Iterator<Item = &str> {
        let closed = self.touched.iter().filter(|(_, touched)| matches!(touched, Touched::Closed));
        closed.map(|(visit_id, _)| visit_id.as_str())
    }

    /// The number of the next visit, to be saved with the change.
    pub fn next_number(&self) -> u64 {
        self.next
    }
}
