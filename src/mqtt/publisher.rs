//! Sends what waits in the queue, and forgets an event only on the broker's PUBACK.
//!
//! Promises: at least once, whatever happens to the connection, the broker or the process; what is not acknowledged is
//! sent again after every CONNACK. At most `window` messages are on the wire, so that a fault repeats no more than
//! these. A connection without progress is replaced. Deciding what goes next is `schedule`'s business, packet ids are
//! `flight`'s, what is no event `exchange`'s.

mod hearing;
mod sending;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::exchange::Exchange;
use super::link::{Events, Happened, Link, Lost, Refusal, Sender};
use super::pace::Backoff;
use super::queue::Queue;
use super::settings::{SILENT, Settings};
use super::status::{ConnectionState, Status, Subscription};
use sending::{Connection, Parcel, hand_over};

/// Looks at the queue at least so often, should a wake-up have been missed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// A connection that lasted so long was a good one: the next pause is short again.
const GOOD_AFTER: Duration = Duration::from_secs(30);

/// Pause between two looks at the files of certificate and password.
const RENEWAL_EVERY: Duration = Duration::from_secs(20);

/// Ends a publisher.
#[derive(Debug)]
pub struct Switch(watch::Sender<bool>);

impl Switch {
    /// Asks it to say farewell and end.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Why a connection ended.
enum End {
    Lost(Lost),
    /// A certificate or password was replaced: the next connection uses it.
    Renewed,
    Stopped,
}

/// What the wait for the next event ended with.
enum Step {
    Event(Result<Happened, Lost>),
    /// Nothing was acknowledged, or nothing at all was heard, for too long.
    Dead(&'static str),
    Renewed,
    Stop,
    FarewellOver,
}

/// Sends from a [`Queue`] over a [`Link`].
pub struct Publisher<L: Link, Q: Queue> {
    link: L,
    queue: Q,
    settings: Settings,
    /// `None`: events only, nothing is subscribed to.
    exchange: Option<Exchange>,
    wake: Arc<Notify>,
    stop: watch::Receiver<bool>,
    status: watch::Sender<Status>,
    session: u64,
    backoff: Backoff,
    /// The broker has ended a connection over a packet of one byte more.
    largest_packet: usize,
}

impl<L: Link, Q: Queue> Publisher<L, Q> {
    /// A publisher that looks at the queue whenever `wake` is notified, the switch that ends it, and its status.
    pub fn new(link: L, queue: Q, settings: Settings, wake: Arc<Notify>) -> (Self, Switch, watch::Receiver<Status>) {
        let (stopper, stop) = watch::channel(false);
        let (status, seen) = watch::channel(Status::new(ConnectionState::Connecting));
        let session = settings.first_session;
        let backoff = Backoff::new(settings.reconnect_max);
        let (exchange, largest_packet) = (None, usize::MAX);
        let publisher = Self { link, queue, settings, exchange, wake, stop, status, session, backoff, largest_packet };
        (publisher, Switch(stopper), seen)
    }

    /// Subscribes too, and sends what is posted besides the events.
    #[must_use]
    pub fn with_exchange(self, exchange: Option<Exchange>) -> Self {
        Self { exchange, ..self }
    }

    /// Connects, sends, connects again, until stopped.
    pub async fn run(mut self) {
        while !*self.stop.borrow() {
            match self.connection().await {
                End::Stopped => break,
                End::Renewed => info!("A certificate or password was replaced; connecting anew."),
                End::Lost(lost) => self.pause(lost).await,
            }
            self.session += 1;
        }
        self.queue.hand_on();
        self.status.send_modify(|status| status.enter(ConnectionState::Stopped));
    }

    async fn pause(&mut self, lost: Lost) {
        let pause = self.backoff.pause();
        let (words, pause_ms) = (&lost.words, u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        warn!(error = words, refusal = ?lost.refusal, pause_ms, "Connection lost.");
        self.status.send_modify(|status| {
            status.enter(ConnectionState::Waiting);
            status.subscription = Subscription::None;
            status.reconnects += 1;
            status.in_flight = 0;
            if let Some(refusal) = lost.refusal {
                status.refuse(refusal);
            }
            status.failed(lost.words);
        });
        let until = Instant::now() + pause;
        loop {
            self.queue.hand_on();
            let next = until.min(Instant::now() + LOOK_EVERY);
            tokio::select! {
                () = sleep_until(next) => if next == until { return },
                changed = self.stop.changed() => if changed.is_err() || *self.stop.borrow() { return },
            }
        }
    }

    async fn connection(&mut self) -> End {
        let will = self.settings.topics.presence(false, self.session, &self.settings.epoch);
        let dialled = self.link.dial(will);
        self.status.send_modify(|status| {
            status.enter(ConnectionState::Connecting);
            status.session = self.session;
            status.broker = self.link.broker();
        });
        let (sender, mut events) = match dialled {
            Ok(ends) => ends,
            Err(words) => return End::Lost(words.into()),
        };
        let mut connection = None;
        let mut farewell = None;
        let end = loop {
            match self.step(&sender, &mut events, &mut connection, farewell).await {
                Step::Event(Ok(Happened::Farewell)) | Step::FarewellOver => break End::Stopped,
                Step::Event(Ok(event)) => {
                    if let Err(words) = self.happened(event, &sender, &mut connection, farewell.is_some()) {
                        break End::Lost(words.into());
                    }
                }
                Step::Event(Err(lost)) => break End::Lost(lost),
                Step::Dead(words) => break End::Lost(words.into()),
                Step::Renewed => break End::Renewed,
                Step::Stop if connection.is_none() => break End::Stopped,
                Step::Stop => {
                    farewell = Some(Instant::now() + FAREWELL);
                    self.say_offline(&sender, connection.as_mut());
                }
            }
        };
        self.link.ended(connection.is_some());
        self.settle(&mut events, connection, &end);
        if farewell.is_some() { End::Stopped } else { end }
    }

    /// Takes what had been answered before the end, and remembers whether the connection was a good one.
    fn settle(&mut self, events: &mut L::Events, connection: Option<Connection>, end: &End) {
        let Some(mut connection) = connection else { return };
        for event in events.left_over() {
            if let Happened::Answered(id, outcome) = event {
                self.answered(&mut connection, id, outcome);
            }
        }
        if matches!(end, End::Lost(Lost { refusal: Some(Refusal::TooLarge), .. })) {
            self.remember_too_large(&connection);
        }
        if connection.since.elapsed() >= GOOD_AFTER {
            self.backoff.reset();
        }
        self.queue.hand_on();
    }

    /// Waits for the next event, sending meanwhile. The library's future is only dropped with the connection.
    async fn step(
        &mut self,
        sender: &L::Sender,
        events: &mut L::Events,
        connection: &mut Option<Connection>,
        farewell: Option<Instant>,
    ) -> Step {
        let mut next = pin!(events.next());
        loop {
            let now = Instant::now();
            if let Some(until) = farewell
                && now >= until
            {
                return Step::FarewellOver;
            }
            let mut look = now + LOOK_EVERY;
            if let Some(connection) = connection.as_mut() {
                if let Some(end) = self.is_dead(connection, now) {
                    return end;
                }
                if farewell.is_none() {
                    look = look.min(self.fill(sender, connection, now));
                }
            }
            if let Some(until) = farewell {
                look = look.min(until);
            }
            tokio::select! {
                biased;
                event = &mut next => return Step::Event(event),
                changed = self.stop.changed(), if farewell.is_none() => {
                    if changed.is_err() || *self.stop.borrow() {
                        return Step::Stop;
                    }
                }
                () = self.wake.notified() => {}
                () = sleep_until(look) => {}
            }
        }
    }

    /// Is the connection of no more use?
    fn is_dead(&self, connection: &mut Connection, now: Instant) -> Option<Step> {
        if !connection.flight.is_empty() && now >= connection.progress + self.settings.stalled_after {
            return Some(Step::Dead("no acknowledgement for too long; starting anew"));
        }
        if now >= connection.heard + connection.silent_after {
            return Some(Step::Dead("nothing was heard from the broker for too long; starting anew"));
        }
        if now >= connection.seals_at + RENEWAL_EVERY {
            connection.seals_at = now;
            if connection.flight.is_empty() && self.link.renewed() {
                return Some(Step::Renewed);
            }
        }
        None
    }

    fn happened(
        &mut self,
        event: Happened,
        sender: &L::Sender,
        connection: &mut Option<Connection>,
        leaving: bool,
    ) -> Result<(), String> {
        if let Some(connection) = connection.as_mut().filter(|_| event.is_sign_of_life()) {
            connection.heard = Instant::now();
        }
        match (event, connection.as_mut()) {
            (Happened::Connected { session_present, receive_max, max_packet, keep_alive }, _) => {
                info!(session = self.session, session_present, receive_max, "Connected.");
                let mut fresh = self.begin(receive_max, max_packet)?;
                fresh.silent_after = keep_alive.map_or(self.settings.silent_after, |theirs| theirs.mul_f64(SILENT));
                // Before the birth: who hears it may send commands at once.
                self.subscribe(sender, &mut fresh)?;
                let birth = self.settings.topics.presence(true, self.session, &self.settings.epoch);
                hand_over(sender, &mut fresh, birth, Parcel::Presence)?;
                *connection = Some(fresh);
                self.status.send_modify(|status| status.enter(ConnectionState::Connected));
            }
            (Happened::Numbered(id), Some(connection)) => connection.flight.numbered(id)?,
            (Happened::Answered(id, outcome), Some(connection)) => {
                let presence = self.answered(connection, id, outcome);
                if leaving && presence {
                    sender.farewell();
                }
            }
            (Happened::Subscribed(answer), Some(connection)) => self.subscribed(connection, answer),
            (Happened::Came(incoming), Some(_)) => self.came(incoming)?,
            (Happened::Collided, _) => return Err("a packet id is in use twice; starting anew".into()),
            _ => {}
        }
        Ok(())
    }

    fn say_offline(&mut self, sender: &L::Sender, connection: Option<&mut Connection>) {
        let Some(connection) = connection else { return };
        let offline = self.settings.topics.presence(false, self.session, &self.settings.epoch);
        if hand_over(sender, connection, offline, Parcel::Presence).is_err() {
            sender.farewell();
        }
    }
}

#[cfg(test)]
#[path = "publisher_tests.rs"]
mod tests;
