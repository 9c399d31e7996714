//! Validators that are not ours: the AsyncAPI parser and Python's jsonschema. Skipped with a line when not installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs it; what it says when it finds a fault.
fn run(program: &str, arguments: &[&Path]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    let words = [output.stdout, output.stderr].concat();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&words).into_owned()) }
}

fn has(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A folder with a copy of the contract in which `old` is `new` in `file`.
fn spoilt(file: &str, old: &str, new: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let from = root().join("contract");
    std::fs::create_dir(folder.path().join("examples")).expect("a folder");
    for part in ["", "examples"] {
        for entry in std::fs::read_dir(from.join(part)).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            if path.is_file() {
                let name = path.strip_prefix(&from).expect("it is below");
                std::fs::copy(&path, folder.path().join(name)).expect("it can be copied");
            }
        }
    }
    let text = std::fs::read_to_string(from.join(file)).expect("it can be read");
    assert!(text.contains(old), "{file} holds no `{old}`");
    std::fs::write(folder.path().join(file), text.replace(old, new)).expect("it can be written");
    folder
}

#[test]
fn the_asyncapi_parser_finds_the_document_sound() {
    super::bless();
    let tool = root().join("tools/asyncapi/validate.mjs");
    if !(has("node", &["--version"]) && root().join("tools/asyncapi/node_modules/@asyncapi/parser").exists()) {
        eprintln!("SKIPPED: node with @asyncapi/parser is not installed (make contract-check)");
        return;
    }
    run("node", &[&tool, &root().join("contract/asyncapi.yaml")]).unwrap_or_else(|words| panic!("{words}"));
    for (old, new) in
        [("#/channels/dwell", "#/channels/nobody"), ("/{tenant}/{site}/{device}/evt/dwell", "/{x}/evt/dwell")]
    {
        let folder = spoilt("asyncapi.yaml", old, new);
        assert!(run("node", &[&tool, &folder.path().join("asyncapi.yaml")]).is_err(), "{new}");
    }
}

#[test]
fn a_validator_that_is_not_ours_accepts_every_example() {
    super::bless();
    let tool = root().join("tools/check_contract.py");
    let knows = |python: &&str| has(python, &["-c", "import jsonschema; jsonschema.Draft202012Validator"]);
    let Some(python) = ["python3", "/usr/bin/python3"].into_iter().find(knows) else {
        eprintln!("SKIPPED: python3 with jsonschema is not installed (tools/setup.sh test)");
        return;
    };
    run(python, &[&tool, &root().join("contract")]).unwrap_or_else(|words| panic!("{words}"));
    for (file, old, new) in [
        ("examples/arrival.json", "\"plate\"", "\"voice\""),
        ("examples/arrival.json", "2026-03-01T08:00:01.000Z", "yesterday"),
        ("examples/state-online.json", "true", "\"yes\""),
        ("dwell.schema.json", "\"type\": \"object\"", "\"type\": \"thing\""),
    ] {
        let folder = spoilt(file, old, new);
        assert!(run(python, &[&tool, folder.path()]).is_err(), "{file}: {new}");
    }
}
