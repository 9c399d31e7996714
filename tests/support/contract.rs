//! Checks an event against the schema in `contract/` that its `type` names, as an integrator would.

#![allow(dead_code, reason = "shared by several tests, each of which uses a part")]

use std::path::PathBuf;

use jsonschema::Validator;
use serde_json::Value;

/// The folder that integrators read.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("contract")
}

/// A validator of the committed schema of a kind of event, such as `arrival`.
pub fn validator(name: &str) -> Validator {
    let path = folder().join(format!("{name}.schema.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema is valid")
}

/// The event as JSON; panics with every fault when it breaks the contract.
#[track_caller]
pub fn validate(event: &[u8]) -> Value {
    let json: Value = serde_json::from_slice(event).expect("an event is JSON");
    let kind = json["type"].as_str().expect("an event has a type");
    let name = kind.rsplit('.').next().expect("a type has a last word");
    let faults: Vec<String> =
        validator(name).iter_errors(&json).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "event breaks the contract: {faults:#?}\n{json:#}");
    json
}

/// A message that is no event against the schema of that name; panics with every fault.
#[track_caller]
pub fn validate_as(name: &str, message: &Value) {
    let faults: Vec<String> =
        validator(name).iter_errors(message).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "message breaks the contract: {faults:#?}\n{message:#}");
}
