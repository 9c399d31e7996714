//! What the site confirmed and measured: the signs about face recognition, the thresholds of its embedding spaces.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::json;

use super::audit::{self, Action};
use super::{MemberStore, StoreError};
use crate::domain::face::gallery::{Impostors, Tail};

/// The installer's word that the signs about face recognition hang.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signage {
    /// Number or name of the dated photo of the signs; the photo itself is kept by the platform.
    pub photo_id: String,
    /// Who.
    pub confirmed_by: String,
    /// When, RFC 3339 in UTC.
    pub confirmed_at: String,
}

/// What this box measured about an embedding space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Scores between different members.
    pub impostors: Impostors,
    /// Pairs that it was measured on.
    pub pairs: u64,
    /// Templates that they were taken from.
    pub templates: u64,
    /// When, RFC 3339 in UTC.
    pub made_at: String,
}

pub(super) fn calibration(connection: &Connection, space: &str) -> rusqlite::Result<Option<Calibration>> {
    let sql = "select mean, deviation, tail_from, tail_share, tail_scale, pairs, templates, made_at from calibration \
               where space = ?1";
    connection
        .prepare_cached(sql)?
        .query_row([space], |row| {
            let tail: (Option<f64>, Option<f64>, Option<f64>) = (row.get(2)?, row.get(3)?, row.get(4)?);
            let tail = match tail {
                (Some(from), Some(share), Some(scale)) => Some(Tail { from, share, scale }),
                _ => None,
            };
            let impostors = Impostors { mean: row.get(0)?, deviation: row.get(1)?, tail };
            let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok(Calibration { impostors, pairs: number(5)?, templates: number(6)?, made_at: row.get(7)? })
        })
        .optional()
}

impl MemberStore {
    /// What was measured about a space.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn calibration(&self, space: &str) -> Result<Option<Calibration>, StoreError> {
        calibration(&self.connection, space).map_err(|source| self.sqlite(source))
    }

    /// Keeps what was measured; it holds for the next gallery.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn calibrate(
        &mut self,
        space: &str,
        impostors: &Impostors,
        pairs: u64,
        templates: u64,
    ) -> Result<(), StoreError> {
        let detail =
            json!({ "space": space, "mean": impostors.mean, "deviation": impostors.deviation, "pairs": pairs });
        self.change(Action::Calibrated, "", &detail, |connection| {
            let tail = impostors.tail;
            connection
                .execute(
                    "insert or replace into calibration values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    params![
                        space,
                        impostors.mean,
                        impostors.deviation,
                        tail.map(|tail| tail.from),
                        tail.map(|tail| tail.share),
                        tail.map(|tail| tail.scale),
                        pairs.cast_signed(),
                        templates.cast_signed(),
                        Timestamp::now().to_string()
                    ],
                )
                .map(drop)
        })
    }

    /// Forgets what was measured about a space; was there something?
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn forget_calibration(&mut self, space: &str) -> Result<bool, StoreError> {
        if self.calibration(space)?.is_none() {
            return Ok(false);
        }
        self.change(Action::Calibrated, "", &json!({ "space": space, "forgotten": true }), |connection| {
            connection.execute("delete from calibration where space = ?1", [space]).map(drop)
        })?;
        Ok(true)
    }

    /// Have the signs been confirmed? Without that no face is read.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn signage_confirmed(&self) -> Result<Option<Signage>, StoreError> {
        let sql = "select photo_id, confirmed_by, confirmed_at from signage";
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Signage { photo_id: row.get(0)?, confirmed_by: row.get(1)?, confirmed_at: row.get(2)? })
        };
        self.connection.query_row(sql, [], row).optional().map_err(|source| self.sqlite(source))
    }

    /// Writes down that the signs hang; a later confirmation replaces an earlier one.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn confirm_signage(&mut self, photo_id: &str, by: &str) -> Result<(), StoreError> {
        let detail = json!({ "photo_id": photo_id, "confirmed_by": by });
        self.change(Action::SignageConfirmed, "", &detail, |connection| {
            let values = params![photo_id, by, Timestamp::now().to_string()];
            connection.execute("insert or replace into signage values (1, ?1, ?2, ?3)", values).map(drop)
        })
    }

    /// Takes the confirmation back, such as when the box moves; was there one?
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn withdraw_signage(&mut self) -> Result<bool, StoreError> {
        if self.signage_confirmed()?.is_none() {
            return Ok(false);
        }
        self.change(Action::SignageWithdrawn, "", &json!({}), |connection| {
            connection.execute("delete from signage", []).map(drop)
        })?;
        Ok(true)
    }

    /// Writes down that the service begins with settings of this digest, when the last ones had another; did they?
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn note_settings(&mut self, digest: &str) -> Result<bool, StoreError> {
        let last = "select detail ->> 'digest' from audit where action = ?1 order by seq desc limit 1";
        let word = Action::ConfigChanged.word();
        let before: Option<Option<String>> =
            self.connection.query_row(last, [word], |row| row.get(0)).optional().map_err(|e| self.sqlite(e))?;
        let changed = before.flatten().as_deref() != Some(digest);
        if changed {
            self.record(Action::ConfigChanged, "", &json!({ "digest": digest }))?;
        }
        Ok(changed)
    }

    /// A change with its record, in one transaction; readers see a new revision.
    fn change(
        &mut self,
        action: Action,
        subject: &str,
        detail: &serde_json::Value,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let transaction = super::begin(&mut self.connection, &self.path)?;
        work(&transaction)
            .and_then(|()| audit::append(&transaction, &self.actor, action, subject, detail))
            .and_then(|()| transaction.execute("update state set revision = revision + 1", []))
            .and_then(|_| transaction.commit())
            .map_err(|source| StoreError::from_sqlite(&self.path, source))
    }
}
