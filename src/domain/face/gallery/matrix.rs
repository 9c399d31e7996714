//! Vectors in one piece of memory: rows of equal width, aligned for the widest vector unit, wiped before the memory
//! goes back.

use zeroize::Zeroize;

/// Numbers in a [`Lane`].
pub(super) const LANE: usize = 16;

/// Sixteen numbers, a cache line: what AVX-512 takes in one load, AVX2 in two and NEON in four.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Lane(pub [f32; LANE]);

impl Zeroize for Lane {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// A row of numbers as lanes; the last one is filled up with zeros, which add nothing to a product.
pub(super) fn lanes(values: &[f32]) -> impl Iterator<Item = Lane> {
    values.chunks(LANE).map(|part| {
        let mut lane = Lane::default();
        lane.0[..part.len()].copy_from_slice(part);
        lane
    })
}

/// Rows of lanes.
pub(super) struct Matrix {
    lanes: Vec<Lane>,
    /// Lanes in a row.
    width: usize,
}

impl Matrix {
    /// Without rows; `numbers` a row.
    pub fn new(numbers: usize) -> Self {
        Self { lanes: Vec::new(), width: numbers.div_ceil(LANE).max(1) }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.lanes.len() / self.width
    }

    /// All rows, one after the other.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Numbers of a row, with those it was filled up with.
    pub fn row(&self, row: usize) -> &[Lane] {
        &self.lanes[row * self.width..][..self.width]
    }

    /// Makes room for more rows; what stood in a smaller piece of memory is wiped there.
    pub fn reserve(&mut self, rows: usize) {
        let wanted = self.lanes.len() + rows * self.width;
        if wanted > self.lanes.capacity() {
            let mut larger = Vec::with_capacity(wanted.max(self.lanes.capacity() * 2));
            larger.extend_from_slice(&self.lanes);
            std::mem::replace(&mut self.lanes, larger).zeroize();
        }
    }

    /// Adds a row of as many numbers as the matrix was made for.
    pub fn push(&mut self, values: &[f32]) {
        debug_assert_eq!(values.len().div_ceil(LANE), self.width, "the caller has compared the sizes");
        self.reserve(1);
        self.lanes.extend(lanes(values));
    }

    /// Takes a row out; the last one moves into its place, and where it stood is wiped.
    pub fn swap_remove(&mut self, row: usize) {
        let last = self.rows() - 1;
        let (from, to) = (last * self.width, row * self.width);
        self.lanes.copy_within(from.., to);
        self.lanes[from..].iter_mut().zeroize();
        self.lanes.truncate(from);
    }

    /// Bytes that a search reads.
    pub fn bytes(&self) -> usize {
        size_of_val(self.lanes.as_slice())
    }
}

impl Drop for Matrix {
    fn drop(&mut self) {
        self.lanes.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_filled_up_aligned_and_move_when_one_goes() {
        let mut matrix = Matrix::new(20);
        for row in 0..5_u8 {
            matrix.push(&[f32::from(row); 20]);
        }
        assert_eq!((matrix.rows(), matrix.row(1).len(), matrix.bytes()), (5, 2, 5 * 128));
        assert_eq!(matrix.row(3)[1].0[3..5], [3.0, 0.0]);
        assert_eq!(matrix.lanes().as_ptr().align_offset(64), 0);
        matrix.swap_remove(1);
        matrix.swap_remove(3);
        let left: Vec<f32> = (0..matrix.rows()).map(|row| matrix.row(row)[0].0[0]).collect();
        assert_eq!(left, [0.0, 4.0, 2.0]);
    }
}
