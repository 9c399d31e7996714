//! What a settings file means: typed, with one home for every default.
//!
//! Every key is optional but `site` and one camera's `id` and `source`. Secrets are paths to files.
//! Relative paths are relative to the folder of the settings file. Adaptors may import this module;
//! `domain` may not: what a rule needs is passed in as a value.

mod cameras;
mod checks;
mod delivery;
pub mod document;
pub mod duration;
pub mod finding;
mod keys;
mod load;
#[cfg(test)]
mod load_tests;
pub mod patch;
mod paths;
mod places;
mod recognition;
mod wrong;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::domain::site::{CameraRole, ZoneKind};
pub use cameras::{Camera, Sense, Zone};
pub use delivery::{Commands, Health, Mqtt, Outbox, Privacy, Protocol};
pub use finding::{Code, ConfigErrors, Finding};
pub use load::{Loaded, from_text, load, load_or_default, load_patched};
pub use paths::brought_along;
pub use recognition::{Faces, Inference, Members, Plates, Provider, Visits};

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
    /// Finding faces and knowing members who agreed to it.
    pub faces: Faces,
    /// When a visit begins, what is told of it, and when it ends.
    pub visits: Visits,
    /// The member list on the box.
    pub members: Members,
    /// The durable queue of events.
    pub outbox: Outbox,
    /// The connection to the platform.
    pub mqtt: Mqtt,
    /// Commands from the platform.
    pub commands: Commands,
    /// How the box is: what is told, and how often.
    pub health: Health,
    /// What may leave the box, and how what stays on it is protected.
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
