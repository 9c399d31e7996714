//! Ties the spool to the publisher: a thread with the tokio runtime, a wake-up after each commit, and a way back for
//! acknowledgements.
//!
//! The spool has one owner, the rules thread: the publisher reads through its own read-only connection and hands
//! acknowledgements back over a bounded channel. When that channel is full (the owner waits for a slow disk), they stay
//! here in memory and are handed over later; when too many are held back, nothing more is sent until the owner has
//! caught up. An acknowledgement that is lost in a crash costs a repetition, never an event.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::{Notify, watch};
use tracing::error;

use crate::config::Config;
use crate::domain::event::EventClass;
use crate::mqtt::{
    Board, ConnectionState, Exchange, Item, Letter, Publisher, Queue, Rumqtt, Settings, Status, Switch, Ticket,
};
use crate::store::spool::{QueuedEvent, Reader, RowKey, Spool, SpoolError};

/// Batches on their way to the owner. Full: see the head of this file.
const BATCHES: usize = 64;
/// Acknowledged but not yet deleted; beyond, nothing more is sent.
const MOST_UNDELETED: usize = 4096;

/// The publisher's thread.
pub struct Delivery {
    wake: Arc<Notify>,
    board: Arc<Board>,
    letters: Option<Receiver<Letter>>,
    status: watch::Receiver<Status>,
    /// `None`: no broker is set.
    running: Option<(Switch, JoinHandle<()>)>,
    // Keeps the status of a delivery that was never started readable.
    _unset: Option<watch::Sender<Status>>,
}

/// The owner's end: acknowledgements to be applied to the spool.
pub struct Acknowledgements {
    batches: Option<Receiver<Vec<RowKey>>>,
    /// Taken from the channel and not deleted yet, because the disk refused.
    held: Vec<RowKey>,
    /// How many batches `held` is made of.
    taken: u64,
    applied: Arc<AtomicU64>,
}

impl Delivery {
    /// Starts the publisher, whose thread calls `alive` once a second while it runs. Without `mqtt.url` there is no
    /// thread, and events wait in the outbox.
    ///
    /// # Errors
    /// When a setting is wrong, the spool cannot be read or a thread cannot be started.
    pub fn start(
        config: &Config,
        spool: &mut Spool,
        alive: impl Fn() + Send + 'static,
    ) -> anyhow::Result<(Self, Acknowledgements)> {
        if config.mqtt.url.is_empty() {
            return Ok(Self::unset());
        }
        let link = Rumqtt::new(&config.mqtt, &config.site).map_err(anyhow::Error::msg).context("mqtt")?;
        let starts = spool.count_start().context("cannot count the start of the service")?;
        let settings = Settings::new(&config.site, &config.mqtt, &config.outbox, spool.epoch(), starts);
        Self::start_beating(link, settings, spool, &super::platform::FILTERS, alive)
    }

    /// The same over any link, without signs of life; what comes in on `filters` is in [`Delivery::letters`]. Without
    /// filters nothing is subscribed to.
    ///
    /// # Errors
    /// When the spool cannot be read or a thread cannot be started.
    pub fn start_with<L>(
        link: L,
        settings: Settings,
        spool: &Spool,
        filters: &[&str],
    ) -> anyhow::Result<(Self, Acknowledgements)>
    where
        L: crate::mqtt::Link + Send + 'static,
    {
        Self::start_beating(link, settings, spool, filters, || ())
    }

    fn start_beating<L>(
        link: L,
        settings: Settings,
        spool: &Spool,
        filters: &[&str],
        alive: impl Fn() + Send + 'static,
    ) -> anyhow::Result<(Self, Acknowledgements)>
    where
        L: crate::mqtt::Link + Send + 'static,
    {
        let reader = spool.reader().context("cannot read the outbox")?;
        let (sink, batches) = sync_channel(BATCHES);
        let applied = Arc::new(AtomicU64::new(0));
        let queue = SpoolQueue::new(reader, sink, Arc::clone(&applied));
        let wake = Arc::new(Notify::new());
        let board = Arc::new(Board::new(Arc::clone(&wake)));
        let (exchange, letters) = Exchange::new(settings.topics.root(), filters, Arc::clone(&board));
        let (exchange, letters) = if filters.is_empty() { (None, None) } else { (Some(exchange), Some(letters)) };
        let (publisher, switch, status) = Publisher::new(link, queue, settings, Arc::clone(&wake));
        let publisher = publisher.with_exchange(exchange);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("cannot start the network runtime")?;
        let thread = std::thread::Builder::new().name("delivery".into());
        let work = move || {
            runtime.block_on(async {
                tokio::select! { () = publisher.run() => {}, () = beats(alive) => {} }
            })
        };
        let thread = thread.spawn(work).context("cannot start a thread")?;
        let acknowledgements = Acknowledgements { batches: Some(batches), held: Vec::new(), taken: 0, applied };
        Ok((Self { wake, board, letters, status, running: Some((switch, thread)), _unset: None }, acknowledgements))
    }

    fn unset() -> (Self, Acknowledgements) {
        let (sender, status) = watch::channel(Status::new(ConnectionState::Unset));
        let (wake, board) = (Arc::new(Notify::new()), Arc::default());
        let delivery = Self { wake, board, letters: None, status, running: None, _unset: Some(sender) };
        let applied = Arc::new(AtomicU64::new(0));
        (delivery, Acknowledgements { batches: None, held: Vec::new(), taken: 0, applied })
    }

    /// Something was committed: send it now.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// A handle that other threads may use to wake it.
    pub fn waker(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Where the state of the box and answers to commands are posted.
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// What comes in; `None`: nothing does, or it was taken already.
    pub fn letters(&mut self) -> Option<Receiver<Letter>> {
        self.letters.take()
    }

    /// How the connection is.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The same, for a thread that answers `status`.
    pub fn status_watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Is the thread alive, or none needed? A dead one must end the process.
    pub fn is_alive(&self) -> bool {
        self.running.as_ref().is_none_or(|(_, thread)| !thread.is_finished())
    }

    /// Tells the platform that the box goes offline, and ends; gives up waiting after `limit`. What was acknowledged
    /// until then is taken by a last [`Acknowledgements::apply`].
    pub fn stop(self, limit: Duration) {
        let Some((switch, thread)) = self.running else { return };
        switch.stop();
        let until = Instant::now() + limit;
        while !thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        if thread.is_finished() && thread.join().is_err() {
            error!("The delivery thread had ended with a panic.");
        }
    }
}

/// One task with the publisher: a publisher that blocks the thread silences it.
async fn beats(alive: impl Fn()) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        alive();
    }
}

impl Acknowledgements {
    /// Deletes what the broker has taken over, all that has come in one transaction; returns how many. Does not wait.
    ///
    /// # Errors
    /// What the disk refused; nothing is forgotten, the next call tries again.
    pub fn apply(&mut self, spool: &mut Spool) -> Result<usize, SpoolError> {
        if let Some(batches) = &self.batches {
            for batch in batches.try_iter() {
                self.held.extend(batch);
                self.taken += 1;
            }
        }
        if self.taken == 0 {
            return Ok(0);
        }
        let deleted = spool.acknowledged(&self.held)?;
        self.held.clear();
        self.applied.fetch_add(std::mem::take(&mut self.taken), Ordering::Release);
        Ok(deleted)
    }
}

/// The publisher's end of the spool.
struct SpoolQueue {
    reader: Reader,
    sink: SyncSender<Vec<RowKey>>,
    /// Batches that the owner has deleted.
    applied: Arc<AtomicU64>,
    forgotten: u64,
    /// Batches that were sent to the owner and may still stand in the file, oldest first.
    sent: VecDeque<Vec<RowKey>>,
    /// Not sent yet.
    pending: Vec<RowKey>,
    /// All of `sent` and `pending`: not to be read again.
    done: BTreeSet<RowKey>,
}

impl SpoolQueue {
    fn new(reader: Reader, sink: SyncSender<Vec<RowKey>>, applied: Arc<AtomicU64>) -> Self {
        let (sent, pending, done) = (VecDeque::new(), Vec::new(), BTreeSet::new());
        Self { reader, sink, applied, forgotten: 0, sent, pending, done }
    }

    /// Forgets what the owner has deleted meanwhile.
    fn catch_up(&mut self) {
        let applied = self.applied.load(Ordering::Acquire);
        while self.forgotten < applied {
            for key in self.sent.pop_front().unwrap_or_default() {
                self.done.remove(&key);
            }
            self.forgotten += 1;
        }
    }
}

impl Queue for SpoolQueue {
    fn generation(&mut self) -> Result<u64, String> {
        self.reader.generation().map_err(|error| error.to_string())
    }

    fn next(&mut self, class: EventClass, after: u64, limit: usize) -> Result<Vec<Item>, String> {
        let mut items = Vec::new();
        let mut after = after;
        while items.len() < limit {
            let wanted = limit - items.len();
            let rows = self.reader.next(class, after, wanted).map_err(|error| error.to_string())?;
            let complete = rows.len() < wanted;
            after = rows.last().map_or(after, |row| row.key.seq);
            items.extend(rows.into_iter().filter(|row| !self.done.contains(&row.key)).map(item));
            if complete {
                break;
            }
        }
        Ok(items)
    }

    fn newest(&mut self, class: EventClass) -> Result<u64, String> {
        self.reader.newest(class).map_err(|error| error.to_string())
    }

    fn acknowledged(&mut self, ticket: Ticket) {
        let key = RowKey { generation: ticket.generation, seq: ticket.seq };
        self.pending.push(key);
        self.done.insert(key);
    }

    fn hand_on(&mut self) -> bool {
        self.catch_up();
        if !self.pending.is_empty() {
            let batch = std::mem::take(&mut self.pending);
            match self.sink.try_send(batch.clone()) {
                Ok(()) => self.sent.push_back(batch),
                // The owner is gone: the process ends, and what is not deleted is sent again after the start.
                Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => self.pending = batch,
            }
        }
        self.done.len() < MOST_UNDELETED
    }
}

fn item(row: QueuedEvent) -> Item {
    Item {
        ticket: Ticket { generation: row.key.generation, seq: row.key.seq },
        class: row.class,
        topic: row.topic,
        happened_at: row.happened_at,
        payload: row.payload,
    }
}
