//! Names on the broker: `<root>/<tenant>/<site>/<device>/…`, and what is said on `state/online`.

use serde_json::json;

use super::link::Message;
use crate::config::{Mqtt, Site};

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
        let says = json!({
            "online": online, "session": session, "epoch": epoch, "version": env!("CARGO_PKG_VERSION"),
        });
        Message {
            topic: self.whole("state/online"),
            payload: says.to_string().into_bytes(),
            retain: true,
            content_type: "application/json",
            properties: Vec::new(),
            expiry: None,
            correlation: None,
        }
    }
}
