//! What the visits are told: by cameras, by the member list, and by the clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::zones::Whereabouts;
use crate::domain::Uptime;
use crate::domain::event::{Direction, Evidence, Look, Modality, Vehicle, ZoneRef};
use crate::domain::member::Member;
use crate::domain::site::CameraRole;
use crate::domain::time::Moment;
use crate::domain::tracking::TrackId;

/// What events say of a member, as the list had it when last asked.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct MemberFacts {
    /// The platform's opaque name.
    pub member_ref: String,
    /// Loyalty tier.
    pub tier: Option<String>,
    /// The list it stands on.
    pub list: String,
    /// Who listed it.
    pub organisation: Option<String>,
    /// Echoed in every event.
    pub external_ids: BTreeMap<String, String>,
    /// May time spent in zones be told?
    pub dwell: bool,
    /// May the expression on leaving be told?
    #[serde(default)]
    pub expression: bool,
}

impl From<&Member> for MemberFacts {
    fn from(member: &Member) -> Self {
        Self {
            member_ref: member.member_ref.clone(),
            tier: member.tier.clone(),
            list: member.list.clone(),
            organisation: member.organisation.clone(),
            external_ids: member.external_ids.clone(),
            dwell: member.consents.dwell,
            expression: member.consents.expression,
        }
    }
}

/// A track on the whole box.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackKey {
    /// Its camera.
    pub camera: String,
    /// Its number there.
    pub track: TrackId,
}

/// A track turned out to be a member: told once a track and member, when it is decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// Whose it is.
    pub member: MemberFacts,
    /// The track.
    pub key: TrackKey,
    /// What the camera is for.
    pub role: CameraRole,
    /// When the frame was taken that decided it.
    pub at: Uptime,
    /// When the track began.
    pub first_seen: Uptime,
    /// Where the track has been until now.
    pub whereabouts: Whereabouts,
    /// By what it was recognised.
    pub modality: Modality,
    /// How sure, 0..1.
    pub confidence: f32,
    /// What that rests on.
    pub evidence: Evidence,
    /// The listed plate, when recognised by one. Goes into events only when the settings say so.
    pub vehicle: Option<Vehicle>,
    /// Coming, going or standing.
    pub direction: Option<Direction>,
}

/// What visits can be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A track turned out to be a member.
    Sighting(Box<Sighting>),
    /// A track was seen again; of tracks that are no member's nothing happens.
    Presence {
        /// The track.
        key: TrackKey,
        /// When the frame was taken.
        at: Uptime,
        /// The zone it is in.
        zone: Option<ZoneRef>,
    },
    /// How the face of a track at an exit looked in the last seconds; of tracks that are no member's nothing happens.
    Expression {
        /// The track.
        key: TrackKey,
        /// When the newest frame was taken.
        at: Uptime,
        /// What was seen.
        look: Look,
    },
    /// A track ended, or is no longer taken for that member.
    TrackEnded {
        /// The track.
        key: TrackKey,
    },
    /// The member list changed for someone with an open visit.
    MemberChanged {
        /// Who.
        member_ref: String,
        /// How the list has it now; `None` when the member may not be matched any more.
        standing: Option<Standing>,
    },
}

/// How the list has a member now.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// What events say of it.
    pub facts: MemberFacts,
    /// Plates by which it may be matched; none without the consent.
    pub plates: Vec<String>,
    /// May it be matched by face?
    pub face: bool,
}

/// The present, as the caller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// By both clocks.
    pub moment: Moment,
    /// The latest closing hour of the site that is not after `moment.wall`; `None` when the site has none or the wall
    /// clock cannot be trusted. Visits that began before it end.
    pub last_closing: Option<Timestamp>,
}
