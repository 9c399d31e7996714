//! From what was seen to what is told: trackers, matching and visits, and the one transaction that makes it durable.
//!
//! Promises: an event leaves only after it was committed together with the state that brought it about; when the disk
//! refuses, nothing changes and the same events come out when it accepts again. Owns the only writing connection of the
//! spool, so acknowledgements of the broker are deleted here too.

mod closing;
mod envelope;
mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::members::Directory;
use super::watch::{Counts, Matching, Settled, Watch};
use crate::camera::CameraReport;
use crate::clock::{Boot, Clock};
use crate::config;
use crate::domain::Uptime;
use crate::domain::event::{self, CameraState, DeviceCamera, Event, ZoneRef};
use crate::domain::geometry::{Point, Polygon};
use crate::domain::observation::FrameObservation;
use crate::domain::plate::reading::Interpreter;
use crate::domain::time::Moment;
use crate::domain::tracking::TrackerSettings;
use crate::domain::visit::zones::ZoneMap;
use crate::domain::visit::{Change, Input, Now, VisitBook, VisitRules, VisitSettings};
use crate::store::spool::{Identity, NewEvent, RowKey, Spool, SpoolError, StoredEvent, VisitRow};
use closing::{Closing, closing};
use envelope::{Keep, camera_state, envelope};
use rows::{closed_row, open_row, saved_visits};

pub use closing::time_zone;
pub use envelope::{compose_drops, source};

/// Inputs kept while the disk refuses; presences go first, they are said again with the next frame.
const MOST_PENDING: usize = 10_000;
/// How often members with an open visit are looked up in the list.
const STANDING_EVERY: Duration = Duration::from_secs(5);
/// Pause between two complaints about the member list.
const COMPLAIN_EVERY: Duration = Duration::from_secs(30);
/// A crash costs no more of a visit's "last seen".
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// All rules of a box.
pub struct Rules {
    clock: Clock,
    boot: Boot,
    source: Arc<str>,
    keep: Keep,
    closing: Option<Closing>,
    directory: Directory,
    matching: Matching,
    watches: BTreeMap<String, Watch>,
    book: VisitBook,
    spool: Spool,
    pending: Vec<Input>,
    /// Events that are not about visits, in order.
    notices: Vec<(Event, Moment)>,
    told_cameras: BTreeMap<String, (CameraState, Option<String>)>,
    checked: Uptime,
    complained: Option<Uptime>,
}

/// What a person may want to know.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RulesStatus {
    /// By camera: what was counted.
    pub cameras: BTreeMap<String, Counts>,
    /// Vehicles in the pictures now.
    pub vehicles: usize,
    /// Members with an open visit.
    pub open_visits: usize,
    /// Plates that are matched.
    pub listed_plates: usize,
    /// Revision of the member list.
    pub list_revision: u64,
    /// Inputs that wait for the disk.
    pub pending: usize,
}

impl Rules {
    /// Puts the rules of a box together and takes up the visits that are under way.
    pub fn new(
        config: &config::Config,
        clock: Clock,
        boot: Boot,
        directory: Directory,
        mut spool: Spool,
        interpreter: &Interpreter,
        matching: Matching,
    ) -> anyhow::Result<Self> {
        let rules = VisitRules::new(&VisitSettings {
            absent_after: config.visits.absent_after,
            exit_grace: config.visits.exit_grace,
            dwell_marks: config.visits.dwell_marks.clone(),
            dwell_min: config.visits.dwell_min,
            // A visit that is over holds no dwell.
            dwell_gap: config.visits.dwell_gap.min(config.visits.absent_after),
            plate_in_events: config.privacy.plate_in_events,
            save_every: SAVE_EVERY,
        });
        // A new name for each run: numbers of visits begin anew without ever meeting old ones.
        let mut book = VisitBook::new(rules, &boot.run_name(spool.epoch()), 1);
        let moment = Moment::new(clock.uptime(), clock.wall_at(clock.uptime()));
        book.restore(saved_visits(&mut spool)?, moment.uptime, &boot.stamp(moment));
        let watches = config.cameras.iter().map(|camera| (camera.id.clone(), watch(camera, config, interpreter)));
        Ok(Self {
            watches: watches.collect(),
            closing: closing(config)?,
            keep: Keep { arrivals: config.outbox.keep_arrivals, dwell: config.outbox.keep_dwell },
            source: source(config).into(),
            pending: Vec::new(),
            notices: Vec::new(),
            told_cameras: BTreeMap::new(),
            checked: Uptime::ZERO,
            complained: None,
            clock,
            boot,
            directory,
            matching,
            book,
            spool,
        })
    }

    /// Takes what was seen in a frame and commits what follows from it.
    ///
    /// # Errors
    /// What the disk refused; nothing is lost, the next call tries again.
    pub fn frame(&mut self, frame: FrameObservation) -> anyhow::Result<Vec<StoredEvent>> {
        let now = self.moment(frame.at);
        if let Some(watch) = self.watches.get_mut(&frame.camera) {
            self.pending.extend(watch.frame(frame, now, &self.directory, &self.matching));
        }
        self.commit(now)
    }

    /// Lets time pass: tracks and visits end, leases run out, changes of the list take effect. At least once a second.
    ///
    /// # Errors
    /// As [`Rules::frame`].
    pub fn tick(&mut self, at: Uptime) -> anyhow::Result<Vec<StoredEvent>> {
        let now = self.moment(at);
        if self.boot.is_trusted() {
            self.book.clock_is_right(now);
        }
        // A member list that cannot be read must not keep visits from ending and events from being sent.
        if let Err(error) = self.take_up_list(now)
            && self.complained.is_none_or(|last| at.saturating_sub(last) >= COMPLAIN_EVERY)
        {
            self.complained = Some(at);
            tracing::error!("The member list cannot be read; the one in memory goes on: {error:#}");
        }
        for watch in self.watches.values_mut() {
            self.pending.extend(watch.pass(now, &self.directory, &self.matching));
        }
        let mut events = self.commit(now)?;
        events.extend(self.spool.maintain(now.wall, self.boot.quality())?);
        Ok(events)
    }

    fn take_up_list(&mut self, now: Moment) -> anyhow::Result<()> {
        let changed = self.directory.refresh()?;
        if changed {
            for watch in self.watches.values_mut() {
                self.pending.extend(watch.list_changed(now, &self.directory, &self.matching));
            }
        }
        if changed || now.uptime.saturating_sub(self.checked) >= STANDING_EVERY {
            self.check_standing(now)?;
        }
        Ok(())
    }

    /// Takes how the cameras are; a change is told with the next commit.
    pub fn cameras(&mut self, at: Uptime, reports: &[CameraReport]) {
        let now = self.moment(at);
        for report in reports {
            let Some(state) = camera_state(report) else { continue };
            if self.told_cameras.insert(report.id.clone(), state.clone()).as_ref() != Some(&state) {
                let (state, reason) = state;
                let event = DeviceCamera { camera: report.id.clone(), state, reason, since: now.wall };
                self.notices.push((Event::DeviceCamera(event), now));
            }
        }
    }

    /// Deletes what the broker has acknowledged.
    ///
    /// # Errors
    /// What the disk refused; the caller keeps the keys.
    pub fn acknowledged(&mut self, keys: &[RowKey]) -> Result<usize, SpoolError> {
        self.spool.acknowledged(keys)
    }

    /// Plates of a camera that need no reading for a while.
    pub fn settled(&self, camera: &str) -> Vec<Settled> {
        self.watches.get(camera).map_or_else(Vec::new, Watch::settled)
    }

    /// Are visits open or vehicles in the picture?
    pub fn is_quiet(&self) -> bool {
        self.book.members().next().is_none() && self.watches.values().all(|watch| watch.live() == 0)
    }

    /// The spool, for questions.
    pub fn spool(&mut self) -> &mut Spool {
        &mut self.spool
    }

    /// Open visits for a person's eyes.
    pub fn overview(&self) -> Vec<crate::domain::visit::Overview> {
        self.book.overview(self.moment(self.clock.uptime()))
    }

    /// What a person may want to know.
    pub fn status(&self) -> RulesStatus {
        RulesStatus {
            cameras: self.watches.iter().map(|(id, watch)| (id.clone(), watch.counts().clone())).collect(),
            vehicles: self.watches.values().map(Watch::live).sum(),
            open_visits: self.book.members().count(),
            listed_plates: self.directory.list().len(),
            list_revision: self.directory.revision(),
            pending: self.pending.len(),
        }
    }

    fn moment(&self, at: Uptime) -> Moment {
        Moment::new(at, self.clock.wall_at(at))
    }

    fn check_standing(&mut self, now: Moment) -> anyhow::Result<()> {
        self.checked = now.uptime;
        let members: Vec<String> = self.book.members().map(str::to_owned).collect();
        for member_ref in members {
            let standing = self.directory.standing(&member_ref, now.wall)?;
            self.pending.push(Input::MemberChanged { member_ref, standing });
        }
        Ok(())
    }

    /// Commits what follows from the pending inputs, then makes it true.
    fn commit(&mut self, now: Moment) -> anyhow::Result<Vec<StoredEvent>> {
        let last_closing = self.closing.as_ref().filter(|_| self.boot.is_trusted()).map(|each| each.last(now.wall));
        let change = self.book.propose(&Now { moment: now, last_closing }, &self.pending);
        let events = if change.is_durable() || !self.notices.is_empty() {
            match self.write(&change, now) {
                Ok(events) => events,
                Err(error) => {
                    self.bound_pending();
                    return Err(error).context("what was recognised waits until the spool can be written");
                }
            }
        } else {
            Vec::new()
        };
        self.book.apply(change);
        self.pending.clear();
        self.notices.clear();
        Ok(events)
    }

    fn write(&mut self, change: &Change, now: Moment) -> Result<Vec<StoredEvent>, SpoolError> {
        let stamp = self.boot.stamp(now);
        let rows: Vec<VisitRow> = change.saved().map(|(_, visit)| open_row(visit, now, &stamp)).collect();
        let closed: Vec<VisitRow> = change.closed().filter_map(|visit_id| closed_row(visit_id, change, now)).collect();
        let (source, boot, keep) = (Arc::clone(&self.source), &self.boot, self.keep);
        let visits = change.events.iter().map(|outgoing| (&outgoing.event, outgoing.at));
        let outgoing: Vec<_> = self.notices.iter().map(|(event, at)| (event, *at)).chain(visits).collect();
        let committed = self.spool.transaction(|tx| {
            for row in rows.iter().chain(&closed) {
                tx.put_visit(row)?;
            }
            for &(event, at) in &outgoing {
                let kind = event.kind();
                let make = |identity: &Identity| event::compose(&envelope(&source, boot, identity, at, now), event);
                tx.append(NewEvent {
                    class: kind.class(),
                    kind: kind.name(),
                    topic: &kind.topic(),
                    happened_at: at.wall,
                    expires_at: keep.until(kind.class(), at.wall),
                    supersedes: event.superseded_key().as_deref(),
                    make: &make,
                })?;
            }
            Ok(())
        })?;
        Ok(committed.events)
    }

    /// While the disk refuses: drops presences, which come again, and keeps what comes once.
    fn bound_pending(&mut self) {
        if self.pending.len() > MOST_PENDING {
            self.pending.retain(|input| !matches!(input, Input::Presence { .. } | Input::MemberChanged { .. }));
        }
    }
}

fn watch(camera: &config::Camera, config: &config::Config, interpreter: &Interpreter) -> Watch {
    let zones = camera.zones.iter().filter_map(|zone| {
        let corners = zone.polygon.iter().map(|&[x, y]| Point::new(x, y)).collect();
        let named = ZoneRef { id: zone.id.clone(), kind: zone.kind, product: zone.product.clone() };
        Some((named, Polygon::new(corners)?))
    });
    let zones = ZoneMap::new(&camera.id, camera.role, zones.collect());
    let tracker = TrackerSettings { lost_after: config.plates.track_lost_after, ..TrackerSettings::default() };
    Watch::new(&camera.id, camera.role, zones, tracker, interpreter.clone())
}
