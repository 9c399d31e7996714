//! Network cameras come and go: a real RTSP server on loopback that is killed, frozen, restarted, and locked.
#![cfg(feature = "opencv")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "support/camera.rs"]
mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use forecourt::camera::{CameraReport, CameraState, Cameras, CamerasView};
use forecourt::clock::Clock;
use forecourt::config::Camera;
use support::{RtspCamera, camera_clip, rtsp_available};
use tempfile::TempDir;

/// Longest wait for anything; a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(90);
/// Above what a loaded machine needs for a frame.
const STALL_AFTER: Duration = Duration::from_secs(3);

/// A folder with a clip in it, or nothing when this machine cannot serve one.
fn clip() -> Option<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    (rtsp_available() && camera_clip(folder.path(), 4).is_some()).then_some(folder)
}

fn serve(folder: &TempDir, more: &[&str]) -> RtspCamera {
    RtspCamera::start(&folder.path().join("camera.mp4"), more)
}

fn camera(id: &str, url: &str) -> Camera {
    let reconnect_max = Duration::from_secs(1);
    Camera { id: id.into(), source: url.into(), stall_after: STALL_AFTER, reconnect_max, ..Camera::default() }
}

fn start(cameras: &[Camera], base: &Path) -> (Cameras, CamerasView) {
    let cameras = Cameras::start(cameras, base, &Clock::system()).unwrap();
    let view = cameras.view();
    (cameras, view)
}

/// Takes frames until the reports are as wanted.
fn until(view: &CamerasView, what: &str, wanted: impl Fn(&[CameraReport]) -> bool) -> Vec<CameraReport> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reports = view.reports();
        if wanted(&reports) {
            return reports;
        }
        assert!(Instant::now() < deadline, "{what}: {reports:#?}");
        view.slots().take(Duration::from_millis(20));
    }
}

fn streams(report: &CameraReport) -> bool {
    report.state == CameraState::Streaming && report.frames > 0
}

fn fails(report: &CameraReport, why: &str) -> bool {
    report.state == CameraState::Failed && report.last_error.as_deref().is_some_and(|words| words.contains(why))
}

#[test]
fn a_camera_delivers_its_pictures_at_its_rate() {
    let Some(folder) = clip() else { return };
    let server = serve(&folder, &[]);
    let (cameras, view) = start(&[camera("gate", &server.url)], folder.path());
    let reports = until(&view, "half its rate", |reports| reports[0].camera_fps > 7.5 && reports[0].frames > 40);
    assert_eq!((reports[0].width, reports[0].height), (640, 360));
    assert_eq!(reports[0].backend, "FFMPEG h264");
    assert!(reports[0].expected_fps.is_some_and(|fps| (fps - 15.0).abs() < 0.5), "{reports:#?}");
    assert!(reports[0].passed_over_rate > 0, "8 of 15 frames a second are looked at: {reports:#?}");
    let (place, frame) = view.slots().take(PATIENCE).unwrap();
    assert_eq!((place, frame.width, frame.height), (0, 640, 360));
    cameras.stop();
}

#[test]
fn a_locked_camera_opens_with_the_right_password_only_and_no_word_of_it_is_told() {
    let Some(folder) = clip() else { return };
    let server = serve(&folder, &["--user", "admin", "--password", "p@ss/w:rd"]);
    for (name, line) in [("good", "admin:p@ss/w:rd\n"), ("bad", "admin:geheim\n")] {
        let path = folder.path().join(name);
        std::fs::write(&path, line).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let mut settings = ["good", "bad", "none"].map(|id| camera(id, &server.url));
    settings[0].credentials_file = Some("good".into());
    settings[1].credentials_file = Some("bad".into());
    let (cameras, view) = start(&settings, folder.path());
    // On a loaded machine the first attempts may fail for lack of time.
    let reports = until(&view, "one opens, two are refused", |reports| {
        let refused = "refuses the user or the password in `credentials_file` (RTSP 401)";
        streams(&reports[0]) && fails(&reports[1], refused) && fails(&reports[2], "wants a user and a password")
    });
    let all = format!("{reports:?}");
    assert!(!all.contains("geheim") && !all.contains("p@ss") && !all.contains("p%40ss"), "{all}");
    cameras.stop();
}

#[test]
fn a_killed_camera_comes_back_and_another_one_never_notices() {
    let Some(folder) = clip() else { return };
    let (dying, steady) = (serve(&folder, &[]), serve(&folder, &[]));
    let (cameras, view) = start(&[camera("dying", &dying.url), camera("steady", &steady.url)], folder.path());
    until(&view, "both stream", |reports| reports.iter().all(streams));
    let port = dying.port.to_string();
    drop(dying);
    let before = until(&view, "the loss is noticed", |reports| fails(&reports[0], "refuses connections"));
    let _again = serve(&folder, &["--port", &port]);
    let after = until(&view, "it comes back", |reports| {
        streams(&reports[0]) && reports[0].reconnects_last_hour == 1 && reports[1].frames > before[1].frames
    });
    assert_eq!((after[1].state, after[1].last_error.as_deref()), (CameraState::Streaming, None), "{after:#?}");
    cameras.stop();
}

#[test]
fn a_frozen_camera_is_told_as_stalled_and_read_again_when_it_thaws() {
    let Some(folder) = clip() else { return };
    let server = serve(&folder, &[]);
    let (cameras, view) = start(&[camera("gate", &server.url)], folder.path());
    until(&view, "it streams", |reports| streams(&reports[0]));
    server.freeze();
    until(&view, "the stall is told", |reports| reports[0].state == CameraState::Stalled);
    until(&view, "the stall is counted", |reports| reports[0].stalls_last_hour == 1);
    server.thaw();
    until(&view, "it streams again", |reports| streams(&reports[0]) && reports[0].reconnects_last_hour >= 1);
    server.freeze();
    until(&view, "it stalls again", |reports| reports[0].state == CameraState::Stalled);
    let asked = Instant::now();
    cameras.stop();
    assert!(asked.elapsed() < STALL_AFTER * 2, "stopping took {:?}", asked.elapsed());
    server.thaw();
}

#[test]
fn a_camera_that_is_absent_at_the_start_is_found_when_it_comes() {
    let Some(folder) = clip() else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("rtsp://127.0.0.1:{port}/cam");
    let (cameras, view) = start(&[camera("gate", &url)], folder.path());
    until(&view, "its absence is told", |reports| fails(&reports[0], "refuses connections"));
    let _server = serve(&folder, &["--port", &port.to_string()]);
    let reports = until(&view, "it is found", |reports| streams(&reports[0]));
    assert_eq!(reports[0].reconnects_last_hour, 0, "the first opening is no reconnect");
    cameras.stop();
}

/// Processor time of this process so far.
fn cpu_seconds() -> f64 {
    let line = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = line.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = [fields[11], fields[12]].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    // USER_HZ is 100 on every Linux that this runs on.
    ticks / 100.0
}

#[test]
#[ignore = "a measurement of half a minute: cargo test --release --test camera_rtsp idle -- --ignored --nocapture"]
fn an_idle_camera_of_1080p15_costs_less_than_fifteen_hundredths_of_a_core() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camera.mp4");
    // A still scene with the noise of a sensor, 4 Mbit/s as cameras send it.
    let scene = "smptehdbars=size=1920x1080:rate=15,noise=alls=6:allf=t";
    let input = ["-f", "lavfi", "-i", scene, "-t", "8"];
    let output = ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-b:v", "4M", "-maxrate", "4M"];
    let output = [&output[..], &["-bufsize", "4M", "-g", "30", "-pix_fmt", "yuv420p"]].concat();
    if !rtsp_available() || !support::make_clip(&path, &input, &output) {
        return;
    }
    let server = serve(&folder, &[]);
    let (cameras, view) = start(&[camera("gate", &server.url)], folder.path());
    until(&view, "it settles", |reports| reports[0].frames >= 60);
    let (cpu, begun, before) = (cpu_seconds(), Instant::now(), view.reports()[0].clone());
    let after = until(&view, "twenty seconds", |_| begun.elapsed() >= Duration::from_secs(20)).remove(0);
    let share = (cpu_seconds() - cpu) / begun.elapsed().as_secs_f64();
    let frames = after.frames - before.frames;
    let offered = after.offered - before.offered;
    println!("{:.1} % of a core, {frames} frames, {offered} offered, {:?}", share * 100.0, after.picture);
    assert!(frames > 200 && share < 0.15, "{:.1} % of a core for {frames} frames", share * 100.0);
    cameras.stop();
}
