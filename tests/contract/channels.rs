//! Every topic of the contract, with what is said on it: the table that `asyncapi.yaml` is made of.

use std::time::Duration;

use forecourt::domain::event::{EventClass, EventKind, schema};
use forecourt::domain::sync::{Answer, ConfigFacts, DeviceFacts, Head, MembersState, ModelFacts, Request};
use forecourt::mqtt::{self, Presence};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    Box,
    Platform,
}

/// A topic and its message.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Name of the message, of its schema and of the files.
    pub name: String,
    /// Below `<root>/<tenant>/<site>/<device>/`; words in braces stand for anything.
    pub topic: String,
    pub speaker: Speaker,
    pub retained: bool,
    pub expiry: Option<Duration>,
    pub content_type: &'static str,
    /// Does an MQTT 5 user property carry it as well? (name, value when it is always the same)
    pub properties: Vec<(&'static str, Option<String>)>,
    pub schema: Value,
    /// What is worth knowing beyond the schema.
    pub remark: String,
}

impl Channel {
    /// File of the schema in `contract/`.
    pub fn schema_file(&self) -> String {
        format!("{}.schema.json", self.name)
    }

    /// What the message is, in a sentence.
    pub fn summary(&self) -> String {
        let data = self.schema["properties"]["data"]["$ref"].as_str();
        let definition = data.and_then(|path| self.schema.pointer(path.trim_start_matches('#')));
        let text = definition.unwrap_or(&self.schema)["description"].as_str().unwrap_or_default();
        text.split("\n\n").next().unwrap_or_default().replace('\n', " ")
    }
}

/// All of them, those of the box first.
pub fn channels() -> Vec<Channel> {
    let mut channels: Vec<Channel> = EventKind::ALL.into_iter().map(event).collect();
    channels.push(state::<Presence>(
        "online",
        "Birth, farewell and last will, retained. Ignore a message whose session is lower than one already seen: a will \
         may come long after its connection was replaced.",
    ));
    channels.push(state::<MembersState>("members", "Acknowledges member lists, and says what is missing."));
    channels.push(state::<DeviceFacts>("device", "What this box is and which commands it knows."));
    channels.push(state::<ModelFacts>("models", "With what it recognises."));
    channels.push(state::<ConfigFacts>("config", "Another hash means other settings."));
    channels.push(message::<Answer>(
        "command-answer",
        "cmdres/{name}/{id}",
        Speaker::Box,
        "Sent until the broker has it.",
    ));
    channels.push(message::<Request>("command", "cmd/{name}/{id}", Speaker::Platform, "See docs/remote.md."));
    channels.push(Channel {
        retained: true,
        ..message::<Head>(
            "members-head",
            "members/manifest",
            Speaker::Platform,
            "Chunks on `members/snapshot/EPOCH/REV/CHUNK` and deltas on `members/delta/EPOCH/REV` begin with the same head, a \
             line feed, and a member a line; see docs/sync.md.",
        )
    });
    channels.push(piece("snapshot", "members/snapshot/{epoch}/{rev}/{chunk}", "chunk"));
    channels.push(piece("delta", "members/delta/{epoch}/{rev}", "from"));
    channels
}

/// A piece of a member list: JSON Lines, whose first line the schema describes.
fn piece(kind: &str, topic: &str, needed: &str) -> Channel {
    let name = format!("members-{kind}");
    let remark = "JSON Lines. The schema is that of the first line, the head; the lines behind it are members and, in a delta, \
                  removals, as docs/sync.md describes them. At most 240 KiB.";
    let mut channel =
        Channel { content_type: "application/x-ndjson", ..message::<Head>(&name, topic, Speaker::Platform, remark) };
    channel.schema["properties"]["kind"] = json!({ "const": kind, "description": "What follows the head." });
    let required = channel.schema["required"].as_array_mut().expect("a head needs fields");
    required.extend([json!(needed), json!("sha256")]);
    if let Some(definitions) = channel.schema.get_mut("$defs").and_then(Value::as_object_mut) {
        definitions.remove("Kind");
    }
    channel
}

/// A message without an envelope that is not kept.
fn message<T: JsonSchema>(name: &str, topic: &str, speaker: Speaker, remark: &str) -> Channel {
    Channel {
        name: name.to_owned(),
        topic: topic.to_owned(),
        speaker,
        retained: false,
        schema: plain::<T>(name, speaker),
        ..state::<T>(name, remark)
    }
}

fn event(kind: EventKind) -> Channel {
    let class = match kind.class() {
        EventClass::P0 => "Class P0: never given up.",
        EventClass::P1 => "Class P1: given up last.",
        EventClass::P2 => "Class P2: given up before P1.",
        EventClass::P3 => "Class P3: of what waits only the newest is kept.",
    };
    Channel {
        name: kind.name().to_owned(),
        topic: kind.topic(),
        speaker: Speaker::Box,
        retained: false,
        expiry: (kind.class() == EventClass::P3).then_some(mqtt::HEALTH_EXPIRY),
        content_type: mqtt::EVENT_CONTENT_TYPE,
        properties: vec![("type", Some(kind.event_type())), ("id", None), ("schema", Some(kind.data_schema()))],
        schema: schema(kind),
        remark: class.to_owned(),
    }
}

/// A retained word of the box about itself.
fn state<T: JsonSchema>(name: &str, remark: &str) -> Channel {
    Channel {
        name: format!("state-{name}"),
        topic: format!("state/{name}"),
        speaker: Speaker::Box,
        retained: true,
        expiry: None,
        content_type: "application/json",
        properties: Vec::new(),
        schema: plain::<T>(&format!("state-{name}"), Speaker::Box),
        remark: remark.to_owned(),
    }
}

/// The schema of a message without an envelope.
fn plain<T: JsonSchema>(name: &str, speaker: Speaker) -> Value {
    let settings = SchemaSettings::draft2020_12();
    let settings = if speaker == Speaker::Box { settings.for_serialize() } else { settings.for_deserialize() };
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    schema["$id"] = json!(format!("urn:forecourt:schema:{name}:1.0"));
    schema
}
