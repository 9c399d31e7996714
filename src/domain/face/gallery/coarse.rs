//! A coarse copy of the templates, a byte a number, a quarter of the memory. It says between which two values each score
//! lies, so that the exact ones need be computed for a handful of rows only, and nobody is missed.
//!
//! A vector x is written as `s·q + e`, q whole numbers of -127..=127, and so is the probe y as `t·r + f`. Then
//! `x·y = s·t·(q·r) + e·y + s·q·f`, and as x and y have unit length, what is left out is at most `|e| + (1 + |e|)·|f|`.

use zeroize::Zeroize;

use super::matrix::Matrix;
use super::simd::Kernel;

/// Numbers in a [`Bytes`].
pub(super) const BYTES: usize = 64;
/// Rounding of 32-bit sums.
const SLACK: f32 = 1e-5;

/// Sixty-four coarse numbers, a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Bytes(pub [i8; BYTES]);

impl Zeroize for Bytes {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// A vector in whole numbers.
pub(super) struct Coarse {
    pub lanes: Vec<Bytes>,
    /// What a whole number stands for.
    scale: f32,
    /// Length of what was left out.
    error: f32,
}

impl Coarse {
    /// Of a vector of unit length.
    pub fn of(values: &[f32]) -> Self {
        let largest = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let scale = (largest / 127.0).max(f32::MIN_POSITIVE);
        let whole = |value: f32| (value / scale).round() as i8;
        let left_out = |value: &f32| f64::from(value - f32::from(whole(*value)) * scale).powi(2);
        let error = values.iter().map(left_out).sum::<f64>().sqrt() as f32;
        let lanes = values.chunks(BYTES).map(|part| {
            let mut lane = Bytes([0; BYTES]);
            lane.0.iter_mut().zip(part).for_each(|(byte, value)| *byte = whole(*value));
            lane
        });
        Self { lanes: lanes.collect(), scale, error }
    }
}

impl Drop for Coarse {
    fn drop(&mut self) {
        self.lanes.zeroize();
    }
}

/// The coarse copies of all rows.
pub(super) struct Screen {
    matrix: Matrix<Bytes>,
    scales: Vec<f32>,
    errors: Vec<f32>,
}

impl Screen {
    /// For rows of so many numbers.
    pub fn new(numbers: usize) -> Self {
        Self { matrix: Matrix::new(numbers.div_ceil(BYTES)), scales: Vec::new(), errors: Vec::new() }
    }

    /// Makes room.
    pub fn reserve(&mut self, rows: usize) {
        self.matrix.reserve(rows);
        self.scales.reserve(rows);
        self.errors.reserve(rows);
    }

    /// Adds a row.
    pub fn push(&mut self, values: &[f32]) {
        let coarse = Coarse::of(values);
        self.matrix.push(coarse.lanes.iter().copied());
        self.scales.push(coarse.scale);
        self.errors.push(coarse.error);
    }

    /// Takes a row out, as the exact matrix does.
    pub fn swap_remove(&mut self, row: usize) {
        self.matrix.swap_remove(row);
        self.scales.swap_remove(row);
        self.errors.swap_remove(row);
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        self.matrix.bytes()
    }

    /// Calls `take` for each row with the least and the most that its score can be.
    pub fn bounds(&self, kernel: Kernel, probe: &Coarse, mut take: impl FnMut(usize, f32, f32)) {
        const BLOCK: usize = 256;
        let mut products = [0_i32; BLOCK];
        let width = probe.lanes.len();
        for (block, rows) in self.matrix.lanes().chunks(BLOCK * width).enumerate() {
            let products = &mut products[..rows.len() / width];
            kernel.coarse_products(&probe.lanes, rows, products);
            for (at, &product) in products.iter().enumerate() {
                let row = block * BLOCK + at;
                let score = product as f32 * (self.scales[row] * probe.scale);
                let off = self.errors[row] + (1.0 + self.errors[row]) * probe.error + SLACK;
                take(row, score - off, score + off);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_score_lies_between_the_bounds_and_they_are_narrow() {
        let mut random = fastrand::Rng::with_seed(21);
        for numbers in [1, 63, 64, 65, 128, 256, 512] {
            let mut vector = || {
                let raw: Vec<f32> = (0..numbers).map(|_| random.f32() - 0.5).collect();
                crate::domain::face::Embedding::new(&raw).unwrap()
            };
            let probe = vector();
            let rows: Vec<_> = (0..300).map(|_| vector()).collect();
            let mut screen = Screen::new(numbers);
            rows.iter().for_each(|row| screen.push(row.values()));
            for kernel in Kernel::all() {
                let mut seen = 0;
                screen.bounds(kernel, &Coarse::of(probe.values()), |row, least, most| {
                    let exact = rows[row].cosine(&probe);
                    assert!(least <= exact && exact <= most, "{} {numbers}: {least} {exact} {most}", kernel.name());
                    assert!(most - least < 0.03, "{numbers}: {least} {most}");
                    seen += 1;
                });
                assert_eq!(seen, rows.len());
            }
        }
    }
}
