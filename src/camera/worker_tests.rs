//! A supervised camera through every trouble it may meet.

use super::super::Picture;
use super::*;

const SOON: Duration = Duration::from_secs(20);

/// A reader that breaks in the way its turn asks for, then delivers pictures that change.
struct Troubled {
    turn: u32,
    pictures: u8,
    bgr: Vec<u8>,
}

impl FrameSource for Troubled {
    fn grab(&mut self) -> Result<Option<Grabbed>> {
        self.pictures = self.pictures.wrapping_add(60);
        assert!(self.turn != 1, "a bug in the reader");
        anyhow::ensure!(self.turn != 2 || self.pictures == 60, "the stream broke at rtsp://u:geheim@cam");
        Ok(Some(Grabbed { seq: 0, at: Duration::ZERO }))
    }

    fn picture(&mut self) -> Result<Picture<'_>> {
        self.bgr.fill(self.pictures);
        let width = if self.turn == 2 { 8 } else { 16 };
        Ok(Picture { width, height: 4, bgr: &self.bgr[..width as usize * 12] })
    }

    fn expected_fps(&self) -> Option<f32> {
        None
    }

    fn is_live(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        "troubled".to_owned()
    }
}

fn camera(id: &str) -> Camera {
    let reconnect_max = Duration::from_millis(10);
    Camera { id: id.into(), source: "rtsp://cam".into(), reconnect_max, analysis_fps: 1000.0, ..Camera::default() }
}

/// Fails to open, panics, breaks after one picture, and then delivers.
fn troubled() -> Opener {
    let turns = Mutex::new(0);
    Box::new(move || {
        let mut turn = turns.lock().unwrap();
        *turn += 1;
        anyhow::ensure!(*turn > 1, "not there yet");
        Ok(Box::new(Troubled { turn: *turn - 1, pictures: 0, bgr: vec![0; 16 * 4 * 3] }))
    })
}

fn until(view: &CamerasView, wanted: impl Fn(&[CameraReport]) -> bool) -> Vec<CameraReport> {
    let deadline = Instant::now() + SOON;
    loop {
        let reports = view.reports();
        if wanted(&reports) {
            return reports;
        }
        assert!(Instant::now() < deadline, "{reports:#?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_reader_that_fails_panics_and_breaks_is_opened_again_and_the_size_may_change() {
    let clock = Clock::system();
    let cameras = Cameras::start_with(&[camera("gate")], vec![troubled()], &clock).unwrap();
    let view = cameras.view();
    let reports = until(&view, |reports| reports[0].width == 16 && reports[0].frames > 10);
    assert_eq!(reports[0].state, CameraState::Streaming);
    assert_eq!(reports[0].reconnects_last_hour, 1);
    assert!(reports[0].last_error.as_deref().is_some_and(|words| words.contains("the stream broke")));
    assert!(!format!("{reports:?}").contains("geheim"));
    let (place, frame) = view.slots().take(SOON).unwrap();
    assert_eq!((place, frame.height), (0, 4));
    cameras.stop();
    while view.slots().take(Duration::ZERO).is_some() {}
    assert!(view.slots().finished());
}

#[test]
fn a_camera_that_never_comes_up_disturbs_no_other_and_stops_at_once() {
    let never: Opener = Box::new(|| anyhow::bail!("nobody there"));
    let mut absent = camera("absent");
    absent.reconnect_max = Duration::from_secs(600);
    let clock = Clock::system();
    let cameras = Cameras::start_with(&[absent, camera("gate")], vec![never, troubled()], &clock).unwrap();
    let view = cameras.view();
    let reports = until(&view, |reports| reports[1].offered > 10);
    assert_eq!(reports[0].state, CameraState::Failed);
    let asked = Instant::now();
    cameras.stop();
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}

#[test]
fn pictures_of_a_folder_come_in_their_own_time_and_end() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..3_u8 {
        image::RgbImage::from_pixel(4, 2, image::Rgb([n * 90; 3]))
            .save(folder.path().join(format!("{n}.png")))
            .unwrap();
    }
    let settings = Camera { id: "lot".into(), source: "images:.".into(), ..Camera::default() };
    let begun = Instant::now();
    let cameras = Cameras::start(&[settings], folder.path(), &Clock::system()).unwrap();
    let view = cameras.view();
    until(&view, |_| view.all_ended());
    assert!(begun.elapsed() >= Duration::from_millis(200), "three pictures at ten a second");
    assert_eq!(view.reports()[0].frames, 3);
    cameras.stop();
}

#[test]
fn a_wrong_source_is_told_before_anything_starts() {
    let wrong = Camera { id: "gate".into(), source: "usb:0".into(), ..Camera::default() };
    let words = format!("{:#}", Cameras::start(&[wrong], Path::new("."), &Clock::system()).err().unwrap());
    assert!(words.contains("camera `gate`") && words.contains("`usb:`"), "{words}");
}
