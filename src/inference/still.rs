//! A picture file as a frame: JPEG, PNG, BMP or PNM, turned upright as its EXIF data says.

use std::path::Path;

use anyhow::Context;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::disk;
use crate::domain::Uptime;
use crate::domain::frame::{Frame, JPEG_PADDING, jpeg_ends};

/// Longest side that is read; larger than any camera's picture.
const LONGEST: u32 = 16_384;
/// Most memory that decoding may take.
const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// Reads a picture; errors name the file.
pub fn picture(path: &Path) -> anyhow::Result<Frame> {
    decode(path).with_context(|| format!("picture `{}`", path.display()))
}

fn decode(path: &Path) -> anyhow::Result<Frame> {
    anyhow::ensure!(!path.is_dir(), "is a folder; name the pictures in it");
    let is_empty = std::fs::metadata(path).is_ok_and(|meta| meta.len() == 0);
    anyhow::ensure!(!is_empty, "is empty; copy it again");
    let mut reader =
        ImageReader::open(path).context("cannot be read")?.with_guessed_format().context("cannot be read")?;
    let is_jpeg = reader.format() == Some(ImageFormat::Jpeg);
    let cut_off = is_jpeg && !jpeg_ends(&disk::tail(path, JPEG_PADDING).context("cannot be read")?);
    anyhow::ensure!(!cut_off, "is cut off; copy it again");
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(LONGEST), Some(LONGEST));
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let mut decoder = reader
        .into_decoder()
        .map_err(|error| anyhow::anyhow!("is no JPEG, PNG, BMP or PNM that can be read: {error}"))?;
    let orientation = decoder.orientation().map_err(|error| anyhow::anyhow!("is damaged: {error}"))?;
    // The words of these errors hold those of their causes already.
    let image = DynamicImage::from_decoder(decoder);
    let mut image = image.map_err(|error| anyhow::anyhow!("is damaged or too large: {error}"))?;
    image.apply_orientation(orientation);
    let pixels = image.into_rgb8();
    let (width, height) = pixels.dimensions();
    let mut bgr = pixels.into_raw();
    bgr.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
    Frame::new(0, Uptime::ZERO, width, height, bgr).context("has no pixels")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_come_blue_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("red.png");
        image::RgbImage::from_pixel(3, 2, image::Rgb([250, 20, 10])).save(&path).unwrap();
        let frame = picture(&path).unwrap();
        assert_eq!((frame.width, frame.height, frame.pixel(2, 1)), (3, 2, [10, 20, 250]));
    }

    #[test]
    fn a_grey_map_as_data_sets_hold_them_is_a_picture() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("face.pgm");
        std::fs::write(&path, b"P5\n3 2\n255\n\x00\x40\x80\xc0\xff\x07").unwrap();
        let frame = picture(&path).unwrap();
        assert_eq!((frame.width, frame.height, frame.pixel(2, 1)), (3, 2, [7; 3]));
    }

    #[test]
    fn what_is_no_picture_is_refused_with_the_name_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("notes.jpg");
        std::fs::write(&text, "no picture at all").unwrap();
        let whole = folder.path().join("whole.png");
        image::RgbImage::new(64, 64).save(&whole).unwrap();
        let cut = folder.path().join("cut.png");
        let bytes = std::fs::read(&whole).unwrap();
        std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
        let photo = folder.path().join("photo.jpg");
        image::RgbImage::new(64, 64).save(&photo).unwrap();
        assert!(picture(&photo).is_ok());
        let bytes = std::fs::read(&photo).unwrap();
        let half = folder.path().join("half.jpg");
        std::fs::write(&half, &bytes[..bytes.len() - 40]).unwrap();
        let (empty, bitmap) = (folder.path().join("empty.jpg"), folder.path().join("text.bmp"));
        std::fs::write(&empty, "").unwrap();
        std::fs::write(&bitmap, "no bitmap").unwrap();
        let none = folder.path().join("none.jpg");
        for path in [text, cut, half, none, folder.path().to_owned(), empty.clone(), bitmap] {
            let words = format!("{:#}", picture(&path).unwrap_err());
            assert!(words.contains(&path.display().to_string()), "{words}");
            let parts: Vec<&str> = words.split(": ").collect();
            assert!(parts.windows(2).all(|pair| pair[0] != pair[1]), "said twice: {words}");
        }
        assert!(format!("{:#}", picture(&empty).unwrap_err()).contains("is empty"));
    }
}
