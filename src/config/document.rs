//! The settings as a person reads them: a commented file with every default, and the tables of the manual.
//!
//! Both are made from the JSON Schema, whose words are the doc comments of the types, so nothing can fall out of step.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::{Config, duration, keys::resolved, schema};

/// A settings file with every key, its meaning and its default; what has no default is commented out.
pub fn commented_default() -> String {
    let mut out = String::from(
        "# Settings of forecourt. Every key stands here with its default: leave out what you do not change.\n\
         # A line that begins with `#` and a key shows an example of what has no default.\n\
         # Lengths of time carry their unit: \"250ms\", \"1.5s\", \"30m\", \"12h\", \"7d\". Paths are relative to this file.\n",
    );
    for section in sections() {
        out.push('\n');
        section.write_toml(&mut out);
    }
    out
}

/// The tables of `docs/configuration.md`.
pub fn markdown() -> String {
    let mut out = String::new();
    for section in sections() {
        section.write_markdown(&mut out);
    }
    out
}

/// One table of the file.
struct Section {
    /// `[site]`, `[[camera]]`, `[[camera.zone]]`.
    header: String,
    about: String,
    keys: Vec<Key>,
    /// There is none of it by default.
    example: bool,
}

struct Key {
    name: String,
    about: String,
    kind: String,
    /// As TOML; `None` when it has none.
    default: Option<String>,
    example: Option<String>,
    /// Words that are allowed, with their meanings.
    words: Vec<(String, String)>,
}

impl Section {
    fn write_toml(&self, out: &mut String) {
        let off = if self.example { "#" } else { "" };
        comment(out, &self.about);
        let _ = writeln!(out, "{off}{}", self.header);
        for key in &self.keys {
            comment(out, &key.about);
            for (word, about) in &key.words {
                comment(out, &format!("  \"{word}\": {about}"));
            }
            let (mark, value) = match (&key.default, &key.example) {
                (_, Some(example)) if self.example => ("#", example),
                (Some(value), _) => (off, value),
                (None, Some(example)) => ("#", example),
                (None, None) => ("#", &key.kind),
            };
            let _ = writeln!(out, "{mark}{} = {value}", key.name);
        }
    }

    fn write_markdown(&self, out: &mut String) {
        let _ = writeln!(out, "\n## `{}`\n\n{}\n", self.header, self.about);
        let _ = writeln!(out, "| key | type | default | meaning |\n|---|---|---|---|");
        for key in &self.keys {
            let default = key.default.as_ref().map_or("—".to_owned(), |value| format!("`{value}`"));
            let mut about = key.about.clone();
            for (word, meaning) in &key.words {
                let _ = write!(about, "<br>`\"{word}\"`: {meaning}");
            }
            let about = about.replace('|', "\\|");
            let _ = writeln!(out, "| `{}` | {} | {default} | {about} |", key.name, key.kind);
        }
    }
}

fn comment(out: &mut String, about: &str) {
    let _ = writeln!(out, "# {about}");
}

fn sections() -> Vec<Section> {
    let root = schema();
    let defaults = serde_json::to_value(Config::default()).expect("the defaults are plain values");
    let mut all = Vec::new();
    for (name, node) in properties(&root) {
        add_section(&root, node, name, defaults.get(name), &mut all);
    }
    all
}

/// A table, and after it the lists of tables inside it.
fn add_section(root: &Value, node: &Value, path: &str, default: Option<&Value>, all: &mut Vec<Section>) {
    let target = resolved(root, node);
    let items = target.get("items").map(|each| resolved(root, each));
    let table = items.unwrap_or(target);
    let own = items.and_then(|items| items.get("default"));
    let inner = |name: &str| properties(table).any(|(key, node)| key == name && is_tables(root, node));
    let keys = properties(table).filter(|(name, _)| !inner(name));
    let defaults = default.filter(|value| value.is_object()).or(own);
    let keys = keys.map(|(name, node)| key(root, name, node, defaults)).collect();
    let header = if items.is_some() { format!("[[{path}]]") } else { format!("[{path}]") };
    all.push(Section { header, about: text(node, target), keys, example: items.is_some() });
    for (name, node) in properties(table).filter(|(name, _)| inner(name)) {
        add_section(root, node, &format!("{path}.{name}"), None, all);
    }
}

fn is_tables(root: &Value, node: &Value) -> bool {
    node.get("items").is_some_and(|each| resolved(root, each).get("properties").is_some())
}

fn properties(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// What the key says of itself, else what its type says.
fn text(node: &Value, target: &Value) -> String {
    let words = node.get("description").or_else(|| target.get("description"));
    words.and_then(Value::as_str).unwrap_or_default().replace('\n', " ")
}

fn key(root: &Value, name: &str, node: &Value, defaults: Option<&Value>) -> Key {
    let target = resolved(root, node);
    let default = node.get("default").or_else(|| defaults?.get(name)).filter(|value| !value.is_null());
    let item = target.get("items").map(|each| resolved(root, each));
    let example = node.pointer("/examples/0").map(toml_text);
    let words = words(item.unwrap_or(target));
    let kind = kind(target, item, default, !words.is_empty());
    Key { name: name.to_owned(), about: text(node, target), kind, default: default.map(toml_text), example, words }
}

/// What a value of that schema is, in the words of the manual: `text`, `whole number`, `length of time`.
pub(super) fn kind_of(root: &Value, node: &Value, default: Option<&Value>) -> String {
    let target = resolved(root, node);
    let item = target.get("items").map(|each| resolved(root, each));
    kind(target, item, default, !words(item.unwrap_or(target)).is_empty())
}

fn words(target: &Value) -> Vec<(String, String)> {
    let choices = target.get("oneOf").and_then(Value::as_array);
    let word = |each: &Value| Some((each.get("const")?.as_str()?.to_owned(), text(each, each)));
    choices.into_iter().flatten().filter_map(word).collect()
}

fn kind(target: &Value, item: Option<&Value>, default: Option<&Value>, words: bool) -> String {
    let is_time = |value: &Value| value.as_str().is_some_and(|text| duration::parse(text).is_ok());
    if let Some(item) = item {
        let times = default.and_then(Value::as_array).is_some_and(|all| !all.is_empty() && all.iter().all(is_time));
        let each = if times { "length of time".to_owned() } else { kind(item, item.get("items"), None, words) };
        return format!("list of {each}");
    }
    let named = match target.get("type") {
        Some(Value::Array(types)) => types.first().and_then(Value::as_str),
        other => other.and_then(Value::as_str),
    };
    match named {
        _ if words => "word",
        _ if default.is_some_and(is_time) => "length of time",
        Some("boolean") => "`true` or `false`",
        Some("integer") => "whole number",
        Some("number") => "number",
        _ => "text",
    }
    .to_owned()
}

fn toml_text(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", ")),
        Value::Number(number) if number.is_f64() => shortest(number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// `0.001`, not the digits that a 32-bit number gains on its way through 64 bits.
fn shortest(number: f64) -> String {
    let narrow = number as f32;
    if f64::from(narrow) == number { format!("{narrow:?}") } else { format!("{number:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;

    #[test]
    fn the_commented_file_means_the_defaults() {
        assert_eq!(from_text(&commented_default()), Ok(Config::default()));
    }

    #[test]
    fn the_file_is_understood_with_every_example_switched_on() {
        let lines = commented_default();
        let is_example = |line: &str| line.starts_with('#') && !line.starts_with("# ");
        let on: Vec<&str> = lines.lines().map(|line| if is_example(line) { &line[1..] } else { line }).collect();
        // Other brokers and credentials go with a preferred broker.
        let text = on.join("\n").replace("\nurl = \"\"\n", "\nurl = \"mqtts://broker.example\"\n");
        let config = from_text(&text).unwrap();
        assert_eq!(config.cameras.len(), 1);
        assert_eq!(config.cameras[0].zones.len(), 1);
    }

    #[test]
    fn every_key_of_the_schema_is_told() {
        let manual = markdown();
        for (name, section) in sections().iter().flat_map(|s| s.keys.iter().map(move |key| (&key.name, &s.header))) {
            assert!(manual.contains(&format!("| `{name}` |")), "{section} {name}");
        }
        assert!(sections().iter().flat_map(|section| &section.keys).all(|key| !key.about.is_empty()));
    }
}
