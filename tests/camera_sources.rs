//! Recordings, folders of pictures, GStreamer pipelines and devices: what comes out, in which time, and what is told
//! when nothing can come out.
#![cfg(feature = "opencv")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "support/camera.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use forecourt::camera::{self, FrameSource, SourceSpec, open_clip};
use support::make_clip;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Sixty frames with B-frames, 15 a second, with `more` ffmpeg arguments.
fn clip(folder: &Path, name: &str, more: &[&str]) -> Option<PathBuf> {
    let path = folder.join(name);
    let input = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15:duration=4"];
    let output =
        [&["-c:v", "libx264", "-preset", "fast", "-bf", "2", "-g", "30", "-pix_fmt", "yuv420p"], more].concat();
    make_clip(&path, &input, &output).then_some(path)
}

/// Time and pixels of every frame.
fn frames(mut source: Box<dyn FrameSource>) -> Vec<(Duration, Vec<u8>)> {
    std::iter::from_fn(|| source.next().unwrap()).map(|frame| (frame.at, frame.bgr)).collect()
}

fn milliseconds(frames: &[(Duration, Vec<u8>)]) -> Vec<u128> {
    frames.iter().map(|(at, _)| (at.as_micros() + 500) / 1000).collect()
}

#[test]
fn a_clip_gives_every_frame_in_its_own_time_and_the_same_twice() {
    let folder = tempfile::tempdir().unwrap();
    let Some(path) = clip(folder.path(), "clip.mp4", &[]) else { return };
    let first = frames(open_clip(&path).unwrap());
    let expected: Vec<u128> = (0..60).map(|n| (n * 1_000_000 / 15 + 500) / 1000).collect();
    assert_eq!(milliseconds(&first), expected);
    assert!(first.windows(2).all(|pair| pair[0].1 != pair[1].1), "the test picture moves in every frame");
    assert!(first == frames(open_clip(&path).unwrap()), "a second reading gives the same bytes at the same times");
}

#[test]
fn a_clip_of_changing_pace_keeps_its_presentation_times() {
    let folder = tempfile::tempdir().unwrap();
    let pace = "setpts='if(lt(N,30),N/15,2+(N-30)/5)/TB'";
    let Some(path) = clip(folder.path(), "pace.mkv", &["-vf", pace, "-fps_mode", "vfr"]) else { return };
    let times = milliseconds(&frames(open_clip(&path).unwrap()));
    let expected: Vec<u128> = (0..60).map(|n| if n < 30 { n * 1000 / 15 } else { 2000 + (n - 30) * 200 }).collect();
    assert_eq!(times.len(), expected.len());
    assert!(times.iter().zip(&expected).all(|(time, expected)| time.abs_diff(*expected) <= 1), "{times:?}");
}

#[test]
fn a_clip_that_is_cut_off_is_told_as_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let Some(path) = clip(folder.path(), "table-last.mp4", &[]) else { return };
    let Some(early) = clip(folder.path(), "table-first.mp4", &["-movflags", "+faststart"]) else { return };
    for path in [&path, &early] {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }
    let words = open_clip(&path).err().unwrap().to_string();
    assert!(words.contains("table-last.mp4") && words.contains("cut off"), "{words}");
    let mut source = open_clip(&early).unwrap();
    let mut count = 0;
    let words = loop {
        match source.next() {
            Ok(Some(_)) => count += 1,
            Ok(None) => panic!("half a clip passed for a whole one after {count} frames"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(count > 0 && words.contains(&format!("ended after {count} of 60 frames")), "{words}");
}

#[test]
fn what_is_no_clip_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let noise = folder.path().join("noise.mp4");
    std::fs::write(&noise, (0..9000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>())
        .unwrap();
    let words = open_clip(&noise).err().unwrap().to_string();
    assert!(words.contains("noise.mp4") && words.contains("cannot be read as a video"), "{words}");
    let words = open_clip(&folder.path().join("gone.mp4")).err().unwrap().to_string();
    assert!(words.contains("no clip at") && words.contains("gone.mp4"), "{words}");
}

#[test]
fn a_gstreamer_pipeline_delivers_and_a_wrong_one_is_told() {
    let open = |pipeline: &str| {
        let spec = SourceSpec::parse(&format!("gst:{pipeline}"), Path::new(".")).unwrap();
        camera::open(&spec, None, TIMEOUT)
    };
    let bgr = "video/x-raw,format=BGR,width=64,height=48,framerate=30/1";
    match open(&format!("videotestsrc num-buffers=5 ! {bgr} ! appsink sync=false")) {
        Ok(mut source) => {
            let frame = source.next().unwrap().unwrap();
            assert_eq!((frame.width, frame.height), (64, 48));
            assert!(source.is_live());
        }
        Err(error) => println!("SKIPPED: GStreamer cannot make a test picture here ({error:#})"),
    }
    let words = format!("{:#}", open("nosuchelement ! appsink").err().unwrap());
    assert!(words.contains("gst-launch-1.0") || words.contains("failed to open"), "{words}");
}

#[test]
fn a_missing_device_is_told() {
    let spec = SourceSpec::parse("v4l2:/dev/video-that-is-not-there", Path::new(".")).unwrap();
    let words = format!("{:#}", camera::open(&spec, None, TIMEOUT).err().unwrap());
    assert!(words.contains("there is no device `/dev/video-that-is-not-there`"), "{words}");
}

#[test]
fn a_device_that_is_no_camera_is_told() {
    let spec = SourceSpec::parse("v4l2:/dev/null", Path::new(".")).unwrap();
    let words = format!("{:#}", camera::open(&spec, None, TIMEOUT).err().unwrap());
    assert!(words.contains("v4l2:/dev/null") && words.contains("is no camera"), "{words}");
}
