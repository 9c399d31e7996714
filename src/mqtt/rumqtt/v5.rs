//! MQTT 5 by rumqttc: options, packets to happenings, and what a broker's reasons mean.

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAckProperties, ConnectProperties, ConnectReturnCode, DisconnectReasonCode, Filter, LastWill,
    LastWillProperties, Packet, PubAckReason, Publish, PublishProperties, SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, MqttOptions, StateError};
use std::time::Duration;

use super::super::link::{Happened, Incoming, Lost, Message, Outcome, Refusal, Reply};
use super::{CONNECT_S, INFLIGHT, MAX_PACKET, RECEIVE_MAX, Rumqtt, WILL_DELAY_S, seconds};

impl Rumqtt {
    pub(super) fn v5_options(&self, will: Message) -> Result<MqttOptions, String> {
        let mut options = MqttOptions::new(&self.client_id, &self.address().host, self.address().port);
        options.set_keep_alive(self.keep_alive());
        options.set_clean_start(false);
        options.set_connection_timeout(CONNECT_S);
        options.set_outgoing_inflight_upper_limit(INFLIGHT);
        options.set_manual_acks(true);
        let mut properties = ConnectProperties::new();
        properties.session_expiry_interval = Some(seconds(self.settings.session_expiry));
        properties.receive_maximum = Some(RECEIVE_MAX);
        properties.max_packet_size = Some(MAX_PACKET);
        options.set_connect_properties(properties);
        options.set_last_will(last_will(will));
        if let Some((user, password)) = self.credentials()? {
            options.set_credentials(user, password);
        }
        if let Some(transport) = self.transport()? {
            options.set_transport(transport);
        }
        Ok(options)
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

pub(super) fn send(client: &AsyncClient, message: Message) -> bool {
    let properties = PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval: message.expiry.map(seconds),
        user_properties: message.properties,
        content_type: Some(message.content_type.to_owned()),
        correlation_data: message.correlation.map(Into::into),
        ..PublishProperties::default()
    };
    let (topic, payload) = (message.topic, message.payload);
    client.try_publish_with_properties(topic, QoS::AtLeastOnce, message.retain, payload, properties).is_ok()
}

pub(super) fn subscribe(client: &AsyncClient, filters: &[String]) -> bool {
    client.try_subscribe_many(filters.iter().map(|filter| Filter::new(filter, QoS::AtLeastOnce))).is_ok()
}

pub(super) fn acknowledge(client: &AsyncClient, id: u16) -> bool {
    client.try_ack(&Publish { pkid: id, qos: QoS::AtLeastOnce, ..Publish::default() }).is_ok()
}

pub(super) fn happened(event: Event) -> Happened {
    match event {
        Event::Incoming(Packet::ConnAck(ack)) => connected(ack.session_present, ack.properties.as_ref()),
        Event::Outgoing(Outgoing::Publish(id)) if id != 0 => Happened::Numbered(id),
        Event::Outgoing(Outgoing::AwaitAck(_)) => Happened::Collided,
        Event::Outgoing(Outgoing::Disconnect) => Happened::Farewell,
        Event::Outgoing(_) => Happened::Nothing,
        Event::Incoming(Packet::PubAck(ack)) => Happened::Answered(ack.pkid, outcome(ack.reason)),
        Event::Incoming(Packet::SubAck(ack)) => Happened::Subscribed(subscribed(&ack.return_codes)),
        Event::Incoming(Packet::Publish(publish)) => Happened::Came(incoming(publish)),
        Event::Incoming(_) => Happened::Heard,
    }
}

fn connected(session_present: bool, properties: Option<&ConnAckProperties>) -> Happened {
    let keep_alive = properties.and_then(|each| each.server_keep_alive);
    Happened::Connected {
        session_present,
        receive_max: properties.and_then(|each| each.receive_max).unwrap_or(u16::MAX),
        max_packet: properties.and_then(|each| each.max_packet_size),
        keep_alive: keep_alive.map(|seconds| Duration::from_secs(seconds.into())),
    }
}

fn incoming(publish: Publish) -> Incoming {
    let wanted = publish.qos == QoS::AtLeastOnce;
    let properties = publish.properties.unwrap_or_default();
    let correlation = properties.correlation_data.map(|data| data.to_vec());
    Incoming {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload.to_vec(),
        retained: publish.retain,
        reply: properties.response_topic.map(|topic| Reply { topic, correlation }),
        id: wanted.then_some(publish.pkid),
    }
}

fn subscribed(codes: &[SubscribeReasonCode]) -> Result<(), String> {
    let refused = codes.iter().find(|code| !matches!(code, SubscribeReasonCode::Success(_)));
    refused.map_or(Ok(()), |code| Err(format!("{code:?}")))
}

fn outcome(reason: PubAckReason) -> Outcome {
    let refusal = match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => return Outcome::Accepted,
        PubAckReason::NotAuthorized => Refusal::NotAuthorised,
        PubAckReason::QuotaExceeded => Refusal::Quota,
        PubAckReason::TopicNameInvalid => Refusal::Topic,
        _ => Refusal::Other,
    };
    Outcome::Refused { refusal, reason: format!("{reason:?}") }
}

pub(super) fn lost(error: &ConnectionError) -> Lost {
    let refusal = match error {
        ConnectionError::ConnectionRefused(code) => Some(refused(*code)),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            Some(disconnected(*reason_code))
        }
        _ => None,
    };
    Lost { refusal, words: error.to_string() }
}

fn refused(code: ConnectReturnCode) -> Refusal {
    use ConnectReturnCode as Code;
    match code {
        Code::BadUserNamePassword | Code::BadAuthenticationMethod => Refusal::Credentials,
        Code::NotAuthorized | Code::Banned | Code::BadClientId | Code::ClientIdentifierNotValid => {
            Refusal::NotAuthorised
        }
        Code::QuotaExceeded | Code::ConnectionRateExceeded => Refusal::Quota,
        Code::PacketTooLarge => Refusal::TooLarge,
        Code::TopicNameInvalid => Refusal::Topic,
        Code::ServiceUnavailable | Code::ServerUnavailable | Code::ServerBusy => Refusal::Unavailable,
        Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion => Refusal::Version,
        _ => Refusal::Other,
    }
}

fn disconnected(code: DisconnectReasonCode) -> Refusal {
    use DisconnectReasonCode as Code;
    match code {
        Code::NotAuthorized | Code::AdministrativeAction => Refusal::NotAuthorised,
        Code::QuotaExceeded | Code::MessageRateTooHigh | Code::ConnectionRateExceeded => Refusal::Quota,
        Code::ReceiveMaximumExceeded => Refusal::Quota,
        Code::PacketTooLarge => Refusal::TooLarge,
        Code::TopicNameInvalid | Code::TopicFilterInvalid => Refusal::Topic,
        Code::SessionTakenOver => Refusal::TakenOver,
        Code::ServerBusy | Code::ServerShuttingDown | Code::UseAnotherServer | Code::ServerMoved => {
            Refusal::Unavailable
        }
        _ => Refusal::Other,
    }
}
