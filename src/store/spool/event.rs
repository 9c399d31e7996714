//! What stands in the outbox, and the words for what had to be given up.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::event::{DropReason, EventClass, event_id};

/// The classes, dearest first.
pub(super) const CLASSES: [EventClass; 4] = [EventClass::P0, EventClass::P1, EventClass::P2, EventClass::P3];

const SEQ_BITS: u32 = 52;
const SEQ_MASK: u64 = (1 << SEQ_BITS) - 1;

/// The row of number `seq` in `class`.
pub(super) fn slot(class: EventClass, seq: u64) -> i64 {
    (i64::from(class.number()) << SEQ_BITS) | seq.cast_signed()
}

/// First and last row that a class may hold.
pub(super) fn slots(class: EventClass) -> (i64, i64) {
    (slot(class, 0), slot(class, SEQ_MASK))
}

pub(super) fn seq_of(slot: i64) -> u64 {
    slot.cast_unsigned() & SEQ_MASK
}

pub(super) fn class_of(slot: i64) -> EventClass {
    u8::try_from(slot >> SEQ_BITS).ok().and_then(EventClass::from_number).unwrap_or(EventClass::P3)
}

/// The word of a reason, as it stands on the wire.
pub(super) fn word(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Full => "full",
        DropReason::Expired => "expired",
        DropReason::Refused => "refused",
        DropReason::Damaged => "damaged",
        DropReason::Superseded => "superseded",
        DropReason::Replaced => "replaced",
    }
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
        Self { epoch: epoch.to_owned(), seq, id: event_id(epoch, seq) }
    }
}

/// An event to be accepted.
pub struct NewEvent<'a> {
    /// How dear it is.
    pub class: EventClass,
    /// Short name for people, such as `arrival`.
    pub kind: &'a str,
    /// Relative to the root of the box, such as `evt/arrival`.
    pub topic: &'a str,
    /// When it happened.
    pub happened_at: Timestamp,
    /// When it is no longer worth sending; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// What it is about, for messages of which only the newest matters: one that waits under the same key is given up.
    pub supersedes: Option<&'a str>,
    /// Makes the bytes on the wire (CloudEvents JSON) once the identity is known.
    pub make: &'a dyn Fn(&Identity) -> Vec<u8>,
}

/// An event as it was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Who it is.
    pub identity: Identity,
    /// How dear it is.
    pub class: EventClass,
    /// Short name, such as `arrival`.
    pub kind: String,
    /// Relative to the root of the box.
    pub topic: String,
    /// When it happened.
    pub happened_at: Timestamp,
    /// The bytes on the wire.
    pub payload: Vec<u8>,
}

/// Events of one class that were given up for one reason. While it waits in the outbox it is replaced by a wider
/// record when more is given up, so of two records with the same class, reason and `first_seq` the later one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Class of the events.
    pub class: EventClass,
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
