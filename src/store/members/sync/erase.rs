//! The removal of one member at once, by a command.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, TransactionBehavior};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::super::audit::{self, Action};
use super::super::{MemberStore, StoreError, read, templates};
use super::{put_receipts, synced_list};
use crate::domain::event::{Receipt, RemovedBy};

impl MemberStore {
    /// Removes a member; `false`: nobody of that name is listed. A list of the platform that still holds the same line
    /// does not bring the member back. The receipt is written in the same transaction.
    pub fn erase(&mut self, member_ref: &str, command: &str, now: Timestamp) -> Result<bool, StoreError> {
        let path = self.path.clone();
        let sqlite = |source| StoreError::from_sqlite(&path, source);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let sql = "select s.line_hash from synced s join member m on m.id = s.member where m.member_ref = ?1";
        let line: Option<[u8; 32]> =
            transaction.query_row(sql, [member_ref], |row| row.get(0)).optional().map_err(sqlite)?;
        let Some((id, _)) = read::get_with_id(&transaction, member_ref).map_err(sqlite)? else { return Ok(false) };
        // The key goes, so what it sealed is lost wherever a copy of it may be.
        let templates = templates::clear(&transaction, id).map_err(sqlite)?;
        transaction.execute("delete from member where id = ?1", [id]).map_err(sqlite)?;
        let detail = json!({ "templates": templates, "command": command });
        audit::append_of(&transaction, &self.actor, Action::MemberRemoved, member_ref, &detail).map_err(sqlite)?;
        if let Some(line) = line {
            let ref_hash: [u8; 32] = Sha256::digest(member_ref).into();
            let sql = "insert or replace into tombstone (ref_hash, line_hash) values (?1, ?2)";
            transaction.execute(sql, (ref_hash, line)).map_err(sqlite)?;
        }
        let list = synced_list(&transaction).map_err(sqlite)?;
        let receipt = Receipt {
            member_refs: vec![member_ref.to_owned()],
            by: RemovedBy::Command,
            removed_at: now,
            shredded_at: None,
            epoch: list.as_ref().map(|list| list.epoch.clone()),
            rev: list.map(|list| list.rev),
            command: Some(command.to_owned()),
        };
        put_receipts(&transaction, &receipt).map_err(sqlite)?;
        transaction.execute("update state set revision = revision + 1", []).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        self.empty_log();
        Ok(true)
    }
}
