//! What the publisher needs of an MQTT client library: three small traits, so that the library can be replaced and
//! the publisher tested by a script.

use std::time::Duration;

/// A message to be published with QoS 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Whole topic.
    pub topic: String,
    /// The bytes.
    pub payload: Vec<u8>,
    /// Kept by the broker for later subscribers.
    pub retain: bool,
    /// Form of the bytes.
    pub content_type: &'static str,
    /// MQTT 5 user properties.
    pub properties: Vec<(String, String)>,
    /// The broker may throw it away after so long.
    pub expiry: Option<Duration>,
}

impl Message {
    /// At least the bytes it takes on the wire, headers included.
    pub fn wire_bytes(&self) -> usize {
        let properties: usize = self.properties.iter().map(|(name, value)| name.len() + value.len() + 5).sum();
        self.topic.len() + self.payload.len() + self.content_type.len() + properties + 32
    }
}

/// What came of a published message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has taken it over.
    Accepted,
    /// The broker would not have it; `quota`: nor any other now.
    Refused {
        /// In words.
        reason: String,
        /// The broker's quota is used up.
        quota: bool,
    },
}

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The broker has accepted the connection.
    Connected {
        /// It remembers us.
        session_present: bool,
        /// Unacknowledged publishes it takes at once.
        receive_max: u16,
        /// Largest packet that it takes.
        max_packet: Option<u32>,
    },
    /// The oldest message without a packet id has got this one.
    Numbered(u16),
    /// The broker has answered the message with this packet id.
    Answered(u16, Outcome),
    /// The library has met a packet id that is still in use: it may publish nothing any more.
    Collided,
    /// The farewell is written.
    Farewell,
    /// Nothing of interest.
    Nothing,
}

/// The sending end of a connection.
pub trait Sender {
    /// Queues a message in the library's memory; `false` when there is no room. Says nothing about its delivery.
    fn send(&self, message: Message) -> bool;

    /// Says farewell, so that the broker does not publish the will.
    fn farewell(&self);
}

/// The other end: drives the connection and tells what happens.
pub trait Events {
    /// The next thing that happens. The future must not be dropped while the connection is in use.
    ///
    /// # Errors
    /// In words; the connection is lost.
    fn next(&mut self) -> impl Future<Output = Result<Happened, String>>;

    /// What had happened before the connection was lost and was not told yet.
    fn left_over(&mut self) -> Vec<Happened>;
}

/// Makes connections.
pub trait Link {
    /// The sending end.
    type Sender: Sender;
    /// The other end.
    type Events: Events;

    /// Prepares a new connection with `will` as the last will; the first [`Events::next`] connects it.
    ///
    /// # Errors
    /// In words, when a setting or a file stands against it.
    fn dial(&mut self, will: Message) -> Result<(Self::Sender, Self::Events), String>;
}
