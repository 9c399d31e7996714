//! Member lists of the platform: each piece is believed, put aside, and applied when the list is complete.
//!
//! A revision never goes back: within an epoch `rev` only grows, and another epoch must have been signed later. A piece
//! that came before is passed over without a word, so that repetitions do no harm.

use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::json;
use tracing::{info, warn};

use super::{Message, Office, POST_EVERY};
use crate::domain::sync::{Head, Kind, MembersState, Parcel, Refusal, Synced, TrustedKeys, Wants, Wrong, ranges};
use crate::store::members::{Applied, ApplyError, Staging, StoreError};

/// What is known of lists that are not in force.
pub(super) struct Lists {
    trusted: TrustedKeys,
    own: String,
    /// `None` only while it is being cleared.
    staging: Option<Staging>,
    folder: std::path::PathBuf,
    /// The newest list that is not in force yet.
    target: Option<Head>,
    /// A complete list that was wrong: it is not asked for again.
    spoilt: Option<Head>,
    refused: Option<Refusal>,
}

/// How a head stands to what is in force.
enum Standing {
    /// The same revision, or one before it that is repeated.
    Known,
    Newer,
    Refused(Wrong),
}

impl Lists {
    /// Takes up what was collected before.
    pub(super) fn open(folder: &Path, trusted: TrustedKeys, own: &str) -> Result<Self, StoreError> {
        let staging = Staging::open(folder)?;
        let target = staging.target()?;
        let (own, folder) = (own.to_owned(), folder.to_owned());
        Ok(Self { trusted, own, staging: Some(staging), folder, target, spoilt: None, refused: None })
    }

    fn staging(&mut self) -> Result<&mut Staging, StoreError> {
        if self.staging.is_none() {
            self.staging = Some(Staging::open(&self.folder)?);
        }
        Ok(self.staging.as_mut().expect("it was just opened"))
    }

    /// Makes the pieces unreadable; `false`: the disk refused.
    fn clear(&mut self) -> bool {
        let Some(staging) = self.staging.take() else { return true };
        match staging.clear() {
            Ok(staging) => {
                self.staging = Some(staging);
                true
            }
            Err(error) => {
                warn!(%error, "Pieces of a member list could not be removed; it is tried again.");
                false
            }
        }
    }

    fn refuse(&mut self, wrong: Wrong) {
        warn!(reason = wrong.reason, words = wrong.words, "A piece of a member list was refused.");
        let refused = self.refused.as_ref().map_or(0, |last| last.refused) + 1;
        let Wrong { reason, words } = wrong;
        self.refused = Some(Refusal { reason: reason.to_owned(), words, at: Timestamp::now(), refused });
    }

    /// Is it older than what is being collected, or known to be wrong?
    fn is_passed_over(&self, head: &Head) -> bool {
        let spoilt = self.spoilt.as_ref().is_some_and(|spoilt| spoilt.same_list(head) && spoilt.issued == head.issued);
        let older = |target: &Head| match target.epoch == head.epoch {
            true => head.rev < target.rev,
            false => head.issued < target.issued,
        };
        spoilt || self.target.as_ref().is_some_and(older)
    }
}

fn standing(head: &Head, current: Option<&Synced>) -> Standing {
    let Some(current) = current else { return Standing::Newer };
    if head.epoch != current.epoch {
        let words = "it is of another epoch and was not signed after the list in force";
        let newer = head.issued > current.issued;
        return if newer { Standing::Newer } else { Standing::Refused(Wrong::new("rollback", words)) };
    }
    match head.rev.cmp(&current.rev) {
        std::cmp::Ordering::Greater => Standing::Newer,
        std::cmp::Ordering::Equal if head.digest == current.digest => Standing::Known,
        std::cmp::Ordering::Equal => {
            let words = format!("another list has revision {} already", head.rev);
            Standing::Refused(Wrong::new("conflict", words))
        }
        // A repetition of an old delta is what the broker's "at least once" means.
        std::cmp::Ordering::Less if head.kind == Kind::Delta => Standing::Known,
        std::cmp::Ordering::Less => {
            let words = format!("revision {} is in force, {} would go back", current.rev, head.rev);
            Standing::Refused(Wrong::new("rollback", words))
        }
    }
}

impl Office {
    /// What was complete when the service ended is applied.
    pub(super) fn begin_lists(&mut self) {
        if let Err(error) = self.settle_lists() {
            warn!(%error, "The member list of the platform waits.");
        }
        self.post_members(true);
    }

    /// Takes a manifest, a chunk or a delta.
    pub(super) fn piece(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        match Parcel::open(payload, &self.lists.trusted, &self.lists.own) {
            Ok(parcel) => self.believed(parcel)?,
            Err(wrong) => self.lists.refuse(wrong),
        }
        self.post_members(false);
        Ok(())
    }

    fn believed(&mut self, Parcel { head, body }: Parcel) -> Result<(), StoreError> {
        let current = self.store.synced_list()?;
        match standing(&head, current.as_ref()) {
            Standing::Refused(wrong) => {
                self.lists.refuse(wrong);
                return Ok(());
            }
            Standing::Known if head.kind == Kind::Delta => return Ok(()),
            // Somebody changed the list on the box: what the platform sent is wanted again.
            Standing::Known if self.is_intact(current.as_ref())? => return Ok(()),
            Standing::Known | Standing::Newer => {}
        }
        if self.lists.is_passed_over(&head) {
            return Ok(());
        }
        if self.lists.target.as_ref().is_none_or(|target| !target.same_list(&head)) {
            self.lists.staging()?.aim(&head)?;
            self.lists.target = Some(head.clone());
        }
        match head.kind {
            Kind::Manifest => {}
            Kind::Snapshot => self.lists.staging()?.put_chunk(head.chunk.unwrap_or_default(), &body)?,
            Kind::Delta if current.as_ref().is_some_and(|list| list.epoch == head.epoch) => {
                if !self.lists.staging()?.put_delta(&head, &body)? {
                    self.lists.refuse(Wrong::new("too-many", "too many deltas wait for one that comes before them"));
                }
            }
            // Changes of a list that is not here.
            Kind::Delta => {}
        }
        self.settle_lists()
    }

    fn is_intact(&self, current: Option<&Synced>) -> Result<bool, StoreError> {
        let (_, found) = self.store.synced_digest()?;
        Ok(current.is_some_and(|list| list.digest == found))
    }

    /// Applies whatever can be applied.
    fn settle_lists(&mut self) -> Result<(), StoreError> {
        while self.apply_next_delta()? {}
        self.apply_snapshot_if_complete()?;
        let current = self.store.synced_list()?;
        let reached = |target: &Head| {
            current.as_ref().is_some_and(|list| list.epoch == target.epoch && list.digest == target.digest)
        };
        if self.lists.target.as_ref().is_some_and(reached) && self.is_intact(current.as_ref())? && self.lists.clear() {
            self.lists.target = None;
        }
        Ok(())
    }

    fn apply_next_delta(&mut self) -> Result<bool, StoreError> {
        let Some(current) = self.store.synced_list()? else { return Ok(false) };
        let Some((head, body)) = self.lists.staging()?.delta(current.rev)? else { return Ok(false) };
        if head.epoch != current.epoch {
            self.lists.staging()?.drop_delta(current.rev)?;
            return Ok(false);
        }
        let began = Instant::now();
        let options = self.import_options(Timestamp::now());
        let outcome = self.store.apply_delta(&head, &body, &options);
        if !matches!(outcome, Err(ApplyError::Store(_))) {
            self.lists.staging()?.drop_delta(current.rev)?;
        }
        self.applied(&head, outcome, began).map(|applied| applied.is_some())
    }

    fn apply_snapshot_if_complete(&mut self) -> Result<(), StoreError> {
        let Some(target) = self.lists.target.clone() else { return Ok(()) };
        let staged = self.lists.staging()?.chunks()?;
        if staged.len() != target.chunks as usize {
            return Ok(());
        }
        let began = Instant::now();
        let options = self.import_options(Timestamp::now());
        let staging = self.lists.staging()?;
        let outcome = self.store.apply_snapshot(&target, &options, |number| {
            let lines = staging.chunk(number).map_err(ApplyError::Store)?;
            lines.ok_or_else(|| Wrong::new("damaged", "a chunk cannot be read any more").into())
        });
        if matches!(outcome, Err(ApplyError::Wrong(_))) {
            self.lists.clear();
            self.lists.target = None;
            self.lists.spoilt = Some(target.clone());
        }
        self.applied(&target, outcome, began).map(drop)
    }

    fn applied(
        &mut self,
        head: &Head,
        outcome: Result<Applied, ApplyError>,
        began: Instant,
    ) -> Result<Option<Applied>, StoreError> {
        match outcome {
            Ok(applied) => {
                let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                let Applied { added, updated, removed, count } = applied;
                info!(
                    epoch = head.epoch,
                    rev = head.rev,
                    added,
                    updated,
                    removed,
                    count,
                    took_ms,
                    "Member list applied."
                );
                // A full channel: the rules notice it by themselves within half a second.
                let _ = self.to_rules.try_send(Message::ListChanged);
                Ok(Some(applied))
            }
            Err(ApplyError::Wrong(wrong)) => {
                self.lists.refuse(wrong);
                Ok(None)
            }
            Err(ApplyError::Store(error)) => Err(error),
        }
    }

    /// A member was removed: pieces that were collected may hold it, so they go; what is missing is asked for again.
    pub(super) fn forget_pieces(&mut self) -> Result<(), StoreError> {
        let target = self.lists.target.clone();
        self.lists.clear();
        if let Some(target) = target {
            self.lists.staging()?.aim(&target)?;
        }
        Ok(())
    }

    /// Posts the acknowledgement; at most once a second while pieces come in.
    pub(super) fn post_members(&mut self, at_once: bool) {
        if !at_once && self.posted_at.is_some_and(|at| at.elapsed() < POST_EVERY) {
            return;
        }
        match self.members_state() {
            Ok(state) => {
                self.posted_at = Some(Instant::now());
                self.post("state/members", &state);
                self.show("members", json!(state));
            }
            Err(error) => warn!(%error, "The state of the member list cannot be read."),
        }
    }

    /// What the box has and wants.
    pub(super) fn members_state(&mut self) -> Result<MembersState, StoreError> {
        let list = self.store.synced_list()?;
        let wants = match self.lists.target.clone() {
            None => None,
            Some(target) => {
                let staged = self.lists.staging()?.chunks()?;
                let after = list.as_ref().filter(|list| list.epoch == target.epoch && list.rev < target.rev);
                Some(Wants {
                    after: after.map(|list| list.rev),
                    staged: u32::try_from(staged.len()).unwrap_or(u32::MAX),
                    chunks: target.chunks,
                    missing: ranges(&staged, target.chunks),
                    epoch: target.epoch,
                    rev: target.rev,
                })
            }
        };
        let (removed, refused) = (self.store.tombstones()?, self.lists.refused.clone());
        Ok(MembersState { list, removed, wants, refused })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sync::FORMAT;

    fn head(kind: Kind, epoch: &str, rev: u64, issued: &str, digest: &str) -> Head {
        Head {
            format: FORMAT.into(),
            kind,
            audience: "a".into(),
            epoch: epoch.into(),
            rev,
            issued: issued.parse().unwrap(),
            count: 1,
            digest: digest.into(),
            chunks: 1,
            chunk: None,
            from: None,
            sha256: None,
            key: String::new(),
            signature: String::new(),
        }
    }

    fn word(head: &Head) -> &'static str {
        let current = Synced {
            epoch: "e1".into(),
            rev: 5,
            count: 1,
            digest: "d5".into(),
            issued: "2026-03-05T00:00:00Z".parse().unwrap(),
            applied_at: "2026-03-05T00:00:00Z".parse().unwrap(),
        };
        match standing(head, Some(&current)) {
            Standing::Known => "known",
            Standing::Newer => "newer",
            Standing::Refused(wrong) => wrong.reason,
        }
    }

    #[test]
    fn a_revision_never_goes_back() {
        let (before, after) = ("2026-03-04T00:00:00Z", "2026-03-06T00:00:00Z");
        for (kind, epoch, rev, issued, digest, expected) in [
            (Kind::Manifest, "e1", 6, before, "d6", "newer"),
            (Kind::Manifest, "e1", 5, after, "d5", "known"),
            (Kind::Manifest, "e1", 5, after, "other", "conflict"),
            (Kind::Manifest, "e1", 4, after, "d4", "rollback"),
            (Kind::Snapshot, "e1", 4, after, "d4", "rollback"),
            (Kind::Delta, "e1", 4, before, "d4", "known"),
            (Kind::Manifest, "e2", 1, after, "x", "newer"),
            (Kind::Manifest, "e0", 99, before, "x", "rollback"),
        ] {
            assert_eq!(word(&head(kind, epoch, rev, issued, digest)), expected, "{kind:?} {epoch} {rev}");
        }
    }
}
