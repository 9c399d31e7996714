//! Who of the shadow list would have been matched: the same test, on the same frames, against a list of its own, so that
//! it stands in nobody's way. Nothing is told of it but a count, and the opaque name, in `status`.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

use super::super::members::{Directory, Owner};
use super::{Matching, against_list};
use crate::domain::plate::PlateColour;
use crate::domain::plate::decision::{Standing, TrackReading};
use crate::domain::plate::evidence::Evidence;
use crate::domain::plate::reading::Interpreter;
use crate::domain::time::Moment;

/// Matches of the shadow list that `status` shows.
const SHADOWS_SHOWN: usize = 20;

/// Somebody of the shadow list passed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShadowMatch {
    /// When the vehicle was gone, or the decision fell.
    pub at: Timestamp,
    /// Which camera.
    pub camera: String,
    /// Opaque name.
    pub member_ref: String,
}

/// Who of the shadow list would have been matched since the start.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShadowStatus {
    /// Plates of the shadow list.
    pub plates: usize,
    /// Vehicles.
    pub matches: u64,
    /// The newest of them, oldest first.
    pub latest: VecDeque<ShadowMatch>,
}

impl ShadowStatus {
    /// Takes who has passed.
    pub fn add(&mut self, passed: Vec<ShadowMatch>) {
        for each in passed {
            tracing::info!(camera = each.camera, "Somebody of the shadow list would have been matched.");
            self.matches += 1;
            self.latest.push_back(each);
            if self.latest.len() > SHADOWS_SHOWN {
                self.latest.pop_front();
            }
        }
    }
}

/// What the shadow list makes of one vehicle.
#[derive(Default)]
pub(super) struct Shadowed {
    reading: TrackReading,
    member_ref: Option<String>,
}

impl Shadowed {
    /// Takes a frame's evidence.
    pub(super) fn read(
        &mut self,
        (evidence, colours): (&Evidence, &[(PlateColour, f32)]),
        interpreter: &mut Interpreter,
        now: Moment,
        directory: &Directory,
        matching: &Matching,
    ) {
        if self.member_ref.is_some() {
            return;
        }
        let against = against_list(directory.shadow(), directory, matching);
        let news = self.reading.add(now.uptime, evidence, colours, interpreter, against);
        let Some(Standing::Listed(found)) = news else { return };
        match directory.shadow_owner(&found.plate, now.wall) {
            Ok(Owner::One(member)) => self.member_ref = Some(member.member_ref),
            Ok(_) => {}
            Err(error) => tracing::warn!("A member of the shadow list could not be looked up: {error:#}"),
        }
    }

    /// The vehicle is gone.
    pub(super) fn found(self, camera: &str, now: Moment) -> Option<ShadowMatch> {
        Some(ShadowMatch { at: now.wall, camera: camera.to_owned(), member_ref: self.member_ref? })
    }
}
