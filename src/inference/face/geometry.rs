//! From five points to a crop, and to the turn of the head.
//!
//! The crop is the best similarity (turn, scale, shift; no shear, no mirror) of the points to the template, in the least
//! squares sense (Umeyama, IEEE PAMI 13(4), 1991; in two dimensions it has the closed form below). The turn of the head
//! is read from where the nose stands between eyes and mouth: good to some ten degrees, enough to weigh frames.

use crate::domain::geometry::{Point, Quad, Rect};

/// How far the tip of the nose stands before the eyes, over the distance between the eyes.
const NOSE_DEPTH: f32 = 0.45;
/// Where the nose stands between eyes and mouth when the head is level, as detectors place it on people who look into the camera.
const NOSE_LEVEL: f32 = 0.54;
/// From eyes to mouth, over the distance between the eyes.
const EYES_TO_MOUTH: f32 = 1.15;

/// Corners in the frame of a square crop of `side` pixels in which the points come to the template.
///
/// Points and result are pixels of the frame; the result counts from pixel edges, as [`Quad`]s of plates do.
pub(super) fn aligned(points: &[Point; 5], template: &[[f32; 2]; 5], side: usize) -> Quad {
    let side = side as f32;
    let wanted = template.map(|[x, y]| Point::new(x * side, y * side));
    let (here, there) = (middle(&wanted), middle(points));
    // From the crop to the frame: the frame is `a + ib` times the crop, as complex numbers.
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (from, to) in wanted.iter().zip(points) {
        let (x, y, u, v) = (from.x - here.x, from.y - here.y, to.x - there.x, to.y - there.y);
        real += x * u + y * v;
        imaginary += x * v - y * u;
    }
    // The inverse of the best map to the crop, not the best map from it: they differ where the points do not fit.
    let spread: f32 = points.iter().map(|p| (p.x - there.x).powi(2) + (p.y - there.y).powi(2)).sum();
    let length = (real * real + imaginary * imaginary).max(f32::MIN_POSITIVE);
    let (a, b) = (real * spread / length, imaginary * spread / length);
    let place = |x: f32, y: f32| {
        // Half a pixel: the middle of the crop's first pixel is 0.5 for the cutter and 0 for the template.
        let (x, y) = (x - 0.5 - here.x, y - 0.5 - here.y);
        Point::new(there.x + a * x - b * y + 0.5, there.y + b * x + a * y + 0.5)
    };
    Quad([place(0.0, 0.0), place(side, 0.0), place(side, side), place(0.0, side)])
}

/// Corners of the square around the middle of a box, its side `scale` times the box's longer one; turned by the line of
/// the eyes when `level`. `side` are the pixels of the crop.
pub(super) fn square(rect: &Rect, points: &[Point; 5], scale: f32, level: bool, side: usize) -> Quad {
    let pixel = rect.width().max(rect.height()).max(1.0) * scale / side as f32;
    let roll = if level { (points[1].y - points[0].y).atan2(points[1].x - points[0].x) } else { 0.0 };
    let (a, b) = (pixel * roll.cos(), pixel * roll.sin());
    let (centre, half) = (rect.centre(), side as f32 / 2.0);
    let place = |x: f32, y: f32| {
        let (x, y) = (x - 0.5 - half, y - 0.5 - half);
        Point::new(centre.x + a * x - b * y + 0.5, centre.y + b * x + a * y + 0.5)
    };
    let side = side as f32;
    Quad([place(0.0, 0.0), place(side, 0.0), place(side, side), place(0.0, side)])
}

fn middle(points: &[Point; 5]) -> Point {
    let sum = points.iter().fold(Point::default(), |sum, p| Point::new(sum.x + p.x, sum.y + p.y));
    Point::new(sum.x / 5.0, sum.y / 5.0)
}

/// Which way a head is turned, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pose {
    /// To the side; positive: the nose points to the right of the picture.
    pub yaw: f32,
    /// Nod; positive looks down.
    pub pitch: f32,
    /// Tilt of the eye line.
    pub roll: f32,
    /// Distance between the eyes, in pixels.
    pub eyes_px: f32,
    /// The same as it would be seen from the front: a turned head is not taken for a small one.
    pub frontal_px: f32,
}

impl Pose {
    /// From the five points.
    pub fn of(points: &[Point; 5]) -> Self {
        let [left, right, nose, mouth_left, mouth_right] = *points;
        let roll = (right.y - left.y).atan2(right.x - left.x);
        let eyes = Point::new((left.x + right.x) / 2.0, (left.y + right.y) / 2.0);
        let mouth = Point::new((mouth_left.x + mouth_right.x) / 2.0, (mouth_left.y + mouth_right.y) / 2.0);
        // Upright: the eye line level, the middle of the eyes at 0.
        let upright = |p: Point| {
            let (x, y) = (p.x - eyes.x, p.y - eyes.y);
            Point::new(x * roll.cos() + y * roll.sin(), y * roll.cos() - x * roll.sin())
        };
        let (nose, mouth) = (upright(nose), upright(mouth));
        let eyes_px = left.distance(right);
        let height = mouth.y.max(1e-3);
        let between = nose.y / height;
        let aside = nose.x - mouth.x * between.clamp(0.0, 1.0);
        // As seen from the front, also when the turned eyes have come together.
        let frontal_px = eyes_px.max(height / EYES_TO_MOUTH);
        let yaw = (aside / (NOSE_DEPTH * eyes_px.max(1e-3))).atan();
        let pitch = ((between - NOSE_LEVEL) * EYES_TO_MOUTH / NOSE_DEPTH).atan();
        let [yaw, pitch, roll] = [yaw, pitch, roll].map(f32::to_degrees);
        Self { yaw, pitch, roll, eyes_px, frontal_px }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: [[f32; 2]; 5] = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]];

    fn placed(angle: f32, scale: f32, dx: f32, dy: f32) -> [Point; 5] {
        let (a, b) = (scale * angle.cos(), scale * angle.sin());
        TEMPLATE.map(|[x, y]| {
            let (x, y) = (x * 100.0, y * 100.0);
            Point::new(a * x - b * y + dx, b * x + a * y + dy)
        })
    }

    #[test]
    fn points_that_are_the_template_moved_come_back_to_it() {
        let Quad([tl, tr, _, bl]) = aligned(&placed(0.3, 1.7, 40.0, -20.0), &TEMPLATE, 100);
        // The crop's place 50,40 counted from pixel edges is the template's 49.5,39.5.
        let at = |u: f32, v: f32| {
            Point::new(tl.x + u * (tr.x - tl.x) + v * (bl.x - tl.x), tl.y + u * (tr.y - tl.y) + v * (bl.y - tl.y))
        };
        for ([x, y], point) in TEMPLATE.into_iter().zip(placed(0.3, 1.7, 40.0, -20.0)) {
            let found = at(x + 0.005, y + 0.005);
            assert!((found.x - 0.5 - point.x).abs() < 1e-3 && (found.y - 0.5 - point.y).abs() < 1e-3, "{found:?}");
        }
    }

    #[test]
    fn the_map_is_the_least_squares_one_towards_the_crop() {
        // One point off by 10 pixels of the frame; figures from the singular value decomposition.
        let mut points = placed(0.0, 1.0, 0.0, 0.0);
        points[2].x += 10.0;
        let Quad([tl, tr, ..]) = aligned(&points, &TEMPLATE, 100);
        let spread: f32 = {
            let m = middle(&points);
            points.iter().map(|p| (p.x - m.x).powi(2) + (p.y - m.y).powi(2)).sum()
        };
        let wanted = TEMPLATE.map(|[x, y]| Point::new(x * 100.0, y * 100.0));
        let (m, t) = (middle(&points), middle(&wanted));
        let dot: f32 =
            points.iter().zip(&wanted).map(|(p, w)| (p.x - m.x) * (w.x - t.x) + (p.y - m.y) * (w.y - t.y)).sum();
        let cross: f32 =
            points.iter().zip(&wanted).map(|(p, w)| (p.x - m.x) * (w.y - t.y) - (p.y - m.y) * (w.x - t.x)).sum();
        let scale_to_crop = dot.hypot(cross) / spread;
        assert!((tl.distance(tr) - 100.0 / scale_to_crop).abs() < 1e-2);
    }

    #[test]
    fn the_square_stands_around_the_middle_of_the_box_and_turns_with_the_eyes() {
        let rect = Rect::new(10.0, 20.0, 50.0, 100.0);
        let level =
            [(20.0, 50.0), (40.0, 50.0), (30.0, 60.0), (22.0, 80.0), (38.0, 80.0)].map(|(x, y)| Point::new(x, y));
        let quad = square(&rect, &level, 1.0, true, 40);
        assert!((quad.width() - 80.0).abs() < 1e-3 && (quad.0[0].y - quad.0[1].y).abs() < 1e-3);
        let mut tilted = level;
        tilted[1].y = 70.0;
        let quad = square(&rect, &tilted, 1.0, true, 40);
        assert!(((quad.0[1].y - quad.0[0].y) - 80.0 / 2.0_f32.sqrt()).abs() < 1e-2);
        assert!((square(&rect, &tilted, 0.5, false, 40).width() - 40.0).abs() < 1e-3);
    }

    /// A head with its eyes 60 pixels apart, turned.
    fn head(yaw: f32, pitch: f32, roll: f32) -> [Point; 5] {
        let (yaw, pitch, roll) = (yaw.to_radians(), pitch.to_radians(), roll.to_radians());
        let down = 60.0 * EYES_TO_MOUTH;
        let solid = [
            (-30.0, 0.0, 0.0),
            (30.0, 0.0, 0.0),
            (0.0, down * NOSE_LEVEL, 60.0 * NOSE_DEPTH),
            (-20.0, down, 0.0),
            (20.0, down, 0.0),
        ];
        solid.map(|(x, y, z)| {
            let (y, z) = (y * pitch.cos() + z * pitch.sin(), z * pitch.cos() - y * pitch.sin());
            let x = x * yaw.cos() + z * yaw.sin();
            Point::new(200.0 + x * roll.cos() - y * roll.sin(), 200.0 + x * roll.sin() + y * roll.cos())
        })
    }

    #[test]
    fn the_turn_of_a_head_is_read_from_its_points() {
        for (yaw, pitch, roll) in [(0.0, 0.0, 0.0), (25.0, 0.0, 0.0), (-40.0, 0.0, 10.0), (0.0, 15.0, -20.0)] {
            let pose = Pose::of(&head(yaw, pitch, roll));
            assert!((pose.yaw - yaw).abs() < 4.0 && (pose.pitch - pitch).abs() < 4.0, "{yaw} {pitch}: {pose:?}");
            assert!((pose.roll - roll).abs() < 1.0, "{pose:?}");
        }
        let turned = Pose::of(&head(60.0, 0.0, 0.0));
        assert!(turned.eyes_px < 31.0 && turned.frontal_px > 55.0);
    }
}
