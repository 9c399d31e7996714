//! Housekeeping of the member list by the running service: what has run out leaves it once a day, by a clock that can be
//! trusted; a start with other settings leaves a record.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::config::{Config, Privacy};
use crate::domain::Uptime;
use crate::domain::sync::hex;
use crate::domain::time::Moment;
use crate::store::members::{MemberStore, StoreError};

/// Pause between two rounds.
const EVERY: Duration = Duration::from_secs(86_400);

/// When the next round is due, and what it goes by.
#[derive(Debug)]
pub struct House {
    privacy: Privacy,
    last: Option<Uptime>,
}

impl House {
    /// With the settings of the service; the first round is due at once.
    pub fn new(privacy: &Privacy) -> Self {
        Self { privacy: privacy.clone(), last: None }
    }

    /// Does a round when it is due and the wall clock can be `trusted`. A disk that refuses is told, and asked again
    /// with the next round.
    pub fn keep(&mut self, store: &mut MemberStore, now: Moment, trusted: bool) {
        let due = self.last.is_none_or(|last| now.uptime.saturating_sub(last) >= EVERY);
        if !due || !trusted {
            return;
        }
        self.last = Some(now.uptime);
        match round(store, &self.privacy, now.wall) {
            Ok((0, 0)) => {}
            Ok((members, records)) => tracing::info!(members, records, "What had run out was removed."),
            Err(error) => tracing::warn!("What has run out could not be removed: {error}"),
        }
    }
}

/// Returns how many members and audit records left.
fn round(store: &mut MemberStore, privacy: &Privacy, now: Timestamp) -> Result<(u64, u64), StoreError> {
    let members = store.purge_expired(now, privacy.keep_expired)?;
    store.forget_set_aside(now, privacy.keep_expired);
    let records = now.checked_sub(privacy.keep_audit).map_or(Ok(0), |before| store.trim_audit(before))?;
    Ok((members, records))
}

/// A record when the service begins with other settings than the last time.
pub fn note_settings(store: &mut MemberStore, config: &Config) {
    let text = serde_json::to_vec(config).unwrap_or_default();
    let digest = hex(&Sha256::digest(text));
    if let Err(error) = store.note_settings(&digest) {
        tracing::warn!("The start with other settings could not be recorded: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::members::ImportOptions;

    #[test]
    fn it_waits_for_a_clock_that_can_be_trusted_and_then_a_day() {
        let at = |hours: u64| {
            let wall: Timestamp = "2026-06-15T00:00:00Z".parse().unwrap();
            let passed = Duration::from_secs(hours * 3_600);
            Moment::new(passed, wall.checked_add(passed).unwrap())
        };
        let mut store = MemberStore::in_memory().unwrap();
        let text = "member_ref,plate,not_after\nold,皖A10000,2026-05-01T00:00:00Z\nnew,皖A10001,2026-05-17T12:00:00Z\n";
        store.import(text.as_bytes(), &ImportOptions::at(Timestamp::UNIX_EPOCH), &mut |_| {}).unwrap();
        let left = |store: &MemberStore| store.counts().unwrap().members;
        let mut house = House::new(&Privacy::default());
        house.keep(&mut store, at(0), false);
        assert_eq!(left(&store), 2, "the clock may be years ahead");
        house.keep(&mut store, at(1), true);
        assert_eq!(left(&store), 1);
        house.keep(&mut store, at(24), true);
        assert_eq!(left(&store), 1, "a day has not passed");
        house.keep(&mut store, at(48), true);
        assert_eq!(left(&store), 0);
    }
}
