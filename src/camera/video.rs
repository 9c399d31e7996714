//! Recordings and live cameras through OpenCV's VideoCapture: FFmpeg for files and RTSP, V4L2, GStreamer.
//!
//! A recording yields every frame with its own presentation time, so that two readings are the same. RTSP is bounded
//! in time when it opens and when it reads; V4L2 and GStreamer are not: OpenCV 4.6 offers no timeout for them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use opencv::core::{Mat, Vector};
use opencv::prelude::*;
use opencv::videoio::{self, VideoCapture};

use super::source::redacted;
use super::{FrameSource, Grabbed, Picture, SourceSpec};

/// Shares of a file's promised frames that may be missing before it is called cut off.
const MAY_MISS: f64 = 0.05;
/// Longest time that goes into finding out why a camera refused.
const ASK_FOR: Duration = Duration::from_secs(2);

/// An open VideoCapture.
pub struct Video {
    capture: VideoCapture,
    /// Reused for each picture.
    mat: Mat,
    /// As it may be shown.
    name: String,
    pace: Pace,
    fps: Option<f32>,
    seq: u64,
}

/// What gives a frame its time.
enum Pace {
    /// Time since it was opened. A read that takes `silent_after` is a failure even when it brings a picture: OpenCV
    /// hands out the old one once more after its own timeout.
    Live { opened: Instant, silent_after: Option<Duration> },
    /// The recording's own time; `promised` is the number of frames its header tells, 0 when it tells none.
    Recorded { last: Option<Duration>, step: Duration, promised: u64 },
}

impl Video {
    /// Opens a recording; fails when no picture can be decoded.
    pub fn open_file(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let capture = VideoCapture::from_file(path, videoio::CAP_FFMPEG)
            .map_err(plain)
            .with_context(|| format!("OpenCV failed to open the clip `{name}`"))?;
        ensure!(
            capture.is_opened()?,
            "`{name}` cannot be read as a video: it is cut off, damaged, or of a kind that FFmpeg does not know"
        );
        let promised = if has_exact_frame_count(path) { capture.get(videoio::CAP_PROP_FRAME_COUNT)? } else { 0.0 };
        let pace = Pace::Recorded { last: None, step: Duration::ZERO, promised: promised.max(0.0) as u64 };
        Self::new(capture, name, pace)
    }

    /// Opens a live source; `timeout` bounds RTSP only.
    pub fn open_live(spec: &SourceSpec, credentials: Option<&str>, timeout: Duration) -> Result<Self> {
        let name = spec.to_string();
        let opened = Instant::now();
        let capture = match spec {
            SourceSpec::Rtsp(url) => open_rtsp(url, credentials, timeout),
            SourceSpec::V4l2(device) => open_v4l2(device),
            SourceSpec::Gst(pipeline) => VideoCapture::from_file(pipeline, videoio::CAP_GSTREAMER).map_err(plain),
            SourceSpec::File(_) | SourceSpec::Images(_) => bail!("`{name}` is no live source"),
        }
        .with_context(|| format!("OpenCV failed to open `{name}`"))?;
        if !capture.is_opened()? {
            let reason = why_not(spec, credentials.is_some(), opened.elapsed(), timeout);
            bail!("cannot open `{name}`: {reason}");
        }
        let silent_after = matches!(spec, SourceSpec::Rtsp(_)).then_some(timeout);
        Self::new(capture, name, Pace::Live { opened, silent_after })
    }

    fn new(capture: VideoCapture, name: String, pace: Pace) -> Result<Self> {
        let fps = capture.get(videoio::CAP_PROP_FPS)? as f32;
        let fps = (fps.is_finite() && fps > 0.0 && fps <= 240.0).then_some(fps);
        Ok(Self { capture, mat: Mat::default(), name, pace, fps, seq: 0 })
    }

    /// The clip's own time of the frame just grabbed. Where the file tells none (often for the last frames) it is the
    /// step before, or the frame rate, that leads on.
    fn clip_time(&self, last: Option<Duration>, step: Duration) -> Result<Duration> {
        let told_ms = self.capture.get(videoio::CAP_PROP_POS_MSEC).map_err(plain)?;
        let told = Duration::try_from_secs_f64(told_ms / 1000.0).ok();
        let usual = Duration::from_secs_f64(1.0 / f64::from(self.fps.unwrap_or(super::DEFAULT_FPS)));
        Ok(match (told, last) {
            (told, None) => told.unwrap_or_default(),
            (Some(told), Some(last)) if told > last => told,
            (_, Some(last)) => last + if step.is_zero() { usual } else { step },
        })
    }

    fn end(&self) -> Result<Option<Grabbed>> {
        let name = &self.name;
        let Pace::Recorded { promised, .. } = self.pace else {
            bail!("`{name}` delivers no more pictures");
        };
        ensure!(self.seq > 0, "no picture of `{name}` can be decoded: it is damaged or of an unknown codec");
        let whole = self.seq as f64 >= promised as f64 * (1.0 - MAY_MISS);
        ensure!(whole, "`{name}` ended after {} of {promised} frames: the file is cut off or damaged", self.seq);
        Ok(None)
    }
}

fn plain(error: opencv::Error) -> anyhow::Error {
    anyhow!("{}", redacted(&error.message))
}

/// MP4 and QuickTime tables hold every frame; other containers let FFmpeg guess the number.
fn has_exact_frame_count(path: &Path) -> bool {
    let mut start = [0; 8];
    let read = std::fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut start));
    read.is_ok() && &start[4..] == b"ftyp"
}

fn open_rtsp(url: &str, credentials: Option<&str>, timeout: Duration) -> Result<VideoCapture> {
    let url = match credentials {
        Some(pair) => super::source::with_credentials(url, pair)?,
        None => url.to_owned(),
    };
    let ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let bounds = [videoio::CAP_PROP_OPEN_TIMEOUT_MSEC, ms, videoio::CAP_PROP_READ_TIMEOUT_MSEC, ms];
    VideoCapture::from_file_with_params(&url, videoio::CAP_FFMPEG, &Vector::from_slice(&bounds)).map_err(plain)
}

fn open_v4l2(device: &PathBuf) -> Result<VideoCapture> {
    ensure!(device.exists(), "there is no device `{}`; is the camera plugged in?", device.display());
    VideoCapture::from_file(device, videoio::CAP_V4L2).map_err(plain)
}

fn why_not(spec: &SourceSpec, has_credentials: bool, took: Duration, timeout: Duration) -> String {
    match spec {
        SourceSpec::Rtsp(_) if took >= timeout => {
            format!("no picture within {:.1} s; is the address right and the camera on?", timeout.as_secs_f32())
        }
        SourceSpec::Rtsp(url) => super::rtsp_answer::why_refused(url, has_credentials, timeout.min(ASK_FOR)),
        SourceSpec::V4l2(_) => "the device is busy, is no camera, or may not be read by this user".to_owned(),
        _ => "GStreamer cannot run this pipeline; try it with `gst-launch-1.0`".to_owned(),
    }
}

/// `h264`, `hevc`, … from the four letters that OpenCV tells.
fn codec_name(fourcc: f64) -> String {
    let letters = (fourcc as u32).to_le_bytes();
    let name: String = letters.iter().filter(|each| each.is_ascii_graphic()).map(|&each| char::from(each)).collect();
    name.to_ascii_lowercase()
}

impl FrameSource for Video {
    fn grab(&mut self) -> Result<Option<Grabbed>> {
        let asked = Instant::now();
        let got =
            self.capture.grab().map_err(plain).with_context(|| format!("OpenCV failed to read `{}`", self.name))?;
        let took = asked.elapsed();
        if let Pace::Live { silent_after: Some(limit), .. } = self.pace
            && took >= limit
        {
            bail!("`{}` sent no picture for {:.1} s", self.name, took.as_secs_f32());
        }
        if !got {
            return self.end();
        }
        let at = match self.pace {
            Pace::Live { opened, .. } => opened.elapsed(),
            Pace::Recorded { last, step, promised } => {
                let at = self.clip_time(last, step)?;
                let step = last.map_or(step, |last| at - last);
                self.pace = Pace::Recorded { last: Some(at), step, promised };
                at
            }
        };
        self.seq += 1;
        Ok(Some(Grabbed { seq: self.seq - 1, at }))
    }

    fn picture(&mut self) -> Result<Picture<'_>> {
        let name = &self.name;
        let got = self
            .capture
            .retrieve_def(&mut self.mat)
            .map_err(plain)
            .with_context(|| format!("cannot convert `{name}`"))?;
        ensure!(got && !self.mat.empty(), "`{name}` handed out an empty picture");
        let kind = self.mat.typ();
        ensure!(kind == opencv::core::CV_8UC3, "`{name}` delivers pixels of type {kind}; 8-bit BGR is needed");
        ensure!(self.mat.is_continuous(), "`{name}` delivers padded rows");
        let (width, height) = (self.mat.cols() as u32, self.mat.rows() as u32);
        Ok(Picture { width, height, bgr: self.mat.data_bytes()? })
    }

    fn expected_fps(&self) -> Option<f32> {
        self.fps
    }

    fn is_live(&self) -> bool {
        matches!(self.pace, Pace::Live { .. })
    }

    fn describe(&self) -> String {
        let backend = self.capture.get_backend_name().unwrap_or_else(|_| "OpenCV".to_owned());
        let codec = self.capture.get(videoio::CAP_PROP_FOURCC).map(codec_name).unwrap_or_default();
        format!("{backend} {codec}").trim_end().to_owned()
    }
}
