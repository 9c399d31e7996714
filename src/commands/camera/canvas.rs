//! Lines, outlines and words on a picture.
//!
//! The font is part of the program: letters, digits and the Chinese characters of plates as bitmaps of 24 rows, so
//! that a box without a font can label a plate. A character it does not hold is drawn as a hollow box.

use std::collections::HashMap;
use std::sync::LazyLock;

use image::{Rgb, RgbImage};

use crate::domain::geometry::Point;

/// Rows of a character.
const ROWS: u32 = 24;

/// Pixels of a character: its width, and `ROWS` rows whose highest of `width` bits is the left end.
struct Glyph {
    width: u32,
    rows: Vec<u32>,
}

static FONT: LazyLock<HashMap<char, Glyph>> = LazyLock::new(|| {
    let lines = include_str!("font/glyphs.txt").lines().skip(1);
    lines.filter_map(glyph).collect()
});

fn glyph(line: &str) -> Option<(char, Glyph)> {
    let (name, digits) = line.split_once(' ')?;
    let per_row = digits.len() / ROWS as usize;
    let row = |at: usize| u32::from_str_radix(digits.get(at * per_row..(at + 1) * per_row)?, 16).ok();
    let rows = (0..ROWS as usize).map(row).collect::<Option<Vec<u32>>>()?;
    Some((name.chars().next()?, Glyph { width: 4 * per_row as u32, rows }))
}

/// Pixels across of a character, before scaling.
fn width_of(character: char) -> u32 {
    FONT.get(&character).map_or(12, |glyph| glyph.width)
}

/// A picture that is drawn on.
pub struct Canvas {
    image: RgbImage,
    /// Thickness of lines in pixels, and the factor by which the font is enlarged.
    scale: u32,
}

impl Canvas {
    /// Lines and letters grow with the picture, so that they can be seen when it is shrunk to a screen.
    pub fn new(image: RgbImage) -> Self {
        let scale = (image.width() / 1000 + 1).clamp(1, 4);
        Self { image, scale }
    }

    /// The picture with all that was drawn.
    pub fn into_image(self) -> RgbImage {
        self.image
    }

    /// A closed outline through points in pixels.
    pub fn outline(&mut self, points: &[Point], colour: [u8; 3]) {
        let next = points.iter().cycle().skip(1);
        for (&from, &to) in points.iter().zip(next) {
            self.line(from, to, colour);
        }
    }

    fn line(&mut self, from: Point, to: Point, colour: [u8; 3]) {
        let steps = from.distance(to).ceil().clamp(1.0, 100_000.0);
        for step in 0..=steps as u32 {
            let share = step as f32 / steps;
            let (x, y) = (from.x + (to.x - from.x) * share, from.y + (to.y - from.y) * share);
            let half = self.scale as f32 / 2.0;
            self.block((x - half) as i64, (y - half) as i64, self.scale + 1, colour);
        }
    }

    /// Words on a dark ground, with their lower left corner at a point in pixels; moved inside when they would leave
    /// the picture.
    pub fn words(&mut self, words: &str, at: Point, colour: [u8; 3]) {
        let pad = 2 * self.scale;
        let width = words.chars().map(width_of).sum::<u32>() * self.scale + 2 * pad;
        let height = ROWS * self.scale;
        let inside =
            |start: f32, length: u32, most: u32| (start as i64).min(i64::from(most) - i64::from(length)).max(0);
        let left = inside(at.x, width, self.image.width());
        let top = inside(at.y - height as f32, height, self.image.height());
        for y in 0..height {
            for x in 0..width {
                self.shade(left + i64::from(x), top + i64::from(y));
            }
        }
        let mut x = left + i64::from(pad);
        for character in words.chars() {
            self.character(character, x, top, colour);
            x += i64::from(width_of(character) * self.scale);
        }
    }

    fn character(&mut self, character: char, left: i64, top: i64, colour: [u8; 3]) {
        let width = width_of(character);
        for row in 0..ROWS {
            for column in (0..width).filter(|&column| is_set(character, column, row)) {
                let (x, y) = (left + i64::from(column * self.scale), top + i64::from(row * self.scale));
                self.block(x, y, self.scale, colour);
            }
        }
    }

    fn block(&mut self, left: i64, top: i64, size: u32, colour: [u8; 3]) {
        for (x, y) in (0..size).flat_map(|y| (0..size).map(move |x| (x, y))) {
            if let Some(pixel) = self.pixel(left + i64::from(x), top + i64::from(y)) {
                *pixel = Rgb(colour);
            }
        }
    }

    fn shade(&mut self, x: i64, y: i64) {
        if let Some(Rgb(colour)) = self.pixel(x, y) {
            colour.iter_mut().for_each(|value| *value /= 4);
        }
    }

    fn pixel(&mut self, x: i64, y: i64) -> Option<&mut Rgb<u8>> {
        self.image.get_pixel_mut_checked(u32::try_from(x).ok()?, u32::try_from(y).ok()?)
    }
}

fn is_set(character: char, column: u32, row: u32) -> bool {
    match FONT.get(&character) {
        Some(glyph) => glyph.rows[row as usize] >> (glyph.width - 1 - column) & 1 == 1,
        None if character == ' ' => false,
        None => {
            (2..10).contains(&column) && (5..20).contains(&row) && ([2, 9].contains(&column) || [5, 19].contains(&row))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: [u8; 3] = [255, 0, 0];

    fn red_pixels(image: &RgbImage) -> usize {
        image.pixels().filter(|pixel| pixel.0 == RED).count()
    }

    #[test]
    fn every_character_of_a_mainland_plate_can_be_drawn() {
        let symbols = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼学警挂使领港澳ABCDEFGHIJKLMNOPQRSTUVWXYZ\
                       0123456789·.%";
        for symbol in symbols.chars().filter(|&symbol| symbol != '·') {
            let glyph = FONT.get(&symbol).unwrap_or_else(|| panic!("{symbol} is missing"));
            assert!(glyph.rows.iter().any(|&row| row != 0), "{symbol} is empty");
        }
        assert_eq!((width_of('京'), width_of('A')), (24, 12));
        assert!(is_set('一', 2, 5), "a box stands for what is missing");
    }

    #[test]
    fn words_that_would_leave_the_picture_are_moved_inside() {
        let drawn = |x: f32, y: f32| {
            let mut canvas = Canvas::new(RgbImage::new(300, 100));
            canvas.words("皖A8", Point::new(x, y), RED);
            red_pixels(&canvas.into_image())
        };
        let whole = drawn(50.0, 50.0);
        assert!(whole > 100, "{whole}");
        for (x, y) in [(-40.0, 50.0), (290.0, 50.0), (50.0, -9.0), (50.0, 500.0)] {
            assert_eq!(drawn(x, y), whole, "{x} {y}");
        }
    }

    #[test]
    fn an_outline_is_closed_and_may_leave_the_picture() {
        let mut canvas = Canvas::new(RgbImage::new(100, 100));
        let corners = [(10.0, 10.0), (90.0, 10.0), (90.0, 90.0), (10.0, 90.0)].map(|(x, y)| Point::new(x, y));
        canvas.outline(&corners, RED);
        canvas.outline(&[Point::new(-50.0, 50.0), Point::new(500.0, 50.0)], RED);
        let image = canvas.into_image();
        for (x, y) in [(50, 10), (90, 50), (50, 90), (10, 50), (0, 50), (99, 50)] {
            assert_eq!(image.get_pixel(x, y).0, RED, "{x} {y}");
        }
        assert_eq!(image.get_pixel(50, 30).0, [0; 3]);
    }
}
