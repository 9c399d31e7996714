//! The gallery in use, how it follows the member list, and whether anybody may be looked up in it.
//!
//! Promises: recognition never waits for it. When the list has changed, or a lease begins or ends, a helper thread loads
//! the next gallery through a connection of its own, and the rules thread only takes the finished one. Until then the old
//! one may hold a template of somebody who has left; whose a template is, is asked of the list itself at every match
//! ([`super::members::Directory::face_owner`]), so a removal is effective at once, and so is the signage, which is looked up
//! with every change. What keeps faces from being matched is told once and shown; plates go on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::beside::Beside;
use crate::config::{Config, Privacy};
use crate::domain::face::Embedding;
use crate::domain::face::gallery::{Abstain, Gallery, Impostors, Policy, Verdict};
use crate::inference::Space;
use crate::store::keys::KeyRing;
use crate::store::members::{FaceReport, MemberStore};

/// Where a pack does not say how alike its strangers look: wider than what good embeddings have, so that the threshold
/// is too strict rather than too loose until `members calibrate` measures it.
const UNMEASURED: (f64, f64) = (0.10, 0.13);

/// Must the installer have confirmed the signs about face recognition?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signage {
    /// Yes: live cameras.
    Asked,
    /// A recording, chosen by a technician.
    Assumed,
}

/// How faces are matched, and what that takes.
pub struct FaceMatching {
    space: String,
    policy: Policy,
    privacy: Privacy,
    folder: PathBuf,
    signage: Signage,
}

/// When a face is taken for a member, as long as the gallery has not measured its own impostors.
pub fn face_policy(config: &Config, space: &Space) -> Policy {
    let impostors = space.impostors.unwrap_or_else(|| Impostors::normal(UNMEASURED.0, UNMEASURED.1));
    Policy::new(impostors, config.faces.false_positive_identification_rate)
}

impl FaceMatching {
    /// For the vectors of a pack.
    pub fn new(config: &Config, base: &Path, space: &Space, signage: Signage) -> Self {
        Self {
            space: space.name.clone(),
            policy: face_policy(config, space),
            privacy: config.privacy.clone(),
            folder: base.join(&config.storage.folder),
            signage,
        }
    }

    fn load(&self, store: &MemberStore, now: Timestamp) -> anyhow::Result<(Gallery, FaceReport)> {
        if store.enrolled()? == 0 {
            return Ok((Gallery::empty(self.space.as_str(), self.policy), FaceReport::default()));
        }
        let ring = KeyRing::load(&self.privacy, &self.folder)?;
        let (gallery, report) = store.gallery(&ring, &self.space, self.policy, now)?;
        tracing::info!(templates = report.templates, members = report.members, "Faces taken up.");
        Ok((gallery, report))
    }

    /// What is missing before faces may be looked at.
    fn missing_signage(&self, store: &MemberStore) -> anyhow::Result<Option<String>> {
        if self.signage == Signage::Assumed || store.signage_confirmed()?.is_some() {
            return Ok(None);
        }
        let way_out = "put up the signs and run `forecourt provision confirm-signage`";
        Ok(Some(format!("no face is looked at until the signs about face recognition are confirmed: {way_out}")))
    }
}

type Loaded = anyhow::Result<(Gallery, FaceReport)>;

/// The gallery in use and the one that is being loaded.
#[derive(Default)]
pub(super) struct Faces {
    matching: Option<Arc<FaceMatching>>,
    gallery: Option<Gallery>,
    allowed: bool,
    /// When the next member comes in or has to go.
    next_change: Option<Timestamp>,
    next: Option<Beside<(Gallery, FaceReport)>>,
    /// The list changed while the next one was being loaded.
    again: bool,
    /// Of the gallery and of the signage.
    troubles: [Option<String>; 2],
}

impl Faces {
    /// Loads the gallery, and waits for it.
    pub fn watch(matching: FaceMatching, store: &MemberStore, now: Timestamp) -> Self {
        let matching = Arc::new(matching);
        let mut faces = Self { matching: Some(Arc::clone(&matching)), ..Self::default() };
        faces.take(matching.load(store, now));
        faces.look_at_signage(store);
        faces
    }

    pub fn gallery(&self) -> Option<&Gallery> {
        self.gallery.as_ref()
    }

    pub fn allowed(&self) -> bool {
        self.allowed && self.gallery.is_some()
    }

    pub fn trouble(&self) -> Option<String> {
        self.troubles.iter().flatten().next().cloned()
    }

    pub fn search(&self, space: &str, embedding: &Embedding) -> Verdict {
        match &self.gallery {
            Some(gallery) if self.allowed => gallery.search(space, embedding),
            _ => Verdict::Abstain { why: Abstain::Empty },
        }
    }

    /// Looks for a finished gallery, and begins the next one when the list `changed` or somebody's time has come.
    pub fn refresh(&mut self, store: &mut MemberStore, changed: bool, now: Timestamp) {
        let Some(matching) = self.matching.clone() else { return };
        self.take_finished();
        if changed {
            self.look_at_signage(store);
        }
        if changed || self.again || self.next_change.is_some_and(|due| due <= now) {
            self.again = self.next.is_some();
            if !self.again {
                self.begin(&matching, store, now);
            }
        }
    }

    fn begin(&mut self, matching: &Arc<FaceMatching>, store: &mut MemberStore, now: Timestamp) {
        // Whatever comes of it, it is not begun again with every tick.
        self.next_change = None;
        match store.second().map_err(anyhow::Error::from) {
            Ok(Some(second)) => {
                let matching = Arc::clone(matching);
                match Beside::begin("face templates", move || matching.load(&second, now)) {
                    Ok(next) => self.next = Some(next),
                    Err(error) => self.take(Err(error)),
                }
            }
            Ok(None) => self.take(matching.load(store, now)),
            Err(error) => self.take(Err(error)),
        }
    }

    fn take_finished(&mut self) {
        let Some(next) = &self.next else { return };
        let Some(loaded) = next.finished() else { return };
        self.next = None;
        self.take(loaded);
    }

    fn take(&mut self, loaded: Loaded) {
        let trouble = match loaded {
            Ok((gallery, report)) => {
                (self.gallery, self.next_change) = (Some(gallery), report.next_change);
                let damaged = report.damaged;
                let left_out = format!("{damaged} face templates do not open and are left out");
                report.locked.map(|error| error.to_string()).or((damaged > 0).then_some(left_out))
            }
            Err(error) => {
                self.gallery = None;
                Some(format!("{error:#}"))
            }
        };
        self.trouble_is(0, trouble);
    }

    fn look_at_signage(&mut self, store: &MemberStore) {
        let Some(matching) = &self.matching else { return };
        let missing = matching.missing_signage(store).unwrap_or_else(|error| Some(format!("{error:#}")));
        self.allowed = missing.is_none();
        self.trouble_is(1, missing);
    }

    fn trouble_is(&mut self, which: usize, trouble: Option<String>) {
        if let Some(words) = trouble.as_ref().filter(|_| self.troubles[which] != trouble) {
            tracing::warn!("Faces: {words}");
        }
        self.troubles[which] = trouble;
    }

    #[cfg(test)]
    pub fn set_gallery(&mut self, gallery: Option<Gallery>) {
        self.gallery = gallery;
    }

    #[cfg(test)]
    pub fn allow(&mut self, allowed: bool) {
        self.allowed = allowed;
    }
}
