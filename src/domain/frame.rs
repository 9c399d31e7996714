//! One picture of a camera, as it travels from a camera's thread to the inference thread.

use super::Uptime;

/// How far from the end of a JPEG file its end is looked for, bytes: some cameras write padding behind it.
pub const JPEG_PADDING: u64 = 65_536;

/// Do the last bytes of a JPEG hold its end-of-image marker? Decoders fill the missing part of one that is cut off with
/// grey: a car would be "no plate".
pub fn jpeg_ends(tail: &[u8]) -> bool {
    tail.windows(2).any(|pair| pair == [0xFF, 0xD9])
}

/// A picture: 8-bit BGR, row by row, no padding.
#[derive(Clone, PartialEq)]
pub struct Frame {
    /// Number of the picture since the source was opened, from 0; gaps are frames that were passed over.
    pub seq: u64,
    /// When it was taken.
    pub at: Uptime,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// `width * height * 3` bytes, blue first.
    pub bgr: Vec<u8>,
}

impl Frame {
    /// `None` when `bgr` is not `width * height * 3` bytes or a side is zero.
    pub fn new(seq: u64, at: Uptime, width: u32, height: u32, bgr: Vec<u8>) -> Option<Self> {
        let wanted = (width as usize).checked_mul(height as usize)?.checked_mul(3)?;
        (wanted > 0 && bgr.len() == wanted).then_some(Self { seq, at, width, height, bgr })
    }

    /// Blue, green, red at a place; the place must lie inside.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let start = (y as usize * self.width as usize + x as usize) * 3;
        [self.bgr[start], self.bgr[start + 1], self.bgr[start + 2]]
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Frame {{ seq: {}, at: {:?}, {}x{} }}", self.seq, self.at, self.width, self.height)
    }
}
