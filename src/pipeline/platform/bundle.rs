//! The support bundle: what a technician asks for first, as a tar archive without logs, plates, names or secrets.

use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::disk::{self, Rights};
use crate::domain::sync::hex;
use crate::store::members::JournalEntry;

/// Folder in `storage.folder`.
const FOLDER: &str = "bundles";
/// Bundles that are kept.
const KEPT: usize = 3;
/// Largest bundle that goes into the answer itself; in base64 it stays below a usual packet limit.
const INLINE: usize = 128 * 1024;

/// What goes in.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) status: &'a Value,
    pub(super) commands: &'a [JournalEntry],
}

/// Writes the archive; tells where it lies, and the bytes themselves when `inline` and they are few.
pub(super) fn write(folder: &Path, id: &str, parts: &Parts<'_>, inline: bool) -> anyhow::Result<Value> {
    let folder = folder.join(FOLDER);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let bytes = archive(parts)?;
    let path = folder.join(format!("{id}.tar"));
    disk::write(&path, &bytes, Rights::mode(0o600))?;
    forget_old(&folder, &path)?;
    let mut result = json!({
        "path": path.display().to_string(), "bytes": bytes.len(), "sha256": hex(&Sha256::digest(&bytes)),
    });
    if inline && bytes.len() <= INLINE {
        result["tar_base64"] = json!(STANDARD.encode(&bytes));
    }
    Ok(result)
}

fn archive(parts: &Parts<'_>) -> anyhow::Result<Vec<u8>> {
    let commands: Vec<Value> = parts
        .commands
        .iter()
        .map(|entry| json!({ "id": entry.id, "name": entry.name, "state": entry.answer.state, "at": entry.answer.at }))
        .collect();
    let about = json!({
        "version": env!("CARGO_PKG_VERSION"), "architecture": std::env::consts::ARCH, "made_at": jiff::Timestamp::now(),
    });
    let files = [
        ("about.json", format!("{about:#}\n")),
        ("status.json", format!("{:#}\n", parts.status)),
        ("commands.json", format!("{:#}\n", Value::Array(commands))),
        ("settings.toml", settings(parts.config)?),
    ];
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        tar.append_data(&mut header, name, text.as_bytes())?;
    }
    Ok(tar.into_inner()?)
}

/// The settings in force; secrets are files, whose names alone stand in them. What an address may hold is cut out.
fn settings(config: &Config) -> anyhow::Result<String> {
    let mut config = config.clone();
    for camera in &mut config.cameras {
        camera.source = crate::camera::redacted(&camera.source);
    }
    config.mqtt.username = config.mqtt.username.map(|_| "(set)".to_owned());
    toml::to_string(&config).context("the settings cannot be written as TOML")
}

/// The oldest bundles go.
fn forget_old(folder: &Path, newest: &Path) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    let mut bundles: Vec<(std::time::SystemTime, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .filter(|(_, path)| path != newest && path.extension().is_some_and(|ending| ending == "tar"))
        .collect();
    bundles.sort();
    let surplus = (bundles.len() + 1).saturating_sub(KEPT);
    for (_, path) in bundles.into_iter().take(surplus) {
        std::fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Camera;

    #[test]
    fn a_bundle_holds_no_secret_and_only_three_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let camera =
            Camera { id: "gate".into(), source: "rtsp://admin:hunter2@10.0.0.7/1".into(), ..Camera::default() };
        let mut config = Config { cameras: vec![camera], ..Config::default() };
        config.mqtt.username = Some("dealer-login".into());
        let status = json!({ "version": "1" });
        let parts = Parts { config: &config, status: &status, commands: &[] };
        for id in 0..5 {
            let result = write(folder.path(), &format!("b{id}"), &parts, true).unwrap();
            let tar = STANDARD.decode(result["tar_base64"].as_str().unwrap()).unwrap();
            assert_eq!(result["sha256"], hex(&Sha256::digest(&tar)));
            let text = String::from_utf8_lossy(&tar);
            assert!(text.contains("10.0.0.7") && text.contains("status.json"), "{text}");
            assert!(!text.contains("hunter2") && !text.contains("dealer-login"), "{text}");
            assert_eq!(write(folder.path(), &format!("b{id}"), &parts, false).unwrap()["tar_base64"], Value::Null);
        }
        assert_eq!(std::fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), KEPT);
    }
}
