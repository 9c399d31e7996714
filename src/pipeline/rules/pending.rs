//! What waits for the disk: inputs of the visits and events of the box that could not be committed yet.
//!
//! Promises: while the disk refuses nothing that comes once is lost, and what comes again with every frame is thinned so
//! that hours of refusal cost neither memory nor time. Inputs keep their order; a thinned presence moves forward by less
//! than [`Pending::new`]'s step, which is too short to end a stay or a visit.

use std::collections::HashMap;

use crate::domain::Uptime;
use crate::domain::event::Event;
use crate::domain::time::Moment;
use crate::domain::visit::{Input, TrackKey};

/// Inputs kept while the disk refuses; beyond, only the newest presence of each track is.
const MOST_INPUTS: usize = 10_000;
/// Events of the box kept while the disk refuses; beyond, the oldest goes.
const MOST_NOTICES: usize = 1_000;

/// Inputs of the visits that were not committed.
#[derive(Debug)]
pub(super) struct Pending {
    inputs: Vec<Input>,
    /// Presences of a track in one zone lie no further apart.
    step: Uptime,
    /// The disk refused the last time.
    refused: bool,
    /// Places of the last two presences of each track while the disk refuses.
    presences: HashMap<TrackKey, (Option<usize>, usize)>,
    /// Place of the last word about each member while the disk refuses.
    standings: HashMap<String, usize>,
    /// Place of the last expression of each track while the disk refuses.
    looks: HashMap<TrackKey, usize>,
}

impl Pending {
    /// `step`: how far apart presences of a parked vehicle may lie without a rule taking it for gone.
    pub fn new(step: Uptime) -> Self {
        Self {
            inputs: Vec::new(),
            step,
            refused: false,
            presences: HashMap::new(),
            standings: HashMap::new(),
            looks: HashMap::new(),
        }
    }

    /// In the order in which they came.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Did the disk refuse them? Then a frame is no reason to try again.
    pub fn waits(&self) -> bool {
        self.refused
    }

    /// They were committed.
    pub fn committed(&mut self) {
        *self = Self::new(self.step);
    }

    /// The disk refused; from now on they are thinned.
    pub fn refused(&mut self) {
        if !std::mem::replace(&mut self.refused, true) {
            let inputs = std::mem::take(&mut self.inputs);
            self.extend(inputs);
        }
    }

    pub fn extend(&mut self, inputs: impl IntoIterator<Item = Input>) {
        inputs.into_iter().for_each(|input| self.push(input));
    }

    pub fn push(&mut self, input: Input) {
        if !self.refused {
            return self.inputs.push(input);
        }
        if let Some(place) = self.place_of(&input) {
            self.inputs[place] = input;
            return;
        }
        if self.inputs.len() >= MOST_INPUTS {
            self.keep_newest_presences();
        }
        self.note(input);
    }

    /// Appends it, and remembers where it lies.
    fn note(&mut self, input: Input) {
        let place = self.inputs.len();
        match &input {
            Input::Presence { key, .. } => {
                let before = self.presences.get(key).map(|places| places.1);
                self.presences.insert(key.clone(), (before, place));
            }
            Input::MemberChanged { member_ref, .. } => {
                self.standings.insert(member_ref.clone(), place);
            }
            Input::Expression { key, .. } => {
                self.looks.insert(key.clone(), place);
            }
            Input::Sighting(_) | Input::TrackEnded { .. } => {}
        }
        self.inputs.push(input);
    }

    /// The older input that this one makes superfluous.
    fn place_of(&self, input: &Input) -> Option<usize> {
        match input {
            Input::MemberChanged { member_ref, .. } => self.standings.get(member_ref).copied(),
            Input::Expression { key, .. } => self.looks.get(key).copied(),
            Input::Presence { key, at, zone } => {
                let &(Some(before), last) = self.presences.get(key)? else { return None };
                let seen = |place: usize| match &self.inputs[place] {
                    Input::Presence { at, zone, .. } => Some((*at, zone)),
                    _ => None,
                };
                let ((then, there), (_, here)) = (seen(before)?, seen(last)?);
                let same = there.as_ref().map(|zone| &zone.id) == zone.as_ref().map(|zone| &zone.id)
                    && here.as_ref().map(|zone| &zone.id) == zone.as_ref().map(|zone| &zone.id);
                (same && at.saturating_sub(then) < self.step).then_some(last)
            }
            Input::Sighting(_) | Input::TrackEnded { .. } => None,
        }
    }

    fn keep_newest_presences(&mut self) {
        let newest: Vec<usize> = self.presences.values().map(|places| places.1).collect();
        let inputs = std::mem::take(&mut self.inputs);
        (self.presences, self.standings, self.looks) = Default::default();
        for (place, input) in inputs.into_iter().enumerate() {
            if !matches!(input, Input::Presence { .. }) || newest.contains(&place) {
                self.note(input);
            }
        }
    }
}

/// Events that are not about visits, in order, until they are committed.
#[derive(Debug, Default)]
pub(super) struct Notices(Vec<(Event, Moment)>);

impl Notices {
    /// An event that replaces an older one of the same key takes its place.
    pub fn push(&mut self, (event, at): (Event, Moment)) {
        if let Some(key) = event.superseded_key() {
            self.0.retain(|(older, _)| older.superseded_key().as_ref() != Some(&key));
        }
        if self.0.len() >= MOST_NOTICES {
            let (lost, _) = self.0.remove(0);
            tracing::error!(
                kind = lost.kind().name(),
                "The disk refuses for too long; an event of the box is given up."
            );
        }
        self.0.push((event, at));
    }

    pub fn extend(&mut self, notices: impl IntoIterator<Item = (Event, Moment)>) {
        notices.into_iter().for_each(|notice| self.push(notice));
    }

    pub fn iter(&self) -> impl Iterator<Item = &(Event, Moment)> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the newest back.
    pub fn pop(&mut self) {
        self.0.pop();
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::domain::event::{CameraState, DeviceCamera, ZoneRef};
    use crate::domain::site::ZoneKind;

    fn key(track: u64) -> TrackKey {
        TrackKey { camera: "gate".into(), track }
    }

    fn zone(id: &str) -> Option<ZoneRef> {
        Some(ZoneRef { id: id.into(), kind: ZoneKind::Bay, product: None })
    }

    fn presence(track: u64, at_ms: u64, id: &str) -> Input {
        Input::Presence { key: key(track), at: Duration::from_millis(at_ms), zone: zone(id) }
    }

    fn times(pending: &Pending, track: u64) -> Vec<u64> {
        let of = |input: &Input| match input {
            Input::Presence { key: found, at, .. } if *found == key(track) => Some(at.as_millis() as u64),
            _ => None,
        };
        pending.inputs().iter().filter_map(of).collect()
    }

    #[test]
    fn an_hour_of_a_parked_car_costs_little_and_keeps_first_last_and_no_gap() {
        let mut pending = Pending::new(Duration::from_secs(5));
        pending.push(presence(1, 0, "a"));
        pending.refused();
        for at in 1..36_000 {
            pending.push(presence(1, at * 100, "a"));
            pending.push(presence(2, at * 100, if at < 18_000 { "a" } else { "b" }));
        }
        let (parked, moved) = (times(&pending, 1), times(&pending, 2));
        assert!(parked.len() < 900, "{}", parked.len());
        assert_eq!((parked[0], *parked.last().unwrap()), (0, 3_599_900));
        assert!(parked.windows(2).all(|pair| pair[1] - pair[0] <= 5_000));
        assert!(moved.contains(&1_799_900) && moved.contains(&1_800_000), "when the zone changed");
    }

    #[test]
    fn the_newest_word_about_a_member_counts_and_what_comes_once_stays() {
        let mut pending = Pending::new(Duration::from_secs(5));
        pending.refused();
        for _ in 0..100 {
            pending.push(Input::MemberChanged { member_ref: "m1".into(), standing: None });
            pending.push(Input::TrackEnded { key: key(7) });
        }
        assert_eq!(pending.len(), 101);
        assert!(pending.waits());
        pending.committed();
        assert!(!pending.waits() && pending.inputs().is_empty());
    }

    #[test]
    fn beyond_the_bound_only_the_newest_presence_of_a_track_is_kept() {
        let mut pending = Pending::new(Duration::ZERO);
        pending.refused();
        pending.push(Input::TrackEnded { key: key(9) });
        for at in 0..3 * MOST_INPUTS as u64 {
            pending.push(presence(at % 3, at, "a"));
        }
        assert!(pending.len() <= MOST_INPUTS + 1, "{}", pending.len());
        assert!(matches!(pending.inputs()[0], Input::TrackEnded { .. }));
        for track in 0..3 {
            assert_eq!(*times(&pending, track).last().unwrap(), 3 * MOST_INPUTS as u64 - 3 + track);
        }
    }

    #[test]
    fn only_the_newest_state_of_a_camera_waits() {
        let at = Moment::new(Duration::ZERO, Timestamp::UNIX_EPOCH);
        let told = |camera: &str, state| {
            let since = Timestamp::UNIX_EPOCH;
            (Event::DeviceCamera(DeviceCamera { camera: camera.into(), state, reason: None, since }), at)
        };
        let mut notices = Notices::default();
        for _ in 0..50 {
            notices.push(told("gate", CameraState::Down));
            notices.push(told("lot", CameraState::Down));
            notices.push(told("gate", CameraState::Up));
        }
        assert_eq!(notices.iter().count(), 2);
        assert!(
            matches!(&notices.iter().last().unwrap().0, Event::DeviceCamera(last) if last.state == CameraState::Up)
        );
    }
}
