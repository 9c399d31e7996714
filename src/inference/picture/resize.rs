//! A whole frame to a network's input: letterbox or stretch, bilinear or mean of areas.
//!
//! Bilinear follows `cv2.resize(INTER_LINEAR)`: pixel centres are mapped, and four neighbours are weighed. Rows are
//! first resampled along x, and each is kept for the next output row that needs it. Where pixel falls on pixel, as in a
//! third of 1920 × 1080, the neighbours weigh nothing and are not looked at.

use super::area::Area;
use super::{Pixels, Tensor};
use crate::domain::geometry::Point;
use crate::inference::pack::{Fit, Resize};

/// Where the frame lies in the network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placement {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Input pixels per frame pixel along x.
    scale_x: f32,
    /// The same along y.
    scale_y: f32,
}

impl Placement {
    /// For a frame of a size in an input of a size, `(width, height)`.
    pub fn new(frame: (usize, usize), input: (usize, usize), fit: Fit) -> Self {
        let scale = (input.0 as f32 / frame.0 as f32).min(input.1 as f32 / frame.1 as f32);
        let side = |length: usize, most: usize| ((length as f32 * scale).round() as usize).clamp(1, most);
        let (width, height) = match fit {
            Fit::Stretch => input,
            Fit::Letterbox | Fit::Corner => (side(frame.0, input.0), side(frame.1, input.1)),
        };
        let (left, top) = match fit {
            Fit::Corner => (0, 0),
            Fit::Letterbox | Fit::Stretch => ((input.0 - width) / 2, (input.1 - height) / 2),
        };
        let (scale_x, scale_y) = (width as f32 / frame.0 as f32, height as f32 / frame.1 as f32);
        Self { left, top, width, height, scale_x, scale_y }
    }

    /// From a place in the input to a place in the frame.
    pub fn to_frame(self, place: Point) -> Point {
        Point::new((place.x - self.left as f32) / self.scale_x, (place.y - self.top as f32) / self.scale_y)
    }
}

/// Weights of one output pixel along one axis.
#[derive(Clone, Copy, Debug, Default)]
struct Tap {
    /// First source pixel.
    first: usize,
    /// Second source pixel; the same at the edge.
    second: usize,
    /// Weight of the second in 1/2048.
    weight: i32,
}

const ONE: i32 = 2048;

/// Resizes frames; keeps its tables and buffers while sizes stay the same.
#[derive(Debug, Default)]
pub(crate) struct Resizer {
    /// Frame size and placement that the tables were made for.
    made_for: Option<((usize, usize), Placement)>,
    columns: Vec<Tap>,
    rows: Vec<Tap>,
    /// Two source rows resampled along x: blue, green, red in 1/2048.
    cache: [Row; 2],
    blended: [Vec<f32>; 3],
    area: Area,
}

#[derive(Debug, Default)]
struct Row {
    source: Option<usize>,
    planes: [Vec<i32>; 3],
}

impl Resizer {
    /// Writes the frame into the tensor; the border around it is left as it is unless the frame's size changed.
    pub fn resize(&mut self, from: Pixels<'_>, to: &mut Tensor, fit: Fit, how: Resize, pad: f32) -> Placement {
        let bound = (to.width(), to.height());
        self.resize_within(from, to, bound, fit, how, pad)
    }

    /// The same when the picture is scaled to fit into `bound`, not the whole tensor.
    pub fn resize_within(
        &mut self,
        from: Pixels<'_>,
        to: &mut Tensor,
        bound: (usize, usize),
        fit: Fit,
        how: Resize,
        pad: f32,
    ) -> Placement {
        let size = (from.width, from.height);
        let placement = Placement::new(size, bound, fit);
        // A tensor of another size was emptied by its owner; the border must be filled anew.
        let fresh = to.is_fresh();
        if fresh || self.made_for != Some((size, placement)) {
            to.fill(pad);
            self.columns = taps(size.0, placement.width);
            self.rows = taps(size.1, placement.height);
            self.area = Area::new(size, (placement.width, placement.height));
            self.blended = std::array::from_fn(|_| vec![0.0; placement.width]);
            self.made_for = Some((size, placement));
        }
        let shrinks = placement.width < size.0 || placement.height < size.1;
        match how {
            Resize::Area if shrinks => self.mean(from, to, placement),
            _ => self.bilinear(from, to, placement),
        }
        placement
    }

    fn bilinear(&mut self, from: Pixels<'_>, to: &mut Tensor, at: Placement) {
        for row in &mut self.cache {
            row.source = None;
            row.planes.iter_mut().for_each(|plane| plane.resize(at.width, 0));
        }
        for y in 0..at.height {
            let tap = self.rows[y];
            let second = if tap.weight == 0 { tap.first } else { tap.second };
            self.ensure(from, tap.first, second);
            let [upper, lower] = &self.cache;
            let lower = if upper.source == Some(second) { upper } else { lower };
            let share = tap.weight as f32 / ONE as f32;
            for ((blended, above), below) in self.blended.iter_mut().zip(&upper.planes).zip(&lower.planes) {
                if tap.weight == 0 {
                    take(blended, above);
                } else {
                    blend(blended, above, below, share);
                }
            }
            let [blue, green, red] = &self.blended;
            to.put_row(at.top + y, at.left, [blue, green, red]);
        }
    }

    /// Puts the two source rows into the cache, the first one in its first place.
    fn ensure(&mut self, from: Pixels<'_>, first: usize, second: usize) {
        if self.cache[1].source == Some(first) {
            self.cache.swap(0, 1);
        }
        for (place, wanted) in [first, second].into_iter().enumerate() {
            let held = &self.cache[place];
            if held.source != Some(wanted) && !(place == 1 && first == second) {
                let row = &mut self.cache[place];
                along_x(from.row(wanted), &self.columns, &mut row.planes);
                row.source = Some(wanted);
            }
        }
    }

    fn mean(&mut self, from: Pixels<'_>, to: &mut Tensor, at: Placement) {
        for y in 0..at.height {
            self.area.row(from, y, &mut self.blended);
            let [blue, green, red] = &self.blended;
            to.put_row(at.top + y, at.left, [blue, green, red]);
        }
    }
}

/// Weights for each output pixel of an axis.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let step = from as f32 / to as f32;
    let tap = |place: usize| {
        let centre = ((place as f32 + 0.5) * step - 0.5).clamp(0.0, (from - 1) as f32);
        let first = centre as usize;
        let weight = ((centre - first as f32) * ONE as f32).round() as i32;
        Tap { first, second: (first + 1).min(from - 1), weight }
    };
    (0..to).map(tap).collect()
}

fn along_x(row: &[u8], columns: &[Tap], [blue, green, red]: &mut [Vec<i32>; 3]) {
    let (pixels, _) = row.as_chunks::<3>();
    let out = blue.iter_mut().zip(green.iter_mut()).zip(red.iter_mut());
    if columns.iter().all(|tap| tap.weight == 0) {
        for (tap, ((blue, green), red)) in columns.iter().zip(out) {
            [*blue, *green, *red] = pixels[tap.first].map(|value| i32::from(value) * ONE);
        }
        return;
    }
    for (tap, ((blue, green), red)) in columns.iter().zip(out) {
        let (a, b) = (pixels[tap.first], pixels[tap.second]);
        let (near, far) = (ONE - tap.weight, tap.weight);
        *blue = i32::from(a[0]) * near + i32::from(b[0]) * far;
        *green = i32::from(a[1]) * near + i32::from(b[1]) * far;
        *red = i32::from(a[2]) * near + i32::from(b[2]) * far;
    }
}

fn take(to: &mut [f32], row: &[i32]) {
    const UNIT: f32 = 1.0 / ONE as f32;
    to.iter_mut().zip(row).for_each(|(to, &value)| *to = value as f32 * UNIT);
}

fn blend(to: &mut [f32], above: &[i32], below: &[i32], share: f32) {
    const UNIT: f32 = 1.0 / ONE as f32;
    for ((to, &above), &below) in to.iter_mut().zip(above).zip(below) {
        let (above, below) = (above as f32, below as f32);
        *to = (above + (below - above) * share) * UNIT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::pack::Input;
    use crate::inference::picture::TensorData;

    fn tensor(width: usize, height: usize) -> Tensor {
        let text = format!("name = 'x'\nwidth = {width}\nheight = {height}\ncolour = 'bgr'");
        Tensor::new(&toml::from_str::<Input>(&text).unwrap())
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        let TensorData::F32(values) = tensor.data() else { panic!("a float tensor") };
        values.clone()
    }

    #[test]
    fn a_ramp_is_halved_to_the_means_of_its_pairs() {
        let bgr: Vec<u8> = [0, 10, 20, 30].iter().flat_map(|&grey| [grey; 3]).collect();
        let from = Pixels { width: 4, height: 1, bgr: &bgr };
        for how in [Resize::Bilinear, Resize::Area] {
            let mut to = tensor(2, 1);
            Resizer::default().resize(from, &mut to, Fit::Stretch, how, 0.0);
            assert_eq!(values(&to), [5.0, 25.0, 5.0, 25.0, 5.0, 25.0], "{how:?}");
        }
    }

    #[test]
    fn a_third_takes_the_middle_pixel_of_each_nine() {
        let (width, height) = (12, 9);
        let bgr: Vec<u8> = (0..width * height).flat_map(|place| [place as u8, (place * 2) as u8, 7]).collect();
        let mut to = tensor(4, 3);
        Resizer::default().resize(Pixels { width, height, bgr: &bgr }, &mut to, Fit::Stretch, Resize::Bilinear, 0.0);
        let found = values(&to);
        for (x, y) in (0..3).flat_map(|y| (0..4).map(move |x| (x, y))) {
            let middle = ((3 * y + 1) * width + 3 * x + 1) as f32;
            assert_eq!((found[y * 4 + x], found[12 + y * 4 + x]), (middle, 2.0 * middle));
        }
    }

    #[test]
    fn the_mean_of_areas_is_that_of_a_slow_sum() {
        let (width, height, columns, rows) = (103, 61, 17, 9);
        let mut random = fastrand::Rng::with_seed(5);
        let bgr: Vec<u8> = (0..width * height * 3).map(|_| random.u8(..)).collect();
        let mut to = tensor(columns, rows);
        let from = Pixels { width, height, bgr: &bgr };
        Resizer::default().resize(from, &mut to, Fit::Stretch, Resize::Area, 0.0);
        let overlap = |place: usize, step: f64, pixel: usize| {
            let (from, to) = (place as f64 * step, (place + 1) as f64 * step);
            (to.min((pixel + 1) as f64) - from.max(pixel as f64)).max(0.0) / step
        };
        let found = values(&to);
        for (y, x, channel) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x, (x + y) % 3))) {
            let mut mean = 0.0;
            for (v, u) in (0..height).flat_map(|v| (0..width).map(move |u| (v, u))) {
                let share = overlap(y, height as f64 / rows as f64, v) * overlap(x, width as f64 / columns as f64, u);
                mean += share * f64::from(bgr[(v * width + u) * 3 + channel]);
            }
            let value = f64::from(found[(channel * rows + y) * columns + x]);
            assert!((value - mean).abs() < 1.0, "{x},{y}: {value} for {mean}");
        }
    }

    #[test]
    fn a_picture_of_the_same_size_stays_what_it_is() {
        let bgr: Vec<u8> = (0..5 * 7 * 3).map(|value| (value * 2) as u8).collect();
        let from = Pixels { width: 5, height: 7, bgr: &bgr };
        let mut to = tensor(5, 7);
        Resizer::default().resize(from, &mut to, Fit::Letterbox, Resize::Bilinear, 0.0);
        let planes = values(&to);
        for (place, pixel) in bgr.chunks(3).enumerate() {
            for (channel, &value) in pixel.iter().enumerate() {
                assert_eq!(planes[channel * 35 + place], f32::from(value));
            }
        }
    }

    #[test]
    fn a_letterbox_is_centred_and_maps_back() {
        let placement = Placement::new((1920, 1080), (320, 320), Fit::Letterbox);
        assert_eq!((placement.width, placement.height, placement.left, placement.top), (320, 180, 0, 70));
        let back = placement.to_frame(Point::new(160.0, 160.0));
        assert!((back.x - 960.0).abs() < 1e-3 && (back.y - 540.0).abs() < 1e-3);
    }

    #[test]
    fn a_corner_letterbox_begins_at_the_corner() {
        let placement = Placement::new((1920, 1080), (640, 640), Fit::Corner);
        assert_eq!((placement.width, placement.height, placement.left, placement.top), (640, 360, 0, 0));
        let back = placement.to_frame(Point::new(320.0, 180.0));
        assert!((back.x - 960.0).abs() < 1e-3 && (back.y - 540.0).abs() < 1e-3);
    }

    #[test]
    fn a_tensor_of_another_size_has_its_border_filled_again() {
        let picture = vec![200; 8 * 4 * 3];
        let from = Pixels { width: 8, height: 4, bgr: &picture };
        let mut to = tensor(8, 8);
        let mut resizer = Resizer::default();
        resizer.resize(from, &mut to, Fit::Corner, Resize::Bilinear, 9.0);
        to.reshape(8, 4);
        to.reshape(8, 8);
        resizer.resize(from, &mut to, Fit::Corner, Resize::Bilinear, 9.0);
        let planes = values(&to);
        assert_eq!((planes[0], planes[31], planes[32], planes[63]), (200.0, 200.0, 9.0, 9.0));
    }

    #[test]
    fn a_new_frame_size_leaves_no_rest_of_the_old_picture_on_the_border() {
        let (wide, tall) = (vec![200; 8 * 4 * 3], vec![200; 4 * 8 * 3]);
        let mut to = tensor(8, 8);
        let mut resizer = Resizer::default();
        resizer.resize(Pixels { width: 8, height: 4, bgr: &wide }, &mut to, Fit::Letterbox, Resize::Bilinear, 9.0);
        resizer.resize(Pixels { width: 4, height: 8, bgr: &tall }, &mut to, Fit::Letterbox, Resize::Bilinear, 9.0);
        assert_eq!(values(&to)[..8], [9.0, 9.0, 200.0, 200.0, 200.0, 200.0, 9.0, 9.0]);
    }
}
