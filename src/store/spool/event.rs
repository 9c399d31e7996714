//! What stands in the outbox, and the words for what had to be given up.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How dear an event is; the lowest class is given up first when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// Receipts, audit, records of what was dropped. Never given up; a tenth of the room is theirs alone.
    P0,
    /// Arrivals and departures.
    P1,
    /// Dwell and expression.
    P2,
    /// Health: only the newest of a topic is kept.
    P3,
}

impl Class {
    /// All of them, dearest first.
    pub const ALL: [Class; 4] = [Class::P0, Class::P1, Class::P2, Class::P3];

    /// `P0` … `P3`.
    pub fn name(self) -> &'static str {
        match self {
            Self::P0 => "P0",
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
        }
    }

    pub(super) fn from_number(number: i64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|index| Self::ALL.get(index).copied())
    }

    /// The row of number `seq` in this class.
    pub(super) fn slot(self, seq: u64) -> i64 {
        ((self as i64) << SEQ_BITS) | seq.cast_signed()
    }

    /// First and last row that this class may hold.
    pub(super) fn slots(self) -> (i64, i64) {
        (self.slot(0), self.slot(SEQ_MASK))
    }
}

const SEQ_BITS: u32 = 52;
const SEQ_MASK: u64 = (1 << SEQ_BITS) - 1;

pub(super) fn seq_of(slot: i64) -> u64 {
    slot.cast_unsigned() & SEQ_MASK
}

pub(super) fn class_of(slot: i64) -> Class {
    Class::from_number(slot >> SEQ_BITS).unwrap_or(Class::P3)
}

/// Who an event is; given inside the transaction that accepts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the database that numbered it.
    pub epoch: String,
    /// Contiguous from 1 within the epoch, never used twice.
    pub seq: u64,
    /// `<epoch>-<seq>`, the CloudEvents `id`.
    pub id: String,
}

impl Identity {
    /// The identity of number `seq` of `epoch`.
    pub fn new(epoch: &str, seq: u64) -> Self {
        Self { epoch: epoch.to_owned(), seq, id: format!("{epoch}-{seq}") }
    }
}

/// An event to be accepted.
pub struct NewEvent<'a> {
    /// How dear it is.
    pub class: Class,
    /// Short name for people, such as `arrival`.
    pub kind: &'a str,
    /// Relative to the root of the box, such as `evt/arrival`.
    pub topic: &'a str,
    /// When it happened.
    pub happened_at: Timestamp,
    /// When it is no longer worth sending; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// Makes the bytes on the wire (CloudEvents JSON) once the identity is known.
    pub make: &'a dyn Fn(&Identity) -> Vec<u8>,
}

/// An event as it was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Who it is.
    pub identity: Identity,
    /// How dear it is.
    pub class: Class,
    /// Short name, such as `arrival`.
    pub kind: String,
    /// Relative to the root of the box.
    pub topic: String,
    /// When it happened.
    pub happened_at: Timestamp,
    /// The bytes on the wire.
    pub payload: Vec<u8>,
}

/// Why events were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// No room: the oldest of the lowest class went.
    Cap,
    /// Too old to be worth sending.
    Expired,
    /// A newer health message took its place.
    Superseded,
    /// A record of dropped events that a wider one replaced.
    Replaced,
}

impl DropReason {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Replaced => "replaced",
        }
    }
}

/// Events of one class that were given up for one reason. While it waits in the outbox it is replaced by a wider
/// record when more is given up, so of two records with the same class, reason and `first_seq` the later one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Class of the events.
    pub class: Class,
    /// Number of the first one.
    pub first_seq: u64,
    /// Number of the last one.
    pub last_seq: u64,
    /// How many of the numbers from first to last.
    pub count: u64,
    /// Why.
    pub reason: DropReason,
}

/// Topic, short name and bytes of the event that tells of dropped events.
pub struct DropEvent {
    /// Relative to the root of the box.
    pub topic: String,
    /// Short name.
    pub kind: String,
    /// The bytes on the wire.
    pub payload: Vec<u8>,
}

/// Composes the event that tells of dropped events; handed in, because the envelope belongs to `domain::event`.
pub type ComposeDrop = Box<dyn Fn(&Dropped, &Identity, Timestamp) -> DropEvent + Send>;
