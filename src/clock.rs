//! The world's time at the edge of the house: wall clock, uptime, and how far the wall clock can be trusted.
//!
//! Rules never read it; `pipeline` reads it and passes values in. A replay uses `Clock::replay`, whose wall time
//! follows the clip, so that two runs say the same.

pub mod floor;
pub mod mark;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::domain::Uptime;
use crate::domain::time::{Moment, Stamp};

pub use crate::domain::time::TimeQuality;

/// Where time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine.
    System {
        /// When the process started.
        started: Instant,
    },
    /// A clip that began at `start`.
    Replay {
        /// Wall time of the clip's first frame.
        start: Timestamp,
    },
}

impl Clock {
    /// The machine's clock, uptime from now.
    pub fn system() -> Self {
        Self::System { started: Instant::now() }
    }

    /// Time since the start; a replay has none of its own, its frames bring theirs.
    pub fn uptime(&self) -> Uptime {
        match self {
            Self::System { started } => started.elapsed(),
            Self::Replay { .. } => Duration::ZERO,
        }
    }

    /// Wall time at an uptime, now or earlier.
    pub fn wall_at(&self, at: Uptime) -> Timestamp {
        match self {
            Self::System { started } => {
                let ago = started.elapsed().saturating_sub(at);
                Timestamp::now().checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH)
            }
            Self::Replay { start } => start.checked_add(at).unwrap_or(Timestamp::MAX),
        }
    }
}

/// This run of the program, as another run can relate to it.
#[derive(Clone, Debug)]
pub struct Boot {
    id: String,
    /// Milliseconds from the start of the operating system to the start of the process.
    offset_ms: u64,
    run: String,
    replay: bool,
    /// Was the clock synchronised at any moment of this run? Shared by all copies.
    was_synchronised: Arc<AtomicBool>,
}

impl Boot {
    /// Of this machine; call it at the start of the process, together with [`Clock::system`].
    pub fn system() -> Self {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        let offset_ms = u64::try_from(since_boot().as_millis()).unwrap_or(u64::MAX);
        // A process begins at one instant of one boot only.
        let run = format!("{}{:x}", id.chars().take(8).collect::<String>(), offset_ms);
        Self { id, offset_ms, run, replay: false, was_synchronised: Arc::default() }
    }

    /// Of a replay: the same for every run.
    pub fn replay() -> Self {
        let (id, was_synchronised) = ("replay".to_owned(), Arc::default());
        Self { id, offset_ms: 0, run: String::new(), replay: true, was_synchronised }
    }

    /// Which run of the operating system.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Milliseconds since the operating system started, at an uptime of the process.
    pub fn ms_at(&self, uptime: Uptime) -> u64 {
        self.offset_ms.saturating_add(u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX))
    }

    /// An instant that another run can relate to its own.
    pub fn stamp(&self, at: Moment) -> Stamp {
        Stamp { boot_id: self.id.clone(), boot_ms: self.ms_at(at.uptime), wall: at.wall, quality: self.quality() }
    }

    /// A name that no other run on this spool has; in a replay that of the spool.
    pub fn run_name(&self, epoch: &str) -> String {
        if self.run.is_empty() { epoch.to_owned() } else { format!("{epoch}-{}", self.run) }
    }

    /// How far the wall clock can be trusted at this moment.
    pub fn quality(&self) -> TimeQuality {
        if self.replay { TimeQuality::Unsynced } else { self.judge(is_synchronised()) }
    }

    fn judge(&self, synchronised: bool) -> TimeQuality {
        let before = self.was_synchronised.fetch_or(synchronised, Ordering::Relaxed);
        match (synchronised, before) {
            (true, _) => TimeQuality::Synced,
            (false, true) => TimeQuality::Holdover,
            (false, false) => TimeQuality::Unsynced,
        }
    }

    /// May the hour of the day be acted upon? In a replay it is what the user said.
    pub fn is_trusted(&self) -> bool {
        self.replay || self.quality() != TimeQuality::Unsynced
    }
}

/// Time since the machine started; zero when the kernel does not tell.
pub fn since_boot() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

/// Does a time server vouch for the clock? By the kernel, and where a sandbox denies the question, by the mark of a unit
/// that may ask.
fn is_synchronised() -> bool {
    kernel_is_synchronised().unwrap_or_else(|| mark::holds(Path::new(mark::INSTALLED), since_boot()))
}

/// Does a time server discipline the kernel's clock (adjtimex(2))? `None` when we may not ask.
#[expect(unsafe_code, reason = "no safe wrapper of adjtimex exists among our crates; it only fills the struct")]
fn kernel_is_synchronised() -> Option<bool> {
    // SAFETY: zero is a valid value of every field, and `modes = 0` asks without changing anything.
    let state = unsafe {
        let mut ask: nix::libc::timex = std::mem::zeroed();
        nix::libc::adjtimex(&raw mut ask)
    };
    // TIME_ERROR, 5, says "not synchronised"; -1 that the call failed.
    (state >= 0).then_some(state < 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_lost_its_time_server_is_still_better_than_one_that_never_had_any() {
        let boot = Boot::system();
        let copy = boot.clone();
        assert_eq!(boot.judge(false), TimeQuality::Unsynced);
        assert_eq!(copy.judge(true), TimeQuality::Synced);
        assert_eq!(boot.judge(false), TimeQuality::Holdover);
    }
}
