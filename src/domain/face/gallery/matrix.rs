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

/// Rows of lanes of one kind.
pub(super) struct Matrix<T: Copy>
where
    Vec<T>: Zeroize,
{
    lanes: Vec<T>,
    /// Lanes in a row.
    width: usize,
}

impl<T: Copy> Matrix<T>
where
    Vec<T>: Zeroize,
{
    /// Without rows; `width` lanes in each.
    pub fn new(width: usize) -> Self {
        Self { lanes: Vec::new(), width: width.max(1) }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.lanes.len() / self.width
    }

    /// All rows, one after the other.
    pub fn lanes(&self) -> &[T] {
        &self.lanes
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[T] {
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

    /// Adds a row of as many lanes as the matrix was made for.
    pub fn push(&mut self, row: impl Iterator<Item = T>) {
        self.reserve(1);
        self.lanes.extend(row);
        debug_assert_eq!(self.lanes.len() % self.width, 0, "the caller has compared the sizes");
    }

    /// Takes a row out; the last one moves into its place, and where it stood is wiped.
    pub fn swap_remove(&mut self, row: usize)
    where
        T: Zeroize,
    {
        let last = self.rows() - 1;
        let (from, to) = (last * self.width, row * self.width);
        self.lanes.copy_within(from.., to);
        self.lanes[from..].iter_mut().for_each(Zeroize::zeroize);
        self.lanes.truncate(from);
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        size_of_val(self.lanes.as_slice())
    }
}

impl<T: Copy> Drop for Matrix<T>
where
    Vec<T>: Zeroize,
{
    fn drop(&mut self) {
        self.lanes.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_filled_up_aligned_and_move_when_one_goes() {
        let mut matrix = Matrix::<Lane>::new(20_usize.div_ceil(LANE));
        for row in 0..5_u8 {
            matrix.push(lanes(&[f32::from(row); 20]));
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
