//! The public packs and clips for faces, and small pictures cut out of them.

use std::path::{Path, PathBuf};

use forecourt::config::{Faces, Inference};
use forecourt::domain::frame::Frame;
use forecourt::domain::geometry::Rect;
use forecourt::inference::FaceReader;
use image::imageops::{self, FilterType};

/// `$FORECOURT_SHARED`, else `../shared` beside the checkout.
pub fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("FORECOURT_SHARED").map_or(beside, PathBuf::from);
    let there = folder.join("packs/golden").is_dir() && folder.join("data/clips").is_dir();
    if !there {
        eprintln!("skipped: there are no public packs and clips in `{}`", folder.display());
    }
    there.then_some(folder)
}

/// Reads every face, however poor.
pub fn reader(shared: &Path, embedding: &str) -> FaceReader {
    let packs = ["face-detect-yunet", embedding, "face-expression-ferplus"].map(str::to_owned).to_vec();
    let pack_folders = vec![shared.join("packs")];
    let faces = Faces { packs, pack_folders, min_height_px: 1.0, min_quality: 0.0, max_yaw: 90.0, ..Faces::default() };
    FaceReader::load(&faces, &Inference::default(), Path::new("")).unwrap()
}

/// What is around a face, at another size.
pub fn crop(frame: &Frame, face: &Rect, margin: f32, width: u32, height: u32) -> image::RgbImage {
    let rgb = image::RgbImage::from_fn(frame.width, frame.height, |x, y| {
        let [b, g, r] = frame.pixel(x, y);
        image::Rgb([r, g, b])
    });
    let (w, h) = (face.width() * (1.0 + margin), face.height() * (1.0 + margin));
    let (x, y) = ((face.centre().x - w / 2.0).max(0.0), (face.centre().y - h / 2.0).max(0.0));
    let cut = imageops::crop_imm(&rgb, x as u32, y as u32, w as u32, h as u32).to_image();
    imageops::resize(&cut, width, height, FilterType::Triangle)
}

/// The same, grey.
pub fn grey(picture: &image::RgbImage) -> image::RgbImage {
    let grey = imageops::grayscale(picture);
    image::RgbImage::from_fn(grey.width(), grey.height(), |x, y| image::Rgb([grey.get_pixel(x, y).0[0]; 3]))
}
