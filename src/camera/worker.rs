//! A supervised thread per camera: open, read, pass frames on, open again.
//!
//! Whatever happens to one camera — it dies, freezes, never comes up, changes its picture's size, or its reader
//! panics — is told in its [`Status`] and touches no other. Frames go into [`Slots`]; which of them are worth it is
//! decided before, by rate and by motion. Stopping waits no longer than one read may take.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tracing::{debug, info, info_span, warn};

use super::backoff::Backoff;
use super::gate::{MotionGate, RateGate};
use super::health::HealthWatch;
use super::status::{CameraReport, CameraState, Fate, Status};
use super::thumbnail::Thumbnail;
use super::{FrameSource, Grabbed, Slots, SourceSpec, credentials};
use crate::clock::Clock;
use crate::config::Camera;
use crate::domain::Uptime;

/// A stream that held for so long was sound: the next attempt to open it comes soon.
const SOUND_AFTER: Duration = Duration::from_secs(10);
/// Shortest time that a read may take before it counts as silence.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(500);

/// The running cameras of a box.
pub struct Cameras {
    view: CamerasView,
    workers: Vec<Worker>,
}

/// What can be asked of the cameras from any thread.
#[derive(Clone)]
pub struct CamerasView {
    slots: Arc<Slots>,
    statuses: Arc<[Arc<Status>]>,
    clock: Clock,
}

struct Worker {
    id: String,
    stop: Arc<StopSignal>,
    longest_read: Duration,
    thread: JoinHandle<()>,
    /// Closes when the thread is over.
    over: Receiver<()>,
}

impl Cameras {
    /// Checks all sources, then starts a thread for each; relative paths are relative to `base`.
    ///
    /// A camera's place in `settings` is its place in the slots and in the reports.
    pub fn start(settings: &[Camera], base: &Path, clock: &Clock) -> Result<Self> {
        let mut openers = Vec::new();
        for camera in settings {
            openers.push(opener(camera, base).with_context(|| format!("camera `{}`", camera.id))?);
        }
        Self::start_with(settings, openers, clock)
    }

    fn start_with(settings: &[Camera], openers: Vec<Opener>, clock: &Clock) -> Result<Self> {
        let slots = Arc::new(Slots::new(settings.len()));
        let mut statuses = Vec::new();
        let mut workers = Vec::new();
        for (place, (camera, open)) in settings.iter().zip(openers).enumerate() {
            let status = Arc::new(Status::new(&camera.id, &camera.source, camera.stall_after));
            statuses.push(Arc::clone(&status));
            workers.push(Worker::start(Reader::new(place, camera, open, &slots, status, clock))?);
        }
        Ok(Self { view: CamerasView { slots, statuses: statuses.into(), clock: clock.clone() }, workers })
    }

    /// A handle to the slots and reports for other threads.
    pub fn view(&self) -> CamerasView {
        self.view.clone()
    }

    /// Ends all threads and closes the slots. A thread that hangs in a reader without a timeout (GStreamer, V4L2) is
    /// left to itself after as long as a read may take.
    pub fn stop(self) {
        self.workers.iter().for_each(|worker| worker.stop.set());
        let longest = self.workers.iter().map(|worker| worker.longest_read).max().unwrap_or_default();
        let deadline = Instant::now() + longest + SHORTEST_TIMEOUT;
        for worker in self.workers {
            worker.end_by(deadline);
        }
        self.view.slots.close();
    }
}

impl CamerasView {
    /// Where the frames arrive.
    pub fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    /// Every camera as it is now, in the order of the settings.
    pub fn reports(&self) -> Vec<CameraReport> {
        let now = self.clock.uptime();
        let reports = self.statuses.iter().enumerate();
        reports.map(|(place, status)| status.report(now, self.slots.dropped(place))).collect()
    }

    /// Is every camera a recording that is at its end?
    pub fn all_ended(&self) -> bool {
        self.reports().iter().all(|report| report.state == CameraState::Ended)
    }
}

impl Worker {
    fn start(reader: Reader) -> Result<Self> {
        let id = reader.id.clone();
        let stop = Arc::clone(&reader.stop);
        let longest_read = reader.stall_after;
        let (alive, over) = channel();
        let name = format!("camera-{id}");
        let thread = std::thread::Builder::new().name(name).spawn(move || reader.run(alive));
        let thread = thread.with_context(|| format!("cannot start a thread for camera `{id}`"))?;
        Ok(Self { id, stop, longest_read, thread, over })
    }

    fn end_by(self, deadline: Instant) {
        // Nothing is ever sent: the wait ends when the thread drops its end, or in time.
        let waited = self.over.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        if waited == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            warn!(camera = self.id, "The camera's reader hangs and is left behind.");
            return;
        }
        if self.thread.join().is_err() {
            warn!(camera = self.id, "The camera's thread had panicked outside of its reader.");
        }
    }
}

/// Tells a thread to end and wakes it from its pauses.
#[derive(Debug, Default)]
struct StopSignal {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl StopSignal {
    fn set(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits; `true` as soon as the thread shall end.
    fn wait(&self, pause: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(stopped, pause, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Opens a camera's source anew.
pub(super) type Opener = Box<dyn Fn() -> Result<Box<dyn FrameSource>> + Send>;

/// Reads the settings of a source; what comes back opens it, with its credentials as they are then.
pub(super) fn opener(camera: &Camera, base: &Path) -> Result<Opener> {
    let spec = SourceSpec::parse(&camera.source, base)?;
    let file = camera.credentials_file.as_ref().map(|file| base.join(file));
    let timeout = camera.stall_after.max(SHORTEST_TIMEOUT);
    Ok(Box::new(move || {
        let pair = file.as_deref().map(credentials::read).transpose()?;
        super::open(&spec, pair.as_deref(), timeout)
    }))
}

/// Why a stream was left without an error.
enum End {
    Stopped,
    Recording,
}

/// Why a stream was left with an error.
struct Broken {
    state: CameraState,
    error: String,
}

/// One camera's thread.
struct Reader {
    id: String,
    place: usize,
    open: Opener,
    stall_after: Duration,
    reconnect_max: Duration,
    slots: Arc<Slots>,
    status: Arc<Status>,
    stop: Arc<StopSignal>,
    clock: Clock,
    rate: RateGate,
    motion: Option<MotionGate>,
    health: HealthWatch,
    seq: u64,
}

impl Reader {
    fn new(
        place: usize,
        camera: &Camera,
        open: Opener,
        slots: &Arc<Slots>,
        status: Arc<Status>,
        clock: &Clock,
    ) -> Self {
        Self {
            id: camera.id.clone(),
            place,
            open,
            stall_after: camera.stall_after.max(SHORTEST_TIMEOUT),
            reconnect_max: camera.reconnect_max,
            slots: Arc::clone(slots),
            status,
            stop: Arc::default(),
            clock: clock.clone(),
            rate: RateGate::new(camera.analysis_fps),
            motion: camera.motion_gate.then(MotionGate::default),
            health: HealthWatch::default(),
            seq: 0,
        }
    }

    /// Until it is stopped or its recording is at its end. `alive` is dropped with the thread.
    fn run(mut self, alive: Sender<()>) {
        let _alive = alive;
        let _span = info_span!("camera", id = self.id).entered();
        let mut backoff = Backoff::new(self.reconnect_max);
        let mut told = String::new();
        loop {
            let begun = self.clock.uptime();
            let left = catch_unwind(AssertUnwindSafe(|| self.stream())).unwrap_or_else(|panic| Err(panicked(&panic)));
            let broken = match left {
                Ok(End::Stopped) => return,
                Ok(End::Recording) => return self.ended(),
                Err(broken) => broken,
            };
            let now = self.clock.uptime();
            self.status.failed(now, broken.state, &broken.error);
            tell(&broken, &mut told);
            if broken.state != CameraState::Failed && now.saturating_sub(begun) >= SOUND_AFTER {
                backoff.reset();
            }
            if self.stop.wait(backoff.pause(fastrand::f32())) {
                return;
            }
        }
    }

    fn ended(&self) {
        self.status.ended();
        info!(frames = self.seq, "The recording is at its end.");
    }

    /// Opens the source and passes its frames on until it breaks, ends, or is stopped.
    fn stream(&mut self) -> Result<End, Broken> {
        let mut source = (self.open)().map_err(|error| Broken { state: CameraState::Failed, error: chain(&error) })?;
        let opened = self.clock.uptime();
        self.status.opened(opened, source.describe(), source.expected_fps());
        self.health.reopened();
        self.motion = self.motion.take().map(|_| MotionGate::default());
        let mut last = opened;
        let mut streams = false;
        loop {
            if self.stop.wait(Duration::ZERO) {
                return Ok(End::Stopped);
            }
            let Some(grabbed) = source.grab().map_err(|error| self.broken(&error, last))? else {
                return Ok(End::Recording);
            };
            if !source.is_live() && self.stop.wait((opened + grabbed.at).saturating_sub(self.clock.uptime())) {
                return Ok(End::Stopped);
            }
            last = self.clock.uptime();
            if !std::mem::replace(&mut streams, true) {
                info!(backend = source.describe(), "The camera delivers.");
            }
            if !self.pass_on(source.as_mut(), last).map_err(|error| self.broken(&error, last))? {
                return Ok(End::Stopped);
            }
        }
    }

    /// Silence for as long as a stall, or a break at once?
    fn broken(&self, error: &anyhow::Error, last: Uptime) -> Broken {
        let silence = self.clock.uptime().saturating_sub(last);
        let stalled = silence >= self.stall_after.mul_f32(0.9);
        Broken { state: if stalled { CameraState::Stalled } else { CameraState::Connecting }, error: chain(error) }
    }

    /// Decides on the picture just grabbed; `false` when nobody takes frames any more.
    fn pass_on(&mut self, source: &mut dyn FrameSource, at: Uptime) -> Result<bool> {
        self.status.came(at);
        let seq = self.seq;
        self.seq += 1;
        if !self.rate.passes(at) {
            self.status.fate(Fate::OverRate);
            return Ok(true);
        }
        let picture = source.picture()?;
        if self.status.size(picture.width, picture.height) {
            info!(width = picture.width, height = picture.height, "The picture's size changed.");
        }
        let thumbnail = Thumbnail::of(picture);
        if let Some(health) = self.health.watch(&thumbnail, at) {
            self.status.picture(health);
            info!(picture = ?health, "The picture's health changed.");
        }
        if self.motion.as_mut().is_some_and(|gate| !gate.passes(&thumbnail, at)) {
            self.status.fate(Fate::Still);
            return Ok(true);
        }
        self.status.fate(Fate::Offered);
        Ok(self.slots.put(self.place, picture.to_frame(Grabbed { seq, at })?))
    }
}

fn chain(error: &anyhow::Error) -> String {
    super::source::redacted(&format!("{error:#}"))
}

fn panicked(panic: &Box<dyn Any + Send>) -> Broken {
    let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
    let words = words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Broken { state: CameraState::Failed, error: format!("the camera's reader panicked: {words}") }
}

/// Says each new trouble once, and its repetitions only when one listens closely.
fn tell(broken: &Broken, told: &mut String) {
    let Broken { state, error } = broken;
    if *told == *error {
        debug!(?state, error, "The camera still fails.");
    } else {
        warn!(?state, error, "The camera fails; it will be opened again.");
        told.clone_from(error);
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
