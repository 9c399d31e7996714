//! What was released: `contract/released/<version>/` holds the schemas of a release for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use crate::channels::{Speaker, channels};
use crate::compatibility::judge;
use crate::contract;

fn folder() -> PathBuf {
    contract::folder().join("released")
}

/// Today's schemas by file.
pub fn today() -> BTreeMap<String, Value> {
    channels().into_iter().map(|channel| (channel.schema_file(), channel.schema)).collect()
}

/// Files of messages that the box reads.
fn heard() -> BTreeSet<String> {
    let heard = channels().into_iter().filter(|channel| channel.speaker == Speaker::Platform);
    heard.map(|channel| channel.schema_file()).collect()
}

/// The last release: its version and its schemas.
fn last() -> Option<(Vec<u64>, BTreeMap<String, Value>)> {
    let number = |name: &str| name.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u64>>>();
    let folders = std::fs::read_dir(folder()).into_iter().flatten().map(|entry| entry.expect("it can be listed"));
    let versions = folders.filter_map(|entry| Some((number(&entry.file_name().to_string_lossy())?, entry.path())));
    let (version, path) = versions.max()?;
    let files = std::fs::read_dir(path).expect("it can be listed").map(|entry| entry.expect("it can be listed"));
    let read = |path: PathBuf| serde_json::from_slice(&std::fs::read(path).expect("it can be read")).expect("JSON");
    Some((version, files.map(|file| (file.file_name().to_string_lossy().into_owned(), read(file.path()))).collect()))
}

/// Keeps today's schemas as those of a release, when asked to; what is kept is never written again.
fn keep() {
    let Some(version) = std::env::var("FORECOURT_RELEASE").ok().filter(|version| !version.is_empty()) else { return };
    let folder = folder().join(&version);
    assert!(!folder.exists(), "contract/released/{version} is there already; a release is never changed");
    std::fs::create_dir_all(&folder).expect("it can be made");
    for (file, schema) in today() {
        std::fs::write(folder.join(file), format!("{schema:#}\n")).expect("it can be written");
    }
}

#[test]
fn no_consumer_of_the_last_release_is_hurt() {
    keep();
    let Some((version, released)) = last() else {
        eprintln!("SKIPPED: contract/released is empty: nothing was released yet");
        return;
    };
    let words = judge(&released, &today(), &heard());
    assert!(words.is_empty(), "against release {version:?}:\n{}\nSee contract/README.md.", words.join("\n"));
}
