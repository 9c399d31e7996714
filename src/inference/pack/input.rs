//! The words of a manifest about a network's input.

use serde::{Deserialize, Serialize};

/// How a picture becomes the network's input.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Name of the input in the graph.
    pub name: String,
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Order of the axes.
    #[serde(default)]
    pub layout: Layout,
    /// Order of the channels.
    pub colour: ColourOrder,
    /// Type of the numbers.
    #[serde(default)]
    pub dtype: Dtype,
    /// Taken from each pixel value 0..255.
    #[serde(default)]
    pub mean: PerChannel,
    /// What the rest is divided by.
    #[serde(default = "PerChannel::one")]
    pub std: PerChannel,
    /// How a picture of another shape is made to fit.
    #[serde(default)]
    pub fit: Fit,
    /// The network takes any size: width and height bound the picture, and the input is only as large as it needs, in
    /// steps of so many pixels.
    #[serde(default)]
    pub multiple: Option<usize>,
    /// Value 0..255 of the border of a letterbox.
    #[serde(default)]
    pub pad: f32,
    /// How pixels are weighed when the picture shrinks.
    #[serde(default)]
    pub resize: Resize,
}

/// Order of the axes of a picture tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channel, row, column.
    #[default]
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
}

/// Order of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourOrder {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
    /// One channel: 0.299 red + 0.587 green + 0.114 blue.
    Gray,
    /// That grey value three times.
    Gray3,
}

impl ColourOrder {
    /// Length of the channel axis.
    pub fn channels(self) -> usize {
        if self == Self::Gray { 1 } else { 3 }
    }
}

/// Type of an input's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 32-bit floating point.
    #[default]
    F32,
    /// Bytes.
    U8,
}

/// One number for all channels, or one for each in the input's order.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum PerChannel {
    /// For all.
    All(f32),
    /// For each.
    Each([f32; 3]),
}

impl Default for PerChannel {
    fn default() -> Self {
        Self::All(0.0)
    }
}

impl PerChannel {
    fn one() -> Self {
        Self::All(1.0)
    }

    /// The number of a channel.
    pub fn of(self, channel: usize) -> f32 {
        match self {
            Self::All(value) => value,
            Self::Each(values) => values[channel.min(2)],
        }
    }
}

/// How a picture of another shape is made to fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Scaled as a whole and centred on a border.
    Letterbox,
    /// Scaled as a whole into the upper left corner, border to the right and below.
    Corner,
    /// Scaled to the input's width and height, whatever its shape.
    #[default]
    Stretch,
}

/// How pixels are weighed when the picture shrinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// The four nearest pixels, as `cv2.INTER_LINEAR`; aliases when the picture shrinks much.
    #[default]
    Bilinear,
    /// The mean of all pixels that fall on one, as `cv2.INTER_AREA`; bilinear when the picture grows.
    Area,
}
