//! From what was seen to what is told: trackers, matching and visits, and the one transaction that makes it durable.
//!
//! Promises: an event leaves only after it was committed together with the state that brought it about; when the disk
//! refuses, nothing changes and the same events come out when it accepts again. Owns the only writing connection of the
//! spool, so acknowledgements of the broker are deleted here too.

mod closing;
mod envelope;
mod pending;
mod rows;
mod setup;
mod status;
mod strangers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::eyes::Attention;
use super::members::{Directory, News};
use super::people::PeopleWatch;
use super::watch::{Matching, ShadowStatus, Watch};
use crate::camera::CameraReport;
use crate::clock::{Boot, Clock};
use crate::config;
use crate::domain::Uptime;
use crate::domain::event::{self, CameraState, DeviceCamera, Event};
use crate::domain::observation::FrameObservation;
use crate::domain::plate::reading::Interpreter;
use crate::domain::time::Moment;
use crate::domain::visit::{Change, Input, Now, VisitBook};
use crate::store::spool::{EchoRow, Identity, NewEvent, RowKey, Spool, SpoolError, StoredEvent, VisitRow};
use closing::{Closing, closing};
use envelope::{Keep, camera_state, envelope};
use pending::{Notices, Pending};
use rows::{closed_row, echo_row, open_row, saved_echoes, saved_visits};
use setup::{longest_step, people, visit_rules, watch};
use strangers::Strangers;

pub use closing::time_zone;
pub use envelope::{compose_drops, source};
pub use status::RulesStatus;

/// How often members with an open visit are looked up in the list.
const STANDING_EVERY: Duration = Duration::from_secs(5);
/// Pause between two complaints about the member list.
const COMPLAIN_EVERY: Duration = Duration::from_secs(30);
/// Said while the disk refuses.
const WAITS: &str = "what was recognised waits until the spool can be written";
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
    people: BTreeMap<String, PeopleWatch>,
    strangers: Option<Strangers>,
    book: VisitBook,
    spool: Spool,
    pending: Pending,
    /// Events that are not about visits.
    notices: Notices,
    told_cameras: BTreeMap<String, (CameraState, Option<String>)>,
    shadow: ShadowStatus,
    checked: Uptime,
    complained: Option<Uptime>,
}

/// How what inference sees is understood.
pub struct Recognition {
    /// Grammar of the region and the reader's errors.
    pub interpreter: Interpreter,
    /// How strictly plates are matched.
    pub matching: Matching,
    /// Embedding space of the faces; none when no camera reads faces.
    pub space: Option<String>,
}

impl Rules {
    /// Puts the rules of a box together and takes up the visits that are under way.
    pub fn new(
        config: &config::Config,
        clock: Clock,
        boot: Boot,
        directory: Directory,
        mut spool: Spool,
        recognition: Recognition,
    ) -> anyhow::Result<Self> {
        let Recognition { interpreter, matching, space } = recognition;
        // A new name for each run: numbers of visits begin anew without ever meeting old ones.
        let mut book = VisitBook::new(visit_rules(config), &boot.run_name(spool.epoch()), 1);
        let moment = Moment::new(clock.uptime(), clock.wall_at(clock.uptime()));
        book.restore(saved_visits(&mut spool)?, moment.uptime, &boot.stamp(moment));
        book.restore_echoes(saved_echoes(&mut spool)?, moment.uptime, &boot.stamp(moment));
        let watches = config.cameras.iter().map(|camera| (camera.id.clone(), watch(camera, config, &interpreter)));
        let people = people(config, space.unwrap_or_default());
        Ok(Self {
            watches: watches.collect(),
            people,
            strangers: config.privacy.stranger_count.then(Strangers::default),
            closing: closing(config)?,
            keep: Keep::new(&config.outbox),
            source: source(config).into(),
            pending: Pending::new(longest_step(&config.visits)),
            notices: Notices::default(),
            told_cameras: BTreeMap::new(),
            shadow: ShadowStatus::default(),
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

    /// Takes what was seen in a frame and commits what follows from it. While the disk refuses, what was seen waits for
    /// [`Rules::tick`] to try again.
    ///
    /// # Errors
    /// What the disk refused; nothing is lost.
    pub fn frame(&mut self, mut frame: FrameObservation) -> anyhow::Result<Vec<StoredEvent>> {
        let now = self.moment(frame.at);
        let (faces, size) = (std::mem::take(&mut frame.faces), frame.size);
        if let Some(people) = self.people.get_mut(&frame.camera) {
            self.pending.extend(people.frame(faces, size, now, &self.directory));
        }
        if let Some(watch) = self.watches.get_mut(&frame.camera) {
            self.pending.extend(watch.frame(frame, now, &self.directory, &self.matching));
        }
        if self.pending.waits() { Ok(Vec::new()) } else { self.commit(now) }
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
            self.shadow.add(watch.take_shadow());
        }
        for people in self.people.values_mut() {
            self.pending.extend(people.pass(now, &self.directory));
        }
        self.count_strangers(now);
        self.directory.keep_house(now, self.boot.is_trusted());
        if self.pending.waits() {
            // Asked first: a proposal from all that waits is not made for a disk that is still full.
            self.spool.ready().context(WAITS)?;
        }
        let mut events = self.commit(now)?;
        events.extend(self.spool.maintain(now.wall, self.boot.quality())?);
        Ok(events)
    }

    fn take_up_list(&mut self, now: Moment) -> anyhow::Result<()> {
        let news = self.directory.refresh(now.wall)?;
        if news == News::TakenUp {
            for watch in self.watches.values_mut() {
                self.pending.extend(watch.list_changed(now, &self.directory, &self.matching));
            }
        }
        if news != News::Nothing {
            for people in self.people.values_mut() {
                self.pending.extend(people.list_changed(now, &self.directory));
            }
        }
        // A member who was removed has left at once, also while the index is still being built.
        if news != News::Nothing || now.uptime.saturating_sub(self.checked) >= STANDING_EVERY {
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

    /// Tells the platform something that is not about visits.
    ///
    /// # Errors
    /// What the disk refused; then nothing is told, and the caller tries again.
    pub fn tell(&mut self, event: Event) -> anyhow::Result<Vec<StoredEvent>> {
        let now = self.moment(self.clock.uptime());
        self.notices.push((event, now));
        let told = self.commit(now);
        if told.is_err() {
            self.notices.pop();
        }
        told
    }

    /// Takes up a change of the member list at once.
    ///
    /// # Errors
    /// When it cannot be read; the next tick tries again.
    pub fn list_changed(&mut self) -> anyhow::Result<()> {
        let now = self.moment(self.clock.uptime());
        self.take_up_list(now)
    }

    /// Deletes what the broker has acknowledged.
    ///
    /// # Errors
    /// What the disk refused; the caller keeps the keys.
    pub fn acknowledged(&mut self, keys: &[RowKey]) -> Result<usize, SpoolError> {
        self.spool.acknowledged(keys)
    }

    /// What is worth a look in the next frame of a camera.
    pub fn attention(&self, camera: &str) -> Attention {
        Attention {
            settled: self.watches.get(camera).map_or_else(Vec::new, Watch::settled),
            faces: self.people.get(camera).map_or_else(Vec::new, PeopleWatch::attention),
            faces_allowed: self.directory.faces_allowed(),
        }
    }

    /// The spool, for questions.
    pub fn spool(&mut self) -> &mut Spool {
        &mut self.spool
    }

    fn count_strangers(&mut self, now: Moment) {
        let Some(strangers) = &mut self.strangers else { return };
        let ended = strangers.quarter_ended(now.wall);
        self.notices.extend(ended.into_iter().map(|count| {
            let at = Moment::new(now.uptime, count.until);
            (Event::StrangerCount(count), at)
        }));
        for (camera, watch) in &mut self.watches {
            strangers.add(camera, watch.take_strangers(), 0);
        }
        for (camera, people) in &mut self.people {
            strangers.add(camera, 0, people.take_strangers());
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
        let change = self.book.propose(&Now { moment: now, last_closing }, self.pending.inputs());
        let events = if change.is_durable() || !self.notices.is_empty() {
            match self.write(&change, now) {
                Ok(events) => events,
                Err(error) => {
                    self.pending.refused();
                    return Err(error).context(WAITS);
                }
            }
        } else {
            Vec::new()
        };
        self.book.apply(change);
        self.pending.committed();
        self.notices.clear();
        Ok(events)
    }

    fn write(&mut self, change: &Change, now: Moment) -> Result<Vec<StoredEvent>, SpoolError> {
        let stamp = self.boot.stamp(now);
        let rows: Vec<VisitRow> = change.saved().map(|(_, visit)| open_row(visit, now, &stamp)).collect();
        let closed: Vec<VisitRow> = change.closed().filter_map(|visit_id| closed_row(visit_id, change, now)).collect();
        let echoes: Vec<EchoRow> = change.echoes(now.uptime, &stamp).map(|echo| echo_row(&echo, now)).collect();
        let (source, boot, keep) = (Arc::clone(&self.source), &self.boot, self.keep);
        let visits = change.events.iter().map(|outgoing| (&outgoing.event, outgoing.at));
        let outgoing: Vec<_> = self.notices.iter().map(|(event, at)| (event, *at)).chain(visits).collect();
        let committed = self.spool.transaction(|tx| {
            for row in rows.iter().chain(&closed) {
                tx.put_visit(row)?;
            }
            for row in &echoes {
                tx.put_echo(row)?;
            }
            for &(event, at) in &outgoing {
                let kind = event.kind();
                let make = |identity: &Identity| event::compose(&envelope(&source, boot, identity, at, now), event);
                tx.append(NewEvent {
                    class: kind.class(),
                    kind: kind.name(),
                    topic: &kind.topic(),
                    happened_at: at.wall,
                    expires_at: keep.until(kind, at.wall),
                    supersedes: event.superseded_key().as_deref(),
                    make: &make,
                })?;
            }
            Ok(())
        })?;
        Ok(committed.events)
    }
}
