//! MQTT 3.1.1 by rumqttc, for brokers without MQTT 5.
//!
//! What is lost with it: reasons of refusals (such a broker acknowledges what it throws away), properties, expiry, the
//! delay of the will, the limit of unacknowledged messages towards the box, and response topics.

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, LastWill, MqttOptions, Outgoing, Packet, Publish, QoS,
    SubscribeFilter, SubscribeReasonCode,
};

use super::super::link::{Happened, Incoming, Lost, Message, Outcome, Refusal};
use super::{INFLIGHT, MAX_PACKET, Rumqtt};

impl Rumqtt {
    pub(super) fn v3_options(&self, will: Message) -> Result<MqttOptions, String> {
        let mut options = MqttOptions::new(&self.client_id, &self.address().host, self.address().port);
        options.set_keep_alive(self.keep_alive());
        options.set_clean_session(false);
        options.set_inflight(INFLIGHT);
        options.set_manual_acks(true);
        options.set_max_packet_size(MAX_PACKET as usize, 4 * MAX_PACKET as usize);
        options.set_last_will(LastWill::new(will.topic, will.payload, QoS::AtLeastOnce, will.retain));
        if let Some((user, password)) = self.credentials()? {
            options.set_credentials(user, password);
        }
        if let Some(transport) = self.transport()? {
            options.set_transport(transport);
        }
        Ok(options)
    }
}

pub(super) fn send(client: &AsyncClient, message: Message) -> bool {
    client.try_publish(message.topic, QoS::AtLeastOnce, message.retain, message.payload).is_ok()
}

pub(super) fn subscribe(client: &AsyncClient, filters: &[String]) -> bool {
    let filters = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
    client.try_subscribe_many(filters).is_ok()
}

pub(super) fn acknowledge(client: &AsyncClient, id: u16) -> bool {
    let mut publish = Publish::new("", QoS::AtLeastOnce, Vec::new());
    publish.pkid = id;
    client.try_ack(&publish).is_ok()
}

pub(super) fn happened(event: Event) -> Happened {
    match event {
        Event::Incoming(Packet::ConnAck(ack)) => Happened::Connected {
            session_present: ack.session_present,
            receive_max: u16::MAX,
            max_packet: None,
            keep_alive: None,
        },
        Event::Outgoing(Outgoing::Publish(id)) if id != 0 => Happened::Numbered(id),
        Event::Outgoing(Outgoing::AwaitAck(_)) => Happened::Collided,
        Event::Outgoing(Outgoing::Disconnect) => Happened::Farewell,
        Event::Outgoing(_) => Happened::Nothing,
        Event::Incoming(Packet::PubAck(ack)) => Happened::Answered(ack.pkid, Outcome::Accepted),
        Event::Incoming(Packet::SubAck(ack)) => {
            let refused = ack.return_codes.contains(&SubscribeReasonCode::Failure);
            Happened::Subscribed(if refused { Err("Failure".to_owned()) } else { Ok(()) })
        }
        Event::Incoming(Packet::Publish(publish)) => Happened::Came(Incoming {
            id: (publish.qos == QoS::AtLeastOnce).then_some(publish.pkid),
            topic: publish.topic,
            payload: publish.payload.to_vec(),
            retained: publish.retain,
            reply: None,
        }),
        Event::Incoming(_) => Happened::Heard,
    }
}

pub(super) fn lost(error: &ConnectionError) -> Lost {
    let refusal = match error {
        ConnectionError::ConnectionRefused(code) => Some(match code {
            ConnectReturnCode::BadUserNamePassword => Refusal::Credentials,
            ConnectReturnCode::NotAuthorized | ConnectReturnCode::BadClientId => Refusal::NotAuthorised,
            ConnectReturnCode::ServiceUnavailable => Refusal::Unavailable,
            ConnectReturnCode::RefusedProtocolVersion => Refusal::Version,
            ConnectReturnCode::Success => Refusal::Other,
        }),
        _ => None,
    };
    Lost { refusal, words: error.to_string() }
}
