//! What an installer must know before he leaves: one line a check.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::report::{Outcome, Report};
use crate::camera::probe::probe;
use crate::clock::Boot;
use crate::config::{Config, Loaded, Sense};
use crate::domain::time::TimeQuality;
use crate::mqtt::reach;
use crate::provision::Places;

/// How long each camera is watched.
const WATCH: Duration = Duration::from_secs(3);

/// All checks of the world around the box; `file` is the settings file in use.
pub fn all(loaded: &Loaded, places: &Places, file: &Path, report: &mut Report) {
    let Loaded { config, base, .. } = loaded;
    brokers(config, report);
    clock(report);
    for camera in &config.cameras {
        let seen = probe(camera, base, WATCH, &mut |_| ());
        let result = match (&seen.error, seen.is_good()) {
            (Some(words), _) => Err(words.clone()),
            (None, true) => Ok(format!("{}x{}, {:.0} fps", seen.width, seen.height, seen.fps.unwrap_or(0.0))),
            (None, false) => {
                Err(format!("{} pictures came; the picture is {:?}", seen.frames, seen.picture).to_lowercase())
            }
        };
        report.end(format!("camera {}", camera.id), result);
    }
    models(config, file, report);
    signage(config, &places.at(&config.storage.folder), report);
}

fn brokers(config: &Config, report: &mut Report) {
    let reached = reach::brokers(&config.mqtt);
    if reached.is_empty() {
        report.add(Outcome::Note, "broker", "none is set (`mqtt.url`); events wait on the box");
    }
    for reach in reached {
        let own = reach.own.ok_or_else(|| "this box has no address on a network; is the cable plugged in?".to_owned());
        if reach.name.is_ok() {
            report.end("address", own);
        }
        let found = reach.name.is_ok();
        report.end("name", reach.name.map(|ip| format!("{} is {ip}", reach.url)));
        match reach.way {
            Some(way) => report.end("broker", way.map(|()| format!("{} answers", reach.url))),
            None if found => {}
            None => report.add(Outcome::Fail, "broker", "not tried: its name has no address"),
        }
        if let Some(line) = reach.line {
            report.end("tls", line.map(|()| "encrypted, both sides known to each other".to_owned()));
        }
    }
}

fn clock(report: &mut Report) {
    let now = jiff::Timestamp::now();
    match Boot::system().quality() {
        TimeQuality::Synced => report.add(Outcome::Ok, "clock", format!("{now:.0}, set by a time server")),
        _ => report.add(
            Outcome::Note,
            "clock",
            format!("{now:.0}; no time server has confirmed it yet. If it stays so, open UDP port 123 to one"),
        ),
    }
}

/// In a process of its own: a model that makes ONNX Runtime crash must not take the result away.
fn models(config: &Config, file: &Path, report: &mut Report) {
    let packs: Vec<&String> = config.plates.packs.iter().chain(&config.faces.packs).collect();
    let result = std::env::current_exe().and_then(|program| {
        let mut verify = Command::new(program);
        verify.arg("--config").arg(file).args(["models", "verify"]).args(&packs);
        verify.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
    });
    let names = packs.iter().map(|pack| pack.as_str()).collect::<Vec<_>>().join(", ");
    report.end(
        "models",
        match result {
            Ok(status) if status.success() => Ok(format!("{names}: files, hashes and samples agree")),
            Ok(status) => Err(format!("{names}: `forecourt models verify` says what is wrong ({status})")),
            Err(error) => Err(format!("cannot be checked: {error}")),
        },
    );
}

fn signage(config: &Config, folder: &Path, report: &mut Report) {
    if !config.cameras.iter().any(|camera| camera.read.contains(&Sense::Face)) {
        return report.add(Outcome::Ok, "signage", "no camera reads faces");
    }
    match super::signage::confirmed(folder) {
        Ok(Some(photo)) => report.add(Outcome::Ok, "signage", format!("confirmed, photo {photo}")),
        Ok(None) => report.add(
            Outcome::Fail,
            "signage",
            "not confirmed: no face is read before `forecourt provision confirm-signage --photo-id ID --by NAME`",
        ),
        Err(error) => report.add(Outcome::Fail, "signage", format!("{error:#}")),
    }
}
