//! The rules thread: takes what was seen and asked in turn, lets time pass, tells what follows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tracing::{error, info};

use super::super::control::{self, Answer, Asked, Question};
use super::super::delivery::Acknowledgements;
use super::super::platform::Shown;
use super::super::rules::Rules;
use super::Wishes;
use super::threads::Heart;
use crate::camera::CamerasView;
use crate::clock::Clock;
use crate::domain::event::Event;
use crate::domain::observation::FrameObservation;
use crate::mqtt::Status;
use crate::store::spool::StoredEvent;

/// Longest time without a tick of the rules.
const TICK: Duration = Duration::from_millis(500);
/// Pause between two complaints about the same thing.
const COMPLAIN_EVERY: Duration = Duration::from_secs(30);

/// What the rules thread is told.
pub enum Message {
    /// A frame was looked at.
    Frame(FrameObservation),
    /// Somebody asks.
    Asked(Asked),
    /// The platform is to be told something; answered when it stands in the outbox.
    Tell {
        /// What.
        event: Box<Event>,
        /// Where the answer goes.
        back: SyncSender<Result<(), String>>,
    },
    /// The member list was changed by this process.
    ListChanged,
}

/// The rules thread.
pub(super) struct Desk {
    pub(super) rules: Rules,
    pub(super) view: CamerasView,
    pub(super) wishes: Wishes,
    pub(super) acknowledgements: Acknowledgements,
    pub(super) waker: Arc<Notify>,
    pub(super) mqtt: watch::Receiver<Status>,
    pub(super) clock: Clock,
    pub(super) heart: Heart,
    pub(super) tails: control::Tails,
    pub(super) shown: Shown,
}

impl Desk {
    /// Runs until it is done, or nobody is left who could send anything.
    pub(super) fn run(mut self, inbox: &Receiver<Message>, done: &AtomicBool) -> anyhow::Result<()> {
        let mut ticked = Instant::now();
        let mut complained: Option<Instant> = None;
        loop {
            self.heart.beats();
            let result = match inbox.recv_timeout(TICK.saturating_sub(ticked.elapsed())) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => return self.last_words(),
            };
            let result = result.and(self.acknowledge());
            let result = if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                result.and(self.tick())
            } else {
                result
            };
            if let Err(error) = result
                && complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY)
            {
                complained = Some(Instant::now());
                error!("{error:#}");
            }
            if done.load(Ordering::Acquire) {
                return self.drain(inbox);
            }
        }
    }

    fn take(&mut self, message: Message) -> anyhow::Result<()> {
        match message {
            Message::Frame(frame) => {
                let camera = frame.camera.clone();
                let events = self.rules.frame(frame);
                let attention = self.rules.attention(&camera);
                self.wishes.lock().unwrap_or_else(PoisonError::into_inner).insert(camera, attention);
                self.told(&events?);
            }
            Message::Asked(asked) => {
                let answer = self.answer(&asked.question);
                asked.answer(answer);
            }
            Message::Tell { event, back } => {
                let told = self.rules.tell(*event);
                // Whoever does not wait any more tries again.
                let _ = back.try_send(told.as_ref().map(drop).map_err(|error| format!("{error:#}")));
                self.told(&told?);
            }
            Message::ListChanged => self.rules.list_changed()?,
        }
        Ok(())
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        let now = self.clock.uptime();
        self.rules.cameras(now, &self.view.reports());
        let events = self.rules.tick(now)?;
        // The list may have changed, or what may be looked at; frames need not come to tell.
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.iter_mut().for_each(|(camera, wish)| *wish = self.rules.attention(camera));
        drop(wishes);
        self.told(&events);
        Ok(())
    }

    fn acknowledge(&mut self) -> anyhow::Result<()> {
        self.acknowledgements.apply(self.rules.spool())?;
        Ok(())
    }

    fn told(&self, events: &[StoredEvent]) {
        if events.is_empty() {
            return;
        }
        self.waker.notify_one();
        for event in events {
            info!(kind = event.kind, id = event.identity.id, "Accepted.");
            self.tails.send(&event.payload);
        }
    }

    fn answer(&mut self, question: &Question) -> Answer {
        match question {
            Question::Status => Ok(serde_json::json!({
                "version": env!("CARGO_PKG_VERSION"),
                "uptime_s": self.clock.uptime().as_secs(),
                "recognition": self.rules.status(),
                "inference": crate::inference::execution(),
                "cameras": self.view.reports(),
                "outbox": control::outbox_state(self.rules.spool()),
                "mqtt": *self.mqtt.borrow(),
                "platform": *self.shown.lock().unwrap_or_else(PoisonError::into_inner),
            })),
            Question::Outbox { limit } => {
                let queued = self.rules.spool().queued((*limit).min(control::MOST_ROWS));
                control::outbox(queued, self.rules.spool().epoch())
            }
            Question::Explain { id } => control::explain(id, |seq| self.rules.spool().event(seq)),
            Question::Visits { limit } => control::visits(self.rules.spool().visits((*limit).min(control::MOST_ROWS))),
        }
    }

    /// Takes what still waits, so that nothing that was seen is forgotten, then saves the visits.
    fn drain(mut self, inbox: &Receiver<Message>) -> anyhow::Result<()> {
        while let Ok(message) = inbox.try_recv() {
            self.take(message)?;
        }
        self.last_words()
    }

    fn last_words(&mut self) -> anyhow::Result<()> {
        let events = self.rules.tick(self.clock.uptime())?;
        self.told(&events);
        Ok(())
    }
}
