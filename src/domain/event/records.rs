//! The `data` of events that are about the box and its list, not about a visit.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::wire::{maybe_millis, millis};

/// Events were given up before they could be delivered; never dropped itself.
///
/// While it waits it may be replaced by a wider one when more is given up: of two with the same `class`, `reason` and
/// `first_sequence` the later one counts.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub struct OutboxDropped {
    /// Class of the events that are gone.
    pub class: super::EventClass,
    /// Sequence of the first of them, as in their envelope.
    #[schemars(regex(pattern = "^[0-9]{20}$"))]
    pub first_sequence: String,
    /// Sequence of the last of them; others between the two may have been delivered.
    #[schemars(regex(pattern = "^[0-9]{20}$"))]
    pub last_sequence: String,
    /// How many are gone.
    #[schemars(range(min = 1))]
    pub count: u64,
    /// Why.
    pub reason: DropReason,
}

/// Why events were given up.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, Hash, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// The outbox was full; the oldest of the lowest class went first.
    Full,
    /// Older than its class is kept.
    Expired,
    /// The platform refused them for good.
    Refused,
    /// The file was damaged.
    Damaged,
    /// A newer state of the same thing took its place.
    Superseded,
    /// A wider `outbox-dropped` took its place.
    Replaced,
}

/// The picture of a camera came, went or became useless.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub struct DeviceCamera {
    /// Which camera.
    pub camera: String,
    /// How it is now.
    pub state: CameraState,
    /// What is wrong: a word such as `unreachable`, `stalled`, `black`, `frozen`, `blurred`, `covered`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    #[serde(serialize_with = "millis")]
    pub since: Timestamp,
}

/// How a camera is.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, Hash, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CameraState {
    /// Its picture comes and can be used.
    Up,
    /// Its picture comes and cannot be used well.
    Degraded,
    /// No picture.
    Down,
}

/// Members were removed from the box, so that the platform has it in writing.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub struct Receipt {
    /// Who was removed; at most a hundred.
    pub member_refs: Vec<String>,
    /// Why.
    pub by: RemovedBy,
    /// From when on they were not matched any more.
    #[serde(serialize_with = "millis")]
    pub removed_at: Timestamp,
    /// From when on nothing of them could be read from the box's files.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "maybe_millis")]
    pub shredded_at: Option<Timestamp>,
    /// The list that it follows from, or that was in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// Its revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<u64>,
    /// Id of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// Why members were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemovedBy {
    /// A snapshot no longer lists them.
    Snapshot,
    /// A delta removed them.
    Delta,
    /// The command `member-delete`.
    Command,
}
