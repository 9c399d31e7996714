//! Unknown keys: all of them at once, each with the key that was probably meant.
//!
//! The known keys are read from the JSON Schema of [`Config`], so that there is one list.

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::finding::{Code, Finding};
use super::places::join;
use super::schema;

/// A part of the schema.
type Node<'a> = &'a Value;

/// Takes every unknown key out of the table and says so.
pub(super) fn refuse_unknown(table: &mut DeTable<'_>) -> Vec<Finding> {
    let root = schema();
    let mut findings = Vec::new();
    walk(table, &root, &root, "", &mut findings);
    findings
}

fn walk(table: &mut DeTable<'_>, root: Node<'_>, node: Node<'_>, path: &str, findings: &mut Vec<Finding>) {
    let Some(known) = resolved(root, node).get("properties").and_then(Value::as_object) else { return };
    let strangers: Vec<String> =
        table.keys().map(|key| key.get_ref().to_string()).filter(|key| !known.contains_key(key)).collect();
    for key in strangers {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        findings.push(unknown(root, path, &key, &names));
        table.remove(key.as_str());
    }
    for (key, value) in table.iter_mut() {
        let path = join(path, key.get_ref());
        step(value.get_mut(), root, resolved(root, &known[key.get_ref().as_ref()]), &path, findings);
    }
}

fn step(value: &mut DeValue<'_>, root: Node<'_>, node: Node<'_>, path: &str, findings: &mut Vec<Finding>) {
    match value {
        DeValue::Table(inner) => walk(inner, root, node, path, findings),
        DeValue::Array(items) => {
            let Some(each) = node.get("items") else { return };
            for (index, item) in items.iter_mut().enumerate() {
                step(item.get_mut(), root, resolved(root, each), &format!("{path}[{index}]"), findings);
            }
        }
        _ => {}
    }
}

/// Follows a reference into the schema's definitions, also through `anyOf [.., null]` of an optional table.
pub(super) fn resolved<'a>(root: Node<'a>, node: Node<'a>) -> Node<'a> {
    let choices = node.get("anyOf").and_then(Value::as_array);
    let node = choices.and_then(|all| all.iter().find(|each| each.get("$ref").is_some())).unwrap_or(node);
    let target = node.get("$ref").and_then(Value::as_str).and_then(|at| root.pointer(at.trim_start_matches('#')));
    target.unwrap_or(node)
}

fn unknown(root: Node<'_>, table: &str, key: &str, known: &[&str]) -> Finding {
    let here = if table.is_empty() { "at the top of the file".to_owned() } else { format!("in `{table}`") };
    let remedy = if let Some(near) = nearest(key, known) {
        format!("did you mean `{near}`?")
    } else if let Some(home) = home_of(root, key) {
        format!("it belongs in `{home}`")
    } else {
        format!("known here: {}", known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
    };
    Finding::new(Code::UnknownKey, join(table, key), format!("there is no such key {here}"), remedy)
}

/// The known name that a slip of the fingers would turn into `key`.
pub(super) fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let key = key.to_lowercase().replace('-', "_");
    let within = key.chars().count() / 3;
    let slips = |name: &str| strsim::damerau_levenshtein(&key, name);
    let close = known.iter().map(|&name| (slips(name), name)).min().filter(|(slips, _)| *slips <= within.clamp(1, 3));
    let part = || {
        let alike = |name: &&&str| key.len() >= 3 && (name.contains(key.as_str()) || key.contains(**name));
        known.iter().filter(alike).max_by_key(|name| name.len()).copied()
    };
    close.map(|(_, name)| name).or_else(part)
}

/// The table in which a key of that name exists.
fn home_of(root: Node<'_>, key: &str) -> Option<String> {
    let tables = root.get("properties")?.as_object()?;
    let holds = |node: Node<'_>| resolved(root, node).pointer(&format!("/properties/{key}")).is_some();
    tables.iter().find_map(|(name, node)| {
        let inner = resolved(root, node);
        match inner.get("items") {
            Some(items) if holds(items) => Some(format!("[[{name}]]")),
            None if holds(inner) => Some(format!("[{name}]")),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_finds_its_key() {
        let known = ["analysis_fps", "id", "source", "stall_after", "zone"];
        for (typed, meant) in [("analysis-fps", "analysis_fps"), ("sorce", "source"), ("ID", "id"), ("zones", "zone")] {
            assert_eq!(nearest(typed, &known), Some(meant), "{typed}");
        }
        assert_eq!(nearest("fps", &known), Some("analysis_fps"));
        assert_eq!(nearest("password", &known), None);
    }
}
