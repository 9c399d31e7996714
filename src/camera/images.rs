//! A folder of pictures as a clip: sorted by name, a fixed number a second.
//!
//! Works without OpenCV. A picture that cannot be read is named in the log and leaves a gap in time; the rest goes on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use tracing::warn;

use super::{FrameSource, Grabbed, Picture};
use crate::disk;
use crate::domain::frame::{JPEG_PADDING, jpeg_ends};

/// Pictures a second when nothing else is said.
pub const DEFAULT_FPS: f32 = 10.0;

/// File name endings that are taken for pictures.
const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "bmp"];

/// The pictures of one folder; those in folders below it are not looked at.
#[derive(Debug)]
pub struct ImageFolder {
    folder: PathBuf,
    files: Vec<PathBuf>,
    fps: f32,
    next: usize,
    readable: bool,
    skipped: u64,
    /// Width, height, BGR bytes.
    current: (u32, u32, Vec<u8>),
}

impl ImageFolder {
    /// Lists the folder; no picture is read yet. `fps` must be above 0.
    pub fn open(folder: &Path, fps: f32) -> Result<Self> {
        let shown = folder.display();
        ensure!(fps.is_finite() && fps > 0.0, "{fps} pictures a second make no clip of `{shown}`");
        let mut files = pictures(folder).with_context(|| format!("cannot list the folder `{shown}`"))?;
        ensure!(!files.is_empty(), "no picture in the folder `{shown}`; {} files are read", ENDINGS.join(", "));
        files.sort();
        let folder = folder.to_owned();
        Ok(Self { folder, files, fps, next: 0, readable: false, skipped: 0, current: (0, 0, Vec::new()) })
    }
}

fn pictures(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let paths = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    paths.filter(|path| path.as_deref().map_or(true, is_picture)).collect()
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)) && path.is_file()
}

/// Width, height and BGR bytes of a picture file; the content decides its format, not the name.
pub(crate) fn read_picture(path: &Path) -> Result<(u32, u32, Vec<u8>)> {
    let shown = path.display();
    let reader = image::ImageReader::open(path).with_context(|| format!("cannot open the picture `{shown}`"))?;
    let reader = reader.with_guessed_format().with_context(|| format!("cannot read the picture `{shown}`"))?;
    let tail = disk::tail(path, JPEG_PADDING).with_context(|| format!("cannot read the picture `{shown}`"))?;
    let cut_off = reader.format() == Some(image::ImageFormat::Jpeg) && !jpeg_ends(&tail);
    ensure!(!cut_off, "the picture `{shown}` is cut off");
    // The words of the error hold those of its cause already; some stand on several lines.
    let words = |error: image::ImageError| error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let rgb = reader.decode().map_err(|error| anyhow!("cannot decode the picture `{shown}`: {}", words(error)))?;
    let rgb = rgb.into_rgb8();
    let (width, height) = rgb.dimensions();
    let mut bytes = rgb.into_raw();
    bytes.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
    Ok((width, height, bytes))
}

impl FrameSource for ImageFolder {
    fn grab(&mut self) -> Result<Option<Grabbed>> {
        while let Some(path) = self.files.get(self.next) {
            let index = self.next;
            self.next += 1;
            match read_picture(path) {
                Ok(picture) => {
                    self.readable = true;
                    self.current = picture;
                    let at = Duration::from_secs_f64(index as f64 / f64::from(self.fps));
                    return Ok(Some(Grabbed { seq: index as u64, at }));
                }
                Err(error) => {
                    self.skipped += 1;
                    warn!(error = %format_args!("{error:#}"), "Picture skipped.");
                }
            }
        }
        ensure!(self.readable, "none of the {} pictures in `{}` can be read", self.files.len(), self.folder.display());
        Ok(None)
    }

    fn picture(&mut self) -> Result<Picture<'_>> {
        let (width, height, bgr) = &self.current;
        ensure!(!bgr.is_empty(), "no picture was grabbed from `{}` yet", self.folder.display());
        Ok(Picture { width: *width, height: *height, bgr })
    }

    fn expected_fps(&self) -> Option<f32> {
        Some(self.fps)
    }

    fn is_live(&self) -> bool {
        false
    }

    fn skipped(&self) -> u64 {
        self.skipped
    }

    fn describe(&self) -> String {
        format!("folder of {} pictures", self.files.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn save(folder: &Path, name: &str, colour: [u8; 3]) {
        image::RgbImage::from_pixel(4, 2, image::Rgb(colour)).save(folder.join(name)).unwrap();
    }

    #[test]
    fn pictures_come_by_name_in_blue_green_red_and_a_broken_one_leaves_a_gap() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), "b.png", [0, 0, 200]);
        save(folder.path(), "a.bmp", [200, 100, 0]);
        std::fs::write(folder.path().join("aa.jpg"), b"not a picture").unwrap();
        std::fs::write(folder.path().join("notes.txt"), b"").unwrap();
        let mut source = ImageFolder::open(folder.path(), 10.0).unwrap();
        let first = source.next().unwrap().unwrap();
        assert_eq!((first.seq, first.at, first.width, first.height), (0, Duration::ZERO, 4, 2));
        assert_eq!(first.pixel(3, 1), [0, 100, 200]);
        let second = source.next().unwrap().unwrap();
        assert_eq!((second.seq, second.at), (2, Duration::from_millis(200)));
        assert_eq!(second.pixel(0, 0), [200, 0, 0]);
        assert!(source.next().unwrap().is_none());
        assert!(source.next().unwrap().is_none());
        assert_eq!(source.skipped(), 1);
    }

    #[test]
    fn a_photograph_that_is_cut_off_is_passed_over_and_told_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("a.jpg");
        image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8, y as u8, 9])).save(&whole).unwrap();
        assert!(read_picture(&whole).is_ok());
        let bytes = std::fs::read(&whole).unwrap();
        std::fs::write(folder.path().join("b.jpg"), &bytes[..bytes.len() - 40]).unwrap();
        std::fs::write(folder.path().join("c.jpg"), [&bytes[..20], &[0xFF, 0xD9]].concat()).unwrap();
        std::fs::write(folder.path().join("d.jpg"), "no picture").unwrap();
        let mut source = ImageFolder::open(folder.path(), 10.0).unwrap();
        assert_eq!(source.next().unwrap().unwrap().seq, 0);
        assert!(source.next().unwrap().is_none());
        assert_eq!(source.skipped(), 3);
        for name in ["b.jpg", "c.jpg", "d.jpg"] {
            let words = format!("{:#}", read_picture(&folder.path().join(name)).unwrap_err());
            assert!(words.contains(name) && !words.contains('\n'), "{words}");
        }
        let cut = read_picture(&folder.path().join("b.jpg")).unwrap_err().to_string();
        assert!(cut.ends_with("is cut off"), "{cut}");
    }

    #[test]
    fn a_folder_without_a_readable_picture_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let words = ImageFolder::open(folder.path(), 10.0).unwrap_err().to_string();
        assert!(words.contains("no picture in the folder"), "{words}");
        std::fs::write(folder.path().join("a.jpg"), b"not a picture").unwrap();
        let mut source = ImageFolder::open(folder.path(), 10.0).unwrap();
        let words = source.next().unwrap_err().to_string();
        assert!(words.contains("none of the 1 pictures"), "{words}");
    }
}
