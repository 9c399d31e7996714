//! What a spool does after a failure: closes what cannot be trusted, gives a full disk its reserve, tries again.
//!
//! Promise: a spool that failed is `Ok` again as soon as the disk is, without a restart. A disk without a free byte
//! keeps it from nothing but accepting: see [`super::ballast`] for deleting and [`super::database::Database::cramped`] for starting.
//! What was refused does not come back in the same process: a commit whose `fsync` failed may stand whole in the log, and
//! whoever opens a log that nobody else has open reads it anew and would find it. So a connection that failed is closed
//! only when the next one is open and has taken over its index, in which that commit is not.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Spool;
use super::ballast::Ballast;
use super::database;
use super::error::{Condition, Health, OpenError, SpoolError};

/// Pause between two attempts to open a spool that failed.
const REOPEN_AFTER: Duration = Duration::from_millis(500);

impl Spool {
    /// Gets a spool that failed ready for new events, or says again why it is not.
    pub(super) fn recover(&mut self) -> Result<(), SpoolError> {
        self.reopen_if_closed()?;
        if let (Condition::Full, Some(ballast)) = (self.health.condition, &self.ballast) {
            ballast.lay().map_err(|_| SpoolError::DiskFull { path: self.place.path.clone() })?;
            if self.cramped {
                self.connection = None;
                return self.reopen();
            }
        }
        Ok(())
    }

    pub(super) fn reopen_if_closed(&mut self) -> Result<(), SpoolError> {
        if self.connection.is_some() {
            return Ok(());
        }
        if let Some((error, at)) = &self.failure
            && at.elapsed() < REOPEN_AFTER
        {
            return Err(error.clone());
        }
        self.reopen()
    }

    fn reopen(&mut self) -> Result<(), SpoolError> {
        let make_room = || self.ballast.iter().for_each(Ballast::throw_off);
        match database::open(&self.place.path, self.limits.max_mib, &make_room) {
            Ok((database, set_aside)) => {
                if set_aside.is_some() {
                    self.generation.fetch_add(1, Ordering::Release);
                    self.set_aside = set_aside;
                }
                self.place.epoch = database.epoch;
                self.place.max_pages = database.max_pages;
                self.connection = Some(database.connection);
                self.failed = None;
                self.cramped = database.cramped;
                Ok(())
            }
            Err(error) => {
                let error = match &error {
                    OpenError::Database { source, .. } => self.place.error(source),
                    other => SpoolError::Io { path: self.place.path.clone(), detail: other.to_string() },
                };
                self.fail(&error);
                Err(error)
            }
        }
    }

    /// Notes a failure; closes a connection that can no longer be trusted; gives a full disk its reserve.
    pub(super) fn fail(&mut self, error: &SpoolError) {
        let Some(condition) = error.condition() else { return };
        if self.health.condition != condition {
            self.health = Health { condition, since: Timestamp::now(), detail: None };
        }
        self.health.detail = Some(error.to_string());
        self.failure = Some((error.clone(), Instant::now()));
        match (error, &self.ballast) {
            (SpoolError::DiskFull { .. }, Some(ballast)) => ballast.throw_off(),
            // The disk has room, the spool may not use it; without a file there is nothing to open again.
            (SpoolError::DiskFull { .. } | SpoolError::CapReached { .. }, _) | (_, None) => {}
            (_, Some(_)) => self.close(condition),
        }
    }

    /// An index that may itself be damaged, or that keeps everybody else out, is not worth keeping.
    fn close(&mut self, condition: Condition) {
        let closed = self.connection.take();
        if condition == Condition::Corrupt || self.cramped {
            self.failed = None;
        } else if closed.is_some() {
            self.failed = closed;
        }
    }

    pub(super) fn recovered(&mut self) {
        if self.cramped {
            return;
        }
        let full = self.health.condition == Condition::Full;
        // On a full disk deleting works by the reserve; only a reserve laid again means room for new events.
        let reserve = !full || self.ballast.as_ref().is_none_or(|ballast| ballast.lay().is_ok());
        if self.health.condition != Condition::Ok && reserve {
            self.health = Health { condition: Condition::Ok, since: Timestamp::now(), detail: None };
            self.failure = None;
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            database::fold(connection);
        }
    }
}
