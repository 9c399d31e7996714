//! How good a face is to be recognised from, and why it is not.
//!
//! Four things are judged, each 0..1: size, blur, turn and light; `score` is their product. The steps were set on
//! frames of walking and turning people: a face that looks into the camera at 40 pixels between the eyes and in
//! ordinary light has about 1.

use super::geometry::Pose;
use crate::domain::face::{FaceQuality, FaceReject};
use crate::domain::observation::CropQuality;
use crate::inference::decode::FaceBox;
use crate::inference::picture::Pixels;

/// From here on more pixels between the eyes help no more.
const EYES_ENOUGH_PX: f32 = 40.0;
/// Variance of the Laplacian over the light from which a face counts as sharp, and below which as blurred.
const SHARP: f32 = 60.0;
const BLURRED: f32 = 4.0;
/// Farthest nod, in degrees.
const MOST_PITCH: f32 = 35.0;
/// A box may reach over the edge of the picture by this share of its size.
const OVER_THE_EDGE: f32 = 0.15;
/// Mean grey values outside which a face is too dark or washed out.
const DARKEST: f32 = 0.08;
const BRIGHTEST: f32 = 0.95;

/// What a face must be like to be recognised from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Height of the box, in pixels of the frame.
    pub height_px: f32,
    /// Distance between the eyes, in pixels of the frame.
    pub eyes_px: f32,
    /// Least score of quality.
    pub quality: f32,
    /// Farthest turn to the side, in degrees.
    pub yaw: f32,
}

/// What is known from the place alone.
pub(super) fn of_place(face: &FaceBox, pose: &Pose) -> FaceQuality {
    FaceQuality {
        eyes_px: pose.eyes_px,
        height_px: face.rect.height(),
        yaw: pose.yaw,
        pitch: pose.pitch,
        roll: pose.roll,
        score: size(pose) * turn(pose.yaw, pose.pitch),
        ..FaceQuality::default()
    }
}

/// Why the face need not be looked at any closer.
pub(super) fn unfit(face: &FaceBox, pose: &Pose, frame: Pixels<'_>, limits: &Limits) -> Option<FaceReject> {
    if face.rect.height() < limits.height_px || pose.frontal_px < limits.eyes_px {
        return Some(FaceReject::TooSmall);
    }
    let (width, height) = (frame.width as f32, frame.height as f32);
    let outside = |x: f32, y: f32| x < 0.0 || y < 0.0 || x > width || y > height;
    let rect = &face.rect;
    let beyond = 1.0 - rect.clipped(width, height).area() / rect.area().max(1.0);
    if beyond > OVER_THE_EDGE || face.points.iter().any(|point| outside(point.x, point.y)) {
        return Some(FaceReject::CutOff);
    }
    (pose.yaw.abs() > limits.yaw || pose.pitch.abs() > MOST_PITCH).then_some(FaceReject::Turned)
}

/// Adds what was measured on the aligned face; why it is not good enough, if it is not.
pub(super) fn of_crop(quality: &mut FaceQuality, seen: CropQuality, limits: &Limits) -> Option<FaceReject> {
    (quality.sharpness, quality.brightness) = (seen.sharpness, seen.brightness);
    let (sharp, light) = (sharp(&seen), light(&seen));
    quality.score *= sharp * light;
    if quality.brightness < DARKEST || quality.brightness > BRIGHTEST {
        return Some(FaceReject::Light);
    }
    if quality.score >= limits.quality {
        return None;
    }
    let size = ((quality.eyes_px) / EYES_ENOUGH_PX).min(1.0);
    let turned = turn(quality.yaw, quality.pitch);
    let causes = [
        (sharp, FaceReject::Blurred),
        (light, FaceReject::Light),
        (turned, FaceReject::Turned),
        (size, FaceReject::TooSmall),
    ];
    causes.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, reason)| reason)
}

fn size(pose: &Pose) -> f32 {
    (pose.frontal_px / EYES_ENOUGH_PX).clamp(0.0, 1.0).sqrt()
}

/// Full up to ten degrees, nothing at a right angle.
fn turn(yaw: f32, pitch: f32) -> f32 {
    let facing = |degrees: f32| (degrees.abs() - 10.0).clamp(0.0, 80.0).to_radians().mul_add(9.0 / 8.0, 0.0).cos();
    facing(yaw) * facing(pitch)
}

/// Edges count by the light that falls on them: a dim face is not a blurred one.
fn sharp(seen: &CropQuality) -> f32 {
    let light = (seen.brightness / 0.4).clamp(0.3, 1.0);
    let value = seen.sharpness / (light * light);
    ((value.max(1e-3) / BLURRED).ln() / (SHARP / BLURRED).ln()).clamp(0.0, 1.0).mul_add(0.8, 0.2)
}

/// Full between a fifth and four fifths of the scale.
fn light(seen: &CropQuality) -> f32 {
    let dark = (seen.brightness / 0.2).clamp(0.0, 1.0);
    let bright = ((1.0 - seen.brightness) / 0.2).clamp(0.0, 1.0);
    let glare = 1.0 - (seen.saturated - 0.2).clamp(0.0, 0.8);
    dark * bright * glare
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::geometry::{Point, Rect};

    const FRAME: Pixels<'static> = Pixels { width: 640, height: 480, bgr: &[] };
    const LIMITS: Limits = Limits { height_px: 32.0, eyes_px: 16.0, quality: 0.3, yaw: 45.0 };

    /// A face that looks into the camera.
    fn face(x: f32, eyes: f32) -> FaceBox {
        let at = |dx: f32, dy: f32| Point::new(x + eyes * dx, 100.0 + eyes * dy);
        FaceBox {
            rect: Rect::new(x - eyes, 100.0 - eyes, x + eyes, 100.0 + 1.6 * eyes),
            points: [at(-0.5, 0.0), at(0.5, 0.0), at(0.0, 0.56), at(-0.35, 1.15), at(0.35, 1.15)],
            score: 0.9,
        }
    }

    fn judged(face: &FaceBox, seen: CropQuality) -> (FaceQuality, Option<FaceReject>) {
        let pose = Pose::of(&face.points);
        let mut quality = of_place(face, &pose);
        let rejected = unfit(face, &pose, FRAME, &LIMITS).or_else(|| of_crop(&mut quality, seen, &LIMITS));
        (quality, rejected)
    }

    const GOOD: CropQuality =
        CropQuality { width_px: 0.0, height_px: 0.0, sharpness: 100.0, brightness: 0.5, saturated: 0.0 };

    #[test]
    fn a_face_into_the_camera_is_as_good_as_can_be() {
        let (quality, rejected) = judged(&face(300.0, 50.0), GOOD);
        assert!(quality.score > 0.95 && rejected.is_none(), "{quality:?}");
        assert!(judged(&face(300.0, 20.0), GOOD).0.score < quality.score);
    }

    #[test]
    fn each_fault_is_named() {
        let mut turned = face(300.0, 40.0);
        turned.points[2].x += 40.0;
        let dim = CropQuality { brightness: 0.05, ..GOOD };
        let glare = CropQuality { brightness: 0.97, ..GOOD };
        let blurred = CropQuality { sharpness: 1.0, ..GOOD };
        let cases = [
            (face(300.0, 12.0), GOOD, FaceReject::TooSmall),
            (face(10.0, 40.0), GOOD, FaceReject::CutOff),
            (turned, GOOD, FaceReject::Turned),
            (face(300.0, 40.0), dim, FaceReject::Light),
            (face(300.0, 40.0), glare, FaceReject::Light),
            (face(300.0, 40.0), blurred, FaceReject::Blurred),
        ];
        for (face, seen, reason) in cases {
            assert_eq!(judged(&face, seen).1, Some(reason));
        }
    }

    #[test]
    fn a_turned_head_is_not_taken_for_a_small_one() {
        let mut face = face(300.0, 30.0);
        face.points[0].x += 10.0;
        face.points[1].x -= 10.0;
        assert_ne!(judged(&face, GOOD).1, Some(FaceReject::TooSmall));
    }
}
