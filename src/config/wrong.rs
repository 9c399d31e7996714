//! Words for a value of the wrong type and for a word that is not known: what stands there, and how it is written.
//!
//! The deserializer says "invalid type: map, expected a sequence"; who wrote `[camera]` needs to hear of `[[camera]]`.
//! What a key takes is read from the JSON Schema of [`super::Config`].

use serde_json::Value;

use super::finding::{Code, Finding};
use super::keys::{nearest, resolved};
use super::{document, duration, schema};

/// Where to look when there is nothing better to say.
const USUAL: &str = "see `forecourt config default`";

/// A finding for what the deserializer refused: its `message` about the value of `key`, `written` in the file.
pub(super) fn finding(key: &str, message: &str, written: &str) -> Finding {
    let root = schema();
    let said = known(&root, key).and_then(|known| known.explain(message, &shown(written)));
    let (problem, remedy) = said.unwrap_or_else(|| (message.to_owned(), USUAL.to_owned()));
    Finding::new(Code::BadValue, key, problem, remedy)
}

/// What a key takes.
struct Known<'a> {
    root: &'a Value,
    /// Its schema, references followed.
    node: &'a Value,
    default: Option<&'a Value>,
    /// As in the file, without numbers: `camera.zone`.
    path: String,
}

fn known<'a>(root: &'a Value, key: &str) -> Option<Known<'a>> {
    let (mut node, mut default) = (root, None);
    let mut names = Vec::new();
    for part in key.split('.') {
        let (name, numbers) = part.split_once('[').unwrap_or((part, ""));
        // A list of tables that was written as one table: the fault lies there, not in what stands below it.
        if resolved(root, node).get("items").is_some() {
            break;
        }
        let own = resolved(root, node).get("properties")?.get(name)?;
        names.push(name);
        (node, default) = (own, own.get("default"));
        for _ in numbers.split_terminator(']') {
            node = resolved(root, node).get("items")?;
            default = default.and_then(|all| all.get(0));
        }
    }
    Some(Known { root, node: resolved(root, node), default, path: names.join(".") })
}

/// The beginning of a value, as a person recognises it.
fn shown(written: &str) -> String {
    let line = written.lines().next().unwrap_or_default().trim();
    if line.chars().count() > 40 {
        format!("{}…", line.chars().take(40).collect::<String>())
    } else {
        line.to_owned()
    }
}

impl Known<'_> {
    /// Problem and way out; `None` when the message says it better.
    fn explain(&self, message: &str, written: &str) -> Option<(String, String)> {
        if message.starts_with("unknown variant") || !self.words().is_empty() {
            return self.unknown_word(written.trim_matches(['"', '\'']));
        }
        if !message.starts_with("invalid type") && !message.starts_with("invalid value") {
            return None;
        }
        let path = &self.path;
        let is_table = |node: &Value| node.get("properties").is_some();
        let item = self.node.get("items").map(|item| resolved(self.root, item));
        if item.is_some_and(is_table) {
            let problem =
                if message.contains("map") { "there may be several of these tables" } else { "it is no table" };
            return Some((problem.to_owned(), format!("write `[[{path}]]` above its keys, with two brackets")));
        }
        if is_table(self.node) {
            return Some((
                "it is no table".to_owned(),
                format!("write `[{path}]` on a line of its own, its keys below it"),
            ));
        }
        if item.is_some() {
            return Some((format!("`{written}` is no list"), format!("write it in brackets: [{written}]")));
        }
        Some(self.plain(written))
    }

    fn words(&self) -> Vec<&str> {
        let choices = self.node.get("oneOf").and_then(Value::as_array);
        choices.into_iter().flatten().filter_map(|each| each.get("const")?.as_str()).collect()
    }

    fn unknown_word(&self, written: &str) -> Option<(String, String)> {
        let words = self.words();
        if words.is_empty() {
            return None;
        }
        if words.contains(&written) {
            return Some((format!("`{written}` is no text"), format!("write it in quotes: \"{written}\"")));
        }
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        let all = format!("write one of {}", quoted.join(", "));
        let remedy = match nearest(written, &words) {
            Some(near) => format!("did you mean \"{near}\"? Otherwise {all}"),
            None => all,
        };
        Some((format!("`{written}` is none of the words that are known here"), remedy))
    }

    /// A text, a length of time, a number, a switch.
    fn plain(&self, written: &str) -> (String, String) {
        let is_number = written.parse::<f64>().is_ok();
        let (problem, remedy) = match document::kind_of(self.root, self.node, self.default).as_str() {
            "length of time" if is_number => ("has no unit", format!("write \"{written}s\", or with ms, m, h or d")),
            "length of time" => {
                let usual = self.default.and_then(Value::as_str).and_then(|text| duration::parse(text).ok());
                let usual = usual.map_or("30s".to_owned(), duration::format);
                ("is no length of time", format!("write a number with its unit in quotes, such as \"{usual}\""))
            }
            "`true` or `false`" => ("is neither true nor false", "write true or false, without quotes".to_owned()),
            "whole number" => ("is no whole number that fits", "write a whole number, without quotes".to_owned()),
            "number" => ("is no number", "write a number, without quotes".to_owned()),
            _ => ("is no text", "write it in quotes".to_owned()),
        };
        (format!("`{written}` {problem}"), remedy)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Code, from_text};

    /// What is said of the wrong value; an incomplete camera has other faults, too.
    fn words(text: &str) -> String {
        let findings = from_text(text).unwrap_err();
        findings.iter().find(|finding| finding.code == Code::BadValue).unwrap().to_string()
    }

    #[test]
    fn the_commonest_slips_are_told_in_the_words_of_the_file() {
        for (text, wanted) in [
            ("[camera]\nid = \"gate\"", "line 1: `camera`: there may be several of these tables; write `[[camera]]`"),
            ("camera = 5", "`camera`: it is no table; write `[[camera]]`"),
            ("site = \"x\"", "`site`: it is no table; write `[site]` on a line of its own"),
            ("[visits]\nabsent_after = 30", "`30` has no unit; write \"30s\""),
            (
                "[visits]\nabsent_after = true",
                "`true` is no length of time; write a number with its unit in quotes, such as \"30m\"",
            ),
            ("[visits]\ndwell_marks = [\"60s\", 300]", "`300` has no unit; write \"300s\""),
            (
                "[[camera]]\nrole = \"entrence\"",
                "`entrence` is none of the words that are known here; did you mean \"entrance\"?",
            ),
            (
                "[[camera]]\nread = [\"soul\"]",
                "`soul` is none of the words that are known here; write one of \"plate\", \"face\"",
            ),
            ("[[camera]]\nread = \"plate\"", "`\"plate\"` is no list; write it in brackets: [\"plate\"]"),
            ("[[camera]]\nmotion_gate = \"yes\"", "`\"yes\"` is neither true nor false"),
            ("[[camera]]\n[camera.zone]\nid = \"a\"", "write `[[camera.zone]]`"),
            ("[[camera.zone]]\nid = \"a\"", "write `[[camera]]`"),
            ("[mqtt]\nprotocol = 5", "`5` is no text; write it in quotes: \"5\""),
            ("[site]\ntenant = 5", "`5` is no text; write it in quotes"),
            ("[mqtt]\nmax_inflight = -1", "`-1` is no whole number that fits"),
            ("[plates]\nmin_width_px = \"wide\"", "`\"wide\"` is no number"),
        ] {
            let told = words(text);
            assert!(told.contains(wanted), "{text}\n{told}\n{wanted}");
            assert!(!told.contains("expected"), "{told}");
        }
    }
}
