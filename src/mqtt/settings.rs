//! How to send, and what an event looks like on the wire: its topic, its properties, its mark when it is late.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::link::Message;
use super::queue::Item;
use super::topics::Topics;
use crate::config;
use crate::domain::event::{EventClass, mark_late};

/// Health older than this is of no use to anybody.
pub const HEALTH_EXPIRY: Duration = Duration::from_secs(900);

/// Signs of life that may be missing: with the default of 30 s a dead line is noticed in 45 s.
pub(super) const SILENT: f64 = 1.5;

/// Form of an event on the wire.
pub const EVENT_CONTENT_TYPE: &str = "application/cloudevents+json";

/// How to send.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names on the broker.
    pub topics: Topics,
    /// Messages on the wire at once.
    pub window: u16,
    /// Longest pause between two attempts, and longest rest of a refused event.
    pub reconnect_max: Duration,
    /// Events a second from a backlog; 0: no limit.
    pub drain_per_second: u32,
    /// An event sent later than this after it happened is marked.
    pub late_after: Duration,
    /// A connection with messages on the wire and no answer for so long is replaced.
    pub stalled_after: Duration,
    /// A connection on which nothing came from the broker for so long is replaced: one and a half signs of life.
    pub silent_after: Duration,
    /// Name of the queue's file, told in the birth message.
    pub epoch: String,
    /// Number of the first connection; greater than that of any earlier one.
    pub first_session: u64,
}

impl Settings {
    /// What the settings file says; `starts` counts the starts of the service.
    pub fn new(site: &config::Site, mqtt: &config::Mqtt, outbox: &config::Outbox, epoch: &str, starts: u64) -> Self {
        Self {
            topics: Topics::new(site, mqtt),
            window: mqtt.max_inflight.clamp(1, 20),
            reconnect_max: mqtt.reconnect_max,
            drain_per_second: mqtt.drain_per_second,
            late_after: outbox.late_after,
            stalled_after: Duration::from_secs(60),
            silent_after: mqtt.keep_alive.max(Duration::from_secs(5)).mul_f64(SILENT),
            epoch: epoch.to_owned(),
            first_session: starts * 1_000_000 + 1,
        }
    }

    /// What goes on the wire for an event of the queue at `now`.
    pub(super) fn message(&self, item: Item, now: Timestamp) -> Message {
        let properties = properties(&item.payload);
        let age = now.duration_since(item.happened_at);
        let late = Duration::try_from(age).is_ok_and(|age| age > self.late_after);
        Message {
            correlation: None,
            topic: self.topics.whole(&item.topic),
            payload: if late { mark_late(&item.payload) } else { item.payload },
            retain: false,
            content_type: EVENT_CONTENT_TYPE,
            properties,
            expiry: (item.class == EventClass::P3).then_some(HEALTH_EXPIRY),
        }
    }
}

/// `type`, `id` and `schema` of a CloudEvent, for brokers and consumers that route without parsing.
fn properties(payload: &[u8]) -> Vec<(String, String)> {
    #[derive(Deserialize)]
    struct Head {
        r#type: Option<String>,
        id: Option<String>,
        dataschema: Option<String>,
    }
    let Ok(head) = serde_json::from_slice::<Head>(payload) else { return Vec::new() };
    let named = [("type", head.r#type), ("id", head.id), ("schema", head.dataschema)];
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
