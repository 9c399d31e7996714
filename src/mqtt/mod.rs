//! The connection to the platform: events out of a durable queue, at least once.
//!
//! Knows the broker and nothing of SQLite: the queue is a [`Queue`], which `pipeline` ties to the spool. The MQTT client
//! library is hidden behind [`link`]; nothing else names it.

mod address;
#[cfg(feature = "broker")]
pub mod embedded;
mod exchange;
mod flight;
mod link;
mod pace;
mod publisher;
mod queue;
pub mod reach;
mod remote;
mod rumqtt;
mod schedule;
mod settings;
mod status;
mod tls;
mod topics;

pub use address::Address;
pub use exchange::{AnswerId, Board, Exchange, Letter, Mark};
pub use link::{Events, Happened, Incoming, Link, Lost, Message, Outcome, Refusal, Reply, Sender};
pub use publisher::{Publisher, Switch};
pub use queue::{Item, Queue, Ticket};
pub use remote::Remote;
pub use rumqtt::{MAX_PACKET, Rumqtt};
pub use settings::{EVENT_CONTENT_TYPE, HEALTH_EXPIRY, Settings};
pub use status::{ConnectionState, Status, Subscription};
pub use topics::{Presence, Topics};
