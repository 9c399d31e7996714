//! The member list as recognition uses it: an index in memory, the members themselves in the database.
//!
//! The index holds the plates of members with the `plate` consent, and nothing else. Whether such a member may be
//! matched *now* (validity, lease, weekly windows) is asked for each match, so that a lease that runs out is effective
//! at once, without a rebuild.

use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::member::{Member, NotMatched};
use crate::domain::plate::list::PlateList;
use crate::domain::plate::other_spelling;
use crate::domain::visit::{MemberFacts, Standing};
use crate::store::members::{Filter, MemberStore, Seen};

/// The list, and who stands behind a plate.
pub struct Directory {
    store: MemberStore,
    zone: TimeZone,
    region: String,
    seen: Seen,
    list: Arc<PlateList>,
}

/// Who a listed plate belongs to at this moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Owner {
    /// One member.
    One(Box<Member>),
    /// Several members share the plate; which of them came cannot be told.
    Several(usize),
    /// Nobody who may be matched now.
    Nobody(NotMatched),
}

impl Directory {
    /// Reads the whole list once.
    pub fn new(store: MemberStore, zone: TimeZone, region: &str) -> anyhow::Result<Self> {
        let region = region.to_owned();
        let mut directory = Self { store, zone, region, seen: Seen::default(), list: Arc::default() };
        directory.store.changed(&mut directory.seen)?;
        directory.rebuild()?;
        Ok(directory)
    }

    /// The listed plates.
    pub fn list(&self) -> &Arc<PlateList> {
        &self.list
    }

    /// Raised with every change of the list.
    pub fn revision(&self) -> u64 {
        self.seen.revision
    }

    /// Takes up changes that another process made; true when there were any. Costs microseconds when there are none.
    pub fn refresh(&mut self) -> anyhow::Result<bool> {
        self.store.share()?;
        // Marked as seen only when it was taken up: a list that cannot be read now is tried again.
        let mut seen = self.seen;
        let changed = self.store.changed(&mut seen)?;
        if changed {
            self.rebuild()?;
        }
        self.seen = seen;
        if changed {
            tracing::info!(revision = self.seen.revision, plates = self.list.len(), "Member list taken up.");
        }
        Ok(changed)
    }

    fn rebuild(&mut self) -> anyhow::Result<()> {
        let mut plates = Vec::new();
        self.store
            .each(&Filter::default(), |id, member| {
                if member.consents.plate {
                    for plate in member.plates {
                        plates.extend(other_spelling(&self.region, &plate).map(|other| (other, id)));
                        plates.push((plate, id));
                    }
                }
                Ok::<_, anyhow::Error>(())
            })
            .context("cannot read the member list")?;
        let (list, left_out) = PlateList::build(plates);
        if left_out > 0 {
            tracing::warn!(left_out, "Plates of the member list are too long to be matched.");
        }
        self.list = Arc::new(list);
        Ok(())
    }

    /// Who the plate belongs to now.
    pub fn owner(&self, plate: &str, now: Timestamp) -> anyhow::Result<Owner> {
        let mut refused = NotMatched::NoConsent;
        let mut matchable = Vec::new();
        let mut members = self.store.with_plate(plate)?;
        if let Some(other) = other_spelling(&self.region, plate) {
            members.extend(self.store.with_plate(&other)?);
            members.sort_by(|a, b| a.member_ref.cmp(&b.member_ref));
            members.dedup_by(|a, b| a.member_ref == b.member_ref);
        }
        for member in members {
            match member.plate_matchable(now, self.local(now)) {
                Ok(()) => matchable.push(member),
                Err(why) => refused = why,
            }
        }
        let count = matchable.len();
        Ok(match matchable.pop() {
            Some(member) if count == 1 => Owner::One(Box::new(member)),
            Some(_) => Owner::Several(count),
            None => Owner::Nobody(refused),
        })
    }

    /// How the list has a member with an open visit now; `None` when its visit must not go on.
    ///
    /// A weekly window that closes keeps a new visit from beginning, it does not end one.
    pub fn standing(&self, member_ref: &str, now: Timestamp) -> anyhow::Result<Option<Standing>> {
        let Some(member) = self.store.get(member_ref)? else { return Ok(None) };
        let local = self.local(now);
        let goes_on = |allowed: Result<(), NotMatched>| matches!(allowed, Ok(()) | Err(NotMatched::OutsideWindow));
        let plate = goes_on(member.plate_matchable(now, local));
        let face = goes_on(member.face_matchable(now, local));
        if !plate && !face {
            return Ok(None);
        }
        let facts = MemberFacts::from(&member);
        let others: Vec<String> =
            member.plates.iter().filter_map(|plate| other_spelling(&self.region, plate)).collect();
        let plates = if plate { member.plates.into_iter().chain(others).collect() } else { Vec::new() };
        Ok(Some(Standing { facts, plates, face }))
    }

    /// Day of the week, 1 = Monday, and minute of the day at the site.
    fn local(&self, now: Timestamp) -> (u8, u16) {
        let local = now.to_zoned(self.zone.clone());
        let day = u8::try_from(local.weekday().to_monday_one_offset()).unwrap_or(1);
        let minute = u16::try_from(i16::from(local.hour()) * 60 + i16::from(local.minute())).unwrap_or(0);
        (day, minute)
    }
}
