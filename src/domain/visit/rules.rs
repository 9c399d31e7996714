//! The settings of visits, and the time line that they are counted on.

use std::time::Duration;

use crate::domain::Uptime;

/// Milliseconds since the process started; negative before that, after a restart.
pub(super) type Tick = i64;

/// An uptime on the time line.
pub(super) fn tick(uptime: Uptime) -> Tick {
    i64::try_from(uptime.as_millis()).unwrap_or(i64::MAX / 4)
}

/// When a visit begins, what is told of it, and when it ends; all in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct VisitRules {
    pub(super) absent_after: Tick,
    pub(super) exit_grace: Tick,
    pub(super) dwell_marks: Vec<Tick>,
    pub(super) dwell_min: Tick,
    pub(super) dwell_gap: Tick,
    pub(super) plate_in_events: bool,
    pub(super) save_every: Tick,
}

/// What a caller says of visits; see the settings of the same names.
#[derive(Clone, Debug, PartialEq)]
pub struct VisitSettings {
    /// A member not seen for so long has left.
    pub absent_after: Duration,
    /// A sighting at an exit ends the visit after this quiet time.
    pub exit_grace: Duration,
    /// Marks at which a dwell is told while it goes on.
    pub dwell_marks: Vec<Duration>,
    /// A dwell shorter than this is not told.
    pub dwell_min: Duration,
    /// How long something may be out of sight in a zone before its dwell ends.
    pub dwell_gap: Duration,
    /// Put plates into events.
    pub plate_in_events: bool,
    /// How old the saved "last seen" of a visit may grow while nothing else changes; a power cut costs no more.
    pub save_every: Duration,
}

impl VisitRules {
    /// Marks are put in order; those that stand twice count once.
    pub fn new(settings: &VisitSettings) -> Self {
        let mut dwell_marks: Vec<Tick> = settings.dwell_marks.iter().copied().map(tick).collect();
        dwell_marks.sort_unstable();
        dwell_marks.dedup();
        Self {
            absent_after: tick(settings.absent_after),
            exit_grace: tick(settings.exit_grace),
            dwell_marks,
            dwell_min: tick(settings.dwell_min),
            dwell_gap: tick(settings.dwell_gap),
            plate_in_events: settings.plate_in_events,
            save_every: tick(settings.save_every),
        }
    }

    /// How many marks a stay of that length has reached; none while it is too short to be told.
    pub(super) fn marks_reached(&self, length: Tick) -> u32 {
        if length < self.dwell_min {
            return 0;
        }
        self.dwell_marks.iter().filter(|&&mark| mark <= length).count() as u32
    }
}
