//! Values about time that rules and events share; none of them reads a clock.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Uptime;

/// How far the wall clock can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimeQuality {
    /// The kernel says that a time server disciplines the clock.
    Synced,
    /// It was synchronised since the start, but is not any more.
    Holdover,
    /// Never synchronised since the start.
    Unsynced,
}

/// One instant as both clocks tell it. Durations are differences of `uptime`; `wall` is only told to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since the process (in a replay: the clip) started.
    pub uptime: Uptime,
    /// Wall time at that instant.
    pub wall: Timestamp,
}

impl Moment {
    /// An instant by both clocks.
    pub const fn new(uptime: Uptime, wall: Timestamp) -> Self {
        Self { uptime, wall }
    }
}
