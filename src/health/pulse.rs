//! Signs of life of the threads, and what the watchdog is told.
//!
//! Every thread that must make progress beats when it has done a piece of work, and when it has looked and found none.
//! The watchdog is fed only while all of them beat, so a thread that hangs in a call ends the process, and one that
//! merely has nothing to do does not. Time is passed in; cameras are not part of it: each is supervised by itself, and
//! one that hangs must not take the others along.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A thread that beats less often than this is stuck; a worn SD card may keep a commit waiting for some seconds.
pub const STUCK_AFTER: Duration = Duration::from_secs(20);

/// The last beats of all threads, in milliseconds of uptime.
#[derive(Debug)]
pub struct Pulse {
    threads: Vec<(&'static str, AtomicU64)>,
    stuck_after: Duration,
}

/// One thread's end of it.
#[derive(Clone, Debug)]
pub struct Beat {
    pulse: Arc<Pulse>,
    thread: usize,
}

/// A thread that does not beat any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Its name.
    pub thread: &'static str,
    /// How long it has been silent.
    pub silent: Duration,
}

impl Pulse {
    /// All have just beaten, at `now`. `watchdog` is the supervisor's own interval: they are found stuck within it.
    pub fn new(threads: &[&'static str], watchdog: Option<Duration>, now: Duration) -> Arc<Self> {
        let stuck_after = watchdog.map_or(STUCK_AFTER, |interval| STUCK_AFTER.min(interval * 2 / 3));
        let threads = threads.iter().map(|name| (*name, AtomicU64::new(milliseconds(now)))).collect();
        Arc::new(Self { threads, stuck_after })
    }

    /// The end that the thread of this name holds; `None` when there is no such thread.
    pub fn of(self: &Arc<Self>, name: &str) -> Option<Beat> {
        let thread = self.threads.iter().position(|(each, _)| *each == name)?;
        Some(Beat { pulse: Arc::clone(self), thread })
    }

    /// The thread that has been silent longest, when that is too long.
    pub fn stuck(&self, now: Duration) -> Option<Stuck> {
        let silence = |beat: &AtomicU64| milliseconds(now).saturating_sub(beat.load(Ordering::Relaxed));
        let all = self.threads.iter().map(|(name, beat)| (silence(beat), *name));
        let (silent, thread) = all.max_by_key(|(silent, _)| *silent)?;
        let silent = Duration::from_millis(silent);
        (silent > self.stuck_after).then_some(Stuck { thread, silent })
    }
}

impl Beat {
    /// Alive at `now`.
    pub fn at(&self, now: Duration) {
        self.pulse.threads[self.thread].1.fetch_max(milliseconds(now), Ordering::Relaxed);
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn one_silent_thread_is_found_while_the_others_beat() {
        let pulse = Pulse::new(&["inference", "rules"], None, S);
        let (inference, rules) = (pulse.of("inference").unwrap(), pulse.of("rules").unwrap());
        assert!(pulse.of("camera").is_none());
        for second in 2..=21 {
            inference.at(S * second);
        }
        assert_eq!(pulse.stuck(S * 21), None);
        assert_eq!(pulse.stuck(S * 22), Some(Stuck { thread: "rules", silent: S * 21 }));
        rules.at(S * 22);
        assert_eq!(pulse.stuck(S * 22), None);
        // A beat that comes late from another core turns nothing back.
        rules.at(S * 5);
        assert_eq!(pulse.stuck(S * 41), None);
    }

    #[test]
    fn a_short_watchdog_finds_it_before_the_supervisor_does() {
        let pulse = Pulse::new(&["rules"], Some(S * 6), Duration::ZERO);
        assert_eq!(pulse.stuck(S * 4), None);
        assert_eq!(pulse.stuck(S * 5), Some(Stuck { thread: "rules", silent: S * 5 }));
    }
}
