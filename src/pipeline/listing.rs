//! The index of the listed plates, and how it follows the member list.
//!
//! Promises: recognition never waits for it. When another process has changed the list, a helper thread reads it through
//! a connection of its own and builds the next index, and the rules thread only takes the finished one. Until then the old
//! one finds plates that are no longer listed; whose a plate is, is asked of the list itself at every match
//! ([`super::members::Directory::owner`]), so a removal is effective at once.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::Context;

use super::beside::Beside;
use crate::domain::plate::list::PlateList;
use crate::domain::plate::other_spelling;
use crate::store::members::{MemberStore, Seen};

/// What has become of the list since it was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    Nothing,
    /// It changed; the index follows.
    Changed,
    /// The index is that of the list now.
    TakenUp,
}

/// A finished index.
struct Built {
    list: PlateList,
    shadow: PlateList,
    revision: u64,
}

/// The index in use and the one that is being built.
pub(super) struct Listing {
    region: String,
    /// Name of the list whose members are kept apart.
    shadow_name: Option<String>,
    list: Arc<PlateList>,
    /// Their plates.
    shadow: Arc<PlateList>,
    /// Of the list that the index was made of.
    revision: u64,
    /// Of the list as it was last looked at.
    seen: Seen,
    next: Option<Beside<Built>>,
}

impl Listing {
    /// Reads the whole list, and waits for it.
    pub fn read(store: &MemberStore, region: &str, shadow: Option<&str>) -> anyhow::Result<Self> {
        let mut seen = Seen::default();
        store.changed(&mut seen)?;
        let Built { list, shadow: apart, revision } = build(store, region, shadow)?;
        let (region, shadow_name) = (region.to_owned(), shadow.map(str::to_owned));
        Ok(Self { region, shadow_name, list: Arc::new(list), shadow: Arc::new(apart), revision, seen, next: None })
    }

    pub fn shadow(&self) -> &Arc<PlateList> {
        &self.shadow
    }

    pub fn list(&self) -> &Arc<PlateList> {
        &self.list
    }

    /// Raised with every change of the list that the index has taken up.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Looks for changes and for a finished index. Costs microseconds.
    pub fn refresh(&mut self, store: &mut MemberStore) -> anyhow::Result<News> {
        store.share()?;
        let changed = store.changed(&mut self.seen)?;
        if self.take_finished()? {
            return Ok(News::TakenUp);
        }
        if self.next.is_none() && self.seen.revision != self.revision {
            match store.second()? {
                Some(second) => {
                    let (region, shadow) = (self.region.clone(), self.shadow_name.clone());
                    let work = move || build(&second, &region, shadow.as_deref());
                    self.next = Some(Beside::begin("member list", work)?);
                }
                None => {
                    let built = build(store, &self.region, self.shadow_name.as_deref())?;
                    self.take(built);
                    return Ok(News::TakenUp);
                }
            }
        }
        Ok(if changed { News::Changed } else { News::Nothing })
    }

    fn take_finished(&mut self) -> anyhow::Result<bool> {
        let Some(next) = &self.next else { return Ok(false) };
        let Some(built) = next.finished() else { return Ok(false) };
        // One that failed is begun anew with the next look.
        self.next = None;
        self.take(built?);
        Ok(true)
    }

    fn take(&mut self, Built { list, shadow, revision }: Built) {
        self.list = Arc::new(list);
        self.shadow = Arc::new(shadow);
        self.revision = revision;
        tracing::info!(revision, plates = self.list.len(), "Member list taken up.");
    }
}

fn build(store: &MemberStore, region: &str, shadow: Option<&str>) -> anyhow::Result<Built> {
    let (listed, revision) = store.match_set().context("cannot read the member list")?;
    // Of a later state than the plates at worst: then the revision has changed too, and the index is built anew.
    let kept_apart = match shadow {
        Some(name) => store.on_list(name).context("cannot read the shadow list")?,
        None => HashSet::new(),
    };
    let (mut plates, mut apart) = (Vec::with_capacity(listed.len()), Vec::new());
    for (plate, id) in listed {
        let plates = if kept_apart.contains(&id) { &mut apart } else { &mut plates };
        plates.extend(other_spelling(region, &plate).map(|other| (other, id)));
        plates.push((plate, id));
    }
    let (list, left_out) = PlateList::build(plates);
    if left_out > 0 {
        tracing::warn!(left_out, "Plates of the member list are too long to be matched.");
    }
    Ok(Built { list, shadow: PlateList::build(apart).0, revision })
}
