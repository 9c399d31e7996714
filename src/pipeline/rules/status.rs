//! What the rules know, for those who ask: a person at the terminal, the platform, the health of the box.

use std::collections::BTreeMap;

use super::super::members::ListTrouble;
use super::super::people::{PeopleCounts, PeopleWatch};
use super::super::watch::{Counts, ShadowStatus, Watch};
use super::Rules;
use crate::domain::visit::Overview;

/// What a person may want to know.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RulesStatus {
    /// By camera: what was counted.
    pub cameras: BTreeMap<String, Counts>,
    /// By camera that reads faces: what was counted.
    pub people: BTreeMap<String, PeopleCounts>,
    /// Vehicles in the pictures now.
    pub vehicles: usize,
    /// Faces in the pictures now.
    pub faces: usize,
    /// May faces be looked at?
    pub faces_allowed: bool,
    /// Templates that faces are compared with.
    pub templates: usize,
    /// Why faces are not looked at, or only some of them matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faces_trouble: Option<String>,
    /// Members with an open visit.
    pub open_visits: usize,
    /// Plates that are matched.
    pub listed_plates: usize,
    /// Revision of the member list.
    pub list_revision: u64,
    /// What is wrong with the member list; the list in memory goes on.
    pub list_trouble: Option<ListTrouble>,
    /// Inputs that wait for the disk.
    pub pending: usize,
    /// Who of the shadow list would have been matched.
    pub shadow: ShadowStatus,
}

impl Rules {
    /// Are visits open, or vehicles or faces in the picture?
    pub fn is_quiet(&self) -> bool {
        self.book.members().next().is_none()
            && self.watches.values().all(|watch| watch.live() == 0)
            && self.people.values().all(|people| people.live() == 0)
    }

    /// Open visits for a person's eyes.
    pub fn overview(&self) -> Vec<Overview> {
        self.book.overview(self.moment(self.clock.uptime()))
    }

    /// What a person may want to know.
    pub fn status(&self) -> RulesStatus {
        RulesStatus {
            cameras: self.watches.iter().map(|(id, watch)| (id.clone(), watch.counts().clone())).collect(),
            people: self.people.iter().map(|(id, people)| (id.clone(), people.counts().clone())).collect(),
            vehicles: self.watches.values().map(Watch::live).sum(),
            faces: self.people.values().map(PeopleWatch::live).sum(),
            faces_allowed: self.directory.faces_allowed(),
            templates: self.directory.gallery_size().0,
            faces_trouble: self.directory.faces_trouble(),
            open_visits: self.book.members().count(),
            listed_plates: self.directory.list().len(),
            list_revision: self.directory.revision(),
            list_trouble: self.directory.trouble(),
            pending: self.pending.len(),
            shadow: ShadowStatus { plates: self.directory.shadow().len(), ..self.shadow.clone() },
        }
    }
}
