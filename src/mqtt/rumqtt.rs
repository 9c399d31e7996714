//! The link over rumqttc, MQTT 5. The only file that names the library.
//!
//! What it is known for, and what is done about it:
//! - It drops what it holds when the broker has no session, keeps what was queued while away and sends it later, and
//!   forgets to clear a packet-id collision: every connection gets a new event loop, nothing is carried over, and
//!   whatever is not acknowledged is read from the queue again.
//! - Acknowledgements that came in one read with an error are still told ([`Events::left_over`]).
//! - A refused PUBACK is only logged by it: the reason is read here.
//! - Its limit of 10 KiB a packet is raised, its connection time-out covers TCP, TLS and CONNACK.
//! - It reconnects at once: `publisher` makes the pauses.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectProperties, LastWill, LastWillProperties, Packet, PubAckReason, PublishProperties,
};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use rumqttc::{Outgoing, TlsConfiguration, Transport};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::address::Address;
use super::link::{Events, Happened, Link, Message, Outcome, Sender};
use crate::config;

/// Largest packet that is taken from the broker.
const MAX_PACKET: u32 = 256 * 1024;
/// Packet ids that the library may use; far above any window, so that none comes up while in use.
const INFLIGHT: u16 = 200;
/// TCP, TLS and CONNACK together; a small box needs seconds for a key.
const CONNECT_S: u64 = 20;
/// The broker waits so long before it publishes the will: a flap is not told.
const WILL_DELAY_S: u32 = 45;
/// Unacknowledged publishes that the broker may send us at once.
const RECEIVE_MAX: u16 = 20;
/// Where Debian keeps the authorities that the world trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Connections over rumqttc. Files are read anew for each one, so that a renewed certificate needs no restart.
pub struct Rumqtt {
    address: Address,
    client_id: String,
    settings: config::Mqtt,
}

impl Rumqtt {
    /// Connections to the broker that the settings name.
    ///
    /// # Errors
    /// In words, when `mqtt.url` is no address.
    pub fn new(settings: &config::Mqtt, site: &config::Site) -> Result<Self, String> {
        let address = Address::parse(&settings.url)?;
        let client_id = match settings.client_id.as_str() {
            "" => format!("{}-{}-{}", site.tenant, site.site, site.device),
            id => id.to_owned(),
        };
        Ok(Self { address, client_id, settings: settings.clone() })
    }

    fn options(&self, will: Message) -> Result<MqttOptions, String> {
        let mut options = MqttOptions::new(&self.client_id, &self.address.host, self.address.port);
        // The library refuses less than five seconds.
        options.set_keep_alive(self.settings.keep_alive.max(Duration::from_secs(5)));
        options.set_clean_start(false);
        options.set_connection_timeout(CONNECT_S);
        options.set_outgoing_inflight_upper_limit(INFLIGHT);
        let mut properties = ConnectProperties::new();
        properties.session_expiry_interval = Some(seconds(self.settings.session_expiry));
        properties.receive_maximum = Some(RECEIVE_MAX);
        properties.max_packet_size = Some(MAX_PACKET);
        options.set_connect_properties(properties);
        options.set_last_will(last_will(will));
        if let Some(user) = &self.settings.username {
            let password = self.settings.password_file.as_deref().map(password).transpose()?.unwrap_or_default();
            options.set_credentials(user, password);
        }
        if self.address.encrypted {
            let tls = tls(&self.settings)?;
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(tls))));
        }
        Ok(options)
    }
}

impl Link for Rumqtt {
    type Sender = AsyncClient;
    type Events = EventLoop;

    fn dial(&mut self, will: Message) -> Result<(AsyncClient, EventLoop), String> {
        // The window is far below this: the channel never fills.
        Ok(AsyncClient::new(self.options(will)?, usize::from(INFLIGHT)))
    }
}

impl Sender for AsyncClient {
    fn send(&self, message: Message) -> bool {
        let properties = PublishProperties {
            payload_format_indicator: Some(1),
            message_expiry_interval: message.expiry.map(seconds),
            user_properties: message.properties,
            content_type: Some(message.content_type.to_owned()),
            ..PublishProperties::default()
        };
        let (topic, payload) = (message.topic, message.payload);
        self.try_publish_with_properties(topic, QoS::AtLeastOnce, message.retain, payload, properties).is_ok()
    }

    fn farewell(&self) {
        // A full channel means a dead connection: the will tells it then.
        let _ = self.try_disconnect();
    }
}

impl Events for EventLoop {
    async fn next(&mut self) -> Result<Happened, String> {
        self.poll().await.map(|event| happened(&event)).map_err(|error| error.to_string())
    }

    fn left_over(&mut self) -> Vec<Happened> {
        self.state.events.drain(..).map(|event| happened(&event)).collect()
    }
}

fn happened(event: &Event) -> Happened {
    match event {
        Event::Incoming(Packet::ConnAck(ack)) => {
            let properties = ack.properties.as_ref();
            Happened::Connected {
                session_present: ack.session_present,
                receive_max: properties.and_then(|each| each.receive_max).unwrap_or(u16::MAX),
                max_packet: properties.and_then(|each| each.max_packet_size),
            }
        }
        Event::Outgoing(Outgoing::Publish(id)) if *id != 0 => Happened::Numbered(*id),
        Event::Outgoing(Outgoing::AwaitAck(_)) => Happened::Collided,
        Event::Outgoing(Outgoing::Disconnect) => Happened::Farewell,
        Event::Incoming(Packet::PubAck(ack)) => Happened::Answered(ack.pkid, outcome(ack.reason)),
        _ => Happened::Nothing,
    }
}

fn outcome(reason: PubAckReason) -> Outcome {
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Outcome::Accepted,
        refusal => Outcome::Refused { reason: format!("{refusal:?}"), quota: refusal == PubAckReason::QuotaExceeded },
    }
}

fn last_will(message: Message) -> LastWill {
    let properties = LastWillProperties {
        delay_interval: Some(WILL_DELAY_S),
        payload_format_indicator: Some(1),
        message_expiry_interval: None,
        content_type: Some(message.content_type.to_owned()),
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
    };
    LastWill::new(message.topic, message.payload, QoS::AtLeastOnce, message.retain, Some(properties))
}

fn seconds(length: Duration) -> u32 {
    u32::try_from(length.as_secs()).unwrap_or(u32::MAX)
}

fn password(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("cannot read mqtt.password_file `{}`: {error}", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// TLS 1.3 or 1.2 by ring; the box's own certificate when one is set.
fn tls(settings: &config::Mqtt) -> Result<ClientConfig, String> {
    let authorities = settings.ca_file.clone().unwrap_or_else(|| PathBuf::from(SYSTEM_AUTHORITIES));
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates("mqtt.ca_file", &authorities)?);
    if added == 0 {
        return Err(format!("mqtt.ca_file `{}` holds no certificate that can be used", authorities.display()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(roots);
    match (&settings.certificate_file, &settings.key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates("mqtt.certificate_file", certificate)?;
            let wrong = |error: &dyn std::fmt::Display| format!("mqtt.key_file `{}`: {error}", key.display());
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(&error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| wrong(&error))
        }
        _ => Err("mqtt.certificate_file and mqtt.key_file belong together; set both or none".into()),
    }
}

fn certificates(setting: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let words = |error: &dyn std::fmt::Display| format!("cannot read {setting} `{}`: {error}", file.display());
    let all = CertificateDer::pem_file_iter(file).map_err(|error| words(&error))?;
    all.collect::<Result<_, _>>().map_err(|error| words(&error))
}
