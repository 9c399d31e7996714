//! What is read, who is recognised, and what becomes a visit.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration;

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
            pack_folders: pack_folders(),
            region: "cn".to_owned(),
            min_width_px: 40.0,
            detection_threshold: None,
            false_accept_rate: 0.001,
            min_frames: 2,
            track_lost_after: Duration::from_secs(2),
        }
    }
}

/// Finding faces and knowing members who agreed to it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Faces {
    /// Packs that hold a face detector, an embedding and, if wanted, an expression model; the first that has a task serves it. Empty: no face is read.
    #[schemars(example = ["face-demo"])]
    pub packs: Vec<String>,
    /// Folders in which packs are looked up by name, in order.
    pub pack_folders: Vec<PathBuf>,
    /// Smallest height of a face in the picture, in pixels, that is recognised; the pack may ask for more.
    pub min_height_px: f32,
    /// Least quality of a face, 0..1, that is recognised.
    pub min_quality: f32,
    /// Farthest turn to the side, in degrees, at which a face is recognised.
    pub max_yaw: f32,
    /// Least score of the detector, 0..1; the pack's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 0.6_f32)]
    pub detection_threshold: Option<f32>,
    /// Share of strangers that may be taken for any member, over the whole gallery.
    pub false_positive_identification_rate: f64,
    /// Frames of one face that are seen before a member is told, unless fewer are beyond doubt.
    pub min_frames: u32,
    /// Best frames of one face that are pooled; the others are passed over.
    pub best_frames: u32,
    /// Last part of a track over which the expression on leaving is pooled.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub expression_window: Duration,
    /// How long a face may be out of sight before its track ends.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub track_lost_after: Duration,
}

impl Default for Faces {
    fn default() -> Self {
        Self {
            packs: Vec::new(),
            pack_folders: pack_folders(),
            min_height_px: 32.0,
            min_quality: 0.3,
            max_yaw: 45.0,
            detection_threshold: None,
            false_positive_identification_rate: 0.01,
            min_frames: 3,
            best_frames: 8,
            expression_window: Duration::from_secs(3),
            track_lost_after: Duration::from_secs(2),
        }
    }
}

/// Installed packs go before those that ship with the program.
fn pack_folders() -> Vec<PathBuf> {
    ["/var/lib/forecourt/packs", "/usr/share/forecourt/packs", "models/packs"].map(PathBuf::from).to_vec()
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
    /// Public keys whose member lists are believed: 64 hexadecimal digits each, or files, named with their folder. Without
    /// one no list comes from the platform.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["./platform.pub"])]
    pub trusted_keys: Vec<String>,
    /// Members on this list are looked for and counted in `status`, and nothing is told of them: who would be matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"shadow")]
    pub shadow_list: Option<String>,
}

impl Default for Members {
    fn default() -> Self {
        Self { default_lease: Duration::ZERO, max_members: 2_000_000, trusted_keys: Vec::new(), shadow_list: None }
    }
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
    /// What the networks run on, in order of preference; the CPU does what the others leave. A provider that the library
    /// lacks or that does not work is left out with a warning, and `status` says so.
    pub providers: Vec<Provider>,
}

impl Default for Inference {
    fn default() -> Self {
        Self { library: None, threads: 1, providers: vec![Provider::Cpu] }
    }
}

/// An execution provider of ONNX Runtime.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// ONNX Runtime's own kernels; in every build.
    Cpu,
    /// XNNPACK: other kernels for the same cores.
    Xnnpack,
    /// Arm Compute Library.
    Acl,
    /// NVIDIA CUDA.
    Cuda,
    /// NVIDIA TensorRT.
    Tensorrt,
    /// Rockchip's neural unit (the older `rknpu_ddk`, RK1808 class).
    Rknpu,
}

impl Provider {
    /// The word in the settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Xnnpack => "xnnpack",
            Self::Acl => "acl",
            Self::Cuda => "cuda",
            Self::Tensorrt => "tensorrt",
            Self::Rknpu => "rknpu",
        }
    }
}
