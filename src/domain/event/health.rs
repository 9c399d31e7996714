//! How the box is: what a technician looks at first, and one number with its reasons.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::time::TimeQuality;

/// How the box is; of class P3, only the newest waits.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct Health {
    /// 100: nothing is wrong; what is wrong takes something off.
    #[schemars(range(min = 0, max = 100))]
    pub score: u8,
    /// What took something off, the worst first.
    pub reasons: Vec<HealthReason>,
    /// By camera.
    pub cameras: Vec<CameraHealth>,
    /// Recognition since the last report.
    pub inference: InferenceHealth,
    /// Events that wait.
    pub outbox: OutboxHealth,
    /// Who may be recognised.
    pub members: MembersHealth,
    /// How far the clock can be trusted.
    pub clock: TimeQuality,
    /// The machine.
    pub device: DeviceHealth,
    /// Frames that are given up so that events are not.
    pub governor: GovernorHealth,
}

/// Something that is wrong.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub struct HealthReason {
    /// One word, such as `camera-down`, `disk`, `heat`, `memory`, `outbox`, `clock`, `members`.
    pub code: String,
    /// In words.
    pub words: String,
    /// Points that it takes off.
    pub weight: u8,
}

/// How well a camera's pictures come.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, Hash, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionQuality {
    /// Nine of ten frames, no break in the last hour.
    Excellent,
    /// Half of the frames, or a few breaks.
    Fair,
    /// Fewer, or many breaks.
    Poor,
    /// None.
    #[default]
    Unusable,
}

/// One camera.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct CameraHealth {
    /// Which.
    pub camera: String,
    /// How well its pictures come.
    pub connection_quality: ConnectionQuality,
    /// Frames a second that it says it has.
    pub fps_expected: Option<f32>,
    /// Frames a second that come in.
    pub fps: f32,
    /// Times it was opened again.
    pub reconnects_last_hour: u32,
    /// Times its pictures stayed away.
    pub stalls_last_hour: u32,
    /// What is wrong with the picture, `good` when nothing is.
    pub picture: String,
    /// Vehicles whose plate was followed in the last full hour.
    pub vehicles_last_hour: Option<u64>,
    /// The same hour of the week, the mean of up to four earlier weeks.
    pub vehicles_usual: Option<f32>,
    /// Faces that were followed in the last full hour; null where none are read.
    #[serde(default)]
    pub faces_last_hour: Option<u64>,
    /// The same hour of the week, the mean of up to four earlier weeks.
    #[serde(default)]
    pub faces_usual: Option<f32>,
    /// Plates that stayed unread since the start, by reason.
    pub rejected: BTreeMap<String, u64>,
}

/// Recognition.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct InferenceHealth {
    /// Frames that were looked at since the start.
    pub frames: u64,
    /// Milliseconds of half of the last frames at most.
    pub p50_ms: Option<f32>,
    /// Milliseconds of 95 of 100 of the last frames at most.
    pub p95_ms: Option<f32>,
}

/// Events that wait.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct OutboxHealth {
    /// `ok`, or why nothing can be written.
    pub condition: String,
    /// How many.
    pub waiting: u64,
    /// How long the oldest has waited.
    pub oldest_s: Option<u64>,
}

/// Who may be recognised.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct MembersHealth {
    /// Plates that are matched.
    pub plates: u64,
    /// Line of revisions of the platform's list; null: there is none.
    pub epoch: Option<String>,
    /// Its revision.
    pub rev: Option<u64>,
    /// How long it has been in force.
    pub age_s: Option<u64>,
}

/// The machine; null: it does not tell.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct DeviceHealth {
    /// The hottest place, degrees Celsius.
    pub temperature_c: Option<f32>,
    /// The processor is slowed down by heat or weak power.
    pub throttled: Option<bool>,
    /// Processes that want to run, mean of a minute.
    pub load: Option<f32>,
    /// MiB of memory.
    pub memory_mib: Option<u64>,
    /// MiB of it that programs can still have.
    pub memory_free_mib: Option<u64>,
    /// MiB that this program has.
    pub program_mib: Option<u64>,
    /// MiB of the disk with the data.
    pub disk_mib: Option<u64>,
    /// MiB of it that are free.
    pub disk_free_mib: Option<u64>,
    /// Share of its life that the disk has used up, in steps of ten per cent, as it says itself.
    pub disk_wear_percent: Option<u8>,
}

/// Frames that are given up.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
pub struct GovernorHealth {
    /// Of 100 frames so many are looked at.
    #[schemars(range(min = 0, max = 100))]
    pub share_percent: u8,
    /// Why fewer than all; null: all are.
    pub reason: Option<String>,
    /// Frames that were given up since the start.
    pub given_up: u64,
}
