//! A plate cut out of a frame: rectified from its four corners, and measured.
//!
//! The map from the unit square to a quadrilateral is Heckbert's (Fundamentals of Texture Mapping, 1989, §2.2.3);
//! a margin goes on outside the corners in the plate's own perspective. Outside the frame its edge is repeated.

use zeroize::Zeroize;

use super::{Pixels, Tensor};
use crate::domain::geometry::{Point, Quad};
use crate::domain::observation::CropQuality;
use crate::inference::pack::Resize;

/// Most samples a side of an output pixel takes its mean of; a plate so large is easily read.
const MOST_SAMPLES: usize = 2;

/// Grey values from here on are at the upper end of the scale.
const SATURATED: i32 = 250;

/// A rectified plate, three planes of 0..255.
#[derive(Debug, Default)]
pub(crate) struct CropBuffer {
    width: usize,
    height: usize,
    planes: [Vec<f32>; 3],
    /// Source places of one row of samples.
    places: Vec<Point>,
    grey: Vec<i32>,
}

/// Which part of the crop is filled, and from which part of the plate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Columns of the crop, as shares of its width.
    pub columns: [f32; 2],
    /// Part of the plate along x, as shares of its width; outside 0..1 is margin.
    pub u: [f32; 2],
    /// The same along y.
    pub v: [f32; 2],
}

impl CropBuffer {
    /// Makes room for a crop; what it holds is undefined until `fill`.
    pub fn reset(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.planes.iter_mut().for_each(|plane| plane.resize(width * height, 0.0));
    }

    /// Fills some columns from a part of the plate.
    pub fn fill(&mut self, from: Pixels<'_>, plate: &Quad, target: Target, how: Resize) {
        let column = |share: f32| ((share * self.width as f32).round() as usize).min(self.width);
        let (first, last) = (column(target.columns[0]), column(target.columns[1]));
        if first >= last {
            return;
        }
        let map = Homography::new(plate, target);
        let samples = if how == Resize::Area { samples(plate, target, (last - first, self.height)) } else { (1, 1) };
        for y in 0..self.height {
            let row = y * self.width;
            self.planes.iter_mut().for_each(|plane| plane[row + first..row + last].fill(0.0));
            for sample in 0..samples.1 {
                let v = (y as f32 + (sample as f32 + 0.5) / samples.1 as f32) / self.height as f32;
                map.places((last - first) * samples.0, v, &mut self.places);
                let planes = self.planes.each_mut().map(|plane| &mut plane[row + first..row + last]);
                add_samples(from, &self.places, samples, planes);
            }
        }
    }

    /// The crop as a picture: blue, green, red, row by row.
    pub fn bytes(&self) -> Vec<u8> {
        let [blue, green, red] = &self.planes;
        let pixels = blue.iter().zip(green).zip(red);
        pixels.flat_map(|((b, g), r)| [*b, *g, *r].map(|value| value.round() as u8)).collect()
    }

    /// Overwrites what it holds.
    pub fn wipe(&mut self) {
        self.planes.iter_mut().for_each(|plane| plane.as_mut_slice().zeroize());
        self.grey.as_mut_slice().zeroize();
    }

    /// Swaps left and right.
    pub fn mirror(&mut self) {
        for plane in &mut self.planes {
            plane.chunks_exact_mut(self.width.max(1)).for_each(<[f32]>::reverse);
        }
    }

    /// Writes the crop into a network's input of the same size.
    pub fn put(&self, to: &mut Tensor) {
        for y in 0..self.height.min(to.height()) {
            let row = y * self.width..(y + 1) * self.width;
            let [blue, green, red] = &self.planes;
            to.put_row(y, 0, [&blue[row.clone()], &green[row.clone()], &red[row]]);
        }
    }

    /// How good the crop is to read from; the plate's size in the frame comes from its corners.
    pub fn quality(&mut self, plate: &Quad) -> CropQuality {
        let [blue, green, red] = &self.planes;
        let pixels = blue.iter().zip(green).zip(red);
        self.grey.clear();
        self.grey.extend(pixels.map(|((b, g), r)| (0.114 * b + 0.587 * g + 0.299 * r) as i32));
        let count = self.grey.len().max(1) as f32;
        CropQuality {
            width_px: plate.width(),
            height_px: plate.height(),
            sharpness: laplacian_variance(&self.grey, self.width),
            brightness: self.grey.iter().sum::<i32>() as f32 / count / 255.0,
            saturated: self.grey.iter().map(|&grey| i32::from(grey >= SATURATED)).sum::<i32>() as f32 / count,
        }
    }
}

/// Variance of the four-neighbour Laplacian over the inner pixels. Integers: their sums vectorise.
fn laplacian_variance(grey: &[i32], width: usize) -> f32 {
    if width < 3 || grey.len() < 3 * width {
        return 0.0;
    }
    let (mut sum, mut squares, mut count) = (0_i64, 0_i64, 0_usize);
    for three in grey.windows(3 * width).step_by(width) {
        let (above, here, below) =
            (&three[1..width - 1], &three[width..2 * width], &three[2 * width + 1..3 * width - 1]);
        let sides = here[..width - 2].iter().zip(&here[2..]);
        let values = above.iter().zip(below).zip(sides).zip(&here[1..width - 1]);
        let (row, row_squares) = values.fold((0_i32, 0_i64), |(row, row_squares), (((a, b), (l, r)), middle)| {
            let value = a + b + l + r - 4 * middle;
            (row + value, row_squares + i64::from(value * value))
        });
        sum += i64::from(row);
        squares += row_squares;
        count += width - 2;
    }
    let mean = sum as f64 / count as f64;
    (squares as f64 / count as f64 - mean * mean).max(0.0) as f32
}

/// How many samples an output pixel needs so that few source pixels are passed over: each sample weighs two a side.
fn samples(plate: &Quad, target: Target, (columns, rows): (usize, usize)) -> (usize, usize) {
    let across = plate.width() * (target.u[1] - target.u[0]) / columns as f32;
    let down = plate.height() * (target.v[1] - target.v[0]) / rows as f32;
    let enough = |ratio: f32| (ratio.round() as usize).clamp(1, MOST_SAMPLES);
    (enough(across), enough(down))
}

/// From a part of the plate to the frame: `x = (a u + b v + c) / (g u + h v + 1)`.
struct Homography {
    x: [f32; 3],
    y: [f32; 3],
    w: [f32; 3],
    u: [f32; 2],
    v: [f32; 2],
}

impl Homography {
    fn new(plate: &Quad, target: Target) -> Self {
        let Target { u, v, .. } = target;
        let whole = Self { u, v, ..Self::of(plate) };
        // A margin beyond the plate's horizon has no place in the frame; then its upright box has to do.
        let corners = [(u[0], v[0]), (u[1], v[0]), (u[0], v[1]), (u[1], v[1])];
        let sound = corners.iter().all(|&(u, v)| whole.w[0] * u + whole.w[1] * v + whole.w[2] > 0.05);
        if sound { whole } else { Self { u, v, ..Self::of(&plate.bounds().quad()) } }
    }

    fn of(plate: &Quad) -> Self {
        let [tl, tr, br, bl] = plate.0;
        let (dx1, dx2) = (tr.x - br.x, bl.x - br.x);
        let (dy1, dy2) = (tr.y - br.y, bl.y - br.y);
        let (sx, sy) = (tl.x - tr.x + br.x - bl.x, tl.y - tr.y + br.y - bl.y);
        let det = dx1 * dy2 - dx2 * dy1;
        let (g, h) =
            if det.abs() < 1e-6 { (0.0, 0.0) } else { ((sx * dy2 - dx2 * sy) / det, (dx1 * sy - sx * dy1) / det) };
        Self {
            x: [tr.x - tl.x + g * tr.x, bl.x - tl.x + h * bl.x, tl.x],
            y: [tr.y - tl.y + g * tr.y, bl.y - tl.y + h * bl.y, tl.y],
            w: [g, h, 1.0],
            u: [0.0, 1.0],
            v: [0.0, 1.0],
        }
    }

    /// Places of `count` samples of one row; `v` is its share of the target's height.
    fn places(&self, count: usize, v: f32, places: &mut Vec<Point>) {
        let v = self.v[0] + (self.v[1] - self.v[0]) * v;
        let row = |k: [f32; 3]| (k[0], k[1] * v + k[2]);
        let ((ax, bx), (ay, by), (aw, bw)) = (row(self.x), row(self.y), row(self.w));
        let step = (self.u[1] - self.u[0]) / count as f32;
        places.clear();
        places.extend((0..count).map(|place| {
            let u = self.u[0] + (place as f32 + 0.5) * step;
            let w = 1.0 / (aw * u + bw);
            Point::new((ax * u + bx) * w - 0.5, (ay * u + by) * w - 0.5)
        }));
    }
}

/// Adds the mean of each pixel's samples to it.
fn add_samples(from: Pixels<'_>, places: &[Point], samples: (usize, usize), [blue, green, red]: [&mut [f32]; 3]) {
    let sampler = Sampler::new(from);
    let unit = SAMPLE_UNIT / (samples.0 * samples.1) as f32;
    let out = blue.iter_mut().zip(green).zip(red);
    let add = |((blue, green), red): ((&mut f32, &mut f32), &mut f32), [b, g, r]: [i32; 3]| {
        *blue += b as f32 * unit;
        *green += g as f32 * unit;
        *red += r as f32 * unit;
    };
    match samples.0 {
        1 => out.zip(places).for_each(|(pixel, place)| add(pixel, sampler.at(*place))),
        _ => out.zip(places.chunks_exact(2)).for_each(|(pixel, two)| {
            let (near, far) = (sampler.at(two[0]), sampler.at(two[1]));
            add(pixel, std::array::from_fn(|k| near[k] + far[k]));
        }),
    }
}

/// Ten bits a side: sums of two samples of bytes stay below 2^31.
const SAMPLE_ONE: f32 = 1024.0;
const SAMPLE_UNIT: f32 = 1.0 / (SAMPLE_ONE * SAMPLE_ONE);

/// Bilinear samples of a picture.
struct Sampler<'a> {
    from: Pixels<'a>,
    right: f32,
    bottom: f32,
}

impl<'a> Sampler<'a> {
    fn new(from: Pixels<'a>) -> Self {
        Self { from, right: (from.width - 1) as f32, bottom: (from.height - 1) as f32 }
    }

    /// Blue, green, red, in units of `SAMPLE_UNIT`; outside the picture its edge.
    #[inline(always)]
    fn at(&self, place: Point) -> [i32; 3] {
        let stride = self.from.width * 3;
        let (x, y) = (place.x.max(0.0).min(self.right), place.y.max(0.0).min(self.bottom));
        // The neighbours to the right and below must exist; in the last column and row their weight is whole.
        let column = (x as i32).min(self.right as i32 - 1).max(0);
        let row = (y as i32).min(self.bottom as i32 - 1).max(0);
        let (fx, fy) = (((x - column as f32) * SAMPLE_ONE) as i32, ((y - row as f32) * SAMPLE_ONE) as i32);
        let (gx, gy) = (SAMPLE_ONE as i32 - fx, SAMPLE_ONE as i32 - fy);
        let at = row as usize * stride + column as usize * 3;
        let (Some(above), Some(below)) =
            (self.from.bgr.get(at..at + 6), self.from.bgr.get(at + stride..at + stride + 6))
        else {
            // A picture one pixel wide or high.
            let start = y as usize * stride + x as usize * 3;
            return std::array::from_fn(|k| i32::from(self.from.bgr[start + k]) << 20);
        };
        std::array::from_fn(|k| {
            let upper = i32::from(above[k]) * gx + i32::from(above[k + 3]) * fx;
            let lower = i32::from(below[k]) * gx + i32::from(below[k + 3]) * fx;
            upper * gy + lower * fy
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::geometry::Rect;

    const WHOLE: Target = Target { columns: [0.0, 1.0], u: [0.0, 1.0], v: [0.0, 1.0] };

    /// Blue grows along x, green along y.
    fn ramp(width: usize, height: usize) -> Vec<u8> {
        (0..width * height).flat_map(|place| [(place % width) as u8, (place / width) as u8, 255]).collect()
    }

    #[test]
    fn an_upright_box_is_cut_out_as_it_is() {
        let bgr = ramp(60, 40);
        let from = Pixels { width: 60, height: 40, bgr: &bgr };
        let mut crop = CropBuffer::default();
        crop.reset(20, 10);
        crop.fill(from, &Rect::new(10.0, 5.0, 30.0, 15.0).quad(), WHOLE, Resize::Bilinear);
        for y in 0..10 {
            for x in 0..20 {
                assert!((crop.planes[0][y * 20 + x] - (10 + x) as f32).abs() < 1e-3);
                assert!((crop.planes[1][y * 20 + x] - (5 + y) as f32).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn the_corners_of_a_slanted_plate_come_to_the_corners_of_the_crop() {
        let plate = Quad([(10.0, 8.0), (50.0, 4.0), (54.0, 30.0), (6.0, 24.0)].map(|(x, y)| Point::new(x, y)));
        let map = Homography::new(&plate, WHOLE);
        let at = |u: f32, v: f32| {
            let value = |k: [f32; 3]| k[0] * u + k[1] * v + k[2];
            Point::new(value(map.x) / value(map.w), value(map.y) / value(map.w))
        };
        for (place, corner) in [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)].into_iter().zip(plate.0) {
            assert!(at(place.0, place.1).distance(corner) < 1e-3);
        }
    }

    #[test]
    fn a_margin_widens_the_view_and_the_edge_of_the_frame_is_repeated() {
        let bgr = ramp(60, 40);
        let from = Pixels { width: 60, height: 40, bgr: &bgr };
        let mut crop = CropBuffer::default();
        crop.reset(4, 2);
        let target = Target { u: [-0.5, 1.5], ..WHOLE };
        crop.fill(from, &Rect::new(0.0, 0.0, 20.0, 20.0).quad(), target, Resize::Bilinear);
        assert_eq!(crop.planes[0][0], 0.0);
        assert!((crop.planes[0][3] - 24.5).abs() < 1e-3);
    }

    #[test]
    fn a_large_plate_is_averaged_when_asked() {
        let bgr: Vec<u8> = (0..64 * 64).flat_map(|place| [if place % 2 == 0 { 0 } else { 200 }; 3]).collect();
        let from = Pixels { width: 64, height: 64, bgr: &bgr };
        let mut crop = CropBuffer::default();
        crop.reset(16, 16);
        crop.fill(from, &Rect::new(0.0, 0.0, 64.0, 64.0).quad(), WHOLE, Resize::Area);
        assert!(crop.planes[0].iter().all(|value| (value - 100.0).abs() < 1.0));
    }

    #[test]
    fn a_mirrored_crop_runs_from_right_to_left() {
        let bgr = ramp(8, 4);
        let mut crop = CropBuffer::default();
        crop.reset(8, 4);
        let whole = Rect::new(0.0, 0.0, 8.0, 4.0).quad();
        crop.fill(Pixels { width: 8, height: 4, bgr: &bgr }, &whole, WHOLE, Resize::Bilinear);
        crop.mirror();
        assert_eq!((crop.planes[0][0], crop.planes[0][7], crop.planes[1][8]), (7.0, 0.0, 1.0));
    }

    #[test]
    fn a_flat_crop_is_blurred_and_a_checkered_one_is_sharp() {
        let flat = vec![255; 32 * 8 * 3];
        let checkered: Vec<u8> = (0..32 * 8).flat_map(|i| [if (i + i / 32) % 2 == 0 { 0 } else { 255 }; 3]).collect();
        let measure = |bgr: &[u8]| {
            let mut crop = CropBuffer::default();
            crop.reset(32, 8);
            let plate = Rect::new(0.0, 0.0, 32.0, 8.0).quad();
            crop.fill(Pixels { width: 32, height: 8, bgr }, &plate, WHOLE, Resize::Bilinear);
            crop.quality(&plate)
        };
        let (dull, sharp) = (measure(&flat), measure(&checkered));
        assert_eq!((dull.sharpness, dull.saturated, dull.width_px), (0.0, 1.0, 32.0));
        assert!(sharp.sharpness > 1000.0 && (sharp.saturated - 0.5).abs() < 0.01);
    }
}
