//! How the connection is, for `status` and health.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::link::Refusal;

/// How the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionState {
    /// No broker is set: events wait in the outbox.
    Unset,
    /// On the way.
    Connecting,
    /// The broker has accepted the connection.
    Connected,
    /// Waiting for the next attempt.
    Waiting,
    /// Ended on request.
    Stopped,
}

/// How the subscription to commands and member lists is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subscription {
    /// Not connected, or nothing is subscribed to.
    #[default]
    None,
    /// The broker has not answered yet.
    Asked,
    /// The broker sends what is for this box.
    Confirmed,
    /// The broker would not: neither commands nor member lists come in.
    Refused,
}

/// How the connection is, since when, and what it has done since the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// How it is.
    pub state: ConnectionState,
    /// Since when.
    pub since: Timestamp,
    /// Which broker, `HOST:PORT`.
    pub broker: String,
    /// How the subscription is.
    pub subscription: Subscription,
    /// The last thing that went wrong, in words; stays after it was overcome.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// Number of this connection; only grows.
    pub session: u64,
    /// Messages on the wire, not answered yet.
    pub in_flight: usize,
    /// Events that the broker has taken over.
    pub acked: u64,
    /// Events that the broker would not have; they are tried again.
    pub refused: u64,
    /// What the broker refused since the start, connections and events, by kind: each kind has another way out.
    pub refusals: BTreeMap<Refusal, u64>,
    /// Messages that came in.
    pub received: u64,
    /// Connections that were lost.
    pub reconnects: u64,
    /// When the broker last took an event over.
    pub last_acked_at: Option<Timestamp>,
}

impl Status {
    pub(crate) fn new(state: ConnectionState) -> Self {
        Self {
            state,
            since: Timestamp::now(),
            broker: String::new(),
            subscription: Subscription::None,
            last_error: None,
            last_error_at: None,
            session: 0,
            in_flight: 0,
            acked: 0,
            refused: 0,
            refusals: BTreeMap::new(),
            received: 0,
            reconnects: 0,
            last_acked_at: None,
        }
    }

    pub(super) fn enter(&mut self, state: ConnectionState) {
        if self.state != state {
            self.state = state;
            self.since = Timestamp::now();
        }
    }

    /// The broker refused something.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        *self.refusals.entry(refusal).or_default() += 1;
    }

    pub(super) fn failed(&mut self, words: String) {
        self.last_error = Some(words);
        self.last_error_at = Some(Timestamp::now());
    }
}
