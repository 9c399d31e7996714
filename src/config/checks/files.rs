//! Do the files exist that the settings name?

use std::path::Path;

use super::{Code, Report};
use crate::config::Config;
use crate::config::finding::Finding;
use crate::config::paths::{is_path, source_path};
use crate::domain::plate::grammar::Grammar;
use crate::domain::sync::TrustedKey;

/// Asks the file system; relative paths start at `base`.
pub(in crate::config) fn files(config: &Config, base: &Path) -> Vec<Finding> {
    let mut report = Report::default();
    for (index, camera) in config.cameras.iter().enumerate() {
        let key = |name: &str| format!("camera[{index}].{name}");
        match source_path(&camera.source) {
            Some(("file", path)) if !base.join(path).exists() => {
                let remedy = "put it there or correct the path; the address of a camera begins with `rtsp://`";
                let problem = format!("`{}` does not exist", base.join(path).display());
                report.add(Code::NoFile, &key("source"), problem, remedy);
            }
            Some(("file", path)) => file(&key("source"), &base.join(path), &mut report),
            Some(("images", path)) => folder(&key("source"), &base.join(path), &mut report),
            _ => {}
        }
        secret(&key("credentials_file"), camera.credentials_file.as_deref(), base, &mut report);
    }
    let mqtt = &config.mqtt;
    secret("mqtt.password_file", mqtt.password_file.as_deref(), base, &mut report);
    secret("mqtt.key_file", mqtt.key_file.as_deref(), base, &mut report);
    let device_key = config.privacy.key_file.as_deref().filter(|name| is_path(name));
    secret("privacy.key_file", device_key.map(Path::new), base, &mut report);
    let plain = [
        ("mqtt.ca_file", &mqtt.ca_file),
        ("mqtt.certificate_file", &mqtt.certificate_file),
        ("inference.library", &config.inference.library),
    ];
    for (key, path) in plain {
        if let Some(path) = path {
            file(key, &base.join(path), &mut report);
        }
    }
    for (table, packs) in [("plates", &config.plates.packs), ("faces", &config.faces.packs)] {
        for (index, pack) in packs.iter().enumerate().filter(|(_, pack)| is_path(pack)) {
            folder(&format!("{table}.packs[{index}]"), &base.join(pack), &mut report);
        }
    }
    region(&config.plates.region, base, &mut report);
    for (table, keys) in [("members", &config.members.trusted_keys), ("commands", &config.commands.trusted_keys)] {
        for (index, key) in keys.iter().enumerate().filter(|(_, key)| is_path(key)) {
            trusted_key(&format!("{table}.trusted_keys[{index}]"), &base.join(key), &mut report);
        }
    }
    report.0
}

fn trusted_key(key: &str, path: &Path, report: &mut Report) {
    let Ok(text) = std::fs::read_to_string(path) else {
        return missing(key, path, "does not exist or is no text", report);
    };
    if let Err(error) = TrustedKey::parse(&text) {
        let problem = format!("`{}` {error}", path.display());
        report.add(Code::TrustedKey, key, problem, "name the public half that `forecourt members keygen` wrote");
    }
}

fn file(key: &str, path: &Path, report: &mut Report) {
    if !path.is_file() {
        let problem = if path.is_dir() { "is a folder" } else { "does not exist" };
        missing(key, path, problem, report);
    }
}

fn folder(key: &str, path: &Path, report: &mut Report) {
    if !path.is_dir() {
        let problem = if path.exists() { "is no folder" } else { "does not exist" };
        missing(key, path, problem, report);
    }
}

fn missing(key: &str, path: &Path, problem: &str, report: &mut Report) {
    let remedy = "put it there or correct the path; a relative path starts at the folder of the settings file";
    report.add(Code::NoFile, key, format!("`{}` {problem}", path.display()), remedy);
}

/// A secret must exist and hold something; what it holds is never told.
fn secret(key: &str, path: Option<&Path>, base: &Path, report: &mut Report) {
    let Some(path) = path.map(|path| base.join(path)) else { return };
    if path.is_file() && std::fs::metadata(&path).is_ok_and(|about| about.len() == 0) {
        missing(key, &path, "is empty", report);
    } else {
        file(key, &path, report);
    }
}

fn region(region: &str, base: &Path, report: &mut Report) {
    if !is_path(region) {
        return;
    }
    let path = base.join(region);
    let Ok(text) = std::fs::read_to_string(&path) else {
        return missing("plates.region", &path, "does not exist or is no text", report);
    };
    if let Err(error) = Grammar::parse(&text) {
        let problem = format!("`{}` is no grammar: {error}", path.display());
        report.add(Code::Region, "plates.region", problem, "compare it with a grammar that ships with the program");
    }
}
