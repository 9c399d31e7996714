//! What every event of this box is sent in, how long it is worth sending, and what the platform is told of cameras and
//! of dropped events.

use std::time::Duration;

use jiff::Timestamp;

use crate::camera::{self, CameraReport};
use crate::clock::{Boot, Clock};
use crate::config;
use crate::domain::event::{self, CameraState, Envelope, Event, EventClass, EventKind, OutboxDropped};
use crate::domain::time::Moment;
use crate::store::spool::{ComposeDrop, DropEvent, Dropped, Identity};

/// How long events of each class are worth sending.
#[derive(Clone, Copy)]
pub(super) struct Keep {
    arrivals: Duration,
    dwell: Duration,
    expression: Duration,
}

impl Keep {
    /// As the settings say.
    pub(super) fn new(outbox: &config::Outbox) -> Self {
        Self { arrivals: outbox.keep_arrivals, dwell: outbox.keep_dwell, expression: outbox.keep_expression }
    }

    /// When an event is no longer worth sending; `None`: never.
    pub(super) fn until(self, kind: EventKind, happened: Timestamp) -> Option<Timestamp> {
        let age = match kind.class() {
            EventClass::P0 => return None,
            EventClass::P1 => self.arrivals,
            _ if kind == EventKind::ExitExpression => self.expression,
            EventClass::P2 | EventClass::P3 => self.dwell,
        };
        happened.checked_add(age).ok()
    }
}

/// The event that tells of dropped events, in the envelope of all others; for [`Spool::open`].
pub fn compose_drops(config: &config::Config, clock: Clock, boot: Boot) -> ComposeDrop {
    let source = source(config);
    Box::new(move |dropped, identity, at| {
        let now = Moment::new(clock.uptime(), at);
        let event = Event::OutboxDropped(dropped_data(dropped));
        let kind = event.kind();
        let payload = event::compose(&envelope(&source, &boot, identity, now, now), &event);
        DropEvent { topic: kind.topic(), kind: kind.name().to_owned(), payload }
    })
}

/// CloudEvents `source` of this box.
pub fn source(config: &config::Config) -> String {
    event::source(&config.site.tenant, &config.site.site, &config.site.device)
}

pub(super) fn envelope(source: &str, boot: &Boot, identity: &Identity, at: Moment, now: Moment) -> Envelope {
    Envelope {
        source: source.to_owned(),
        epoch: identity.epoch.clone(),
        sequence: identity.seq,
        time: at.wall,
        recorded: now.wall,
        quality: boot.quality(),
        boot_id: boot.id().to_owned(),
        boot_ms: boot.ms_at(at.uptime),
    }
}

/// What the platform is told of a camera; nothing while it is being opened or when its recording is over.
pub(super) fn camera_state(report: &CameraReport) -> Option<(CameraState, Option<String>)> {
    use camera::{CameraState as Now, PictureHealth as Picture};
    let degraded = |word: &str| Some((CameraState::Degraded, Some(word.to_owned())));
    let down = |word: &str| Some((CameraState::Down, Some(word.to_owned())));
    match (report.state, report.picture) {
        (Now::Connecting | Now::Ended, _) => None,
        (Now::Stalled, _) => down("stalled"),
        (Now::Failed, _) => down("unreachable"),
        (Now::Streaming, Picture::Unknown | Picture::Good) => Some((CameraState::Up, None)),
        (Now::Streaming, Picture::Black) => degraded("black"),
        (Now::Streaming, Picture::Covered) => degraded("covered"),
        (Now::Streaming, Picture::Blurred) => degraded("blurred"),
        (Now::Streaming, Picture::Frozen) => degraded("frozen"),
    }
}

fn dropped_data(dropped: &Dropped) -> OutboxDropped {
    OutboxDropped {
        class: dropped.class,
        first_sequence: event::sequence_word(dropped.first_seq),
        last_sequence: event::sequence_word(dropped.last_seq),
        count: dropped.count,
        reason: dropped.reason,
    }
}
