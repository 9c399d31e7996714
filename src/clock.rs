//! The world's time at the edge of the house: wall clock, uptime, and how far the wall clock can be trusted.
//!
//! Rules never read it; `pipeline` reads it and passes values in. A replay uses `Clock::replay`, whose wall time
//! follows the clip, so that two runs say the same.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::domain::Uptime;

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
