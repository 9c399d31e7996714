//! Removal: the rows, the key that sealed the templates, and what is left of them in the log of the database.

use std::time::Duration;

use serde_json::json;

use super::audit::{self, Action};
use super::open::BUSY_TIMEOUT;
use super::{MemberStore, StoreError, read, templates};

impl MemberStore {
    /// Removes members, all or none: when one is not in the list, `Err` holds the missing names and nothing changed.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn remove(&mut self, member_refs: &[String]) -> Result<Result<u64, Vec<String>>, StoreError> {
        let (path, actor) = (&self.path, &self.actor);
        let sqlite = |source| StoreError::from_sqlite(path, source);
        let transaction = super::begin(&mut self.connection, path)?;
        let mut missing = Vec::new();
        let mut names: Vec<&String> = member_refs.iter().collect();
        names.sort_unstable();
        names.dedup();
        for name in &names {
            let Some((id, _)) = read::get_with_id(&transaction, name).map_err(sqlite)? else {
                missing.push((*name).clone());
                continue;
            };
            let templates = templates::clear(&transaction, id).map_err(sqlite)?;
            transaction.execute("delete from member where id = ?1", [id]).map_err(sqlite)?;
            let detail = json!({ "templates": templates });
            audit::append_of(&transaction, actor, Action::MemberRemoved, name, &detail).map_err(sqlite)?;
        }
        if !missing.is_empty() {
            return Ok(Err(missing));
        }
        transaction.execute("update state set revision = revision + 1", []).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        self.empty_log();
        Ok(Ok(names.len() as u64))
    }

    /// Removes everybody; returns how many.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn remove_all(&mut self) -> Result<u64, StoreError> {
        let (path, actor) = (&self.path, &self.actor);
        let sqlite = |source| StoreError::from_sqlite(path, source);
        let transaction = super::begin(&mut self.connection, path)?;
        let templates = read::number_of(&transaction, "select count(*) from template").map_err(sqlite)?;
        transaction.execute("delete from member_key", []).map_err(sqlite)?;
        transaction.execute("delete from template", []).map_err(sqlite)?;
        let removed = transaction.execute("delete from member", []).map_err(sqlite)?;
        let detail = json!({ "all": removed, "templates": templates });
        audit::append(&transaction, actor, Action::MemberRemoved, "", &detail).map_err(sqlite)?;
        transaction.execute("update state set revision = revision + 1", []).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        self.empty_log();
        Ok(removed as u64)
    }

    /// Destroys the templates of a member, who stays in the list; returns how many there were, `None` without such a
    /// member.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn remove_faces(&mut self, member_ref: &str) -> Result<Option<u64>, StoreError> {
        let (path, actor) = (&self.path, &self.actor);
        let sqlite = |source| StoreError::from_sqlite(path, source);
        let transaction = super::begin(&mut self.connection, path)?;
        let Some((id, _)) = read::get_with_id(&transaction, member_ref).map_err(sqlite)? else { return Ok(None) };
        let templates = templates::clear(&transaction, id).map_err(sqlite)? as u64;
        let detail = json!({ "templates": templates });
        audit::append_of(&transaction, actor, Action::FaceRemoved, member_ref, &detail).map_err(sqlite)?;
        transaction.execute("update state set revision = revision + 1", []).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        self.empty_log();
        Ok(Some(templates))
    }

    /// The same without waiting for anybody; for a service, whenever the list has changed.
    pub fn try_empty_log(&self) -> bool {
        // Neither call does more than set a number.
        self.connection.busy_timeout(Duration::ZERO).ok();
        let emptied = self.empty_log();
        self.connection.busy_timeout(BUSY_TIMEOUT).ok();
        emptied
    }

    /// Moves the write-ahead log into the file and truncates it, so that what was removed is nowhere; false when a
    /// reader was in the way.
    pub fn empty_log(&self) -> bool {
        let done = self.connection.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get::<_, i64>(0));
        match done {
            Ok(0) => return true,
            Ok(_) => tracing::info!("The log of the member list is still being read; it is emptied later."),
            Err(error) => tracing::warn!(%error, "The log of the member list could not be emptied."),
        }
        false
    }
}
