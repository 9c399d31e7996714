//! Cameras, clips and folders of pictures: all that delivers frames.
//!
//! [`source`] says what a settings string means, [`open_clip`] reads a recording in its own time and without
//! skipping, [`slots`] hands the newest frame of each camera to the inference thread. OpenCV stays in this module;
//! without the feature `opencv` only folders of pictures can be read. Nothing here knows what a frame is used for.

mod backoff;
pub mod credentials;
mod gate;
pub mod health;
mod images;
pub mod probe;
pub mod process;
#[cfg(feature = "opencv")]
mod rtsp_answer;
pub mod slots;
pub mod source;
mod status;
mod thumbnail;
#[cfg(feature = "opencv")]
mod video;
mod worker;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

pub use health::PictureHealth;
pub use images::{DEFAULT_FPS, ImageFolder};
pub use slots::Slots;
pub use source::{SourceSpec, redacted};
pub use status::{CameraReport, CameraState};
pub use worker::{Cameras, CamerasView};

use crate::domain::Uptime;
use crate::domain::frame::Frame;

/// A picture that lies in the source's own buffer: 8-bit BGR, row by row, no padding.
#[derive(Clone, Copy)]
pub struct Picture<'a> {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// `width * height * 3` bytes, blue first.
    pub bgr: &'a [u8],
}

impl Picture<'_> {
    /// A copy that can travel; fails when the source broke its promise about the number of bytes.
    pub fn to_frame(self, grabbed: Grabbed) -> Result<Frame> {
        let (width, height, bytes) = (self.width, self.height, self.bgr.len());
        match Frame::new(grabbed.seq, grabbed.at, width, height, self.bgr.to_vec()) {
            Some(frame) => Ok(frame),
            None => bail!("the source handed out {bytes} bytes for a picture of {width}x{height} pixels"),
        }
    }
}

/// Number and time of a picture that was taken from the source but not yet looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grabbed {
    /// Number since the source was opened, from 0.
    pub seq: u64,
    /// A clip's own presentation time; for a live source, time since it was opened.
    pub at: Uptime,
}

/// Where frames come from.
///
/// `grab` advances, `picture` converts: a frame that nobody will look at costs its decoding and no more.
pub trait FrameSource: Send {
    /// Advances to the next picture; `None` at the end of a clip. A live source has no end, it fails.
    fn grab(&mut self) -> Result<Option<Grabbed>>;

    /// The picture that was grabbed last.
    fn picture(&mut self) -> Result<Picture<'_>>;

    /// Frames a second that the source says it has.
    fn expected_fps(&self) -> Option<f32>;

    /// Does it deliver at its own pace (a camera), or as fast as it is read (a recording)?
    fn is_live(&self) -> bool;

    /// What reads it and what it holds, such as `FFMPEG h264`.
    fn describe(&self) -> String;

    /// Pictures that could not be read and were passed over so far.
    fn skipped(&self) -> u64 {
        0
    }

    /// The next frame, none skipped; `None` at the end of a clip.
    fn next(&mut self) -> Result<Option<Frame>> {
        let Some(grabbed) = self.grab()? else { return Ok(None) };
        self.picture()?.to_frame(grabbed).map(Some)
    }
}

/// Opens a recording, or a folder of pictures at [`DEFAULT_FPS`], for a replay: every frame, in the clip's own time.
pub fn open_clip(path: &Path) -> Result<Box<dyn FrameSource>> {
    let shown = path.display();
    ensure!(path.exists(), "no clip at `{shown}`");
    if path.is_dir() {
        return Ok(Box::new(ImageFolder::open(path, DEFAULT_FPS)?));
    }
    source::check_recording(path)?;
    open_video_file(path)
}

/// Opens a source as the settings mean it, ready to deliver its first picture.
///
/// `credentials` is `user:password` for an RTSP source; `timeout` bounds opening and each read, where the reader
/// can be bounded (RTSP).
pub fn open(spec: &SourceSpec, credentials: Option<&str>, timeout: Duration) -> Result<Box<dyn FrameSource>> {
    match spec {
        SourceSpec::File(path) => open_clip(path),
        SourceSpec::Images(folder) => Ok(Box::new(ImageFolder::open(folder, DEFAULT_FPS)?)),
        live => open_live(live, credentials, timeout),
    }
}

#[cfg(feature = "opencv")]
fn open_video_file(path: &Path) -> Result<Box<dyn FrameSource>> {
    Ok(Box::new(video::Video::open_file(path)?))
}

#[cfg(feature = "opencv")]
fn open_live(spec: &SourceSpec, credentials: Option<&str>, timeout: Duration) -> Result<Box<dyn FrameSource>> {
    Ok(Box::new(video::Video::open_live(spec, credentials, timeout)?))
}

#[cfg(not(feature = "opencv"))]
fn open_video_file(path: &Path) -> Result<Box<dyn FrameSource>> {
    bail!("cannot read `{}`: built without the feature `opencv`, which reads folders of pictures only", path.display())
}

#[cfg(not(feature = "opencv"))]
fn open_live(spec: &SourceSpec, _: Option<&str>, _: Duration) -> Result<Box<dyn FrameSource>> {
    bail!("cannot open `{spec}`: built without the feature `opencv`, which reads folders of pictures only")
}
