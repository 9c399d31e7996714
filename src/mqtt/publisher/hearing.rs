//! The hearing side of a connection: the subscription is watched, letters go on, and are acknowledged when handled.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::super::link::{Incoming, Link, Sender};
use super::super::pace::Backoff;
use super::super::queue::Queue;
use super::super::status::Subscription;
use super::Publisher;
use super::sending::Connection;

/// A subscription is confirmed within this time, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// How far the subscription of a connection is.
pub(super) struct Hearing {
    /// When it is asked for again, unless it is confirmed before; `None`: confirmed, or nothing is wanted.
    again: Option<Instant>,
    refused: bool,
    pause: Backoff,
}

impl Hearing {
    pub(super) fn new(longest: Duration) -> Self {
        Self { again: None, refused: false, pause: Backoff::new(longest) }
    }
}

impl<L: Link, Q: Queue> Publisher<L, Q> {
    /// Asks for what the box must hear. On every connection: a session that the broker remembers may have lost it, and
    /// kept messages come again, which does no harm.
    pub(super) fn subscribe(&mut self, sender: &L::Sender, connection: &mut Connection) -> Result<(), String> {
        let Some(exchange) = &self.exchange else { return Ok(()) };
        if !sender.subscribe(exchange.filters()) {
            return Err("the client's queue is full".into());
        }
        connection.hearing.again = Some(Instant::now() + PATIENCE);
        connection.hearing.refused = false;
        self.status.send_modify(|status| status.subscription = Subscription::Asked);
        Ok(())
    }

    /// The broker has answered the subscription.
    pub(super) fn subscribed(&mut self, connection: &mut Connection, answer: Result<(), String>) {
        match answer {
            Ok(()) => {
                connection.hearing.again = None;
                self.status.send_modify(|status| status.subscription = Subscription::Confirmed);
            }
            Err(reason) => {
                warn!(reason, "The broker refused the subscription: no command and no member list comes in.");
                connection.hearing.refused = true;
                connection.hearing.again = Some(Instant::now() + connection.hearing.pause.pause());
                self.status.send_modify(|status| {
                    status.subscription = Subscription::Refused;
                    status.failed(format!(
                        "the broker refused the subscription ({reason}); allow this box `members/#` and `cmd/#` below its topics"
                    ));
                });
            }
        }
    }

    /// Asks again when the answer is overdue or was a refusal some time ago; acknowledges what was handled.
    pub(super) fn listen(&mut self, sender: &L::Sender, connection: &mut Connection, now: Instant) {
        let Some(exchange) = &self.exchange else { return };
        for id in exchange.handled(self.session) {
            if !sender.acknowledge(id) {
                debug!(id, "An acknowledgement found no room; the broker sends the message again.");
            }
        }
        if connection.hearing.again.is_some_and(|again| now >= again) {
            if !connection.hearing.refused {
                warn!("The broker has not confirmed the subscription; asking again.");
                let words = format!("the broker did not confirm the subscription within {PATIENCE:?}");
                self.status.send_modify(|status| status.failed(words));
            }
            if let Err(words) = self.subscribe(sender, connection) {
                debug!(words, "The subscription waits.");
            }
        }
    }

    /// A message came in. `Err`: it could not be taken and must be sent again, on a new connection.
    pub(super) fn came(&mut self, incoming: Incoming) -> Result<(), String> {
        let Some(exchange) = &self.exchange else { return Ok(()) };
        self.status.send_modify(|status| status.received += 1);
        match exchange.came(incoming, self.session) {
            Err(Incoming { id: Some(_), .. }) => {
                Err("more messages came in than could be taken; starting anew".to_owned())
            }
            Err(_) => {
                info!("A message that needs no acknowledgement found no room and was dropped.");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}
