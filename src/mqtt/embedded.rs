//! A broker inside the process, for `forecourt demo`: MQTT 5 on 127.0.0.1 and a free port.
//!
//! It is rumqttd with everything in memory: no user, no password, no file, no session that outlives a connection.
//! It cannot be stopped; it ends with the process. What a visitor sees comes back through [`EmbeddedBroker::subscribe_all`],
//! an ordinary MQTT client on an ordinary connection, so that the demo shows what a platform would see.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Packet};
use rumqttc::v5::{Client, Connection, Event, MqttOptions};
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

/// Longest wait for the broker to listen, and for it to confirm a subscription.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest packet that goes through, in bytes.
const LARGEST_PACKET: u32 = 1 << 20;
/// Messages that wait to be read; when it is full the subscriber waits and the broker keeps what follows.
const WAITING: usize = 1_024;

/// A broker that runs until the process ends.
#[derive(Debug)]
pub struct EmbeddedBroker {
    port: u16,
}

/// Topic and payload of a message.
pub type Message = (String, Vec<u8>);

impl EmbeddedBroker {
    /// Starts it and returns when it listens.
    pub fn start() -> Result<Self> {
        // Another process may take the port between finding and using it: then the next one.
        (0..3).find_map(|_| Self::start_once().transpose()).unwrap_or_else(|| {
            bail!("the broker of the demo does not listen; is the loopback interface up (`ip address show lo`)?")
        })
    }

    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What to write into `mqtt.url`.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Everything that is published from now on, in order. Ends when the receiver is dropped.
    pub fn subscribe_all(&self) -> Result<Receiver<Message>> {
        let mut options = MqttOptions::new("forecourt-visitor", "127.0.0.1", self.port);
        options.set_connect_properties(ConnectProperties {
            max_packet_size: Some(LARGEST_PACKET),
            ..ConnectProperties::new()
        });
        let (client, mut connection) = Client::new(options, 8);
        client.subscribe("#", QoS::AtLeastOnce).context("cannot ask the broker of the demo for its messages")?;
        wait_for_subscription(&mut connection)?;
        let (sender, receiver) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("mqtt-visitor".to_owned())
            .spawn(move || forward(&client, connection, &sender))
            .context("cannot start a thread")?;
        Ok(receiver)
    }

    fn start_once() -> Result<Option<Self>> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .context("there is no free port on 127.0.0.1")?
            .port();
        let mut broker = Broker::new(settings(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        std::thread::Builder::new()
            .name("mqtt-broker".to_owned())
            .spawn(move || {
                if let Err(error) = broker.start() {
                    tracing::warn!(%error, "The demo's broker ended.");
                }
            })
            .context("cannot start a thread")?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(Some(Self { port }));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(None)
    }
}

fn settings(listen: SocketAddr) -> Config {
    let connections = ConnectionSettings {
        connection_timeout_ms: 5_000,
        max_payload_size: LARGEST_PACKET as usize,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let name = "mqtt-broker-v5".to_owned();
    let server = ServerSettings { name: name.clone(), listen, tls: None, next_connection_delay_ms: 1, connections };
    let router = RouterConfig {
        max_connections: 64,
        max_outgoing_packet_count: 200,
        max_segment_size: 1 << 20,
        max_segment_count: 8,
        ..RouterConfig::default()
    };
    Config { router, v5: Some(HashMap::from([(name, server)])), ..Config::default() }
}

fn wait_for_subscription(connection: &mut Connection) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match connection.recv_timeout(left) {
            Ok(Ok(Event::Incoming(Packet::SubAck(_)))) => return Ok(()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error).context("the broker of the demo does not answer"),
            Err(_) => bail!("the broker of the demo did not confirm a subscription within {PATIENCE:?}"),
        }
    }
}

fn forward(client: &Client, mut connection: Connection, sender: &SyncSender<Message>) {
    for event in connection.iter() {
        match event {
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let topic = String::from_utf8_lossy(&publish.topic).into_owned();
                if sender.send((topic, publish.payload.to_vec())).is_err() {
                    // Nobody listens any more.
                    let _ = client.try_disconnect();
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "The demo's subscriber ends.");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Publishes at QoS 1 in a session that is to outlive the connection; returns after the PUBACKs.
    fn publish(broker: &EmbeddedBroker, payloads: &[&str]) {
        let mut options = MqttOptions::new("box-1", "127.0.0.1", broker.port());
        options.set_clean_start(false).set_session_expiry_interval(Some(3_600));
        let (client, mut connection) = Client::new(options, 8);
        for payload in payloads {
            client.publish("forecourt/v1/a/b/c/evt/arrival", QoS::AtLeastOnce, false, payload.to_string()).unwrap();
        }
        let mut missing = payloads.len();
        while missing > 0 {
            if let Event::Incoming(Packet::PubAck(_)) = connection.recv_timeout(PATIENCE).unwrap().unwrap() {
                missing -= 1;
            }
        }
    }

    #[test]
    fn what_is_published_comes_back_also_after_the_client_lost_its_connection() {
        let broker = EmbeddedBroker::start().unwrap();
        let messages = broker.subscribe_all().unwrap();
        publish(&broker, &["1", "2"]);
        publish(&broker, &["3"]);
        for wanted in ["1", "2", "3"] {
            let (topic, payload) = messages.recv_timeout(PATIENCE).unwrap();
            assert_eq!(topic, "forecourt/v1/a/b/c/evt/arrival");
            assert_eq!(payload, wanted.as_bytes());
        }
    }

    #[test]
    fn two_brokers_in_one_process_do_not_hear_each_other() {
        let (one, other) = (EmbeddedBroker::start().unwrap(), EmbeddedBroker::start().unwrap());
        let messages = other.subscribe_all().unwrap();
        publish(&one, &["to one"]);
        publish(&other, &["to the other"]);
        assert_eq!(messages.recv_timeout(PATIENCE).unwrap().1, b"to the other");
    }

    #[test]
    fn a_payload_of_half_a_mebibyte_goes_through() {
        let broker = EmbeddedBroker::start().unwrap();
        let messages = broker.subscribe_all().unwrap();
        let payload = "x".repeat(1 << 19);
        publish(&broker, &[&payload]);
        assert_eq!(messages.recv_timeout(PATIENCE).unwrap().1.len(), 1 << 19);
    }
}
