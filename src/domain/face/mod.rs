//! Faces as the rules see them: where one is, how good it is, and the vector that stands for it.
//!
//! A vector is a person's biometric datum. [`Embedding`] is therefore wiped when it is dropped, and neither prints
//! nor serialises itself: whoever wants to write one has to say so through the store's sealed templates.

pub mod evaluation;
pub mod gallery;
pub mod pool;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::geometry::{Point, Rect};

/// A face vector of unit length in one embedding space. Wiped when dropped.
#[derive(Clone, PartialEq, Zeroize, ZeroizeOnDrop)]
pub struct Embedding(Box<[f32]>);

/// Why numbers are no face vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEmbedding {
    /// There are none.
    #[error("the vector is empty")]
    Empty,
    /// Some are not finite.
    #[error("the vector holds a number that is not finite")]
    NotFinite,
    /// All are zero.
    #[error("the vector has no length")]
    NoLength,
}

impl Embedding {
    /// Brings numbers to unit length.
    ///
    /// # Errors
    /// When they are none, not finite, or all zero.
    pub fn new(values: &[f32]) -> Result<Self, NoEmbedding> {
        if values.is_empty() {
            return Err(NoEmbedding::Empty);
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(NoEmbedding::NotFinite);
        }
        let length = values.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
        if length < 1e-12 {
            return Err(NoEmbedding::NoLength);
        }
        Ok(Self(values.iter().map(|&value| (f64::from(value) / length) as f32).collect()))
    }

    /// The numbers.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// Cosine of the angle between two vectors of one space, -1..1; 0 when their sizes differ.
    pub fn cosine(&self, other: &Self) -> f32 {
        if self.0.len() != other.0.len() {
            return 0.0;
        }
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
    }
}

impl std::fmt::Debug for Embedding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Embedding({} numbers)", self.0.len())
    }
}

/// One face in one frame.
#[derive(Clone, Debug)]
pub struct FaceObservation {
    /// Upright box in pixels of the frame.
    pub rect: Rect,
    /// Left eye, right eye, nose, left and right corner of the mouth, as seen in the picture; pixels of the frame.
    pub points: [Point; 5],
    /// Score of the detector, 0..1.
    pub detection: f32,
    /// Measured on the face.
    pub quality: FaceQuality,
    /// Its vector; `None` where it was not wanted or the face is not good enough, see `rejected`.
    pub embedding: Option<Embedding>,
    /// Shares of the classes of expression in the pack's order, when they were asked for; sum to 1.
    pub expression: Option<Expression>,
    /// Why it has no vector.
    pub rejected: Option<FaceReject>,
}

/// How good a face is to be recognised from.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct FaceQuality {
    /// Distance between the eyes, in pixels of the frame.
    pub eyes_px: f32,
    /// Height of the box, in pixels of the frame.
    pub height_px: f32,
    /// Variance of the Laplacian of the aligned face's grey values; low is blurred.
    pub sharpness: f32,
    /// Mean grey value of the aligned face, 0..1.
    pub brightness: f32,
    /// Turn to the side estimated from the five points, in degrees; 0 is frontal, positive: the nose points to the right of the picture.
    pub yaw: f32,
    /// Nod estimated from the five points, in degrees; 0 is level, positive looks down.
    pub pitch: f32,
    /// Tilt of the eye line, in degrees.
    pub roll: f32,
    /// All of it in one number, 0..1; the weight of the frame when frames are pooled.
    pub score: f32,
}

/// Shares of the classes of expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// Share of each of the classes that the report knows; what a pack tells beyond them is summed up under the nearest.
    pub positive: f32,
    /// Neither pleased nor displeased.
    pub neutral: f32,
    /// Displeased.
    pub negative: f32,
    /// The pack's own classes with their shares, in its order.
    pub classes: Vec<(String, f32)>,
}

/// Why a face was found but not recognised from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaceReject {
    /// Smaller than the pack or the settings ask for.
    TooSmall,
    /// Cut off by the edge of the picture.
    CutOff,
    /// Out of focus or moved.
    Blurred,
    /// Turned too far away.
    Turned,
    /// Too dark or washed out.
    Light,
}

impl FaceReject {
    /// The word used in counters and documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::TooSmall => "too-small",
            Self::CutOff => "cut-off",
            Self::Blurred => "blurred",
            Self::Turned => "turned",
            Self::Light => "light",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_has_unit_length_and_never_prints_its_numbers() {
        let vector = Embedding::new(&[3.0, 4.0]).unwrap();
        assert_eq!(vector.values(), &[0.6, 0.8]);
        assert_eq!(format!("{vector:?}"), "Embedding(2 numbers)");
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        assert_eq!(Embedding::new(&[]), Err(NoEmbedding::Empty));
        assert_eq!(Embedding::new(&[0.0, 0.0]), Err(NoEmbedding::NoLength));
        assert_eq!(Embedding::new(&[f32::NAN]), Err(NoEmbedding::NotFinite));
    }
}
