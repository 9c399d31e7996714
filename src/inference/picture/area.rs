//! Shrinking by the mean of areas: every pixel of the frame counts by its share of the output pixel it falls on.
//!
//! First all rows of the frame that fall on an output row are summed in one pass over them, in 16 bits, which vectorises;
//! then each output pixel sums its columns in a loop whose length the compiler knows. A frame that shrinks by whole
//! numbers, as 1080p does into 384 columns, needs no weights and no wider sums.

use super::Pixels;

/// The weights of the rows sum to this: 255 times it just fits into 16 bits.
const WHOLE: f32 = 257.0;

/// Sizes, and the sums of one output row; kept while the sizes stay the same.
#[derive(Debug, Default)]
pub(super) struct Area {
    columns: Vec<Span>,
    rows: Vec<Span>,
    /// Pixels across and down that make one, where both are whole numbers and their sum fits into 16 bits.
    whole: Option<(usize, usize)>,
    sums: Vec<u16>,
    weights: Vec<u16>,
}

/// Source pixels that fall on an output pixel along one axis.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// First pixel.
    first: usize,
    /// Last pixel minus first pixel.
    beyond: usize,
    /// Share of the first pixel.
    head: f32,
    /// Share of the last pixel; 0 when it is the first.
    tail: f32,
    /// What a sum of weighted rows is multiplied with to become a mean.
    unit: f32,
}

impl Area {
    /// For a frame of a size that becomes a picture of a size, `(width, height)`.
    pub fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        let (across, down) = (from.0 / to.0, from.1 / to.1);
        let whole = from == (across * to.0, down * to.1) && across * down <= usize::from(u16::MAX / 255);
        Self {
            columns: spans(from.0, to.0),
            rows: spans(from.1, to.1),
            whole: whole.then_some((across, down)),
            // One value beyond the end, so that the last pixel can be taken four values at a time.
            sums: vec![0; from.0 * 3 + 1],
            weights: Vec::new(),
        }
    }

    /// Row `y` of the output: blue, green and red, 0..255.
    pub fn row(&mut self, from: Pixels<'_>, y: usize, out: &mut [Vec<f32>; 3]) {
        self.weights.clear();
        match self.whole {
            Some((across, down)) => {
                self.weights.resize(down, 1);
                sum_rows(from, y * down, &self.weights, &mut self.sums);
                sum_columns(&self.sums, across, 1.0 / (across * down) as f32, out);
            }
            None => {
                self.weights.extend(self.rows[y].weights());
                sum_rows(from, self.rows[y].first, &self.weights, &mut self.sums);
                let [blue, green, red] = out;
                let out = blue.iter_mut().zip(green).zip(red);
                for (span, ((blue, green), red)) in self.columns.iter().zip(out) {
                    [*blue, *green, *red] = mean(&self.sums, *span);
                }
            }
        }
    }
}

impl Span {
    fn new(from: f32, to: f32) -> Self {
        let first = from as usize;
        let last = (to.ceil() as usize).max(first + 1) - 1;
        let (head, tail) = if last > first { ((first + 1) as f32 - from, to - last as f32) } else { (to - from, 0.0) };
        Self { first, beyond: last - first, head, tail, unit: 1.0 / (WHOLE * (to - from)) }
    }

    /// Integer weights of the pixels in order; they sum to `WHOLE`.
    fn weights(&self) -> impl Iterator<Item = u16> + '_ {
        let length = self.head + self.tail + self.beyond.saturating_sub(1) as f32;
        let reached = move |pixels: usize| match pixels {
            0 => 0.0,
            _ if pixels > self.beyond => WHOLE,
            _ => (WHOLE * (self.head + (pixels - 1) as f32) / length).round(),
        };
        (0..=self.beyond).map(move |place| (reached(place + 1) - reached(place)) as u16)
    }
}

fn spans(from: usize, to: usize) -> Vec<Span> {
    let step = from as f32 / to as f32;
    (0..to).map(|place| Span::new(place as f32 * step, ((place + 1) as f32 * step).min(from as f32))).collect()
}

/// Weighted sum of the rows from `first` on; up to three of them in one pass, so that the sums are written seldom.
fn sum_rows(from: Pixels<'_>, first: usize, weights: &[u16], sums: &mut [u16]) {
    let sums = &mut sums[..from.width * 3];
    let mut place = 0;
    while let rest @ [_, ..] = &weights[place..] {
        let row = |k: usize| from.row(first + place + k);
        if place == 0 {
            sums.fill(0);
        }
        // Four are better taken two and two than three and one.
        place += match *rest {
            [a, b, c] | [a, b, c, _, _, ..] => {
                let values = sums.iter_mut().zip(row(0)).zip(row(1)).zip(row(2));
                values.for_each(|(((sum, &x), &y), &z)| {
                    *sum += u16::from(x) * a + u16::from(y) * b + u16::from(z) * c;
                });
                3
            }
            [a, b, ..] => {
                let values = sums.iter_mut().zip(row(0)).zip(row(1));
                values.for_each(|((sum, &x), &y)| *sum += u16::from(x) * a + u16::from(y) * b);
                2
            }
            [a, ..] => {
                sums.iter_mut().zip(row(0)).for_each(|(sum, &x)| *sum += u16::from(x) * a);
                1
            }
            [] => break,
        };
    }
}

/// Means of `across` pixels each.
fn sum_columns(sums: &[u16], across: usize, unit: f32, out: &mut [Vec<f32>; 3]) {
    match across {
        1 => sum_known::<1>(sums, unit, out),
        2 => sum_known::<2>(sums, unit, out),
        3 => sum_known::<3>(sums, unit, out),
        4 => sum_known::<4>(sums, unit, out),
        5 => sum_known::<5>(sums, unit, out),
        6 => sum_known::<6>(sums, unit, out),
        _ => {
            for (channel, out) in out.iter_mut().enumerate() {
                for (pixels, out) in sums.chunks(across * 3).zip(out) {
                    *out = f32::from(pixels.iter().skip(channel).step_by(3).sum::<u16>()) * unit;
                }
            }
        }
    }
}

fn sum_known<const ACROSS: usize>(sums: &[u16], unit: f32, [blue, green, red]: &mut [Vec<f32>; 3]) {
    let out = blue.iter_mut().zip(green).zip(red);
    for (x, ((blue, green), red)) in out.enumerate() {
        let pixels = &sums[x * ACROSS * 3..(x + 1) * ACROSS * 3 + 1];
        // Four lanes fill a register; the fourth is the next pixel's blue.
        let mut sum = [0_u16; 4];
        for pixel in 0..ACROSS {
            (0..4).for_each(|k| sum[k] = sum[k].wrapping_add(pixels[pixel * 3 + k]));
        }
        (*blue, *green, *red) = (f32::from(sum[0]) * unit, f32::from(sum[1]) * unit, f32::from(sum[2]) * unit);
    }
}

/// Blue, green and red of a span that is weighted at its ends.
fn mean(sums: &[u16], span: Span) -> [f32; 3] {
    match span.beyond {
        1 => mean_known::<2>(sums, span),
        2 => mean_known::<3>(sums, span),
        3 => mean_known::<4>(sums, span),
        4 => mean_known::<5>(sums, span),
        5 => mean_known::<6>(sums, span),
        6 => mean_known::<7>(sums, span),
        7 => mean_known::<8>(sums, span),
        8 => mean_known::<9>(sums, span),
        beyond => mean_of(&sums[span.first * 3..(span.first + beyond) * 3 + 4], beyond + 1, span),
    }
}

#[inline(always)]
fn mean_known<const PIXELS: usize>(sums: &[u16], span: Span) -> [f32; 3] {
    mean_of(&sums[span.first * 3..(span.first + PIXELS) * 3 + 1], PIXELS, span)
}

#[inline(always)]
fn mean_of(values: &[u16], pixels: usize, span: Span) -> [f32; 3] {
    let lanes = |pixel: usize| -> [u16; 4] { std::array::from_fn(|k| values[pixel * 3 + k]) };
    let mut inner = [0_u32; 4];
    for pixel in 1..pixels.saturating_sub(1) {
        let values = lanes(pixel);
        (0..4).for_each(|k| inner[k] += u32::from(values[k]));
    }
    let (head, tail) = (lanes(0), lanes(pixels - 1));
    // Fewer than 2^31, so that the signed conversion, which is one instruction, is right.
    let mean: [f32; 4] = std::array::from_fn(|k| {
        (f32::from(head[k]) * span.head + f32::from(tail[k]) * span.tail + inner[k] as i32 as f32) * span.unit
    });
    [mean[0], mean[1], mean[2]]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean by shares of areas, slowly and in double precision.
    fn slow(from: Pixels<'_>, to: (usize, usize), (x, y): (usize, usize), channel: usize) -> f64 {
        let overlap = |place: usize, step: f64, pixel: usize| {
            let (from, to) = (place as f64 * step, (place + 1) as f64 * step);
            (to.min((pixel + 1) as f64) - from.max(pixel as f64)).max(0.0) / step
        };
        let (across, down) = (from.width as f64 / to.0 as f64, from.height as f64 / to.1 as f64);
        let mut mean = 0.0;
        for (v, u) in (0..from.height).flat_map(|v| (0..from.width).map(move |u| (v, u))) {
            let share = overlap(y, down, v) * overlap(x, across, u);
            if share > 0.0 {
                mean += share * f64::from(from.bgr[(v * from.width + u) * 3 + channel]);
            }
        }
        mean
    }

    #[test]
    fn every_ratio_gives_the_mean_of_its_areas() {
        let mut random = fastrand::Rng::with_seed(5);
        // Whole numbers, thirds, wider than any known length, whole along one axis only, and too much for 16 bits.
        for ((width, height), to) in [
            ((40, 25), (8, 5)),
            ((64, 36), (32, 18)),
            ((70, 20), (10, 10)),
            ((40, 24), (12, 7)),
            ((103, 61), (17, 9)),
            ((130, 90), (10, 7)),
            ((40, 31), (8, 5)),
            ((102, 102), (6, 6)),
            ((9, 30), (9, 10)),
        ] {
            let bgr: Vec<u8> = (0..width * height * 3).map(|_| random.u8(..)).collect();
            let from = Pixels { width, height, bgr: &bgr };
            let mut area = Area::new((width, height), to);
            let mut out: [Vec<f32>; 3] = std::array::from_fn(|_| vec![0.0; to.0]);
            for y in 0..to.1 {
                area.row(from, y, &mut out);
                for (x, channel) in (0..to.0).flat_map(|x| (0..3).map(move |channel| (x, channel))) {
                    let (found, wanted) = (f64::from(out[channel][x]), slow(from, to, (x, y), channel));
                    assert!((found - wanted).abs() < 0.6, "{width}x{height} to {to:?}: {found} for {wanted}");
                }
            }
        }
    }

    #[test]
    fn white_stays_white_whatever_the_ratio() {
        for (size, to) in [((64, 64), (4, 4)), ((160, 90), (32, 18)), ((100, 100), (30, 7))] {
            let bgr = vec![255; size.0 * size.1 * 3];
            let mut area = Area::new(size, to);
            let mut out: [Vec<f32>; 3] = std::array::from_fn(|_| vec![0.0; to.0]);
            area.row(Pixels { width: size.0, height: size.1, bgr: &bgr }, to.1 - 1, &mut out);
            assert!(out.iter().flatten().all(|value| (value - 255.0).abs() < 0.01), "{size:?} to {to:?}");
        }
    }
}
