//! `contract/asyncapi.yaml`: AsyncAPI 3.0, made from the table of channels and from the settings' defaults.

use std::collections::BTreeMap;

use forecourt::config;
use forecourt::mqtt;
use serde_json::{Map, Value, json};

use crate::channels::{Channel, Speaker, channels};

const HEAD: &str = "\
# Written by `FORECOURT_BLESS=1 cargo test --test contract` from the program's types. See docs/events.md.\n";

/// The text of the document; `examples` are those of `contract/examples`, by the name of their message.
pub fn text(examples: &BTreeMap<String, Vec<(String, Value)>>) -> String {
    let document = document(&channels(), examples);
    format!("{HEAD}{}", crate::yaml::document(&document))
}

fn document(channels: &[Channel], examples: &BTreeMap<String, Vec<(String, Value)>>) -> Value {
    let of = |make: &dyn Fn(&Channel) -> Value| -> Value {
        channels.iter().map(|channel| (channel.name.clone(), make(channel))).collect::<Map<_, _>>().into()
    };
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "forecourt",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a box at a car dealer tells the platform and hears from it, over MQTT. Events are \
                CloudEvents 1.0 in the structured JSON format, delivered at least once. Drop repetitions by source and \
                id, order by sequence within source and epoch, match gaps with outbox-dropped, acknowledge after storing.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": { "broker": server() },
        "channels": of(&channel),
        "operations": of(&operation),
        "components": {
            "messages": of(&|each| message(each, examples.get(&each.name).map_or(&[][..], Vec::as_slice))),
            "parameters": parameters(),
            "securitySchemes": {
                "certificate": { "type": "X509", "description": "A certificate of the box; its name is the client id." },
                "password": { "type": "userPassword", "description": "Where certificates cannot be had." },
            },
        },
    })
}

fn server() -> Value {
    let settings = config::Mqtt::default();
    json!({
        "host": "broker.example:8883",
        "protocol": "secure-mqtt",
        "protocolVersion": "5.0",
        "description": "A broker of the platform. MQTT 3.1.1 is the fallback: the same messages without properties.",
        "security": [reference("securitySchemes", "certificate"), reference("securitySchemes", "password")],
        "bindings": { "mqtt": {
            "clientId": "<tenant>-<site>-<device>",
            "cleanSession": false,
            "lastWill": { "topic": address("state/online"), "qos": 1, "retain": true,
                          "message": "The offline form of state-online, published after 45 s." },
            "keepAlive": settings.keep_alive.as_secs(),
            "sessionExpiryInterval": settings.session_expiry.as_secs(),
            "maximumPacketSize": mqtt::MAX_PACKET,
            "bindingVersion": "0.2.0",
        } },
    })
}

fn parameters() -> Value {
    json!({
        "tenant": { "description": "Who operates the boxes (site.tenant)." },
        "site": { "description": "Dealer, shop or car park (site.site)." },
        "device": { "description": "The box (site.device)." },
        "name": { "description": "Name of the command." },
        "id": { "description": "Id of the command; never used twice." },
        "epoch": { "description": "Line of revisions of the member list." },
        "rev": { "description": "Revision of the member list." },
        "chunk": { "description": "Number of a piece of a member list, from 0." },
    })
}

fn channel(channel: &Channel) -> Value {
    let address = address(&channel.topic);
    let words = address.split(['{', '}']).skip(1).step_by(2);
    let parameters: Map<String, Value> = words.map(|word| (word.to_owned(), reference("parameters", word))).collect();
    json!({
        "address": address,
        "description": channel.remark,
        "parameters": parameters,
        "messages": { &channel.name: reference("messages", &channel.name) },
    })
}

fn operation(channel: &Channel) -> Value {
    let mut binding = json!({ "qos": 1, "retain": channel.retained });
    if let Some(expiry) = channel.expiry {
        binding["messageExpiryInterval"] = json!(expiry.as_secs());
    }
    binding["bindingVersion"] = json!("0.2.0");
    json!({
        "action": if channel.speaker == Speaker::Box { "send" } else { "receive" },
        "channel": { "$ref": format!("#/channels/{}", channel.name) },
        "summary": channel.summary(),
        "bindings": { "mqtt": binding },
        "messages": [{ "$ref": format!("#/channels/{0}/messages/{0}", channel.name) }],
    })
}

fn message(channel: &Channel, examples: &[(String, Value)]) -> Value {
    let mut message = json!({
        "name": channel.name,
        "title": channel.schema["title"],
        "summary": channel.summary(),
        "contentType": channel.content_type,
    });
    if !channel.properties.is_empty() {
        message["headers"] = headers(channel);
    }
    message["payload"] = json!({ "$ref": format!("./{}", channel.schema_file()) });
    message["bindings"] = json!({ "mqtt": {
        "payloadFormatIndicator": 1, "contentType": channel.content_type, "bindingVersion": "0.2.0",
    } });
    let shown = examples.iter().map(|(name, payload)| json!({ "name": name, "payload": payload }));
    message["examples"] = shown.collect();
    message
}

/// MQTT 5 user properties.
fn headers(channel: &Channel) -> Value {
    let property = |(name, value): &(&'static str, Option<String>)| {
        let schema = value.as_ref().map_or_else(|| json!({ "type": "string" }), |value| json!({ "const": value }));
        ((*name).to_owned(), schema)
    };
    json!({
        "type": "object",
        "description": "MQTT 5 user properties, for routing without parsing.",
        "properties": channel.properties.iter().map(property).collect::<Map<_, _>>(),
    })
}

fn address(topic: &str) -> String {
    format!("{}/{{tenant}}/{{site}}/{{device}}/{topic}", config::Mqtt::default().topic_root)
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}
