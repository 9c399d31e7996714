//! Members who left through an exit and may still be seen there: kept over a restart like the visits.

use serde::{Deserialize, Serialize};

use super::rules::{Tick, tick};
use super::{Change, VisitBook};
use crate::domain::Uptime;
use crate::domain::time::Stamp;

/// A departure of a moment ago as it is kept on disk.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct SavedEcho {
    member_ref: String,
    /// Up to then a sighting at an exit is no return; on the time line of the process that saved it.
    until: Tick,
    /// When it was saved, on that time line.
    uptime_ms: Tick,
    /// When it was saved, so that another process can tell how long ago that was.
    stamp: Stamp,
}

impl SavedEcho {
    /// Whose departure.
    pub fn member_ref(&self) -> &str {
        &self.member_ref
    }
}

impl Change {
    /// Departures of a moment ago to save; `uptime` and `stamp` are the present.
    pub fn echoes<'a>(&'a self, uptime: Uptime, stamp: &'a Stamp) -> impl Iterator<Item = SavedEcho> + 'a {
        self.echoes.iter().map(move |(member_ref, until)| SavedEcho {
            member_ref: member_ref.clone(),
            until: *until,
            uptime_ms: tick(uptime),
            stamp: stamp.clone(),
        })
    }
}

impl VisitBook {
    /// Takes up the departures that another run of the program saved. A time without power of unknown length counts as
    /// none: who is seen at the exit so soon after a start has rather not left yet than come back. `uptime` and `stamp`
    /// are the present.
    pub fn restore_echoes(&mut self, saved: Vec<SavedEcho>, uptime: Uptime, stamp: &Stamp) {
        let now = tick(uptime);
        for SavedEcho { member_ref, until, uptime_ms, stamp: then } in saved {
            let left = until.saturating_sub(uptime_ms).saturating_sub(tick(stamp.since(&then)));
            if left > 0 {
                self.echoes.insert(member_ref, now.saturating_add(left));
            }
        }
    }
}
