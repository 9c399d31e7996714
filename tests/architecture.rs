//! The arrows of the house, read from the imports of every source file.
//!
//! `main → commands → pipeline → {camera, inference, store, mqtt, health} → domain`; `config`, `clock` and `disk`
//! are leaves that all but `domain` may use; `disk` imports nothing. A crate that touches the world has one home.

#![allow(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]

use std::path::{Path, PathBuf};

/// Who may import whom, inside the crate; everybody may import itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // `main` prepares the process before any thread runs; some of that only `camera` knows.
    ("main", &["cli", "commands", "config", "camera"]),
    ("lib", &[]),
    ("cli", &["commands", "config"]),
    (
        "commands",
        &[
            "cli",
            "pipeline",
            "camera",
            "inference",
            "store",
            "mqtt",
            "health",
            "provision",
            "domain",
            "config",
            "clock",
            "disk",
        ],
    ),
    ("provision", &["domain", "config", "clock", "disk"]),
    ("pipeline", &["camera", "inference", "store", "mqtt", "health", "domain", "config", "clock", "disk"]),
    ("camera", &["domain", "config", "clock", "disk"]),
    ("inference", &["domain", "config", "clock", "disk"]),
    ("store", &["domain", "config", "clock", "disk"]),
    ("mqtt", &["domain", "config", "clock", "disk"]),
    ("health", &["domain", "config", "clock", "disk"]),
    ("config", &["domain"]),
    ("clock", &["domain", "disk"]),
    ("disk", &[]),
    ("domain", &[]),
];

/// Crates that have one home.
const HOMES: &[(&str, &[&str])] = &[
    ("opencv", &["camera"]),
    ("ort", &["inference"]),
    ("rusqlite", &["store"]),
    ("rumqttc", &["mqtt"]),
    ("rumqttd", &["mqtt"]),
    ("clap", &["main", "cli", "commands"]),
    ("comfy_table", &["commands"]),
    ("indicatif", &["commands"]),
    ("tracing_subscriber", &["main"]),
];

/// What `domain` must not touch: the world, the clock, threads, logs, unseeded chance.
const NOT_IN_DOMAIN: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::io",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime::now",
    "jiff::Timestamp::now",
    "Timestamp::now",
    "jiff::Zoned::now",
    "Zoned::now",
    "fastrand::Rng::new",
    "Rng::new",
    "tracing::",
    "log::",
    "tokio::",
    "nix::",
];

/// Words that stand before a path and are no part of it.
const KEYWORDS: &[&str] = &["use", "pub", "as", "in", "mut", "dyn", "impl", "return", "let", "if", "else", "match"];

#[test]
fn every_arrow_points_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&root);
    assert!(files.len() > 20, "the sources were not found in {}", root.display());
    let broken: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let inside = file.strip_prefix(&root).unwrap().to_owned();
            breaches(&inside, &std::fs::read_to_string(file).unwrap())
        })
        .collect();
    assert!(broken.is_empty(), "broken rules of src/lib.rs:\n{}", broken.join("\n"));
}

#[test]
fn planted_breaches_are_caught() {
    for (file, source) in [
        ("domain/visit.rs", "use crate::store::Spool;"),
        ("domain/visit.rs", "use std::time::{Duration, Instant};"),
        ("domain/visit.rs", "fn f() { let now = jiff::Timestamp::now(); }"),
        ("domain/visit.rs", "fn f() { let now = Timestamp::now(); }"),
        ("domain/visit.rs", "use std::{collections::BTreeMap, fs::{self, File}};"),
        ("domain/plate/mod.rs", "fn f() { tracing::info!(\"x\"); }"),
        ("domain/plate/mod.rs", "use tokio::sync::mpsc;"),
        ("domain/plate/mod.rs", "fn f() { let chance = fastrand::Rng::new(); }"),
        ("domain/plate/mod.rs", "use crate::config::Plates;"),
        ("camera/mod.rs", "use crate::{domain::frame::Frame, store::{members::Members, Spool}};"),
        ("camera/mod.rs", "use super::mqtt::Publisher;"),
        ("camera/slot.rs", "use super::super::inference::Pack;"),
        ("mqtt/publisher.rs", "fn f() { crate::pipeline::wake(); }"),
        ("store/spool.rs", "use opencv::core::Mat;"),
        ("inference/pack.rs", "fn f(db: &rusqlite::Connection) {}"),
        ("pipeline/mod.rs", "use crate::commands::Exit;"),
        ("pipeline/mod.rs", "use rumqttc::v5::AsyncClient;"),
        ("config/load.rs", "use crate::camera::SourceSpec;"),
        ("domain/visit.rs", "use crate::disk;"),
        ("disk.rs", "use crate::config::Storage;"),
        ("disk.rs", "use crate::domain::Uptime;"),
        ("store/spool.rs", "pub use ::rumqttc as client;"),
    ] {
        assert_ne!(breaches(Path::new(file), source), Vec::<String>::new(), "{file}: {source}");
    }
}

#[test]
fn what_only_looks_like_a_breach_is_none() {
    for (file, source) in [
        ("domain/visit.rs", "//! `crate::store` writes it.\nuse std::time::Duration;\nuse super::geometry::Rect;"),
        ("domain/visit.rs", "const WORDS: &str = \"see crate::store and std::fs\"; const C: char = '\"';"),
        ("domain/visit.rs", "/* use std::fs; /* nested */ use tokio; */ struct InstantReading;"),
        ("domain/visit.rs", "const RAW: &str = r#\"use \"std::fs\" \"#; fn f<'a>(x: &'a str) {}"),
        ("domain/visit.rs", "let log = 1; let x = log.ln(); fastrand::Rng::with_seed(1);"),
        ("store/members.rs", "use super::spool::open; use rusqlite::Connection; use crate::domain::member::Member;"),
        ("store/keys/mod.rs", "use crate::disk::{self, Rights};"),
        ("commands/run.rs", "use crate::pipeline; use crate::store::Members;"),
    ] {
        assert_eq!(breaches(Path::new(file), source), Vec::<String>::new(), "{file}: {source}");
    }
}

/// The rules that a file of `src/` breaks, in words.
fn breaches(file: &Path, source: &str) -> Vec<String> {
    let modules = modules_of(file);
    let here = modules[0].as_str();
    let names = [here, "main", "lib"];
    let own = MAY_IMPORT.iter().find(|(name, _)| *name == here);
    let Some((_, allowed)) = own else {
        return vec![format!("{}: `{here}` has no place in the house", file.display())];
    };
    let told = |path: &[String], why: &str| format!("{}: `{}`: {why}", file.display(), path.join("::"));
    let mut broken = Vec::new();
    for path in paths(&tokens(source)) {
        if let Some(target) = target_module(&path, &modules)
            && MAY_IMPORT.iter().any(|(name, _)| *name == target)
            && !allowed.contains(&target)
            && !names.contains(&target)
        {
            broken.push(told(&path, &format!("`{here}` may not import `{target}`")));
        }
        if let Some((name, homes)) = HOMES.iter().find(|(name, _)| path[0] == *name)
            && !homes.contains(&here)
        {
            broken.push(told(&path, &format!("`{name}` lives in {homes:?}")));
        }
        let spelled = path.join("::");
        let starts = |banned: &&&str| {
            spelled == **banned || spelled.starts_with(&format!("{}::", banned.trim_end_matches("::")))
        };
        if here == "domain"
            && let Some(banned) = NOT_IN_DOMAIN.iter().find(starts)
        {
            broken.push(told(&path, &format!("`domain` is pure and does without `{banned}`")));
        }
    }
    broken
}

/// `domain/plate/mod.rs` is `[domain, plate]`.
fn modules_of(file: &Path) -> Vec<String> {
    let stem = file.with_extension("");
    let parts = stem.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    let mut modules: Vec<String> = parts.collect();
    if modules.len() > 1 && modules.last().is_some_and(|last| last == "mod") {
        modules.pop();
    }
    modules
}

/// The module at the root of the crate that a path leads into.
fn target_module<'a>(path: &'a [String], modules: &[String]) -> Option<&'a str> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    match path[0].as_str() {
        "crate" | "forecourt" => path.get(1),
        "super" if ups >= modules.len() => path.get(ups),
        _ => None,
    }
    .map(String::as_str)
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let rust = files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "rs"));
    rust.chain(folders.iter().flat_map(|folder| rust_files(folder))).collect()
}

/// Words and marks of a source text, without comments, texts and characters; `::` is one mark.
fn tokens(source: &str) -> Vec<String> {
    let text: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        at += match rest {
            ['/', '/', ..] => rest.iter().take_while(|c| **c != '\n').count(),
            ['/', '*', ..] => block_comment(rest),
            ['r', '"' | '#', ..] if raw_text(rest).is_some() => raw_text(rest).unwrap(),
            ['"', ..] => quoted(rest, '"'),
            ['\'', '\\', ..] | ['\'', _, '\'', ..] => quoted(rest, '\''),
            [':', ':', ..] => {
                tokens.push("::".to_owned());
                2
            }
            [c, ..] if c.is_alphanumeric() || *c == '_' => {
                let word: String = rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
                tokens.push(word.clone());
                word.chars().count()
            }
            [c, ..] => {
                if !c.is_whitespace() {
                    tokens.push(c.to_string());
                }
                1
            }
            [] => 1,
        };
    }
    tokens
}

fn block_comment(text: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn raw_text(text: &[char]) -> Option<usize> {
    let hashes = text[1..].iter().take_while(|c| **c == '#').count();
    if text.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = &text[2 + hashes..];
    let length = body.windows(end.len()).position(|window| window == end).unwrap_or(body.len());
    Some(2 + hashes + length + end.len())
}

fn quoted(text: &[char], mark: char) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != mark {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// All paths; `use a::{b, c::d}` holds `a::b` and `a::c::d`.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins = is_word(&tokens[at]) && !KEYWORDS.contains(&tokens[at].as_str());
        at = if begins { path(tokens, at, &[], &mut found) } else { at + 1 };
    }
    found
}

/// Reads the path that begins at `at` below `prefix`; returns where it ends.
fn path(tokens: &[String], mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut parts = prefix.to_vec();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => return group(tokens, at + 1, &parts, found),
            Some(word) if is_word(word) => parts.push(word.to_owned()),
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_none_or(|next| next != "::") {
            break;
        }
        at += 1;
    }
    if parts.len() > prefix.len() {
        found.push(parts);
    }
    at
}

fn group(tokens: &[String], mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    while let Some(token) = tokens.get(at) {
        at = match token.as_str() {
            "}" => return at + 1,
            word if is_word(word) && !KEYWORDS.contains(&word) => path(tokens, at, prefix, found),
            _ => at + 1,
        };
    }
    at
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}
