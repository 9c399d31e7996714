//! What the face of a track looked like so far, only as far as it tells two people apart.
//!
//! This is not what is searched in the gallery (see `face::pool`): it is one running mean, wiped with the track.
//! The bounds are wide on purpose: they hold for any embedding space that tells people apart, because two pictures of
//! one person a second apart agree far better than a gallery photo does, and strangers scatter around zero.

use super::{Verdict, Voice};
use crate::domain::face::Embedding;

/// Cosine from which two faces of neighbouring frames are taken for one person's, and below which for two people's.
const SAME: f32 = 0.45;
const OTHER: f32 = 0.15;
/// Share of the newest face in the running mean.
const FRESH: f32 = 0.25;

/// The running mean of a track's vectors.
#[derive(Clone, Debug, Default)]
pub struct Look {
    mean: Option<Embedding>,
    /// Frames that made the mean.
    frames: u32,
    rival: Option<(Embedding, u32)>,
}

fn verdict(known: &Embedding, face: &Embedding) -> Verdict {
    let cosine = known.cosine(face);
    if cosine >= SAME {
        Verdict::Agrees
    } else if cosine < OTHER {
        Verdict::Differs
    } else {
        Verdict::Unsure
    }
}

/// The mean of two vectors; the older one when they cancel out.
fn mixed(known: &Embedding, face: &Embedding) -> Embedding {
    let mut sum: Vec<f32> =
        known.values().iter().zip(face.values()).map(|(old, new)| (1.0 - FRESH) * old + FRESH * new).collect();
    let mean = Embedding::new(&sum).unwrap_or_else(|_| known.clone());
    zeroize::Zeroize::zeroize(&mut sum);
    mean
}

impl Look {
    fn dispute(&mut self, face: &Embedding) -> u32 {
        let frames = match self.rival.take() {
            Some((rival, frames)) if verdict(&rival, face) == Verdict::Agrees => frames + 1,
            _ => 1,
        };
        self.rival = Some((face.clone(), frames));
        frames
    }
}

impl Voice for Look {
    type Word = Embedding;

    fn compare(&self, face: Option<&Embedding>) -> Verdict {
        match (&self.mean, face) {
            (Some(known), Some(face)) => verdict(known, face),
            _ => Verdict::Unknown,
        }
    }

    /// A face is never so surely the same that it may have jumped across the picture.
    fn says(&self, _: Option<&Embedding>) -> bool {
        false
    }

    fn hear(&mut self, face: Option<&Embedding>) -> u32 {
        let Some(face) = face else {
            return self.rival.as_ref().map_or(0, |(_, frames)| *frames);
        };
        match &self.mean {
            // One odd frame must not be what the others are held against.
            Some(known) if self.frames >= 2 && verdict(known, face) == Verdict::Differs => return self.dispute(face),
            Some(known) => self.mean = Some(mixed(known, face)),
            None => self.mean = Some(face.clone()),
        }
        self.frames = self.frames.saturating_add(1);
        self.rival = None;
        0
    }

    fn split_off(&mut self) -> Self {
        let (mean, frames) = self.rival.take().map_or((None, 0), |(face, frames)| (Some(face), frames));
        Self { mean, frames, rival: None }
    }

    fn differ(one: &Embedding, other: &Embedding) -> bool {
        verdict(one, other) == Verdict::Differs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(values: &[f32]) -> Embedding {
        Embedding::new(values).unwrap()
    }

    #[test]
    fn another_person_is_told_after_some_frames_and_one_odd_frame_is_not() {
        let (one, other) = (face(&[1.0, 0.1, 0.0]), face(&[0.0, 0.1, 1.0]));
        let mut look = Look::default();
        assert_eq!(look.hear(Some(&one)), 0);
        assert_eq!(look.hear(Some(&one)), 0);
        assert_eq!(look.hear(Some(&other)), 1);
        assert_eq!(look.hear(Some(&one)), 0);
        assert_eq!(look.hear(Some(&other)), 1);
        assert_eq!(look.hear(Some(&other)), 2);
        assert_eq!(look.hear(None), 2);
        let left = look.split_off();
        assert_eq!(left.compare(Some(&other)), Verdict::Agrees);
        assert_eq!(look.compare(Some(&one)), Verdict::Agrees);
    }
}
