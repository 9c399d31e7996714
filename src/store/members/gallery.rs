//! From sealed templates to the gallery: the one way in which vectors leave the store to be matched.
//!
//! Whoever has no consent `face`, is not valid, or whose lease has run out at that moment is not in it. Weekly windows
//! and the lease are asked again at the match, with [`MemberStore::face_owner`]; that a lease runs out later is told by
//! `next_change`, so that the gallery is loaded anew then, also on a box that is offline.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, Row};
use zeroize::Zeroizing;

use super::templates::{NewTemplate, bound_face, bound_key, box_id, locked, unwrap};
use super::{MemberId, MemberStore, StoreError, read, row};
use crate::domain::face::Embedding;
use crate::domain::face::gallery::{Gallery, Policy};
use crate::domain::member::{Consents, Member, NotMatched};
use crate::store::keys::{KeyError, KeyRing};
use crate::store::seal::{self, Key};

/// What a gallery was made of, and what not.
#[derive(Debug, Default)]
pub struct FaceReport {
    /// Revision of the list.
    pub revision: u64,
    /// Members in the gallery.
    pub members: u64,
    /// Their templates.
    pub templates: u64,
    /// Members with templates who may not be matched now, by reason.
    pub left_out: BTreeMap<NotMatched, u64>,
    /// Members whose key is wrapped with a device key that is not here: a change of the key was not finished.
    pub locked: Option<KeyError>,
    /// Templates that do not open although their key does: damaged or moved.
    pub damaged: u64,
    /// When the next member comes in or has to go; load again then.
    pub next_change: Option<Timestamp>,
}

/// Rows of one embedding space.
const SQL: &str = "select m.id, m.member_ref, m.valid_from, m.valid_until, m.not_after, k.key_id, k.wrapped, t.revision, \
     t.numbers, t.sealed from template t join member m on m.id = t.member join member_key k on k.member = m.id \
     where t.space = ?1 and m.consent_face = 1 order by m.id, t.id";

/// The member whose rows are being read.
struct Current {
    id: MemberId,
    member_ref: String,
    /// `None`: not to be matched, or the key is not here.
    key: Option<Key>,
}

impl MemberStore {
    /// The gallery of an embedding space: the templates of members who agreed to it, are valid and leased at `now`. A
    /// threshold that was measured on this box holds instead of the policy's distribution.
    ///
    /// # Errors
    /// When the list cannot be read, or none of its templates was sealed with a key of `ring`.
    pub fn gallery(
        &self,
        ring: &KeyRing,
        space: &str,
        policy: Policy,
        now: Timestamp,
    ) -> Result<(Gallery, FaceReport), StoreError> {
        let sqlite = |source| self.sqlite(source);
        let snapshot = self.connection.unchecked_transaction().map_err(sqlite)?;
        let measured = super::site::calibration(&snapshot, space).map_err(sqlite)?;
        let policy = measured.map_or(policy, |measured| Policy::new(measured.impostors, policy.fpir));
        let mut loading = Loading {
            ring,
            now,
            space,
            box_id: box_id(&snapshot).map_err(sqlite)?,
            gallery: Gallery::empty(space, policy),
            report: FaceReport { revision: read::revision(&snapshot).map_err(sqlite)?, ..FaceReport::default() },
            locked: BTreeMap::new(),
        };
        loading.all(&snapshot).map_err(sqlite)?;
        let Loading { gallery, mut report, locked: missing, .. } = loading;
        if let Some((wanted, count)) = missing.into_iter().max_by_key(|(_, count)| *count) {
            let error = locked(ring, count, &wanted, report.members > 0);
            if report.members == 0 {
                return Err(error.into());
            }
            report.locked = Some(error);
        }
        Ok((gallery, report))
    }

    /// The member whom the gallery found, if he may be matched by face at that moment. `local` is `(day 1..=7, minute
    /// of the day)` at the site.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn face_owner(
        &self,
        id: MemberId,
        now: Timestamp,
        local: (u8, u16),
    ) -> Result<Result<Member, NotMatched>, StoreError> {
        let Some(member) = self.by_id(id)? else { return Ok(Err(NotMatched::NoConsent)) };
        Ok(member.face_matchable(now, local).map(|()| member))
    }
}

impl MemberStore {
    /// The templates of a member, unsealed, for an export that asks for them.
    pub(super) fn unsealed(
        &self,
        ring: &KeyRing,
        id: MemberId,
        member_ref: &str,
    ) -> Result<Vec<NewTemplate>, StoreError> {
        let sqlite = |source| self.sqlite(source);
        let sql = "select k.key_id, k.wrapped, t.revision, t.space, t.quality, t.sealed from template t \
                   join member_key k on k.member = t.member where t.member = ?1 order by t.id";
        let box_id = box_id(&self.connection).map_err(sqlite)?;
        let mut statement = self.connection.prepare_cached(sql).map_err(sqlite)?;
        let mut rows = statement.query([id]).map_err(sqlite)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(sqlite)? {
            let name: String = row.get(0).map_err(sqlite)?;
            let wrapped: Vec<u8> = row.get(1).map_err(sqlite)?;
            let space: String = row.get(3).map_err(sqlite)?;
            let sealed: Vec<u8> = row.get(5).map_err(sqlite)?;
            let key = unwrap(ring, &name, &bound_key(member_ref, &box_id), &wrapped);
            let key = key.ok_or_else(|| locked(ring, 1, &name, !found.is_empty()))?;
            let bound = bound_face(member_ref, &space, &box_id, row.get(2).map_err(sqlite)?);
            let vector = vector(&key, &bound, &sealed).ok_or_else(|| StoreError::Damaged(self.path.clone()))?;
            found.push(NewTemplate { space, vector, quality: row.get(4).map_err(sqlite)? });
        }
        Ok(found)
    }
}

struct Loading<'a> {
    ring: &'a KeyRing,
    now: Timestamp,
    space: &'a str,
    box_id: Vec<u8>,
    gallery: Gallery,
    report: FaceReport,
    /// Members by the name of the device key that is missing.
    locked: BTreeMap<String, u64>,
}

impl Loading<'_> {
    fn all(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let count = "select count(*) from template where space = ?1";
        let templates = connection.query_row(count, [self.space], |row| read::number(row, 0))?;
        if let Some(numbers) = super::templates::numbers_of(connection, self.space)? {
            self.gallery.reserve(templates as usize, numbers);
        }
        let mut statement = connection.prepare_cached(SQL)?;
        let mut rows = statement.query([self.space])?;
        let mut current: Option<Current> = None;
        while let Some(row) = rows.next()? {
            let id: MemberId = row.get(0)?;
            if current.as_ref().is_none_or(|current| current.id != id) {
                current = Some(self.begin(id, row)?);
            }
            if let Some(Current { member_ref, key: Some(key), .. }) = &current {
                self.template(id, member_ref, key, row)?;
            }
        }
        self.report.members = self.gallery.members() as u64;
        self.report.templates = self.gallery.templates() as u64;
        Ok(())
    }

    /// May the member be matched, and does its key open?
    fn begin(&mut self, id: MemberId, row: &Row<'_>) -> rusqlite::Result<Current> {
        let member_ref: String = row.get(1)?;
        // The rule itself decides; the weekly windows are left to the match.
        let member = Member {
            valid_from: row::moment(row, 2)?,
            valid_until: row::moment(row, 3)?,
            not_after: row::moment(row, 4)?,
            consents: Consents { face: true, ..Consents::default() },
            ..Member::default()
        };
        let moments = [member.valid_from, member.valid_until, member.not_after].into_iter().flatten();
        let next = moments.filter(|at| *at > self.now).chain(self.report.next_change).min();
        self.report.next_change = next;
        if let Err(why) = member.face_matchable(self.now, (1, 0)) {
            *self.report.left_out.entry(why).or_default() += 1;
            return Ok(Current { id, member_ref, key: None });
        }
        let (name, wrapped): (String, Vec<u8>) = (row.get(5)?, row.get(6)?);
        let key = unwrap(self.ring, &name, &bound_key(&member_ref, &self.box_id), &wrapped);
        if key.is_none() && self.ring.find(&name).is_none() {
            *self.locked.entry(name).or_default() += 1;
        } else if key.is_none() {
            self.report.damaged += 1;
        }
        Ok(Current { id, member_ref, key })
    }

    fn template(&mut self, id: MemberId, member_ref: &str, key: &Key, row: &Row<'_>) -> rusqlite::Result<()> {
        let (revision, sealed): (i64, Vec<u8>) = (row.get(7)?, row.get(9)?);
        let bound = bound_face(member_ref, self.space, &self.box_id, revision);
        let taken = vector(key, &bound, &sealed).is_some_and(|vector| self.gallery.insert(id, &vector).is_ok());
        self.report.damaged += u64::from(!taken);
        Ok(())
    }
}

/// The vector of a sealed row.
pub(super) fn vector(key: &Key, bound: &seal::Bound, sealed: &[u8]) -> Option<Embedding> {
    let plain = seal::open(key, bound, sealed).ok()?;
    let numbers = plain.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
    let numbers: Zeroizing<Vec<f32>> = Zeroizing::new(numbers.collect());
    Embedding::new(&numbers).ok()
}
