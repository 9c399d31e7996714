//! What waits for the platform, how it gets there, and what it may hold.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration;

/// The durable queue of events.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Outbox {
    /// Most bytes of the database file, in MiB; the oldest of the lowest class goes first.
    pub max_mib: u32,
    /// How long arrivals and departures are kept for a platform that is away.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub keep_arrivals: Duration,
    /// The same for dwell events.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub keep_dwell: Duration,
    /// The same for the expression on leaving.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub keep_expression: Duration,
    /// An event sent later than this after it happened is marked `late`.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub late_after: Duration,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            max_mib: 64,
            keep_arrivals: Duration::from_secs(30 * 86_400),
            keep_dwell: Duration::from_secs(7 * 86_400),
            keep_expression: Duration::from_secs(86_400),
            late_after: Duration::from_secs(60),
        }
    }
}

/// Version of MQTT.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum Protocol {
    /// MQTT 5.
    #[default]
    #[serde(rename = "5")]
    Mqtt5,
    /// MQTT 3.1.1.
    #[serde(rename = "3.1.1")]
    Mqtt311,
}

/// The connection to the platform.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mqtt {
    /// `mqtt://HOST:1883` or `mqtts://HOST:8883`; empty: events wait in the outbox.
    pub url: String,
    /// Further brokers in order of preference, for when `url` is not reached; used until that connection is lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["mqtts://standby.example:8883"])]
    pub fallback_urls: Vec<String>,
    /// `"5"`, or `"3.1.1"` for brokers without MQTT 5: then the reasons of refusals and expiry are lost.
    pub protocol: Protocol,
    /// Client id; `<tenant>-<site>-<device>` when empty.
    pub client_id: String,
    /// User name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"box-1")]
    pub username: Option<String>,
    /// File that holds the password; one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"mqtt.password")]
    pub password_file: Option<PathBuf>,
    /// PEM file of the authority that signed the broker's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"ca.pem")]
    pub ca_file: Option<PathBuf>,
    /// PEM files of this box's certificate and key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"box-1.pem")]
    pub certificate_file: Option<PathBuf>,
    /// See `certificate_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"box-1.key")]
    pub key_file: Option<PathBuf>,
    /// First words of every topic.
    pub topic_root: String,
    /// Time between signs of life.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub keep_alive: Duration,
    /// How long the broker keeps the session of a box that is away.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub session_expiry: Duration,
    /// Publishes that may wait for an acknowledgement at once; 1 to 20.
    pub max_inflight: u16,
    /// Longest pause between two attempts to connect.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub reconnect_max: Duration,
    /// Events a second sent from a backlog; live arrivals go first. 0: no limit.
    pub drain_per_second: u32,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            url: String::new(),
            fallback_urls: Vec::new(),
            protocol: Protocol::Mqtt5,
            client_id: String::new(),
            username: None,
            password_file: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            topic_root: "forecourt/v1".to_owned(),
            keep_alive: Duration::from_secs(30),
            session_expiry: Duration::from_secs(7 * 86_400),
            max_inflight: 16,
            reconnect_max: Duration::from_secs(60),
            drain_per_second: 50,
        }
    }
}

/// How the box is: what is told, and how often.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// Time between two messages on `health`.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub interval: Duration,
}

impl Default for Health {
    fn default() -> Self {
        Self { interval: Duration::from_secs(60) }
    }
}

/// Commands from the platform.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Commands {
    /// Public keys whose commands are obeyed: 64 hexadecimal digits each, or files, named with their folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["./platform.pub"])]
    pub trusted_keys: Vec<String>,
    /// Obey commands that change something although nobody signed them: whoever may publish to the box's topics can then
    /// give them.
    pub unsigned: bool,
    /// Time of service without a fault after which changed settings or a new pack are kept; else they are rolled back.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub probation: Duration,
    /// Folders with the public keys, `*.pub`, of whoever may sign packs of models.
    pub pack_keys: Vec<PathBuf>,
}

impl Default for Commands {
    fn default() -> Self {
        Self {
            trusted_keys: Vec::new(),
            unsigned: false,
            probation: Duration::from_secs(15 * 60),
            // Keys of the site before those of the image.
            pack_keys: ["/etc/forecourt/trust", "/usr/share/forecourt/trust"].map(PathBuf::from).to_vec(),
        }
    }
}

/// What may leave the box, and how what stays on it is protected.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Privacy {
    /// Put the plate string of a member into its events.
    pub plate_in_events: bool,
    /// Tell how many vehicles and people who are no members passed, by the quarter of an hour; numbers below five are
    /// withheld.
    pub stranger_count: bool,
    /// The device key that seals face templates: a file, named with its folder, or the bare name of a systemd credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"forecourt.key")]
    pub key_file: Option<String>,
    /// Without `key_file`: keep a key beside the data. Whoever copies the disk can then read the templates; health says so.
    pub insecure_key: bool,
    /// Members whose validity or lease ended so long ago are removed by `privacy purge` and once a day by the service.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub keep_expired: Duration,
    /// How long the audit log is kept on the box.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub keep_audit: Duration,
}

impl Default for Privacy {
    fn default() -> Self {
        Self {
            plate_in_events: false,
            stranger_count: true,
            key_file: None,
            insecure_key: false,
            keep_expired: Duration::from_secs(30 * 86_400),
            keep_audit: Duration::from_secs(90 * 86_400),
        }
    }
}
