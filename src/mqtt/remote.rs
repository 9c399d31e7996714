//! A client on the platform's side, for `forecourt members publish`: publishes with QoS 1 and hears what a box says of
//! itself. One thing after the other; no more is needed there.

use std::time::{Duration, Instant};

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason, SubscribeReasonCode};
use rumqttc::v5::{Client, Connection, Event, MqttOptions};
use rumqttc::{Outgoing, TlsConfiguration, Transport};

use super::address::Address;
use super::rumqtt::MAX_PACKET;
use super::tls;
use crate::config;

/// How long the broker may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Messages that may be on the wire.
const CAPACITY: usize = 64;

/// A connected client.
pub struct Remote {
    client: Client,
    connection: Connection,
    /// What came in while something else was waited for.
    heard: Vec<(String, Vec<u8>)>,
}

impl Remote {
    /// Connects to the broker of `settings` under a name of its own.
    ///
    /// # Errors
    /// In words: a setting, the network, or the broker is against it.
    pub fn connect(settings: &config::Mqtt) -> Result<Self, String> {
        let address = Address::parse(&settings.url)?;
        let name = format!("forecourt-publish-{:08x}", fastrand::u32(..));
        let mut options = MqttOptions::new(name, &address.host, address.port);
        options.set_clean_start(true);
        options.set_max_packet_size(Some(4 * MAX_PACKET));
        options.set_keep_alive(Duration::from_secs(30));
        if let Some(user) = &settings.username {
            let password = settings.password_file.as_deref().map(super::rumqtt::password).transpose()?;
            options.set_credentials(user, password.unwrap_or_default());
        }
        if address.encrypted {
            let tls = tls::client(settings)?;
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(std::sync::Arc::new(tls))));
        }
        let (client, connection) = Client::new(options, CAPACITY);
        let mut remote = Self { client, connection, heard: Vec::new() };
        remote.wait(PATIENCE, "the broker does not accept the connection", |packet| {
            matches!(packet, Packet::ConnAck(_)).then_some(Ok(()))
        })?;
        Ok(remote)
    }

    /// Hears what is published on `filter` from now on, and what the broker kept.
    ///
    /// # Errors
    /// In words, when the broker refuses.
    pub fn subscribe(&mut self, filter: &str) -> Result<(), String> {
        self.client.subscribe(filter, QoS::AtLeastOnce).map_err(|error| error.to_string())?;
        self.wait(PATIENCE, "the broker does not confirm a subscription", |packet| match packet {
            Packet::SubAck(ack) => Some(match ack.return_codes.first() {
                Some(SubscribeReasonCode::Success(_)) => Ok(()),
                other => Err(format!("the broker refuses the subscription: {other:?}")),
            }),
            _ => None,
        })
    }

    /// Publishes and waits for the broker's acknowledgement.
    ///
    /// # Errors
    /// In words, when the broker refuses or the connection is lost.
    pub fn publish(&mut self, topic: &str, payload: Vec<u8>, retain: bool) -> Result<(), String> {
        let sent = self.client.publish(topic, QoS::AtLeastOnce, retain, payload);
        sent.map_err(|error| error.to_string())?;
        self.wait(PATIENCE, "the broker does not acknowledge a message", |packet| match packet {
            Packet::PubAck(ack) => Some(match ack.reason {
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
                refusal => Err(format!("the broker refuses `{topic}`: {refusal:?}")),
            }),
            _ => None,
        })
    }

    /// The next message, topic and bytes; `None`: none came within `limit`.
    ///
    /// # Errors
    /// In words, when the connection is lost.
    pub fn hear(&mut self, limit: Duration) -> Result<Option<(String, Vec<u8>)>, String> {
        if self.heard.is_empty() {
            let until = Instant::now() + limit;
            while self.heard.is_empty() && self.step(until)?.is_some() {}
        }
        Ok(if self.heard.is_empty() { None } else { Some(self.heard.remove(0)) })
    }

    /// Says farewell; what was published is with the broker already.
    pub fn leave(mut self) {
        if self.client.disconnect().is_ok() {
            let until = Instant::now() + Duration::from_secs(2);
            while let Ok(Some(event)) = self.step(until) {
                if matches!(event, Event::Outgoing(Outgoing::Disconnect)) {
                    return;
                }
            }
        }
    }

    /// The next event before `until`; messages are put aside.
    fn step(&mut self, until: Instant) -> Result<Option<Event>, String> {
        let left = until.saturating_duration_since(Instant::now());
        match self.connection.recv_timeout(left) {
            Ok(Ok(event)) => {
                if let Event::Incoming(Packet::Publish(publish)) = &event {
                    let topic = String::from_utf8_lossy(&publish.topic).into_owned();
                    self.heard.push((topic, publish.payload.to_vec()));
                }
                Ok(Some(event))
            }
            Ok(Err(error)) => Err(format!("the connection to the broker is lost: {error}")),
            Err(_) => Ok(None),
        }
    }

    fn wait(
        &mut self,
        limit: Duration,
        complaint: &str,
        mut found: impl FnMut(&Packet) -> Option<Result<(), String>>,
    ) -> Result<(), String> {
        let until = Instant::now() + limit;
        loop {
            match self.step(until)? {
                Some(Event::Incoming(packet)) => {
                    if let Some(answer) = found(&packet) {
                        return answer;
                    }
                }
                Some(Event::Outgoing(_)) => {}
                None => return Err(format!("{complaint} within {limit:?}")),
            }
        }
    }
}
