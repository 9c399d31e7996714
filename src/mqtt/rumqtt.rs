//! The link over rumqttc, MQTT 5 or 3.1.1. Only this file and the two below it name the library.
//!
//! What it is known for, and what is done about it:
//! - It drops what it holds when the broker has no session, keeps what was queued while away and sends it later, and
//!   forgets to clear a packet-id collision: every connection gets a new event loop, nothing is carried over, and
//!   whatever is not acknowledged is read from the queue again.
//! - Acknowledgements that came in one read with an error are still told ([`Events::left_over`]).
//! - A refused PUBACK is only logged by it: the reason is read here.
//! - Its limit of 10 KiB a packet is raised, its connection time-out covers TCP, TLS and CONNACK.
//! - It reconnects at once and never subscribes again: `publisher` makes the pauses and the subscriptions.
//! - It acknowledges what came in before anybody has looked at it: acknowledgements are made by hand.

mod v3;
mod v5;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{TlsConfiguration, Transport};

use super::address::Address;
use super::link::{Events, Happened, Link, Lost, Message, Sender};
use super::tls::{self, Seals};
use crate::config::{self, Protocol};

/// Largest packet that is taken from the broker.
pub const MAX_PACKET: u32 = 256 * 1024;
/// Packet ids that the library may use; far above any window, so that none comes up while in use.
const INFLIGHT: u16 = 200;
/// TCP, TLS and CONNACK together; a small box needs seconds for a key.
const CONNECT_S: u64 = 20;
/// The broker waits so long before it publishes the will: a flap is not told.
const WILL_DELAY_S: u32 = 45;
/// Unacknowledged publishes that the broker may send us at once.
pub(super) const RECEIVE_MAX: u16 = 20;

/// Connections over rumqttc. Files are read anew for each one, so that a renewed certificate needs no restart.
pub struct Rumqtt {
    /// In order of preference.
    addresses: Vec<Address>,
    /// Which of them comes next.
    turn: usize,
    client_id: String,
    settings: config::Mqtt,
    seals: Seals,
}

/// The sending end.
pub enum Client {
    /// MQTT 5.
    V5(rumqttc::v5::AsyncClient),
    /// MQTT 3.1.1.
    V3(rumqttc::AsyncClient),
}

/// The other end.
pub enum Loop {
    /// MQTT 5.
    V5(Box<rumqttc::v5::EventLoop>),
    /// MQTT 3.1.1.
    V3(Box<rumqttc::EventLoop>),
}

impl Rumqtt {
    /// Connections to the brokers that the settings name.
    ///
    /// # Errors
    /// In words, when one of them is no address.
    pub fn new(settings: &config::Mqtt, site: &config::Site) -> Result<Self, String> {
        let urls = std::iter::once(&settings.url).chain(&settings.fallback_urls);
        let addresses = urls.map(|url| Address::parse(url)).collect::<Result<Vec<_>, _>>()?;
        let client_id = match settings.client_id.as_str() {
            "" => format!("{}-{}-{}", site.tenant, site.site, site.device),
            id => id.to_owned(),
        };
        Ok(Self { addresses, turn: 0, client_id, settings: settings.clone(), seals: Seals::default() })
    }

    fn address(&self) -> &Address {
        &self.addresses[self.turn % self.addresses.len()]
    }

    /// The library refuses less than five seconds.
    fn keep_alive(&self) -> Duration {
        self.settings.keep_alive.max(Duration::from_secs(5))
    }

    fn credentials(&self) -> Result<Option<(String, String)>, String> {
        let Some(user) = &self.settings.username else { return Ok(None) };
        let password = self.settings.password_file.as_deref().map(password).transpose()?.unwrap_or_default();
        Ok(Some((user.clone(), password)))
    }

    fn transport(&self) -> Result<Option<Transport>, String> {
        if !self.address().encrypted {
            return Ok(None);
        }
        let tls = tls::client(&self.settings)?;
        Ok(Some(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(tls)))))
    }
}

impl Link for Rumqtt {
    type Sender = Client;
    type Events = Loop;

    fn dial(&mut self, will: Message) -> Result<(Client, Loop), String> {
        self.seals = Seals::now(&self.settings);
        // The window is far below the capacity: the channel never fills.
        let capacity = usize::from(INFLIGHT);
        Ok(match self.settings.protocol {
            Protocol::Mqtt5 => {
                let (client, events) = rumqttc::v5::AsyncClient::new(self.v5_options(will)?, capacity);
                (Client::V5(client), Loop::V5(Box::new(events)))
            }
            Protocol::Mqtt311 => {
                let (client, mut events) = rumqttc::AsyncClient::new(self.v3_options(will)?, capacity);
                events.network_options.set_connection_timeout(CONNECT_S);
                (Client::V3(client), Loop::V3(Box::new(events)))
            }
        })
    }

    /// Goes down the list while none answers, and begins at its top after a connection that had come about.
    fn ended(&mut self, was_accepted: bool) {
        self.turn = if was_accepted { 0 } else { (self.turn + 1) % self.addresses.len() };
    }

    fn broker(&self) -> String {
        let Address { host, port, .. } = self.address();
        format!("{host}:{port}")
    }

    fn renewed(&self) -> bool {
        self.seals.were_replaced(&Seals::now(&self.settings))
    }
}

impl Sender for Client {
    fn send(&self, message: Message) -> bool {
        match self {
            Self::V5(client) => v5::send(client, message),
            Self::V3(client) => v3::send(client, message),
        }
    }

    fn subscribe(&self, filters: &[String]) -> bool {
        match self {
            Self::V5(client) => v5::subscribe(client, filters),
            Self::V3(client) => v3::subscribe(client, filters),
        }
    }

    fn acknowledge(&self, id: u16) -> bool {
        match self {
            Self::V5(client) => v5::acknowledge(client, id),
            Self::V3(client) => v3::acknowledge(client, id),
        }
    }

    fn farewell(&self) {
        // A full channel means a dead connection: the will tells it then.
        match self {
            Self::V5(client) => drop(client.try_disconnect()),
            Self::V3(client) => drop(client.try_disconnect()),
        }
    }
}

impl Events for Loop {
    async fn next(&mut self) -> Result<Happened, Lost> {
        match self {
            Self::V5(events) => events.poll().await.map(v5::happened).map_err(|error| v5::lost(&error)),
            Self::V3(events) => events.poll().await.map(v3::happened).map_err(|error| v3::lost(&error)),
        }
    }

    fn left_over(&mut self) -> Vec<Happened> {
        match self {
            Self::V5(events) => events.state.events.drain(..).map(v5::happened).collect(),
            Self::V3(events) => events.state.events.drain(..).map(v3::happened).collect(),
        }
    }
}

fn seconds(length: Duration) -> u32 {
    u32::try_from(length.as_secs()).unwrap_or(u32::MAX)
}

pub(super) fn password(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("cannot read mqtt.password_file `{}`: {error}", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_tried_in_order_and_the_first_again_after_a_good_connection() {
        let settings = config::Mqtt {
            url: "mqtt://one".into(),
            fallback_urls: vec!["mqtt://two".into(), "mqtt://three:1884".into()],
            ..config::Mqtt::default()
        };
        let mut link = Rumqtt::new(&settings, &config::Site::default()).unwrap();
        let mut tried = Vec::new();
        for accepted in [false, false, false, false, true] {
            tried.push(link.broker());
            link.ended(accepted);
        }
        assert_eq!(tried, ["one:1883", "two:1883", "three:1884", "one:1883", "two:1883"]);
        assert_eq!(link.broker(), "one:1883");
    }

    #[test]
    fn a_replaced_password_is_noticed_and_one_that_is_being_written_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "one").unwrap();
        let settings = config::Mqtt {
            url: "mqtt://one".into(),
            username: Some("box".into()),
            password_file: Some(file.clone()),
            ..config::Mqtt::default()
        };
        let mut link = Rumqtt::new(&settings, &config::Site::default()).unwrap();
        link.dial(Message::default()).unwrap();
        assert!(!link.renewed());
        std::fs::remove_file(&file).unwrap();
        assert!(!link.renewed(), "it is away for a moment");
        std::fs::write(&file, "another").unwrap();
        assert!(link.renewed());
    }
}
