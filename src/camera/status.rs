//! What one camera is doing, as numbers: written by its thread, read by `status`, health reports and logs.
//!
//! Nothing here holds a password: every text passes through `source::redacted`.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::health::PictureHealth;
use super::source::redacted;
use crate::domain::Uptime;

/// What a camera is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CameraState {
    /// Being opened for the first time, or after its stream broke.
    #[default]
    Connecting,
    /// Pictures come in.
    Streaming,
    /// It is open, but no picture came for `stall_after`.
    Stalled,
    /// It could not be opened; tried again after a pause.
    Failed,
    /// The recording is at its end.
    Ended,
}

/// One camera at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CameraReport {
    /// Its name in the settings.
    pub id: String,
    /// Where its pictures come from, without credentials.
    pub source: String,
    /// What it is doing.
    pub state: CameraState,
    /// What is wrong with the picture, if anything.
    pub picture: PictureHealth,
    /// Pixels across; 0 before the first picture.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// What reads it and the codec, such as `FFMPEG h264`.
    pub backend: String,
    /// Frames a second that the source says it has.
    pub expected_fps: Option<f32>,
    /// Frames a second that came in over the last seconds.
    pub camera_fps: f32,
    /// Frames that came in since the start.
    pub frames: u64,
    /// Frames handed to recognition since the start.
    pub offered: u64,
    /// Of those, replaced by a newer one before recognition took them.
    pub dropped: u64,
    /// Frames passed over because `analysis_fps` was reached.
    pub passed_over_rate: u64,
    /// Frames passed over because nothing moved.
    pub passed_over_still: u64,
    /// Times it was opened again after its stream broke.
    pub reconnects_last_hour: u32,
    /// Times its pictures stayed away for `stall_after`.
    pub stalls_last_hour: u32,
    /// Age of the newest picture.
    pub last_frame_age_ms: Option<u64>,
    /// Why it failed last; kept after it came back.
    pub last_error: Option<String>,
}

/// The rate is measured over so long.
const RATE_OVER: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_secs(3600);

/// The numbers behind a report.
#[derive(Debug)]
pub struct Status {
    stall_after: Duration,
    facts: Mutex<Facts>,
}

#[derive(Debug, Default)]
struct Facts {
    report: CameraReport,
    times: VecDeque<Uptime>,
    last_frame: Option<Uptime>,
    ever_streamed: bool,
    reconnects: VecDeque<Uptime>,
    stalls: VecDeque<Uptime>,
}

/// What became of a frame that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Handed to recognition.
    Offered,
    /// `analysis_fps` was reached.
    OverRate,
    /// Nothing moved.
    Still,
}

impl Status {
    pub(super) fn new(id: &str, source: &str, stall_after: Duration) -> Self {
        let report = CameraReport { id: id.to_owned(), source: redacted(source), ..CameraReport::default() };
        Self { stall_after, facts: Mutex::new(Facts { report, ..Facts::default() }) }
    }

    /// The camera now; `dropped` is counted by the slots.
    pub fn report(&self, now: Uptime, dropped: u64) -> CameraReport {
        let mut facts = self.lock();
        facts.forget_before(now);
        let age = facts.last_frame.map(|last| now.saturating_sub(last));
        let stalls = facts.report.state == CameraState::Streaming && age.is_some_and(|age| age >= self.stall_after);
        CameraReport {
            state: if stalls { CameraState::Stalled } else { facts.report.state },
            camera_fps: facts.rate(now),
            dropped,
            reconnects_last_hour: facts.reconnects.len() as u32,
            stalls_last_hour: facts.stalls.len() as u32,
            last_frame_age_ms: age.map(|age| age.as_millis() as u64),
            ..facts.report.clone()
        }
    }

    pub(super) fn opened(&self, now: Uptime, backend: String, expected_fps: Option<f32>) {
        let mut facts = self.lock();
        if facts.ever_streamed {
            facts.reconnects.push_back(now);
        }
        facts.times.clear();
        facts.report.backend = backend;
        facts.report.expected_fps = expected_fps;
    }

    /// A picture came in.
    pub(super) fn came(&self, now: Uptime) {
        let mut facts = self.lock();
        facts.report.state = CameraState::Streaming;
        facts.report.frames += 1;
        facts.ever_streamed = true;
        facts.last_frame = Some(now);
        facts.times.push_back(now);
        while facts.times.front().is_some_and(|&first| now.saturating_sub(first) > RATE_OVER) {
            facts.times.pop_front();
        }
    }

    pub(super) fn fate(&self, fate: Fate) {
        let report = &mut self.lock().report;
        match fate {
            Fate::Offered => report.offered += 1,
            Fate::OverRate => report.passed_over_rate += 1,
            Fate::Still => report.passed_over_still += 1,
        }
    }

    /// `true` when the size differs from that of an earlier picture.
    pub(super) fn size(&self, width: u32, height: u32) -> bool {
        let report = &mut self.lock().report;
        let before = (report.width, report.height);
        (report.width, report.height) = (width, height);
        before != (0, 0) && before != (width, height)
    }

    pub(super) fn picture(&self, health: PictureHealth) {
        self.lock().report.picture = health;
    }

    /// The stream broke or could not be opened.
    pub(super) fn failed(&self, now: Uptime, state: CameraState, error: &str) {
        let mut facts = self.lock();
        if state == CameraState::Stalled {
            facts.stalls.push_back(now);
        }
        facts.report.state = state;
        facts.report.last_error = Some(redacted(error));
    }

    pub(super) fn ended(&self) {
        self.lock().report.state = CameraState::Ended;
    }

    /// A panic of the camera's thread leaves whole numbers behind, so the poison tells nothing.
    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    fn forget_before(&mut self, now: Uptime) {
        for times in [&mut self.reconnects, &mut self.stalls] {
            while times.front().is_some_and(|&at| now.saturating_sub(at) >= HOUR) {
                times.pop_front();
            }
        }
    }

    /// Frames a second; falls when none come any more.
    fn rate(&self, now: Uptime) -> f32 {
        let (Some(&first), Some(&last)) = (self.times.front(), self.times.back()) else { return 0.0 };
        let silence = now.saturating_sub(last);
        let (count, span) = match last.saturating_sub(first) {
            span if silence > RATE_OVER || span.is_zero() => return 0.0,
            // A pause longer than the usual beat counts as time without frames.
            span if silence > span / (self.times.len() as u32 - 1) * 2 => (self.times.len(), span + silence),
            span => (self.times.len() - 1, span),
        };
        count as f32 / span.as_secs_f32()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(5);
    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn streaming(until_ms: u64) -> Status {
        let status = Status::new("gate", "rtsp://a:b@cam/1", STALL);
        status.opened(MS(0), "FFMPEG h264".into(), Some(15.0));
        (0..=until_ms / 100).for_each(|n| status.came(MS(n * 100)));
        status
    }

    #[test]
    fn the_rate_is_measured_and_falls_when_the_stream_stands() {
        let status = streaming(20_000);
        assert!((status.report(MS(20_050), 0).camera_fps - 10.0).abs() < 0.1);
        assert!(status.report(MS(23_000), 0).camera_fps < 7.0);
        assert_eq!(status.report(MS(26_000), 0).camera_fps, 0.0);
    }

    #[test]
    fn a_stalled_camera_is_called_so_even_while_its_thread_waits() {
        let status = streaming(1_000);
        assert_eq!(status.report(MS(5_900), 0).state, CameraState::Streaming);
        let report = status.report(MS(6_000), 3);
        assert_eq!((report.state, report.last_frame_age_ms, report.dropped), (CameraState::Stalled, Some(5_000), 3));
    }

    #[test]
    fn reconnects_and_stalls_are_those_of_the_last_hour() {
        let status = streaming(1_000);
        assert_eq!(status.report(MS(1_000), 0).reconnects_last_hour, 0, "the first opening is no reconnect");
        status.failed(MS(6_000), CameraState::Stalled, "silence");
        status.opened(MS(7_000), String::new(), None);
        let report = status.report(MS(8_000), 0);
        assert_eq!((report.reconnects_last_hour, report.stalls_last_hour), (1, 1));
        let report = status.report(MS(7_000) + HOUR, 0);
        assert_eq!((report.reconnects_last_hour, report.stalls_last_hour), (0, 0));
    }

    #[test]
    fn no_report_holds_a_password() {
        let status = streaming(0);
        status.failed(MS(1), CameraState::Failed, "cannot open rtsp://admin:geheim@cam/1");
        let text = serde_json::to_string(&status.report(MS(2), 0)).unwrap();
        assert!(!text.contains("geheim") && !text.contains("a:b") && text.contains("rtsp://***@cam/1"), "{text}");
    }
}
