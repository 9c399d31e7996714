//! Face templates in the list: sealed row by row with a key of their member, which the device key wraps.
//!
//! Promises: a template comes in only for a member with the consent `face` and leaves when that is withdrawn (the
//! database's own triggers hold this); a sealed row opens only for its member, space, revision and database; a removed
//! member's key is overwritten, so that copies of its rows stay closed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::audit::{self, Action};
use super::{MemberId, MemberStore, StoreError, read};
use crate::domain::face::Embedding;
use crate::store::keys::{KeyError, KeyRing};
use crate::store::seal::{self, Bound, KEY, Key, NoRandomness};

/// Most templates of one member.
pub const MOST_TEMPLATES: usize = 32;
/// Most numbers of a vector, as the schema has it.
pub const MOST_NUMBERS: usize = 4_096;

/// A template that is to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTemplate {
    /// The embedding space that made the vector.
    pub space: String,
    /// The vector.
    pub vector: Embedding,
    /// Quality of the picture, 0..1, when it is known.
    pub quality: Option<f32>,
}

/// Where templates come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Made on this box from photos.
    Enrolled,
    /// Came ready made.
    Imported,
}

impl Origin {
    fn word(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::Imported => "imported",
        }
    }
}

/// What a member has in one embedding space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpaceCount {
    /// The space.
    pub space: String,
    /// Templates.
    pub templates: u64,
    /// Members who have one.
    pub members: u64,
}

/// Why a member was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Not in the list.
    #[error("no member `{0}` in the list; import the member first")]
    NoMember(String),
    /// Without consent.
    #[error("`{0}` has not agreed to be recognised by face; import the member with the consent `face` first")]
    NoConsent(String),
    /// The space has vectors of another size.
    #[error("the templates of `{space}` have {wanted} numbers, this one has {found}")]
    OtherSize {
        /// The embedding space.
        space: String,
        /// Numbers of the templates that are there.
        wanted: usize,
        /// Numbers of this one.
        found: usize,
    },
    /// Too many.
    #[error("`{0}` would have more than {MOST_TEMPLATES} templates; replace the former ones with --replace")]
    TooMany(String),
    /// The list could not be changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What binds a member's wrapped key.
pub(super) fn bound_key(member_ref: &str, box_id: &[u8]) -> Bound {
    Bound::to("member key").and(member_ref.as_bytes()).and(box_id)
}

/// What binds a sealed template.
pub(super) fn bound_face(member_ref: &str, space: &str, box_id: &[u8], revision: i64) -> Bound {
    let bound = Bound::to("template").and(member_ref.as_bytes()).and(b"face");
    bound.and(space.as_bytes()).and(box_id).and(&revision.to_le_bytes())
}

/// The number that this database was given once.
pub(super) fn box_id(connection: &Connection) -> rusqlite::Result<Vec<u8>> {
    connection.prepare_cached("select box_id from vault")?.query_row([], |row| row.get(0))
}

/// Why rows could not be sealed; `Fault` inside a transaction that is then rolled back.
pub(super) enum SealError {
    Store(rusqlite::Error),
    Key(KeyError),
}

impl From<rusqlite::Error> for SealError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Store(source)
    }
}

impl From<NoRandomness> for SealError {
    fn from(source: NoRandomness) -> Self {
        Self::Key(source.into())
    }
}

/// The member's key, made when there is none.
fn member_key(connection: &Connection, ring: &KeyRing, id: MemberId, member_ref: &str) -> Result<Key, SealError> {
    let bound = bound_key(member_ref, &box_id(connection)?);
    let found: Option<(String, Vec<u8>)> = connection
        .prepare_cached("select key_id, wrapped from member_key where member = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((name, wrapped)) = found {
        return unwrap(ring, &name, &bound, &wrapped).ok_or_else(|| SealError::Key(locked(ring, 1, &name, true)));
    }
    let key = seal::new_key()?;
    let (name, device) = ring.current();
    let wrapped = seal::seal(device, &bound, &*key)?;
    connection
        .prepare_cached("insert into member_key (member, key_id, wrapped) values (?1, ?2, ?3)")?
        .execute(params![id, name, wrapped])?;
    Ok(key)
}

/// A member's key, when the ring has the device key of that name and it opens.
pub(super) fn unwrap(ring: &KeyRing, name: &str, bound: &Bound, wrapped: &[u8]) -> Option<Key> {
    let plain = seal::open(ring.find(name)?, bound, wrapped).ok()?;
    <[u8; KEY]>::try_from(plain.as_slice()).ok().map(Zeroizing::new)
}

/// The error of members whose keys are wrapped with a device key that is not here.
pub(super) fn locked(ring: &KeyRing, locked: u64, wanted: &str, some_open: bool) -> KeyError {
    let (wanted, path) = (wanted.to_owned(), ring.path().to_owned());
    if some_open {
        KeyError::HalfWay { locked, wanted, path }
    } else {
        KeyError::Wrong { wanted, path, found: ring.names().collect::<Vec<_>>().join(", ") }
    }
}

/// Seals templates of a member; `replace`: those that are there go first.
pub(super) fn put(
    connection: &Connection,
    ring: &KeyRing,
    (id, member_ref): (MemberId, &str),
    revision: u64,
    (templates, origin): (&[NewTemplate], Origin),
    replace: bool,
) -> Result<(), SealError> {
    if replace {
        clear(connection, id)?;
    }
    if templates.is_empty() {
        return Ok(());
    }
    let key = member_key(connection, ring, id, member_ref)?;
    let (box_id, revision) = (box_id(connection)?, revision.cast_signed());
    let made_at = Timestamp::now().to_string();
    let mut insert = connection.prepare_cached(
        "insert into template (member, space, numbers, quality, origin, revision, made_at, sealed) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for template in templates {
        let values = template.vector.values();
        let plain: Zeroizing<Vec<u8>> = Zeroizing::new(values.iter().flat_map(|value| value.to_le_bytes()).collect());
        let sealed = seal::seal(&key, &bound_face(member_ref, &template.space, &box_id, revision), &plain)?;
        let numbers = values.len() as i64;
        insert.execute(params![
            id,
            template.space,
            numbers,
            template.quality,
            origin.word(),
            revision,
            made_at,
            sealed
        ])?;
    }
    Ok(())
}

/// Destroys the templates of a member and their key.
pub(super) fn clear(connection: &Connection, id: MemberId) -> rusqlite::Result<usize> {
    connection.prepare_cached("delete from member_key where member = ?1")?.execute([id])?;
    connection.prepare_cached("delete from template where member = ?1")?.execute([id])
}

/// Numbers of the vectors of a space, when it has some.
pub(super) fn numbers_of(connection: &Connection, space: &str) -> rusqlite::Result<Option<usize>> {
    connection
        .prepare_cached("select numbers from template where space = ?1 limit 1")?
        .query_row([space], |row| row.get::<_, u32>(0).map(|numbers| numbers as usize))
        .optional()
}

/// Templates of a member.
pub(super) fn count_of(connection: &Connection, id: MemberId) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("select count(*) from template where member = ?1")?
        .query_row([id], |row| read::number(row, 0))
}

impl MemberStore {
    /// Stores templates of a member who agreed to it; `replace`: instead of the former ones. Returns how many the
    /// member has now.
    ///
    /// # Errors
    /// When the member is not listed or has not agreed, a vector has another size than its space, or the key is missing.
    pub fn enrol(
        &mut self,
        ring: &KeyRing,
        member_ref: &str,
        templates: &[NewTemplate],
        replace: bool,
    ) -> Result<u64, EnrolError> {
        let (path, actor) = (&self.path, &self.actor);
        let sqlite = |source| StoreError::from_sqlite(path, source);
        let transaction = super::begin(&mut self.connection, path)?;
        let found = read::get_with_id(&transaction, member_ref).map_err(sqlite)?;
        let (id, member) = found.ok_or_else(|| EnrolError::NoMember(member_ref.to_owned()))?;
        if !member.consents.face {
            return Err(EnrolError::NoConsent(member_ref.to_owned()));
        }
        for template in templates {
            let (space, found) = (&template.space, template.vector.values().len());
            let others = numbers_of(&transaction, space).map_err(sqlite)?;
            if let Some(wanted) = others.filter(|&wanted| wanted != found) {
                return Err(EnrolError::OtherSize { space: space.clone(), wanted, found });
            }
        }
        let stored = if replace { 0 } else { count_of(&transaction, id).map_err(sqlite)? };
        if stored as usize + templates.len() > MOST_TEMPLATES {
            return Err(EnrolError::TooMany(member_ref.to_owned()));
        }
        let revision = read::revision(&transaction).map_err(sqlite)? + 1;
        put(&transaction, ring, (id, member_ref), revision, (templates, Origin::Enrolled), replace)
            .map_err(|error| StoreError::from_seal(path, error))?;
        let detail = json!({ "templates": templates.len(), "replaced": replace, "space": spaces(templates) });
        audit::append_of(&transaction, actor, Action::FaceEnrolled, member_ref, &detail).map_err(sqlite)?;
        transaction.execute("update state set revision = revision + 1", []).map_err(sqlite)?;
        let now = count_of(&transaction, id).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        self.empty_log();
        Ok(now)
    }

    /// What a member has, by embedding space; empty when there is no such member.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn templates_of(&self, member_ref: &str) -> Result<Vec<SpaceCount>, StoreError> {
        self.counted(
            "select t.space, count(*), 1 from template t join member m on m.id = t.member \
             where m.member_ref = ?1 group by t.space order by t.space",
            [member_ref],
        )
    }

    /// What the list holds, by embedding space.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn spaces(&self) -> Result<Vec<SpaceCount>, StoreError> {
        self.counted("select space, count(*), count(distinct member) from template group by space order by space", [])
    }

    /// Members who have a template of any space.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn enrolled(&self) -> Result<u64, StoreError> {
        read::number_of(&self.connection, "select count(*) from member_key").map_err(|source| self.sqlite(source))
    }

    fn counted(&self, sql: &str, values: impl rusqlite::Params) -> Result<Vec<SpaceCount>, StoreError> {
        let read = || -> rusqlite::Result<Vec<SpaceCount>> {
            let mut statement = self.connection.prepare(sql)?;
            let count = |row: &rusqlite::Row<'_>| {
                Ok(SpaceCount { space: row.get(0)?, templates: read::number(row, 1)?, members: read::number(row, 2)? })
            };
            statement.query_map(values, count)?.collect()
        };
        read().map_err(|source| self.sqlite(source))
    }
}

/// Templates by space.
pub(super) fn spaces(templates: &[NewTemplate]) -> BTreeMap<&str, usize> {
    let mut spaces = BTreeMap::new();
    for template in templates {
        *spaces.entry(template.space.as_str()).or_default() += 1;
    }
    spaces
}
