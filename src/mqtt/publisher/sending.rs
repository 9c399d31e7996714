//! The sending side of a connection: what is handed over, and what comes of it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::super::exchange::Posted;
use super::super::flight::Flight;
use super::super::link::{Link, Message, Outcome, Refusal, Sender};
use super::super::pace::Backoff;
use super::super::queue::{Item, Queue, Ticket};
use super::super::schedule::Schedule;
use super::super::topics::Topics;
use super::hearing::Hearing;
use super::{LOOK_EVERY, Publisher};
use crate::domain::event::EventClass;

/// A broker that ends a connection over a packet of less than this has another reason.
const SMALLEST_LIMIT: usize = 1024;

/// What is on the wire.
#[derive(Debug)]
pub(super) enum Parcel {
    Presence,
    Posted(Posted, usize),
    Event(Ticket, EventClass, usize),
}

/// One connection, from CONNACK on.
pub(super) struct Connection {
    pub(super) flight: Flight<Parcel>,
    pub(super) schedule: Schedule,
    pub(super) hearing: Hearing,
    max_packet: usize,
    pub(super) since: Instant,
    /// Last acknowledgement.
    pub(super) progress: Instant,
    /// Last sign of life from the broker, and how long it may be without.
    pub(super) heard: Instant,
    pub(super) silent_after: Duration,
    /// Last look at the files of certificate and password.
    pub(super) seals_at: Instant,
    /// The broker's quota is used up until then.
    paused_until: Option<Instant>,
    quota: Backoff,
}

impl<L: Link, Q: Queue> Publisher<L, Q> {
    pub(super) fn begin(&mut self, receive_max: u16, max_packet: Option<u32>) -> Result<Connection, String> {
        let now = Instant::now();
        let (drain, longest) = (self.settings.drain_per_second, self.settings.reconnect_max);
        let schedule = Schedule::begin(&mut self.queue, drain, longest, now)?;
        if let Some(exchange) = &mut self.exchange {
            exchange.begin();
        }
        // A subscription takes a packet id too.
        let ids = receive_max.saturating_sub(u16::from(self.exchange.is_some())).max(1);
        let told = max_packet.map_or(usize::MAX, |bytes| bytes as usize);
        Ok(Connection {
            flight: Flight::new(self.settings.window.min(ids)),
            schedule,
            hearing: Hearing::new(longest),
            max_packet: told.min(self.largest_packet),
            since: now,
            progress: now,
            heard: now,
            silent_after: self.settings.silent_after,
            seals_at: now,
            paused_until: None,
            quota: Backoff::new(longest),
        })
    }

    /// Hands over what may go now; returns when to look again at the latest.
    pub(super) fn fill(&mut self, sender: &L::Sender, connection: &mut Connection, now: Instant) -> Instant {
        let look = now + LOOK_EVERY;
        self.listen(sender, connection, now);
        if let Some(until) = connection.paused_until {
            if now < until {
                return until.min(look);
            }
            connection.paused_until = None;
        }
        if connection.flight.is_empty() {
            connection.progress = now;
        }
        self.post(sender, connection);
        let room = connection.flight.room();
        if !self.queue.hand_on() || room == 0 {
            return look;
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

    /// What is posted besides the events; it is little, and a person may wait for it.
    fn post(&mut self, sender: &L::Sender, connection: &mut Connection) {
        while connection.flight.room() > 0 {
            let Some((posted, message)) = self.exchange.as_mut().and_then(|exchange| exchange.next()) else { return };
            let bytes = message.wire_bytes();
            let refused = self
                .unfit(connection, &message)
                .or_else(|| hand_over(sender, connection, message, Parcel::Posted(posted.clone(), bytes)).err());
            if let Some(reason) = refused {
                self.post_refused(&posted, &reason);
            }
        }
    }

    fn offer(&mut self, sender: &L::Sender, connection: &mut Connection, item: Item, now: Instant) {
        let (ticket, class) = (item.ticket, item.class);
        let message = self.settings.message(item, Timestamp::now());
        let bytes = message.wire_bytes();
        if let Some(reason) = self.unfit(connection, &message) {
            let refusal = if bytes > connection.max_packet { Refusal::TooLarge } else { Refusal::Topic };
            return self.refused(connection, (ticket, class), refusal, &reason, now);
        }
        if let Err(reason) = hand_over(sender, connection, message, Parcel::Event(ticket, class, bytes)) {
            self.refused(connection, (ticket, class), Refusal::Other, &reason, now);
        }
    }

    /// Why a message must not be handed over: it would cost the connection.
    fn unfit(&self, connection: &Connection, message: &Message) -> Option<String> {
        if !Topics::is_valid(&message.topic) {
            return Some("its topic is not valid".to_owned());
        }
        let limit = connection.max_packet;
        (message.wire_bytes() > limit).then(|| format!("it is larger than the broker's limit of {limit} bytes"))
    }

    /// Takes the broker's answer; was it to a presence message?
    pub(super) fn answered(&mut self, connection: &mut Connection, id: u16, outcome: Outcome) -> bool {
        let now = Instant::now();
        let parcel = connection.flight.answered(id);
        if parcel.is_some() {
            connection.progress = now;
        }
        match (parcel, outcome) {
            (Some(Parcel::Event(ticket, ..)), Outcome::Accepted) => {
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
            (Some(Parcel::Event(ticket, class, _)), Outcome::Refused { refusal, reason }) => {
                self.refused(connection, (ticket, class), refusal, &reason, now);
                if refusal == Refusal::Quota && connection.paused_until.is_none() {
                    connection.paused_until = Some(now + connection.quota.pause());
                }
                false
            }
            (Some(Parcel::Posted(posted, _)), Outcome::Accepted) => {
                self.post_settled(&posted);
                false
            }
            (Some(Parcel::Posted(posted, _)), Outcome::Refused { refusal, reason }) => {
                self.status.send_modify(|status| status.refuse(refusal));
                self.post_refused(&posted, &reason);
                false
            }
            (Some(Parcel::Presence), Outcome::Refused { refusal, reason }) => {
                warn!(reason, "The broker refused to hear whether the box is online.");
                self.status.send_modify(|status| {
                    status.refuse(refusal);
                    status.failed(format!("the broker refused `state/online`: {reason}"));
                });
                true
            }
            (Some(Parcel::Presence), Outcome::Accepted) => true,
            (None, _) => {
                debug!(id, "An acknowledgement fits no message.");
                false
            }
        }
    }

    fn refused(
        &mut self,
        connection: &mut Connection,
        (ticket, class): (Ticket, EventClass),
        refusal: Refusal,
        reason: &str,
        now: Instant,
    ) {
        warn!(seq = ticket.seq, reason, "The broker refused an event; it is kept and tried again.");
        connection.schedule.refused(class, ticket.seq, now);
        self.status.send_modify(|status| {
            status.refused += 1;
            status.refuse(refusal);
            status.failed(format!("the broker refused an event: {reason}"));
        });
    }

    fn post_settled(&self, posted: &Posted) {
        if let Some(exchange) = &self.exchange {
            exchange.settled(posted);
        }
    }

    /// It would be refused again: an answer is given up, a state waits for its next word.
    fn post_refused(&self, posted: &Posted, reason: &str) {
        warn!(?posted, reason, "The broker refused a message about the box.");
        self.status.send_modify(|status| status.failed(format!("the broker refused a message: {reason}")));
        self.post_settled(posted);
    }

    /// A broker that does not tell its limit ends the connection instead: the largest packet on the wire was too large.
    pub(super) fn remember_too_large(&mut self, connection: &Connection) {
        let bytes = |parcel: &Parcel| match parcel {
            Parcel::Presence => 0,
            Parcel::Posted(_, bytes) | Parcel::Event(.., bytes) => *bytes,
        };
        let largest = connection.flight.unanswered().map(bytes).max().unwrap_or(0);
        if largest > SMALLEST_LIMIT {
            self.largest_packet = largest - 1;
        }
    }
}

pub(super) fn hand_over<S: Sender>(
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
