//! Commands from the platform, and the answers.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The words in `format` of a signed command.
pub const COMMAND_FORMAT: &str = "forecourt-command/1";

/// What a box can be told to do. There is no command that runs others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CommandName {
    /// Say again which member list is there, and ask for what is missing.
    MembersRefresh,
    /// Health at once, in the answer.
    SnapshotHealth,
    /// Status, findings and settings without secrets, as a tar archive.
    SupportBundle,
    /// Remove a member at once.
    MemberDelete,
    /// Start the service anew.
    Restart,
    /// Change settings; taken back by itself when the box is not well with them.
    ConfigPatch,
    /// Fetch and install a signed pack of models; taken back by itself when the box is not well with it.
    PackInstall,
}

impl CommandName {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::MembersRefresh,
        Self::SnapshotHealth,
        Self::SupportBundle,
        Self::MemberDelete,
        Self::Restart,
        Self::ConfigPatch,
        Self::PackInstall,
    ];

    /// The word in the topic.
    pub fn word(self) -> &'static str {
        match self {
            Self::MembersRefresh => "members-refresh",
            Self::SnapshotHealth => "snapshot-health",
            Self::SupportBundle => "support-bundle",
            Self::MemberDelete => "member-delete",
            Self::Restart => "restart",
            Self::ConfigPatch => "config-patch",
            Self::PackInstall => "pack-install",
        }
    }

    /// From the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.word() == word)
    }

    /// Does it change something? Then whoever may publish on the broker is not enough: it must be signed.
    pub fn changes(self) -> bool {
        matches!(self, Self::MemberDelete | Self::Restart | Self::ConfigPatch | Self::PackInstall)
    }
}

/// A command, on `cmd/NAME/ID`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// `forecourt-command/1`; needed when it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The name in the topic.
    pub name: String,
    /// The id in the topic: 1 to 64 letters, digits, `-`, `_`, `.`; never used twice.
    pub id: String,
    /// For which boxes: `TENANT`, `TENANT/SITE` or `TENANT/SITE/DEVICE`; needed when it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// When it was given.
    pub issued: Timestamp,
    /// It is not begun after this; at most seven days after `issued`.
    pub expires: Timestamp,
    /// What the command needs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Value>,
    /// With MQTT 3.1.1: a topic below the box's own on which the answer is wanted besides `cmdres/NAME/ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// With MQTT 3.1.1: sent back in the answer as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// Name of the key that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Ed25519 over the canonical form of all other fields, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// How far a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerState {
    /// Written down; will be done.
    Accepted,
    /// Being done.
    Executing,
    /// Done.
    Successful,
    /// Begun and not achieved.
    Failed,
    /// Not begun.
    Refused,
}

impl AnswerState {
    /// Will another answer follow?
    pub fn is_last(self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Refused)
    }
}

/// Why something was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// One word, such as `expired`, `unknown`, `not-authorised`, `not-readable`, `not-allowed`, `not-valid`, `busy`, `id-used`,
    /// `too-many`, `rolled-back`.
    pub code: String,
    /// In words.
    pub words: String,
}

/// An answer, on `cmdres/NAME/ID`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The name in the topic.
    pub name: String,
    /// The id in the topic.
    pub id: String,
    /// How far it is.
    pub state: AnswerState,
    /// By the wall clock of the box.
    pub at: Timestamp,
    /// Why it was refused or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// As it stood in the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
}

/// A command that this box knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capability {
    /// The name in the topic.
    pub command: CommandName,
    /// Must it be signed by a trusted key?
    pub signed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_word_that_leads_back_to_it() {
        for name in CommandName::ALL {
            assert_eq!(CommandName::from_word(name.word()), Some(name));
            assert_eq!(serde_json::to_value(name).unwrap(), name.word());
        }
        assert_eq!(CommandName::from_word("shell"), None);
    }
}
