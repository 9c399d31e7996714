//! YuNet for plates: offsets of four corners to prior boxes, and a score of two parts.
//!
//! As OpenCV's own code reads it: per prior 14 offsets (box, two corners, the middle, two corners), of which the corners
//! count; the score is the root of the class's probability times the overlap that the network expects of its box. In
//! which order the corners stand that code does not say, so they are put in reading order by where they lie.

use super::Numbers;
use super::boxes::{Candidate, sound};
use crate::domain::geometry::{Point, Quad};

/// Numbers of a prior in each of the three outputs.
const OFFSETS: usize = 14;
const CLASSES: usize = 2;
const OVERLAPS: usize = 1;
/// Where the four corners begin among the offsets.
const CORNERS: [usize; 4] = [4, 6, 10, 12];

/// The prior boxes, by stride.
#[derive(Clone, Copy)]
pub(super) struct Priors<'a> {
    /// Pixels between two places.
    pub strides: &'a [usize],
    /// Sides of the squares at each place, in pixels.
    pub sizes: &'a [Vec<f32>],
    /// What offsets are multiplied with, besides the side.
    pub variance: f32,
}

/// Plates of at least the score `least` for an input of `width` × `height` pixels; `Err` says how a shape differs.
pub(super) fn decode(
    outputs: &[Numbers<'_>],
    (width, height): (usize, usize),
    priors: Priors<'_>,
    least: f32,
) -> Result<Vec<Candidate>, String> {
    let [offsets, classes, overlaps] = outputs else { return Err("three outputs".to_owned()) };
    let all = priors.all(width, height);
    for (numbers, each) in [(offsets, OFFSETS), (classes, CLASSES), (overlaps, OVERLAPS)] {
        if numbers.data.len() != all.len() * each {
            let (count, shape) = (all.len(), numbers.shape);
            return Err(format!("{count} priors need {each} numbers each, an output has {shape:?}"));
        }
    }
    let read = |(place, (centre, side)): (usize, &(Point, f32))| {
        let score = (classes.data[place * CLASSES + 1] * overlaps.data[place].clamp(0.0, 1.0)).sqrt();
        // `!(a >= b)` also drops what is no number.
        if score.is_nan() || score < least {
            return None;
        }
        let row = &offsets.data[place * OFFSETS..];
        let reach = priors.variance * side;
        let corners = CORNERS.map(|at| Point::new(centre.x + row[at] * reach, centre.y + row[at + 1] * reach));
        let quad = in_reading_order(corners);
        let rect = quad.bounds();
        let candidate = Candidate { rect, corners: Some(quad), score: score.min(1.0), rows: None };
        sound(rect, Some(quad)).then_some(candidate)
    };
    Ok(all.iter().enumerate().filter_map(read).collect())
}

impl Priors<'_> {
    /// Centre and side of every prior, in the order of the outputs. Places that would not be whole are left out.
    fn all(&self, width: usize, height: usize) -> Vec<(Point, f32)> {
        let mut all = Vec::new();
        for (&stride, sizes) in self.strides.iter().zip(self.sizes) {
            let middle = |place: usize| (place as f32 + 0.5) * stride as f32;
            for row in 0..height / stride {
                for column in 0..width / stride {
                    all.extend(sizes.iter().map(|&side| (Point::new(middle(column), middle(row)), side)));
                }
            }
        }
        all
    }
}

/// Upper left, upper right, lower right, lower left, as long as the plate is turned by less than an eighth.
fn in_reading_order(mut corners: [Point; 4]) -> Quad {
    corners.sort_by(|a, b| a.x.total_cmp(&b.x));
    let [mut left, mut right] = [[corners[0], corners[1]], [corners[2], corners[3]]];
    left.sort_by(|a, b| a.y.total_cmp(&b.y));
    right.sort_by(|a, b| a.y.total_cmp(&b.y));
    Quad([left[0], right[0], right[1], left[1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::geometry::Rect;

    /// The zoo's own: 4,385 priors for 320 x 240.
    fn of_the_zoo() -> Vec<Vec<f32>> {
        vec![vec![10.0, 16.0, 24.0], vec![32.0, 48.0], vec![64.0, 96.0], vec![128.0, 192.0, 256.0]]
    }

    const STRIDES: [usize; 4] = [8, 16, 32, 64];
    const ZOO_SIZE: (usize, usize) = (320, 240);

    /// Outputs in which nothing is a plate.
    fn empty(count: usize) -> [Vec<f32>; 3] {
        [vec![0.0; count * OFFSETS], [1.0, 0.0].repeat(count), vec![0.0; count]]
    }

    fn decoded(data: &[Vec<f32>; 3], size: (usize, usize), least: f32) -> Result<Vec<Candidate>, String> {
        let sizes = of_the_zoo();
        let shapes: [[i64; 2]; 3] = [OFFSETS, CLASSES, OVERLAPS].map(|each| [(data[2].len()) as i64, each as i64]);
        let outputs: Vec<Numbers<'_>> = shapes.iter().zip(data).map(|(shape, data)| Numbers { shape, data }).collect();
        decode(&outputs, size, Priors { strides: &STRIDES, sizes: &sizes, variance: 0.1 }, least)
    }

    #[test]
    fn priors_stand_where_the_zoo_puts_them() {
        let sizes = of_the_zoo();
        let all = Priors { strides: &STRIDES, sizes: &sizes, variance: 0.1 }.all(320, 240);
        assert_eq!(all.len(), 4_385);
        assert_eq!(all[4], (Point::new(12.0, 4.0), 16.0), "second place of the first row, second size");
        assert_eq!(all[3_600], (Point::new(8.0, 8.0), 32.0), "first of stride 16");
        // 240 pixels are three whole steps of 64 and a rest, which has no place.
        assert_eq!(all[4_384], (Point::new(288.0, 160.0), 256.0));
    }

    /// Worked out by hand from OpenCV's formulas: prior 3,642 is row 1, column 1 of stride 16 (20 * 2 + 2 of them before
    /// it), side 32, centre (24, 24); an offset of 1 is 0.1 * 32 = 3.2 pixels.
    #[test]
    fn a_plate_is_where_its_corners_are_and_as_sure_as_both_scores_say() {
        let mut data = empty(4_385);
        let prior = 3_600 + 20 * 2 + 2;
        // Lower right, lower left, the middle, upper left, upper right: the order must not matter.
        let offsets = [9.0, 9.0, 9.0, 9.0, 5.0, 2.5, -5.0, 1.25, 9.0, 9.0, -5.0, -2.5, 5.0, -1.25];
        data[0][prior * OFFSETS..][..OFFSETS].copy_from_slice(&offsets);
        data[1][prior * CLASSES + 1] = 0.9;
        data[2][prior] = 0.8;
        let found = decoded(&data, ZOO_SIZE, 0.8).unwrap();
        assert_eq!(found.len(), 1);
        assert!((found[0].score - 0.72_f32.sqrt()).abs() < 1e-6, "{}", found[0].score);
        let corners = [(8.0, 16.0), (40.0, 20.0), (40.0, 32.0), (8.0, 28.0)];
        for (is, (x, y)) in found[0].corners.unwrap().0.into_iter().zip(corners) {
            assert!(is.distance(Point::new(x, y)) < 1e-4, "{is:?} is not at {x}, {y}");
        }
        let Rect { x1, y1, x2, y2 } = found[0].rect;
        assert!([x1 - 8.0, y1 - 16.0, x2 - 40.0, y2 - 32.0].iter().all(|off| off.abs() < 1e-4), "{:?}", found[0].rect);
        // An expected overlap above 1 counts as 1, one below 0 as none.
        data[2][prior] = 1.7;
        assert!((decoded(&data, ZOO_SIZE, 0.8).unwrap()[0].score - 0.9_f32.sqrt()).abs() < 1e-6);
        data[2][prior] = -0.3;
        assert_eq!(decoded(&data, ZOO_SIZE, 0.8).unwrap(), []);
    }

    #[test]
    fn numbers_that_are_none_and_another_size_are_refused() {
        let mut data = empty(4_385);
        data[1][1] = f32::NAN;
        data[2][0] = 1.0;
        // Not one has an extent, and the score of the first is no number.
        assert_eq!(decoded(&data, ZOO_SIZE, 0.0).unwrap(), []);
        let words = decoded(&data, (320, 320), 0.8).unwrap_err();
        assert!(words.contains("priors need 14 numbers each") && words.contains("[4385, 14]"), "{words}");
    }
}
