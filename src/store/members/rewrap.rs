//! Another device key: the members' keys are wrapped anew, in small transactions. The templates themselves stay as
//! they are. A run that is killed leaves every member's key under one of the two device keys; the next run goes on.

use rusqlite::{Transaction, params};
use serde_json::json;

use super::audit::Action;
use super::templates::{SealError, bound_key, box_id, unwrap};
use super::{MemberId, MemberStore, StoreError, read};
use crate::store::keys::KeyRing;
use crate::store::seal;

/// Members whose keys are wrapped in one transaction.
const BATCH: usize = 500;

/// What became of the members' keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rewrapped {
    /// Wrapped with the new key by this run.
    pub changed: u64,
    /// Wrapped with it already.
    pub before: u64,
    /// Wrapped with a key that the ring does not have, or damaged; left as they are.
    pub locked: u64,
}

impl MemberStore {
    /// Wraps every member's key with the key of `ring` that is in use. `progress` hears how many are done and how many
    /// there are.
    ///
    /// # Errors
    /// When the disk does not take it; what was done stays done.
    pub fn rewrap(&mut self, ring: &KeyRing, progress: &mut dyn FnMut(u64, u64)) -> Result<Rewrapped, StoreError> {
        let before = "select count(*) from member_key where key_id = ?1";
        let of_current = |store: &Self| store.connection.query_row(before, [ring.name()], |row| read::number(row, 0));
        let all = self.enrolled()?;
        let mut done = Rewrapped { before: of_current(self).map_err(|e| self.sqlite(e))?, ..Rewrapped::default() };
        if done.before == all {
            return Ok(done);
        }
        self.record(Action::RekeyBegun, "", &json!({ "to": ring.name(), "members": all - done.before }))?;
        let mut last = MemberId::MIN;
        loop {
            let path = &self.path;
            let transaction = super::begin(&mut self.connection, path)?;
            let batch =
                batch(&transaction, ring, &mut last, &mut done).map_err(|error| StoreError::from_seal(path, error))?;
            transaction.commit().map_err(|source| StoreError::from_sqlite(path, source))?;
            progress(done.before + done.changed + done.locked, all);
            if batch < BATCH {
                break;
            }
        }
        self.record(
            Action::RekeyDone,
            "",
            &json!({ "to": ring.name(), "members": done.changed, "locked": done.locked }),
        )?;
        self.empty_log();
        Ok(done)
    }
}

/// The next members after `last`; returns how many there were.
fn batch(
    transaction: &Transaction<'_>,
    ring: &KeyRing,
    last: &mut MemberId,
    done: &mut Rewrapped,
) -> Result<usize, SealError> {
    let box_id = box_id(transaction)?;
    let (name, device) = ring.current();
    let mut select = transaction.prepare_cached(
        "select k.member, m.member_ref, k.key_id, k.wrapped from member_key k join member m on m.id = k.member \
         where k.key_id <> ?1 and k.member > ?2 order by k.member limit ?3",
    )?;
    let rows: Vec<(MemberId, String, String, Vec<u8>)> = select
        .query_map(params![name, *last, BATCH as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    let mut update = transaction.prepare_cached("update member_key set key_id = ?2, wrapped = ?3 where member = ?1")?;
    for (id, member_ref, former, wrapped) in &rows {
        *last = *id;
        let bound = bound_key(member_ref, &box_id);
        let Some(key) = unwrap(ring, former, &bound, wrapped) else {
            done.locked += 1;
            continue;
        };
        update.execute(params![id, name, seal::seal(device, &bound, &*key)?])?;
        done.changed += 1;
    }
    Ok(rows.len())
}
