//! What nobody may or can use any more leaves the list: members whose validity or lease ended long ago, templates
//! whose key is lost.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::json;

use super::audit::{self, Action};
use super::{MemberId, MemberStore, StoreError, row, templates};
use crate::store::keys::KeyRing;

impl MemberStore {
    /// Removes members whose validity or consent lease ended before `now - keep`, each with a record; returns how many.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn purge_expired(&mut self, now: Timestamp, keep: Duration) -> Result<u64, StoreError> {
        let (path, actor) = (&self.path, &self.actor);
        let sqlite = |source| StoreError::from_sqlite(path, source);
        let Ok(limit) = now.checked_sub(keep) else { return Ok(0) };
        let transaction = super::begin(&mut self.connection, path)?;
        let ended = ended_before(&transaction, limit).map_err(sqlite)?;
        for (id, member_ref, end) in &ended {
            let templates = templates::count_of(&transaction, *id).map_err(sqlite)?;
            transaction.execute("delete from member where id = ?1", [id]).map_err(sqlite)?;
            let detail = json!({ "ended_at": end.to_string(), "templates": templates });
            audit::append_of(&transaction, actor, Action::Purged, member_ref, &detail).map_err(sqlite)?;
        }
        if ended.is_empty() {
            return Ok(0);
        }
        transaction.execute("update state set revision = revision + 1", []).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        self.empty_log();
        Ok(ended.len() as u64)
    }

    /// Removes the templates of members whose key cannot be opened with `ring`; the members stay. Returns how many.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn purge_unreadable(&mut self, ring: &KeyRing) -> Result<u64, StoreError> {
        let (path, actor) = (&self.path, &self.actor);
        let sqlite = |source| StoreError::from_sqlite(path, source);
        let transaction = super::begin(&mut self.connection, path)?;
        let locked = locked(&transaction, ring).map_err(sqlite)?;
        for (id, member_ref) in &locked {
            let templates = templates::clear(&transaction, *id).map_err(sqlite)?;
            let detail = json!({ "unreadable": true, "templates": templates });
            audit::append_of(&transaction, actor, Action::Purged, member_ref, &detail).map_err(sqlite)?;
        }
        if locked.is_empty() {
            return Ok(0);
        }
        transaction.execute("update state set revision = revision + 1", []).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        self.empty_log();
        Ok(locked.len() as u64)
    }
}

fn ended_before(connection: &Connection, limit: Timestamp) -> rusqlite::Result<Vec<(MemberId, String, Timestamp)>> {
    let mut statement = connection.prepare(
        "select id, member_ref, valid_until, not_after from member where valid_until is not null or not_after is not null",
    )?;
    let mut rows = statement.query(params![])?;
    let mut ended = Vec::new();
    while let Some(found) = rows.next()? {
        let ends = [row::moment(found, 2)?, row::moment(found, 3)?];
        if let Some(end) = ends.into_iter().flatten().min().filter(|end| *end < limit) {
            ended.push((found.get(0)?, found.get(1)?, end));
        }
    }
    Ok(ended)
}

fn locked(connection: &Connection, ring: &KeyRing) -> rusqlite::Result<Vec<(MemberId, String)>> {
    let box_id = templates::box_id(connection)?;
    let mut statement = connection.prepare(
        "select m.id, m.member_ref, k.key_id, k.wrapped from member_key k join member m on m.id = k.member order by m.id",
    )?;
    let mut rows = statement.query(params![])?;
    let mut locked = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, member_ref, name, wrapped): (MemberId, String, String, Vec<u8>) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        if templates::unwrap(ring, &name, &templates::bound_key(&member_ref, &box_id), &wrapped).is_none() {
            locked.push((id, member_ref));
        }
    }
    Ok(locked)
}
