//! Whether a time server vouches for the clock, told to those who may not ask the kernel.
//!
//! The sandbox of the service denies adjtimex(2), because the same call could set the clock. A unit that may ask does so
//! once a minute and leaves a mark with the time since the start of the machine, which no step of the wall clock moves; a
//! mark that nobody renews means nothing after three minutes, nor one of an earlier start.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::disk::{self, Rights};

/// Where the units of the package leave it.
pub const INSTALLED: &str = "/run/forecourt-clock/synchronised";

/// How long a mark holds; three times the pause between two.
const HOLDS: Duration = Duration::from_secs(180);

/// Leaves the mark, or takes it away when nobody vouches for the clock.
///
/// # Errors
/// When the file cannot be written or removed.
pub fn leave(path: &Path, synchronised: bool, since_boot: Duration) -> anyhow::Result<()> {
    if synchronised {
        let seconds = format!("{}\n", since_boot.as_secs());
        return Ok(disk::write(path, seconds.as_bytes(), Rights::mode(0o644))?);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot take the mark `{}` away", path.display()))
        }
        _ => Ok(()),
    }
}

/// Does a mark say now that a time server vouches for the clock?
pub fn holds(path: &Path, since_boot: Duration) -> bool {
    let left = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    left.is_some_and(|left| left <= since_boot && since_boot - left <= HOLDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_holds_while_it_is_renewed_and_not_after_another_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("synchronised");
        let at = Duration::from_secs;
        assert!(!holds(&path, at(10)));
        leave(&path, true, at(1_000)).unwrap();
        assert!(holds(&path, at(1_000)) && holds(&path, at(1_180)));
        assert!(!holds(&path, at(1_181)), "nobody renewed it");
        assert!(!holds(&path, at(999)), "of an earlier start");
        leave(&path, false, at(1_100)).unwrap();
        leave(&path, false, at(1_101)).unwrap();
        assert!(!holds(&path, at(1_101)));
        fs::write(&path, "yes\n").unwrap();
        assert!(!holds(&path, at(1_101)));
    }
}
