//! What a box says of itself on its retained topics; never anything about a member.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Capability;

/// Most ranges of missing chunks that are told at once.
const MOST_RANGES: usize = 64;

/// The list that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Synced {
    /// Name of the line of revisions.
    pub epoch: String,
    /// Revision.
    pub rev: u64,
    /// Members of it.
    pub count: u64,
    /// Its digest.
    pub digest: String,
    /// When its head was signed.
    pub issued: Timestamp,
    /// When it came into force.
    pub applied_at: Timestamp,
}

/// What the box needs to reach the newest revision that it knows of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wants {
    /// Line of revisions.
    pub epoch: String,
    /// Revision.
    pub rev: u64,
    /// Deltas after this revision would do as well; absent: only the snapshot does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Chunks of the snapshot that are here.
    pub staged: u32,
    /// Chunks of the snapshot in all.
    pub chunks: u32,
    /// The first ranges of chunks that are missing: first and last.
    pub missing: Vec<[u32; 2]>,
}

/// The last piece that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// One word: `not-trusted`, `audience`, `rollback`, `conflict`, `damaged`, `not-readable`, `format`, `too-large`, `too-many`, `member`,
    /// `duplicate`, `digest`, `count`.
    pub reason: String,
    /// In words.
    pub words: String,
    /// When.
    pub at: Timestamp,
    /// How many were refused since the start of the service.
    pub refused: u64,
}

/// `state/members`: the acknowledgement of member lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MembersState {
    /// The list in force; null: none was ever applied.
    pub list: Option<Synced>,
    /// Members that were removed on the box since that revision; they stay removed until their line in the list changes.
    pub removed: u64,
    /// What is missing; null: nothing.
    pub wants: Option<Wants>,
    /// The last piece that was refused; null: none.
    pub refused: Option<Refusal>,
}

/// `state/device`: what this box is and can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceFacts {
    /// The device: `/forecourt/TENANT/SITE/DEVICE`.
    pub source: String,
    /// Version of the program.
    pub version: String,
    /// Kind of processor.
    pub architecture: String,
    /// Which run of the operating system.
    pub boot_id: String,
    /// When the service started.
    pub started_at: Timestamp,
    /// Names of the cameras.
    pub cameras: Vec<String>,
    /// Commands that it knows.
    pub capabilities: Vec<Capability>,
    /// Largest message that it takes, in bytes.
    pub max_packet: u32,
}

/// `state/models`: with what it recognises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelFacts {
    /// Packs by purpose, as the settings name them.
    pub plates: Vec<String>,
    /// The same for faces.
    pub faces: Vec<String>,
    /// Grammar of plates.
    pub region: String,
}

/// `state/config`: which settings are in force, without telling them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigFacts {
    /// SHA-256 of the settings in their canonical form; another one means other settings.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: String,
    /// Version of the program whose settings they are.
    pub version: String,
    /// Keys whose values came with `config-patch`; everything else is as it stands in the box's own file.
    #[serde(default)]
    pub patched: Vec<String>,
    /// Id of the command whose change, of settings or of a pack, is on probation; null: none.
    #[serde(default)]
    pub probation: Option<String>,
}

/// The ranges of numbers below `all` that are not in `held` (sorted), the first ones.
pub fn ranges(held: &[u32], all: u32) -> Vec<[u32; 2]> {
    let mut missing = Vec::new();
    let mut next = 0;
    for &number in held.iter().chain(std::iter::once(&all)) {
        if number > next {
            missing.push([next, number - 1]);
        }
        next = number.saturating_add(1);
        if missing.len() == MOST_RANGES {
            break;
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_in_ranges() {
        assert_eq!(ranges(&[], 3), [[0, 2]]);
        assert_eq!(ranges(&[0, 1, 2], 3), [[0_u32; 2]; 0]);
        assert_eq!(ranges(&[1, 4], 6), [[0, 0], [2, 3], [5, 5]]);
        let every_other: Vec<u32> = (0..400).filter(|n| n % 2 == 1).collect();
        assert_eq!(ranges(&every_other, 400).len(), 64);
    }
}
