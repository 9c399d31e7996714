//! JSON Schemas (draft 2020-12) of the events, generated from the types that compose them.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::{
    Arrival, CloudEvent, Departure, DeviceCamera, Dwell, EventKind, ExitExpression, Health, OutboxDropped, Receipt,
    StrangerCount,
};

/// The schema of a whole event of that kind, envelope included.
pub fn schema(kind: EventKind) -> Value {
    let mut schema = match kind {
        EventKind::Arrival => generated::<CloudEvent<Arrival>>(),
        EventKind::Dwell => generated::<CloudEvent<Dwell>>(),
        EventKind::Departure => generated::<CloudEvent<Departure>>(),
        EventKind::ExitExpression => generated::<CloudEvent<ExitExpression>>(),
        EventKind::StrangerCount => generated::<CloudEvent<StrangerCount>>(),
        EventKind::OutboxDropped => generated::<CloudEvent<OutboxDropped>>(),
        EventKind::DeviceCamera => generated::<CloudEvent<DeviceCamera>>(),
        EventKind::Receipt => generated::<CloudEvent<Receipt>>(),
        EventKind::Health => generated::<CloudEvent<Health>>(),
    };
    schema["$id"] = json!(kind.data_schema());
    schema["title"] = json!(kind.event_type());
    schema["properties"]["specversion"]["const"] = json!("1.0");
    schema["properties"]["type"]["const"] = json!(kind.event_type());
    schema["properties"]["datacontenttype"]["const"] = json!("application/json");
    schema["properties"]["dataschema"]["const"] = json!(kind.data_schema());
    schema
}

fn generated<T: JsonSchema>() -> Value {
    SchemaGenerator::new(SchemaSettings::draft2020_12().for_serialize()).into_root_schema_for::<T>().to_value()
}
