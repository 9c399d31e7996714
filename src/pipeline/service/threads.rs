//! Threads with names: started, alive, ended.

use std::thread::JoinHandle;

use anyhow::{Context, anyhow};

use crate::clock::Clock;
use crate::health::pulse::Beat;

/// A thread's sign of life, with the clock that dates it.
pub(super) struct Heart {
    /// `None`: a thread that this service does not need.
    pub(super) beat: Option<Beat>,
    pub(super) clock: Clock,
}

impl Heart {
    pub(super) fn beats(&self) {
        if let Some(beat) = &self.beat {
            beat.at(self.clock.uptime());
        }
    }
}

/// A thread with a name.
pub(super) fn spawn(
    name: &str,
    body: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).with_context(|| format!("cannot start {name}"))
}

/// Waits for its end; what it panicked of is its error.
pub(super) fn join(name: &str, thread: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    match thread.join() {
        Ok(result) => result.with_context(|| format!("the {name} thread failed")),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
            Err(anyhow!("the {name} thread panicked: {}", words.unwrap_or("no words")))
        }
    }
}
