//! `forecourt models list`.

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};

use super::super::Exit;
use super::super::vision::Setup;
use crate::inference::pack::{ManifestError, Pack, packs_in};

/// Prints every pack that can be named.
pub fn run(setup: &Setup, as_json: bool) -> anyhow::Result<Exit> {
    let folders = setup.folders();
    let found = packs_in(&folders);
    if as_json {
        let packs: Vec<Value> = found.iter().map(|(name, pack)| entry(name, pack)).collect();
        println!("{}", serde_json::to_string_pretty(&json!({ "packs": packs }))?);
        return Ok(Exit::Ok);
    }
    if found.is_empty() {
        eprintln!("No pack in any of:");
        folders.folders().iter().for_each(|folder| eprintln!("  {}", folder.display()));
        return Ok(Exit::NotFound);
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["pack", "version", "tasks", "region", "licence", "folder"]);
    for (name, pack) in &found {
        match pack {
            Ok(pack) => {
                let about = &pack.manifest;
                let folder = pack.folder.display().to_string();
                table.add_row([name, &about.version, &tasks(pack).join(", "), &about.region, &about.licence, &folder]);
            }
            Err(error) => {
                table.add_row([name, "", "", "", "", &format!("not usable: {error}")]);
            }
        }
    }
    println!("{table}");
    Ok(Exit::Ok)
}

fn tasks(pack: &Pack) -> Vec<String> {
    let served = pack.manifest.models.iter().map(|model| model.task.word().to_owned());
    served.chain(pack.manifest.others.iter().map(|model| model.task.clone())).collect()
}

fn entry(name: &str, pack: &Result<Pack, ManifestError>) -> Value {
    match pack {
        Ok(pack) => json!({
            "name": name,
            "version": pack.manifest.version,
            "tasks": tasks(pack),
            "region": pack.manifest.region,
            "licence": pack.manifest.licence,
            "source": pack.manifest.source,
            "folder": pack.folder,
        }),
        Err(error) => json!({ "name": name, "error": error.to_string() }),
    }
}
