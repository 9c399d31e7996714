//! The service: cameras, inference, rules and delivery on threads of their own, until it is told to stop.
//!
//! ```text
//! camera threads → slots (newest wins) → inference thread → bounded channel → rules thread → spool → publisher
//! ```
//!
//! When the channel to the rules is full, inference waits, and frames are lost in the slots, counted, never events.
//! A thread that dies ends the process with an error, so that the supervisor starts it anew. It stops in order:
//! cameras, inference, rules, delivery.

mod desk;
mod inference;
mod threads;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};
use sd_notify::NotifyState;
use tracing::{error, info, warn};

use super::control;
use super::delivery::Delivery;
use super::eyes::{Attention, Eyes};
use super::house::note_settings;
use super::members::{Directory, FaceMatching, Signage, is_damage};
use super::platform::{self, Shown, Wires};
use super::rules::{Rules, compose_drops, time_zone};
use crate::camera::Cameras;
use crate::clock::{Boot, Clock};
use crate::config::Config;
use crate::health::pulse::Pulse;
use crate::store::members::{self, MemberStore};
use crate::store::spool::{Limits, Spool};
use desk::Desk;
pub use desk::Message;
use inference::{Gauge, infer};
use threads::{Heart, join, spawn};

/// Observations that may wait for the rules.
const WAITING: usize = 8;
/// Time for the last events to be acknowledged and the platform to be told that the box goes.
const DELIVERY_STOPS_IN: Duration = Duration::from_secs(3);
/// Pause between two signs of life to the supervisor.
const FEED_EVERY: Duration = Duration::from_secs(1);

/// Threads that must show signs of life; the last only when there is a broker.
const THREADS: [&str; 3] = ["inference", "rules", "delivery"];

/// Why the service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Stopped,
    /// It is to begin anew.
    Again,
}

/// What is worth a look, by camera; written by the rules, read by inference.
type Wishes = Arc<Mutex<HashMap<String, Attention>>>;

/// Runs until `stop` is raised, or a thread dies. `file`: where the settings came from; without it they cannot be patched.
///
/// # Errors
/// What kept it from starting, or which thread died.
pub fn run(config: &Config, base: &Path, file: Option<&Path>, stop: &Arc<AtomicBool>) -> anyhow::Result<Ended> {
    // Whatever is made from here on is the service's alone; the control socket opens itself to the group.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let (clock, boot) = (Clock::system(), Boot::system());
    // First of all, before seconds go into loading models: a second service must be refused at once.
    let spool = open_spool(config, base, &clock, &boot)?;
    let eyes = Eyes::load(config, base)?;
    let mut rules = rules(config, base, &clock, &boot, spool, &eyes)?;
    let (to_rules, inbox) = sync_channel(WAITING);
    let wishes = Wishes::default();
    wishes
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(config.cameras.iter().map(|camera| (camera.id.clone(), rules.attention(&camera.id))));
    let done = Arc::new(AtomicBool::new(false));

    // Before cameras and session: the first service would lose them to a second one in another folder.
    let control = control::serve(&config.storage.control_socket, to_rules.clone())?;
    if config.mqtt.url.is_empty() {
        warn!("No broker is set (`mqtt.url`): events wait in the outbox until one is.");
    }
    let threads: &[_] = if config.mqtt.url.is_empty() { &THREADS[..2] } else { &THREADS };
    let pulse = Pulse::new(threads, sd_notify::watchdog_enabled(), clock.uptime());
    let heart = |name| Heart { beat: pulse.of(name), clock: clock.clone() };
    let at_delivery = heart("delivery");
    let (mut delivery, acknowledgements) = Delivery::start(config, rules.spool(), move || at_delivery.beats())?;
    let cameras = Cameras::start(&config.cameras, base, &clock)?;
    let view = cameras.view();
    let gauge = Gauge::default();
    let inference = spawn("inference", {
        let (slots, names) = (Arc::clone(view.slots()), names(config));
        let (wishes, to_rules, heart) = (Arc::clone(&wishes), to_rules.clone(), heart("inference"));
        let gauge = gauge.clone();
        move || infer(eyes, &slots, &names, &wishes, &to_rules, (&heart, &gauge))
    })?;
    let shown = Shown::new(Mutex::new(serde_json::json!({})));
    let judge = spawn("rules", {
        let (done, view, heart) = (Arc::clone(&done), view.clone(), heart("rules"));
        let (clock, shown) = (clock.clone(), Arc::clone(&shown));
        let (waker, mqtt) = (delivery.waker(), delivery.status_watch());
        let desk =
            Desk { rules, acknowledgements, view, wishes, waker, mqtt, clock, heart, shown, tails: control.tails() };
        move || desk.run(&inbox, &done)
    })?;
    let (again, off) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let wires = Wires {
        board: delivery.board(),
        letters: delivery.letters(),
        to_rules: to_rules.clone(),
        stop: Arc::clone(stop),
        again: Arc::clone(&again),
        shown,
        times: gauge.times,
        share: gauge.share,
        file: file.map(Path::to_owned),
    };
    let desk = spawn("platform", {
        let (off, config, base) = (Arc::clone(&off), config.clone(), base.to_owned());
        move || platform::serve(&config, &base, boot, wires, &off)
    })?;
    drop(to_rules);
    info!(cameras = config.cameras.len(), "Started.");
    notify(NotifyState::Ready);

    let ended =
        wait(stop, &delivery, &[("inference", &inference), ("rules", &judge), ("platform", &desk)], &pulse, &clock);
    notify(NotifyState::Stopping);
    // It needs the rules for receipts, so it ends before them.
    info!("Stopping: the platform's desk.");
    off.store(true, Ordering::Release);
    let served = join("platform", desk);
    info!("Stopping: cameras.");
    cameras.stop();
    info!("Stopping: inference.");
    let inferred = join("inference", inference);
    control.stop();
    info!("Stopping: rules.");
    done.store(true, Ordering::Release);
    let judged = join("rules", judge);
    info!("Stopping: delivery.");
    delivery.stop(DELIVERY_STOPS_IN);
    ended.and(served).and(inferred).and(judged)?;
    Ok(if again.load(Ordering::Acquire) { Ended::Again } else { Ended::Stopped })
}

fn open_spool(config: &Config, base: &Path, clock: &Clock, boot: &Boot) -> anyhow::Result<Spool> {
    let folder = base.join(&config.storage.folder);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder `{}` (`storage.folder`)", folder.display()))?;
    let compose = compose_drops(config, clock.clone(), boot.clone());
    let mut spool = Spool::open(&folder, Limits::from(&config.outbox), compose)?;
    if let Some(aside) = spool.take_set_aside() {
        error!(why = aside.why, path = %aside.path.display(), "The spool was damaged and set aside; a new one began.");
    }
    Ok(spool)
}

/// Opened after the spool, which on a full disk gives its reserve back: opening the member list may need it.
fn rules(config: &Config, base: &Path, clock: &Clock, boot: &Boot, spool: Spool, eyes: &Eyes) -> anyhow::Result<Rules> {
    let mut directory = directory(config, base)?;
    directory.keep_house_by(&config.privacy);
    if let Some(space) = eyes.space() {
        directory.watch_faces(FaceMatching::new(config, base, space, Signage::Asked), clock.wall_at(clock.uptime()));
    }
    let recognition = super::recognition(config, base, eyes)?;
    Rules::new(config, clock.clone(), boot.clone(), directory, spool, recognition)
}

/// A list that is damaged is set aside and an empty one begun: what waits is delivered all the same, and the platform, which
/// is told that the box has no list, sends it again.
fn directory(config: &Config, base: &Path) -> anyhow::Result<Directory> {
    let path = base.join(&config.storage.folder).join(members::FILE_NAME);
    let read = |former: Option<&members::SetAside>| -> anyhow::Result<Directory> {
        let mut store = MemberStore::open(&path)?.acting_as("service");
        if let Some(former) = former {
            store.note_set_aside(former)?;
        }
        note_settings(&mut store, config);
        let shadow = config.members.shadow_list.as_deref();
        Directory::with_shadow(store, time_zone(config)?, &config.plates.region, shadow)
    };
    let mut directory = match read(None) {
        Err(damage) if is_damage(&damage) => {
            let former = members::set_aside(&path)?;
            error!(path = %former.path.display(), "The member list was damaged and set aside; an empty one began. {damage:#}");
            read(Some(&former))?
        }
        done => done?,
    };
    if let Some(former) = members::last_set_aside(&path) {
        directory.begins_anew_after(&former);
    }
    Ok(directory)
}

fn names(config: &Config) -> Vec<String> {
    config.cameras.iter().map(|camera| camera.id.clone()).collect()
}

fn wait(
    stop: &AtomicBool,
    delivery: &Delivery,
    threads: &[(&str, &JoinHandle<anyhow::Result<()>>)],
    pulse: &Pulse,
    clock: &Clock,
) -> anyhow::Result<()> {
    let mut fed: Option<Duration> = None;
    while !stop.load(Ordering::Acquire) {
        if !delivery.is_alive() {
            bail!("the delivery thread ended");
        }
        if let Some((name, _)) = threads.iter().find(|(_, thread)| thread.is_finished()) {
            warn!(thread = name, "A thread ended before it was told to.");
            bail!("the {name} thread ended");
        }
        let now = clock.uptime();
        if fed.is_none_or(|at| now.saturating_sub(at) >= FEED_EVERY) {
            fed = Some(now);
            feed(pulse, now);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Feeds the watchdog while every thread beats; otherwise asks it to end the process at once.
fn feed(pulse: &Pulse, now: Duration) {
    match pulse.stuck(now) {
        None => notify(NotifyState::Watchdog),
        Some(stuck) => {
            error!(
                thread = stuck.thread,
                silent_s = stuck.silent.as_secs(),
                "A thread is stuck; the watchdog is told."
            );
            notify(NotifyState::WatchdogTrigger);
        }
    }
}

/// Tells systemd, when it asked to be told.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "The supervisor could not be told.");
    }
}
