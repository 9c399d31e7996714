//! Settings of OpenCV and FFmpeg that only the environment of the process can carry.
//!
//! A variable that is already set wins, so that a unit file or a technician can decide otherwise.

/// Name, value.
const SETTINGS: [(&str, &str); 3] = [
    // One decoding thread for a stream: with a thread per core FFmpeg holds back as many pictures as there are cores.
    // Nothing here may shorten probing or buffering: the same options reach clips, which would lose their beginning.
    ("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp|threads;1"),
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
