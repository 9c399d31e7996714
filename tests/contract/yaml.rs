//! JSON as YAML that people read: blocks by indentation, quotes only where they are needed.

use std::fmt::Write;

use serde_json::Value;

/// The document, with a line break at the end.
pub fn document(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

fn block(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                indent(depth, text);
                let _ = write!(text, "{}:", scalar(&Value::String(key.clone())));
                after_key(value, depth, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(depth, text);
                text.push('-');
                after_dash(item, depth, text);
            }
        }
        simple => {
            indent(depth, text);
            text.push_str(&scalar(simple));
            text.push('\n');
        }
    }
}

fn after_key(value: &Value, depth: usize, text: &mut String) {
    if is_block(value) {
        text.push('\n');
        block(value, depth + 1, text);
    } else {
        let _ = writeln!(text, " {}", scalar(value));
    }
}

/// The first line of a block stands behind its dash.
fn after_dash(value: &Value, depth: usize, text: &mut String) {
    if is_block(value) {
        let mut inner = String::new();
        block(value, depth + 1, &mut inner);
        text.push(' ');
        text.push_str(inner.trim_start());
    } else {
        let _ = writeln!(text, " {}", scalar(value));
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn indent(depth: usize, text: &mut String) {
    text.extend(std::iter::repeat_n("  ", depth));
}

/// JSON is YAML: what could be taken for something else is written as JSON.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(word) if is_plain(word) => word.clone(),
        other => other.to_string(),
    }
}

fn is_plain(word: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || " -_./,()".contains(c);
    let reserved = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !word.ends_with(' ')
        && word.chars().all(safe)
        && !reserved.contains(&word.to_lowercase().as_str())
}

#[test]
fn what_yaml_would_misread_is_quoted() {
    let value = serde_json::json!({
        "a": "plain words, here", "b": "1.0", "c": "no", "d": "a: b", "e": "#x", "f": [], "g": [{ "h": 1, "i": [2] }],
        "j": "two\nlines", "$ref": "#/x", "k": {},
    });
    let text = "a: plain words, here\nb: \"1.0\"\nc: \"no\"\nd: \"a: b\"\ne: \"#x\"\nf: []\ng:\n  - h: 1\n    i:\n      - 2\n\
                j: \"two\\nlines\"\n\"$ref\": \"#/x\"\nk: {}\n";
    assert_eq!(document(&value), text);
}
