//! A small grey copy of a picture, for the motion gate and the picture's health.
//!
//! Made from a few pixels of each cell, so that a 1080p picture costs a fraction of a millisecond. Values are sums,
//! not means: rounding would hide the noise that tells a living picture from a frozen one.

use super::Picture;

/// Cells across.
pub const WIDTH: usize = 160;
/// Cells down.
pub const HEIGHT: usize = 90;
/// Places along each side of a cell at which a pixel is read.
const PLACES: usize = 2;
/// What a white cell holds: four pixels of blue + 2 · green + red.
pub const WHITE: u16 = (PLACES * PLACES) as u16 * 4 * 255;

/// `WIDTH * HEIGHT` cells, row by row, each 0..=[`WHITE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail(Vec<u16>);

impl Thumbnail {
    /// Reads the picture; any size of at least one pixel will do.
    pub fn of(picture: Picture<'_>) -> Self {
        let columns = places(picture.width as usize, WIDTH);
        let rows = places(picture.height as usize, HEIGHT);
        let mut cells = vec![0_u16; WIDTH * HEIGHT];
        for (index, &y) in rows.iter().enumerate() {
            let line = &picture.bgr[y * picture.width as usize * 3..];
            let cells = &mut cells[index / PLACES * WIDTH..][..WIDTH];
            for (index, &x) in columns.iter().enumerate() {
                cells[index / PLACES] += luma(&line[x * 3..x * 3 + 3]);
            }
        }
        Self(cells)
    }

    /// Row by row.
    pub fn cells(&self) -> &[u16] {
        &self.0
    }
}

fn luma(bgr: &[u8]) -> u16 {
    u16::from(bgr[0]) + 2 * u16::from(bgr[1]) + u16::from(bgr[2])
}

/// `PLACES` evenly spread pixels for each of the cells along one side of `pixels`.
fn places(pixels: usize, cells: usize) -> Vec<usize> {
    let steps = cells * PLACES;
    (0..steps).map(|step| (2 * step + 1) * pixels / (2 * steps)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::Uptime;
    use crate::domain::frame::Frame;

    /// A picture whose grey values a function gives.
    pub fn grey(width: u32, height: u32, value: impl Fn(u32, u32) -> u8) -> Frame {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let bgr = places.flat_map(|(x, y)| [value(x, y); 3]).collect();
        Frame::new(0, Uptime::ZERO, width, height, bgr).unwrap()
    }

    pub fn thumbnail(frame: &Frame) -> Thumbnail {
        Thumbnail::of(Picture { width: frame.width, height: frame.height, bgr: &frame.bgr })
    }

    #[test]
    fn white_is_white_and_the_right_half_lies_on_the_right() {
        for (width, height) in [(1920, 1080), (7, 5), (1, 1)] {
            let cells = thumbnail(&grey(width, height, |_, _| 255));
            assert!(cells.cells().iter().all(|&cell| cell == WHITE), "{width}x{height}");
        }
        let half = thumbnail(&grey(640, 480, |x, _| if x < 320 { 0 } else { 255 }));
        for (index, &cell) in half.cells().iter().enumerate() {
            assert_eq!(cell, if index % WIDTH < WIDTH / 2 { 0 } else { WHITE });
        }
    }
}
