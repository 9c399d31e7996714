//! Clips made by ffmpeg and an RTSP camera on loopback, for tests; each tells why when it is not to be had.

// Each test file uses a part of it.
#![allow(dead_code, clippy::print_stdout, reason = "shared by several test files; a skipped test says so")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The system's Python holds the GObject bindings; another one in the path usually does not.
const PYTHON: &str = "/usr/bin/python3";

/// Makes a clip from ffmpeg arguments; `false`, with a line that says so, when there is no ffmpeg.
pub fn make_clip(path: &Path, input: &[&str], output: &[&str]) -> bool {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y"]).args(input).args(output).arg(path).stdin(Stdio::null());
    match ffmpeg.status() {
        Ok(status) => {
            assert!(status.success(), "ffmpeg could not make {}", path.display());
            true
        }
        Err(error) => {
            println!("SKIPPED: no ffmpeg to make a clip with ({error}); apt-get install ffmpeg");
            false
        }
    }
}

/// A moving test picture as a camera sends it: 15 frames a second, no B-frames, a key frame a second.
pub fn camera_clip(folder: &Path, seconds: u32) -> Option<PathBuf> {
    let path = folder.join("camera.mp4");
    let input = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=15", "-t", &seconds.to_string()];
    let output = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "15", "-pix_fmt", "yuv420p"];
    make_clip(&path, &input, &output).then_some(path)
}

/// Is the RTSP server to be had? Says so when not.
pub fn rtsp_available() -> bool {
    let probe = "import gi; gi.require_version('GstRtspServer','1.0'); from gi.repository import GstRtspServer";
    let found = Command::new(PYTHON).args(["-c", probe]).stderr(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        println!("SKIPPED: no RTSP server; apt-get install python3-gi gir1.2-gst-rtsp-server-1.0");
    }
    found
}

/// A camera on loopback; killed when dropped.
pub struct RtspCamera {
    child: Child,
    words: BufReader<ChildStdout>,
    /// Without credentials.
    pub url: String,
    /// For a restart on the same port.
    pub port: u16,
}

impl RtspCamera {
    /// Serves a clip; `more` are further arguments of `rtsp_camera.py`, such as `--once` or `--port N`.
    pub fn start(clip: &Path, more: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/rtsp_camera.py");
        let mut child = Command::new(PYTHON)
            .arg(script)
            .arg(clip)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the system's Python starts");
        let words = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut camera = Self { child, words, url: String::new(), port: 0 };
        camera.url = camera.wait_for("ready ");
        let place = camera.url.trim_start_matches("rtsp://127.0.0.1:").trim_end_matches("/cam");
        camera.port = place.parse().expect("the URL holds the port");
        camera
    }

    /// Waits for a line with this beginning; what follows it. `playing` and `end` come without more.
    pub fn wait_for(&mut self, beginning: &str) -> String {
        let mut line = String::new();
        while self.words.read_line(&mut line).expect("the camera's words can be read") > 0 {
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.trim().to_owned();
            }
            line.clear();
        }
        panic!("the RTSP camera ended before it said `{beginning}`");
    }

    /// Stands still without closing its connections.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Goes on after `freeze`.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a process id fits"));
        kill(pid, signal).expect("the camera's process takes a signal");
    }
}

impl Drop for RtspCamera {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
