//! One transaction: visit states and events together, numbered, kept within the cap.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::SpoolError;
use super::event::{CLASSES, ComposeDrop, Dropped, Identity, NewEvent, StoredEvent, seq_of, slot, slots, word};
use super::visits::{self, EchoRow, VisitRow};
use super::{Limits, Place};
use crate::domain::event::{DropReason, EventClass};

/// Rows that are given up before the room is measured again.
const EVICT_ROWS: u32 = 32;

/// An open transaction. Nothing in it holds before `Spool::transaction` has returned `Ok`.
pub struct Tx<'a> {
    pub(super) connection: &'a Connection,
    pub(super) place: &'a Place,
    pub(super) limits: &'a Limits,
    pub(super) compose: &'a ComposeDrop,
    pub(super) events: Vec<StoredEvent>,
}

impl Tx<'_> {
    /// Writes a visit; one of the same id is replaced.
    ///
    /// # Errors
    /// When the disk refuses; then the whole transaction is void.
    pub fn put_visit(&mut self, row: &VisitRow) -> Result<(), SpoolError> {
        visits::put(self.connection, row).map_err(|e| self.place.error(&e))
    }

    /// Writes a departure of a moment ago; one of the same member is replaced.
    ///
    /// # Errors
    /// When the disk refuses; then the whole transaction is void.
    pub fn put_echo(&mut self, row: &EchoRow) -> Result<(), SpoolError> {
        visits::put_echo(self.connection, row).map_err(|e| self.place.error(&e))
    }

    /// Numbers an event and puts it into the outbox, making room when there is none.
    ///
    /// An event of the lowest class that meets a spool full of dearer ones is itself given up: it gets its number, and
    /// a drop record tells of it.
    ///
    /// # Errors
    /// When the disk refuses, or when the spool is full of events that are never given up.
    pub fn append(&mut self, event: NewEvent<'_>) -> Result<StoredEvent, SpoolError> {
        if let Some(key) = event.supersedes {
            self.supersede(event.class, key, event.happened_at)?;
        }
        let room = self.make_room(event.class, event.happened_at)?;
        let identity = self.next_identity()?;
        let stored = StoredEvent {
            class: event.class,
            kind: event.kind.to_owned(),
            topic: event.topic.to_owned(),
            happened_at: event.happened_at,
            payload: (event.make)(&identity),
            identity,
        };
        if room {
            self.insert(&stored, event.expires_at, event.supersedes)?;
        } else {
            self.give_up(event.class, &[stored.identity.seq], DropReason::Full, event.happened_at)?;
        }
        self.events.push(stored.clone());
        Ok(stored)
    }

    /// If fewer than `seq` numbers were given away, begins a new epoch behind `seq` and returns its name.
    pub(super) fn leave_the_past(&mut self, seq: u64) -> Result<Option<String>, SpoolError> {
        let sql = "update box set epoch = 'e' || lower(hex(randomblob(6))), last_seq = ?1 where last_seq < ?1
                   returning epoch";
        let moved = self.connection.query_row(sql, [seq.cast_signed()], |row| row.get(0)).optional();
        moved.map_err(|e| self.place.error(&e))
    }

    /// Gives up what is too old to be worth sending at `now`.
    pub(super) fn expire(&mut self, now: Timestamp) -> Result<(), SpoolError> {
        for class in CLASSES {
            let (first, last) = slots(class);
            let sql = "delete from outbox where slot between ?1 and ?2 and expires_ms <= ?3 returning slot";
            let gone = self.delete(sql, params![first, last, now.as_millisecond()])?;
            self.give_up(class, &gone, DropReason::Expired, now)?;
        }
        Ok(())
    }

    fn supersede(&mut self, class: EventClass, key: &str, at: Timestamp) -> Result<(), SpoolError> {
        let (first, last) = slots(class);
        let sql = "delete from outbox where slot between ?1 and ?2 and key = ?3 returning slot";
        let gone = self.delete(sql, params![first, last, key])?;
        self.give_up(class, &gone, DropReason::Superseded, at)
    }

    /// Is there room for an event of `class` after giving up history and whatever is not dearer than it?
    fn make_room(&mut self, class: EventClass, at: Timestamp) -> Result<bool, SpoolError> {
        let max = self.place.max_pages;
        // A tenth is for P0 alone; room is made in steps, so that not every event of a long outage pays for it.
        let limit = if class == EventClass::P0 { max - 8 } else { max - max / 10 };
        if self.used_pages()? < limit {
            return Ok(true);
        }
        let target = limit - (max / 64).max(2);
        while self.used_pages()? > target && self.forget_visits()? > 0 {}
        let cheapest = |victim: &EventClass| victim.number() >= class.number().max(1);
        for victim in CLASSES.into_iter().rev().take_while(cheapest) {
            let mut gone = Vec::new();
            while self.used_pages()? > target {
                let batch = self.evict(victim)?;
                if batch.is_empty() {
                    break;
                }
                gone.extend(batch);
            }
            self.give_up(victim, &gone, DropReason::Full, at)?;
        }
        let fits = self.used_pages()? < limit;
        if !fits && class == EventClass::P0 {
            return Err(SpoolError::CapReached { path: self.place.path.clone(), max_mib: self.limits.max_mib });
        }
        Ok(fits)
    }

    fn evict(&self, class: EventClass) -> Result<Vec<u64>, SpoolError> {
        let (first, last) = slots(class);
        let sql = "delete from outbox where slot in
                   (select slot from outbox where slot between ?1 and ?2 order by slot limit ?3) returning slot";
        self.delete(sql, params![first, last, EVICT_ROWS])
    }

    fn forget_visits(&self) -> Result<usize, SpoolError> {
        visits::forget_oldest(self.connection, EVICT_ROWS).map_err(|e| self.place.error(&e))
    }

    fn used_pages(&self) -> Result<u64, SpoolError> {
        let read = |pragma| self.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let used = read("page_count").and_then(|all| read("freelist_count").map(|free| (all - free).cast_unsigned()));
        used.map_err(|e| self.place.error(&e))
    }

    /// Runs a `delete … returning slot`; the numbers of the rows, in order.
    fn delete(&self, sql: &str, values: impl rusqlite::Params) -> Result<Vec<u64>, SpoolError> {
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let slots = statement.query_map(values, |row| row.get::<_, i64>(0))?;
            let mut numbers = slots.map(|slot| slot.map(seq_of)).collect::<rusqlite::Result<Vec<_>>>()?;
            numbers.sort_unstable();
            Ok(numbers)
        };
        run().map_err(|e| self.place.error(&e))
    }

    fn next_identity(&self) -> Result<Identity, SpoolError> {
        let sql = "update box set last_seq = last_seq + 1 returning last_seq";
        let next = self.connection.prepare_cached(sql).and_then(|mut s| s.query_row([], |row| row.get::<_, i64>(0)));
        let seq = next.map_err(|e| self.place.error(&e))?;
        Ok(Identity::new(&self.place.epoch, seq.cast_unsigned()))
    }

    fn insert(&self, event: &StoredEvent, expires_at: Option<Timestamp>, key: Option<&str>) -> Result<(), SpoolError> {
        let sql = "insert into outbox (slot, kind, topic, happened_ms, expires_ms, key, payload)
                   values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let row = params![
            slot(event.class, event.identity.seq),
            event.kind,
            event.topic,
            event.happened_at.as_millisecond(),
            expires_at.map(Timestamp::as_millisecond),
            key,
            event.payload
        ];
        let done = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(row));
        done.map(drop).map_err(|e| self.place.error(&e))
    }

    /// Tells of given-up numbers by an event of class P0. A record that still waits is replaced by a wider one, and the
    /// number of the replaced one is told in the same way, so that no number goes missing and the records stay few.
    fn give_up(
        &mut self,
        class: EventClass,
        gone: &[u64],
        reason: DropReason,
        at: Timestamp,
    ) -> Result<(), SpoolError> {
        let (Some(first), Some(last)) = (gone.first(), gone.last()) else { return Ok(()) };
        let fresh = Dropped { class, first_seq: *first, last_seq: *last, count: gone.len() as u64, reason };
        match self.told(class, reason)? {
            None => self.tell(fresh, at),
            Some((before, told_by)) => {
                self.tell(widened(before, fresh), at)?;
                self.withdraw(told_by, at)
            }
        }
    }

    /// Deletes a replaced record, and tells that in the one record about replaced records, which replaces itself.
    fn withdraw(&mut self, told_by: u64, at: Timestamp) -> Result<(), SpoolError> {
        let (class, reason) = (EventClass::P0, DropReason::Replaced);
        let one = |seq| Dropped { class, first_seq: seq, last_seq: seq, count: 1, reason };
        self.remove_record(told_by)?;
        let Some((before, itself)) = self.told(class, reason)? else { return self.tell(one(told_by), at) };
        self.remove_record(itself)?;
        self.tell(widened(widened(before, one(told_by)), one(itself)), at)
    }

    fn remove_record(&self, seq: u64) -> Result<(), SpoolError> {
        let sql = "delete from outbox where slot = ?1 returning slot";
        self.delete(sql, params![slot(EventClass::P0, seq)]).map(drop)
    }

    fn told(&self, class: EventClass, reason: DropReason) -> Result<Option<(Dropped, u64)>, SpoolError> {
        let sql = "select first_seq, last_seq, count, told_by from dropped where class = ?1 and reason = ?2";
        let number = |row: &rusqlite::Row<'_>, index| row.get::<_, i64>(index).map(i64::cast_unsigned);
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let found = statement.query_row(params![i64::from(class.number()), word(reason)], |row| {
                let (first_seq, last_seq, count) = (number(row, 0)?, number(row, 1)?, number(row, 2)?);
                Ok((Dropped { class, first_seq, last_seq, count, reason }, number(row, 3)?))
            });
            found.optional()
        };
        run().map_err(|e| self.place.error(&e))
    }

    fn tell(&mut self, dropped: Dropped, at: Timestamp) -> Result<(), SpoolError> {
        self.make_room(EventClass::P0, at)?;
        let identity = self.next_identity()?;
        let told = (self.compose)(&dropped, &identity, at);
        let (kind, topic, payload) = (told.kind, told.topic, told.payload);
        let event = StoredEvent { identity, class: EventClass::P0, kind, topic, happened_at: at, payload };
        self.insert(&event, None, None)?;
        self.remember(&dropped, event.identity.seq)?;
        self.events.push(event);
        Ok(())
    }

    fn remember(&self, dropped: &Dropped, told_by: u64) -> Result<(), SpoolError> {
        let sql = "insert or replace into dropped (class, reason, first_seq, last_seq, count, told_by)
                   values (?1, ?2, ?3, ?4, ?5, ?6)";
        let row = params![
            i64::from(dropped.class.number()),
            word(dropped.reason),
            dropped.first_seq.cast_signed(),
            dropped.last_seq.cast_signed(),
            dropped.count.cast_signed(),
            told_by.cast_signed()
        ];
        let done = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(row));
        done.map(drop).map_err(|e| self.place.error(&e))
    }
}

fn widened(one: Dropped, other: Dropped) -> Dropped {
    Dropped {
        first_seq: one.first_seq.min(other.first_seq),
        last_seq: one.last_seq.max(other.last_seq),
        count: one.count + other.count,
        ..one
    }
}
