//! Each rule of `contract/README.md` with a breach that is planted in a real schema, and changes that hurt nobody.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::compatibility::{breaks, judge};
use crate::released::today;

type Change = fn(&mut Value);

fn schema(file: &str) -> Value {
    today().remove(file).expect("a schema of this contract")
}

fn changed(file: &str, change: Change) -> (Value, Value) {
    let old = schema(file);
    let mut new = old.clone();
    change(&mut new);
    assert_ne!(old, new, "the change changes nothing");
    (old, new)
}

/// Removes a word from a list.
fn without(list: &mut Value, word: &str) {
    list.as_array_mut().expect("a list").retain(|each| each != word && each["const"] != word);
}

fn rename(object: &mut Value, old: &str, new: &str) {
    let value = object[old].take();
    object.as_object_mut().expect("an object").shift_remove(old).expect("it is there");
    object[new] = value;
}

#[test]
fn every_planted_breach_is_caught() {
    let planted: [(&str, &str, Change); 15] = [
        ("a field is removed", "is gone", |s| {
            s["$defs"]["Arrival"]["properties"].as_object_mut().expect("fields").shift_remove("direction");
        }),
        ("a field is renamed", "`/data/visit_id` is gone", |s| {
            rename(&mut s["$defs"]["Arrival"]["properties"], "visit_id", "visit");
        }),
        ("a field of the envelope is removed", "`/monoms` is gone", |s| {
            s["properties"].as_object_mut().expect("fields").shift_remove("monoms");
        }),
        ("a field has another type", "has another type", |s| {
            s["$defs"]["Arrival"]["properties"]["confidence"] = json!({ "type": "string" });
        }),
        ("a whole number becomes a fraction", "may be number now", |s| {
            s["$defs"]["Evidence"]["properties"]["frames"]["type"] = json!("number");
        }),
        ("a field may be null", "may be null now", |s| {
            s["$defs"]["Arrival"]["properties"]["member_ref"]["type"] = json!(["string", "null"]);
        }),
        ("a reference may be null", "may be null now", |s| {
            let reference = s["$defs"]["Arrival"]["properties"]["modality"].take();
            s["$defs"]["Arrival"]["properties"]["modality"] = json!({ "anyOf": [reference, { "type": "null" }] });
        }),
        ("a field may be absent", "`/data/camera` may be absent now", |s| {
            without(&mut s["$defs"]["Arrival"]["required"], "camera");
        }),
        ("a word of an enumeration is removed", "never says \"both\"", |s| {
            without(&mut s["$defs"]["Modality"]["oneOf"], "both");
        }),
        ("an enumeration becomes free text", "is no list of words", |s| {
            s["$defs"]["Modality"] = json!({ "type": "string" });
        }),
        ("a bound is lowered", "lower minimum", |s| {
            s["$defs"]["Arrival"]["properties"]["confidence"]["minimum"] = json!(-1.0);
        }),
        ("a bound is dropped", "higher maximum", |s| {
            s["$defs"]["Arrival"]["properties"]["confidence"].as_object_mut().expect("it").shift_remove("maximum");
        }),
        ("a pattern is changed", "another pattern", |s| {
            s["properties"]["sequence"]["pattern"] = json!("^[0-9]+$");
        }),
        ("a time is no time any more", "another format", |s| {
            s["properties"]["time"].as_object_mut().expect("it").shift_remove("format");
        }),
        ("the items of a list are others", "`/data/companions/items` has another type", |s| {
            s["$defs"]["Arrival"]["properties"]["companions"]["items"] = json!({ "type": "integer" });
        }),
    ];
    for (what, words, change) in planted {
        let (old, new) = changed("arrival.schema.json", change);
        let found = breaks(&old, &new);
        assert!(found.iter().any(|each| each.contains(words)), "{what}: {found:?}");
    }
}

#[test]
fn what_hurts_nobody_is_allowed() {
    let harmless: [(&str, Change); 6] = [
        ("a new field", |s| s["$defs"]["Arrival"]["properties"]["lane"] = json!({ "type": "string" })),
        ("a new word", |s| {
            let words = s["$defs"]["Modality"]["oneOf"].as_array_mut().expect("words");
            words.push(json!({ "type": "string", "const": "voice" }));
        }),
        ("a field is always there now", |s| {
            s["$defs"]["Arrival"]["required"].as_array_mut().expect("a list").push(json!("direction"));
        }),
        ("a field is never null any more", |s| {
            s["$defs"]["Arrival"]["properties"]["tier"]["type"] = json!("string");
        }),
        ("a closer bound", |s| s["$defs"]["Arrival"]["properties"]["confidence"]["minimum"] = json!(0.5)),
        ("other words for people", |s| s["$defs"]["Arrival"]["description"] = json!("Somebody came.")),
    ];
    for (what, change) in harmless {
        let (old, new) = changed("arrival.schema.json", change);
        assert_eq!(breaks(&old, &new), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn a_schema_breaks_nothing_against_itself() {
    for (file, schema) in today() {
        assert_eq!(breaks(&schema, &schema), Vec::<String>::new(), "{file}");
    }
}

/// Today's arrival against a changed one, as a release would be judged.
fn judged(change: Change, heard: bool) -> Vec<String> {
    let (old, new) = changed("arrival.schema.json", change);
    let file = |schema| BTreeMap::from([("arrival.schema.json".to_owned(), schema)]);
    let heard = if heard { BTreeSet::from(["arrival.schema.json".to_owned()]) } else { BTreeSet::new() };
    judge(&file(old), &file(new), &heard)
}

fn new_field(schema: &mut Value) {
    schema["$defs"]["Arrival"]["properties"]["lane"] = json!({ "type": "string" });
}

fn next_minor(schema: &mut Value) {
    schema["$id"] = json!("urn:forecourt:schema:arrival:1.1");
    schema["properties"]["dataschema"]["const"] = schema["$id"].clone();
}

#[test]
fn an_addition_needs_a_minor_number_and_a_breach_a_new_type() {
    assert!(judged(new_field, false)[0].contains("raise the minor number"));
    let numbered: Change = |s| {
        new_field(s);
        next_minor(s);
    };
    assert_eq!(judged(numbered, false), Vec::<String>::new());
    let breach: Change = |s| {
        without(&mut s["$defs"]["Arrival"]["required"], "camera");
        next_minor(s);
    };
    assert!(judged(breach, false)[0].contains("give it a new type"));
    let moved: Change = |s| {
        without(&mut s["$defs"]["Arrival"]["required"], "camera");
        s["title"] = json!("com.forecourt.v2.arrival");
    };
    assert_eq!(judged(moved, false), Vec::<String>::new());
    let old = BTreeMap::from([("arrival.schema.json".to_owned(), schema("arrival.schema.json"))]);
    assert!(judge(&old, &BTreeMap::new(), &BTreeSet::new())[0].contains("is gone"));
}

#[test]
fn what_the_box_hears_is_judged_the_other_way_round() {
    let stricter: Change = |s| {
        s["$defs"]["Arrival"]["required"].as_array_mut().expect("a list").push(json!("direction"));
        next_minor(s);
    };
    assert!(judged(stricter, true)[0].contains("`/data/direction` may be absent"));
    assert_eq!(judged(stricter, false), Vec::<String>::new());
    let looser: Change = |s| {
        without(&mut s["$defs"]["Arrival"]["required"], "camera");
        next_minor(s);
    };
    assert_eq!(judged(looser, true), Vec::<String>::new());
}
