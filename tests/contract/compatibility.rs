//! Would a consumer that was written for the last release be hurt by today's schema? The rules stand in
//! `contract/README.md`; each has its planted breach below.
//!
//! Whoever reads is hurt by more freedom of the writer, whoever writes by less: the rules for what a box hears are
//! those for what it says with old and new exchanged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Keywords that allow less when they are there or when they grow.
const LOWER_BOUNDS: [&str; 3] = ["minimum", "minLength", "minItems"];
/// Keywords that allow less when they are there or when they shrink.
const UPPER_BOUNDS: [&str; 3] = ["maximum", "maxLength", "maxItems"];
/// Keywords that a reader counts on as they are.
const EXACT: [&str; 3] = ["pattern", "format", "const"];
/// Words for people.
const REMARKS: [&str; 5] = ["description", "title", "$id", "$schema", "examples"];

/// What hurts a reader of the messages, each with the path of the field.
pub fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Found { old, new, words: Vec::new(), seen: BTreeSet::new() };
    found.compare("", old, new);
    found.words
}

/// Is there a difference beyond words for people? Then the minor number has to move.
pub fn differ(old: &Value, new: &Value) -> bool {
    without_remarks(old) != without_remarks(new)
}

fn without_remarks(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            let keep = |(key, value): (&String, &Value)| match (key.as_str(), value) {
                // Names of fields, not keywords.
                ("properties" | "$defs", Value::Object(fields)) => {
                    let fields = fields.iter().map(|(name, field)| (name.clone(), without_remarks(field)));
                    Some((key.clone(), fields.collect::<Map<_, _>>().into()))
                }
                (key, _) if REMARKS.contains(&key) => None,
                (_, value) => Some((key.clone(), without_remarks(value))),
            };
            map.iter().filter_map(keep).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(without_remarks).collect(),
        other => other.clone(),
    }
}

struct Found<'a> {
    old: &'a Value,
    new: &'a Value,
    words: Vec<String>,
    seen: BTreeSet<(String, String)>,
}

/// What a schema allows, references followed and `null` taken apart.
struct Allowed<'a> {
    types: BTreeSet<&'a str>,
    /// Words of an enumeration.
    words: Option<BTreeSet<String>>,
    schema: &'a Value,
    /// Alternatives that are neither `null` nor words.
    others: Vec<&'a Value>,
}

impl Found<'_> {
    fn say(&mut self, path: &str, words: &str) {
        self.words.push(format!("`{path}` {words}"));
    }

    fn compare(&mut self, path: &str, old: &Value, new: &Value) {
        let both = (old["$ref"].as_str().unwrap_or_default(), new["$ref"].as_str().unwrap_or_default());
        if !both.0.is_empty() && !self.seen.insert((format!("{path} {}", both.0), both.1.to_owned())) {
            return;
        }
        let (whole_old, whole_new) = (self.old, self.new);
        let (before, after) = (allowed(whole_old, old), allowed(whole_new, new));
        for kind in after.types.difference(&before.types) {
            let number = *kind == "integer" && before.types.contains("number");
            if !number && !before.types.is_empty() {
                self.say(path, &format!("may be {kind} now"));
            }
        }
        if before.types.iter().all(|kind| !after.types.contains(kind)) && !before.types.is_empty() {
            self.say(path, "has another type");
        }
        self.words_of(path, &before, &after);
        self.bounds(path, before.schema, after.schema);
        self.fields(path, before.schema, after.schema);
        for inner in ["items", "additionalProperties"] {
            if let (Some(old), Some(new)) = (before.schema.get(inner), after.schema.get(inner)) {
                self.compare(&format!("{path}/{inner}"), old, new);
            }
        }
        match (before.others.as_slice(), after.others.as_slice()) {
            ([], []) => {}
            (old, new) if old.len() == new.len() => {
                for (number, (old, new)) in old.iter().zip(new).enumerate() {
                    self.compare(&format!("{path}/{number}"), old, new);
                }
            }
            _ => self.say(path, "has other alternatives"),
        }
    }

    /// New words come, old ones stay.
    fn words_of(&mut self, path: &str, before: &Allowed<'_>, after: &Allowed<'_>) {
        match (&before.words, &after.words) {
            (Some(before), Some(after)) => {
                for gone in before.difference(after) {
                    self.say(path, &format!("never says {gone} any more"));
                }
            }
            (Some(_), None) => self.say(path, "is no list of words any more"),
            _ => {}
        }
    }

    fn bounds(&mut self, path: &str, old: &Value, new: &Value) {
        let number = |schema: &Value, keyword| schema.get(keyword).and_then(Value::as_f64);
        for keyword in LOWER_BOUNDS {
            if let Some(before) = number(old, keyword)
                && number(new, keyword).is_none_or(|after| after < before)
            {
                self.say(path, &format!("has a lower {keyword}"));
            }
        }
        for keyword in UPPER_BOUNDS {
            if let Some(before) = number(old, keyword)
                && number(new, keyword).is_none_or(|after| after > before)
            {
                self.say(path, &format!("has a higher {keyword}"));
            }
        }
        for keyword in EXACT {
            if old.get(keyword).is_some_and(|before| new.get(keyword) != Some(before)) {
                self.say(path, &format!("has another {keyword}"));
            }
        }
    }

    fn fields(&mut self, path: &str, old: &Value, new: &Value) {
        let (Some(before), after) = (old["properties"].as_object(), &new["properties"]) else { return };
        let (needed, still) = (required(old), required(new));
        for (name, field) in before {
            // An event names the version of its schema; that it moves is what is asked for.
            if path.is_empty() && name == "dataschema" {
                continue;
            }
            let here = format!("{path}/{name}");
            match after.get(name) {
                None => self.say(&here, "is gone"),
                Some(after) => {
                    if needed.contains(name.as_str()) && !still.contains(name.as_str()) {
                        self.say(&here, "may be absent now");
                    }
                    self.compare(&here, field, after);
                }
            }
        }
    }
}

fn required(schema: &Value) -> BTreeSet<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn allowed<'a>(whole: &'a Value, schema: &'a Value) -> Allowed<'a> {
    let schema = follow(whole, schema);
    let mut found = Allowed { types: BTreeSet::new(), words: None, schema, others: Vec::new() };
    match &schema["type"] {
        Value::String(one) => drop(found.types.insert(one)),
        Value::Array(many) => found.types.extend(many.iter().filter_map(Value::as_str)),
        _ => {}
    }
    if let Some(words) = schema["enum"].as_array() {
        found.words = Some(words.iter().map(Value::to_string).collect());
    }
    for alternative in ["oneOf", "anyOf"].iter().filter_map(|key| schema[key].as_array()).flatten() {
        let one = allowed(whole, alternative);
        if one.schema["type"] == "null" {
            found.types.insert("null");
        } else if let Some(word) = one.schema.get("const") {
            found.types.extend(&one.types);
            found.words.get_or_insert_default().insert(word.to_string());
        } else if let Some(words) = one.words {
            found.types.extend(&one.types);
            found.words.get_or_insert_default().extend(words);
        } else {
            found.others.push(one.schema);
        }
    }
    // `null or X` is X that may be null.
    if let [only] = found.others[..] {
        let inner = allowed(whole, only);
        found.types.extend(inner.types);
        found.schema = inner.schema;
        found.others = inner.others;
    }
    found
}

fn follow<'a>(whole: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema["$ref"].as_str().and_then(|path| whole.pointer(path.trim_start_matches('#')));
    target.map_or(schema, |target| follow(whole, target))
}

/// Released schemas by file name, and today's: what breaks the promise, in words. `heard`: files that the box reads.
pub fn judge(
    released: &BTreeMap<String, Value>,
    today: &BTreeMap<String, Value>,
    heard: &BTreeSet<String>,
) -> Vec<String> {
    let mut words = Vec::new();
    for (file, old) in released {
        let Some(new) = today.get(file) else {
            words.push(format!("{file} is gone: what was released is sent until a major version"));
            continue;
        };
        if old["title"] != new["title"] {
            continue; // Another type: the version moved.
        }
        let breaks = if heard.contains(file) { breaks(new, old) } else { breaks(old, new) };
        words.extend(breaks.into_iter().map(|each| format!("{file}: {each}; give it a new type")));
        if differ(&unversioned(old), &unversioned(new)) && old["$id"] == new["$id"] {
            words.push(format!("{file}: it has changed; raise the minor number of {}", old["$id"]));
        }
    }
    words
}

/// Without the number that has to move.
fn unversioned(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(version) = schema.pointer_mut("/properties/dataschema") {
        version.take();
    }
    schema
}
