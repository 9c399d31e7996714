//! Settings of OpenCV and FFmpeg that only the environment of the process can carry.
//!
//! A variable that is already set wins, so that a unit file or a technician can decide otherwise.
//! `OPENCV_FFMPEG_CAPTURE_OPTIONS` is left alone on purpose: without it OpenCV reads RTSP over TCP, and what would
//! shorten the opening of a stream (`fflags;nobuffer`, a small `probesize`) reaches clips too and cuts their beginning.

/// Name, value.
const SETTINGS: [(&str, &str); 2] = [
    // AV_LOG_QUIET: a damaged stream would fill the log with lines that name no camera. Ours do.
    ("OPENCV_FFMPEG_LOGLEVEL", "-8"),
    ("OPENCV_LOG_LEVEL", "SILENT"),
];

/// Sets them; to be called first in `main`, before any thread runs.
#[allow(unsafe_code, reason = "OpenCV reads these from the environment and offers no other way")]
pub fn prepare() {
    for (name, value) in SETTINGS {
        if std::env::var_os(name).is_none() {
            // SAFETY: the caller has started no thread yet, so nobody reads the environment meanwhile.
            unsafe { std::env::set_var(name, value) };
        }
    }
}
