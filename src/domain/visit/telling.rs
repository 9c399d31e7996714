//! How a visit is told: its states as the data of events.

use jiff::{SignedDuration, Timestamp};

use super::dwell::{Bounds, Stay};
use super::input::Sighting;
use super::rules::{Tick, VisitRules, tick};
use super::state::{LastLook, Sure, Visit, ZoneTotal};
use crate::domain::Uptime;
use crate::domain::event::{Arrival, ClosedBy, Departure, Dwell, ExitExpression, Subject, ZoneTime};
use crate::domain::time::Moment;

impl Visit {
    fn subject(&self, sure: &Sure, camera: &str, rules: &VisitRules) -> Subject {
        Subject {
            visit_id: self.visit_id.clone(),
            member_ref: self.member.member_ref.clone(),
            tier: self.member.tier.clone(),
            list: self.member.list.clone(),
            organisation: self.member.organisation.clone(),
            external_ids: self.member.external_ids.clone(),
            modality: self.modality,
            camera: camera.to_owned(),
            confidence: sure.confidence,
            vehicle: sure.vehicle.clone().filter(|_| rules.plate_in_events),
            evidence: sure.evidence.clone(),
        }
    }

    /// What the visit's first event says.
    pub(super) fn arrival(&self, sighting: &Sighting, rules: &VisitRules, now: Moment) -> Arrival {
        Arrival {
            subject: self.subject(&self.began.sure, &self.began.sure.camera, rules),
            zone: sighting.whereabouts.zone().cloned(),
            direction: sighting.direction,
            arrived_at: wall_of(self.began.at, now),
            companions: self.companions.clone(),
        }
    }

    /// How the member looked on leaving.
    pub(super) fn exit_expression(&self, last: &LastLook, rules: &VisitRules, now: Moment) -> ExitExpression {
        let on_foot = self.carriers.iter().map(|carrier| &carrier.best).find(|sure| sure.vehicle.is_none());
        let subject = self.subject(on_foot.unwrap_or(&self.began.sure), &last.camera, rules);
        ExitExpression { subject, look: last.look.clone(), seen_at: wall_of(last.at, now) }
    }

    /// What is told of a stay; `checkpoint` is absent when it ended.
    pub(super) fn dwell(
        &self,
        by: &Sure,
        stay: &Stay,
        told: (u32, Option<u32>, Bounds),
        rules: &VisitRules,
        now: Moment,
    ) -> Dwell {
        let (number, checkpoint, bounds) = told;
        Dwell {
            subject: self.subject(by, &stay.camera, rules),
            zone: stay.zone.clone(),
            stay: number,
            checkpoint,
            ended: checkpoint.is_none(),
            seconds_min: seconds(bounds.min_ms),
            seconds_max: seconds(bounds.max_ms),
            entered_at: wall_of(stay.first, now),
            seen_at: wall_of(stay.last, now),
        }
    }

    /// What the visit's last event says.
    pub(super) fn departure(&self, closed_by: ClosedBy, rules: &VisitRules, now: Moment) -> Departure {
        let arrived_at = wall_of(self.began.at, now);
        if closed_by == ClosedBy::Withdrawn {
            // Nothing that was not told before: see docs/decisions/0007-visits.md.
            let subject = self.subject(&self.began.sure, &self.began.sure.camera, rules);
            let (zones, companions) = (Vec::new(), Vec::new());
            return Departure { subject, closed_by, arrived_at, last_seen_at: None, seconds: None, zones, companions };
        }
        let last = self.last_seen();
        let sure = self.carriers.iter().map(|carrier| &carrier.best);
        let best = sure.max_by(|a, b| a.confidence.total_cmp(&b.confidence)).unwrap_or(&self.began.sure);
        Departure {
            subject: self.subject(best, self.last_camera(), rules),
            closed_by,
            arrived_at,
            last_seen_at: Some(wall_of(last, now)),
            seconds: Some(seconds(last - self.began.at)),
            zones: self.zones.iter().filter(|total| total.stays > 0).map(ZoneTotal::told).collect(),
            companions: self.companions.clone(),
        }
    }
}

impl ZoneTotal {
    fn told(&self) -> ZoneTime {
        let Self { camera, zone, stays, min_ms, max_ms, .. } = self;
        let (seconds_min, seconds_max) = (seconds(*min_ms), seconds(*max_ms));
        ZoneTime { camera: camera.clone(), zone: zone.clone(), stays: *stays, seconds_min, seconds_max }
    }
}

/// Wall time of an instant by the clock as it is now, so that a corrected clock corrects what is told.
fn wall_of(at: Tick, now: Moment) -> Timestamp {
    let ago = SignedDuration::from_millis(tick(now.uptime) - at);
    now.wall.checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// An instant by both clocks; the uptime of one before the process started is zero.
pub(super) fn moment_of(at: Tick, now: Moment) -> Moment {
    Moment::new(Uptime::from_millis(u64::try_from(at).unwrap_or(0)), wall_of(at, now))
}

fn seconds(ms: Tick) -> f64 {
    ms.max(0) as f64 / 1e3
}
