//! The member list as recognition uses it: an index in memory, the members themselves in the database.
//!
//! The index holds the plates of members with the `plate` consent, and nothing else. Whether such a member may be
//! matched *now* (validity, lease, weekly windows) is asked for each match, so that a lease that runs out is effective
//! at once, without a rebuild.

use std::cell::RefCell;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::faces::Faces;
use super::house::House;
use super::listing::Listing;
use crate::config::Privacy;
use crate::domain::face::Embedding;
#[cfg(test)]
use crate::domain::face::gallery::Gallery;
use crate::domain::face::gallery::{MemberId, Verdict};
use crate::domain::member::{Member, NotMatched};
use crate::domain::plate::list::PlateList;
use crate::domain::plate::other_spelling;
use crate::domain::time::Moment;
use crate::domain::visit::{MemberFacts, Standing};
use crate::store::members::{MemberStore, SetAside, StoreError};

pub use super::faces::{FaceMatching, Signage, face_policy};
pub use super::listing::News;

/// Is it because the file of the list is damaged?
pub fn is_damage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref().is_some_and(StoreError::is_damage))
}

/// What is wrong with the member list as a file; the list in memory goes on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ListTrouble {
    /// First noticed.
    pub since: Timestamp,
    /// The file is damaged, and not only out of reach.
    pub damaged: bool,
    /// What was said last, with the way out.
    pub detail: String,
}

/// The list, and who stands behind a plate.
pub struct Directory {
    store: MemberStore,
    zone: TimeZone,
    region: String,
    listing: Listing,
    trouble: RefCell<Option<ListTrouble>>,
    /// The former list was set aside and nothing has come into this one yet.
    lost: Option<ListTrouble>,
    faces: Faces,
    /// In the service; a replay removes nothing.
    house: Option<House>,
    /// Name of the list whose members are looked for and told nobody of.
    shadow_name: Option<String>,
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

/// Who a template belongs to at this moment.
#[derive(Clone, Debug, PartialEq)]
pub enum FaceOwner {
    /// This member.
    One(Box<Member>),
    /// A member who may not be matched by face now, or who is gone.
    Nobody(NotMatched),
}

impl Directory {
    /// Reads the whole list once.
    pub fn new(store: MemberStore, zone: TimeZone, region: &str) -> anyhow::Result<Self> {
        Self::with_shadow(store, zone, region, None)
    }

    /// The same; members on the list `shadow` are kept apart.
    pub fn with_shadow(store: MemberStore, zone: TimeZone, region: &str, shadow: Option<&str>) -> anyhow::Result<Self> {
        let listing = Listing::read(&store, region, shadow)?;
        let (region, faces, shadow_name) = (region.to_owned(), Faces::default(), shadow.map(str::to_owned));
        Ok(Self {
            store,
            zone,
            region,
            listing,
            trouble: RefCell::default(),
            lost: None,
            faces,
            house: None,
            shadow_name,
        })
    }

    /// The listed plates.
    pub fn list(&self) -> &Arc<PlateList> {
        self.listing.list()
    }

    /// The list was damaged once, and this is a new one: told as long as nothing has come into it.
    pub fn begins_anew_after(&mut self, former: &SetAside) {
        let detail = format!(
            "the list was damaged and set aside as `{}`; an empty one was begun, without consents, faces or confirmed signs, \
             so nobody is recognised: the platform's next list fills it, or `forecourt members import FILE`",
            former.name()
        );
        let lost = ListTrouble { since: former.at, damaged: true, detail };
        self.lost = Some(lost).filter(|_| self.store.is_bare().unwrap_or(true));
    }

    /// From now on what has run out leaves the list once a day.
    pub fn keep_house_by(&mut self, privacy: &Privacy) {
        self.house = Some(House::new(privacy));
    }

    /// Removes what has run out, when that is due; `trusted`: the wall clock can be.
    pub fn keep_house(&mut self, now: Moment, trusted: bool) {
        if let Some(house) = &mut self.house {
            house.keep(&mut self.store, now, trusted);
        }
    }

    /// From now on faces are matched, as far as the settings, the signage and the device key allow.
    pub fn watch_faces(&mut self, matching: FaceMatching, now: Timestamp) {
        self.faces = Faces::watch(matching, &self.store, now);
    }

    /// Why faces are not looked at, or only some of them matched.
    pub fn faces_trouble(&self) -> Option<String> {
        self.faces.trouble()
    }

    /// Takes up another gallery, or none.
    #[cfg(test)]
    pub fn set_gallery(&mut self, gallery: Option<Gallery>) {
        self.faces.set_gallery(gallery);
    }

    /// Opens or closes the eyes for faces.
    #[cfg(test)]
    pub fn allow_faces(&mut self, allowed: bool) {
        self.faces.allow(allowed);
    }

    /// As if another process had taken the member off the list.
    #[cfg(test)]
    pub fn withdraw_for_tests(&mut self, member_ref: &str) {
        self.store.remove(&[member_ref.to_owned()]).expect("in memory").expect("on the list");
    }

    /// May faces be looked at: is there a gallery, and did the installer confirm the signage?
    pub fn faces_allowed(&self) -> bool {
        self.faces.allowed()
    }

    /// Who a face vector belongs to. Abstains while faces may not be looked at.
    pub fn face(&self, space: &str, embedding: &Embedding) -> Verdict {
        self.faces.search(space, embedding)
    }

    /// How sure a score of the gallery is no stranger's, 0..1.
    pub fn face_confidence(&self, score: f32) -> f32 {
        self.faces.gallery().map_or(0.0, |gallery| gallery.confidence(score))
    }

    /// Templates that faces are compared with, and the members they belong to.
    pub fn gallery_size(&self) -> (usize, usize) {
        self.faces.gallery().map_or((0, 0), |gallery| (gallery.templates(), gallery.members()))
    }

    /// The plates of the shadow list.
    pub fn shadow(&self) -> &Arc<PlateList> {
        self.listing.shadow()
    }

    fn is_shadow(&self, member: &Member) -> bool {
        self.shadow_name.as_ref().is_some_and(|name| *name == member.list)
    }

    /// Raised with every change of the list.
    pub fn revision(&self) -> u64 {
        self.listing.revision()
    }

    /// Looks whether another process has changed the list, and takes up an index that is finished. Costs microseconds.
    /// Members whose lease begins or ends meanwhile come into the gallery or go out of it.
    pub fn refresh(&mut self, now: Timestamp) -> anyhow::Result<News> {
        let news = self.listing.refresh(&mut self.store);
        let changed = news.as_ref().is_ok_and(|news| *news != News::Nothing);
        if news.as_ref().is_ok_and(|news| *news == News::TakenUp) {
            self.trouble.take();
            self.lost = self.lost.take().filter(|_| self.store.is_bare().unwrap_or(true));
        }
        if changed {
            // What another process removed must not stay in the log because this one was reading.
            self.store.try_empty_log();
        }
        self.faces.refresh(&mut self.store, changed, now);
        self.noted(now, news)
    }

    /// What is wrong with the list; `None`: nothing that is known.
    pub fn trouble(&self) -> Option<ListTrouble> {
        self.trouble.borrow().clone().or_else(|| self.lost.clone())
    }

    /// Remembers a failure. Damage stays until the whole list could be read; anything else until something could.
    fn noted<T>(&self, now: Timestamp, result: anyhow::Result<T>) -> anyhow::Result<T> {
        let mut trouble = self.trouble.borrow_mut();
        match &result {
            Err(error) => {
                let damaged = is_damage(error) || trouble.as_ref().is_some_and(|before| before.damaged);
                let since = trouble.as_ref().map_or(now, |before| before.since);
                *trouble = Some(ListTrouble { since, damaged, detail: format!("{error:#}") });
            }
            Ok(_) if trouble.as_ref().is_some_and(|before| !before.damaged) => *trouble = None,
            Ok(_) => {}
        }
        result
    }

    /// Who the plate belongs to now; nobody of the shadow list.
    pub fn owner(&self, plate: &str, now: Timestamp) -> anyhow::Result<Owner> {
        self.noted(now, self.look_up(plate, now, false))
    }

    /// Who of the shadow list the plate belongs to now.
    pub fn shadow_owner(&self, plate: &str, now: Timestamp) -> anyhow::Result<Owner> {
        self.noted(now, self.look_up(plate, now, true))
    }

    fn look_up(&self, plate: &str, now: Timestamp, shadow: bool) -> anyhow::Result<Owner> {
        let mut refused = NotMatched::NoConsent;
        let mut matchable = Vec::new();
        let mut members = self.store.with_plate(plate)?;
        if let Some(other) = other_spelling(&self.region, plate) {
            members.extend(self.store.with_plate(&other)?);
            members.sort_by(|a, b| a.member_ref.cmp(&b.member_ref));
            members.dedup_by(|a, b| a.member_ref == b.member_ref);
        }
        for member in members.into_iter().filter(|member| self.is_shadow(member) == shadow) {
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

    /// Who a template belongs to now.
    pub fn face_owner(&self, id: MemberId, now: Timestamp) -> anyhow::Result<FaceOwner> {
        Ok(match self.store.face_owner(id, now, self.local(now))? {
            // Faces of the shadow list are told nobody of either.
            Ok(member) if self.is_shadow(&member) => FaceOwner::Nobody(NotMatched::NoConsent),
            Ok(member) => FaceOwner::One(Box::new(member)),
            Err(why) => FaceOwner::Nobody(why),
        })
    }

    /// How the list has a member with an open visit now; `None` when its visit must not go on.
    ///
    /// A weekly window that closes keeps a new visit from beginning, it does not end one.
    pub fn standing(&self, member_ref: &str, now: Timestamp) -> anyhow::Result<Option<Standing>> {
        let found = self.noted(now, self.store.get(member_ref).map_err(anyhow::Error::from))?;
        let Some(member) = found.filter(|member| !self.is_shadow(member)) else { return Ok(None) };
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

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
