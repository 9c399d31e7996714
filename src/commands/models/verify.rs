//! `forecourt models verify`: everything about a pack that can be checked without pictures of one's own.

use comfy_table::{Cell, Color, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::json;

use super::super::Exit;
use super::super::vision::Setup;
use crate::inference::Solo;
use crate::inference::pack::{self, ManifestError, Model, Pack, packs_in};

/// One check and how it ended.
struct Check {
    pack: String,
    what: String,
    /// Words, when it failed.
    fault: Option<String>,
}

/// Checks packs; exit code 5 when one is refused, 4 when all there is to say is that one does not exist.
pub fn run(names: &[String], setup: &Setup, as_json: bool) -> anyhow::Result<Exit> {
    let here = std::env::current_dir()?;
    let folders = setup.folders();
    let packs = if names.is_empty() {
        packs_in(&folders)
    } else {
        names.iter().map(|name| (name.clone(), pack::open(name, &folders, &here))).collect()
    };
    if packs.is_empty() {
        eprintln!("There is no pack to verify; `forecourt models list` shows where packs are looked for.");
        return Ok(Exit::NotFound);
    }
    let mut checks = Vec::new();
    let is_missing = |pack: &Result<Pack, ManifestError>| matches!(pack, Err(ManifestError::NotFound { .. }));
    let missing = packs.iter().filter(|(_, pack)| is_missing(pack)).count();
    for (name, pack) in packs {
        let fault = pack.as_ref().err().map(ToString::to_string);
        checks.push(Check { pack: name.clone(), what: "manifest".to_owned(), fault });
        if let Ok(pack) = pack {
            check_pack(&name, &pack, setup, &mut checks);
        }
    }
    tell(&checks, as_json)?;
    Ok(match checks.iter().filter(|check| check.fault.is_some()).count() {
        0 => Exit::Ok,
        faults if faults == missing => Exit::NotFound,
        _ => Exit::Refused,
    })
}

fn check_pack(name: &str, pack: &Pack, setup: &Setup, checks: &mut Vec<Check>) {
    for file in pack.files() {
        let fault = file.read().err().map(|bad| bad.reason);
        checks.push(Check { pack: name.to_owned(), what: format!("file {}", file.file), fault });
    }
    for model in &pack.manifest.models {
        check_model(name, pack, model, setup, checks);
    }
}

fn check_model(name: &str, pack: &Pack, model: &Model, setup: &Setup, checks: &mut Vec<Check>) {
    let mut add = |what: String, fault: Option<String>| checks.push(Check { pack: name.to_owned(), what, fault });
    let loaded = Solo::load(pack, model, &setup.config.inference, &setup.base);
    let what = format!("{} runs", model.task.word());
    let mut solo = match loaded {
        Ok(solo) => {
            add(what, None);
            solo
        }
        Err(error) => return add(what, Some(format!("{error:#}"))),
    };
    for golden in &model.golden {
        let fault = solo.check(pack, golden).err().map(|error| format!("{error:#}"));
        add(format!("{} on {}", model.task.word(), golden.image), fault);
    }
}

fn tell(checks: &[Check], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let listed: Vec<_> = checks
            .iter()
            .map(|check| json!({ "pack": check.pack, "check": check.what, "ok": check.fault.is_none(), "fault": check.fault }))
            .collect();
        let ok = checks.iter().all(|check| check.fault.is_none());
        println!("{}", serde_json::to_string_pretty(&json!({ "ok": ok, "checks": listed }))?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["pack", "check", "result"]);
    for check in checks {
        let result = match &check.fault {
            None => Cell::new("in order").fg(Color::Green),
            Some(words) => Cell::new(words).fg(Color::Red),
        };
        table.add_row([Cell::new(&check.pack), Cell::new(&check.what), result]);
    }
    println!("{table}");
    Ok(())
}
