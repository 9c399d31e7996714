//! Changes of the settings from afar: which keys are open to them, and how a patch is laid over the file. Pure.
//!
//! A patch is JSON in the shape of the file; cameras are named by their id (`{"camera": {"gate": {"analysis_fps": 4}}}`),
//! `null` gives a key back to the file. Only keys that [`OPEN`] names are open, so that one that a later version brings is
//! closed until somebody decides. Closed on purpose: who the box is, where it keeps what, whom it trusts, how it reaches its
//! broker, secrets, what may be read and told of people, and whatever could not be taken back (room and ages of the outbox).

use serde_json::{Map, Value};

/// Keys that a patch may change; `*` is a camera's id.
pub const OPEN: [&str; 36] = [
    "camera.*.analysis_fps",
    "camera.*.motion_gate",
    "camera.*.reconnect_max",
    "camera.*.stall_after",
    "camera.*.zone",
    "faces.best_frames",
    "faces.detection_threshold",
    "faces.expression_window",
    "faces.false_positive_identification_rate",
    "faces.max_yaw",
    "faces.min_frames",
    "faces.min_height_px",
    "faces.min_quality",
    "faces.packs",
    "faces.track_lost_after",
    "health.interval",
    "inference.threads",
    "members.max_members",
    "members.shadow_list",
    "mqtt.drain_per_second",
    "mqtt.max_inflight",
    "mqtt.reconnect_max",
    "outbox.late_after",
    "plates.detection_threshold",
    "plates.false_accept_rate",
    "plates.min_frames",
    "plates.min_width_px",
    "plates.packs",
    "plates.region",
    "plates.track_lost_after",
    "visits.absent_after",
    "visits.closes_at",
    "visits.dwell_gap",
    "visits.dwell_marks",
    "visits.dwell_min",
    "visits.exit_grace",
];
/// Of these only bare names are taken: a path would let somebody afar choose files of the box.
const NAMES: [&str; 3] = ["faces.packs", "plates.packs", "plates.region"];

/// Why a patch is not taken: every key that is closed, and every path where only a name may stand. Empty: it is taken.
pub fn refused(patch: &Map<String, Value>) -> Vec<String> {
    let mut words = Vec::new();
    walk(patch, "", &mut |key, value| {
        let taken = is_open(key) || value.is_null() && leads_on(key);
        if !taken {
            words.push(format!("`{key}` is not changed from afar"));
        } else if NAMES.contains(&key) && holds_path(value) {
            words.push(format!("`{key}` takes names from afar, no paths"));
        }
    });
    words
}

/// The keys that a patch changes, in order.
pub fn keys(patch: &Map<String, Value>) -> Vec<String> {
    let mut keys = Vec::new();
    walk(patch, "", &mut |key, _| keys.push(key.to_owned()));
    keys.sort();
    keys
}

/// Visits what stands at the open keys, and whatever leads to none.
fn walk(table: &Map<String, Value>, above: &str, visit: &mut impl FnMut(&str, &Value)) {
    for (name, value) in table {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value.as_object() {
            // A point in a name would make it look like another key.
            Some(inner) if leads_on(&key) && !name.contains('.') => walk(inner, &key, visit),
            _ => visit(&key, value),
        }
    }
}

fn is_open(key: &str) -> bool {
    OPEN.iter().any(|open| parts_match(open, key, false))
}

/// Does an open key lie below?
fn leads_on(key: &str) -> bool {
    OPEN.iter().any(|open| parts_match(open, key, true))
}

fn parts_match(open: &str, key: &str, above: bool) -> bool {
    let (open, key): (Vec<&str>, Vec<&str>) = (open.split('.').collect(), key.split('.').collect());
    let fits = if above { key.len() < open.len() } else { key.len() == open.len() };
    fits && key.iter().zip(&open).all(|(word, open)| word == open || *open == "*")
}

fn holds_path(value: &Value) -> bool {
    match value {
        Value::String(words) => words.contains('/'),
        Value::Array(items) => items.iter().any(holds_path),
        _ => false,
    }
}

/// One patch after another (RFC 7396): `null` takes a key out.
pub fn merged(old: &Map<String, Value>, newer: &Map<String, Value>) -> Map<String, Value> {
    let mut all = old.clone();
    for (name, value) in newer {
        let value = match value {
            Value::Null => None,
            Value::Object(newer) => {
                let inner = merged(all.get(name).and_then(Value::as_object).unwrap_or(&Map::new()), newer);
                (!inner.is_empty()).then_some(Value::Object(inner))
            }
            other => Some(other.clone()),
        };
        match value {
            Some(value) => drop(all.insert(name.clone(), value)),
            None => drop(all.remove(name)),
        }
    }
    all
}

/// Lays a patch over the tables of a file.
///
/// # Errors
/// In words: a camera that is not there, a value that TOML does not have.
pub(super) fn apply(table: &mut toml::Table, patch: &Map<String, Value>) -> Result<(), String> {
    for (name, value) in patch {
        match (name.as_str(), value) {
            ("camera", Value::Object(cameras)) => {
                for (id, changes) in cameras {
                    let changes = changes.as_object().ok_or_else(|| format!("`camera.{id}` is no table"))?;
                    lay(camera(table, id)?, changes)?;
                }
            }
            _ => lay(table, &Map::from_iter([(name.clone(), value.clone())]))?,
        }
    }
    Ok(())
}

fn camera<'a>(table: &'a mut toml::Table, id: &str) -> Result<&'a mut toml::Table, String> {
    let cameras = table.get_mut("camera").and_then(toml::Value::as_array_mut);
    let mut tables = cameras.into_iter().flatten().filter_map(toml::Value::as_table_mut);
    let named = |camera: &&mut toml::Table| camera.get("id").and_then(toml::Value::as_str) == Some(id);
    tables.find(named).ok_or_else(|| format!("there is no camera `{id}`"))
}

fn lay(table: &mut toml::Table, patch: &Map<String, Value>) -> Result<(), String> {
    for (name, value) in patch {
        if let Value::Object(inner) = value {
            let below = table.entry(name.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let below = below.as_table_mut().ok_or_else(|| format!("`{name}` is no table in the file"))?;
            lay(below, inner)?;
        } else {
            let value = toml::Value::try_from(value).map_err(|error| format!("`{name}`: {error}"))?;
            table.insert(name.clone(), value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{load_patched, schema};

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    /// Every key of the settings, as the schema knows them.
    fn all_keys(node: &Value, root: &Value, above: &str, keys: &mut Vec<String>) {
        let node = crate::config::keys::resolved(root, node);
        let node = if node["type"] == "array" { crate::config::keys::resolved(root, &node["items"]) } else { node };
        let Some(properties) = node["properties"].as_object() else { return keys.push(above.to_owned()) };
        for (name, inner) in properties {
            let key = match above {
                "" => name.clone(),
                "camera" => format!("camera.*.{name}"),
                _ => format!("{above}.{name}"),
            };
            if key == "camera.*.zone" { keys.push(key) } else { all_keys(inner, root, &key, keys) }
        }
    }

    #[test]
    fn an_open_key_exists_and_none_names_a_place_a_secret_or_whom_to_trust() {
        let mut keys = Vec::new();
        all_keys(&schema(), &schema(), "", &mut keys);
        assert!(keys.len() > 60, "{keys:?}");
        for open in OPEN {
            assert!(keys.iter().any(|key| key == open), "`{open}` is no key");
            let last = open.rsplit('.').next().unwrap();
            let closed = ["file", "folder", "socket", "url", "source", "key", "id", "user", "library", "read", "role"];
            assert!(!last.split('_').any(|word| closed.contains(&word)), "`{open}`");
            assert!(
                !["site", "storage", "privacy", "commands"].iter().any(|table| open.starts_with(table)),
                "`{open}`"
            );
        }
        assert!(OPEN.is_sorted(), "in order, so that a double one is seen");
    }

    #[test]
    fn what_a_patch_must_not_change_is_refused_by_name() {
        for (patch, key) in [
            (json!({"mqtt": {"url": "mqtt://elsewhere:1883", "max_inflight": 4}}), "mqtt.url"),
            (json!({"mqtt": {"password_file": "/etc/shadow"}}), "mqtt.password_file"),
            (json!({"storage": {"folder": "/tmp"}}), "storage"),
            (json!({"commands": {"unsigned": true}}), "commands"),
            (json!({"commands": null}), "commands"),
            (json!({"members": {"trusted_keys": []}}), "members.trusted_keys"),
            (json!({"camera": {"gate": {"source": "rtsp://other/1"}}}), "camera.gate.source"),
            (json!({"camera": {"gate": {"read": ["face"]}}}), "camera.gate.read"),
            (json!({"camera": [{"id": "gate"}]}), "camera"),
            (json!({"privacy": {"plate_in_events": true}}), "privacy"),
            (json!({"plates": {"packs": ["/tmp/mine"]}}), "plates.packs"),
            (json!({"plates": {"region": "./own.toml"}}), "plates.region"),
            (json!({"plates.min_frames": 3}), "plates.min_frames"),
            (json!({"camera": {"a.b": {"zone": []}}}), "camera.a.b"),
            (json!({"no-such": {"key": 1}}), "no-such"),
        ] {
            let words = refused(&map(patch));
            // The name with a point in it looks like an open key, and is none of the file's.
            let open = key == "plates.min_frames";
            assert!(open || words.len() == 1 && words[0].starts_with(&format!("`{key}`")), "{key}: {words:?}");
        }
        let good = json!({"plates": {"packs": ["plate-cn"], "region": null}, "visits": null,
            "camera": {"gate": {"analysis_fps": 4, "zone": [{"id": "z"}]}}});
        assert_eq!(refused(&map(good.clone())), [""; 0]);
        assert_eq!(keys(&map(good))[..2], ["camera.gate.analysis_fps", "camera.gate.zone"]);
    }

    #[test]
    fn a_patch_is_laid_over_the_file_and_null_gives_back_what_stood_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forecourt.toml");
        let text = "[plates]\nmin_frames = 5\n[[camera]]\nid = \"gate\"\nsource = \"file:a.mp4\"\nanalysis_fps = 2.5\n\
                    [[camera]]\nid = \"exit\"\nsource = \"file:b.mp4\"\n";
        std::fs::write(&path, text).unwrap();
        let first = map(json!({"plates": {"min_frames": 7, "min_width_px": 60},
            "camera": {"exit": {"analysis_fps": 4}}, "visits": {"dwell_marks": ["30s"]}}));
        let loaded = load_patched(&path, &first).unwrap();
        let config = &loaded.config;
        assert_eq!((config.plates.min_frames, config.plates.min_width_px), (7, 60.0));
        assert_eq!([config.cameras[0].analysis_fps, config.cameras[1].analysis_fps], [2.5, 4.0]);
        assert_eq!(config.cameras[0].source, format!("file:{}", folder.path().join("a.mp4").display()));
        let second = merged(&first, &map(json!({"plates": {"min_frames": null}, "visits": null})));
        assert_eq!(keys(&second), ["camera.exit.analysis_fps", "plates.min_width_px"]);
        assert_eq!(load_patched(&path, &second).unwrap().config.plates.min_frames, 5);

        let wrong = |patch| load_patched(&path, &map(patch)).unwrap_err().to_string();
        assert!(wrong(json!({"camera": {"lost": {"analysis_fps": 4}}})).contains("no camera `lost`"));
        assert!(wrong(json!({"plates": {"min_frames": 0}})).contains("`plates.min_frames`"));
        assert!(wrong(json!({"plates": {"min_frames": "many"}})).contains("`plates.min_frames`"));
        assert!(wrong(json!({"plates.min_frames": 3})).contains("plates.min_frames"));
    }
}
