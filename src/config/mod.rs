//! What a settings file means: typed, with one home for every default.
//!
//! Every key is optional but `site` and one camera's `id` and `source`. Secrets are paths to files.
//! Relative paths are relative to the folder of the settings file. Adaptors may import this module;
//! `domain` may not: what a rule needs is passed in as a value.

mod checks;
pub mod document;
pub mod duration;
pub mod finding;
mod keys;
mod load;
#[cfg(test)]
mod load_tests;
mod paths;
mod places;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::domain::site::{CameraRole, ZoneKind};
pub use finding::{Code, ConfigErrors, Finding};
pub use load::{Loaded, from_text, load, load_or_default};

/// JSON Schema of the file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which box this is.
    pub site: Site,
    /// Folders for what must survive a restart.
    pub storage: Storage,
    /// The cameras; at least one for `run`.
    #[serde(rename = "camera", skip_serializing_if = "Vec::is_empty")]
    pub cameras: Vec<Camera>,
    /// Finding, reading and matching of number plates.
    pub plates: Plates,
    /// When a visit begins, what is told of it, and when it ends.
    pub visits: Visits,
    /// The member list on the box.
    pub members: Members,
    /// The durable queue of events.
    pub outbox: Outbox,
    /// The connection to the platform.
    pub mqtt: Mqtt,
    /// What may leave the box.
    pub privacy: Privacy,
    /// ONNX Runtime.
    pub inference: Inference,
}

/// Which box this is; the three words that make its topics.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Site {
    /// The customer on the platform; letters, digits, `-`, `_`, `.`.
    pub tenant: String,
    /// The dealer or partner location.
    pub site: String,
    /// This box.
    pub device: String,
    /// IANA name of the time zone of opening hours, such as `Asia/Shanghai`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Asia/Shanghai")]
    pub time_zone: Option<String>,
}

/// Folders for what must survive a restart.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Folder of `members.db` and `spool.db` (visits, events, outbox).
    pub folder: PathBuf,
    /// Socket on which the running service answers `status` and `events tail`.
    pub control_socket: PathBuf,
}

impl Default for Storage {
    fn default() -> Self {
        Self { folder: "/var/lib/forecourt".into(), control_socket: "/run/forecourt/control.sock".into() }
    }
}

/// One camera.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Camera {
    /// Short name, unique on the box; letters, digits, `-`, `_`.
    #[schemars(example = &"gate")]
    pub id: String,
    /// `rtsp://…`, `file:PATH`, `images:DIR`, `v4l2:/dev/video0` or `gst:PIPELINE`.
    #[schemars(example = &"rtsp://10.0.0.5/stream1")]
    pub source: String,
    /// File with `user:password` for an RTSP source; one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"gate.credentials")]
    pub credentials_file: Option<PathBuf>,
    /// What the camera is for.
    pub role: CameraRole,
    /// What to read there.
    pub read: Vec<Sense>,
    /// Frames a second that are looked at while something moves; the rest is passed over and counted.
    pub analysis_fps: f32,
    /// Look only at frames in which something moved, and at one a second when nothing does.
    pub motion_gate: bool,
    /// How long a picture may stay away before the camera is opened again.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub stall_after: Duration,
    /// Longest pause between two attempts to open it.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub reconnect_max: Duration,
    /// Areas of the picture.
    #[serde(rename = "zone", skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<Zone>,
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            id: String::new(),
            source: String::new(),
            credentials_file: None,
            role: CameraRole::Entrance,
            read: vec![Sense::Plate],
            analysis_fps: 8.0,
            motion_gate: true,
            stall_after: Duration::from_secs(5),
            reconnect_max: Duration::from_secs(30),
            zones: Vec::new(),
        }
    }
}

/// What to read at a camera.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, Hash, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sense {
    /// Number plates.
    Plate,
}

/// An area of a camera's picture.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Zone {
    /// Short name, unique on the camera.
    #[schemars(example = &"bay-1")]
    pub id: String,
    /// What the area is.
    pub kind: ZoneKind,
    /// Corners in order, each `[x, y]` as fractions 0..1 of width and height, from the top left; 3 to 64 of them.
    #[schemars(example = [[0.1_f32, 0.5], [0.9, 0.5], [0.9, 1.0], [0.1, 1.0]])]
    pub polygon: Vec<[f32; 2]>,
    /// For `display`: what stands there, as the platform calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"model-s-red")]
    pub product: Option<String>,
}

/// Finding, reading and matching of number plates.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Plates {
    /// Packs that hold a detector and a reader, by name or folder; the first that has a task serves it.
    pub packs: Vec<String>,
    /// Folders in which packs are looked up by name, in order.
    pub pack_folders: Vec<PathBuf>,
    /// Grammar of the plates: `cn`, `hk-mo`, `eu`, `us`, `br`, `any`, or a file.
    pub region: String,
    /// Smallest width of a plate in the picture, in pixels, that is read.
    pub min_width_px: f32,
    /// Least score of the detector, 0..1; the pack's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 0.4_f32)]
    pub detection_threshold: Option<f32>,
    /// Share of strangers' readings that may be taken for a member, over the whole list.
    pub false_accept_rate: f64,
    /// Frames that must agree before a reading is told, unless one alone is beyond doubt.
    pub min_frames: u32,
    /// How long a vehicle may be out of sight before its track ends.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub track_lost_after: Duration,
}

impl Default for Plates {
    fn default() -> Self {
        Self {
            packs: vec!["plate-cn".to_owned()],
            pack_folders: vec!["/usr/share/forecourt/packs".into(), "models/packs".into()],
            region: "cn".to_owned(),
            min_width_px: 40.0,
            detection_threshold: None,
            false_accept_rate: 0.001,
            min_frames: 2,
            track_lost_after: Duration::from_secs(2),
        }
    }
}

/// When a visit begins, what is told of it, and when it ends.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Visits {
    /// A member not seen for so long has left.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub absent_after: Duration,
    /// A sighting at an exit ends the visit after this quiet time (a car may back up).
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub exit_grace: Duration,
    /// Marks at which a dwell is told while it goes on.
    #[serde(with = "duration::list")]
    #[schemars(with = "Vec<String>")]
    pub dwell_marks: Vec<Duration>,
    /// A dwell shorter than this is not told.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub dwell_min: Duration,
    /// How long a vehicle may be out of sight in a zone before its dwell ends; no longer than `absent_after` counts.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub dwell_gap: Duration,
    /// Closing hour of the site, `HH:MM` in its time zone; open visits end then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"21:30")]
    pub closes_at: Option<String>,
}

impl Default for Visits {
    fn default() -> Self {
        Self {
            absent_after: Duration::from_secs(30 * 60),
            exit_grace: Duration::from_secs(5),
            dwell_marks: vec![Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(900)],
            dwell_min: Duration::from_secs(5),
            dwell_gap: Duration::from_secs(20),
            closes_at: None,
        }
    }
}

/// The member list on the box.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Members {
    /// Consent lease of members whose import names none; matching stops when it runs out. `0s`: no lease.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub default_lease: Duration,
    /// Most members the box will hold.
    pub max_members: u32,
}

impl Default for Members {
    fn default() -> Self {
        Self { default_lease: Duration::ZERO, max_members: 2_000_000 }
    }
}

/// The durable queue of events.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Outbox {
    /// Most bytes of the database file, in MiB; the oldest of the lowest class goes first.
    pub max_mib: u32,
    /// How long arrivals and departures are kept for a platform that is away.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub keep_arrivals: Duration,
    /// The same for dwell events.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub keep_dwell: Duration,
    /// An event sent later than this after it happened is marked `late`.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub late_after: Duration,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            max_mib: 64,
            keep_arrivals: Duration::from_secs(30 * 86_400),
            keep_dwell: Duration::from_secs(7 * 86_400),
            late_after: Duration::from_secs(60),
        }
    }
}

/// The connection to the platform.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mqtt {
    /// `mqtt://HOST:1883` or `mqtts://HOST:8883`; empty: events wait in the outbox.
    pub url: String,
    /// Client id; `<tenant>-<site>-<device>` when empty.
    pub client_id: String,
    /// User name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"box-1")]
    pub username: Option<String>,
    /// File that holds the password; one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"mqtt.password")]
    pub password_file: Option<PathBuf>,
    /// PEM file of the authority that signed the broker's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// PEM files of this box's certificate and key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"box-1.pem")]
    pub certificate_file: Option<PathBuf>,
    /// See `certificate_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"box-1.key")]
    pub key_file: Option<PathBuf>,
    /// First words of every topic.
    pub topic_root: String,
    /// Time between signs of life.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub keep_alive: Duration,
    /// How long the broker keeps the session of a box that is away.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub session_expiry: Duration,
    /// Publishes that may wait for an acknowledgement at once; 1 to 20.
    pub max_inflight: u16,
    /// Longest pause between two attempts to connect.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub reconnect_max: Duration,
    /// Events a second sent from a backlog; live arrivals go first. 0: no limit.
    pub drain_per_second: u32,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            url: String::new(),
            client_id: String::new(),
            username: None,
            password_file: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            topic_root: "forecourt/v1".to_owned(),
            keep_alive: Duration::from_secs(30),
            session_expiry: Duration::from_secs(7 * 86_400),
            max_inflight: 16,
            reconnect_max: Duration::from_secs(60),
            drain_per_second: 50,
        }
    }
}

/// What may leave the box.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Privacy {
    /// Put the plate string of a member into its events.
    pub plate_in_events: bool,
}

/// ONNX Runtime.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Inference {
    /// `libonnxruntime.so`; looked up beside the program and in `/usr/lib/forecourt` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/usr/lib/forecourt/libonnxruntime.so")]
    pub library: Option<PathBuf>,
    /// Threads inside one session.
    pub threads: u16,
}

impl Default for Inference {
    fn default() -> Self {
        Self { library: None, threads: 1 }
    }
}
