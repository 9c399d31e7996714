//! What the publisher needs of a durable queue.

use jiff::Timestamp;

use crate::domain::event::EventClass;

/// Names an event in the queue. Of another generation the numbers mean nothing: a new file began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// Which file.
    pub generation: u64,
    /// Which event.
    pub seq: u64,
}

/// An event to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Names it in an acknowledgement.
    pub ticket: Ticket,
    /// How dear it is.
    pub class: EventClass,
    /// Relative to the root of the box.
    pub topic: String,
    /// When it happened.
    pub happened_at: Timestamp,
    /// CloudEvents JSON.
    pub payload: Vec<u8>,
}

/// A durable queue. It forgets an event only when told so; reading takes nothing out.
pub trait Queue {
    /// Which file is read now.
    ///
    /// # Errors
    /// In words, when the queue cannot be read now.
    fn generation(&mut self) -> Result<u64, String>;

    /// The next events of `class` after number `after` (0: from the start), in the order of their numbers. Those that
    /// were acknowledged do not come again.
    ///
    /// # Errors
    /// In words, when the queue cannot be read now.
    fn next(&mut self, class: EventClass, after: u64, limit: usize) -> Result<Vec<Item>, String>;

    /// Number of the newest event of `class`; 0 when none waits.
    ///
    /// # Errors
    /// In words, when the queue cannot be read now.
    fn newest(&mut self, class: EventClass) -> Result<u64, String>;

    /// The broker has taken it over: it may be forgotten.
    fn acknowledged(&mut self, ticket: Ticket);

    /// Hands acknowledgements on to the owner of the queue. `false`: the owner is far behind, send nothing more now.
    fn hand_on(&mut self) -> bool;
}
