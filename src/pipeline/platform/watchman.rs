//! Looks at the box every few seconds: the governor, and health as often as the settings say.

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use tracing::{info, warn};

use super::{Message, Office, PATIENCE};
use crate::clock::TimeQuality;
use crate::domain::event::{Event, GovernorHealth, Health};
use crate::health::{self, Governor};
use crate::pipeline::control::Question;
use crate::pipeline::health::{History, Known, compose, passed};
use crate::pipeline::rules::time_zone;

/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is kept between two looks.
pub(super) struct Watchman {
    history: History,
    governor: Governor,
    looked: Option<Instant>,
    told: Option<Instant>,
}

impl Watchman {
    pub(super) fn new(folder: &std::path::Path) -> Self {
        Self { history: History::open(folder), governor: Governor::default(), looked: None, told: None }
    }
}

impl Watchman {
    pub(super) fn history(&self) -> &History {
        &self.history
    }
}

impl Office {
    /// Looks when it is time.
    pub(super) fn watch(&mut self) {
        if self.watchman.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return;
        }
        self.watchman.looked = Some(Instant::now());
        let health = match self.health() {
            Ok(health) => health,
            Err(words) => return warn!(words, "The health of the box cannot be told."),
        };
        self.show("health", json!(health));
        let due = self.watchman.told.is_none_or(|at| at.elapsed() >= self.config.health.interval);
        // The first look is too early: no camera has begun.
        if self.watchman.told.is_none() {
            self.watchman.told = Some(Instant::now());
        } else if due {
            self.watchman.told = Some(Instant::now());
            self.tell(Event::Health(Box::new(health)));
        }
    }

    /// The health of the box now.
    pub(super) fn health(&mut self) -> Result<Health, String> {
        let status = self.ask(Question::Status)?;
        let (now, clock) = (Timestamp::now(), self.boot.quality());
        if clock != TimeQuality::Unsynced {
            let zone = time_zone(&self.config).unwrap_or(jiff::tz::TimeZone::UTC);
            self.watchman.history.note(&passed(&status), now, &zone);
        }
        let device = health::device(&self.folder);
        let governor = &mut self.watchman.governor;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        if governor.judge(&device, cores) {
            self.share.set(governor.percent());
            match governor.reason() {
                Some(why) => warn!(percent = governor.percent(), why, "Fewer frames are looked at; events go on."),
                None => info!("All frames are looked at again."),
            }
        }
        let governor = GovernorHealth {
            share_percent: governor.percent(),
            reason: governor.reason().map(str::to_owned),
            given_up: self.share.given_up(),
        };
        let (inference, history) = (self.times.health(), &self.watchman.history);
        Ok(compose(&status, Known { device, inference, governor, clock, history, now }))
    }

    /// Health that cannot be written is told with the next look.
    fn tell(&self, event: Event) {
        let (back, answer) = sync_channel(1);
        if self.to_rules.send(Message::Tell { event: Box::new(event), back }).is_ok()
            && let Ok(Err(words)) = answer.recv_timeout(PATIENCE)
        {
            warn!(words, "The health of the box waits for the disk.");
        }
    }
}
