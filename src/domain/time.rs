//! Values about time that rules and events share; none of them reads a clock.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Uptime;

/// How far the wall clock can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimeQuality {
    /// The kernel says that a time server disciplines the clock.
    Synced,
    /// It was synchronised since the start, but is not any more.
    Holdover,
    /// Never synchronised since the start.
    #[default]
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

/// An instant that another run of the program can relate to its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Which run of the operating system.
    pub boot_id: String,
    /// Milliseconds since that boot.
    pub boot_ms: u64,
    /// Wall time.
    pub wall: Timestamp,
    /// How far the wall time can be trusted.
    pub quality: TimeQuality,
}

impl Stamp {
    /// How long ago `earlier` was; never negative.
    ///
    /// Exact within one boot. Over a reboot only the wall clock knows, and only when it could be trusted both times;
    /// otherwise the time is unknown and counts as none, so that no duration is told that may not have been.
    pub fn since(&self, earlier: &Self) -> Uptime {
        if self.boot_id == earlier.boot_id {
            return Uptime::from_millis(self.boot_ms.saturating_sub(earlier.boot_ms));
        }
        if !self.is_trusted() || !earlier.is_trusted() {
            return Uptime::ZERO;
        }
        Uptime::try_from(self.wall.duration_since(earlier.wall)).unwrap_or(Uptime::ZERO)
    }

    /// Could the wall time be trusted?
    pub fn is_trusted(&self) -> bool {
        self.quality != TimeQuality::Unsynced
    }

    /// Is the time since `earlier` unknown only until this boot's clock is synchronised?
    pub fn may_repair(&self, earlier: &Self) -> bool {
        self.boot_id != earlier.boot_id && earlier.is_trusted() && !self.is_trusted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(boot: &str, boot_ms: u64, wall: &str, quality: TimeQuality) -> Stamp {
        Stamp { boot_id: boot.into(), boot_ms, wall: wall.parse().unwrap(), quality }
    }

    #[test]
    fn within_one_boot_the_wall_clock_is_not_asked() {
        let before = stamp("a", 10_000, "2026-03-01T08:00:00Z", TimeQuality::Synced);
        let after = stamp("a", 14_500, "1970-01-01T00:00:09Z", TimeQuality::Unsynced);
        assert_eq!(after.since(&before), Uptime::from_millis(4500));
        assert_eq!(before.since(&after), Uptime::ZERO);
    }

    #[test]
    fn over_a_reboot_only_a_trusted_wall_clock_counts() {
        let before = stamp("a", 10_000, "2026-03-01T08:00:00Z", TimeQuality::Holdover);
        let synced = stamp("b", 20, "2026-03-01T08:03:00Z", TimeQuality::Synced);
        assert_eq!(synced.since(&before), Uptime::from_secs(180));
        assert_eq!(before.since(&synced), Uptime::ZERO);
        let unsynced = stamp("b", 20, "2027-04-01T08:03:00Z", TimeQuality::Unsynced);
        assert_eq!(unsynced.since(&before), Uptime::ZERO);
    }
}
