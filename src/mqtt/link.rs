//! What the publisher needs of an MQTT client library: three small traits, so that the library can be replaced and
//! the publisher tested by a script.

use std::time::Duration;

/// A message to be published with QoS 1.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// MQTT 5 correlation data of an answer.
    pub correlation: Option<Vec<u8>>,
}

impl Message {
    /// At least the bytes it takes on the wire, headers included.
    pub fn wire_bytes(&self) -> usize {
        let properties: usize = self.properties.iter().map(|(name, value)| name.len() + value.len() + 5).sum();
        let correlation = self.correlation.as_ref().map_or(0, |data| data.len() + 3);
        self.topic.len() + self.payload.len() + self.content_type.len() + properties + correlation + 32
    }
}

/// A message that came from the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// Whole topic.
    pub topic: String,
    /// The bytes, whatever they are.
    pub payload: Vec<u8>,
    /// Was it kept by the broker?
    pub retained: bool,
    /// Where an answer is wanted.
    pub reply: Option<Reply>,
    /// Packet id that the broker wants acknowledged; `None`: nothing is wanted.
    pub id: Option<u16>,
}

/// Where an answer is wanted: MQTT 5 response topic and correlation data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Whole topic.
    pub topic: String,
    /// To be sent back as it came.
    pub correlation: Option<Vec<u8>>,
}

/// Why a broker would not have something: what a person does about it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// User, password or certificate are not accepted.
    Credentials,
    /// The access rules of the broker forbid it.
    NotAuthorised,
    /// A quota is used up, or it is too fast.
    Quota,
    /// Larger than the broker takes.
    TooLarge,
    /// The topic's name is not accepted.
    Topic,
    /// Another client uses the same client id.
    TakenOver,
    /// The broker is busy or going down.
    Unavailable,
    /// The broker does not speak this version of MQTT.
    Version,
    /// Anything else that it said.
    Other,
}

/// What came of a published message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has taken it over.
    Accepted,
    /// The broker would not have it.
    Refused {
        /// Of which kind.
        refusal: Refusal,
        /// In the broker's words.
        reason: String,
    },
}

/// Why a connection was lost or never came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// When the broker said so itself.
    pub refusal: Option<Refusal>,
    /// In words.
    pub words: String,
}

impl From<String> for Lost {
    fn from(words: String) -> Self {
        Self { refusal: None, words }
    }
}

impl From<&str> for Lost {
    fn from(words: &str) -> Self {
        Self::from(words.to_owned())
    }
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
        /// Time between signs of life, when the broker wants another one than ours.
        keep_alive: Option<Duration>,
    },
    /// The oldest message without a packet id has got this one.
    Numbered(u16),
    /// The broker has answered the message with this packet id.
    Answered(u16, Outcome),
    /// The broker has answered a subscription; in words what it refused.
    Subscribed(Result<(), String>),
    /// A message came in.
    Came(Incoming),
    /// The library has met a packet id that is still in use: it may publish nothing any more.
    Collided,
    /// The farewell is written.
    Farewell,
    /// A sign of life from the broker.
    Heard,
    /// Nothing of interest.
    Nothing,
}

impl Happened {
    /// Did it come from the broker?
    pub fn is_sign_of_life(&self) -> bool {
        !matches!(self, Self::Numbered(_) | Self::Collided | Self::Farewell | Self::Nothing)
    }
}

/// The sending end of a connection.
pub trait Sender {
    /// Queues a message in the library's memory; `false` when there is no room. Says nothing about its delivery.
    fn send(&self, message: Message) -> bool;
    /// Asks for the messages of these topic filters; `false` when there is no room.
    fn subscribe(&self, filters: &[String]) -> bool;
    /// Tells the broker that the message with this packet id needs not be sent again.
    fn acknowledge(&self, id: u16) -> bool;
    /// Says farewell, so that the broker does not publish the will.
    fn farewell(&self);
}

/// The other end: drives the connection and tells what happens.
pub trait Events {
    /// The next thing that happens. The future must not be dropped while the connection is in use.
    ///
    /// # Errors
    /// Why the connection is lost.
    fn next(&mut self) -> impl Future<Output = Result<Happened, Lost>>;
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
    /// The connection ended; had the broker accepted it? Chooses the broker of the next one.
    fn ended(&mut self, _was_accepted: bool) {}
    /// The broker of the last dial, `HOST:PORT`.
    fn broker(&self) -> String {
        String::new()
    }
    /// Were certificate, key or password replaced since the last dial?
    fn renewed(&self) -> bool {
        false
    }
}
