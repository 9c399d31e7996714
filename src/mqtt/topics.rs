//! Names on the broker: `<root>/<tenant>/<site>/<device>/…`, and what is said on `state/online`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::link::Message;
use crate::config::{Mqtt, Site};

/// What stands on `state/online`: is the box there?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Presence {
    /// True from the start of a connection to its end.
    pub online: bool,
    /// Number of the connection; it only grows. A message with a lower one than the last is out of date.
    pub session: u64,
    /// Epoch of the outbox, as in the ids of events.
    pub epoch: String,
    /// Version of the program.
    pub version: String,
}

/// The topics of one box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    root: String,
}

impl Topics {
    /// The topics of the box that the settings name.
    pub fn new(site: &Site, mqtt: &Mqtt) -> Self {
        let root = mqtt.topic_root.trim_matches('/');
        Self { root: format!("{root}/{}/{}/{}", site.tenant, site.site, site.device) }
    }

    /// Everything before the relative part, without a slash at the end.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The whole of a relative topic, such as `evt/arrival`.
    pub fn whole(&self, relative: &str) -> String {
        format!("{}/{relative}", self.root)
    }

    /// May it be published to? No wildcard, no NUL, not too long.
    pub(super) fn is_valid(topic: &str) -> bool {
        !topic.is_empty() && topic.len() <= usize::from(u16::MAX) && !topic.contains(['+', '#', '\0'])
    }

    /// What stands on `state/online`: retained, so that a late subscriber learns it too. A consumer ignores a message
    /// whose `session` is lower than one it has seen: a will may come long after its connection was replaced.
    pub(super) fn presence(&self, online: bool, session: u64, epoch: &str) -> Message {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let says = Presence { online, session, epoch: epoch.to_owned(), version };
        Message {
            topic: self.whole("state/online"),
            payload: serde_json::to_vec(&says).expect("words and numbers can be written"),
            retain: true,
            content_type: "application/json",
            properties: Vec::new(),
            expiry: None,
            correlation: None,
        }
    }
}
