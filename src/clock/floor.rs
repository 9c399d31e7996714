//! The floor of the clock of a box without a battery: the latest instant that is known to have passed.
//!
//! The time is written down every ten minutes; at the start of the machine the clock is set forward to the last written
//! time, or to the age of the program, whichever is later. It is never set back: time servers do that. A wrong time
//! must not get into the file, because it would be a floor for ever: what no time server confirms may advance no
//! further than the machine has been running.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::disk::{self, NotWritten, Rights};

/// Where the units of the package keep the time.
pub const INSTALLED: &str = "/var/lib/forecourt-clock/last";
/// Slack of the comparison between the wall clock and the time since the start.
const SLACK: Duration = Duration::from_secs(120);

/// What a moment of writing down is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The wall clock.
    pub now: Timestamp,
    /// Does a time server discipline it?
    pub synchronised: bool,
    /// Time since the machine started.
    pub since_boot: Duration,
    /// What was written down last.
    pub last: Option<Timestamp>,
}

impl Facts {
    /// May `now` be written down?
    pub fn believable(&self) -> bool {
        let Some(last) = self.last else { return true };
        let most = last.checked_add(self.since_boot + SLACK).unwrap_or(Timestamp::MAX);
        self.synchronised || (last <= self.now && self.now <= most)
    }
}

/// The floor, when the clock lies below it.
pub fn lift(now: Timestamp, last: Option<Timestamp>, built: Option<Timestamp>) -> Option<Timestamp> {
    last.max(built).filter(|floor| *floor > now)
}

/// The last written time; `None` when there is none, or what stands there is no time.
pub fn read(path: &Path) -> Option<Timestamp> {
    let mut text = String::new();
    File::open(path).ok()?.take(64).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Writes a time down: whole or not at all, also in a power cut.
///
/// # Errors
/// When the file or its folder cannot be written.
pub fn write(path: &Path, now: Timestamp) -> Result<(), NotWritten> {
    disk::write(path, format!("{now:.0}\n").as_bytes(), Rights::mode(0o644))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_clock_is_lifted_to_the_later_of_both_and_never_set_back() {
        let (last, built) = (at("2026-11-20T08:00:00Z"), at("2026-11-01T00:00:00Z"));
        let born = at("1970-01-01T00:00:07Z");
        assert_eq!(lift(born, Some(last), Some(built)), Some(last));
        assert_eq!(lift(born, None, Some(built)), Some(built));
        assert_eq!(lift(born, None, None), None);
        for now in ["2026-11-20T08:00:00Z", "2028-11-20T08:00:00Z", "2038-01-19T03:14:08Z"] {
            assert_eq!(lift(at(now), Some(last), Some(built)), None, "{now}");
        }
    }

    #[test]
    fn a_time_that_nobody_confirms_may_only_advance_with_the_machine() {
        let last = at("2026-11-20T08:00:00Z");
        let facts = |now: &str, synchronised| Facts { now: at(now), synchronised, since_boot: HOUR, last: Some(last) };
        assert!(facts("2026-11-20T08:50:00Z", false).believable());
        for wrong in ["2026-11-20T10:00:00Z", "2038-01-19T03:14:08Z", "2026-11-20T07:59:59Z", "1970-01-01T00:00:00Z"] {
            assert!(!facts(wrong, false).believable(), "{wrong}");
            assert!(facts(wrong, true).believable(), "a time server may say {wrong}");
        }
        assert!(Facts { last: None, ..facts("1970-01-01T00:00:00Z", false) }.believable());
    }

    #[test]
    fn what_is_written_is_read_and_a_damaged_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last");
        assert_eq!(read(&path), None);
        write(&path, at("2026-11-20T08:00:00.5Z")).unwrap();
        assert_eq!(read(&path), Some(at("2026-11-20T08:00:00Z")));
        std::fs::write(&path, [0xff, 0, 1]).unwrap();
        assert_eq!(read(&path), None);
    }
}
