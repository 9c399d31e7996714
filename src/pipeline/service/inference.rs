//! The inference thread of the service: looks at frames, one camera after the other, as many as the governor allows.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::super::eyes::Eyes;
use super::{Heart, Message, Wishes};
use crate::camera::Slots;
use crate::domain::pack_trial::StageMs;
use crate::health::{Share, Times};

/// What the inference thread tells of itself and is told by the governor.
#[derive(Clone, Default)]
pub(super) struct Gauge {
    pub(super) times: Arc<Times>,
    pub(super) share: Arc<Share>,
}

/// The inference thread: owns the networks, serves the cameras in turn.
pub(super) fn infer(
    mut eyes: Eyes,
    slots: &Slots,
    names: &[String],
    wishes: &Wishes,
    to_rules: &SyncSender<Message>,
    (heart, gauge): (&Heart, &Gauge),
) -> anyhow::Result<()> {
    while !slots.finished() {
        heart.beats();
        let Some((camera, frame)) = slots.take(Duration::from_millis(250)) else { continue };
        if !gauge.share.takes() {
            continue;
        }
        let (name, began) = (&names[camera], Instant::now());
        let attention = wishes.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_default();
        let seen = eyes.look(name, &frame, &attention);
        let seen = seen.with_context(|| format!("a frame of camera `{name}` could not be looked at"))?;
        gauge.times.add(began.elapsed(), StageMs::of(&seen));
        if to_rules.send(Message::Frame(seen)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
