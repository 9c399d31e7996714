//! From a network's numbers to boxes, evidence and distributions. No ONNX Runtime here: slices and shapes only.

mod boxes;
mod classes;
mod faces;
mod plates;
mod text;

pub(crate) use boxes::{BoxDecoder, Candidate};
pub(crate) use classes::distribution;
pub(crate) use faces::{FaceBox, FaceDecoder};
pub(crate) use text::TextDecoder;

/// One output of a network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers<'a> {
    /// Lengths of the axes.
    pub shape: &'a [i64],
    /// Row by row.
    pub data: &'a [f32],
}

/// Axes without those of length 1 in front, as long as there are more than `rank`.
fn trimmed(shape: &[i64], rank: usize) -> &[i64] {
    let mut shape = shape;
    while shape.len() > rank && shape[0] == 1 {
        shape = &shape[1..];
    }
    shape
}
