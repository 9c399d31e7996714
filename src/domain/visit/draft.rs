//! A proposal in the making: visits are copied when they are first touched, the book stays as it is.

use std::collections::BTreeMap;

use super::dwell::Stay;
use super::input::{Input, Now, Sighting, Standing, TrackKey};
use super::rules::{Tick, tick};
use super::state::{LastLook, Visit};
use super::telling::moment_of;
use super::{Change, ECHO, Outgoing, TOGETHER, Touched, VisitBook};
use crate::domain::event::{ClosedBy, Event, Look, ZoneRef};
use crate::domain::site::CameraRole;

pub(super) struct Draft<'a> {
    book: &'a VisitBook,
    now: Now,
    touched: BTreeMap<String, Touched>,
    echoes: BTreeMap<String, Tick>,
    events: Vec<Outgoing>,
    next: u64,
}

impl<'a> Draft<'a> {
    pub fn new(book: &'a VisitBook, now: Now) -> Self {
        let (touched, echoes) = (BTreeMap::new(), BTreeMap::new());
        Self { book, now, touched, echoes, events: Vec::new(), next: book.next }
    }

    /// Takes an input, after everything that was due before it.
    pub fn take(&mut self, input: &Input) {
        match input {
            Input::Sighting(sighting) => {
                self.pass(tick(sighting.at));
                self.sighting(sighting);
            }
            Input::Presence { key, at, zone } => {
                self.pass(tick(*at));
                self.presence(key, tick(*at), zone.as_ref());
            }
            Input::Expression { key, at, look } => self.expression(key, tick(*at), look),
            Input::TrackEnded { key } => self.track_ended(key),
            Input::MemberChanged { member_ref, standing } => self.member_changed(member_ref, standing.as_ref()),
        }
    }

    /// Lets the time pass up to the present, and closes the proposal.
    pub fn finish(mut self) -> Change {
        let now = self.now_tick();
        self.pass(now);
        self.save_old(now);
        let Self { touched, echoes, events, next, .. } = self;
        Change { events, touched, echoes, next, now: self.now.moment.uptime }
    }

    fn now_tick(&self) -> Tick {
        tick(self.now.moment.uptime)
    }

    /// Open visits as they stand in this draft.
    fn open(&self) -> impl Iterator<Item = &Visit> {
        let untouched =
            self.book.visits.iter().filter(|(id, _)| !self.touched.contains_key(*id)).map(|(_, visit)| visit);
        let touched = self.touched.values().filter_map(|touched| match touched {
            Touched::Kept(visit) | Touched::Changed(visit) => Some(visit),
            Touched::Closed => None,
        });
        untouched.chain(touched)
    }

    /// Ids of open visits of which something holds, in order.
    fn ids_where(&self, holds: impl Fn(&Visit) -> bool) -> Vec<String> {
        let mut ids: Vec<String> =
            self.open().filter(|visit| holds(visit)).map(|visit| visit.visit_id.clone()).collect();
        ids.sort_unstable();
        ids
    }

    fn copy_of(&self, visit_id: &str) -> Option<Visit> {
        match self.touched.get(visit_id) {
            Some(Touched::Kept(visit) | Touched::Changed(visit)) => Some(visit.clone()),
            Some(Touched::Closed) => None,
            None => self.book.visits.get(visit_id).cloned(),
        }
    }

    /// Puts a visit back; `durable` when it must reach the disk.
    fn put(&mut self, mut visit: Visit, durable: bool) {
        let durable = durable || matches!(self.touched.get(&visit.visit_id), Some(Touched::Changed(_)));
        if durable {
            visit.saved = self.now_tick();
        }
        let touched = if durable { Touched::Changed } else { Touched::Kept };
        self.touched.insert(visit.visit_id.clone(), touched(visit));
    }

    fn tell(&mut self, event: Event, at: Tick) {
        let at = at.min(self.now_tick());
        self.events.push(Outgoing { event, at: moment_of(at, self.now.moment) });
    }

    fn sighting(&mut self, sighting: &Sighting) {
        let member_ref = &sighting.member.member_ref;
        let open = self.ids_where(|visit| visit.member.member_ref == *member_ref).pop();
        match open.and_then(|visit_id| self.copy_of(&visit_id)) {
            Some(visit) => self.seen(visit, sighting),
            None if self.is_echo(sighting) => {
                self.echoes.insert(member_ref.clone(), tick(sighting.at) + ECHO);
            }
            None => self.arrival(sighting),
        }
    }

    /// Still at the exit through which the member just left?
    fn is_echo(&self, sighting: &Sighting) -> bool {
        let member_ref = &sighting.member.member_ref;
        let until = self.echoes.get(member_ref).or_else(|| self.book.echoes.get(member_ref));
        sighting.role == CameraRole::Exit && until.is_some_and(|&until| tick(sighting.at) < until)
    }

    fn arrival(&mut self, sighting: &Sighting) {
        let mut visit = Visit::opened(format!("{}-{}", self.book.epoch, self.next), sighting);
        self.next += 1;
        self.acquaint(&mut visit);
        let arrival = visit.arrival(sighting, &self.book.rules, self.now.moment);
        self.tell(Event::Arrival(arrival), tick(sighting.at));
        self.seen(visit, sighting);
    }

    /// Visits that began together name each other.
    fn acquaint(&mut self, visit: &mut Visit) {
        let began = |visit: &Visit| (visit.began.sure.camera.clone(), visit.began.at);
        let (camera, at) = began(visit);
        for other in self.ids_where(|other| {
            let (there, then) = began(other);
            there == camera && (at - then).abs() <= TOGETHER
        }) {
            let Some(mut companion) = self.copy_of(&other) else { continue };
            companion.companions.push(visit.visit_id.clone());
            self.put(companion, true);
            visit.companions.push(other);
        }
    }

    fn seen(&mut self, mut visit: Visit, sighting: &Sighting) {
        let place = visit.join(sighting);
        if !visit.member.dwell {
            visit.forget_dwell();
        }
        let path = &sighting.whereabouts;
        let (since, elsewhere) = (tick(path.since()), path.elsewhere().map(tick));
        self.step(&mut visit, place, &sighting.key.camera, path.zone(), (since, elsewhere, tick(sighting.at)));
        self.put(visit, true);
    }

    fn presence(&mut self, key: &TrackKey, at: Tick, zone: Option<&ZoneRef>) {
        for visit_id in self.ids_where(|visit| visit.carriers.iter().any(|carrier| carrier.tracks.contains(key))) {
            let Some(mut visit) = self.copy_of(&visit_id) else { continue };
            let mut durable = false;
            for place in 0..visit.carriers.len() {
                if visit.carriers[place].tracks.contains(key) {
                    visit.carriers[place].seen(&key.camera, at);
                    durable |= self.step(&mut visit, place, &key.camera, zone, (at, None, at));
                }
            }
            self.put(visit, durable);
        }
    }

    /// A carrier was seen in a zone or in none. True when something happened that must be saved.
    fn step(
        &mut self,
        visit: &mut Visit,
        place: usize,
        camera: &str,
        zone: Option<&ZoneRef>,
        (since, elsewhere, at): (Tick, Option<Tick>, Tick),
    ) -> bool {
        if !visit.member.dwell {
            return false;
        }
        let began = visit.carriers[place].step(camera, zone, since, elsewhere, at);
        let Some(zone) = zone else { return began };
        let Some(stay) = visit.carriers[place].stays.iter().position(|stay| stay.is_in(camera, zone)) else {
            return began;
        };
        self.mark(visit, place, stay) || began
    }

    /// Tells the highest mark that a stay has newly reached.
    fn mark(&mut self, visit: &mut Visit, place: usize, stay: usize) -> bool {
        let Some(mark) = visit.carriers[place].stays[stay].next_mark(&self.book.rules) else { return false };
        let mut current = visit.carriers[place].stays[stay].clone();
        let told = (visit.number(&mut current), Some(mark), current.so_far());
        let dwell = visit.dwell(&visit.carriers[place].best, &current, told, &self.book.rules, self.now.moment);
        self.tell(Event::Dwell(dwell), current.last);
        visit.carriers[place].stays[stay] = current;
        true
    }

    fn track_ended(&mut self, key: &TrackKey) {
        for visit_id in self.ids_where(|visit| visit.carriers.iter().any(|carrier| carrier.tracks.contains(key))) {
            let Some(mut visit) = self.copy_of(&visit_id) else { continue };
            visit.carriers.iter_mut().for_each(|carrier| carrier.tracks.retain(|track| track != key));
            self.put(visit, false);
        }
    }

    fn member_changed(&mut self, member_ref: &str, standing: Option<&Standing>) {
        for visit_id in self.ids_where(|visit| visit.member.member_ref == member_ref && differs(visit, standing)) {
            let Some(mut visit) = self.copy_of(&visit_id) else { continue };
            if let Some(standing) = standing {
                visit.carriers.retain(|carrier| carrier.is_allowed(standing));
                visit.member = standing.facts.clone();
            }
            if standing.is_none() || visit.carriers.is_empty() {
                self.close(visit, self.now_tick(), ClosedBy::Withdrawn);
                continue;
            }
            if !visit.member.dwell {
                visit.forget_dwell();
            }
            if !visit.member.expression {
                visit.look = None;
            }
            self.put(visit, true);
        }
    }

    fn expression(&mut self, key: &TrackKey, at: Tick, look: &Look) {
        for visit_id in self.ids_where(|visit| {
            visit.member.expression && visit.carriers.iter().any(|carrier| carrier.tracks.contains(key))
        }) {
            let Some(mut visit) = self.copy_of(&visit_id) else { continue };
            visit.look = Some(LastLook { at, camera: key.camera.clone(), look: look.clone() });
            self.put(visit, false);
        }
    }

    /// Ends what was due by `at`: stays, then visits.
    fn pass(&mut self, at: Tick) {
        for visit_id in self.ids_where(|visit| self.is_due(visit, at)) {
            let Some(mut visit) = self.copy_of(&visit_id) else { continue };
            if let Some((when, closed_by)) = self.end_of(&visit, at) {
                self.end_stays(&mut visit, when, true);
                self.close(visit, when, closed_by);
            } else {
                self.end_stays(&mut visit, at, false);
                self.put(visit, true);
            }
        }
    }

    fn is_due(&self, visit: &Visit, at: Tick) -> bool {
        let (rules, blind) = (&self.book.rules, self.book.blind_until);
        let mut stays = visit.carriers.iter().flat_map(|carrier| &carrier.stays);
        self.end_of(visit, at).is_some() || stays.any(|stay| stay.ends_at(rules, blind) < at)
    }

    /// When and how the visit ended, if it did by `at`.
    fn end_of(&self, visit: &Visit, at: Tick) -> Option<(Tick, ClosedBy)> {
        let quiet = visit.ends_at(&self.book.rules, self.book.blind_until);
        let closing = self.closing_tick().map(|closing| (closing, ClosedBy::ClosingHour));
        let closing = closing.filter(|(when, _)| visit.began.at < *when);
        let first = closing.into_iter().chain([quiet]).min_by_key(|(when, _)| *when)?;
        (first.0 <= at).then_some(first)
    }

    /// The site's last closing hour on the time line.
    fn closing_tick(&self) -> Option<Tick> {
        let ago = self.now.moment.wall.duration_since(self.now.last_closing?);
        let ago = Tick::try_from(ago.as_millis()).ok()?;
        (ago >= 0).then(|| self.now_tick() - ago)
    }

    /// Ends the stays that were due by `at`, or all.
    fn end_stays(&mut self, visit: &mut Visit, at: Tick, all: bool) {
        let blind = self.book.blind_until;
        for place in 0..visit.carriers.len() {
            let rules = &self.book.rules;
            let (over, on): (Vec<Stay>, Vec<Stay>) = std::mem::take(&mut visit.carriers[place].stays)
                .into_iter()
                .partition(|stay| all || stay.ends_at(rules, blind) < at);
            visit.carriers[place].stays = on;
            for stay in over {
                let end = stay.ends_at(rules, blind).min(at);
                self.end_stay(visit, place, stay, end);
            }
        }
    }

    fn end_stay(&mut self, visit: &mut Visit, place: usize, mut stay: Stay, end: Tick) {
        let rules = &self.book.rules;
        let bounds = stay.in_the_end(end);
        if bounds.min_ms < rules.dwell_min {
            return;
        }
        let told = (visit.number(&mut stay), None, bounds);
        let total = visit.total(&stay.camera, &stay.zone);
        total.stays += 1;
        total.min_ms += bounds.min_ms;
        total.max_ms += bounds.max_ms;
        let dwell = visit.dwell(&visit.carriers[place].best, &stay, told, rules, self.now.moment);
        self.tell(Event::Dwell(dwell), end);
    }

    fn close(&mut self, visit: Visit, at: Tick, closed_by: ClosedBy) {
        if closed_by == ClosedBy::Exit
            && let Some(last) = visit.look.as_ref().filter(|_| visit.member.expression)
        {
            let event = visit.exit_expression(last, &self.book.rules, self.now.moment);
            self.tell(Event::ExitExpression(event), last.at);
        }
        let departure = visit.departure(closed_by, &self.book.rules, self.now.moment);
        self.tell(Event::Departure(departure), at);
        if closed_by == ClosedBy::Exit {
            self.echoes.insert(visit.member.member_ref.clone(), at + ECHO);
        }
        self.touched.insert(visit.visit_id, Touched::Closed);
    }

    /// Saves the "last seen" of visits that were touched and not saved for a while.
    fn save_old(&mut self, now: Tick) {
        let every = self.book.rules.save_every;
        for touched in self.touched.values_mut() {
            if let Touched::Kept(visit) = touched
                && now.saturating_sub(visit.saved) >= every
            {
                visit.saved = now;
                *touched = Touched::Changed(visit.clone());
            }
        }
    }
}

/// Does the list say anything new of the visit's member? Asked every few seconds, so that most often it does not.
fn differs(visit: &Visit, standing: Option<&Standing>) -> bool {
    standing.is_none_or(|standing| {
        visit.member != standing.facts || !visit.carriers.iter().all(|carrier| carrier.is_allowed(standing))
    })
}
