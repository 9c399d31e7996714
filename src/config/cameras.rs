//! Cameras and their zones.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration;
use crate::domain::site::{CameraRole, ZoneKind};

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
    /// Faces of members who agreed to it; needs `[faces] packs` and `provision confirm-signage`.
    Face,
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
