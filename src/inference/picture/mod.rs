//! From pixels to tensors: resizing a frame, cutting a plate out of it, measuring the crop.
//!
//! Rows of three planes (blue, green, red; `f32`, 0..255) are what passes between the parts: inner loops run along a
//! row and vectorise, and every buffer is kept for the next frame. Coordinates are pixel edges: the first pixel
//! covers 0..1 and its centre is 0.5, as in detectors' outputs.

mod area;
mod crop;
mod resize;
mod tensor;

pub(crate) use crop::{CropBuffer, Target};
pub(crate) use resize::{Placement, Resizer};
pub(crate) use tensor::{Tensor, TensorData};

use crate::domain::frame::Frame;
use crate::domain::geometry::{Quad, Rect};

/// A picture that is only looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels<'a> {
    /// Pixels across, at least 1.
    pub width: usize,
    /// Pixels down, at least 1.
    pub height: usize,
    /// `width * height * 3` bytes, blue first.
    pub bgr: &'a [u8],
}

impl<'a> Pixels<'a> {
    /// The bytes of a row.
    pub fn row(&self, y: usize) -> &'a [u8] {
        let start = y * self.width * 3;
        &self.bgr[start..start + self.width * 3]
    }

    /// The whole picture.
    pub fn quad(&self) -> Quad {
        Rect::new(0.0, 0.0, self.width as f32, self.height as f32).quad()
    }
}

impl<'a> From<&'a Frame> for Pixels<'a> {
    fn from(frame: &'a Frame) -> Self {
        Self { width: frame.width as usize, height: frame.height as usize, bgr: &frame.bgr }
    }
}
