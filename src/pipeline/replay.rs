//! A recording instead of a camera: the same rules, frame by frame, on the clip's own time.
//!
//! Same clip, same settings, same members: the same events, byte for byte. Nothing is written to disk. After the last
//! frame the clock runs on until every visit has ended.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;

use super::eyes::Eyes;
use super::members::{Directory, FaceMatching, Signage};
use super::rules::{Rules, RulesStatus, compose_drops, time_zone};
use crate::camera::{self, FrameSource};
use crate::clock::{Boot, Clock};
use crate::config::{Camera, Config, Sense};
use crate::domain::Uptime;
use crate::domain::observation::StageTimes;
use crate::store::members::MemberStore;
use crate::store::spool::{Limits, RowKey, Spool, StoredEvent};

/// Name of the spool in memory; it stands in the events' ids.
const EPOCH: &str = "replay";
/// Steps in which the clock runs on after the last frame.
const STEP: Duration = Duration::from_secs(1);

/// What a replay needs.
pub struct Replay {
    camera: String,
    pause: Duration,
    eyes: Eyes,
    rules: Rules,
    longest: Duration,
    now: Uptime,
    ticked: Uptime,
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Time in the clip.
    pub at: Uptime,
    /// Frames that were looked at.
    pub analysed: u64,
    /// What the last frame cost.
    pub timing: StageTimes,
}

impl Replay {
    /// Loads packs and members; `camera` names the camera whose settings hold, the only one when absent.
    pub fn new(
        config: &Config,
        base: &Path,
        camera: Option<&str>,
        members: MemberStore,
        start: Timestamp,
    ) -> anyhow::Result<Self> {
        let camera = choose(config, camera)?;
        let (clock, boot) = (Clock::Replay { start }, Boot::replay());
        let eyes = Eyes::load(config, base)?;
        let compose = compose_drops(config, clock.clone(), boot.clone());
        let spool = Spool::in_memory(EPOCH, Limits::from(&config.outbox), compose)?;
        let mut directory = Directory::new(members, time_zone(config)?, &config.plates.region)?;
        if let Some(space) = eyes.space() {
            directory.watch_faces(FaceMatching::new(config, base, space, Signage::Assumed), start);
        }
        let recognition = super::recognition(config, base, &eyes)?;
        let rules = Rules::new(config, clock, boot, directory, spool, recognition)?;
        let visits = &config.visits;
        let lost_after = config.plates.track_lost_after.max(config.faces.track_lost_after);
        let longest = visits.absent_after + visits.exit_grace + visits.dwell_gap + lost_after;
        Ok(Self {
            camera: camera.id.clone(),
            pause: Duration::from_secs_f32(1.0 / camera.analysis_fps.max(0.01)),
            eyes,
            rules,
            longest: longest + Duration::from_secs(10),
            now: Uptime::ZERO,
            ticked: Uptime::ZERO,
        })
    }

    /// Plays one clip after what was played before; events are handed out as they are accepted.
    pub fn play(
        &mut self,
        clip: &mut dyn FrameSource,
        events: &mut dyn FnMut(&StoredEvent) -> anyhow::Result<()>,
        progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<u64> {
        let (start, mut due, mut analysed) = (self.now, Uptime::ZERO, 0);
        while let Some(grabbed) = clip.grab()? {
            self.pass(start + grabbed.at, events)?;
            if grabbed.at < due {
                continue;
            }
            // Half a frame of slack keeps an even rhythm when the rate divides the clip's.
            due = grabbed.at + self.pause.mul_f32(0.9);
            let mut frame = clip.picture()?.to_frame(grabbed)?;
            frame.at = start + grabbed.at;
            let attention = self.rules.attention(&self.camera);
            let seen = self.eyes.look(&self.camera, &frame, &attention)?;
            analysed += 1;
            let timing = seen.timing;
            let accepted = self.rules.frame(seen)?;
            self.hand_out(&accepted, events)?;
            progress(Progress { at: grabbed.at, analysed, timing });
        }
        if analysed == 0 {
            bail!("the clip holds no picture");
        }
        Ok(analysed)
    }

    /// Lets the clock run on until every visit has ended.
    pub fn finish(
        &mut self,
        events: &mut dyn FnMut(&StoredEvent) -> anyhow::Result<()>,
    ) -> anyhow::Result<RulesStatus> {
        let end = self.now + self.longest;
        while !self.rules.is_quiet() && self.now < end {
            let next = self.now + STEP;
            self.pass(next, events)?;
        }
        Ok(self.rules.status())
    }

    /// Lets the clock run to `at`, with a tick for each second on the way.
    fn pass(&mut self, at: Uptime, events: &mut dyn FnMut(&StoredEvent) -> anyhow::Result<()>) -> anyhow::Result<()> {
        while self.ticked + STEP <= at {
            self.ticked += STEP;
            let accepted = self.rules.tick(self.ticked)?;
            self.hand_out(&accepted, events)?;
        }
        self.now = self.now.max(at);
        Ok(())
    }

    /// Nobody fetches events from a spool in memory: they are done with once they were handed out.
    fn hand_out(
        &mut self,
        accepted: &[StoredEvent],
        events: &mut dyn FnMut(&StoredEvent) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for event in accepted {
            events(event)?;
        }
        let keys: Vec<RowKey> =
            accepted.iter().map(|event| RowKey { generation: 0, seq: event.identity.seq }).collect();
        self.rules.acknowledged(&keys)?;
        Ok(())
    }
}

/// When a clip began: as said, or when its file was last written, which for a recording is when it ended or was copied.
pub fn start_of(clip: &Path, said: Option<Timestamp>) -> anyhow::Result<Timestamp> {
    if let Some(start) = said {
        return Ok(start);
    }
    let meta = std::fs::metadata(clip).with_context(|| format!("no clip at `{}`", clip.display()))?;
    let written = meta.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
    Ok(written.unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Opens a clip with words that name it.
pub fn open(clip: &Path) -> anyhow::Result<Box<dyn FrameSource>> {
    camera::open_clip(clip).with_context(|| format!("cannot replay `{}`", clip.display()))
}

/// A camera for settings that have none: called after the clip, at an entrance, without zones. It sees faces when packs
/// for them are named.
pub fn stand_in(config: &Config, clip: &Path) -> Camera {
    let name = clip.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' };
    let id: String = name.chars().map(plain).take(64).collect();
    let id = if id.is_empty() { "clip".to_owned() } else { id };
    let mut camera = Camera { id, ..Camera::default() };
    if !config.faces.packs.is_empty() {
        camera.read.push(Sense::Face);
    }
    camera
}

/// The settings have no camera of the name that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the settings have no camera `{wanted}`; they have {known}")]
pub struct NoCamera {
    wanted: String,
    known: String,
}

fn choose<'a>(config: &'a Config, wanted: Option<&str>) -> anyhow::Result<&'a Camera> {
    let ids = || config.cameras.iter().map(|camera| camera.id.as_str()).collect::<Vec<_>>().join(", ");
    match (wanted, config.cameras.as_slice()) {
        (None, [only]) => Ok(only),
        (None, []) => bail!("the settings have no camera; add a `[[camera]]` whose role and zones the clip is to have"),
        (None, _) => bail!("the settings have several cameras; choose one with `--camera`: {}", ids()),
        (Some(id), cameras) => {
            let known = if cameras.is_empty() { "none".to_owned() } else { ids() };
            let found = cameras.iter().find(|camera| camera.id == id);
            Ok(found.ok_or_else(|| NoCamera { wanted: id.to_owned(), known })?)
        }
    }
}
