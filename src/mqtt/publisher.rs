//! Sends what waits in the queue, and forgets an event only on the broker's PUBACK.
//!
//! Promises: at least once, whatever happens to the connection, the broker or the process; what is not acknowledged is
//! sent again after every CONNACK. At most `window` messages are on the wire, so that a fault repeats no more than
//! these. A connection without progress is replaced. Deciding what goes next is `schedule`'s business, packet ids are
//! `flight`'s.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::flight::Flight;
use super::link::{Events, Happened, Link, Message, Outcome, Sender};
use super::pace::Backoff;
use super::queue::{Item, Queue, Ticket};
use super::schedule::Schedule;
use super::settings::Settings;
use super::status::{ConnectionState, Status};
use super::topics::Topics;
use crate::domain::event::EventClass;

/// Looks at the queue at least so often, should a wake-up have been missed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// A connection that lasted so long was a good one: the next pause is short again.
const GOOD_AFTER: Duration = Duration::from_secs(30);

/// Ends a publisher.
#[derive(Debug)]
pub struct Switch(watch::Sender<bool>);

impl Switch {
    /// Asks it to say farewell and end.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// What is on the wire.
#[derive(Debug)]
enum Parcel {
    Presence,
    Event(Ticket, EventClass),
}

/// One connection, from CONNACK on.
struct Connection {
    flight: Flight<Parcel>,
    schedule: Schedule,
    max_packet: usize,
    since: Instant,
    progress: Instant,
    /// The broker's quota is used up until then.
    paused_until: Option<Instant>,
    quota: Backoff,
}

/// Why a connection ended.
enum End {
    Lost(String),
    Stopped,
}

/// What the wait for the next event ended with.
enum Step {
    Event(Result<Happened, String>),
    Stalled,
    Stop,
    FarewellOver,
}

/// Sends from a [`Queue`] over a [`Link`].
pub struct Publisher<L: Link, Q: Queue> {
    link: L,
    queue: Q,
    settings: Settings,
    wake: Arc<Notify>,
    stop: watch::Receiver<bool>,
    status: watch::Sender<Status>,
    session: u64,
    backoff: Backoff,
}

impl<L: Link, Q: Queue> Publisher<L, Q> {
    /// A publisher that looks at the queue whenever `wake` is notified, the switch that ends it, and its status.
    pub fn new(link: L, queue: Q, settings: Settings, wake: Arc<Notify>) -> (Self, Switch, watch::Receiver<Status>) {
        let (stopper, stop) = watch::channel(false);
        let (status, seen) = watch::channel(Status::new(ConnectionState::Connecting));
        let session = settings.first_session;
        let backoff = Backoff::new(settings.reconnect_max);
        (Self { link, queue, settings, wake, stop, status, session, backoff }, Switch(stopper), seen)
    }

    /// Connects, sends, connects again, until stopped.
    pub async fn run(mut self) {
        while !*self.stop.borrow() {
            match self.connection().await {
                End::Stopped => break,
                End::Lost(words) => self.pause(words).await,
            }
            self.session += 1;
        }
        self.queue.hand_on();
        self.status.send_modify(|status| status.enter(ConnectionState::Stopped));
    }

    async fn pause(&mut self, words: String) {
        let pause = self.backoff.pause();
        warn!(error = words, pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), "Connection lost.");
        self.status.send_modify(|status| {
            status.enter(ConnectionState::Waiting);
            status.reconnects += 1;
            status.in_flight = 0;
            status.failed(words);
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
        self.status.send_modify(|status| {
            status.enter(ConnectionState::Connecting);
            status.session = self.session;
        });
        let will = self.settings.topics.presence(false, self.session, &self.settings.epoch);
        let (sender, mut events) = match self.link.dial(will) {
            Ok(ends) => ends,
            Err(words) => return End::Lost(words),
        };
        let mut connection = None;
        let mut farewell = None;
        let end = loop {
            match self.step(&sender, &mut events, &mut connection, farewell).await {
                Step::Event(Ok(Happened::Farewell)) | Step::FarewellOver => break End::Stopped,
                Step::Event(Ok(event)) => {
                    if let Err(words) = self.happened(event, &sender, &mut connection, farewell.is_some()) {
                        break End::Lost(words);
                    }
                }
                Step::Event(Err(words)) => break End::Lost(words),
                Step::Stalled => break End::Lost("no acknowledgement for too long; starting anew".into()),
                Step::Stop if connection.is_none() => break End::Stopped,
                Step::Stop => {
                    farewell = Some(Instant::now() + FAREWELL);
                    self.say_offline(&sender, connection.as_mut());
                }
            }
        };
        self.settle(&mut events, connection);
        if farewell.is_some() { End::Stopped } else { end }
    }

    /// Takes what had been answered before the end, and remembers whether the connection was a good one.
    fn settle(&mut self, events: &mut L::Events, connection: Option<Connection>) {
        let Some(mut connection) = connection else { return };
        for event in events.left_over() {
            if let Happened::Answered(id, outcome) = event {
                self.answered(&mut connection, id, outcome);
            }
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
                if !connection.flight.is_empty() && now >= connection.progress + self.settings.stalled_after {
                    return Step::Stalled;
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

    fn happened(
        &mut self,
        event: Happened,
        sender: &L::Sender,
        connection: &mut Option<Connection>,
        leaving: bool,
    ) -> Result<(), String> {
        match (event, connection.as_mut()) {
            (Happened::Connected { session_present, receive_max, max_packet }, _) => {
                info!(session = self.session, session_present, receive_max, "Connected.");
                let mut fresh = self.begin(receive_max, max_packet)?;
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
            (Happened::Collided, _) => return Err("a packet id is in use twice; starting anew".into()),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, receive_max: u16, max_packet: Option<u32>) -> Result<Connection, String> {
        let now = Instant::now();
        let (drain, longest) = (self.settings.drain_per_second, self.settings.reconnect_max);
        let schedule = Schedule::begin(&mut self.queue, drain, longest, now)?;
        Ok(Connection {
            flight: Flight::new(self.settings.window.min(receive_max)),
            schedule,
            max_packet: max_packet.map_or(usize::MAX, |bytes| bytes as usize),
            since: now,
            progress: now,
            paused_until: None,
            quota: Backoff::new(longest),
        })
    }

    /// Hands over what may go now; returns when to look again at the latest.
    fn fill(&mut self, sender: &L::Sender, connection: &mut Connection, now: Instant) -> Instant {
        let look = now + LOOK_EVERY;
        if let Some(until) = connection.paused_until {
            if now < until {
                return until.min(look);
            }
            connection.paused_until = None;
        }
        let room = connection.flight.room();
        if !self.queue.hand_on() || room == 0 {
            return look;
        }
        if connection.flight.is_empty() {
            connection.progress = now;
        }
        match connection.schedule.next(&mut self.queue, room, now) {
            Ok(items) => {
                for item in items {
                    self.offer(sender, connection, item, now);
                }
            }
            Err(words) => self.status.send_modify(|status| status.failed(words)),
        }
        let in_flight = connection.flight.len();
        self.status.send_if_modified(|status| std::mem::replace(&mut status.in_flight, in_flight) != in_flight);
        connection.schedule.wake_at(now).map_or(look, |at| at.clamp(now + Duration::from_millis(1), look))
    }

    fn offer(&mut self, sender: &L::Sender, connection: &mut Connection, item: Item, now: Instant) {
        let (ticket, class) = (item.ticket, item.class);
        let message = self.settings.message(item, Timestamp::now());
        let refused = if !Topics::is_valid(&message.topic) {
            Some("its topic is not valid".to_owned())
        } else if message.wire_bytes() > connection.max_packet {
            Some(format!("it is larger than the broker's limit of {} bytes", connection.max_packet))
        } else {
            hand_over(sender, connection, message, Parcel::Event(ticket, class)).err()
        };
        if let Some(reason) = refused {
            self.refused(connection, ticket, class, &reason, now);
        }
    }

    /// Takes the broker's answer; was it to a presence message?
    fn answered(&mut self, connection: &mut Connection, id: u16, outcome: Outcome) -> bool {
        let now = Instant::now();
        let parcel = connection.flight.answered(id);
        if parcel.is_some() {
            connection.progress = now;
        }
        match (parcel, outcome) {
            (Some(Parcel::Event(ticket, _)), Outcome::Accepted) => {
                self.queue.acknowledged(ticket);
                connection.schedule.accepted(ticket.seq);
                connection.quota.reset();
                self.backoff.reset();
                self.status.send_modify(|status| {
                    status.acked += 1;
                    status.last_acked_at = Some(Timestamp::now());
                });
                false
            }
            (Some(Parcel::Event(ticket, class)), Outcome::Refused { reason, quota }) => {
                self.refused(connection, ticket, class, &reason, now);
                if quota && connection.paused_until.is_none() {
                    connection.paused_until = Some(now + connection.quota.pause());
                }
                false
            }
            (Some(Parcel::Presence), _) => true,
            (None, _) => {
                debug!(id, "An acknowledgement fits no message.");
                false
            }
        }
    }

    fn refused(&mut self, connection: &mut Connection, ticket: Ticket, class: EventClass, reason: &str, now: Instant) {
        warn!(seq = ticket.seq, reason, "The broker refused an event; it is kept and tried again.");
        connection.schedule.refused(class, ticket.seq, now);
        self.status.send_modify(|status| {
            status.refused += 1;
            status.failed(format!("the broker refused an event: {reason}"));
        });
    }

    fn say_offline(&mut self, sender: &L::Sender, connection: Option<&mut Connection>) {
        let Some(connection) = connection else { return };
        let offline = self.settings.topics.presence(false, self.session, &self.settings.epoch);
        if hand_over(sender, connection, offline, Parcel::Presence).is_err() {
            sender.farewell();
        }
    }
}

fn hand_over<S: Sender>(
    sender: &S,
    connection: &mut Connection,
    message: Message,
    parcel: Parcel,
) -> Result<(), String> {
    if !sender.send(message) {
        return Err("the client's queue is full".into());
    }
    connection.flight.handed(parcel);
    Ok(())
}

#[cfg(test)]
#[path = "publisher_tests.rs"]
mod tests;
