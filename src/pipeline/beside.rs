//! One piece of work on a thread of its own, whose result is fetched by who began it without waiting.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use anyhow::{Context, anyhow};

/// Work that is under way.
pub(super) struct Beside<T> {
    what: &'static str,
    result: Receiver<anyhow::Result<T>>,
}

impl<T: Send + 'static> Beside<T> {
    /// Begins to read `what`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn begin(
        what: &'static str,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (sender, result) = sync_channel(1);
        let body = move || {
            // Nobody listens when the service has ended meanwhile.
            let _ = sender.send(work());
        };
        let thread = std::thread::Builder::new().name(what.to_owned()).spawn(body);
        thread.with_context(|| format!("no thread for the {what}"))?;
        Ok(Self { what, result })
    }

    /// What came of it; `None` while it goes on.
    pub fn finished(&self) -> Option<anyhow::Result<T>> {
        match self.result.try_recv() {
            Err(TryRecvError::Empty) => None,
            Ok(result) => Some(result),
            Err(TryRecvError::Disconnected) => {
                Some(Err(anyhow!("the thread that reads the {} has panicked", self.what)))
            }
        }
    }
}
